"""Rated dimensions (arousal, valence, dominance and the like) on one scale for all corpora: 0 to 1.

de Oliveira et al. 2023, section 4: MSP-Podcast's ratings of 1 to 7 become (y - 1) / 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...errors import InputError

Range = tuple[float, float]

# Those of the paper, in the order of its tables.
DIMENSIONS = ("arousal", "valence", "dominance")
_FIVE: Mapping[str, Range] = dict.fromkeys(DIMENSIONS, (1.0, 5.0))
# Corpus -> dimension -> lowest and highest value. What is not listed (a speaker's age) is no target.
SCALES: Mapping[str, Mapping[str, Range]] = {
    "msp_podcast": dict.fromkeys(DIMENSIONS, (1.0, 7.0)),
    "msp_improv": _FIVE,
    "iemocap": _FIVE,
    "cmu_mosi": {"sentiment": (-3.0, 3.0)},
    "ravdess": {"intensity": (1.0, 2.0)},
    "cremad": {"intensity": (1.0, 3.0)},
}


def checked_scale(scale: Range) -> Range:
    """A scale whose ends are in order.

    Raises:
        InputError: they are not.
    """
    low, high = scale
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(
            f"Bad scale {low:g},{high:g}, expected the lowest and the highest value, such as 1,7"
        )
    return scale


class Scaler:
    """From a corpus's scales to [0, 1].

    >>> Scaler("msp_podcast", None)("row 1", {"arousal": 7.0, "valence": 2.5, "age": 31.0})
    {'arousal': 1.0, 'valence': 0.25}

    Args:
        corpus: its name.
        scale: lowest and highest value of arousal, valence and dominance; None for the corpus's own.
    """

    def __init__(self, corpus: str, scale: Range | None) -> None:
        self._corpus = corpus
        known = SCALES.get(corpus, {})
        self._scales = known if scale is None else dict.fromkeys(DIMENSIONS, checked_scale(scale))
        self._left = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions that can be targets, also those that only `--scale` makes so."""
        return tuple(dict.fromkeys((*self._scales, *DIMENSIONS)))

    def __call__(self, row: str, attributes: Mapping[str, float | None]) -> dict[str, float]:
        """The scaled values; those that are not known are left out.

        Args:
            row: file and line or id, for the message.
            attributes: dimension -> value on the corpus's own scale.

        Raises:
            InputError: a value outside the scale.
        """
        known = {name: value for name, value in attributes.items() if value is not None and value == value}
        found = {}
        for name, (low, high) in self._scales.items():
            if name not in known:
                continue
            if not low <= known[name] <= high:
                raise InputError(
                    f"{row}: {name} {known[name]:g} is out of range, expected {low:g} to {high:g} "
                    "(--scale LOW,HIGH names another scale)"
                )
            found[name] = (known[name] - low) / (high - low)
        self._left += not found and any(name in known for name in DIMENSIONS)
        return found

    def note(self) -> str:
        """A sentence on dimensions whose scale is not known; empty where it is."""
        if not self._left:
            return ""
        return (
            f"{self._left:,} rows have {', '.join(DIMENSIONS)}, and the scale of {self._corpus!r} is not "
            "known; --scale LOW,HIGH names it."
        )
