"""Speech decides, text corrects what speech calls neutral: the modality consistency and confidence threshold.

Source: Alqurashi et al. 2024, Algorithm 1. Three models: M1 tells emotional from neutral speech, M2 tells
the emotions of emotional speech apart, M3 reads the words and knows all classes. Where M1 says emotional, M2
decides. Where it says neutral, M3 is asked: if its probability of neutral reaches the threshold, speech and
text agree well enough; else M3's most probable class stands, neutral included. At a threshold of 0 text is
never heeded; from 1/2 on M3 decides alone wherever M1 says neutral; in between fewer rows are neutral the
higher the threshold. `resolution.consistency` states the same rule for the votes of any two annotators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, bad_value

NEUTRAL = "neutral"
# The paper's, and 0 for speech alone.
THRESHOLDS = (0.0, 0.25, 0.3, 0.35, 0.4, 0.5)
# A sum that differs from the threshold by less reaches it.
_CLOSE = 1e-9
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class Answers:
    """What the three models say of n rows.

    Attributes:
        labels: all classes, in the order of the columns of `text`; `neutral` is one of them.
        emotional: float64 (n,): M1's probability that the row is emotional.
        emotions: float64 (n, classes - 1): M2's probabilities, in the order of `labels` without `neutral`.
        text: float64 (n, classes): M3's probabilities; None where text is never asked.

    Raises:
        InputError: shapes or labels that do not fit together, or values that are no probabilities.
    """

    labels: tuple[str, ...]
    emotional: NDArray[Any]
    emotions: NDArray[Any]
    text: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if NEUTRAL not in self.labels:
            raise InputError(bad_value("neutral label", NEUTRAL, self.labels))
        if len(self.labels) < _FEWEST:
            raise InputError(
                f"Bad labels {list(self.labels)!r}, expected {NEUTRAL!r} and two emotions or more"
            )
        rows = len(self.emotional)
        wanted = {"emotional": (rows,), "emotions": (rows, len(self.labels) - 1)}
        wanted |= {"text": (rows, len(self.labels))} if self.text is not None else {}
        for name, shape in wanted.items():
            values = np.asarray(getattr(self, name), np.float64)
            if values.shape != shape:
                raise InputError(f"Bad shape {values.shape} of {name!r}, expected {shape}")
            if not ((values >= -_CLOSE) & (values <= 1 + 1e-4)).all():
                raise InputError(f"Bad probabilities of {name!r}, expected numbers from 0 to 1")
            object.__setattr__(self, name, values)

    @property
    def neutral(self) -> int:
        """The number of the neutral class."""
        return self.labels.index(NEUTRAL)

    @property
    def asked(self) -> NDArray[np.bool_]:
        """(n,): rows that M1 calls neutral; one half is."""
        return np.asarray(self.emotional <= 1 - self.emotional)

    @property
    def by_text(self) -> NDArray[np.int64]:
        """(n,): M3's most probable class; of equals neutral, else the first.

        Raises:
            InputError: there are no answers of M3.
        """
        if self.text is None:
            raise InputError("A threshold above 0 needs the probabilities of the text model")
        best = self.text.argmax(axis=1)
        tied = self.text[:, self.neutral] >= self.text[np.arange(len(best)), best]
        return np.where(tied, self.neutral, best).astype(np.int64)


def decide(answers: Answers, threshold: float) -> NDArray[np.int64]:
    """The class number of each row.

    Args:
        answers: of the three models.
        threshold: what the text's probability of neutral has to reach, 0 to 1.

    Raises:
        InputError: the threshold is no share, or it is above 0 and there are no answers of M3.

    >>> answers = Answers(
    ...     ("anger", "joy", "neutral"), np.array([0.9, 0.2]), np.array([[0.3, 0.7], [0.6, 0.4]]),
    ...     np.array([[0.1, 0.1, 0.8], [0.4, 0.3, 0.3]]),
    ... )
    >>> decide(answers, 0.25).tolist(), decide(answers, 0.35).tolist()
    ([1, 2], [1, 0])
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"Bad threshold {threshold!r}, expected a share from 0 to 1")
    emotions = np.array([k for k in range(len(answers.labels)) if k != answers.neutral])
    by_speech = emotions[answers.emotions.argmax(axis=1)]
    if threshold == 0:
        return np.where(answers.asked, answers.neutral, by_speech).astype(np.int64)
    by_text = answers.by_text
    assert answers.text is not None
    confirmed = answers.text[:, answers.neutral] >= threshold - _CLOSE
    reread = np.where(confirmed, answers.neutral, by_text)
    return np.where(answers.asked, reread, by_speech).astype(np.int64)


@dataclass(frozen=True)
class Point:
    """Scores at one threshold, as shares; NaN where nothing is there to be counted.

    Attributes:
        ua: mean of the class recalls over the classes that the rows have (UAR).
        wa: share of right rows (accuracy).
        precision, recall: of each class, in the order of the labels.
        neutral: how many rows are called neutral.
    """

    threshold: float
    ua: float
    wa: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    neutral: int


def sweep(
    answers: Answers, reference: NDArray[Any], thresholds: Sequence[float] = THRESHOLDS
) -> tuple[Point, ...]:
    """The scores at each threshold, in the order given.

    Args:
        reference: (n,) class numbers.

    Raises:
        InputError: no rows, or a bad threshold.
    """
    if not len(reference) or len(reference) != len(answers.emotional):
        raise InputError(f"{len(reference)} references for {len(answers.emotional)} answers")
    return tuple(_point(answers, np.asarray(reference), threshold) for threshold in thresholds)


def _point(answers: Answers, reference: NDArray[Any], threshold: float) -> Point:
    guess, classes = decide(answers, threshold), len(answers.labels)
    hit = np.bincount(reference[guess == reference], minlength=classes)
    there, called = (np.bincount(found, minlength=classes) for found in (reference, guess))
    with np.errstate(invalid="ignore"):
        recall, precision = hit / there, hit / called
    return Point(
        threshold,
        float(recall[there > 0].mean()),
        float(hit.sum() / len(reference)),
        tuple(map(float, precision)),
        tuple(map(float, recall)),
        int(called[answers.neutral]),
    )


def choose(points: Sequence[Point]) -> Point:
    """The threshold with the best UA; of equals the smallest. To be asked of validation rows.

    The paper does not say on which rows it chose.

    Raises:
        InputError: there are no points.
    """
    if not points:
        raise InputError("No thresholds to choose from")
    return min(points, key=lambda point: (-point.ua, point.threshold))


@dataclass(frozen=True)
class Corrected:
    """What text makes of emotional rows that M1 calls neutral.

    Attributes:
        missed: how many there are.
        right: M3 gives them their own emotion.
        emotional: M3 gives them some emotion, `right` included.
        applied: of `right`, those that change at the threshold asked about.
        spoilt: neutral rows that M1 got right and that are emotional at the threshold.
    """

    missed: int
    right: int
    emotional: int
    applied: int
    spoilt: int

    @property
    def share(self) -> float:
        """`right` of `missed`; NaN where none is missed."""
        return self.right / self.missed if self.missed else float("nan")


def corrected(answers: Answers, reference: NDArray[Any], threshold: float) -> Corrected:
    """How many emotional rows that M1 calls neutral M3 corrects.

    Args:
        reference: (n,) class numbers.
        threshold: at which corrections are applied.

    Raises:
        InputError: a bad threshold, or there are no answers of M3.
    """
    reference = np.asarray(reference)
    missed = answers.asked & (reference != answers.neutral)
    by_text, final = answers.by_text, decide(answers, threshold)
    kept = answers.asked & (reference == answers.neutral)
    return Corrected(
        missed=int(missed.sum()),
        right=int((missed & (by_text == reference)).sum()),
        emotional=int((missed & (by_text != answers.neutral)).sum()),
        applied=int((missed & (final == reference)).sum()),
        spoilt=int((kept & (final != answers.neutral)).sum()),
    )
