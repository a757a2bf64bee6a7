"""Panel files: what they may hold, and what is said of what they may not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from remelt.annotators import AnnotatorOptions
from remelt.engine import EngineOptions
from remelt.errors import InputError
from remelt.recipes.options import BuildOptions, Member, member_options
from remelt.recipes.panel.file import read_panel

FULL = """
annotators:
  - name: gpt
    annotator: openai/gpt-4o
    prompt: melt
    temperature: 0
    top_p: 0.9
    seed: 7
    max_tokens: 64
    turns: 2
    reasoning_effort: low
    base_url: [http://one/v1, http://two/v1]
    answer_format: json_object
    logprobs: true
    concurrency: 3
  - annotator: replay:labels.csv
    label_column: mine
"""
TOML = """
[[annotators]]
name = "gpt"
annotator = "openai/gpt-4o"
base_url = "http://one/v1"

[[annotators]]
annotator = "mock"
"""


def write(folder: Path, text: str, name: str = "panel.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_reaches_the_member(tmp_path: Path) -> None:
    first, second = read_panel(write(tmp_path, FULL))
    assert first == Member(
        annotator="openai/gpt-4o",
        name="gpt",
        prompt="melt",
        temperature=0.0,
        top_p=0.9,
        seed=7,
        max_tokens=64,
        turns=2,
        reasoning_effort="low",
        base_url=("http://one/v1", "http://two/v1"),
        answer_format="json_object",
        logprobs=True,
        concurrency=3,
    )
    assert second == Member("replay:labels.csv", label_column="mine")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML needs Python 3.11")
def test_toml_is_as_good(tmp_path: Path) -> None:
    assert read_panel(write(tmp_path, TOML, "panel.toml")) == (
        Member("openai/gpt-4o", name="gpt", base_url=("http://one/v1",)),
        Member("mock"),
    )


def test_what_is_absent_is_as_the_build_says(tmp_path: Path) -> None:
    build = BuildOptions(
        corpus="sample",
        out=tmp_path,
        annotator=[],
        prompt="melt-general",
        temperature=0.3,
        seed=5,
        engine=EngineOptions(concurrency=8, least_concurrency=4),
        connection=AnnotatorOptions(base_url="http://all/v1", more_urls=("http://more/v1",), seed=5),
    )
    first, second = read_panel(write(tmp_path, FULL))
    own, other = member_options(build, first), member_options(build, second)
    assert (own.prompt, own.temperature, own.top_p, own.seed, own.turns) == ("melt", 0.0, 0.9, 7, 2)
    assert (other.prompt, other.temperature, other.top_p, other.seed) == ("melt-general", 0.3, None, 5)
    assert own.connection is not None
    assert other.connection is not None
    assert (own.connection.base_url, own.connection.more_urls) == ("http://one/v1", ("http://two/v1",))
    assert (own.connection.answer_format, own.connection.logprobs, own.connection.seed) == (
        "json_object",
        True,
        7,
    )
    # An address is for servers; a model in this process must not send to it.
    assert (other.connection.base_url, other.connection.more_urls) == (None, ())
    assert other.connection.column == "mine"
    assert own.engine == EngineOptions(concurrency=3, least_concurrency=3)
    assert other.engine == EngineOptions(concurrency=8, least_concurrency=4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("members: []", "expected `annotators:` and a list of them"),
        ("annotators: []", r"Bad annotators \[\], expected a list with at least one entry"),
        ("annotators: mock", "Bad annotators 'mock', expected a list"),
        ("annotators: [{annotator: mock}]\nvote: first", r"Bad key 'vote', expected one of \['annotators'\]"),
        ("annotators: [mock]", "annotator 1: 'mock' is no entry"),
        ("annotators: [{name: a}]", r"annotator 1 \(a\): `annotator` is missing"),
        ("annotators: [{annotator: mok}]", r"annotator 1: Bad annotator 'mok', expected one of \['hf/HUB"),
        (
            "annotators: [{annotator: mock}, {name: b, annotator: mock, temprature: 1}]",
            r"annotator 2 \(b\): Bad key 'temprature', expected one of \['name', 'annotator', 'prompt'",
        ),
        (
            "annotators: [{annotator: mock, temperature: hot}]",
            "Bad temperature 'hot', expected a number of 0",
        ),
        ("annotators: [{annotator: mock, temperature: .nan}]", "Bad temperature nan"),
        ("annotators: [{annotator: mock, top_p: 2}]", "Bad top_p 2, expected a number from 0 to 1"),
        (
            "annotators: [{annotator: mock, max_tokens: 0}]",
            "Bad max_tokens 0, expected a whole number from 1",
        ),
        ("annotators: [{annotator: mock, seed: true}]", "Bad seed True, expected a whole number"),
        ("annotators: [{annotator: mock, logprobs: 'yes'}]", "Bad logprobs 'yes', expected true or false"),
        ("annotators: [{annotator: mock, name: ''}]", "Bad name '', expected a text"),
        (
            "annotators: [{annotator: mock, answer_format: xml}]",
            r"annotator 1: Bad answer_format 'xml', expected one of \('auto'|Bad answer_format 'xml'",
        ),
        (
            "annotators: [{annotator: mock, base_url: http://x/v1}]",
            "base_url has no effect on 'mock'; it is for openai",
        ),
        (
            "annotators: [{annotator: openai/m, label_column: x}]",
            "label_column has no effect on 'openai/m'; it is for replay",
        ),
        (
            "annotators: [{annotator: mock}, {annotator: mock}]",
            "annotator 2: the name 'mock' is annotator 1's; give it another `name`",
        ),
        ("annotators:\n  - annotator: mock\n   name: a", r"panel\.yaml, line 3: not YAML \([^\n]*\)$"),
        ("annotators: [{annotator: mock, name: 'a,b'}]", r"\(a,b\): Bad name 'a,b', expected one without"),
        ("annotators: [{annotator: mock, name: a=b}]", "Bad name 'a=b', expected one without"),
        (
            "annotators: [{annotator: mock, name: GPT}, {annotator: 'mock:seed=1', name: gpt}]",
            r"annotator 2: the name 'gpt' is annotator 1's but for capitals \('GPT'\)",
        ),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=said) as end:
        read_panel(path)
    assert str(path) in str(end.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Bad panel file ending '.txt', expected one of"):
        read_panel(write(tmp_path, "", "panel.txt"))
    with pytest.raises(InputError, match="Cannot read the panel file"):
        read_panel(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes("annotators: [{annotator: mock, name: Zoë}]".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8"):
        read_panel(path)
