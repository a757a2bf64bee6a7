"""Whisper through transformers: as transformers' own pipeline hears it, in batches and by windows."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remelt.annotators.asr import AsrOptions, create, whisper
from remelt.errors import AnnotatorError, InputError, RequestRejected
from remelt.protocols import Annotator

from . import tiny_asr
from .asking import Broken, hear, lengths, listening, needs_torch, question, texts

pytestmark = needs_torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_asr.save_whisper(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_asr.save_whisper(tmp_path_factory.mktemp("models") / "tiny.en", multilingual=False, seed=3)


@cache
def made(folder: Path) -> tuple[Any, Any]:
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    model = WhisperForConditionalGeneration.from_pretrained(folder)
    return model.eval(), WhisperProcessor.from_pretrained(folder)


def alone(folder: Path, number: int, seconds: float, **options: Any) -> str:
    """What transformers' own classes hear in a clip that stands alone."""
    import torch

    model, processor = made(folder)
    sound = tiny_asr.sound(number, seconds)
    more: dict[str, Any] = {"padding": "longest", "truncation": False} if seconds > 30 else {}
    inputs = processor(sound, sampling_rate=16_000, return_tensors="pt", return_attention_mask=True, **more)
    with torch.no_grad():
        tokens = model.generate(**inputs, return_timestamps=seconds > 30, num_beams=1, **options)
    return str(processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip()


@pytest.mark.slow
async def test_as_the_pipeline_hears_it(folder: Path) -> None:
    from transformers import pipeline

    listen = pipeline("automatic-speech-recognition", model=str(folder), device="cpu")

    def expected(number: int, seconds: float, beams: int) -> str:
        asked = {"do_sample": False, "language": "de", "task": "transcribe", "num_beams": beams}
        sound = {"raw": tiny_asr.sound(number, seconds), "sampling_rate": 16_000}
        more = {"return_timestamps": True} if seconds > 30 else {}
        return str(listen(sound, generate_kwargs=asked, **more)["text"]).strip()

    # Without a word about it the pipeline searches with five beams.
    for beams in (1, 2):
        async with listening(
            f"whisper/{folder}", {0: 1.0, 1: 1.3, 2: 45.0}, language="de", beam=beams
        ) as ours:
            found = await texts(ours, 0, 1, 2)
        assert found == [expected(0, 1.0, beams), expected(1, 1.3, beams), expected(2, 45.0, beams)]


async def test_as_transformers_hears_it(folder: Path) -> None:
    async with listening(f"whisper/{folder}", language="de") as recogniser:
        assert isinstance(recogniser, Annotator)
        found = await texts(recogniser, 0, 1)
    assert found == [alone(folder, n, 1.0 + 0.3 * n, language="de", task="transcribe") for n in (0, 1)]
    assert found[0] != found[1]


async def test_a_batch_changes_nothing(folder: Path) -> None:
    async with listening(f"whisper/{folder}", batch=1) as recogniser:
        alone = [await texts(recogniser, n) for n in range(5)]
    async with listening(f"whisper/{folder}", batch=4) as recogniser:
        sizes = []
        whole = recogniser.hear

        def counted(clips: Any) -> Any:
            sizes.append(len(clips))
            return whole(clips)

        recogniser.hear = counted
        together = await texts(recogniser, *range(5))
    assert together == [text for (text,) in alone]
    assert sum(sizes) == 5
    assert 1 < max(sizes) <= 4
    assert len(set(together)) > 2


async def test_more_than_thirty_seconds_are_heard_window_by_window(folder: Path) -> None:
    async with listening(f"whisper/{folder}", {7: 65.0, 8: 30.0}, language="en") as recogniser:
        long, short = await hear(recogniser, 7, 8)
    assert long.detail == "heard in windows of 30 s"
    assert short.detail == ""
    assert long.raw == alone(folder, 7, 65.0, language="en", task="transcribe")
    assert len(long.raw) > len(short.raw)


async def test_the_language_is_detected_for_each_clip(folder: Path) -> None:
    async with listening(f"whisper/{folder}") as recogniser:
        assert "language" not in recogniser.parameters
        (reply,) = await hear(recogniser, 2)
        # Another language detected: another beginning of the text.
        recogniser._spoken = lambda features: ["ur"] * len(features)
        (urdu,) = await hear(recogniser, 2)
    language = reply.detail.removeprefix("language ")
    assert language in tiny_asr.LANGUAGES
    assert reply.raw == alone(folder, 2, 1.6, language=language, task="transcribe")
    assert urdu.raw == alone(folder, 2, 1.6, language="ur", task="transcribe")


async def test_what_shapes_the_transcript_is_in_the_key(folder: Path, english: Path) -> None:
    def key(path: Path, **options: Any) -> str:
        return question(create(f"whisper/{path}", AsrOptions(device="cpu", **options), lengths({})), 0).key

    changes: list[dict[str, Any]] = [
        {}, {"language": "de"}, {"language": "en"}, {"beam": 5}, {"task": "translate"}, {"prompt": "Ross"},
        {"temperature": 0.4}, {"compute_type": "bfloat16"},
    ]  # fmt: skip
    keys = [key(folder, **change) for change in changes]
    assert len(set(keys)) == len(keys)
    assert key(folder, language="deu") == key(folder, language="de")
    assert key(folder, batch=2, threads=2) == key(folder)
    assert key(english) != key(folder, language="en")


async def test_task_and_prompt_reach_the_model(folder: Path) -> None:
    async with listening(f"whisper/{folder}", language="de") as recogniser:
        plain = await texts(recogniser, 1, 3)
    async with listening(f"whisper/{folder}", language="de", task="translate") as recogniser:
        translated = await texts(recogniser, 1, 3)
    async with listening(f"whisper/{folder}", language="de", prompt="Ross and Monica") as recogniser:
        prompted = await texts(recogniser, 1, 3)
    assert len({tuple(plain), tuple(translated), tuple(prompted)}) == 3
    assert not any("Ross" in text for text in prompted)


async def test_an_english_model_is_told_no_language(english: Path) -> None:
    async with listening(f"whisper/{english}", usual_language="en") as recogniser:
        assert recogniser.parameters["language"] == "en"
        assert await texts(recogniser, 1) == [alone(english, 1, 1.3)]
    with pytest.raises(InputError, match=r"Bad language 'de' .* expected one of \['en'\]"):
        create(f"whisper/{english}", AsrOptions(language="de"), lengths({}))
    with pytest.raises(InputError, match="Bad task 'translate'"):
        create(f"whisper/{english}", AsrOptions(task="translate"), lengths({}))


async def test_a_broken_clip_fails_alone(folder: Path) -> None:
    async with listening(f"whisper/{folder}", {1: -1.0}) as recogniser:
        found = await asyncio.gather(
            *(recogniser.answer(question(recogniser, n), (), 0) for n in (0, 1, 2)), return_exceptions=True
        )
    assert isinstance(found[1], RequestRejected)
    assert str(found[1]) == "clip_unreadable: 1.wav: no sound can be decoded"
    assert [type(f).__name__ for f in found] == ["Reply", "RequestRejected", "Reply"]


async def test_a_missing_package_ends_the_run(folder: Path) -> None:
    def load(spoken: object) -> object:
        raise InputError("soxr is not installed")

    recogniser = create(f"whisper/{folder}", AsrOptions(), load)
    await recogniser.start()
    with pytest.raises(InputError, match="soxr"):
        await recogniser.answer(question(recogniser, 0), (), 0)
    await recogniser.close()
    with pytest.raises(AnnotatorError, match="not running"):
        await create(f"whisper/{folder}", AsrOptions(), lengths({})).answer(question(recogniser, 0), (), 0)
    assert not issubclass(Broken, RequestRejected)


async def test_closing_ends_the_batch_under_way(folder: Path) -> None:
    async with listening(f"whisper/{folder}") as recogniser:
        recogniser.stopped.set()
        stopped = await texts(recogniser, 0)
        recogniser.stopped.clear()
        whole = await texts(recogniser, 0)
    assert len(stopped[0]) < len(whole[0])


def test_the_features_of_a_clip(folder: Path) -> None:
    from transformers import WhisperFeatureExtractor

    recogniser: Any = create(f"whisper/{folder}", AsrOptions(), lengths({}))
    recogniser._extractor = WhisperFeatureExtractor.from_pretrained(folder)
    short, long = (recogniser.prepare(np.zeros(n * 16_000, np.float32)) for n in (2, 45))
    assert tuple(short.inputs.shape) == (80, 3000)
    assert tuple(long.inputs.shape) == (80, 4500)
    assert short.group != long.group


def test_models_that_are_none(folder: Path, tmp_path: Path) -> None:
    ctc = tiny_asr.save_ctc(tmp_path / "ctc")
    with pytest.raises(InputError, match=r"ctc is no Whisper model but 'wav2vec2' \(CTC models: mms/"):
        create(f"whisper/{ctc}", AsrOptions(), lengths({}))
    with pytest.raises(InputError, match="Bad whisper model 'enormous'"):
        create("whisper/enormous", AsrOptions(), lengths({}))
    with pytest.raises(InputError, match="Bad compute type 'int8'"):
        create(f"whisper/{folder}", AsrOptions(compute_type="int8"), lengths({}))
    old = tiny_asr.save_whisper(tmp_path / "old")
    config = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps({**config, "vocab_size": 51_865}))
    (old / "generation_config.json").unlink()
    with pytest.raises(InputError, match=r"generation_config\.json of old names no languages"):
        create(f"whisper/{old}", AsrOptions(), lengths({}))


def test_sizes_are_openai_checkpoints(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    asked: list[str] = []

    def find(text: str, scheme: str, leave: object) -> Any:
        asked.append(text)
        raise InputError("not now")

    monkeypatch.setattr(whisper.inprocess, "find", find)
    for name in ("large-v2", "large-v3", "base", "tiny", "someone/whisper-small-de"):
        with pytest.raises(InputError):
            create(f"whisper/{name}", AsrOptions(), lengths({}))
    assert asked == [
        "openai/whisper-large-v2", "openai/whisper-large-v3", "openai/whisper-base", "openai/whisper-tiny",
        "someone/whisper-small-de",
    ]  # fmt: skip
