"""A small dataset with sound, and a system that needs no network."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import remelt
from remelt.recipes.evaluation import systems
from remelt.recipes.evaluation.sources import read
from remelt.recipes.listening.voices import VoiceOptions

from .stub import StubSystem

KEPT = 24
OFF_LIST = 5


def write_labels(path: Path, rows: int | None = None) -> dict[str, str]:
    """New labels of the bundled corpus: every third one is another; one is off the list."""
    known = read("sample").labels["old"]
    names = sorted(set(known.values()))
    given = {}
    for number, (row, old) in enumerate(list(known.items())[:rows]):
        given[row] = old if number % 3 else names[(names.index(old) + 1) % len(names)]
        if number == OFF_LIST:
            given[row] = "frustration"
    with path.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file)
        write.writerow(["id", "llm_label"])
        write.writerows(given.items())
    return given


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled corpus, relabelled by a file, with its sound; not to be written to."""
    folder = tmp_path_factory.mktemp("dataset")
    write_labels(folder / "labels.csv")
    options = remelt.BuildOptions(
        "sample",
        folder / "OUT",
        f"replay:{folder / 'labels.csv'}",
        profile="any-speaker",
        splits=("train",),
        voice=VoiceOptions(audio="flac", acoustics="none"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remelt.audit.run._figures", lambda findings: {})
        remelt.build_melt(options)
    return folder / "OUT"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubSystem:
    """The system `stub`, beside the others."""
    made, others = StubSystem(), dict(systems._systems())
    monkeypatch.setattr(systems, "_systems", lambda: {**others, "stub": made})
    return made
