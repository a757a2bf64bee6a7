"""`remelt corpora`: the list, one in full, and both as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from remelt.cli import app
from remelt.corpora import info, names
from remelt.errors import InputError
from remelt.labels import LABEL_MAPS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["corpora", *arguments])


def test_the_list_says_how_to_get_each_and_what_is_in_it() -> None:
    result = run("--plain")
    assert result.exit_code == 0, result.output
    for known in map(info, names()):
        assert f"{known.name}: {known.title}\n" in result.output
        for text in (known.licence, known.homepage, known.access, known.layout):
            assert text in result.output
    assert "  size: 1,440 utterances, 24 speakers\n" in result.output
    assert "  labels: neutral 96, calm 192, happy 192" in result.output
    assert "@article" not in result.output


def test_one_in_full() -> None:
    result = run("ravdess")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("ravdess: RAVDESS")
    assert info("ravdess").citation in result.output
    assert "common names: angry is anger, happy is joy" in result.output
    assert "profile: acted" in result.output
    assert "tess" not in result.output


def test_an_unknown_one() -> None:
    result = run("savee")
    assert isinstance(result.exception, InputError)
    assert "Bad corpus 'savee', expected one of [" in str(result.exception)


@pytest.mark.parametrize("arguments", [(), ("emodb",)])
def test_json(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    printed = run(*arguments, "--json", "-")
    found = json.loads(printed.output)
    assert found["format"] == 1
    assert [entry["name"] for entry in found["corpora"]] == list(arguments or names())
    emodb = next(entry for entry in found["corpora"] if entry["name"] == "emodb")
    assert emodb["counts"]["anger"] == 127
    assert emodb["common_labels"] == LABEL_MAPS["emodb"].to_common
    path = tmp_path / "corpora.json"
    assert "emodb: EMO-DB" in run(*arguments, "--json", str(path)).output
    assert json.loads(path.read_text(encoding="utf-8")) == found


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    result = run("--json", str(tmp_path / "no" / "x.json"))
    assert isinstance(result.exception, InputError)
    assert "Cannot write" in str(result.exception)


def test_every_published_corpus_is_described_and_adds_up() -> None:
    for known in map(info, names()):
        assert set(known.counts) <= set(known.labels)
        if known.counts and known.utterances is not None and set(known.counts) == set(known.labels):
            assert sum(known.counts.values()) == known.utterances, known.name
        if known.homepage:
            assert known.licence
            assert known.access
            assert known.citation.startswith("@")
            assert known.layout
        if known.profile:
            from remelt.profiles import profile_names

            assert known.profile in profile_names()


def test_the_page_says_the_same(repository: Path) -> None:
    lines = (repository / "docs" / "corpora.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `") and line.count("|") == 9]
    cells = {row.split("|")[1].strip(" `"): [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    assert set(cells) == set(names())
    for known in map(info, names()):
        _, utterances, speakers, classes, language, _, _ = cells[known.name]
        if known.homepage:
            assert utterances == ("" if known.utterances is None else f"{known.utterances:,}"), known.name
            assert speakers == ("" if known.speakers is None else str(known.speakers)), known.name
            assert language == known.language
            assert known.homepage in cells[known.name][-1]
        if known.labels:
            assert classes == str(len(known.labels)), known.name
