"""New splits for a dataset whose corpus splits do not suit its purpose: a seeded draw of all its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import InputError, bad_value
from ..records import Drop, Utterance, digest

if TYPE_CHECKING:
    from ..publishing import DatasetContent
    from ..selection import AttritionRow

TRAIN, VALIDATION = "train", "validation"
BY = ("utterance", "dialogue", "speaker")


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How the rows are divided.

    Attributes:
        validation_share: of the selected rows, in [0, 1); 0 makes no validation split.
        seed: of the draw.
        by: what stays together: each `utterance` alone, the utterances of a `dialogue`, of a `speaker`.
    """

    validation_share: float = 0.2
    seed: int = 0
    by: str = "utterance"

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise InputError(f"Bad validation share {self.validation_share!r}, expected 0 or more, under 1")
        if self.by not in BY:
            raise InputError(bad_value("unit of the split", self.by, BY))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it makes."""
        return (TRAIN, VALIDATION) if self.validation_share else (TRAIN,)


def resplit(content: DatasetContent, options: SplitOptions) -> DatasetContent:
    """The same rows in new splits; ids keep the corpus's.

    What stays together is put in the order of a hash of the seed and its name; in that order each joins the
    validation split as long as the share of the selected rows is not passed by more than it was missed. So a
    row that is added or lost later moves few others, and none moves because of what annotators said of it:
    another vote, an answer that comes in later or a source that is added leaves the splits as they are. Rows
    that the selection drops go where their hash puts them.

    Args:
        content: with the corpus's splits.
        options: see `SplitOptions`.
    """
    rows = {u.id: u for u in reversed(content.utterances())}
    held = draw(list(rows.values()), selected(content).keys(), options)
    moved = {key: replace(u, split=VALIDATION if key in held else TRAIN) for key, u in rows.items()}
    inputs = Counter(u.split for u in moved.values())
    drops = tuple(replace(drop, utterance=moved[drop.utterance.id]) for drop in content.drops)
    return replace(
        content,
        splits=options.splits,
        inputs={split: inputs[split] for split in options.splits},
        annotations=[
            replace(a, request=replace(a.request, utterance=moved[a.utterance.id]))
            for a in content.annotations
        ],
        drops=drops,
        attrition=_attrition(content.attrition, inputs, drops, options.splits),
        corpus={**content.corpus, "defects": _defects(content.corpus.get("defects", {}), moved, options)},
        resplit=True,
    )


def selected(content: DatasetContent) -> dict[str, str]:
    """Id -> split, of the rows that were to be annotated, whatever came of it."""
    from ..publishing.panel import NOT_ASKED

    left = {d.utterance.id for d in content.drops if d.stage == "selection" and NOT_ASKED not in d.reasons}
    return {u.id: u.split for u in content.utterances() if u.id not in left}


def draw(rows: Sequence[Utterance], kept: Collection[str], options: SplitOptions) -> frozenset[str]:
    """The ids of the validation split.

    Args:
        rows: all utterances.
        kept: ids of those that the share counts.
        options: see `SplitOptions`.

    >>> rows = [Utterance(f"c/train/{n}", "c", "train", n, 0, "", "") for n in range(10)]
    >>> len(draw(rows, {row.id for row in rows}, SplitOptions(0.2)))
    2
    """
    units: dict[str, list[str]] = {}
    for row in rows:
        units.setdefault(_unit(row, options.by), []).append(row.id)
    target = options.validation_share * sum(row.id in kept for row in rows)
    held: list[str] = []
    count = 0
    for place, unit in sorted((digest([options.seed, name]), name) for name in units):
        more = sum(key in kept for key in units[unit])
        if count + more / 2 <= target if more else int(place[:12], 16) < options.validation_share * 16**12:
            held += units[unit]
            count += more
    return frozenset(held)


def _unit(row: Utterance, by: str) -> str:
    if by == "dialogue":
        return f"{row.corpus}/{row.split}/{row.dialogue_id}"
    # Speakers without a name are not one person.
    return f"speaker {row.speaker}" if by == "speaker" and row.speaker.strip() else row.id


def _attrition(
    rows: Sequence[Any], inputs: Mapping[str, int], drops: Sequence[Drop], splits: Sequence[str]
) -> tuple[AttritionRow, ...]:
    """What each rule took from the new splits, in the rules' order."""
    from ..selection import AttritionRow

    selected = [drop for drop in drops if drop.stage == "selection"]
    alone = Counter((drop.utterance.split, reason) for drop in selected for reason in drop.reasons)
    first = Counter((drop.utterance.split, drop.reasons[0]) for drop in selected)
    found = []
    for split in splits:
        left = inputs[split]
        for rule in dict.fromkeys(row.rule for row in rows):
            left -= first[split, rule]
            found.append(AttritionRow(rule, split, alone[split, rule], first[split, rule], left))
    return tuple(found)


def _defects(
    defects: Mapping[str, Mapping[str, int]], rows: Mapping[str, Utterance], options: SplitOptions
) -> dict[str, dict[str, int]]:
    """The defects of rows, counted in the new splits; those of whole splits have no meaning there."""
    from ..corpora.defects import DEFECTS

    counted = Counter((flag, u.split) for u in rows.values() for flag in u.flags)
    return {
        name: {split: counted[name, split] for split in options.splits}
        for name in defects
        if name not in DEFECTS or DEFECTS[name].level == "row"
    }
