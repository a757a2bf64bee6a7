"""A torch recogniser in this process: loads a model, hands it clips in batches, lets go of it."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import AnnotatorError, InputError
from ...protocols import LoadAudio
from ...records import Message, Reply, Request
from ..hf import models, runtime
from ..hf.batches import OutOfMemory
from ..hf.models import HFModel
from .base import AsrOptions, Sounds, transcript

if TYPE_CHECKING:
    from ..hf.batches import Batcher

# Clips at once; on processors more bring little.
BATCH = {"cpu": 4, "cuda": 32}
DTYPES = ("float32", "float16", "bfloat16")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A clip made ready for the model.

    Attributes:
        inputs: what the model reads.
        length: samples.
        group: only clips of one group go together.
    """

    inputs: Any
    length: int
    group: Hashable


@dataclass(frozen=True, slots=True)
class Heard:
    """What the model heard, and what is notable about it."""

    text: str
    notes: tuple[str, ...] = ()


def find(text: str, scheme: str, leave: Sequence[str] = ()) -> HFModel:
    """The transformers model that a specification names; see `hf.models.resolve`.

    Raises:
        InputError: a package or the model is missing.
    """
    models.versions(("torch", "transformers"))
    return models.resolve(text, scheme, leave)


class TorchRecogniser(ABC):
    """What the transformers recognisers have in common.

    Args:
        name: as given on the command line.
        file: the model.
        options: see `AsrOptions`.
        load: see `asr.create`.

    Attributes:
        stopped: set to end the batch that is being worked on.

    Raises:
        InputError: there is no such device or number format.
    """

    endpoint = "local"

    def __init__(self, name: str, file: HFModel, options: AsrOptions, load: LoadAudio) -> None:
        self.name, self.model, self.file, self.options = name, file.model, file, options
        self.device = runtime.device(options.device)
        kind = self.device.partition(":")[0]
        self.dtype = options.compute_type or ("bfloat16" if kind == "cuda" else "float32")
        if self.dtype not in DTYPES:
            raise InputError(f"Bad compute type {self.dtype!r}, expected one of {list(DTYPES)!r}")
        self.notices: list[str] = []
        self.stopped = Event()
        self._size = options.batch or BATCH.get(kind, BATCH["cpu"])
        # The next batch is decoded while this one is heard.
        self.at_once = 2 * self._size
        self._sounds = Sounds(load, 2 if kind == "cpu" else 8)
        self._thread: ThreadPoolExecutor | None = None
        self._batcher: Batcher[Clip, Heard] | None = None

    async def start(self) -> None:
        """Loads the model.

        Raises:
            InputError: transformers cannot load it.
        """
        from ..hf.batches import Batcher

        self.stopped.clear()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="remelt-asr")
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
        except BaseException:
            await self.close()
            raise
        self._batcher = Batcher(self._thread, self._work, self._size, self.notices)
        versions = models.versions(("torch", "transformers"))
        self.notices.insert(
            0,
            f"{self.file.name} (version {self.file.version}) is run by transformers "
            f"{versions['transformers']} and torch {versions['torch']}; device: {self.device}, {self.dtype}, "
            f"clips at once: {self._size}, threads: {self.options.threads}",
        )

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Transcribes a clip; see `protocols.Annotator.answer`."""
        batcher = self._batcher
        if batcher is None:
            raise AnnotatorError("The recogniser is not running (not started, or closed)")
        samples = await self._sounds.samples(request.utterance)
        begun = time.perf_counter()
        heard = await batcher.do(await self._sounds.run(self.prepare, samples))
        return transcript(request, heard.text, time.perf_counter() - begun, heard.notes)

    async def close(self) -> None:
        """Lets go of the model; clips still in flight are given up."""
        self.stopped.set()
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await batcher.close()
        await self._sounds.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)
        self.drop_model()

    def _load(self) -> None:
        import torch
        from safetensors import SafetensorError
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.set_num_threads(self.options.threads)
        try:
            missing = self.read_model(getattr(torch, self.dtype))
        except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
            said = " ".join(str(error).split())[:400]
            raise InputError(f"transformers cannot load {self.file.name}: {said}") from error
        if missing:
            # transformers would go on with random numbers in their place.
            raise InputError(f"{self.file.name} lacks {len(missing)} of its weights, such as {min(missing)}")

    def _work(self, clips: Sequence[Clip]) -> Sequence[Heard]:
        return guarded(self.device, lambda: self.hear(clips))

    @abstractmethod
    def read_model(self, dtype: Any) -> Sequence[str]:
        """Loads the model onto the device; returns the names of the weights that are missing."""

    @abstractmethod
    def drop_model(self) -> None:
        """Lets go of the model."""

    @abstractmethod
    def prepare(self, samples: Any) -> Clip:
        """Makes a clip ready; runs in another thread than `hear`."""

    @abstractmethod
    def hear(self, clips: Sequence[Clip]) -> Sequence[Heard]:
        """Transcribes clips of one group."""


def guarded(device: str, work: Callable[[], R]) -> R:
    """Runs some work without gradients and with torch's errors as ours.

    Raises:
        OutOfMemory: it does not fit.
        AnnotatorError: the model cannot do it.
    """
    import torch

    try:
        with torch.inference_mode():
            return work()
    except torch.OutOfMemoryError as error:
        said = str(error).partition("\n")[0][:200]
    except (RuntimeError, ValueError, IndexError) as error:
        raise AnnotatorError(f"The model failed: {' '.join(str(error).split())[:400]}") from error
    # Outside the handler, as a handled error keeps the batch's tensors alive.
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    raise OutOfMemory(f"The memory of {device} is too small ({said})")
