"""Where batches find the sound and the words of rows: cached states, or what a tuned encoder reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ....evaluation.batches import Store
from ....evaluation.examples import RATE, Example, SoundSource
from ....evaluation.models.frontend import States
from ..base import Setup
from ..raw import Raw
from .settings import SPEECH, TEXT

if TYPE_CHECKING:
    from ....evaluation.encoders import Encoder


@dataclass(frozen=True)
class Input:
    """One modality of a model, and what fills its batches.

    Attributes:
        states: how the model takes it.
        store: its rows.
    """

    states: States
    store: Store


def speech(
    setup: Setup,
    rows: Sequence[Example],
    sounds: SoundSource,
    tuned: bool,
    *,
    seconds: float = 0.0,
    averaged: bool = False,
) -> Input:
    """Sound through the run's speech encoder.

    Args:
        rows: all that are needed, each with sound.
        tuned: whether the transformer is trained.
        seconds: what is longer is cut off; 0 for no limit.
        averaged: whether the mean over time is enough: that of a weighted sum of layers is the weighted sum
            of their means, and one step per clip is read in place of hundreds. Not of a tuned encoder.
    """
    assert setup.speech is not None
    longest = seconds or None
    if tuned:
        encoder = setup.desk.encoder(setup.speech, SPEECH, max_seconds=longest)
        return _tuned(encoder, Raw(encoder, {row.id: partial(sounds.read, row.id) for row in rows}))
    pooled = "mean" if averaged else None
    found = setup.desk.features(setup.speech, SPEECH, rows, sounds, pooled=pooled, max_seconds=longest)
    return Input(States(found.layers, found.width), found)


def text(setup: Setup, rows: Sequence[Example], tuned: bool, *, averaged: bool = False) -> Input:
    """The words of rows through the run's text encoder; arguments as in `speech`."""
    assert setup.text is not None
    if tuned:
        encoder = setup.desk.encoder(setup.text, TEXT)
        return _tuned(encoder, reworded(setup, rows, encoder))
    found = setup.desk.features(setup.text, TEXT, rows, None, pooled="mean" if averaged else None)
    return Input(States(found.layers, found.width), found)


def reworded(setup: Setup, rows: Sequence[Example], encoder: Encoder | None) -> Store:
    """The words of rows for a model that is made already.

    Args:
        encoder: the one that is tuned; None for the frozen one's cached states.
    """
    if encoder is not None:
        return Raw(encoder, {row.id: partial(str, row.text) for row in rows})
    assert setup.text is not None
    return setup.desk.features(setup.text, TEXT, rows, None)


def steps_of(setup: Setup, seconds: float, tuned: bool) -> int | None:
    """How many samples or steps so many seconds of sound have; None for 0 seconds."""
    if not seconds:
        return None
    samples = round(seconds * RATE)
    if tuned:
        return samples
    assert setup.speech is not None
    # A tone: silence has no variance to be normalised by.
    tone = (0.1 * np.sin(np.arange(samples) * 0.1)).astype(np.float32)
    return int(setup.desk.encoder(setup.speech, SPEECH).encode([tone])[0].shape[1])


def _tuned(encoder: Encoder, store: Store) -> Input:
    return Input(States(encoder.layers, encoder.width, encoder.tunable()), store)
