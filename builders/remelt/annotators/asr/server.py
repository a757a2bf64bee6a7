"""Servers with OpenAI's `/v1/audio/transcriptions`: OpenAI itself, vLLM, speaches, LocalAI, whisper.cpp, ...

A clip goes out as a 16-bit mono file at 16 kHz. One call sends one request: pacing and retries are the
engine's work.
"""

from __future__ import annotations

import io
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from ...errors import AnnotatorError, RequestRejected, TransientError
from ...protocols import LoadAudio
from ...records import Message, RateLimits, Reply, Request
from .. import keys
from ..openai_errors import ServerSaid, kind, read_object, tidy, without_key
from ..openai_servers import KEY, OFFICIAL, Server, Servers, check_key, key_problem
from ..openai_transport import Answer, Transport
from .base import RATE, AsrOptions, Sounds, plain, transcript

ASR_SCHEME = "openai-asr"
FORM = "openai-asr/MODEL"
TAKES = ("temperature", "prompt", "base_url", "more_urls", "timeout", "upload")

_ROUTE = "/audio/transcriptions"
_TYPES = {"flac": "audio/flac", "wav": "audio/wav"}
_MOST_REJECTED = 20


def create(spec: str, options: AsrOptions, load: LoadAudio) -> TranscriptionServer:
    """The recogniser for `openai-asr/MODEL`; see `asr.create`."""
    return TranscriptionServer(spec, spec[len(ASR_SCHEME) + 1 :].strip(), options, load)


class TranscriptionServer:
    """A transcription server as a recogniser.

    Args:
        name: as given on the command line.
        model: the model id to ask for.
        options: see `AsrOptions`.
        load: see `asr.create`.

    Raises:
        InputError: a base URL is no http(s) address, or is given twice.
    """

    at_once = 0

    def __init__(self, name: str, model: str, options: AsrOptions, load: LoadAudio) -> None:
        base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL
        self.name, self.model = name, model
        self.notices: list[str] = []
        self._servers = Servers((base_url, *options.more_urls), model, self.notices)
        self.endpoint = self._servers.first.shown
        self._key = keys.from_environment((base_url, *options.more_urls))
        self._options = options
        self.parameters = plain(
            {
                "task": options.task,
                "language": options.asked_language,
                "temperature": options.temperature,
                "prompt": options.prompt,
            }
        )
        self._sounds = Sounds(load)
        self._boundary = f"remelt-{uuid.uuid4().hex}"
        self._transport: Transport | None = None
        self._answered, self._rejected = False, 0

    @property
    def limits(self) -> RateLimits | None:
        """The rate limits that the servers told last; None before they have told any."""
        return self._servers.limits

    async def start(self) -> None:
        """Checks that there is a key and that the server is there.

        Raises:
            AnnotatorError: no key for OpenAI's own server, a refused key, or nobody at any address.
        """
        if not self._key:
            self._key = await keys.find([server.base_url for server in self._servers.all])
        check_key(self._servers.all, self._key)
        await self._servers.start(self._connected())

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Sends one clip; see `protocols.Annotator.answer`."""
        samples = await self._sounds.samples(request.utterance)
        file = await self._sounds.run(encoded, samples, self._options.upload)
        body = await self._body(file)
        begun = time.perf_counter()
        server, answer, sent = await self._servers.post(self._connected(), _ROUTE, body)
        payload = self._read(server, answer)
        if isinstance(payload, ServerSaid):
            self._give_up(server, payload)
        self._answered = True
        words = without_key(payload["text"], self._key)
        reply = transcript(request, words, time.perf_counter() - begun, _notes(payload))
        usage = payload.get("usage")
        counts = usage if isinstance(usage, dict) else {}
        return replace(
            reply,
            cost=None,
            tries=sent,
            model=without_key(str(payload.get("model") or request.model), self._key),
            input_tokens=_count(counts.get("input_tokens")),
            output_tokens=_count(counts.get("output_tokens")),
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._servers.close()
        await self._sounds.close()
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def _body(self, file: bytes) -> bytes:
        """A form with the clip and the parameters."""
        import aiohttp

        upload = self._options.upload
        form = aiohttp.MultipartWriter("form-data", boundary=self._boundary)
        fields: dict[str, Any] = {"model": self.model, "response_format": "json", **self.parameters}
        del fields["task"]
        for name, value in fields.items():
            form.append(str(value)).set_content_disposition("form-data", name=name)
        part = form.append(file, {"Content-Type": _TYPES[upload]})
        part.set_content_disposition("form-data", name="file", filename=f"clip.{upload}")
        return await form.as_bytes()

    def _read(self, server: Server, answer: Answer) -> Mapping[str, Any] | ServerSaid:
        """The answer's JSON object, or what the server said instead.

        Raises:
            TransientError: it cannot be read.
        """
        payload = read_object(server.shown, *answer, self._key)
        if isinstance(payload, ServerSaid):
            return payload
        if payload is None or not isinstance(payload.get("text"), str):
            raise TransientError(f"{server.shown} answered with JSON that is no transcript", charged=True)
        return payload

    def _give_up(self, server: Server, said: ServerSaid) -> NoReturn:
        """Raises what an error answer means."""
        what = kind(said)
        told = f"{server.shown} answered {said.status}: {said.message}"
        if what in ("transient", "throttled"):
            raise TransientError(told, said.retry_after, throttled=what == "throttled")
        if what == "key":
            raise AnnotatorError(key_problem(server, said, self._key))
        if what == "quota":
            raise AnnotatorError(f"{told} (the account behind {KEY} has no credit left for this)")
        if what == "model":
            known = sorted(server.models)[:12]
            more = f"; it has {known!r}" if known else ""
            raise AnnotatorError(f"{server.shown} has no model {self.model!r}: {said.message}{more}")
        if what == "route":
            raise AnnotatorError(
                f"{told}; it takes no recordings at {server.shown}{_ROUTE} (a base URL often ends in /v1)"
            )
        self._rejected += 1
        if not self._answered and self._rejected >= _MOST_REJECTED:
            raise AnnotatorError(f"the first {self._rejected} requests were all refused; the last: {told}")
        raise RequestRejected(told)

    def _connected(self) -> Transport:
        if self._transport is None:
            self._transport = Transport(
                self._key,
                self._options.timeout,
                self._options.concurrency + 2,
                content_type=f"multipart/form-data; boundary={self._boundary}",
            )
        return self._transport


def encoded(samples: Any, upload: str) -> bytes:
    """Samples as a file of 16 bits; what passes full scale is clipped, what is no finite number is silence.

    Args:
        samples: float32 mono at 16 kHz, shape (n,).
        upload: `flac` or `wav`.
    """
    import numpy as np
    import soundfile

    # libsndfile rounds in one format and cuts off in the other.
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    whole = np.rint(np.clip(finite, -1.0, 1.0).astype(np.float64) * 32768)
    file = io.BytesIO()
    sixteen = np.clip(whole, -32768, 32767).astype(np.int16)
    soundfile.write(file, sixteen, RATE, format=upload.upper(), subtype="PCM_16")
    return file.getvalue()


def _notes(payload: Mapping[str, Any]) -> tuple[str, ...]:
    language = payload.get("language")
    return (f"language {tidy(str(language))}",) if language else ()


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
