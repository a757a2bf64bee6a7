"""What an audit found: one record per split and one over all, with the words to be said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .build_info import BuildInfo
from .caveats import caveats
from .dataset import Table
from .descriptions import OVERALL
from .groups import Group
from .matrix import (
    ChangeMatrix,
    LabelChange,
    Rate,
    distribution,
    entropy,
    label_changes,
    wilson,
)
from .options import AuditOptions
from .panel import Panel
from .reference import Reference, compare
from .sound import Sound, find_sound
from .streamed import Streamed
from .tally import CountedRows, Tally

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


def find(table: Table | Streamed, build: BuildInfo | None, options: AuditOptions, folder: Path) -> Findings:
    """Computes everything; writes nothing."""
    edges = (options.duration_edges, options.word_edges)
    whole = Tally(len(table.labels), *edges)
    tallies = {name: Tally(len(table.labels), *edges) for name in table.splits}
    for batch in table.batches():
        rows = CountedRows.of(batch)
        whole.add(rows)
        for name, own in rows.by_split():
            tallies[name].add(own)
    splits = {name: _scope(table, name, tally) for name, tally in tallies.items()}
    overall = _scope(table, OVERALL, whole)
    plain = not (options.before or options.after or options.against)
    return Findings(
        dataset=_dataset(table, build),
        labels=table.labels,
        overall=overall,
        splits=splits,
        build=None if build is None else _build(build),
        reference=compare(table.labels, tallies, build) if plain else None,
        unmatched=table.unmatched,
        caveats=caveats(table, overall, splits, build),
        folder=folder,
        run=build.get("run") if build else None,
        sound=find_sound(table) if isinstance(table, Table) else None,
    )


def _scope(table: Table | Streamed, name: str, tally: Tally) -> Scope:
    matrix = ChangeMatrix(table.labels, tally.cells)
    had, has = tally.had, tally.has
    return Scope(
        name=name,
        rows=tally.rows,
        missing_before=tally.rows - int(had.sum()),
        missing_after=tally.rows - int(has.sum()),
        only_before=tuple(n for n, a, b in zip(table.labels, had, has, strict=True) if a and not b),
        only_after=tuple(n for n, a, b in zip(table.labels, had, has, strict=True) if b and not a),
        speakers=len(tally.speakers),
        mean_seconds=tally.seconds / tally.timed if tally.timed else None,
        matrix=matrix,
        change=matrix.change,
        kappa=matrix.kappa(),
        entropy_before=entropy(matrix.before),
        entropy_after=entropy(matrix.after),
        labels=label_changes(matrix),
        groups={
            key: value for key, value in tally.groups().items() if any(g.value is not None for g in value)
        },
        flags=dict(sorted(tally.flags.items())),
        character_mismatch=wilson(tally.mismatches, tally.characters),
    )


def _dataset(table: Table | Streamed, build: BuildInfo | None) -> dict[str, Any]:
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
    return {
        "remelt_version": build.get("remelt_version"),
        "counts": build.get("counts") or {},
        "attrition": build.get("attrition") or [],
        "dropped": {
            split: {
                stage: {"rows": rows, "reasons": dict(sorted(left.reasons[stage].items()))}
                for stage, rows in left.stages.items()
            }
            for split, left in build.left_out.items()
        },
        "replies": dict(build.replies),
        "annotator": build.get("annotator"),
        "prompt": {key: build.get("prompt", key) for key in ("name", "version", "sha256")},
        "profile": build.get("profile", "name"),
    }
