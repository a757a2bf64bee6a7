"""The same OUT again with other options, other corpora, other label columns, and from inside a notebook."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from remelt.annotators import AnnotatorOptions
from remelt.engine import EngineOptions
from remelt.errors import InputError
from remelt.journal import OutLock
from remelt.labels import MELT
from remelt.publishing import find_problems
from remelt.recipes.finishing import BuildResult, audit_dataset
from remelt.recipes.melt import MeltOptions, build, public_name
from remelt.recipes.rebuild import rebuild

from ..builders import write_meld
from ..servers import ChatServer

ENGINE = EngineOptions(concurrency=8, wait=0.01, longest_wait=0.05)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")


def run(corpus: Path, out: Path, annotator: str = "mock", **changes: Any) -> BuildResult:
    connection = AnnotatorOptions(splits=("train",), **changes.pop("connection", {}))
    options = {"splits": ("train",), "engine": ENGINE, "connection": connection, **changes}
    return build(MeltOptions(corpus=str(corpus), out=out, annotator=annotator, **options))


def table(path: Path, **labels: str) -> Path:
    """A corpus table with one column per label that is given."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "speaker", "text", *labels])
        for n in range(12):
            writer.writerow([f"u{n}", "Ann", f"These are the words of line {n}.", *labels.values()])
    return path


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "private folder" / "any.yaml"
    path.parent.mkdir()
    path.write_text("name: any\nmin_words: 1\n", encoding="utf-8")
    return path


def test_a_table_of_no_known_corpus_is_built_and_verified(tmp_path: Path, profile: Path) -> None:
    corpus = table(tmp_path / "mine.csv", label="joy")
    result = build(
        MeltOptions(corpus=str(corpus), out=tmp_path / "out", annotator="mock", profile=str(profile))
    )
    assert result.rows + result.quarantined == 12
    assert find_problems(result.out) == []
    assert result.manifest["profile"]["name"] == "any.yaml"
    assert (
        "private folder"
        not in (result.out / "manifest.json").read_text() + (result.out / "README.md").read_text()
    )


def test_a_path_with_commas_is_not_published(tmp_path: Path) -> None:
    labels = tmp_path / "a,b.csv"
    labels.write_text("id,label\n")
    assert public_name(f"replay:{labels}") == "replay:a,b.csv"


def test_out_of_another_corpus_is_refused(tmp_path: Path, profile: Path) -> None:
    out = tmp_path / "out"
    run(write_meld(tmp_path / "corpus", 60), out)
    published = {p: p.read_bytes() for p in (out / "data").iterdir()}
    with pytest.raises(InputError, match="belongs to corpus 'meld', this is"):
        build(
            MeltOptions(
                corpus=str(table(tmp_path / "t.csv")), out=out, annotator="mock", profile=str(profile)
            )
        )
    assert published == {p: p.read_bytes() for p in (out / "data").iterdir()}


def test_another_label_column_is_another_source(tmp_path: Path) -> None:
    corpus, labels = write_meld(tmp_path / "corpus", 60), tmp_path / "labels.csv"
    with labels.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label_a", "label_b"])
        writer.writerows([f"meld/train/dia{d}_utt{u}", "joy", "anger"] for d in range(6) for u in range(10))
    spec = f"replay:{labels}"
    for column, code in (("label_a", MELT.labels.index("joy")), ("label_b", MELT.labels.index("anger"))):
        result = run(corpus, tmp_path / "out", spec, connection={"column": column})
        assert result.stats.reused == 0
        path = next((result.out / "data").glob("train-*.parquet"))
        assert set(pq.read_table(path)["label"].to_pylist()) == {code}
    with pytest.raises(InputError, match="has no label column"):
        run(corpus, tmp_path / "none", spec)


def test_another_answer_format_is_another_question(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", 60)
    with ChatServer() as server:
        for answer_format in ("prompt", "json_schema"):
            result = run(corpus, tmp_path / "out", "openai/m",
                         connection={"base_url": server.url, "answer_format": answer_format})  # fmt: skip
            assert result.manifest["annotator"]["means"] == {answer_format: result.rows}
        assert len(server.asked) == 2 * result.rows
        assert not any("answer_format" in body for body in server.bodies)


def test_a_replay_gives_every_repair_turn_again(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", 60)
    source = run(corpus, tmp_path / "out", "mock:invalid=0.5", engine=EngineOptions(retries=8))
    again = run(corpus, tmp_path / "again", f"replay:{source.out}", engine=EngineOptions(retries=0))
    assert (again.rows, again.quarantined) == (source.rows, source.quarantined)


def test_building_inside_a_running_loop_as_in_a_notebook(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", 60)

    async def cell() -> BuildResult:
        return run(corpus, tmp_path / "out")

    assert asyncio.run(cell()).rows > 0


def test_a_rebuild_takes_no_changed_replies(tmp_path: Path) -> None:
    result = run(write_meld(tmp_path / "corpus", 60), tmp_path / "out")
    path = next((result.out / "annotations").glob("train-*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=r"annotations/train.* were changed or removed after publishing"):
        rebuild(str(result.out), str(tmp_path / "again"))


def test_an_audit_waits_for_nobody_and_writes_into_no_running_build(tmp_path: Path) -> None:
    result = run(write_meld(tmp_path / "corpus", 60), tmp_path / "out")
    with OutLock(result.out), pytest.raises(InputError, match="Another remelt process"):
        audit_dataset(str(result.out))
    assert audit_dataset(str(result.out)).folder == result.out / "audit"
    assert find_problems(str(result.out)) == []
