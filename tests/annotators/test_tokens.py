"""Counting tokens, and what happens where the encoding cannot be had."""

from __future__ import annotations

import csv
import threading
from pathlib import Path

import pytest
import tiktoken

from remelt.annotators import tokens


def test_tokens_are_counted_with_the_models_own_encoding(encodings: Path) -> None:
    text = "Oh my God, he's lost it. He's totally lost it."
    counted = tokens.counting("gpt-4o-2024-08-06")
    assert (counted.encoding, counted.exact, counted.problem) == ("o200k_base", True, "")
    assert counted.count(text) == len(tiktoken.get_encoding("o200k_base").encode(text)) == 13


def test_special_tokens_in_a_corpus_are_words_like_others(encodings: Path) -> None:
    counted = tokens.counting("gpt-4o")
    assert counted.count("<|endoftext|>") > 1


def test_an_unknown_model_is_estimated_and_says_so() -> None:
    counted = tokens.counting("my-own-model")
    assert not counted.exact
    assert "no encoding is known for 'my-own-model'" in counted.problem
    assert counted.count("x" * 400) == 100
    assert counted.count("ééé") == 2


def test_a_named_encoding_goes_before_the_models_name(encodings: Path) -> None:
    assert tokens.counting("my-own-model", "o200k_base").encoding == "o200k_base"


def test_without_network_tokens_are_estimated_and_it_says_how_to_help(no_encodings: None) -> None:
    counted = tokens.counting("gpt-4o")
    assert not counted.exact
    assert "o200k_base cannot be had (ConnectionError)" in counted.problem
    assert "TIKTOKEN_CACHE_DIR" in counted.problem
    assert counted.count("twelve bytes") == 3


def test_a_file_that_is_here_is_waited_for(encodings: Path) -> None:
    tokens._loaded.cache_clear()
    assert tokens.counting("gpt-4o", patience=1e-6).exact
    tokens._loaded.cache_clear()


def test_a_network_that_never_answers_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    hang, asked, calls = threading.Event(), threading.Event(), []

    def silent(name: str) -> None:
        calls.append(name)
        asked.set()
        hang.wait(300)

    monkeypatch.setattr(tiktoken, "get_encoding", silent)
    tokens._loaded.cache_clear()
    try:
        for _ in range(2):
            assert "no answer in 0.05 s" in tokens.counting("gpt-4o", patience=0.05).problem
        assert asked.wait(60)
        assert calls == ["o200k_base"]
    finally:
        hang.set()
        tokens._loaded.cache_clear()


def test_the_estimate_is_close_for_dialogue(encodings: Path, test_data: Path) -> None:
    with (test_data / "meld" / "dev_sent_emo.csv").open(encoding="utf-8") as file:
        text = "\n".join(row["Utterance"] for row in csv.DictReader(file))
    counted = tokens.counting("gpt-4o").count(text)
    assert tokens.estimated(text) == pytest.approx(counted, rel=0.1)


def test_bytes_of_odd_text() -> None:
    assert tokens.byte_length("plain") == 5
    assert tokens.byte_length("é") == 2
    assert tokens.byte_length("\U0001f600") == 4
    assert tokens.byte_length("\ud800") == 3
