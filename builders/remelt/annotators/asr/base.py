"""What recognisers share: their options, the sound of a clip, the form of a transcript."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from ...errors import InputError, RequestRejected, bad_value
from ...protocols import Annotator, LoadAudio
from ...records import Reply, Request, Utterance

RATE = 16_000
MEANS = "asr"
Task = Literal["transcribe", "translate"]
Upload = Literal["flac", "wav"]
# Options that every recogniser heeds, or that are set without being asked for.
SHARED = ("language", "usual_language", "concurrency")


@dataclass(frozen=True, slots=True)
class AsrOptions:
    """How to transcribe. Not every recogniser takes every option; see `TAKES` of its module.

    Attributes:
        language: of the speech, as ISO 639 code (`en`, `eng`) or as the model names it; None for the
            corpus's own where it is known, else the model finds out; `auto` to let it find out in any case.
        usual_language: the corpus's own language; empty where it is not known.
        beam: beams of the search; 1 for greedy.
        temperature: 0 takes the likeliest; above it is drawn.
        task: write down what was said, or translate it into English (Whisper).
        prompt: text that the model takes as having come before: names, spelling, style.
        compute_type: number format: `float32`, `float16`, `bfloat16`, with faster-whisper also `int8` and
            the like; None for float32 on processors and bfloat16 on a GPU (faster-whisper: float16).
        device: `cpu`, `cuda`, or None to choose.
        batch: clips at once; None to choose.
        threads: processor threads of the model.
        vad: leave parts without speech out before the model hears them (Silero VAD, faster-whisper).
        no_speech: probability of no speech above which a stretch with a low mean log-probability (under -1)
            counts as silent (Radford et al. 2023, section 4.5: 0.6); None for no such guard.
        base_url: the server's address; None for OpenAI's own.
        more_urls: addresses of further servers that serve the same model.
        timeout: seconds to wait for a transcript of a server.
        upload: file format that a server is sent.
        concurrency: requests in flight at most (servers).

    Raises:
        InputError: a value that cannot be used.
    """

    language: str | None = None
    usual_language: str = ""
    beam: int = 1
    temperature: float = 0.0
    task: Task = "transcribe"
    prompt: str = ""
    compute_type: str | None = None
    device: str | None = None
    batch: int | None = None
    threads: int = 1
    vad: bool = False
    no_speech: float | None = None
    base_url: str | None = None
    more_urls: tuple[str, ...] = ()
    timeout: float = 120.0
    upload: Upload = "flac"
    concurrency: int = 8

    def __post_init__(self) -> None:
        for name in ("beam", "threads", "concurrency", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"Bad {name} {value!r}, expected a whole number from 1")
        if self.task not in get_args(Task):
            raise InputError(bad_value("task", self.task, get_args(Task)))
        if self.upload not in get_args(Upload):
            raise InputError(bad_value("upload", self.upload, get_args(Upload)))
        if not 0 <= self.temperature <= 2:
            raise InputError(f"Bad temperature {self.temperature!r}, expected a number from 0 to 2")
        if self.no_speech is not None and not 0 <= self.no_speech <= 1:
            raise InputError(f"Bad no-speech probability {self.no_speech!r}, expected a number from 0 to 1")
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"Bad timeout {self.timeout!r}, expected a number of seconds above 0")

    @property
    def asked_language(self) -> str | None:
        """The language to use; None to let the model find out."""
        if self.language is None:
            return self.usual_language or None
        return None if self.language == "auto" else self.language


class Recogniser(Annotator, Protocol):
    """An annotator that transcribes.

    Attributes:
        parameters: everything that shapes a transcript, for the requests' keys and the record.
        at_once: the requests it wants in flight; 0 for as many as asked for.
    """

    parameters: Mapping[str, Any]
    at_once: int


class Sounds:
    """The sound of utterances, decoded in threads beside the model.

    Args:
        load: see `create`.
        threads: clips decoded at once.
    """

    def __init__(self, load: LoadAudio, threads: int = 2) -> None:
        self._load, self._count = load, threads
        self._threads: ThreadPoolExecutor | None = None

    async def samples(self, utterance: Utterance) -> Any:
        """Float32 mono samples at 16 kHz, shape (n,).

        Raises:
            RequestRejected: the clip cannot be decoded.
            InputError: no clip can be (a package is missing).
        """
        return await self.run(self._decode, utterance)

    async def run(self, work: Any, *values: Any) -> Any:
        """Runs a function in one of the threads."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="remelt-sound")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *values)

    def _decode(self, utterance: Utterance) -> Any:
        try:
            return self._load(utterance)
        except InputError as error:
            flag = getattr(error, "flag", "")
            if not flag:
                raise
            raise RequestRejected(f"{flag}: {error}") from error

    async def close(self) -> None:
        """Ends the threads; what waits is given up."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)


def transcript(request: Request, text: str, seconds: float, notes: tuple[str, ...] = ()) -> Reply:
    """A transcript as it is journaled; no words are a transcript too.

    Args:
        request: what was asked.
        text: what the recogniser heard.
        seconds: wall time.
        notes: what is notable, one phrase each.
    """
    text = text.strip()
    return Reply(
        request_key=request.key,
        utterance_id=request.utterance.id,
        attempt=0,
        raw=text,
        model=request.model,
        means=MEANS,
        detail="; ".join([*notes, *([] if text else ["no words"])]),
        finish_reason="stop",
        cost=0.0,
        seconds=seconds,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without those that are not set."""
    return {name: value for name, value in parameters.items() if value not in (None, "", ())}
