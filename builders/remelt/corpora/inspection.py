"""What a corpus holds and what is wrong with it, in numbers: the Python side of `remelt inspect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..records import Utterance
from . import load
from .base import Corpus
from .mapping import TableMapping

FORMAT = 1


@dataclass(frozen=True)
class Summary:
    """The size of a split, or of all splits together.

    Attributes:
        utterances, dialogues, speakers: how many (different) ones; speakers by exact name.
        episodes: different pairs of season and episode; 0 where the corpus has none.
        timed: utterances with a start and an end.
        seconds: sum of their durations.
        mean_duration: seconds; None without times.
        mean_words: words per utterance.
        clips: utterances with a clip.
        repaired: utterances whose text was mended.
        labels: emotion -> utterances, the most frequent first; utterances without one are not in it.
    """

    utterances: int
    dialogues: int
    speakers: int
    episodes: int
    timed: int
    seconds: float
    mean_duration: float | None
    mean_words: float
    clips: int
    repaired: int
    labels: Mapping[str, int]


@dataclass(frozen=True)
class Inspection:
    """A corpus in numbers.

    Attributes:
        corpus: the corpus itself.
        splits: split -> its size.
        total: all splits together.
    """

    corpus: Corpus
    splits: Mapping[str, Summary]
    total: Summary

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON has them; docs/inspect.md describes the keys."""
        corpus = self.corpus
        return {
            "format": FORMAT,
            "corpus": {
                "name": corpus.name,
                "folder": str(corpus.folder),
                "licence": corpus.licence,
                "homepage": corpus.homepage,
                "citation": corpus.citation,
                "files": dict(corpus.files),
            },
            "splits": {split: asdict(summary) for split, summary in self.splits.items()},
            "total": asdict(self.total),
            "defects": {name: dict(counts) for name, counts in corpus.defects.items()},
            "findings": dict(corpus.findings),
            "notes": list(corpus.notes),
        }


def inspect(
    source: str | Path,
    *,
    name: str | None = None,
    splits: Sequence[str] | None = None,
    mapping: TableMapping | None = None,
) -> Inspection:
    """Reads a corpus and counts what is in it; arguments and errors are those of `corpora.load`.

    >>> inspect("sample").to_dict()["format"]
    1
    """
    corpus = load(source, name=name, splits=splits, mapping=mapping)
    parts = {s: summarise([u for u in corpus.utterances if u.split == s]) for s in corpus.splits}
    return Inspection(corpus, parts, summarise(corpus.utterances))


def summarise(utterances: Sequence[Utterance]) -> Summary:
    """The size of some utterances."""
    durations = [d for d in (u.duration for u in utterances) if d is not None]
    seconds = round(sum(durations), 3)
    labels = Counter(u.label for u in utterances if u.label is not None)
    count = len(utterances)
    episodes = {(u.season, u.episode) for u in utterances if (u.season, u.episode) != (None, None)}
    return Summary(
        utterances=count,
        dialogues=len({(u.split, u.dialogue_id) for u in utterances}),
        speakers=len({u.speaker for u in utterances if u.speaker}),
        episodes=len(episodes),
        timed=len(durations),
        seconds=seconds,
        mean_duration=round(seconds / len(durations), 3) if durations else None,
        mean_words=round(sum(len(u.words.split()) for u in utterances) / count, 3) if count else 0.0,
        clips=sum(u.clip is not None for u in utterances),
        repaired=sum(u.text_repaired is not None for u in utterances),
        labels=dict(sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))),
    )
