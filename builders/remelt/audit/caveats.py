"""Sentences that a reader needs beside the numbers of an audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .build_info import BuildInfo, LeftOut
from .dataset import Table

if TYPE_CHECKING:
    from .findings import Scope
    from .streamed import Streamed

SMALL = 20


def caveats(
    table: Table | Streamed, overall: Scope, splits: Mapping[str, Scope], build: BuildInfo | None
) -> tuple[str, ...]:
    """Everything that limits what the numbers say, most general first."""
    found = [
        "The change rate says how often the two labels differ, not which of them is right.",
        *table.notes,
        *_coverage(overall, splits),
        *_labels(overall),
        *_groups(overall),
    ]
    if table.unmatched is not None:
        found += [
            f"{len(ids):,} ids of {name} have no partner and are not counted."
            for name, ids in table.unmatched.items()
            if ids
        ]
    elif build is not None:
        found += [*_annotation(build), *_sums(splits, build)]
    return tuple(dict.fromkeys(found))


def _coverage(overall: Scope, splits: Mapping[str, Scope]) -> Iterator[str]:
    for name, scope in splits.items():
        if not scope.rows:
            yield f"The split {name} has no rows."
    left_out = overall.rows - overall.matrix.total
    if left_out:
        yield (
            f"{left_out:,} of {overall.rows:,} rows lack a label and are not in the matrix "
            f"({overall.missing_before:,} without the label before, "
            f"{overall.missing_after:,} without the label after)."
        )
    if overall.rows and not overall.matrix.total:
        yield "No row carries both labels: there is nothing to compare."


def _labels(overall: Scope) -> Iterator[str]:
    for labels, side in ((overall.only_before, "before"), (overall.only_after, "after")):
        if labels:
            yield (
                f"Only {side}: {', '.join(labels)}. Rows with a label that the other side never uses "
                "always count as changed."
            )
    if overall.matrix.total and overall.kappa is None:
        yield "Cohen's kappa is undefined: both sides always carry the same one label."
    small = [c.label for c in overall.labels if 0 < c.before < SMALL]
    if small:
        yield f"Fewer than {SMALL} rows carried these labels before, read their rows with care: " + (
            ", ".join(small) + "."
        )


def _groups(overall: Scope) -> Iterator[str]:
    few = sum(1 for g in overall.groups.get("speaker", ()) if g.value is not None and g.change.total < SMALL)
    if few:
        yield f"{few:,} of the speakers have fewer than {SMALL} rows: their change rates are mostly chance."


def _annotation(build: BuildInfo) -> Iterator[str]:
    name = str(build.get("annotator", "name") or "")
    if name == "mock" or name.startswith("mock:"):
        yield "The labels were made by the mock annotator: they are chance, for demonstration only."
    retires = build.get("annotator", "retires")
    if retires:
        yield (
            f"The model leaves its provider's API on {retires}; "
            "after that only the published replies can be checked."
        )
    yield from (str(n) for n in build.get("annotator", "notices") or ())
    quarantined = sum(left.stages["annotation"] for left in build.left_out.values())
    if quarantined:
        yield (
            f"{quarantined:,} rows without a usable answer are quarantined and not in the matrix; "
            "their replies are listed."
        )
    means = build.get("annotator", "means") or {}
    if isinstance(means, Mapping) and "replay" in means:
        yield "The labels were replayed from earlier replies; no model was asked."
    yield from (str(n) for n in build.get("notes") or ())
    yield from (str(n) for n in build.get("voice", "notes") or ())


def _sums(splits: Mapping[str, Scope], build: BuildInfo) -> Iterator[str]:
    """Where the manifest, the data and the dropped rows do not tell the same story."""
    counts = build.get("counts") or {}
    for split, said in counts.items() if isinstance(counts, Mapping) else ():
        kept = splits[split].rows if split in splits else 0
        gone = build.left_out.get(split, LeftOut())
        found = {
            "kept": kept,
            "dropped": gone.stages["selection"],
            "quarantined": gone.stages["annotation"],
            "unresolved": gone.stages["resolution"],
        }
        if not build.has_dropped:
            found = {"kept": kept}
        else:
            found["input"] = kept + gone.rows
        for key, value in found.items():
            if said.get(key) is not None and said[key] != value:
                yield (
                    f"Counts do not add up: the manifest says {said[key]} {key} rows in {split}, "
                    f"the folder holds {value}."
                )
    total = build.get("replies", "total")
    if build.has_replies and total is not None and total != build.replies.get("total"):
        yield (
            f"Counts do not add up: the manifest says {total} replies, "
            f"the folder holds {build.replies.get('total')}."
        )
