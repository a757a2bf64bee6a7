"""Broken encodings are mended, healthy text is left alone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.corpora.text import mend, normal

MARKS = "’…—‘“”–"


def as_controls(text: str) -> str:
    """cp1252 bytes read as Latin-1, as copies of MELD from before November 2020 have them."""
    return "".join(c.encode("cp1252").decode("latin-1") if c in MARKS else c for c in text)


def as_cp1252(text: str) -> str:
    """UTF-8 read as cp1252; the five empty codes as Latin-1 has them."""
    return "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in text.encode("utf-8"))


@pytest.mark.parametrize("mark", MARKS)
def test_every_form_of_every_mark_is_mended(mark: str) -> None:
    text = f"Well{mark}you know"
    assert mend(as_controls(text)) == (text, {"cp1252_controls"})
    assert mend(as_cp1252(text)) == (text, {"mojibake"})
    assert mend(text.encode().decode("latin-1")) == (text, {"mojibake"})
    assert mend(as_cp1252(text).replace("â", "")) == (text, {"mojibake"})
    assert mend(text) == (text, frozenset())


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("NestlÃ© Toll House?", "Nestlé Toll House?"),
        ("It\x92s the fianc\u00c3\u00a9e", "It’s the fiancée"),
        (
            "Tulsa is Italy€”Please don€™t make me go  there!",
            "Tulsa is Italy—Please don’t make me go  there!",
        ),
        ("It€™s€¦ It is bigger", "It’s… It is bigger"),
        ("caf\xe9 isn\x92t", "café isn’t"),
        ("a\0b\x07c", "abc"),
        ("a\ud83db", "a\ufffdb"),
    ],
)
def test_what_is_broken_is_mended(broken: str, mended: str) -> None:
    assert mend(broken)[0] == mended


@pytest.mark.parametrize(
    "text",
    ["“It’s”… he said — ‘no’ – yes", "pâté, fiancée, sautéed, Ångström, São, Über", "It costs 5 €.",
     "“100 €” he said", "€ 5–10", "price in €”", "Oh!\xa0 All right.",
     "line\nbreak\ttab", "日本語 😀", "MANHÃ CEDO"],
)  # fmt: skip
def test_healthy_text_is_left_alone(text: str) -> None:
    assert mend(text) == (text, frozenset())


def test_all_of_meld_is_healthy(test_data: Path) -> None:
    for split in ("train", "dev", "test"):
        with (test_data / "meld" / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                assert mend(row["Utterance"]) == (row["Utterance"], frozenset())


def test_text_of_the_melt_release_is_mended_to_melds(test_data: Path) -> None:
    """The release (Jing et al. 2025) was made from a broken copy; 43 train rows still show it."""
    original = {}
    with (test_data / "meld" / "train_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            original[row["Dialogue_ID"], row["Utterance_ID"]] = row["Utterance"]
    mended = 0
    with (test_data / "melt" / "meld_train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text, broken = mend(row["Utterance"])
            if broken:
                mended += 1
                expected = original[row["Dialogue_ID"], row["Utterance_ID"]].replace('"', "")
                assert text.replace("\xa0", " ") == expected
    assert mended == 43


def test_lost_character_is_only_reported() -> None:
    assert mend("don\ufffdt") == ("don\ufffdt", {"replacement_character"})


@given(st.text())
def test_mending_twice_changes_nothing_more(text: str) -> None:
    once, _ = mend(text)
    assert mend(once)[0] == once or len(mend(once)[0]) < len(once)


@given(st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"])))
def test_flags_and_changes_go_together(text: str) -> None:
    mended, broken = mend(text)
    assert (mended != text) == bool(broken)


def test_normal_text_keeps_words_only() -> None:
    assert normal("Y’know,  hey! You—you?") == "y'know hey you you"
    assert normal("?!") == ""
