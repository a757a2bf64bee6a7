"""Recognisers are found by what their modules declare, apart from those who label."""

from __future__ import annotations

import subprocess
import sys

import pytest

from remelt import annotators
from remelt.annotators import asr
from remelt.annotators.asr import AsrOptions, create, languages
from remelt.errors import InputError

from .asking import lengths


def test_every_scheme_says_what_it_takes() -> None:
    known = set(AsrOptions.__dataclass_fields__)
    found = asr.schemes()
    assert list(found) == ["faster-whisper", "mms", "openai-asr", "whisper"]
    for scheme, module in found.items():
        assert module.FORM.startswith(f"{scheme}/")
        assert set(module.TAKES) <= known


def test_recognisers_are_no_label_annotators() -> None:
    assert not set(asr.schemes()) & set(annotators.schemes())
    with pytest.raises(InputError, match="Bad annotator 'whisper/tiny'"):
        annotators.create("whisper/tiny", annotators.AnnotatorOptions())


@pytest.mark.parametrize("spec", ["", "whisper", "whisper/", "mock", "tiny.en", "Whisper/tiny"])
def test_an_unknown_specification_names_the_choices(spec: str) -> None:
    with pytest.raises(InputError, match=r"Bad recogniser .*'faster-whisper/tiny.en.*'openai-asr/MODEL'"):
        create(spec, AsrOptions(), lengths({}))


@pytest.mark.parametrize(
    ("spec", "option", "value"),
    [
        ("openai-asr/whisper-1", "beam", 5),
        ("openai-asr/whisper-1", "task", "translate"),
        ("openai-asr/whisper-1", "device", "cpu"),
        ("mms/1b-all", "beam", 5),
        ("whisper/tiny", "vad", True),
        ("whisper/tiny", "base_url", "http://localhost:1/v1"),
        ("faster-whisper/tiny.en", "upload", "wav"),
    ],
)
def test_an_option_without_effect_is_refused(spec: str, option: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"Bad {option.replace('_', ' ')} .* no effect on '{spec}'"):
        create(spec, AsrOptions(**{option: value}), lengths({}))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("beam", 0), ("batch", 0), ("threads", 0), ("task", "summarise"), ("upload", "mp3"),
        ("temperature", -0.1), ("no_speech", 1.5), ("timeout", 0),
    ],
)  # fmt: skip
def test_bad_options_are_named(option: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"Bad {option.replace('_', '.')}.*{value!r}"):
        AsrOptions(**{option: value})


def test_the_corpus_language_is_used_where_none_is_asked_for() -> None:
    assert AsrOptions(usual_language="de").asked_language == "de"
    assert AsrOptions(language="fr", usual_language="de").asked_language == "fr"
    assert AsrOptions(language="auto", usual_language="de").asked_language is None
    assert AsrOptions().asked_language is None


def test_languages_by_either_code() -> None:
    mms = ["eng", "deu", "srp-script_latin", "srp-script_cyrillic", "urd-script_arabic"]
    assert languages.match("en", mms, "m") == "eng"
    assert languages.match(" EN ", mms, "m") == "eng"
    assert languages.match("ur", mms, "m") == "urd-script_arabic"
    assert languages.match("srp-script_latin", mms, "m") == "srp-script_latin"
    assert languages.match("eng", ["en"], "m") == "en"
    with pytest.raises(InputError, match=r"Bad language 'sr' for m, expected .*latin', 'srp-script_cyr"):
        languages.match("sr", mms, "m")
    with pytest.raises(InputError, match=r"Bad language 'xx' for m, expected one of \['deu', 'eng'"):
        languages.match("xx", mms, "m")


def test_finding_recognisers_loads_nothing_heavy() -> None:
    code = (
        "from remelt.annotators import asr; asr.schemes(); import sys; "
        "heavy = {'numpy', 'torch', 'transformers', 'faster_whisper', 'aiohttp', 'soundfile'}; "
        "print(heavy & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "set()"
