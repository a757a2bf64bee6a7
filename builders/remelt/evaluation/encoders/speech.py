"""Encoders of sound: prepared samples, windows of 30 s, all hidden states."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ... import hf_models
from ...errors import InputError
from ..batch import Sequences
from ..examples import RATE
from . import convolutional, ctranslate2_weights, loading, whisper
from .base import SPEECH
from .convolutional import ConvolutionalStates
from .frozen import Frozen, room
from .states import States
from .whisper import WhisperStates

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Longer sound is read in consecutive windows, so that attention over minutes does not fill the memory.
WINDOW = 30 * RATE
# A rest shorter than this is read with the window before it.
_REST = RATE
# Samples, fillings included, that go through the transformer at once.
_AT_ONCE = {"cpu": 120 * RATE, "cuda": 480 * RATE}


class SpeechEncoder:
    """A transformers audio model; see `base.Encoder`.

    Args:
        found: the model.
        states: the same as a module.
        device: where it runs.
        normalise: whether each sound is brought to zero mean and unit variance.
        max_seconds: sound beyond it is cut off; None for all of it.
        notices: see `base.Encoder`.
    """

    kind = SPEECH

    def __init__(
        self,
        found: loading.Found,
        states: ConvolutionalStates | WhisperStates,
        device: str,
        normalise: bool,
        max_seconds: float | None,
        notices: Sequence[str] = (),
    ) -> None:
        self.name, self.notices = found.name, (*found.notices, *notices)
        self.layers, self.width = states.layers, states.width
        self._normalise, self._max_seconds = normalise, max_seconds
        self._most = None if max_seconds is None else max(1, round(max_seconds * RATE))
        self._window = getattr(states, "window", WINDOW)
        # Whisper's window cannot be longer than it is.
        self._rest = 0 if hasattr(states, "window") else _REST
        self._least = states.least
        self._frozen = Frozen(states, device, room(_AT_ONCE, device), found.name)
        self.identity = found.identity(
            kind=SPEECH, layers=self.layers, normalise=normalise, max_seconds=max_seconds, window=self._window
        )

    def encode(self, items: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float16]]:
        """See `base.Encoder.encode`."""
        sounds = self.inputs(items)
        pieces = [
            (place, sound[start:stop])
            for place, sound in enumerate(sounds)
            for start, stop in self._windows(len(sound))
        ]
        parts: list[list[NDArray[np.float16]]] = [[] for _ in items]
        found = self._frozen([piece for _, piece in pieces], self._weight)
        for (place, _), states in zip(pieces, found, strict=True):
            parts[place].append(states)
        return [part[0] if len(part) == 1 else np.concatenate(part, axis=1) for part in parts]

    def remark(self, item: NDArray[np.float32]) -> str:
        """See `base.Encoder.remark`."""
        if len(item) < self._least:
            return f"sound shorter than {self._least} samples, filled up with silence"
        if self._most is not None and len(item) > self._most:
            return f"sound cut to the first {self._max_seconds:g} s"
        if len(item) > self._window + self._rest:
            return f"sound read in windows of {self._window / RATE:g} s"
        return ""

    def inputs(self, items: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """See `base.Encoder.inputs`.

        Raises:
            InputError: an item is no mono sound.
        """
        return [self._prepared(np.asarray(item, np.float32)) for item in items]

    def tunable(self) -> States:
        """See `base.Encoder.tunable`; a row longer than a window is cut to it."""
        module = _Windowed(copy.deepcopy(self._frozen.states), self._window)
        module.requires_grad_(True)
        module.freeze_front()
        return module.train()

    def _prepared(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        if sound.ndim != 1:
            raise InputError(f"{self.name} reads mono sound of shape (samples,), not {sound.shape}")
        sound = sound[: self._most]
        if self._normalise and len(sound):
            # As transformers' Wav2Vec2FeatureExtractor does it.
            sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
        return np.pad(sound, (0, max(0, self._least - len(sound))))

    def _weight(self, sound: NDArray[np.float32]) -> int:
        """How many samples the model works on: Whisper on a whole window, whatever is in it."""
        return self._window if self._rest == 0 else len(sound)

    def _windows(self, size: int) -> Iterator[tuple[int, int]]:
        start = 0
        while size - start > self._window + self._rest:
            yield start, start + self._window
            start += self._window
        yield start, size


class _Windowed(States):
    """States of rows that are cut to what the model hears at once."""

    def __init__(self, states: States, window: int) -> None:
        super().__init__()
        self.states, self._window = states, window
        self.front = states.front

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        values = sequences.values[:, : self._window]
        states, steps = self.states(Sequences(values, sequences.lengths.clamp(max=self._window)))
        return states, steps


def load(wanted: loading.Wanted, max_seconds: float | None) -> SpeechEncoder:
    """An encoder of sound; see `encoders.create`.

    Raises:
        InputError: see there.
    """
    device = hf_models.device(wanted.device)
    if wanted.preset is not None and wanted.preset.package and not wanted.random_weights:
        found = ctranslate2_weights.load(wanted)
    else:
        found = loading.load(wanted, (*convolutional.FAMILIES, *whisper.FAMILIES), _cut)
    settings = loading.settings_file(found.folder) if found.folder else None
    notices = []
    if settings is None and found.folder is not None and not (wanted.preset and wanted.preset.package):
        notices.append(
            f"{found.name} has no preprocessor_config.json: it is taken to read sound at {RATE} Hz"
            + ("" if _is_whisper(found) else ", each clip brought to zero mean and unit variance")
        )
    rate = int((settings or {}).get("sampling_rate", RATE))
    if rate != RATE:
        raise InputError(
            f"{found.name} reads sound at {rate} Hz, but it is given sound at {RATE} Hz; take an "
            f"encoder that was trained on {RATE} Hz"
        )
    if _is_whisper(found):
        encoder = getattr(found.model, "encoder", found.model)
        mel = whisper.feature_extractor(encoder.config)
        return SpeechEncoder(found, WhisperStates(encoder, mel), device, False, max_seconds, notices)
    by_default = wanted.preset.normalise if wanted.random_weights and wanted.preset else True
    normalise = bool((settings or {}).get("do_normalize", by_default))
    return SpeechEncoder(found, ConvolutionalStates(found.model), device, normalise, max_seconds, notices)


def _is_whisper(found: loading.Found) -> bool:
    return found.model.config.model_type in whisper.FAMILIES


def _cut(config: Any, layers: int) -> None:
    """Sets the number of transformer layers in a configuration."""
    if config.model_type in whisper.FAMILIES:
        config.encoder_layers = layers
    else:
        config.num_hidden_layers = layers
