"""A corpus that is selected part by part: the rows, attrition and notes of the whole, for every rule."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt.corpora import load
from remelt.errors import InputError
from remelt.profiles import SelectionOptions, load_profile, profile_names
from remelt.recipes.common_labels import common_labels, renaming
from remelt.records import Drop, Utterance
from remelt.selection import (
    SelectionCounts,
    attrition,
    merge_counts,
    select,
    selection_notes,
    totals_of,
)

from .builders import utterance

SPLITS = ("train", "dev", "test")
EVERY_RULE: list[dict[str, Any]] = [
    {},
    {"min_duration": 1.0},
    {"min_duration": 1.0, "duration_from": "clip", "min_clip_duration": 0.8},
    {"min_words": 3, "labels": ("joy", "Nothing", "fear")},
    {"speaker_rule": "named", "keep_speakers": ("Guy", "nobody")},
    {"speaker_rule": "list", "speakers": ("Ann", "Zoe"), "drop_speakers": ("Bob", "Max")},
    {"min_speaker_count": 9, "min_words": 2, "min_duration": 1.0, "include_ids": ("*/dia0_utt1", "none")},
    {"min_speaker_count": 4, "speaker_count_split": "test", "merge_speakers": {"Ann": ("Anne", "Anna")}},
    {"min_speaker_count": 30, "speaker_count_split": "all", "drop_speakers": ("guy",)},
    {"drop_flags": ("one_word", "non_ascii"), "exclude_ids": ("*/dia0_utt7", "toy/dev/*", "toy/x/*", "y")},
    {"min_words": 3, "include_ids": ("toy/train/*",), "exclude_ids": ("toy/train/dia0_utt3",)},
    {"min_words": 20},
]


def corpus(count: int, seed: int) -> list[Utterance]:
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        split = SPLITS[min(2, 4 * number // count)]
        start = float(number)
        rows.append(
            utterance(
                number,
                id=f"toy/{split}/dia0_utt{number}",
                split=split,
                speaker=chance.choice(["Ann", "Anne", "Guy", "Bob", "The Woman", "Zoe", ""]),
                text=chance.choice(
                    ["Hey, guy!", "So it was Guy, and a guy.", "No", "", "I met Ann and Bob."]
                ),
                label=chance.choice(["joy", "fear", "anger", None]),
                start=start,
                end=chance.choice([None, start + 0.5, start + 1.0, start + 4]),
                clip_duration=chance.choice([None, 0.4, 0.9, 1.1]),
                flags=chance.choice([(), ("one_word",), ("non_ascii", "one_word")]),
            )
        )
    return rows


def in_parts(
    rows: Sequence[Utterance], options: SelectionOptions, splits: Sequence[str], size: int
) -> tuple[list[Any], list[Any], SelectionCounts, tuple[str, ...]]:
    totals = totals_of(lambda: iter(rows), options)
    kept, dropped, counts = [], [], []
    for split in (split for split in SPLITS if split in splits):
        own = [u for u in rows if u.split == split]
        for start in range(0, len(own), size):
            part = select(own[start : start + size], options, (split,), totals)
            assert part.notes == ()
            kept += part.kept
            dropped += part.dropped
            # A part's counts lie in a file until all are there.
            counts.append(SelectionCounts.from_dict(json.loads(json.dumps(part.counts.as_dict()))))
    merged = merge_counts(counts)
    return kept, dropped, merged, selection_notes(merged, options, totals, splits)


@pytest.mark.parametrize("values", EVERY_RULE, ids=lambda values: "+".join(values) or "none")
def test_parts_together_are_the_whole(values: dict[str, Any]) -> None:
    options = SelectionOptions(**values)
    for seed, size in ((1, 1), (2, 7), (3, 50)):
        rows = corpus(60, seed)
        for splits in (SPLITS, ("dev",), ("test", "train")):
            whole = select(rows, options, splits)
            kept, dropped, counts, notes = in_parts(rows, options, splits, size)
            assert tuple(kept) == whole.kept
            assert tuple(dropped) == whole.dropped
            assert attrition(counts, splits) == whole.attrition
            assert notes == whole.notes
    if values:
        assert any(select(corpus(60, seed), options).dropped for seed in (1, 2, 3))


def test_what_a_build_leaves_out_adds_up_too() -> None:
    rows = corpus(60, 1)
    options = SelectionOptions(min_words=1)
    _, _, counts, _ = in_parts(rows, options, SPLITS, 7)
    some = [Drop(u, "selection", ("limit",), ("beyond",)) for u in rows if u.split == "dev" and u.words][:3]
    parts = [SelectionCounts().with_left_out([drop]) for drop in some]
    found = attrition(merge_counts([counts, *parts]), SPLITS)
    last = [row for row in found if row.split == "dev"][-1]
    assert (last.rule, last.alone, last.in_order) == ("limit", 3, 3)
    assert last.left == sum(u.split == "dev" and bool(u.words) for u in rows) - 3
    assert [row.split for row in found] == ["train", "dev", "dev", "test"]


def test_a_split_that_is_not_there_is_refused() -> None:
    rows = corpus(20, 1)
    missing = SelectionOptions(min_speaker_count=1, speaker_count_split="extra")
    with pytest.raises(InputError, match="Bad speaker_count_split 'extra'"):
        totals_of(lambda: rows, missing)
    totals = totals_of(lambda: rows, SelectionOptions())
    with pytest.raises(InputError, match="Bad split 'extra'"):
        select(rows[:3], SelectionOptions(), ("extra",), totals)
    # A split of the corpus of which a part has no rows.
    assert select(rows[:3], SelectionOptions(), ("test",), totals).kept == ()


@pytest.fixture(scope="module")
def meld(test_data: Path) -> tuple[Utterance, ...]:
    return load(test_data / "meld").utterances[::5]


@pytest.mark.parametrize("profile", profile_names())
def test_meld_in_parts(meld: tuple[Utterance, ...], profile: str) -> None:
    rows, options = meld, load_profile(profile)
    whole = select(rows, options)
    kept, dropped, counts, notes = in_parts(rows, options, SPLITS, 400)
    assert (tuple(kept), tuple(dropped), notes) == (whole.kept, whole.dropped, whole.notes)
    assert attrition(counts, SPLITS) == whole.attrition


def test_labels_are_renamed_part_by_part() -> None:
    whole = replace(load("sample"), name="iemocap")
    rows = tuple(replace(u, label=("exc", "fru", None)[n % 3]) for n, u in enumerate(whole.utterances))
    whole = replace(whole, utterances=rows)
    expected = common_labels(whole)
    found = renaming(whole.name, ["fru", "exc"])
    assert (*whole.notes, found.note) == expected.notes
    assert found.note.startswith("Labels under their common names: exc is joy. Without a common name")
    assert (
        tuple(u for n in range(0, len(rows), 7) for u in found.rows(rows[n : n + 7])) == expected.utterances
    )
    assert renaming("nobody", ["exc"]).labels == {}
