"""Features of rows without words, and what is told of rows that had to be made to fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from remelt.evaluation.examples import Example
from remelt.evaluation.predictions import of_examples
from remelt.evaluation.protocols import Split
from remelt.recipes.evaluation.desk import CachedDesk
from remelt.recipes.evaluation.reference import linear_baselines
from remelt.recipes.evaluation.run import put_json
from remelt.recipes.reporting import Reporter

from ...evaluation.encoders.tiny_encoders import TEXT, save_words
from .utterances import corpus, setup_of

WORDS = (None, "ab", "  ", "ba", "b", "a")
ROWS = tuple(
    Example(f"toy/train/{k}", "toy", "train", label="ab"[k % 2], text=words, speaker=f"s{k}")
    for k, words in enumerate(WORDS)
)


def test_rows_without_words_are_encoded_and_told(tmp_path: Path) -> None:
    encoder = str(save_words(tmp_path / "words", TEXT["bert"]))
    desk = CachedDesk(tmp_path / "features", "cpu", Reporter())
    for rows in (ROWS, ROWS[:1]):
        found = desk.features(encoder, "text", rows, None)
    assert found[ROWS[0].id].shape[1] == 2
    assert desk.notes == (f"{encoder}: 2 rows: text without words, read as the special tokens alone",)


def test_the_linear_model_on_words_has_every_test_row(tmp_path: Path) -> None:
    encoder = str(save_words(tmp_path / "words", TEXT["bert"]))
    setup = setup_of(tmp_path, corpus(), None, encoders=(None, encoder))
    split = Split("own", ROWS, (), ROWS)
    like = of_examples("own", ROWS, [row.id for row in ROWS], np.eye(6)[:, :2], ("a", "b"))
    (found,) = linear_baselines(setup, split, like, Reporter()).values()
    assert found[0].ids == like.ids


def test_what_is_not_a_number_is_null_in_every_file(tmp_path: Path) -> None:
    put_json(tmp_path / "a.json", {"a": float("nan"), "b": (np.float64("inf"), 1.5)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [None, 1.5]}
