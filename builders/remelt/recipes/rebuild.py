"""Makes a published dataset again from its own replies: no model, no key, no network, no corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..journal import Journal
from ..labels import LabelSet
from ..records import Annotation
from .annotation import quarantined
from .finishing import BuildResult, finish
from .reporting import Reporter
from .workspace import workspace

if TYPE_CHECKING:
    from ..publishing import DatasetContent


def rebuild(source: str | Path, out: str | Path, reporter: Reporter | None = None) -> BuildResult:
    """Rebuilds a dataset from its `annotations` and `dropped` configs and its manifest.

    Every raw reply is parsed and validated again; the Parquet files come out byte-identical as long as
    this version of remelt judges the replies as the one did that published them. What was heard in the
    clips, and the clips themselves, are taken over row by row from the source's `data/`: nothing is measured
    anew, and a row that was quarantined then and is valid now has no voice.

    Args:
        source: a dataset folder (its `data/` may be missing where it has no voice).
        out: where to write; must not be the source.
        reporter: is told what happens.

    Raises:
        InputError: the source is no remelt dataset, was changed after publishing, or out cannot be used.
    """
    from ..engine import Stats
    from ..publishing import check_replies, read_manifest

    reporter = reporter or Reporter()
    source, out = Path(source), Path(out)
    if source.resolve() == out.resolve():
        raise InputError(f"--out {out} is the dataset itself; name another folder")
    manifest = read_manifest(source)
    check_replies(source)
    reporter.stage(f"Reading the replies of {source}")
    content = _content(source, manifest)
    annotations = list(content.annotations)
    with workspace(out, manifest["recipe"], manifest["corpus"]["name"], _corpus_folder(source)) as journal:
        _keep(journal, annotations)
        return finish(out, content, Stats(rows=len(annotations), done=len(annotations)), reporter)


def _content(source: Path, manifest: Mapping[str, Any]) -> DatasetContent:
    """What was published, every reply judged anew."""
    from .. import answers
    from ..publishing import DatasetContent, read_annotations, read_dropped, read_voice

    names = manifest["label_set"]
    labels = LabelSet(names["name"], tuple(names["labels"]), tuple(names["prompt_order"]))
    schema = manifest["schema"]["json"]
    checker = answers.Checker(schema, labels)
    annotations = []
    for request, replies in read_annotations(source):
        verdicts = tuple(checker.check(request, reply) for reply in replies)
        annotations.append(Annotation(request, replies, verdicts))
    drops = [drop for drop in read_dropped(source) if drop.stage == "selection"]
    return DatasetContent(
        recipe=manifest["recipe"],
        corpus=manifest["corpus"],
        splits=tuple(manifest["splits"]),
        inputs={split: counts["input"] for split, counts in manifest["counts"].items()},
        annotations=annotations,
        drops=(*drops, *quarantined(annotations)),
        label_set=labels,
        schema=schema,
        schema_name=manifest["schema"]["name"],
        annotator={k: v for k, v in manifest["annotator"].items() if k != "means"},
        prompt=manifest["prompt"],
        profile=manifest["profile"],
        attrition=manifest["attrition"],
        options=manifest["options"],
        notes=manifest["notes"],
        run=manifest.get("run"),
        created=manifest["created"],
        voice=read_voice(source),
    )


def _corpus_folder(source: Path) -> Path | None:
    """Where the clips are, if the source was built on this machine."""
    local = source / ".remelt" / "local.json"
    return Path(json.loads(local.read_text(encoding="utf-8"))["corpus_folder"]) if local.is_file() else None


def _keep(journal: Journal, annotations: list[Annotation]) -> None:
    """Puts the replies into the new folder's journal, so that a build can go on from there."""
    known = journal.replies([a.replies[0].request_key for a in annotations])
    journal.append([(a.request, r) for a in annotations for r in a.replies if r.request_key not in known])
