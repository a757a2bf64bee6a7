"""Where batches find a row's input: cached states, raw samples and token ids, or vectors in memory."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ....errors import InputError
from ....evaluation.models.audio_text_regressor import Side
from ..base import Material, Setup
from ..raw import Raw
from .options import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ....evaluation.batches import Store
    from ....evaluation.examples import Example
    from ....evaluation.features import Features

SPEECH, TEXT = "speech", "text"

Rows = Sequence[tuple[Material, Sequence["Example"]]]


@dataclass(frozen=True)
class Input:
    """One modality of a model, and what fills its batches.

    Attributes:
        side: how the model takes it.
        store: its rows.
        parameters: of its encoder, trained or not; None where it has none.
        name: of its encoder.
    """

    side: Side
    store: Store
    parameters: int | None
    name: str


class Joined:
    """The features of several materials as one; a `Store` for batches."""

    def __init__(self, parts: Sequence[Features]) -> None:
        self._parts = parts
        self.lengths: Mapping[str, int] = ChainMap(*(dict(part.lengths) for part in parts))

    def __getitem__(self, key: str) -> NDArray[Any]:
        """
        Raises:
            KeyError: no such row.
        """
        for part in self._parts:
            if key in part:
                return part[key]
        raise KeyError(key)


def speech(setup: Setup, rows: Rows, name: str, tuned: bool, states: str) -> Input:
    """Sound through an encoder.

    Args:
        rows: of each material, those whose sound is needed.
        name: of the encoder.
        tuned: whether it is trained.
        states: `last` or `weighted`.
    """
    seconds = setup.settings.max_seconds or None
    encoder = setup.desk.encoder(name, SPEECH, max_seconds=seconds)
    if tuned:
        load = {
            row.id: partial(material.sounds.read, row.id)
            for material, examples in rows
            if material.sounds is not None
            for row in examples
        }
        return _tuned(setup, encoder, load, states)
    found = [
        setup.desk.features(name, SPEECH, examples, material.sounds, kept=_kept(states), max_seconds=seconds)
        for material, examples in rows
        if examples
    ]
    return _frozen(setup, encoder, found, states)


def text(setup: Setup, rows: Sequence[Example], name: str, tuned: bool, states: str) -> Input:
    """Words through an encoder; arguments as in `speech`."""
    encoder = setup.desk.encoder(name, TEXT)
    if tuned:
        return _tuned(setup, encoder, {row.id: partial(str, row.text) for row in rows}, states)
    found = [setup.desk.features(name, TEXT, rows, None, kept=_kept(states))]
    return _frozen(setup, encoder, found, states)


def reworded(found: Input, setup: Setup, rows: Sequence[Example], name: str) -> Input:
    """The same input with other words; arguments as in `text`."""
    if found.side.encoder is None:
        return text(setup, rows, name, False, found.side.states)
    encoder = setup.desk.encoder(name, TEXT)
    return replace(found, store=Raw(encoder, {row.id: partial(str, row.text) for row in rows}))


def vectors(rows: Mapping[str, NDArray[Any]], width: int, parameters: int | None, name: str) -> Input:
    """Vectors that a frozen branch has given, each of shape (1, 1, width)."""
    return Input(Side(1, width, pooling="mean"), rows, parameters, name)


def _kept(states: str) -> str:
    return "all" if states == "weighted" else "last"


def _tuned(setup: Setup, encoder: Any, load: Mapping[str, Callable[[], Any]], states: str) -> Input:
    module = encoder.tunable()
    count = sum(parameter.numel() for parameter in module.parameters())
    side = _side(setup, encoder, module, states)
    return Input(side, Raw(encoder, load), count, encoder.name)


def _frozen(setup: Setup, encoder: Any, found: Sequence[Features], states: str) -> Input:
    side = _side(setup, found[0], None, states)
    return Input(side, Joined(found), size_of(encoder), encoder.name)


def _side(setup: Setup, found: Any, module: Any, states: str) -> Side:
    settings: Settings = setup.settings
    return Side(found.layers, found.width, module, states, settings.pooling, settings.normalise)


def size_of(encoder: Any) -> int | None:
    """The parameters of a frozen encoder; None for features that no network gives."""
    try:
        return sum(int(parameter.numel()) for parameter in encoder.tunable().parameters())
    except InputError:
        return None
