"""Emotion of the utterances of a conversation, in three stages: MERITS-L.

Dutta & Ganapathy 2025 ("LLM supervised pre-training for multimodal emotion recognition in conversations"),
sections II and III. Stage I looks at single utterances, of words or of sound; the last layer before its
classifier gives the embeddings T1 and S1. Stage II reads these along the dialogue, each modality alone, and
gives T2 and S2. Stage III lets the two modalities attend to each other. A stage is trained when the ones
before it are finished and frozen: it gets their embeddings as features. `MergedConversation` is the paper's
ablation, stages II and III trained as one.

The paper leaves open: what an attention sub-block holds besides attention (here: a residual connection and
layer normalisation), how the two directions are joined (concatenated) and how an utterance's layers and steps
become one vector (softmax weights over the layers, the mean over the steps).

Nothing here knows who speaks. A dialogue's result does not depend on the dialogues beside it or on filling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ...errors import InputError, bad_value
from ..pooling import LayerWeights, mask, mean
from .frontend import States, front, given

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..batch import Batch

Modality = Literal["text", "speech"]


@dataclass(frozen=True, slots=True)
class ConversationOptions:
    """Sizes of the networks.

    Attributes:
        hidden: width of the embeddings of stage I.
        gru: width of the GRU in each direction.
        heads: of every attention; must divide `2 * gru`.
        dropout: share of values set to zero in training.
    """

    hidden: int = 256
    gru: int = 256
    heads: int = 4
    dropout: float = 0.3

    def __post_init__(self) -> None:
        for name in ("hidden", "gru", "heads"):
            if getattr(self, name) < 1:
                raise InputError(f"Bad {name} {getattr(self, name)!r}, expected a whole number from 1")
        if 2 * self.gru % self.heads:
            fitting = [heads for heads in (1, 2, 4, 6, 8) if 2 * self.gru % heads == 0]
            raise InputError(bad_value(f"heads for {2 * self.gru} features", self.heads, fitting))
        if not 0 <= self.dropout < 1:
            raise InputError(f"Bad dropout {self.dropout!r}, expected a number from 0 to below 1")


class UtteranceClassifier(nn.Module):
    """Stage I: one utterance, one modality."""

    def __init__(
        self,
        modality: Modality,
        states: States,
        classes: int,
        options: ConversationOptions,
        *,
        weighted: bool,
        encoder_lr: float | None = None,
    ) -> None:
        """
        Args:
            modality: `text` or `speech`.
            states: of its encoder.
            classes: of the output.
            options: sizes.
            weighted: whether the layers are weighted (learnt, softmax) and the result is brought to zero mean
                and unit variance; if not, the last one is read as it is.
            encoder_lr: learning rate of an encoder that is tuned; None for that of the rest.
        """
        super().__init__()
        self.config = options
        self.modality: Modality = modality
        self.front = front(states.encoder)
        self.layer_weights = LayerWeights(states.layers) if weighted else None
        # The states of sound have a few very large numbers, beside which nothing else is learnt.
        self.normalise = nn.LayerNorm(states.width, elementwise_affine=False) if weighted else nn.Identity()
        self.project = nn.Sequential(
            nn.Dropout(options.dropout), nn.Linear(states.width, options.hidden), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(options.hidden, classes))
        self._encoder_lr = encoder_lr

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """What is learnt, with the learning rate of each part."""
        inside = {id(one) for one in self.front.parameters()}
        learnt = [one for one in self.parameters() if one.requires_grad]
        groups = [
            {"params": [one for one in learnt if id(one) not in inside], "lr": lr},
            {"params": [one for one in learnt if id(one) in inside], "lr": self._encoder_lr or lr},
        ]
        return [group for group in groups if group["params"]]

    def embed(self, batch: Batch) -> Tensor:
        """T1 or S1, of shape (rows, hidden)."""
        states, lengths = self.front(given(batch, self.modality))
        steps = self.layer_weights(states) if self.layer_weights is not None else states[:, -1]
        embedded: Tensor = self.project(self.normalise(mean(steps, lengths)))
        return embedded

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (rows, classes)."""
        logits: Tensor = self.head(self.embed(batch))
        return logits


class _Attention(nn.Module):
    """A sub-block: every turn attends to the turns of its dialogue, residual connection, normalisation."""

    def __init__(self, width: int, options: ConversationOptions) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, options.heads, dropout=options.dropout, batch_first=True)
        self.drop = nn.Dropout(options.dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, own: Tensor, other: Tensor, filling: Tensor) -> Tensor:
        """(dialogues, turns, width) twice, and which of the other's turns are filling."""
        found, _ = self.attend(own, other, other, key_padding_mask=filling, need_weights=False)
        result: Tensor = self.norm(own + self.drop(found))
        return result


class Context(nn.Module):
    """Bi-GRU and self-attention over the turns of a dialogue."""

    def __init__(self, width: int, options: ConversationOptions) -> None:
        super().__init__()
        self.drop = nn.Dropout(options.dropout)
        self.gru = nn.GRU(width, options.gru, batch_first=True, bidirectional=True)
        self.attention = _Attention(2 * options.gru, options)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(dialogues, turns, width) -> (dialogues, turns, 2 * gru); zeros where there is no turn."""
        turns = values.shape[1]
        packed = pack_padded_sequence(
            self.drop(values), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=turns)
        filling = ~mask(lengths, turns)
        result: Tensor = self.attention(states, states, filling)
        return result.masked_fill(filling[..., None], 0.0)


class CoAttention(nn.Module):
    """Each modality attends to the other, then to itself; both directions side by side."""

    def __init__(self, width: int, options: ConversationOptions) -> None:
        super().__init__()
        self.text_to_speech, self.speech_to_text = _Attention(width, options), _Attention(width, options)
        self.text, self.speech = _Attention(width, options), _Attention(width, options)

    def forward(self, text: Tensor, speech: Tensor, lengths: Tensor) -> Tensor:
        """(dialogues, turns, width) twice -> (dialogues, turns, 2 * width)."""
        filling = ~mask(lengths, text.shape[1])
        words = self.text_to_speech(text, speech, filling)
        sound = self.speech_to_text(speech, text, filling)
        return torch.cat([self.text(words, words, filling), self.speech(sound, sound, filling)], dim=-1)


class ContextClassifier(nn.Module):
    """Stage II: one modality along the dialogue; gets T1 or S1, (dialogues, turns, width)."""

    def __init__(self, modality: Modality, width: int, classes: int, options: ConversationOptions) -> None:
        super().__init__()
        self.config = options
        self.modality: Modality = modality
        self.context = Context(width, options)
        self.head = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(2 * options.gru, classes))

    def embed(self, batch: Batch) -> Tensor:
        """T2 or S2, of shape (dialogues, turns, 2 * gru)."""
        found = given(batch, self.modality)
        embedded: Tensor = self.context(found.values, found.lengths)
        return embedded

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (dialogues, turns, classes)."""
        logits: Tensor = self.head(self.embed(batch))
        return logits


class FusionClassifier(nn.Module):
    """Stage III: co-attention over T2 and S2, both (dialogues, turns, 2 * gru)."""

    def __init__(self, classes: int, options: ConversationOptions) -> None:
        super().__init__()
        self.config = options
        self.fusion = CoAttention(2 * options.gru, options)
        self.head = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(4 * options.gru, classes))

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (dialogues, turns, classes)."""
        text, speech = given(batch, "text"), given(batch, "speech")
        logits: Tensor = self.head(self.fusion(text.values, speech.values, text.lengths))
        return logits


class MergedConversation(nn.Module):
    """The ablation: stages II and III trained as one; gets T1 and S1, (dialogues, turns, width)."""

    def __init__(self, width: int, classes: int, options: ConversationOptions) -> None:
        super().__init__()
        self.config = options
        self.text, self.speech = Context(width, options), Context(width, options)
        self.fusion = CoAttention(2 * options.gru, options)
        self.head = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(4 * options.gru, classes))

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (dialogues, turns, classes)."""
        text, speech = given(batch, "text"), given(batch, "speech")
        words = self.text(text.values, text.lengths)
        sound = self.speech(speech.values, speech.lengths)
        logits: Tensor = self.head(self.fusion(words, sound, text.lengths))
        return logits


def embeddings(
    model: UtteranceClassifier | ContextClassifier, batches: Iterable[Batch], device: str
) -> dict[str, NDArray[np.float32]]:
    """What a finished stage hands to the next one.

    Args:
        model: the stage; left in the mode it was in, without dropout meanwhile.
        batches: with `ids` of their rows, or of the turns that are no filling.

    Returns:
        utterance id -> embedding, float32 (width,).
    """
    found: dict[str, NDArray[np.float32]] = {}
    with _resting(model):
        for batch in batches:
            moved = batch.to(device)
            embedded = model.embed(moved).float()
            if embedded.ndim == 3:
                embedded = embedded[mask(given(moved, model.modality).lengths, embedded.shape[1])]
            found.update(zip(batch.ids, embedded.cpu().numpy(), strict=True))
    return found


@contextmanager
def _resting(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def layer_shares(model: Any) -> list[float]:
    """The softmax weights of a stage I model's layers, from the input of the first one on; sum 1."""
    weights = getattr(model, "layer_weights", None)
    return [] if weights is None else weights.weights().detach().tolist()
