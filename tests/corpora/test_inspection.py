"""`inspect`, its JSON, the commands, and the registry of readers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from remelt.cli.corpora_ import register as register_corpora
from remelt.cli.inspect_ import register as register_inspect
from remelt.corpora import detect, info, load, names
from remelt.corpora.defects import DEFECTS
from remelt.corpora.inspection import inspect
from remelt.errors import InputError

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def app() -> Typer:
    app = Typer()
    register_inspect(app)
    register_corpora(app)
    return app


def test_numbers_of_a_small_corpus(corpus: Write) -> None:
    found = inspect(corpus())
    assert list(found.splits) == ["train", "dev", "test"]
    train = found.splits["train"]
    assert (train.utterances, train.dialogues, train.speakers, train.episodes) == (2, 1, 2, 1)
    assert (train.seconds, train.mean_duration, train.mean_words) == (2.75, 1.375, 3.5)
    assert train.labels == {"anger": 1, "joy": 1}
    assert (found.total.utterances, found.total.dialogues, found.total.speakers) == (4, 3, 2)
    assert found.to_dict()["defects"]["short_hour"] == {"train": 1, "dev": 0, "test": 0}


def test_the_json_keys_are_documented(corpus: Write, repository: Path) -> None:
    page = (repository / "docs" / "inspect.md").read_text(encoding="utf-8")
    found = inspect(corpus()).to_dict()
    keys = {*found, *found["corpus"], *found["total"], *found["findings"]}
    documented = set(re.findall(r"`([a-z_0-9]+)`", page))
    assert keys <= documented
    assert set(DEFECTS) <= documented


def test_defects_are_documented_as_the_code_says(repository: Path) -> None:
    page = (repository / "docs" / "inspect.md").read_text(encoding="utf-8")
    for name, defect in DEFECTS.items():
        assert f"| `{name}` | {defect.says} |" in page


def test_the_command_writes_what_python_gives(app: Typer, corpus: Write, tmp_path: Path) -> None:
    folder = corpus()
    target = tmp_path / "numbers.json"
    result = CliRunner().invoke(app, ["inspect", str(folder), "--json", str(target), "--plain"])
    assert result.exit_code == 0, result.output
    assert json.loads(target.read_text(encoding="utf-8")) == inspect(folder).to_dict()
    assert re.search(r"utterances +2 +1 +1 +4", result.output)
    assert re.search(r"short_hour +1 +0 +0 +1", result.output)
    assert "\x1b[" not in result.output
    printed = CliRunner().invoke(app, ["inspect", str(folder), "--json", "-"])
    assert json.loads(printed.output) == inspect(folder).to_dict()


def test_the_command_reads_tables(app: Typer, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("Key,Line\na,[red]Good day[/red]\nb,Bye\n")
    options = ["--column", "Key=id", "--column", "Line=text", "--name", "mine", "--json", "-"]
    result = CliRunner().invoke(app, ["inspect", str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["corpus"]["name"] == "mine"


def test_the_command_takes_splits(app: Typer, corpus: Write) -> None:
    result = CliRunner().invoke(app, ["inspect", str(corpus()), "--splits", "test, dev", "--json", "-"])
    assert list(json.loads(result.output)["splits"]) == ["test", "dev"]


def test_bad_input_is_an_error_of_ours(app: Typer, tmp_path: Path, corpus: Write) -> None:
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "none")])
    assert isinstance(result.exception, InputError)
    result = CliRunner().invoke(app, ["inspect", str(corpus()), "--json", str(tmp_path / "no" / "x.json")])
    assert isinstance(result.exception, InputError)
    assert "Cannot write" in str(result.exception)


def test_the_list_of_corpora(app: Typer) -> None:
    result = CliRunner().invoke(app, ["corpora", "--plain"])
    assert result.exit_code == 0, result.output
    for name in names():
        known = info(name)
        assert f"{name}: {known.title}" in result.output
        assert known.layout in result.output
    assert "licence: GPL-3.0" in result.output


def test_readers_are_found() -> None:
    assert {"cremad", "emodb", "meld", "ravdess", "sample", "table", "tess"} <= set(names())
    assert names() == sorted(names())
    assert info("meld").labels == ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    with pytest.raises(InputError, match=r"Bad corpus 'savee', expected one of \[.*'meld', .*'tess'\]"):
        info("savee")


def test_detection(corpus: Write, tmp_path: Path) -> None:
    assert detect(corpus()) == "meld"
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.csv").write_text("a,b\n1,2\n")
    assert detect(other) == "table"
    assert detect(other / "x.csv") == "table"
    (other / "x.txt").write_text("a")
    with pytest.raises(InputError, match="Nothing to read below"):
        detect(other / "x.txt")
    with pytest.raises(InputError, match="no folder or file"):
        detect(tmp_path / "none")


def test_the_sample_corpus_reads(tmp_path: Path) -> None:
    sample = load("sample")
    assert sample.name == "sample"
    assert sample.splits == ("train", "dev", "test")
    assert detect(sample.folder) == "sample"
    assert all(u.id.startswith("sample/") for u in sample.utterances)
    assert all(u.label in info("sample").labels for u in sample.utterances)
    assert sum(u.clip_duration is not None for u in sample.utterances) > 70
    (tmp_path / "sample").mkdir()
    with pytest.raises(InputError, match="Nothing to read"):
        load(tmp_path / "sample")


def test_naming_the_reader(corpus: Write) -> None:
    folder = corpus()
    assert load(folder, name="meld").utterances == load(folder).utterances
    assert load(folder, name="sample").utterances[0].id == "sample/train/dia0_utt0"
    with pytest.raises(InputError, match="map a column to 'text'"):
        load(folder, name="table")
