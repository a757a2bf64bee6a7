"""Column mappings from options and files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from remelt.corpora import TableMapping, from_options
from remelt.corpora.mapping import read
from remelt.errors import InputError

YAML = """
name: mine
licence: CC-BY-4.0
columns: {Utterance: text, Who: speaker, Key: id}
files: {train: a/b.csv}
labels: [Happy, sad]
"""
EXPECTED = TableMapping(
    columns={"Utterance": "text", "Who": "speaker", "Key": "id"}, files={"train": "a/b.csv"}, name="mine",
    labels=("happy", "sad"), licence="CC-BY-4.0",
)  # fmt: skip


def test_yaml_and_toml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(YAML)
    assert read(tmp_path / "m.yaml") == EXPECTED
    (tmp_path / "m.toml").write_text(
        'name = "mine"\nlicence = "CC-BY-4.0"\nlabels = ["Happy", "sad"]\n'
        '[columns]\nUtterance = "text"\nWho = "speaker"\nKey = "id"\n[files]\ntrain = "a/b.csv"\n'
    )
    if sys.version_info >= (3, 11):
        assert read(tmp_path / "m.toml") == EXPECTED
    else:
        with pytest.raises(InputError, match=r"TOML needs Python 3\.11"):
            read(tmp_path / "m.toml")


def test_options_alone_and_over_a_file(tmp_path: Path) -> None:
    assert from_options([]) is None
    assert from_options([], name="x") is None
    assert from_options(["a=b=text", "k=id"]) == TableMapping(columns={"a=b": "text", "k": "id"})
    (tmp_path / "m.yml").write_text(YAML)
    mapping = from_options(["Line=text", "Key=utterance_id"], tmp_path / "m.yml", "other")
    assert mapping is not None
    assert mapping.columns == {"Who": "speaker", "Line": "text", "Key": "utterance_id"}
    assert (mapping.name, mapping.licence) == ("other", "CC-BY-4.0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["text"], "Bad column option 'text', expected COLUMN=FIELD"),
        (["=text"], "Bad column option"),
        (["a=words"], r"Bad field 'words', expected one of \['id', 'split'.*for the column 'a'"),
        (["a=text", "b=text"], r"fields \['text'\] have several columns"),
        (["a=text", "a=id"], "column 'a' is mapped twice"),
    ],
)
def test_bad_options(options: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_options(options)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.json", "{}", r"Bad mapping file ending '\.json'"),
        ("m.yaml", "columns: [a", "is not YAML"),
        ("m.yaml", "just words", "expected keys and values"),
        ("m.yaml", "", "expected keys and values"),
        ("m.yaml", "colums: {}", r"Bad key 'colums', expected one of \['columns'"),
        ("m.yaml", "columns: {a: 1}", "bad columns .*expected column: field pairs"),
        ("m.yaml", "columns: {a: words}", r"m\.yaml: Bad field 'words'"),
        ("m.yaml", "labels: sad", "bad labels 'sad', expected a list of names"),
        ("m.yaml", "name: 3", "bad name 3, expected a text"),
        ("m.yaml", "name: ../x", "Bad corpus name"),
        ("m.yaml", "files: {train: ../x.csv}", "Bad file '../x.csv'"),
        ("m.yaml", "files: {train: /x.csv}", "Bad file '/x.csv'"),
        ("m.yaml", "files: {a/b: x.csv}", "bad split name 'a/b'"),
        ("m.yaml", "!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read"):
        read(tmp_path / "none.yaml")
