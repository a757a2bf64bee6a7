"""Transcription servers: what is sent, and what each kind of failure means."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
import soundfile

from remelt.annotators.asr import AsrOptions, create
from remelt.annotators.asr.server import encoded
from remelt.errors import AnnotatorError, InputError, RequestRejected, TransientError

from ...transcription_server import TranscriptionServer, heard
from . import tiny_asr
from .asking import hear, lengths, listening, question


def sixteen_bits(number: int) -> Any:
    """The samples of a clip, rounded to 16 bits."""
    return np.round(tiny_asr.sound(number, 1.0 + 0.3 * number).astype(np.float64) * 32768).astype(np.int16)


@pytest.mark.parametrize("upload", ["flac", "wav"])
async def test_the_clip_and_the_parameters_arrive(upload: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something")
    with TranscriptionServer() as server:
        async with listening(
            "openai-asr/whisper-1", base_url=server.url, upload=upload, language="en", prompt="Ross",
            temperature=0.2,
        ) as recogniser:  # fmt: skip
            (reply,) = await hear(recogniser, 3)
    (asked,) = server.asked
    assert np.array_equal(asked["samples"], sixteen_bits(3))
    assert (asked["rate"], asked["filename"], asked["type"]) == (16_000, f"clip.{upload}", f"audio/{upload}")
    assert asked["form"] == {
        "model": "whisper-1", "response_format": "json", "language": "en", "prompt": "Ross",
        "temperature": "0.2",
    }  # fmt: skip
    assert asked["headers"]["Authorization"] == "Bearer sk-something"
    assert reply.raw == f"The {asked['clip']}."
    assert (reply.means, reply.model, reply.tries, reply.cost) == ("asr", "whisper-1", 1, None)


def test_flac_is_smaller_and_the_same() -> None:
    samples = tiny_asr.sound(1, 2.0)
    flac, wav = encoded(samples, "flac"), encoded(samples, "wav")
    assert len(flac) < len(wav)
    one, other = (soundfile.read(io.BytesIO(file), dtype="int16")[0] for file in (flac, wav))
    assert np.array_equal(one, other)
    assert heard(one) == heard(other)
    loud = np.array([2.0, -2.0, 0.5], dtype=np.float32)
    found = soundfile.read(io.BytesIO(encoded(loud, "wav")), dtype="int16")[0]
    assert found.tolist() == [32767, -32768, 16384]


@pytest.mark.parametrize("upload", ["flac", "wav"])
def test_what_is_no_number_is_silence(upload: str) -> None:
    samples = np.array([np.nan, 0.5, np.inf, -np.inf, -0.5], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = encoded(samples, upload)
    assert soundfile.read(io.BytesIO(file), dtype="int16")[0].tolist() == [0, 16384, 0, 0, -16384]


async def test_tokens_language_and_empty_texts() -> None:
    told = {"usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 7}, "language": "english"}
    with TranscriptionServer(answer={**told, "text": " "}) as server:
        async with listening("openai-asr/gpt-4o-transcribe", base_url=server.url) as recogniser:
            (reply,) = await hear(recogniser, 0)
    assert (reply.raw, reply.detail) == ("", "language english; no words")
    assert (reply.input_tokens, reply.output_tokens) == (14, 7)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("500", TransientError, "answered 500"),
        ("503", TransientError, "answered 503"),
        ("429", TransientError, "answered 429"),
        ("drop", TransientError, "127.0.0.1"),
        ("html", TransientError, "not JSON"),
        ("no_text", TransientError, "no transcript"),
        ("400:Audio file is too short", RequestRejected, "too short"),
        ("413", RequestRejected, "answered 413"),
        ("429:insufficient_quota", AnnotatorError, "no credit"),
        ("404:The model 'whisper-9' does not exist", AnnotatorError, "no model 'whisper-9'"),
        ("405", AnnotatorError, "no recordings at"),
    ],
)
async def test_failures(fault: str, kind: type[Exception], words: str) -> None:
    with TranscriptionServer(faults={fault: 1}) as server:
        async with listening("openai-asr/whisper-9", base_url=server.url) as recogniser:
            with pytest.raises(kind, match=words) as caught:
                await hear(recogniser, 0)
            if kind is not AnnotatorError:
                (reply,) = await hear(recogniser, 0)
                assert reply.raw.startswith("The ")
    if isinstance(caught.value, TransientError):
        assert caught.value.throttled == (fault == "429")
        assert caught.value.retry_after == (0.01 if fault == "429" else None)


async def test_a_server_that_refuses_everything_ends_the_run() -> None:
    with TranscriptionServer(faults={"400:no such response_format": 1}) as server:
        async with listening("openai-asr/m", base_url=server.url) as recogniser:
            for number in range(19):
                with pytest.raises(RequestRejected):
                    await hear(recogniser, number)
            with pytest.raises(
                AnnotatorError, match=r"the first 20 requests were all refused; the last: .*no"
            ):
                await hear(recogniser, 19)


async def test_keys_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    official = create("openai-asr/whisper-1", AsrOptions(), lengths({}))
    assert official.endpoint == "https://api.openai.com/v1"
    with pytest.raises(AnnotatorError, match="needs an API key: set the environment variable OPENAI_API_KEY"):
        await official.start()
    await official.close()
    with pytest.raises(InputError, match="Bad base URL"):
        create("openai-asr/whisper-1", AsrOptions(base_url="localhost:8000"), lengths({}))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-wrong")
    with TranscriptionServer(key="sk-right") as server:
        async with listening("openai-asr/whisper-1", base_url=server.url) as recogniser:
            with pytest.raises(AnnotatorError, match="refuses the API key") as caught:
                await hear(recogniser, 0)
    assert "sk-wrong-wrong" not in str(caught.value)


async def test_nobody_there() -> None:
    recogniser = create("openai-asr/m", AsrOptions(base_url="http://127.0.0.1:9/v1"), lengths({}))
    with pytest.raises(AnnotatorError, match="Cannot reach"):
        await recogniser.start()
    await recogniser.close()


def test_the_address_is_in_the_key_and_the_upload_is_not() -> None:
    def key(**options: Any) -> str:
        options = {"base_url": "http://localhost:1/v1", **options}
        return question(create("openai-asr/m", AsrOptions(**options), lengths({})), 0).key

    assert key(upload="wav") == key(timeout=5.0) == key()
    assert len({key(), key(base_url="http://localhost:2/v1"), key(language="de"), key(prompt="x")}) == 4


async def test_a_broken_clip_is_not_sent() -> None:
    with TranscriptionServer() as server:
        async with listening("openai-asr/m", {0: -1.0}, base_url=server.url) as recogniser:
            with pytest.raises(RequestRejected, match=r"clip_unreadable: 0\.wav"):
                await hear(recogniser, 0)
    assert server.asked == []
