"""A transformers model in memory: reads prompts in batches and remembers what they all begin with."""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ...errors import AnnotatorError, InputError
from ...hf_models import HFModel
from ...hf_models import device as device
from .batches import OutOfMemory

_BEGINNINGS = 4
# Sharing fewer tokens than this is not worth the copying.
_LEAST_SHARED = 16
R = TypeVar("R")


class Stopped(AnnotatorError):
    """The run was ended while a batch was under way."""


@dataclass
class State:
    """Where a batch stands.

    Attributes:
        logits: of the next token, rows by vocabulary, in float32.
        cache: keys and values of everything read.
        mask: rows by tokens read; 0 where a shorter row was filled up.
        positions: tokens read of each row, the filling not counted.
    """

    logits: Any
    cache: Any
    mask: Any
    positions: Any


class Runtime:
    """A loaded model; all methods but `stop` belong to one thread.

    Args:
        file: the model.
        device: `cpu`, `cuda`, ...
        threads: processor threads.

    Attributes:
        device: where the model is.
        ends: the tokens that end a reply.
        vocabulary: size of the model's output.
        room: tokens of prompt and reply together; None where the model names no limit.
        stopped: set to end the batch that is being worked on.
        shares: whether what prompts begin with is read once and remembered.

    Raises:
        InputError: transformers cannot load the model.
    """

    def __init__(self, file: HFModel, device: str, threads: int) -> None:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        self._torch = torch
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        source: dict[str, Any] = {"gguf_file": file.gguf} if file.gguf else {}
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(file.folder, **source)
            model, info = AutoModelForCausalLM.from_pretrained(
                file.folder, dtype=self.dtype, output_loading_info=True, **source
            )
            self.model = model.to(self.device).eval()
        except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
            said = " ".join(str(error).split())[:400]
            raise InputError(f"transformers cannot load {file.name}: {said}") from error
        if missing := sorted(info["missing_keys"]):
            # transformers would go on with random numbers in their place.
            raise InputError(f"{file.name} lacks {len(missing)} of its weights, such as {missing[0]}")
        config = model.config.get_text_config(decoder=True)
        self.vocabulary = int(config.vocab_size)
        self.room: int | None = getattr(config, "max_position_embeddings", None)
        self.ends = _ends(model, self.tokenizer)
        self.stopped = threading.Event()
        self._takes = set(inspect.signature(model.forward).parameters)
        self._beginnings: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.shares = "position_ids" in self._takes and self._plain_cache()

    def guarded(self, work: Callable[[], R]) -> R:
        """Runs some work without gradients and with torch's errors as ours.

        Raises:
            OutOfMemory: it does not fit.
            AnnotatorError: the model cannot do it.
        """
        torch = self._torch
        try:
            with torch.inference_mode():
                return work()
        except torch.OutOfMemoryError as error:
            said = str(error).partition("\n")[0][:200]
        except RuntimeError as error:
            raise AnnotatorError(f"The model failed: {' '.join(str(error).split())[:400]}") from error
        # Outside the handler, as a handled error keeps the batch's tensors alive.
        self._beginnings.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        raise OutOfMemory(f"The memory of {self.device} is too small ({said})")

    def read(self, rows: Sequence[Sequence[int]], shared: Sequence[int]) -> State:
        """Reads prompts.

        Args:
            rows: the tokens of each prompt.
            shared: tokens that all of them begin with; read once and remembered.
        """
        torch = self._torch
        shared = self.shared(rows, shared)
        rest = [list(row[len(shared) :]) for row in rows]
        longest = max(map(len, rest))
        filling = [[0] * (longest - len(r)) for r in rest]
        tokens = torch.tensor([[0] * len(f) + r for f, r in zip(filling, rest, strict=True)])
        mask = torch.tensor(
            [[1] * len(shared) + f + [1] * len(r) for f, r in zip(filling, rest, strict=True)]
        ).to(self.device)
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
        output = self.forward(
            tokens.to(self.device), mask, positions[:, len(shared) :], self.cache(shared, len(rows)), keep=1
        )
        return State(output.logits[:, -1].float(), output.past_key_values, mask, positions[:, -1:] + 1)

    def step(self, state: State, tokens: Sequence[int], rows: Sequence[int]) -> State:
        """Reads one more token of each row.

        Args:
            state: where the batch stands.
            tokens: one for each of the rows that go on.
            rows: the places of these rows in the batch; the others are left out from now on.
        """
        torch = self._torch
        mask, positions, cache = state.mask, state.positions, state.cache
        if len(rows) < len(mask):
            kept = torch.tensor(rows, device=self.device)
            mask, positions = mask[kept], positions[kept]
            cache.batch_select_indices(kept)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=-1)
        read = torch.tensor([[token] for token in tokens], device=self.device)
        output = self.forward(read, mask, positions, cache, keep=1)
        return State(output.logits[:, -1].float(), output.past_key_values, mask, positions + 1)

    def forward(self, tokens: Any, mask: Any, positions: Any, cache: Any, keep: int) -> Any:
        """One pass of the model; logits of the last `keep` places."""
        if self.stopped.is_set():
            raise Stopped("The model was closed while it was answering")
        more: dict[str, Any] = {}
        if "position_ids" in self._takes:
            more["position_ids"] = positions
        if "logits_to_keep" in self._takes:
            more["logits_to_keep"] = keep
        return self.model(
            input_ids=tokens, attention_mask=mask, past_key_values=cache, use_cache=cache is not None, **more
        )

    def shared(self, rows: Sequence[Sequence[int]], beginning: Sequence[int]) -> Sequence[int]:
        """The part of a beginning that is worth remembering: all of it, or nothing."""
        size = len(beginning)
        if not self.shares or size < _LEAST_SHARED:
            return ()
        return beginning if all(len(r) > size and list(r[:size]) == list(beginning) for r in rows) else ()

    def cache(self, beginning: Sequence[int], rows: int) -> Any:
        """A cache for some rows that holds what they begin with."""
        from transformers import DynamicCache

        if not beginning:
            return DynamicCache(config=self.model.config)
        key = tuple(beginning)
        if key not in self._beginnings:
            torch = self._torch
            tokens = torch.tensor([key], device=self.device)
            places = torch.arange(len(key), device=self.device)[None]
            fresh = DynamicCache(config=self.model.config)
            output = self.forward(tokens, torch.ones_like(tokens), places, fresh, keep=1)
            self._beginnings[key] = [(layer.keys, layer.values) for layer in output.past_key_values.layers]
            while len(self._beginnings) > _BEGINNINGS:
                self._beginnings.popitem(last=False)
        self._beginnings.move_to_end(key)
        # New keys are put behind these in new memory, so all rows and batches can look at the same ones.
        return DynamicCache(
            [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in self._beginnings[key]]
        )

    def _plain_cache(self) -> bool:
        """Whether every layer remembers all tokens; others cannot be filled up in the middle."""
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

        layers = DynamicCache(config=self.model.config).layers
        return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a reply, as the model's generation settings and its tokenizer name them."""
    named = getattr(model.generation_config, "eos_token_id", None)
    ends = list(named) if isinstance(named, list | tuple) else [named]
    return sorted({int(end) for end in (*ends, tokenizer.eos_token_id) if end is not None})
