"""What an encoder is: it turns sound or text into the hidden states of a pretrained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

SPEECH, TEXT = "speech", "text"
KINDS = (SPEECH, TEXT)


class Encoder(Protocol):
    """Sound or text in, hidden states out.

    Attributes:
        name: as asked for; of a folder the last part alone, because results are published.
        identity: sha256 over the weights and over everything else that changes what `encode` gives; features
            are cached under it.
        kind: `speech` or `text`.
        layers: states of each item: the input of the first transformer layer (what the convolutions, or the
            embeddings, give), then the output of each layer. The last one has passed the model's final layer
            normalisation where there is one.
        width: numbers in one step of one state.
        notices: what to know about this encoder (a file that is missing, weights that are random).
    """

    name: str
    identity: str
    kind: str
    layers: int
    width: int
    notices: tuple[str, ...]

    def encode(self, items: Sequence[Any]) -> list[NDArray[np.float16]]:
        """The states of some items, computed together.

        Args:
            items: mono sounds at 16 kHz, each float32 of shape (samples,); or texts.

        Returns:
            For each item an array of shape (layers, steps, width): what the item gives alone, whatever else
            is in the batch.

        Raises:
            InputError: the memory is too small for so many at once.
        """
        ...

    def remark(self, item: Any) -> str:
        """What was done to an item to make it fit (`cut to 15 s`); empty for nothing."""
        ...

    def inputs(self, items: Sequence[Any]) -> list[NDArray[Any]]:
        """What `Sequences.values` is filled from for `tunable`: samples (float32) or token ids (int64)."""
        ...

    def tunable(self) -> nn.Module:
        """A copy of the model whose weights can be trained, its convolutional front excepted.

        Its `forward(sequences: Sequences)` gives the states, float32 of shape (rows, layers, steps, width),
        zero after each row's end, and the number of steps of each row, int64 of shape (rows,).

        Raises:
            InputError: nothing in this encoder can be trained.
        """
        ...


@dataclass(frozen=True, slots=True)
class Preset:
    """A checkpoint that a paper names, or one that a Python package carries.

    Attributes:
        name: how it is asked for.
        kind: `speech` or `text`.
        title: one line.
        papers: the systems that use it.
        hub: the repository; empty for one that a package carries.
        package: the module that carries it; empty for a repository.
        install: the command that installs the package.
        layers: how many transformer layers are kept; None for all.
        normalise: whether sound is brought to zero mean and unit variance; of random weights only, as a
            checkpoint's own files say it.
        config: the architecture for random weights: `model_type`, and what differs from transformers'
            defaults.
    """

    name: str
    kind: str
    title: str
    papers: tuple[str, ...] = ()
    hub: str = ""
    package: str = ""
    install: str = ""
    layers: int | None = None
    normalise: bool = True
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
