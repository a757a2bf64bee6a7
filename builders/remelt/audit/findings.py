"""What an audit found: one record per split and one over all, with the words to be said about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import groups as by
from .build_info import BuildInfo
from .caveats import caveats
from .dataset import Table
from .descriptions import OVERALL
from .groups import Group
from .matrix import (
    ChangeMatrix,
    LabelChange,
    Rate,
    change_matrix,
    distribution,
    entropy,
    label_changes,
    wilson,
)
from .options import AuditOptions
from .panel import Panel
from .reference import Reference, compare
from .sound import Sound, find_sound

FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The numbers of one split, or of all.

    Attributes:
        name: the split; `all splits` for all of them.
        rows: rows of the split; the matrix counts those that carry both labels.
        missing_before, missing_after: rows without the one label or the other.
        only_before, only_after: labels that stand on one side only.
        speakers: different speaker names.
        mean_seconds: of the rows whose length is known.
        matrix: rows = before, columns = after.
        entropy_before, entropy_after: bits, over the rows that carry both labels.
        groups: `speaker`, `season`, `duration`, `words` -> change rate per value.
        flags: flag -> rows that carry it.
        character_match: mismatches among the rows where the echoed character was compared.
    """

    name: str
    rows: int
    missing_before: int
    missing_after: int
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    speakers: int
    mean_seconds: float | None
    matrix: ChangeMatrix
    change: Rate
    kappa: float | None
    entropy_before: float | None
    entropy_after: float | None
    labels: tuple[LabelChange, ...]
    groups: Mapping[str, tuple[Group, ...]]
    flags: Mapping[str, int]
    character_mismatch: Rate

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": self.rows,
            "compared": self.matrix.total,
            "missing": {"before": self.missing_before, "after": self.missing_after},
            "only_before": list(self.only_before),
            "only_after": list(self.only_after),
            "speakers": self.speakers,
            "mean_seconds": self.mean_seconds,
            "change": self.change.as_dict(),
            "agreement": self.matrix.agreement.as_dict(),
            "kappa": self.kappa,
            "entropy": {"before": self.entropy_before, "after": self.entropy_after},
            "matrix": self.matrix.as_dict(),
            "distribution": distribution(self.matrix),
            "labels": [change.as_dict() for change in self.labels],
            "groups": {name: [g.as_dict() for g in found] for name, found in self.groups.items()},
            "flags": dict(self.flags),
            "character_mismatch": self.character_mismatch.as_dict(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All of an audit, as `findings.json` holds it (docs/audit.md describes the keys).

    Attributes:
        dataset: name, kind (`remelt`, `table`, `joined`), the two label columns, recipe, corpus, annotator.
        overall: all splits together.
        splits: one record per split, in order.
        build: counts, attrition, dropped rows by reason, replies; None for other tables.
        run: speed, retries, rate limits and latencies of the run that asked; None where nothing says so.
        reference: published values beside ours; None where there are none.
        unmatched: per side the ids without a partner; None unless two datasets were joined.
        caveats: sentences that belong beside the numbers.
        sound: levels of the voice, and the words about it against them; None for a dataset without measured
            levels.
        panel: several annotators against each other and the label before; None for a dataset without votes.
        folder: where the files are; not part of the JSON.
        files: their names.
    """

    dataset: Mapping[str, Any]
    labels: tuple[str, ...]
    overall: Scope
    splits: Mapping[str, Scope]
    build: Mapping[str, Any] | None
    reference: Reference | None
    unmatched: Mapping[str, tuple[str, ...]] | None
    caveats: tuple[str, ...]
    folder: Path
    run: Mapping[str, Any] | None = None
    files: tuple[str, ...] = field(default=())
    sound: Sound | None = None
    panel: Panel | None = None

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Every split, then all together."""
        return (*self.splits.values(), self.overall)

    def as_dict(self) -> dict[str, Any]:
        unmatched = self.unmatched
        return {
            "format": FORMAT,
            "dataset": dict(self.dataset),
            "labels": list(self.labels),
            "overall": self.overall.as_dict(),
            "splits": {name: scope.as_dict() for name, scope in self.splits.items()},
            "build": None if self.build is None else dict(self.build),
            "run": None if self.run is None else dict(self.run),
            "reference": None if self.reference is None else self.reference.as_dict(),
            "unmatched": None if unmatched is None else {name: list(ids) for name, ids in unmatched.items()},
            "caveats": list(self.caveats),
            **({} if self.sound is None else self.sound.as_dict()),
            **({} if self.panel is None else {"annotators": self.panel.as_dict()}),
            "files": list(self.files),
        }


def find(table: Table, build: BuildInfo | None, options: AuditOptions, folder: Path) -> Findings:
    """Computes everything; writes nothing."""
    names = np.array(table.split, dtype=object)
    splits = {name: _scope(table, name, np.flatnonzero(names == name), options) for name in table.splits}
    overall = _scope(table, OVERALL, np.arange(len(table)), options)
    return Findings(
        dataset=_dataset(table, build),
        labels=table.labels,
        overall=overall,
        splits=splits,
        build=None if build is None else _build(build),
        reference=compare(table, build) if not (options.before or options.after or options.against) else None,
        unmatched=table.unmatched,
        caveats=caveats(table, overall, splits, build),
        folder=folder,
        run=build.get("run") if build else None,
        sound=find_sound(table),
    )


def _scope(table: Table, name: str, rows: np.ndarray[Any, Any], options: AuditOptions) -> Scope:
    before, after = table.before[rows], table.after[rows]
    index = rows.tolist()
    matrix = change_matrix(before, after, table.labels)
    had = {table.labels[c] for c in np.unique(before).tolist() if c >= 0}
    has = {table.labels[c] for c in np.unique(after).tolist() if c >= 0}
    durations = [table.durations[i] for i in index]
    known = [d for d in durations if d is not None]
    speakers = [table.speakers[i] for i in index]
    words: list[float | None] = [float(len(table.texts[i].split())) for i in index]
    matches = [table.matches[i] for i in index if table.matches[i] is not None]
    found = {
        "speaker": by.by_size(speakers, before, after),
        "season": by.by_number([table.seasons[i] for i in index], before, after),
        "duration": by.by_bin(durations, options.duration_edges, "s", before, after),
        "words": by.by_bin(words, options.word_edges, "words", before, after, whole=True),
    }
    return Scope(
        name=name,
        rows=len(index),
        missing_before=int((before < 0).sum()),
        missing_after=int((after < 0).sum()),
        only_before=tuple(label for label in table.labels if label in had - has),
        only_after=tuple(label for label in table.labels if label in has - had),
        speakers=len({s for s in speakers if s is not None}),
        mean_seconds=sum(known) / len(known) if known else None,
        matrix=matrix,
        change=matrix.change,
        kappa=matrix.kappa(),
        entropy_before=entropy(matrix.before),
        entropy_after=entropy(matrix.after),
        labels=label_changes(matrix),
        groups={key: value for key, value in found.items() if any(g.value is not None for g in value)},
        flags=dict(sorted(Counter(f for i in index for f in table.flags[i]).items())),
        character_mismatch=wilson(sum(1 for m in matches if not m), len(matches)),
    )


def _dataset(table: Table, build: BuildInfo | None) -> dict[str, Any]:
    kind = "joined" if table.unmatched is not None else "table" if build is None else "remelt"
    # A rebuilt copy in another folder has to give the same bytes, so its folder's name stays out.
    name = (
        f"{build.get('recipe')} on {build.get('corpus', 'name')}"
        if build and kind == "remelt"
        else table.name
    )
    return {
        "kind": kind,
        "name": name,
        "before": table.before_name,
        "after": table.after_name,
        "splits": list(table.splits),
        "recipe": build and build.get("recipe"),
        "corpus": build and build.get("corpus", "name"),
        "annotator": build and build.get("annotator", "name"),
        **({"annotators": build.annotators} if build and len(build.annotators) > 1 else {}),
        "model": build and build.get("annotator", "model"),
    }


def _build(build: BuildInfo) -> dict[str, Any]:
    dropped: dict[str, dict[str, dict[str, int]]] = {}
    for row in build.dropped:
        stage = dropped.setdefault(row.split, {}).setdefault(row.stage, {})
        stage["rows"] = stage.get("rows", 0) + 1
        for reason in row.reasons:
            stage[f"reason:{reason}"] = stage.get(f"reason:{reason}", 0) + 1
    return {
        "remelt_version": build.get("remelt_version"),
        "counts": build.get("counts") or {},
        "attrition": build.get("attrition") or [],
        "dropped": {
            split: {
                stage: {
                    "rows": found["rows"],
                    "reasons": {k[7:]: v for k, v in sorted(found.items()) if k.startswith("reason:")},
                }
                for stage, found in stages.items()
            }
            for split, stages in dropped.items()
        },
        "replies": dict(build.replies),
        "annotator": build.get("annotator"),
        "prompt": {key: build.get("prompt", key) for key in ("name", "version", "sha256")},
        "profile": build.get("profile", "name"),
    }
