"""Leaks and missing labels or targets are refused, with examples and counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remelt.errors import InputError
from remelt.evaluation import protocols
from remelt.evaluation.protocols import Split

from ..answers import EMOTIONS, example

LABELS = ("anger", "joy")


def row(name: str, label: str | None = "joy", **fields: object) -> object:
    return example(name, label, **fields)


def split(**parts: list[object]) -> Split:
    return Split("s", *(tuple(parts.get(name, [])) for name in ("train", "validation", "test")))  # type: ignore[arg-type]


def test_a_shared_id_is_always_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"Split 's' leaks: ids in it more than once: 1, such as 'toy/train/a' \(train 1, test 1\)$",
    ):
        protocols.check_leaks(split(train=[row("a"), row("b")], test=[row("a")]))
    with pytest.raises(InputError, match=r"'toy/train/a' \(train 2\)"):
        protocols.check_leaks(split(train=[row("a"), row("a")]))


def test_shared_speakers_and_dialogues_are_refused_where_promised() -> None:
    found = split(
        train=[row(f"a{k}", speaker=f"s{k % 5}", dialogue="d1") for k in range(10)],
        validation=[row("b", speaker="s9", dialogue="d2")],
        test=[row(f"c{k}", speaker=f"s{k}", dialogue="d2") for k in range(4)],
    )
    protocols.check_leaks(found)
    with pytest.raises(
        InputError,
        match=r"speakers in several parts: 4, such as 'toy/s0' \(train 2 such as toy/train/a0, "
        r"test 1 such as toy/train/c0\), 'toy/s1' .*"
        r"'toy/s2' \(train 2 such as toy/train/a2, test 1 such as toy/train/c2\)$",
    ):
        protocols.check_leaks(replace(found, promises=("speakers",)))
    with pytest.raises(
        InputError, match=r"dialogues in several parts: 1, such as 'd2' \(validation 1 such as"
    ):
        protocols.check_leaks(found, ["dialogues"])


def test_the_same_name_in_two_corpora_is_two_speakers() -> None:
    found = split(train=[row("a", speaker="Ross")], test=[row("b", speaker="Ross", corpus="other")])
    protocols.check_leaks(found, ["speakers"])


def test_a_row_that_could_break_a_promise_must_say_its_speaker() -> None:
    found = split(train=[row("a", speaker="Ross"), row("b")], test=[row("c", speaker="Joey")])
    with pytest.raises(
        InputError, match="no two parts share speakers, but train row toy/train/b does not say"
    ):
        protocols.check_leaks(found, ["speakers"])
    apart = split(train=[row("a", speaker="Ross"), row("b", corpus="other")], test=[row("c", speaker="Joey")])
    protocols.check_leaks(apart, ["speakers"])


def test_the_same_sound_or_the_same_words_of_a_speaker() -> None:
    found = split(
        train=[row("a", speaker="Ross", text="Hi,  there")],
        test=[row("b", speaker="Ross", text="hi, There "), row("c", speaker="Joey", text="Hi, there")],
    )
    protocols.check_leaks(found, ["sounds"], {"toy/train/a": "1", "toy/train/b": "2"})
    with pytest.raises(InputError, match="sounds in several parts: 1, such as '1'"):
        protocols.check_leaks(found, ["sounds"], {"toy/train/a": "1", "toy/train/c": "1"})
    with pytest.raises(
        InputError, match=r"texts in several parts: 1, such as 'toy/Ross: hi, there' \(train 1"
    ):
        protocols.check_leaks(found, ["texts"])
    with pytest.raises(InputError, match="Comparing sounds needs their digests"):
        protocols.check_leaks(found, ["sounds"])
    with pytest.raises(InputError, match="Bad promise of a split 'words'"):
        protocols.check_leaks(found, ["words"])


BOTH = [row("a", "joy"), row("b", "joy"), row("c", "anger"), row("d", "anger")]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (split(train=BOTH), r"has no labelled test rows \(train 4, validation 0, test 0\)"),
        (split(train=BOTH, test=[row("x", None)]), r"no labelled test rows \(train 4, validation 0, test 0"),
        (split(train=BOTH, validation=[row("x", None)], test=[row("y")]), "no labelled validation rows"),
        (split(test=BOTH), "has no labelled train rows"),
        (split(train=BOTH, test=[row("x", "fear")]), r"classes \['anger', 'joy'\]: 'fear' in 1 rows"),
        (split(train=BOTH[:2], test=[row("x")]), "all 2 training rows are 'joy'; there is nothing to learn"),
        (split(train=BOTH[:3], test=[row("x")]), r"one training row only: anger \(training rows: anger 1"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_learnt_or_tested_are_refused(found: Split, message: str) -> None:
    with pytest.raises(InputError, match=f"(?i){message}"):
        protocols.check_labels(found, LABELS)


def test_a_class_that_training_has_not_is_refused_or_told() -> None:
    found = split(train=BOTH, validation=[row("v")], test=[row("x", "fear"), row("y", "fear"), row("z")])
    with pytest.raises(
        InputError,
        match=r"Split 's': test rows of classes without a training row: fear 2 \(training rows: anger 2,",
    ):
        protocols.check_labels(found, EMOTIONS)
    assert protocols.check_labels(found, EMOTIONS, "tell") == (
        "split 's': test rows of classes without a training row: fear 2",
    )
    assert protocols.check_labels(replace(found, test=found.test[2:]), LABELS) == ()
    with pytest.raises(InputError, match="Bad unseen 'ignore'"):
        protocols.check_labels(found, EMOTIONS, "ignore")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({}, "1 of 2 test rows have no target for 'valence', first toy/train/x"),
        ({"valence": float("nan")}, "1 of 2 test rows have no target for 'valence', first toy/train/x"),
        ({"valence": 1.2}, "1 of 2 test rows have a valence outside 0 to 1, first 1.2 of toy/train/x"),
        ({"valence": float("inf")}, "1 of 2 test rows have a valence outside 0 to 1, first inf"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(targets: dict[str, float], message: str) -> None:
    good = [row(f"g{k}", None, targets={"valence": k}) for k in range(2)]
    protocols.check_targets(split(train=good, test=good), ["valence"])
    with pytest.raises(InputError, match=message):
        protocols.check_targets(
            split(train=good, test=[row("x", None, targets=targets), good[0]]), ["valence"]
        )
    with pytest.raises(InputError, match=r"has no test rows \(train 2, validation 0, test 0\)"):
        protocols.check_targets(split(train=good), ["valence"])
