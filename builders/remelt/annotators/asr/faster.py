"""Whisper by faster-whisper (CTranslate2): on processors without torch, with weights from a package, too.

Radford et al. 2023, "Robust speech recognition via large-scale weak supervision".
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...errors import AnnotatorError, InputError
from ...protocols import LoadAudio
from ...records import Message, Reply, Request
from . import faster_models, languages
from .base import RATE, AsrOptions, Sounds, plain, transcript
from .faster_models import FasterModel

ASR_SCHEME = "faster-whisper"
FORM = "faster-whisper/tiny.en, faster-whisper/HUB_ID, faster-whisper/FOLDER"
TAKES = (
    "beam", "temperature", "task", "prompt", "compute_type", "device", "batch", "threads", "vad", "no_speech",
)  # fmt: skip

_WINDOW = 30 * RATE
_LEAST_LOGPROB = -1.0


def create(spec: str, options: AsrOptions, load: LoadAudio) -> FasterWhisper:
    """The recogniser for `faster-whisper/NAME`; see `asr.create`."""
    versions = faster_models.versions()
    model = faster_models.resolve(spec[len(ASR_SCHEME) + 1 :])
    return FasterWhisper(model, options, load, versions["faster-whisper"])


class FasterWhisper:
    """A CTranslate2 Whisper model as a recogniser; up to 30 s are heard at once, longer clips by windows.

    Args:
        model: the model's files.
        options: see `AsrOptions`.
        load: see `asr.create`.
        version: of faster-whisper, for the record.

    Raises:
        InputError: there is no such device, number format or language.
    """

    endpoint = "local"

    def __init__(self, model: FasterModel, options: AsrOptions, load: LoadAudio, version: str) -> None:
        self.name, self.model = f"{ASR_SCHEME}/{model.name}", model.model
        self._file, self._options, self._version = model, options, version
        self._device = _device(options.device)
        self._compute = _compute_type(options.compute_type, self._device)
        self._language = _language(model, options)
        self.parameters = plain(
            {
                "task": options.task,
                "language": self._language,
                "beam": options.beam,
                "temperature": options.temperature,
                "compute_type": self._compute,
                "prompt": options.prompt,
                "vad": True if options.vad else None,
                "no_speech": options.no_speech,
            }
        )
        self._workers = options.batch or 1
        # One more is decoded while the others are heard.
        self.at_once = self._workers + 1
        self.notices: list[str] = []
        if options.task == "translate" and not model.multilingual:
            raise InputError(f"Bad task 'translate': {self.name} knows English only")
        self._sounds = Sounds(load)
        self._threads: ThreadPoolExecutor | None = None
        self._whisper: Any = None

    async def start(self) -> None:
        """Loads the model.

        Raises:
            InputError: CTranslate2 cannot load it.
        """
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="remelt-asr")
        loop = asyncio.get_running_loop()
        self._whisper = await loop.run_in_executor(self._threads, self._load)
        self.notices.append(
            f"{self._file.name} (version {self._file.version}) is run by faster-whisper {self._version}; "
            f"device: {self._device}, {self._compute}, clips at once: {self._workers}, threads for each: "
            f"{self._options.threads}"
        )

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Transcribes a clip; see `protocols.Annotator.answer`."""
        threads = self._threads
        if threads is None:
            raise AnnotatorError("The recogniser is not running (not started, or closed)")
        samples = await self._sounds.samples(request.utterance)
        loop = asyncio.get_running_loop()
        text, seconds, notes = await loop.run_in_executor(threads, self._hear, samples)
        return transcript(request, text, seconds, notes)

    async def close(self) -> None:
        """Lets go of the model; clips that wait are given up."""
        await self._sounds.close()
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        self._whisper = None

    def _load(self) -> Any:
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(
                str(self._file.folder),
                device=self._device,
                compute_type=self._compute,
                cpu_threads=self._options.threads,
                num_workers=self._workers,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise InputError(f"faster-whisper cannot load {self._file.name}: {error}") from error

    def _hear(self, samples: Any) -> tuple[str, float, tuple[str, ...]]:
        options, begun = self._options, time.perf_counter()
        try:
            segments, info = self._whisper.transcribe(
                samples,
                language=self._language,
                task=options.task,
                beam_size=options.beam,
                temperature=options.temperature,
                initial_prompt=options.prompt or None,
                vad_filter=options.vad,
                no_speech_threshold=options.no_speech,
                log_prob_threshold=None if options.no_speech is None else _LEAST_LOGPROB,
                # What shapes the next temperature, of which there is none, or feeds errors on.
                compression_ratio_threshold=None,
                condition_on_previous_text=False,
                without_timestamps=len(samples) <= _WINDOW,
            )
            text = "".join(segment.text for segment in segments)
        except RuntimeError as error:
            raise AnnotatorError(f"faster-whisper failed: {' '.join(str(error).split())[:400]}") from error
        notes = []
        if self._language is None:
            notes.append(f"language {info.language} ({info.language_probability:.2f})")
        if len(samples) > _WINDOW:
            notes.append("heard in windows of 30 s")
        return text, time.perf_counter() - begun, tuple(notes)


def _device(name: str | None) -> str:
    import ctranslate2

    gpus = ctranslate2.get_cuda_device_count()
    if name is None:
        return "cuda" if gpus else "cpu"
    if name not in ("cpu", "cuda"):
        raise InputError(f"Bad device {name!r}, expected one of ['cpu', 'cuda']")
    if name == "cuda" and not gpus:
        raise InputError("Bad device 'cuda': CTranslate2 finds no GPU here; expected one of ['cpu']")
    return name


def _compute_type(name: str | None, device: str) -> str:
    import ctranslate2

    known = sorted(ctranslate2.get_supported_compute_types(device))
    name = name or ("float16" if device == "cuda" else "float32")
    if name not in known:
        raise InputError(f"Bad compute type {name!r}, expected one of {known!r} on this {device}")
    return name


def _language(model: FasterModel, options: AsrOptions) -> str | None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    what = f"{ASR_SCHEME}/{model.name}"
    if not model.multilingual:
        asked = options.asked_language
        return languages.match(asked, ["en"], what) if asked else "en"
    asked = options.asked_language
    return languages.match(asked, _LANGUAGE_CODES, what) if asked else None
