"""What a dataset says of the sound of its rows: levels, measures, quality flags, transcripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from .lexicon import LEVELS

# described column -> measured column
MEASURED: Mapping[str, str] = {
    "pitch": "pitch_level",
    "loudness": "loudness_level",
    "rhythm_speed": "rate_level",
}
FLAGS = "voice_flags"
SECONDS = "audio_seconds"
MEASURES = (
    "f0_semitone_mean", "f0_semitone_std", "f0_semitone_range", "voiced_share", "loudness_mean",
    "loudness_std", "syllable_rate", "pause_share", "pauses", "peak_db", "rms_db", SECONDS,
)  # fmt: skip
SHOWN_ELSEWHERE = (*MEASURED.values(), FLAGS)


@dataclass(frozen=True, slots=True, eq=False)
class VoiceRows:
    """The sound of a dataset's rows; all lists have one entry per row.

    Attributes:
        levels: measured column -> low, mid, high, or None where it was not measured.
        described: described column -> the model's words, for the columns that `MEASURED` pairs.
        measures: column -> number; None where there is none.
        flags: names of the faults of the sound.
    """

    levels: Mapping[str, list[str | None]]
    described: Mapping[str, list[str | None]]
    measures: Mapping[str, list[float | None]]
    flags: list[tuple[str, ...]]


def heard(names: Iterable[str]) -> bool:
    """Whether a dataset with these columns says anything of the sound."""
    return not {*MEASURED.values(), *MEASURES, FLAGS}.isdisjoint(names)


def voice_rows(values: Mapping[str, list[Any]], size: int) -> VoiceRows | None:
    """The sound of the rows, from a dataset's columns; None for a dataset without any."""
    levels = {
        name: [v if v in LEVELS else None for v in values[name]]
        for name in MEASURED.values()
        if name in values
    }
    measures = {name: [_number(v) for v in values[name]] for name in MEASURES if name in values}
    if not heard(values):
        return None
    flags = values.get(FLAGS)
    return VoiceRows(
        levels=levels,
        described={
            name: [v if isinstance(v, str) else None for v in values[name]]
            for name in MEASURED
            if name in values
        },
        measures={name: found for name, found in measures.items() if any(v is not None for v in found)},
        flags=[()] * size
        if flags is None
        else [tuple(map(str, v)) if isinstance(v, list) else () for v in flags],
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and isfinite(value) else None
