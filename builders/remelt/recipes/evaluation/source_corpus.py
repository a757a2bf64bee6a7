"""A corpus as material: its own labels under their common names, its clips, its conversations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...evaluation.examples import Example
from ...records import Utterance
from .base import OLD, Material
from .scaling import Scaler
from .sources import SENTIMENT, CommonNames, Place, Wants, missing_clips

if TYPE_CHECKING:
    from ...corpora import Corpus
    from ..reporting import Reporter
    from .sounds import ClipSounds


def read(place: Place, source: str, wants: Wants, reporter: Reporter) -> tuple[Material, tuple[str, ...]]:
    """Reads any corpus that remelt has a reader for.

    Returns:
        The material, and what the reader says of the corpus.

    Raises:
        InputError: the corpus cannot be read, or a value of a dimension is out of its scale.
    """
    from ...voice.optional import package

    corpus = load(place, wants)
    reporter.stage(f"Reading {source}: {len(corpus):,} utterances of {corpus.name}")
    common, scaler = CommonNames(corpus.name), Scaler(corpus.name, wants.scale)
    labels = {
        OLD: {u.id: name for u in corpus.utterances if (name := common(u.label)) is not None},
        SENTIMENT: {u.id: u.sentiment for u in corpus.utterances if u.sentiment},
    }
    clips = clip_sounds(corpus.utterances, corpus.folder) if _any_clip(corpus) else None
    if clips is not None:
        # Without it no clip can be decoded, and the message says how to get it.
        package("soundfile")
    turns = turns_of(corpus.utterances)
    examples = spoken_alone(
        example(u, turns[u.id], scaler, clips is not None and u.id in clips[1]) for u in corpus.utterances
    )
    lost = [] if clips is None else clips[2]
    notes = (common.note(source), scaler.note(), missing_clips(examples, corpus.folder, lost))
    material = Material(
        name=place.name or corpus.name,
        source=source,
        kind="corpus",
        examples=examples,
        labels={condition: found for condition, found in labels.items() if found},
        sounds=clips[0] if clips is not None and clips[1] else None,
        notes=tuple(filter(None, notes)),
    )
    return material, corpus.notes


def load(place: Place, wants: Wants) -> Corpus:
    """The corpus at a place; a name that no reader has names a table's rows only."""
    from ... import corpora

    name: str | None = place.name or None
    if name is not None and name not in corpora.names():
        path = Path(place.path)
        name = name if path.exists() and corpora.detect(path) == "table" else None
    return corpora.load(place.path, name=name, splits=wants.splits)


def _any_clip(corpus: Corpus) -> bool:
    return any(u.clip is not None for u in corpus.utterances)


def clip_sounds(
    utterances: Sequence[Utterance], folder: Path
) -> tuple[ClipSounds, frozenset[str], list[str]]:
    """The clips of utterances: where to read them, whose are there, and whose are not."""
    from ...voice.audio import Source
    from .sounds import ClipSounds

    root = folder.resolve()
    found: dict[str, Source] = {}
    lost: list[str] = []
    for utterance in utterances:
        if utterance.clip is None:
            continue
        path = (root / utterance.clip).resolve()
        if not path.is_relative_to(root):
            raise InputError(
                f"{utterance.source or utterance.id}: the clip {utterance.clip!r} is outside {root}"
            )
        if path.is_file():
            found[utterance.id] = Source(path, utterance.clip_start, utterance.clip_end)
        else:
            lost.append(utterance.id)
    return ClipSounds(found), frozenset(found), lost


def turns_of(utterances: Sequence[Utterance]) -> dict[str, int]:
    """Utterance id -> position in its dialogue, from 0; as the rows stand, which is how they were said."""
    count: dict[tuple[str, object], int] = {}
    found = {}
    for utterance in utterances:
        key = (_split(utterance), utterance.dialogue_id)
        found[utterance.id] = count.get(key, 0)
        count[key] = found[utterance.id] + 1
    return found


def spoken_alone(examples: Iterable[Example]) -> tuple[Example, ...]:
    """The rows, without dialogues where no dialogue of the corpus has two of them: acted clips are none."""
    rows = tuple(examples)
    if any(row.turn for row in rows):
        return rows
    return tuple(replace(row, dialogue="") for row in rows)


def example(utterance: Utterance, turn: int, scaler: Scaler, heard: bool) -> Example:
    """An utterance as models see it."""
    words = utterance.words.strip()
    return Example(
        id=utterance.id,
        corpus=utterance.corpus,
        split=utterance.split,
        text=words or None,
        targets=scaler(utterance.source or utterance.id, utterance.attributes),
        speaker=utterance.speaker,
        sex=utterance.sex or "",
        session=utterance.session or "",
        dialogue=f"{utterance.corpus}/{_split(utterance)}/dia{utterance.dialogue_id}",
        turn=turn,
        has_sound=heard,
    )


def _split(utterance: Utterance) -> str:
    """The corpus's own split, by the id: one that was divided anew has other splits."""
    parts = utterance.id.split("/")
    return parts[1] if len(parts) > 2 else utterance.split
