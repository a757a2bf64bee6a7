"""Hands utterances of a published dataset to people who label them with a tool of their own."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, bad_value
from ...records import Annotation, Utterance, Vote
from ..ordering import natural
from ..rebuild import published_content
from ..resolving import vote_of
from .keeping import settled

if TYPE_CHECKING:
    from ...exchange import Item
    from ...publishing import DatasetContent

ONLY = ("all", "disagreement", "unresolved")
_ENDINGS = {".csv": "csv", ".jsonl": "jsonl"}


@dataclass(frozen=True)
class ExportOptions:
    """What is handed out, and how.

    Attributes:
        form: see `exchange.written_formats`; None to tell it from the file's ending.
        splits: those to take; empty for all.
        only: `all`; `disagreement`, where annotators differ (with a single one: where its label differs from
            the original one); `unresolved`, where no label came about.
        limit: at most so many, drawn at random and shown in the corpus's order; None for all.
        seed: of the draw.
        blind: leave the labels out that there are.
        turns: previous turns of the dialogue to show.
        audio: what goes before a clip's path; None to show no clips.
        replace: whether files that exist may go; somebody may have filled them in.
    """

    form: str | None = None
    splits: tuple[str, ...] = ()
    only: str = "all"
    limit: int | None = None
    seed: int = 0
    blind: bool = False
    turns: int = 5
    audio: str | None = None
    replace: bool = False


@dataclass(frozen=True)
class ExportResult:
    """What was written: the files, the main one first, and how many utterances they hold."""

    paths: tuple[Path, ...]
    items: int


def export_annotations(out: str | Path, to: str | Path, options: ExportOptions) -> ExportResult:
    """Writes utterances for annotators; what they make of the file can be added (see `adding`).

    Args:
        out: a published dataset.
        to: the file to write; Label Studio's and Argilla's have another beside it.
        options: see `ExportOptions`.

    Raises:
        InputError: the dataset, the file or an option cannot be used, a file to write exists, or nothing is
            left to hand out.
    """
    from ...exchange import Sheet, write
    from ...publishing import check_replies, read_manifest

    out, to = Path(out), Path(to)
    if options.only not in ONLY:
        raise InputError(bad_value("choice of utterances", options.only, ONLY))
    form = options.form or _ENDINGS.get(to.suffix.casefold())
    if form is None:
        raise InputError(f"Which format {to.name!r} is to have is not clear; --format says it")
    settled(out)
    manifest = read_manifest(out)
    check_replies(out)
    for split in options.splits:
        if split not in manifest["splits"]:
            raise InputError(bad_value("split", split, manifest["splits"]))
    content = published_content(out, manifest)
    items = _drawn(_items(content, options), options)
    if not items:
        raise InputError(f"{out} has no utterance to hand out: none is {options.only!r} in these splits")
    title = str(manifest["corpus"].get("title") or manifest["corpus"]["name"])
    paths = write(to, Sheet(title, content.label_set, items, options.blind), form, options.replace)
    return ExportResult(tuple(paths), len(items))


def _items(content: DatasetContent, options: ExportOptions) -> list[Item]:
    from ...exchange import Item
    from ...prompting import Dialogues

    groups: dict[str, list[Annotation]] = {}
    for annotation in content.annotations:
        groups.setdefault(annotation.utterance.id, []).append(annotation)
    corpus = {row.id: _of_corpus(row) if content.resplit else row for row in content.utterances()}
    dialogues = Dialogues(_in_order(corpus.values()))
    found = []
    for name, group in groups.items():
        row = group[0].utterance
        votes = _votes(content, name, group)
        label = content.panel.resolutions[name].label if content.panel else group[0].verdict.label
        if (options.splits and row.split not in options.splits) or not _wanted(options, row, label, votes):
            continue
        before = dialogues.before(corpus[name], options.turns)
        found.append(
            Item(
                id=row.id,
                split=row.split,
                speaker=row.speaker,
                text=row.words,
                context=tuple(f"{turn.speaker}: {turn.words}" for turn in before),
                clip=f"{options.audio}{row.clip}" if options.audio is not None and row.clip else None,
                label=label,
                votes=votes,
            )
        )
    return found


def _votes(content: DatasetContent, name: str, group: Sequence[Annotation]) -> tuple[Vote, ...]:
    if content.panel is not None:
        return content.panel.resolutions[name].votes
    return tuple(vote_of(annotation, content.label_set) for annotation in group)


def _wanted(options: ExportOptions, row: Utterance, label: str | None, votes: Sequence[Vote]) -> bool:
    if options.only == "unresolved":
        return label is None
    if options.only == "disagreement":
        said = {vote.label for vote in votes if vote.label is not None}
        if len(votes) == 1 and row.label is not None:
            said.add(row.label)
        return len(said) > 1
    return True


def _drawn(items: list[Item], options: ExportOptions) -> list[Item]:
    if options.limit is None or options.limit >= len(items):
        return items
    chosen = sorted(random.Random(options.seed).sample(range(len(items)), options.limit))
    return [items[n] for n in chosen]


def _of_corpus(row: Utterance) -> Utterance:
    """The utterance in the split of its corpus: what was said before it may be published in another."""
    from ...publishing.layout import split_of

    return replace(row, split=split_of(row.id))


def _in_order(utterances: Iterable[Utterance]) -> list[Utterance]:
    """Those of a dialogue one after the other as they were said."""
    return sorted(utterances, key=lambda row: (row.split, str(row.dialogue_id), natural(row.utterance_id)))
