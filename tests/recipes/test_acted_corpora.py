"""Builds from corpora without time stamps, names and MELT's label names: what suits them is the default."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from remelt import corpora
from remelt.errors import InputError
from remelt.profiles import load_profile
from remelt.recipes.common_labels import common_labels
from remelt.recipes.finishing import BuildResult
from remelt.recipes.listening.voices import VoiceOptions
from remelt.recipes.melt import MeltOptions, build
from remelt.recipes.rebuild import rebuild
from remelt.selection import select

from ..clip_folders import fill, write_wav

SILENT = VoiceOptions(audio="none", acoustics="none")
NAMES = [
    f"Actor_0{actor}/03-01-{emotion:02d}-01-{statement:02d}-01-0{actor}.wav"
    for actor in (1, 2)
    for emotion in range(1, 9)
    for statement in (1, 2)
]


@pytest.fixture
def ravdess(tmp_path: Path) -> Path:
    return fill(tmp_path / "RAVDESS", NAMES)


def run(corpus: Path, out: Path, **options: Any) -> BuildResult:
    return build(MeltOptions(corpus=str(corpus), out=out, annotator="mock", voice=SILENT, **options))


def originals(out: Path) -> Counter[str]:
    table = pq.read_table(next((out / "data").glob("train-*.parquet")))
    features = table.schema.metadata[b"huggingface"].decode()
    assert '"original_label"' in features
    from datasets import Dataset

    made = Dataset(table)
    return Counter(made.features["original_label"].int2str(v) for v in made["original_label"])


def test_every_row_is_kept_under_the_profile_that_suits(ravdess: Path, tmp_path: Path) -> None:
    result = run(ravdess, tmp_path / "out")
    assert result.rows == len(NAMES)
    assert result.manifest["profile"]["name"] == "acted"
    again = rebuild(result.out, tmp_path / "again")
    files = sorted(path.relative_to(result.out) for path in (result.out / "data").iterdir())
    assert files
    assert all((result.out / f).read_bytes() == (again.out / f).read_bytes() for f in files)


def test_the_general_profile_would_drop_them_all(ravdess: Path) -> None:
    rows = corpora.load(ravdess).utterances
    assert select(rows, load_profile("clean")).kept == ()
    assert len(select(rows, load_profile("acted")).kept) == len(rows)


def test_broken_and_short_clips_are_dropped_with_their_reason(ravdess: Path) -> None:
    (ravdess / NAMES[0]).unlink()
    write_wav(ravdess / NAMES[0], seconds=0.4)
    (ravdess / NAMES[1]).unlink()
    (ravdess / NAMES[1]).write_bytes(b"")
    found = select(corpora.load(ravdess).utterances, load_profile("acted"))
    assert sorted(drop.reasons for drop in found.dropped) == [("clip_duration",), ("flag:clip_unreadable",)]


def test_old_labels_carry_the_names_of_the_new_ones(ravdess: Path, tmp_path: Path) -> None:
    out = run(ravdess, tmp_path / "out").out
    assert originals(out) == dict.fromkeys(
        ("anger", "calm", "disgust", "fear", "joy", "neutral", "sadness", "surprise"), 4
    )


def test_labels_of_ones_own_are_compared_with_the_corpus_own(ravdess: Path, tmp_path: Path) -> None:
    labels = corpora.info("ravdess").labels
    out = run(ravdess, tmp_path / "out", labels=labels).out
    assert originals(out) == dict.fromkeys(labels, 4)


def test_the_renaming_is_told(ravdess: Path) -> None:
    renamed = common_labels(corpora.load(ravdess))
    assert renamed.notes[-1] == (
        "Labels under their common names: angry is anger, fearful is fear, happy is joy, sad is sadness, "
        "surprised is surprise. Without a common name, and so never equal to a new label: calm."
    )


def test_nothing_is_renamed_where_the_names_agree_or_nobody_knows_them(ravdess: Path) -> None:
    sample = corpora.load("sample")
    assert common_labels(sample) is sample
    unknown = corpora.load(ravdess, name="mine")
    assert common_labels(unknown) is unknown


def test_real_clips_from_end_to_end(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "ravdess"
    if not folder.is_dir():
        pytest.skip(f"no RAVDESS at {folder}")
    result = run(folder, tmp_path / "out")
    counts = result.manifest["counts"]["train"]
    assert (counts["input"], counts["kept"], counts["dropped"]) == (120, 120, 0)
    assert originals(result.out)["anger"] == 16
    with pytest.raises(InputError, match=r"Bad split 'test', .* has \['train'\]"):
        run(folder, tmp_path / "other", splits=("test",))
