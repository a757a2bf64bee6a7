"""The plan of a build in parts: counted part by part, and nothing but numbers kept of each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..panel.plan import plan_panel
from ..plan_notes import Cost, Tokens
from ..planning import BuildPlan
from ..reporting import Reporter
from .build import STORE, open_store, prepare_parts
from .part import PartMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..building import RecipeSpec
    from ..options import BuildOptions
    from .options import PartOptions

_SUMS = ("utterances", "rows", "answered", "rows_left", "rows_now", "repairs")
_MOST_NAMED = 1000


def plan_in_parts(
    spec: RecipeSpec, options: BuildOptions, parts: PartOptions, reporter: Reporter, show: int
) -> BuildPlan:
    """The plan of `build.build_in_parts`; asks nobody and changes nothing.

    The corpus is read into a temporary file, or from that of an earlier build in OUT.

    Args:
        parts: how it is to be done.
        show: how many prompts of each annotator to show, from the first part that has some.

    Raises:
        NeedsAllRows, InputError: as the build.
    """
    options = spec.filled(options)
    with _place(options.out) as path, open_store(options, path, reporter) as store:
        prepared = prepare_parts(spec, options, parts, store, reporter)
        plan: BuildPlan | None = None
        with PartMaker(prepared.job) as maker:
            for task in prepared.tasks:
                panel = maker.panel(task, Reporter())
                one = plan_panel(panel, spec.name, show if plan is None or not plan.prompts else 0)
                one = _with_rows(one, sum(panel.rows.selection.counts.given.values()))
                plan = one if plan is None else added(plan, one)
    assert plan is not None
    engine = options.engine
    if engine is not None and engine.max_rows is not None and not plan.members:
        plan = replace(plan, rows_now=min(plan.rows_left, engine.max_rows))
    who = "Ray's workers" if parts.engine == "ray" else "this process"
    note = (
        f"the build is done in parts of {parts.size:,} rows of the corpus ({len(prepared.tasks):,} parts) by "
        f"{who}, so that memory does not grow with it"
    )
    return replace(plan, splits=prepared.job.splits, notes=(note, *plan.notes))


def _with_rows(plan: BuildPlan, rows: int) -> BuildPlan:
    """A part's plan without the rows that its prompts only show."""
    return replace(plan, utterances=rows, members=tuple(_with_rows(one, rows) for one in plan.members))


@contextmanager
def _place(out: Path) -> Iterator[Path]:
    """Where the corpus is kept while it is counted; OUT stays as it is."""
    with tempfile.TemporaryDirectory(prefix="remelt-") as folder:
        path = Path(folder) / STORE
        kept = out / ".remelt" / STORE
        if kept.is_file():
            shutil.copyfile(kept, path)
        yield path


def added(one: BuildPlan, other: BuildPlan) -> BuildPlan:
    """The plans of two parts as one."""
    sums: dict[str, Any] = {name: getattr(one, name) + getattr(other, name) for name in _SUMS}
    if one.members:
        # Of several annotators the corpus's rows count once.
        sums["members"] = tuple(added(a, b) for a, b in zip(one.members, other.members, strict=True))
    spans = [plan.duration.seconds for plan in (one, other)]
    seconds = sum(s for s in spans if s is not None) if any(s is not None for s in spans) else None
    return replace(
        one,
        **sums,
        tokens=_tokens([plan.tokens for plan in (one, other)]),
        price=_cost(one.price, other.price),
        batch_price=_cost(one.batch_price, other.batch_price),
        duration=replace(one.duration, seconds=seconds),
        too_long=(*one.too_long, *other.too_long)[:_MOST_NAMED],
        prompts=one.prompts or other.prompts,
        notes=tuple(dict.fromkeys((*one.notes, *other.notes))),
    )


def _tokens(parts: Sequence[Tokens]) -> Tokens:
    # A part without rows knows nothing of tokens, and takes nothing from what another knows.
    known = [part for part in parts if part.input] or list(parts[:1])

    def whole(name: str) -> int | None:
        values = [getattr(part, name) for part in known]
        return None if any(value is None for value in values) else int(sum(values))

    return replace(
        known[0],
        input=sum(part.input for part in known),
        output=whole("output"),
        output_most=whole("output_most"),
        shared=min(part.shared for part in known),
    )


def _cost(one: Cost | None, other: Cost | None) -> Cost | None:
    if one is None or other is None:
        return one or other

    def whole(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a + b

    return Cost(whole(one.expected, other.expected), whole(one.most, other.most))
