"""CTC models: as transformers' own pipeline hears them, with MMS's adapters, in parts where they are long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remelt.annotators.asr import AsrOptions, create
from remelt.annotators.asr.inprocess import Clip
from remelt.errors import InputError

from . import tiny_asr
from .asking import hear, lengths, listening, needs_torch, texts

pytestmark = needs_torch


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_asr.save_ctc(folder / "masked")
    tiny_asr.save_ctc(folder / "unmasked", mask=False)
    tiny_asr.save_ctc(folder / "mms", adapters=True)
    return folder


def pipeline(folder: Path, number: int, language: str | None = None) -> str:
    """What transformers' own classes hear in a clip, which stands alone."""
    import torch
    from transformers import AutoFeatureExtractor, AutoTokenizer, Wav2Vec2ForCTC

    tokenizer, extractor = AutoTokenizer.from_pretrained(folder), AutoFeatureExtractor.from_pretrained(folder)
    model = Wav2Vec2ForCTC.from_pretrained(folder).eval()
    if language:
        tokenizer.set_target_lang(language)
        model.load_adapter(language)
    inputs = extractor(tiny_asr.sound(number, 1.0 + 0.3 * number), sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        tokens = model(inputs.input_values).logits.argmax(-1)
    return re.sub(r"<s>|</s>|<unk>", "", tokenizer.batch_decode(tokens)[0]).strip()


@pytest.mark.parametrize("name", ["masked", "unmasked"])
async def test_a_batch_of_any_lengths_is_heard_clip_by_clip(models: Path, name: str) -> None:
    async with listening(f"mms/{models / name}", batch=4) as recogniser:
        found = await texts(recogniser, 0, 1, 2, 3)
        assert "language" not in recogniser.parameters
    assert found == [pipeline(models / name, n) for n in range(4)]
    assert len(set(found)) == 4


@pytest.mark.parametrize(("asked", "adapter"), [("de", "deu"), ("ur", "urd-script_arabic"), (None, "eng")])
async def test_mms_speaks_the_language_that_is_asked_for(
    models: Path, asked: str | None, adapter: str
) -> None:
    async with listening(f"mms/{models / 'mms'}", language=asked) as recogniser:
        assert recogniser.parameters["language"] == adapter
        assert await texts(recogniser, 1) == [pipeline(models / "mms", 1, adapter)]


def test_languages_without_an_adapter(models: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"Bad language 'fr' for mms/mms, expected one of \['deu', 'eng', 'u"
    ):
        create(f"mms/{models / 'mms'}", AsrOptions(language="fr"), lengths({}))
    lacking = tiny_asr.save_ctc(tmp_path / "lacking", adapters=True)
    (lacking / "adapter.deu.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"lacks the adapter adapter\.deu\.safetensors of the language 'deu'"
    ):
        create(f"mms/{lacking}", AsrOptions(language="de"), lengths({}))


async def test_a_model_of_one_language_says_so(models: Path) -> None:
    silent = create(f"mms/{models / 'masked'}", AsrOptions(usual_language="en"), lengths({}))
    told = create(f"mms/{models / 'masked'}", AsrOptions(language="de"), lengths({}))
    assert silent.notices == []
    assert told.notices == ["mms/masked has one language; the language 'de' is not used"]
    assert told.parameters == silent.parameters


async def test_a_long_clip_is_heard_in_parts_that_fit_together(models: Path) -> None:
    import torch

    def by_sample(inputs: Any) -> Any:
        """A model that sees nothing but the first sample of each of its frames."""
        return [one[: len(one) - 400 + 1 : 320].long() for one in inputs]

    # Letters that change with every frame, so that a frame too many or too few shows.
    frames = np.tile(np.arange(5, 31), 126)[: (65 * 16_000) // 320]
    samples = torch.tensor(np.repeat(frames, 320).astype(np.float32))
    async with listening(f"mms/{models / 'masked'}") as recogniser:
        recogniser._likeliest = by_sample
        (heard,) = recogniser.hear([Clip(samples, len(samples), "x")])
        whole = recogniser._decode(by_sample([samples]))[0]
    assert heard.text == whole
    assert heard.notes == ("heard in parts of 30 s",)
    assert len(whole) == 3249


async def test_long_and_very_short_clips(models: Path) -> None:
    async with listening(f"mms/{models / 'masked'}", {5: 41.0, 6: 0.02, 7: 39.9}) as recogniser:
        long, short, whole = await hear(recogniser, 5, 6, 7)
        (alone,) = await hear(recogniser, 6)
    assert (long.detail, whole.detail) == ("heard in parts of 30 s", "")
    for reply in (short, alone):
        assert (reply.raw, reply.detail) == ("", "too short for the model; no words")


def test_a_whisper_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_asr.save_whisper(tmp_path / "w")
    with pytest.raises(InputError, match="w is no CTC model but a Whisper model; name it whisper/w"):
        create(f"mms/{folder}", AsrOptions(), lengths({}))


def test_one_adapter_is_downloaded_and_not_a_thousand(
    models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    from remelt import hf_models

    asked: list[tuple[Any, ...]] = []

    def snapshot(repo: str, **options: Any) -> str:
        asked.append((repo, options["ignore_patterns"]))
        return str(models / "mms")

    def download(repo: str, name: str, revision: str) -> str:
        asked.append((repo, name, revision))
        return name

    (models / "mms" / "adapter.deu.safetensors").rename(tmp_path / "adapter")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    try:
        recogniser = create("mms/1b-all", AsrOptions(language="de"), lengths({}))
    finally:
        (tmp_path / "adapter").rename(models / "mms" / "adapter.deu.safetensors")
    assert asked == [
        ("facebook/mms-1b-all", [*hf_models._NOT, "adapter.*", "*fp32*"]),
        ("facebook/mms-1b-all", "adapter.deu.safetensors", "mms"),
    ]
    assert (recogniser.name, recogniser.model) == ("mms/1b-all", "facebook/mms-1b-all@mms")
