"""One pretrained encoder, its layers weighted, and a small head (Jing et al. 2025, section 4).

    sound -> encoder -> hidden states -> learnt weighted sum -> mean over time -> FC -> ReLU -> FC -> classes

Source: Jing et al.: MELT: Towards Automated Multimodal Emotion Data Annotation by Leveraging LLM Embedded
Knowledge. Interspeech 2025, section 4; the weighted sum and the mean over time are those of SUPERB (Yang et
al. 2021, section 3), which the description follows.

The same head on a text encoder's states (`modality="text"`) shows what labels do where a corpus has no clips;
the paper has no such model.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ...errors import InputError, bad_value
from ..batch import Batch
from ..pooling import POOLINGS, Pooling
from .frontend import States, WeightedStates, given

MODALITIES = ("speech", "text")


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """The head over the weighted states.

    Attributes:
        pooling: over time, one of `pooling.POOLINGS`.
        width: between the two fully connected layers; the paper gives none.
        dropout: before each fully connected layer.
    """

    pooling: str = "mean"
    width: int = 256
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise InputError(bad_value("pooling", self.pooling, POOLINGS))
        if self.width < 1:
            raise InputError(f"Bad width {self.width!r}, expected a whole number from 1")
        if not 0 <= self.dropout < 1:
            raise InputError(f"Bad dropout {self.dropout!r}, expected a share from 0 to below 1")


class WeightedSSL(nn.Module):
    """The paper's model.

    Attributes:
        modality: `speech` or `text`: which sequences of a batch it reads.
        states: the encoder's part; `states.layer_weights.weights()` tells of the layers.
    """

    def __init__(
        self,
        states: States,
        classes: int,
        options: HeadOptions | None = None,
        modality: str = "speech",
    ) -> None:
        """
        Args:
            states: what the encoder gives.
            classes: outputs.
            options: None for the defaults.

        Raises:
            InputError: there is no such modality.
        """
        super().__init__()
        if modality not in MODALITIES:
            raise InputError(bad_value("modality", modality, MODALITIES))
        options = options or HeadOptions()
        self.modality = modality
        self.states = WeightedStates(states)
        self.pooling = Pooling(options.pooling)
        self.head = nn.Sequential(
            nn.Dropout(options.dropout),
            nn.Linear(self.pooling.width(states.width), options.width),
            nn.ReLU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.width, classes),
        )

    def forward(self, batch: Batch) -> Tensor:
        """
        Returns:
            float32 logits of shape (rows, classes).
        """
        values, lengths = self.states(given(batch, self.modality))
        logits: Tensor = self.head(self.pooling(values, lengths))
        return logits
