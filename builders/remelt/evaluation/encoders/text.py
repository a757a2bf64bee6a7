"""Encoders of text: BERT, RoBERTa and their kin, all hidden states.

Devlin et al. 2019 (BERT), Liu et al. 2019 (RoBERTa), Jiao et al. 2020 (TinyBERT).
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from ... import hf_models
from ...errors import InputError
from ..batch import Sequences
from . import loading
from .base import TEXT
from .frozen import Frozen, room
from .states import States, counted, stacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FAMILIES = (
    "bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "mpnet", "deberta", "deberta-v2",
)  # fmt: skip
# Tokens, fillings included, that go through the transformer at once.
_AT_ONCE = {"cpu": 4_096, "cuda": 32_768}


class TextStates(States):
    """All hidden states of a BERT-like model.

    Args:
        model: of one of `FAMILIES`.
        filling: the token that fills rows up.
    """

    def __init__(self, model: Any, filling: int) -> None:
        super().__init__()
        self.model, self._filling = model, filling
        self.front = nn.ModuleList()
        self.layers, self.width = int(model.config.num_hidden_layers) + 1, int(model.config.hidden_size)

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """See `States.forward`; values are token ids of shape (rows, tokens)."""
        lengths = sequences.lengths
        tokens = sequences.values[:, : int(lengths.max())]
        mask = counted(lengths, tokens.shape[1])
        # RoBERTa counts positions by which tokens are fillings.
        tokens = tokens.masked_fill(~mask, self._filling)
        output = self.model(input_ids=tokens, attention_mask=mask.long(), output_hidden_states=True)
        return stacked(output.hidden_states, lengths), lengths


class TextEncoder:
    """A transformers text model; see `base.Encoder`.

    Args:
        found: the model.
        tokens: gives the token ids of a text, special ones included, however long it is.
        special: how many special tokens there are in every text.
        filling: the token that fills rows up.
        most: tokens that the model can read.
        device: where it runs.
    """

    kind = TEXT

    def __init__(
        self,
        found: loading.Found,
        tokens: Callable[[str], list[int]],
        special: int,
        filling: int,
        most: int,
        device: str,
    ) -> None:
        self.name, self.notices = found.name, found.notices
        self.tokenizer: Any = None
        self._tokens, self._special, self._most = tokens, special, most
        states = TextStates(found.model, filling)
        self._frozen = Frozen(states, device, room(_AT_ONCE, device), found.name)
        self.layers, self.width = states.layers, states.width
        self.identity = found.identity(kind=TEXT, layers=self.layers, most=most)

    def encode(self, items: Sequence[str]) -> list[NDArray[np.float16]]:
        """See `base.Encoder.encode`."""
        return list(self._frozen(self.inputs(items)))

    def remark(self, item: str) -> str:
        """See `base.Encoder.remark`."""
        size = len(self._tokens(item))
        if size > self._most:
            return f"text cut to {self._most} tokens"
        return "text without words, read as the special tokens alone" if size <= self._special else ""

    def inputs(self, items: Sequence[str]) -> list[NDArray[np.int64]]:
        """See `base.Encoder.inputs`; of a text that is cut, the last special token stays."""
        return [np.asarray(self._cut(self._tokens(item)), np.int64) for item in items]

    def tunable(self) -> States:
        """See `base.Encoder.tunable`."""
        module: States = copy.deepcopy(self._frozen.states)
        module.requires_grad_(True)
        return module.train()

    def save(self, tuned: nn.Module, folder: Path) -> None:
        """Writes a trained copy (see `tunable`) as a transformers folder, which `encoders.create` loads.

        Raises:
            InputError: the encoder has no vocabulary to save (random weights), or the model is another one.
        """
        if self.tokenizer is None or not isinstance(tuned, TextStates):
            raise InputError(f"{self.name} has no vocabulary, so that a trained copy cannot be saved")
        tuned.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _cut(self, tokens: list[int]) -> list[int]:
        return tokens if len(tokens) <= self._most else [*tokens[: self._most - 1], tokens[-1]]


def load(wanted: loading.Wanted) -> TextEncoder:
    """An encoder of text; see `encoders.create`.

    Raises:
        InputError: see there.
    """
    device = hf_models.device(wanted.device)
    found = loading.load(wanted, FAMILIES, _keep)
    config = found.model.config
    if found.folder is None:
        words = _Hashed(config.vocab_size)
        return TextEncoder(found, words, 2, int(config.pad_token_id or 0), _room(config), device)
    from transformers import AutoTokenizer

    with loading.readable(found.name):
        tokenizer = AutoTokenizer.from_pretrained(found.folder)
    filling = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id
    most = min(_room(config), int(tokenizer.model_max_length))

    def tokens(text: str) -> list[int]:
        # A corpus's "[SEP]" or "</s>" is text like any other.
        found = tokenizer(text, truncation=False, verbose=False, split_special_tokens=True)
        return list(found["input_ids"])

    encoder = TextEncoder(found, tokens, len(tokens("")), int(filling or 0), most, device)
    encoder.tokenizer = tokenizer
    return encoder


class _Hashed:
    """Token ids without a vocabulary, for random weights: one for each word."""

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary

    def __call__(self, text: str) -> list[int]:
        words = [10 + zlib.crc32(word.encode()) % (self._vocabulary - 10) for word in text.split()]
        return [5, *words, 6]


def _room(config: Any) -> int:
    """Tokens that the model has positions for."""
    positions = int(config.max_position_embeddings)
    # RoBERTa's first position stands behind that of the filling token.
    shifted = config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet")
    return positions - int(config.pad_token_id) - 1 if shifted else positions


def _keep(config: Any, layers: int) -> None:
    config.num_hidden_layers = layers
