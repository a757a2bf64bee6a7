"""The tensors of one batch, the same for every model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Of a turn or row whose label is not learnt: torch's own `ignore_index`.
NOT_COUNTED = -100


@dataclass(frozen=True, slots=True)
class Sequences:
    """One modality of a batch, filled up with zeros to the longest row.

    Attributes:
        values: features of shape (rows, layers, steps, width) in float32; or, for an encoder that is tuned,
            sound (rows, samples) in float32 or token ids (rows, tokens) in int64.
        lengths: int64 of shape (rows,): how many steps, samples or tokens of each row count.
    """

    values: Tensor
    lengths: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """What a model is given at once.

    Attributes:
        ids: of the rows, in order. For conversation models the rows are turns: `speech` and `text` have
            shape (dialogues, turns, width) and lengths (dialogues,), `ids` are the turns that are no filling,
            dialogue after dialogue.
        labels: int64 of shape (rows,), for conversation models (dialogues, turns); `NOT_COUNTED` for context
            and filling. None for regression.
        targets: float32 of shape (rows, dimensions), NaN where unknown; None for classification.
    """

    ids: tuple[str, ...]
    speech: Sequences | None = None
    text: Sequences | None = None
    labels: Tensor | None = None
    targets: Tensor | None = None

    def to(self, device: str) -> Batch:
        """The batch on another device."""

        def moved(found: Sequences | None) -> Sequences | None:
            if found is None:
                return None
            return Sequences(
                found.values.to(device, non_blocking=True), found.lengths.to(device, non_blocking=True)
            )

        return replace(
            self,
            speech=moved(self.speech),
            text=moved(self.text),
            labels=None if self.labels is None else self.labels.to(device, non_blocking=True),
            targets=None if self.targets is None else self.targets.to(device, non_blocking=True),
        )
