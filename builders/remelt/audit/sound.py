"""Everything an audit says of the sound: words against measurement, and levels by labels and sex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .dataset import Table
from .descriptions import Descriptions, words_against_sound
from .voice_columns import MEASURED

if TYPE_CHECKING:
    from .levels import Crossing


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """What an audit found about the sound of a dataset.

    Attributes:
        descriptions: None where nothing is both described and measured.
        crossings: (column of levels, by) -> levels by the label after (`label`), the label before
            (`original_label`) or `sex`.
    """

    descriptions: Descriptions | None
    crossings: Mapping[tuple[str, str], Crossing]

    def as_dict(self) -> dict[str, Any]:
        levels: dict[str, dict[str, Any]] = {}
        for (measure, by), crossing in self.crossings.items():
            levels.setdefault(measure, {})[by] = crossing.as_dict()
        descriptions = self.descriptions
        return {"descriptions": None if descriptions is None else descriptions.as_dict(), "levels": levels}


def find_sound(table: Table) -> Sound | None:
    """The findings about the sound; None for a dataset without measured levels."""
    voice = table.voice
    if voice is None or not any(v is not None for column in voice.levels.values() for v in column):
        return None
    from .levels import cross

    names: dict[str, list[str | None]] = {
        by: [None if code < 0 else table.labels[code] for code in codes.tolist()]
        for by, codes in (("label", table.after), ("original_label", table.before))
    }
    if "sex" in table.fields:
        names["sex"] = table.fields["sex"]
    crossings = {
        (column, by): cross(values, voice.levels[column])
        for by, values in names.items()
        for column in MEASURED.values()
        if any(v is not None for v in voice.levels.get(column, ()))
    }
    return Sound(words_against_sound(table), crossings)
