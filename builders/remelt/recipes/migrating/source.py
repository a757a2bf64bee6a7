"""What a published dataset knows of the annotator that is to be replaced: its questions and its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...records import Reply, Request, Verdict
from ..exchange.keeping import settled

if TYPE_CHECKING:
    import pyarrow as pa

    from ...labels import LabelSet


@dataclass(frozen=True)
class Asked:
    """A row as it was asked about before.

    Attributes:
        label: the published label.
        verdict: on the last reply of the annotator before.
    """

    request: Request
    replies: tuple[Reply, ...]
    verdict: Verdict
    label: str


@dataclass(frozen=True)
class Source:
    """A dataset to draw from.

    Attributes:
        manifest: the dataset's.
        member: the record of the annotator that is compared with.
        alone: whether it is the dataset's only annotator, so that its labels are the published ones.
        labels: what is chosen from.
        splits: those to draw from.
        rows: id -> split and published label, of the rows of these splits that the annotator was asked about.
        whole: rows of all splits that it was asked about.
    """

    out: Path
    manifest: Mapping[str, Any]
    member: Mapping[str, Any]
    alone: bool
    labels: LabelSet
    splits: tuple[str, ...]
    rows: Mapping[str, tuple[str, str]]
    whole: int

    @property
    def name(self) -> str:
        return str(self.member["name"])

    @property
    def retries(self) -> int | None:
        """How often an unusable answer was asked again."""
        found = self.manifest["options"].get("retries")
        return found if isinstance(found, int) else None


def read_source(out: Path, of: str | None, splits: Sequence[str] | None) -> Source:
    """Reads which rows a dataset has, and which of them its annotator was asked about.

    Args:
        out: the dataset folder; nothing in it is changed.
        of: the annotator to compare with, where there are several; None for the first model.
        splits: those to draw from; None for all.

    Raises:
        InputError: no whole dataset with its replies, an annotator or split that it does not have, or no row.
    """
    from ...publishing import check_replies, read_manifest
    from ..exchange.additions import published_labels

    settled(out)
    manifest = read_manifest(out)
    if manifest.get("labels_only") or manifest.get("joined"):
        raise InputError(
            f"{out} was published without its replies and the messages that were sent, so there is nothing "
            "to ask again; name the folder of the whole dataset"
        )
    for split in splits or ():
        if split not in manifest["splits"]:
            raise InputError(f"{out}: {bad_value('split', split, manifest['splits'])}")
    member = choose_member(out, manifest, of)
    check_replies(out)
    wanted = tuple(split for split in manifest["splits"] if not splits or split in splits)
    asked = {split: _asked_ids(out, manifest, split, str(member["name"])) for split in manifest["splits"]}
    rows = {
        name: (split, label)
        for split in wanted
        for name, label in _published(out, manifest, split)
        if name in asked[split]
    }
    if not rows:
        raise InputError(f"{out}: no published row of {list(wanted)!r} was put to {member['name']!r}")
    return Source(
        out=out,
        manifest=manifest,
        member=member,
        alone="annotators" not in manifest,
        labels=published_labels(out),
        splits=wanted,
        rows=rows,
        whole=sum(len(ids) for ids in asked.values()),
    )


def choose_member(out: Path, manifest: Mapping[str, Any], of: str | None) -> Mapping[str, Any]:
    """The record of the annotator to compare with, with its `prompt` and `schema`.

    Raises:
        InputError: there is none of this name, or no model among several.
    """
    members = manifest.get("annotators")
    if not members:
        only = {**manifest["annotator"], "prompt": manifest["prompt"], "schema": manifest["schema"]}
        members = [{"kind": "model", "replies": manifest["replies"], **only}]
    if of is not None:
        for member in members:
            if member["name"] == of:
                return dict(member)
        raise InputError(f"{out}: {bad_value('annotator', of, [member['name'] for member in members])}")
    model = next((member for member in members if member["kind"] == "model"), None)
    if model is None:
        names = [member["name"] for member in members]
        raise InputError(f"{out} has no model among its annotators; name the one to compare with: {names!r}")
    return dict(model)


def read_asked(source: Source, ids: Mapping[str, Any]) -> list[Asked]:
    """The questions that the rows were asked, and what came back, in the dataset's order.

    Raises:
        InputError: files that cannot be read, or a request that does not have its hash.
    """
    from ...publishing.reading import annotations_from_table, asked_of, verdicts_from_table

    found = []
    about = asked_of(source.manifest)
    for split in source.splits:
        table = _rows_of(source, split, {name for name in ids if source.rows[name][0] == split})
        verdicts = iter(verdicts_from_table(table))
        for request, replies in annotations_from_table(table, split=split, **about):
            last = [next(verdicts) for _ in replies][-1]
            found.append(Asked(request, replies, last, source.rows[request.utterance.id][1]))
    return found


def _rows_of(source: Source, split: str, ids: set[str]) -> pa.Table:
    """The annotator's rows of the annotations of a split, of some utterances alone."""
    import pyarrow as pa

    from ...publishing.batches import published_rows
    from ...publishing.surrogates import unescape

    rows = published_rows(source.out, source.manifest, "annotations", split)
    parts = [rows.schema.empty_table().replace_schema_metadata()]
    for batch in rows.batches():
        pairs = zip(batch["id"].to_pylist(), batch["annotator"].to_pylist(), strict=True)
        mine = [unescape(name) in ids and unescape(by) == source.name for name, by in pairs]
        if any(mine):
            parts.append(batch.filter(pa.array(mine)).replace_schema_metadata())
    return pa.concat_tables(parts)


def _asked_ids(out: Path, manifest: Mapping[str, Any], split: str, annotator: str) -> set[str]:
    from ...publishing.batches import published_rows
    from ...publishing.surrogates import unescape

    rows = published_rows(out, manifest, "annotations", split)
    return {
        unescape(name)
        for batch in rows.batches(("id", "annotator"))
        for name, by in zip(batch["id"].to_pylist(), batch["annotator"].to_pylist(), strict=True)
        if unescape(by) == annotator
    }


def _published(out: Path, manifest: Mapping[str, Any], split: str) -> Iterator[tuple[str, str]]:
    """The published label of every row of a split that has one."""
    from datasets import Features

    from ...publishing.batches import published_rows
    from ...publishing.surrogates import unescape

    rows = published_rows(out, manifest, "default", split)
    names = Features.from_arrow_schema(rows.schema)["label"].names
    for batch in rows.batches(("id", "label")):
        for name, code in zip(batch["id"].to_pylist(), batch["label"].to_pylist(), strict=True):
            if code is not None and code >= 0:
                yield unescape(name), names[code]
