"""Makes a published dataset again from its own replies: no model, no key, no network, no corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..journal import Journal
from ..labels import LabelSet
from ..records import Annotation
from .annotation import quarantined
from .exchange.keeping import settled
from .finishing import BuildResult, finish
from .parts.options import AUTOMATIC
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

    With several annotators each one's replies are judged by its own schema, and the votes come to labels by
    the published rule again. What was added to the dataset after its build is taken over with the rest.

    Args:
        source: a dataset folder (its `data/` may be missing where it has no voice).
        out: where to write; must not be the source.
        reporter: is told what happens.

    Raises:
        InputError: the source is no remelt dataset, was changed after publishing or left half changed, or out
            cannot be used.
    """
    from ..engine import Stats
    from ..publishing import check_replies, read_manifest

    reporter = reporter or Reporter()
    source, out = Path(source), Path(out)
    settled(source)
    if source.resolve() == out.resolve():
        raise InputError(f"--out {out} is the dataset itself; name another folder")
    manifest = read_manifest(source)
    check_replies(source)
    rows = sum(int(counts["input"]) for counts in manifest["counts"].values())
    if rows > AUTOMATIC:
        reporter.notice(
            f"{rows:,} rows are held in memory; the `remelt build` that made {source} makes it again in "
            "parts, from its journal and with the corpus (see docs/scale.md)"
        )
    reporter.stage(f"Reading the replies of {source}")
    content = published_content(source, manifest)
    annotations = list(content.annotations)
    with workspace(out, manifest["recipe"], manifest["corpus"]["name"], _corpus_folder(source)) as journal:
        _take_over_evaluation(source, out)
        keep_replies(journal, annotations)
        return finish(out, content, Stats(rows=len(annotations), done=len(annotations)), reporter)


def _take_over_evaluation(source: Path, out: Path) -> None:
    """What models reached that were trained on the dataset: nothing else in it says so."""
    from ..publishing.evaluation import EVALUATION, read_evaluation
    from ..publishing.parquet import write_bytes

    if read_evaluation(source) is not None:
        write_bytes((source / EVALUATION).read_bytes(), out / EVALUATION)


def published_content(source: Path, manifest: Mapping[str, Any]) -> DatasetContent:
    """What was published, every reply judged anew."""
    from ..publishing import DatasetContent, read_dropped, read_voice
    from ..publishing.panel import OF_REPLIES
    from .exchange.additions import published_labels

    labels = published_labels(source)
    annotations = _judged(source, labels)
    drops = [drop for drop in read_dropped(source) if drop.stage == "selection"]
    content = DatasetContent(
        recipe=manifest["recipe"],
        corpus=manifest["corpus"],
        splits=tuple(manifest["splits"]),
        inputs={split: counts["input"] for split, counts in manifest["counts"].items()},
        annotations=annotations,
        drops=drops,
        label_set=labels,
        schema=manifest["schema"]["json"],
        schema_name=manifest["schema"]["name"],
        annotator={k: v for k, v in manifest["annotator"].items() if k not in OF_REPLIES},
        prompt=manifest["prompt"],
        profile=manifest["profile"],
        attrition=manifest["attrition"],
        options=manifest["options"],
        notes=manifest["notes"],
        run=manifest.get("run"),
        created=manifest["created"],
        voice=read_voice(source),
        resplit=bool(manifest.get("resplit")),
    )
    if "annotators" in manifest:
        return _resolved(content, manifest)
    return replace(content, drops=(*drops, *quarantined(annotations)))


def _judged(source: Path, labels: LabelSet) -> list[Annotation]:
    """The published annotations, every reply judged by the schema of its own request."""
    from .. import answers
    from ..publishing import read_annotations

    checkers: dict[int, answers.Checker] = {}
    annotations = []
    for request, replies in read_annotations(source):
        # By identity: the requests to one annotator share one schema.
        checker = checkers.get(id(request.schema))
        if checker is None:
            checker = checkers[id(request.schema)] = answers.Checker(request.schema, labels)
        verdicts = tuple(checker.check(request, reply) for reply in replies)
        annotations.append(Annotation(request, replies, verdicts))
    return annotations


def _resolved(content: DatasetContent, manifest: Mapping[str, Any]) -> DatasetContent:
    """The votes of several annotators, and of the corpus's raters where they had any, decided again."""
    from ..publishing.panel import members_of
    from .panel.content import Standing, panel_content
    from .resolving import options_from, rater_votes

    utterances = list({a.utterance.id: a.utterance for a in content.annotations}.values())
    record = manifest["resolution"]
    ratings = (
        rater_votes(utterances, content.label_set, content.corpus["name"]) if record.get("ratings") else None
    )
    return panel_content(
        content,
        members_of(manifest),
        content.annotations,
        utterances,
        options_from(record["options"]),
        ratings,
        Standing.read(manifest),
    )


def _corpus_folder(source: Path) -> Path | None:
    """Where the clips are, if the source was built on this machine."""
    local = source / ".remelt" / "local.json"
    return Path(json.loads(local.read_text(encoding="utf-8"))["corpus_folder"]) if local.is_file() else None


def keep_replies(journal: Journal, annotations: Sequence[Annotation]) -> None:
    """Puts the replies into the new folder's journal, so that a build can go on from there."""
    known = journal.replies([a.replies[0].request_key for a in annotations])
    journal.append([(a.request, r) for a in annotations for r in a.replies if r.request_key not in known])
