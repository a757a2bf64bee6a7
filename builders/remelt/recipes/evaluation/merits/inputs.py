"""What stage I reads: cached features of frozen encoders, or the token ids of one that is tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....errors import InputError
from ....evaluation.examples import Example, SoundSource
from ....evaluation.models.frontend import States
from ..base import Desk, Setup
from .settings import MeritsSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ....evaluation.batches import Store

# Tuned with a higher rate, RoBERTa-large now and then ends up with one class.
_SAFE_LARGE_LR = 2e-5
_LARGE = 1_000


@dataclass(frozen=True)
class Input:
    """A modality of stage I.

    Attributes:
        store: utterance id -> features (layers, steps, width), or token ids (tokens,).
        states: what the model makes of them.
        weighted: whether the layers are weighted; if not, the last one is read.
        rows: the ids that have the modality.
        encoder: of token ids; None for features.
    """

    store: Store
    states: States
    weighted: bool
    rows: frozenset[str]
    encoder: Any = None


class Means:
    """The means in features of means and standard deviations, from several corpora."""

    def __init__(self, stores: Sequence[Any], width: int) -> None:
        self._stores, self._width = stores, width

    def __getitem__(self, key: str, /) -> NDArray[Any]:
        """Of a row, shape (layers, 1, width).

        Raises:
            KeyError: no store has it.
        """
        for store in self._stores:
            if key in store:
                found: NDArray[Any] = store[key][..., : self._width]
                return found
        raise KeyError(key)


def words(desk: Desk, name: str, rows: Sequence[Example], tuned: bool) -> Input:
    """The words of the rows that have some, for a text encoder that is tuned or frozen.

    Raises:
        InputError: no row has words, or the encoder cannot be loaded.
    """
    spoken = [row for row in rows if (row.text or "").strip()]
    if not spoken:
        raise InputError("No row has words")
    ids = frozenset(row.id for row in spoken)
    encoder = desk.encoder(name, "text")
    if tuned:
        tokens = dict(
            zip([row.id for row in spoken], encoder.inputs([row.text for row in spoken]), strict=True)
        )
        states = States(encoder.layers, encoder.width, encoder.tunable())
        return Input(tokens, states, False, ids, encoder)
    # All layers, though the last one alone is read: the linear baseline shares these features.
    found = desk.features(name, "text", spoken, None, kept="all", pooled="mean")
    return Input(found, States(encoder.layers, encoder.width), False, ids, encoder)


def sound(
    desk: Desk, name: str, rows: Sequence[Example], sounds: Mapping[str, SoundSource], seconds: float
) -> Input:
    """The sound of the rows that have some, by a frozen encoder, all layers.

    The mean over the steps is taken before the layers are weighted: the order makes no difference, and an
    epoch reads one step of each clip.

    Args:
        sounds: corpus -> its sound.
        seconds: what is longer is cut off.

    Raises:
        InputError: no row has sound, one cannot be read, or the encoder cannot be loaded.
    """
    heard: dict[str, list[Example]] = {}
    for row in rows:
        if row.has_sound and row.corpus in sounds:
            heard.setdefault(row.corpus, []).append(row)
    if not heard:
        raise InputError("No row has sound")
    encoder = desk.encoder(name, "speech", max_seconds=seconds)
    # The linear baseline shares these features and reads the deviations too.
    stores = [
        desk.features(name, "speech", own, sounds[corpus], pooled="mean_std", max_seconds=seconds)
        for corpus, own in heard.items()
    ]
    ids = frozenset(row.id for own in heard.values() for row in own)
    return Input(Means(stores, encoder.width), States(encoder.layers, encoder.width), True, ids)


def divergence(setup: Setup, settings: MeritsSettings, width: int) -> str:
    """A warning about tuning a large encoder at a high learning rate; empty where it is safe."""
    lr = settings.text_lr or setup.training.lr
    if settings.text_encoder != "tuned" or width < _LARGE or lr <= _SAFE_LARGE_LR:
        return ""
    return (
        f"{setup.text} is large and tuned at a learning rate of {lr:g}: training can diverge to one class; "
        "if it does, use --set text_lr=1e-5"
    )


def is_model(folder: Path) -> bool:
    """Whether a folder holds a transformers model and is no dataset."""
    return (folder / "config.json").is_file() and not (folder / "manifest.json").is_file()
