"""The annotations that were added to a dataset after its build, kept so that nothing loses them.

The replies are in OUT's journal, like those of any annotator; `OUT/.remelt/additions.json` has a record of
each source. A dataset that came without them (downloaded, or rebuilt) has both in what is published.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...journal import FILE, Journal
from ...labels import LabelSet
from ...records import Annotation, Reply, Request, Utterance
from .keeping import REGISTRY, kept

FORMAT = 1
KINDS = ("human", "import")


@dataclass(frozen=True)
class Addition:
    """A source that was added, and what it says.

    Attributes:
        member: its record, as in `publishing.PanelContent.members`; the kind is `human` or `import`.
        annotations: one per utterance that it annotated, in the order of the utterances.
    """

    member: Mapping[str, Any]
    annotations: Sequence[Annotation]


def stored(
    out: Path, utterances: Iterable[Utterance] | None = None, labels: LabelSet | None = None
) -> list[Addition]:
    """The sources that were added to OUT, in the order in which they were added.

    Args:
        out: a dataset folder; one that does not exist yet has none.
        utterances: those to look up; None for those that are published.
        labels: the label set that the answers are judged by; None for the published one.

    Raises:
        InputError: the record of the additions or the published files cannot be read.
    """
    from ... import answers

    members = members_of(out)
    if not members:
        return []
    published = _published(out, {str(member["name"]) for member in members})
    wanted = list(_all_utterances(out) if utterances is None else utterances)
    labels = labels or published_labels(out)
    found = []
    for member in members:
        requests = [request_of(member, utterance) for utterance in wanted]
        replies = {**published, **_journaled(out, [request.key for request in requests])}
        checker = answers.Checker(member["schema"]["json"], labels)
        annotations = tuple(
            Annotation(request, given, tuple(checker.check(request, reply) for reply in given))
            for request in requests
            if (given := replies.get(request.key))
        )
        found.append(Addition(member, annotations))
    return found


def members_of(out: Path) -> list[Mapping[str, Any]]:
    """The records of the sources that were added to OUT.

    Raises:
        InputError: the record cannot be read.
    """
    path = kept(out, REGISTRY)
    if path.is_file():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise InputError(f"{path} is of a newer remelt: format {record['format']!r}")
            return list(record["members"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error})") from error
    from ...publishing import read_manifest
    from ...publishing.panel import members_of as published_members

    if not kept(out, "manifest.json").is_file():
        return []
    folder = kept(out, "manifest.json").parent
    return [member for member in published_members(read_manifest(folder)) if member["kind"] in KINDS]


def keep_members(out: Path, members: Sequence[Mapping[str, Any]]) -> None:
    """Writes the records of all sources that were added, whole or not at all.

    Args:
        out: the dataset folder.
        members: in the order in which they were added.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    from ...publishing.parquet import write_bytes

    record = {"format": FORMAT, "members": list(members)}
    text = json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True)
    write_bytes(f"{text}\n".encode(), out / REGISTRY)


def request_of(member: Mapping[str, Any], utterance: Utterance) -> Request:
    """The request that stands for a source's annotation of an utterance: nothing was prompted for."""
    return Request(
        utterance=utterance,
        annotator=str(member["name"]),
        model=str(member["model"]),
        endpoint=str(member["endpoint"]),
        messages=(),
        schema=member["schema"]["json"],
        parameters=dict(member.get("parameters") or {}),
    )


def published_labels(out: Path) -> LabelSet:
    """The label set of a published dataset.

    Raises:
        InputError: OUT is no published dataset.
    """
    from ...labels import LABEL_SETS
    from ...publishing import read_manifest

    record = read_manifest(out)["label_set"]
    found = LabelSet(record["name"], tuple(record["labels"]), tuple(record["prompt_order"]))
    known = LABEL_SETS.get(found.name)
    same = known and (known.labels, known.prompt_order) == (found.labels, found.prompt_order)
    return known if known and same else found


def _all_utterances(out: Path) -> list[Utterance]:
    from ...publishing import read_annotations, read_dropped

    found = {request.utterance.id: request.utterance for request, _ in read_annotations(out)}
    for drop in read_dropped(out):
        found.setdefault(drop.utterance.id, drop.utterance)
    return list(found.values())


def _published(out: Path, names: set[str]) -> dict[str, tuple[Reply, ...]]:
    from ...publishing import read_annotations

    if not (out / "manifest.json").is_file():
        return {}
    return {
        replies[0].request_key: replies
        for request, replies in read_annotations(out)
        if request.annotator in names
    }


def _journaled(out: Path, keys: Sequence[str]) -> dict[str, tuple[Reply, ...]]:
    path = out / ".remelt" / FILE
    if not path.is_file():
        return {}
    with Journal(path, read_only=True) as journal:
        return journal.replies(keys)
