"""What models are trained and tested on: one example per utterance, and where its sound comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Samples per second of every sound that a `SoundSource` gives.
RATE = 16_000


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance as a model sees it.

    Attributes:
        id: the utterance's id (`meld/train/dia0_utt3`).
        label: the label to learn or to be scored against, under its common name; None for a turn that is
            context only, and for regression.
        text: the words; None where there are none.
        targets: dimension -> value in [0, 1] (`arousal`, `valence`, `dominance`).
        speaker, session, sex: as in `records.Utterance`; empty where unknown.
        dialogue: id of the dialogue, unique over splits and corpora; empty where there is none.
        turn: position in the dialogue, from 0.
        has_sound: whether the `SoundSource` has it.
    """

    id: str
    corpus: str
    split: str
    label: str | None = None
    text: str | None = None
    targets: Mapping[str, float] = field(default_factory=dict, hash=False)
    speaker: str = ""
    sex: str = ""
    session: str = ""
    dialogue: str = ""
    turn: int = 0
    has_sound: bool = False


class SoundSource(Protocol):
    """Gives the sound of examples."""

    def digest(self, example_id: str) -> str:
        """A hash of the stored sound's content, so that the same clip is encoded once.

        Raises:
            InputError: there is no sound for it, or it cannot be read.
        """
        ...

    def read(self, example_id: str) -> NDArray[np.float32]:
        """Mono samples at 16 kHz, shape (samples,).

        Raises:
            InputError: there is no sound for it, or it cannot be read.
        """
        ...
