"""The plan of a build: of its only annotator, or of several and all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..plan_notes import Cost, Duration, Tokens
from ..planning import BuildPlan, Shown, make_plan
from .run import lanes

if TYPE_CHECKING:
    from .members import Panel


def plan_panel(panel: Panel, recipe: str, show: int) -> BuildPlan:
    """The plan of a build.

    Args:
        recipe: the owner that OUT must have.
        show: how many prompts of each annotator to show.

    Raises:
        InputError: OUT belongs to another recipe, its journal cannot be read, or the prices file is bad.
    """
    plans = {member.name: make_plan(member, recipe, show) for member in panel.members}
    if len(plans) == 1:
        return next(iter(plans.values()))
    named = [replace(plan, annotator=name) for name, plan in plans.items()]
    order = [[plans[member.name] for member in lane] for lane in lanes(panel.members)]
    first = named[0]
    budget = panel.members[0].engine.budget
    price = _sum(named, lambda plan: plan.batch_price if plan.batched else plan.price)
    return replace(
        first,
        annotator=", ".join(plans),
        model=", ".join(plan.model for plan in named),
        endpoint=", ".join(dict.fromkeys(plan.endpoint for plan in named)),
        answered=sum(plan.answered for plan in named),
        rows_left=sum(plan.rows_left for plan in named),
        rows_now=sum(plan.rows_now for plan in named),
        repairs=sum(plan.repairs for plan in named),
        tokens=_tokens([plan.tokens for plan in named]),
        price=price,
        batch_price=_sum(named, lambda plan: plan.batch_price),
        batched=all(plan.batched for plan in named),
        free=all(plan.free for plan in named),
        duration=_duration(order),
        context=None,
        too_long=tuple(dict.fromkeys(name for plan in named for name in plan.too_long)),
        prompts=_prompts(named),
        notes=_notes(named, price, budget),
        members=tuple(named),
    )


def _prompts(plans: Sequence[BuildPlan]) -> tuple[Shown, ...]:
    """Each different prompt once, with the names of those who get it."""
    found: dict[Shown, list[str]] = {}
    for plan in plans:
        for shown in plan.prompts:
            found.setdefault(shown, []).append(plan.annotator)
    return tuple(replace(shown, annotators=tuple(names)) for shown, names in found.items())


def _sum(plans: Sequence[BuildPlan], cost: Callable[[BuildPlan], Cost | None]) -> Cost | None:
    """What those that are paid for cost together; None where nobody is, or one price is not known."""
    paid = [cost(plan) for plan in plans if not plan.free]
    known = [one for one in paid if one is not None]
    if not paid or len(known) < len(paid):
        return None
    return Cost(_all([one.expected for one in known]), _all([one.most for one in known]))


def _all(values: Sequence[float | None]) -> float | None:
    """The sum; None where one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _tokens(parts: Sequence[Tokens]) -> Tokens:
    # Those that are not asked with tokens (a label file) have none to come back either.
    asked = [part for part in parts if part.input]

    def whole(values: Sequence[int | None]) -> int | None:
        found = _all(values)
        return None if found is None else int(found)

    encodings = {part.encoding for part in asked}
    return Tokens(
        input=sum(part.input for part in parts),
        output=whole([part.output for part in asked]),
        output_most=whole([part.output_most for part in asked]),
        output_most_row=max((part.output_most_row for part in asked if part.output_most_row), default=None),
        output_basis="; ".join(dict.fromkeys(part.output_basis for part in asked if part.output_basis)),
        shared=0,
        encoding=encodings.pop() if len(encodings) == 1 else None,
        problem="; ".join(dict.fromkeys(part.problem for part in asked if part.problem)),
    )


def _duration(order: Sequence[Sequence[BuildPlan]]) -> Duration:
    """The longest of the lanes, each as long as its annotators one after the other."""
    spans = [_all([plan.duration.seconds for plan in lane]) for lane in order]
    known = [seconds for seconds in spans if seconds is not None]
    reasons = [
        f"{plan.annotator}: {reason}" for lane in order for plan in lane for reason in plan.duration.reasons
    ]
    return Duration(max(known) if known and len(known) == len(spans) else None, tuple(reasons))


def _notes(plans: Sequence[BuildPlan], price: Cost | None, budget: float | None) -> tuple[str, ...]:
    """What is said of all, and what of one with its name; a budget is compared with the sum."""
    said = [[note for note in plan.notes if not note.startswith("the budget of")] for plan in plans]
    shared = [note for note in said[0] if all(note in others for others in said)]
    own = [
        f"{plan.annotator}: {note}"
        for plan, notes in zip(plans, said, strict=True)
        for note in notes
        if note not in shared
    ]
    told = []
    if budget is not None and price is not None and price.expected:
        room = max(0.0, budget - plans[0].spent)
        if price.expected > room:
            told.append(
                f"the budget of ${budget:g}, of which ${plans[0].spent:.4f} are spent, is for all annotators "
                f"together and ends the run early: the rest may cost ${price.expected:.4f}; they are "
                "asked in the order given"
            )
    return (*shared, *told, *own)
