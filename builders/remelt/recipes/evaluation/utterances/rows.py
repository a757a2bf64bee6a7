"""How the rows of a corpus are divided, for systems that tell classes from single utterances."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ....errors import InputError, bad_value
from ....evaluation.examples import Example
from ....evaluation.protocols import Split, by_session, by_speaker
from .settings import AUTO, NONE, SESSIONS, SPEAKERS, SPEECH, SPLITS

TRAIN = "train"
VALIDATION = ("dev", "devel", "development", "val", "valid", "validation")
TEST = ("test", "test1", "test2")
# More sessions than this are recordings (the podcasts of MSP-Podcast), not folds.
MOST_SESSIONS = 12


def usable(rows: Iterable[Example], modality: str) -> tuple[Example, ...]:
    """The rows that have sound, or words."""
    if modality == SPEECH:
        return tuple(row for row in rows if row.has_sound)
    return tuple(row for row in rows if (row.text or "").strip())


def labelled(rows: Iterable[Example], labels: Mapping[str, str]) -> tuple[Example, ...]:
    """The rows that have one of these labels, with it."""
    return tuple(replace(row, label=labels[row.id]) for row in rows if row.id in labels)


def held_out(rows: Iterable[Example]) -> tuple[str, ...]:
    """The validation and test splits that there are, in the order of the rows."""
    there = dict.fromkeys(row.split for row in rows)
    return tuple(split for split in there if split.casefold() in (*VALIDATION, *TEST))


def protocol(rows: Sequence[Example], asked: str, order: Sequence[str]) -> str:
    """How the rows are divided.

    Args:
        rows: all that can be used.
        asked: `splits`, `sessions` or `speakers` are taken as they are; `auto` is the first of `order` that
            the rows allow, else `none`.
    """
    if asked != AUTO:
        return asked
    sessions = {row.session for row in rows}
    speakers = {(row.corpus, row.speaker) for row in rows}
    there = {row.split for row in rows}
    allowed = {
        SPLITS: TRAIN in there and bool(held_out(rows)),
        SESSIONS: "" not in sessions and 2 <= len(sessions) <= MOST_SESSIONS,
        SPEAKERS: all(speaker for _, speaker in speakers) and len(speakers) > 1,
    }
    return next((name for name in order if allowed[name]), NONE)


def folds(rows: Sequence[Example], how: str, count: int, validated: bool) -> tuple[Split, ...]:
    """Folds of sessions or speakers.

    Args:
        rows: with labels.
        how: `sessions` or `speakers`.
        count: of folds of speakers; 0 for one per speaker.
        validated: whether the next fold validates, where there are three or more.

    Raises:
        InputError: too few sessions or speakers, or rows that do not say theirs.
    """
    if how == SESSIONS:
        found = len({row.session for row in rows})
        return by_session(rows, "next" if validated and found > 2 else "none")
    if how != SPEAKERS:
        raise InputError(bad_value("way to make folds", how, (SESSIONS, SPEAKERS)))
    speakers = len({(row.corpus, row.speaker) for row in rows})
    made = speakers if count == 0 else min(count, speakers)
    return by_speaker(rows, None if made == speakers else made, "next" if validated and made > 2 else "none")


def limited(rows: Sequence[Example], limit: int | None, seed: int) -> tuple[Example, ...]:
    """So many of the rows, drawn with the seed; of another list with the same rows it draws the same."""
    if limit is None or limit >= len(rows):
        return tuple(rows)

    def drawn(row: Example) -> bytes:
        return hashlib.sha256(f"{seed}\n{row.id}".encode("utf-8", "surrogatepass")).digest()

    chosen = {row.id for row in sorted(rows, key=drawn)[:limit]}
    return tuple(row for row in rows if row.id in chosen)


def file_part(name: str) -> str:
    """A condition's name as part of the name of a test set."""
    return name.replace("/", "_")
