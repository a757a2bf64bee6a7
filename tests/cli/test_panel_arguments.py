"""Several annotators and their vote from the command line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from remelt.cli import app, arguments
from remelt.cli.progress import line
from remelt.engine import Stats
from remelt.engine.stats import together
from remelt.errors import InputError
from remelt.recipes.options import RECIPE
from remelt.resolution import ResolutionOptions

SHARED = ("--corpus", "C", "--out", "O")


def options(*words: str, source: Any = arguments.melt_options) -> Any:
    seen: list[Any] = []
    command = typer.Typer()

    @command.command()
    @arguments.taking(source)
    def look(options: Any) -> None:
        seen.append(options)

    result = CliRunner().invoke(command, [*SHARED, *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return seen[0]


def test_one_annotator_is_a_text_and_several_are_members() -> None:
    assert options("--annotator", "mock").annotator == "mock"
    several = options("--annotator", "mock", "--annotator", "openai/m", "--base-url", "http://a/v1")
    assert several.annotator == ("mock", "openai/m")
    assert [m.annotator for m in several.members] == ["mock", "openai/m"]
    assert several.resolution is None
    assert not several.allow_missing


def test_a_panel_file(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("annotators: [{name: a, annotator: mock}, {name: b, annotator: 'mock:seed=2'}]")
    made = options("--panel", str(path), "--allow-missing")
    assert [m.name for m in made.members] == ["a", "b"]
    assert made.allow_missing


def test_the_vote_reaches_the_rule() -> None:
    words = (
        "--annotator a --annotator b --vote weighted --vote-threshold 0.6 --quorum 2 --ties random "
        "--weight openai/x=y=0.5 --weight b=2 --reject Other --abstain none --vote-sources a,b "
        "--vote-base plurality --vote-reference Joy --rater ann --seed 9"
    )
    assert options(*words.split()).resolution == ResolutionOptions(
        rule="weighted",
        threshold=0.6,
        quorum=2,
        ties="random",
        weights={"openai/x=y": 0.5, "b": 2.0},
        reject=("other",),
        abstain=("none",),
        sources=("a", "b"),
        base="plurality",
        reference="joy",
        human="ann",
        seed=9,
    )
    # Names of sources may hold commas: given several times, each is one.
    twice = ("--vote-sources", "mock:seed=3,invalid=0.2", "--vote-sources", "b")
    found = options("--annotator", "a", *twice).resolution
    assert found == ResolutionOptions(sources=("mock:seed=3,invalid=0.2", "b"))
    # Any of them makes a rule; the seed alone does not.
    assert options("--annotator", "a", "--quorum", "2").resolution == ResolutionOptions(quorum=2)
    assert options("--annotator", "a", "--seed", "3").resolution is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Nobody is asked: give --annotator SPEC, or --panel FILE"),
        (("--annotator", "mock", "--panel", "p.yaml"), "give one of them"),
        (("--panel", "none.yaml"), "Cannot read the panel file none.yaml"),
        (("--annotator", "mock", "--weight", "b"), "Bad --weight 'b', expected SOURCE=W"),
        (("--annotator", "mock", "--weight", "b=much"), "Bad --weight 'b=much', expected SOURCE=W"),
        (("--annotator", "mock", "--ties", "toss"), "toss"),
        (
            ("--annotator", "mock", "--annotator", "local/x", "--base-url", "http://a/v1"),
            "--base-url has no effect on 'mock', 'local/x'; it is for openai",
        ),
    ],
)
def test_what_cannot_be_used(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=None) as end:
        options(*words)
    assert said in str(end.value)


def test_other_recipes_have_other_defaults() -> None:
    source = arguments.recipe_options({"labels": "The labels of mine."}, temperature=0.02, reject=["other"])
    made = options("--annotator", "mock", source=source)
    assert made.temperature == 0.02
    assert made.resolution == ResolutionOptions(reject=("other",))
    assert options("--annotator", "mock", "--temperature", "1", source=source).temperature == 1.0
    assert list(inspect.signature(source).parameters) == list(
        inspect.signature(arguments.melt_options).parameters
    )
    labels = inspect.signature(source).parameters["labels"].annotation.__metadata__[0]
    assert labels.help == "The labels of mine."
    assert options("--annotator", "mock").temperature == RECIPE
    with pytest.raises(TypeError, match="has no argument 'temprature'"):
        arguments.recipe_options(temprature=1)


def test_two_annotators_of_the_sample_from_the_command_line(tmp_path: Path) -> None:
    shared = [
        "melt", "--corpus", "sample", "--out", str(tmp_path / "out"), "--splits", "train", "--limit", "8",
        "--annotator", "mock:seed=1", "--annotator", "mock:seed=2", "--ties", "first", "--vote", "plurality",
        "--audio", "none", "--acoustics", "none",
    ]  # fmt: skip
    done = CliRunner().invoke(app, ["build", *shared, "--plain"])
    assert done.exit_code == 0, done.output
    assert "Member   mock:seed=1: model, mock; 8 of 8 rows valid" in done.output
    assert "Asked    2 annotators: 16 requests" in done.output
    assert "mock:seed=2: 8/8 rows, 8 kept" in done.stderr
    planned = CliRunner().invoke(app, ["plan", *shared])
    assert planned.exit_code == 0, planned.output
    assert "Annotator 2  mock:seed=2 (mock, mock:seed=2)" in planned.output
    assert "Together     2 annotators, 0 to ask, 16 answered before (each utterance once for each)" in (
        planned.output
    )


def test_the_line_tells_who_is_at_work() -> None:
    first, second = Stats(rows=10, done=10, valid=9, quarantined=1), Stats(rows=10, done=3, valid=3, cost=0.5)
    first.started, first.finished, second.started = 5.0, 9.0, 6.0
    first.latencies.add(1.0)
    second.latencies.add(1.0)
    both = together([first, second], ["b 3/10"])
    assert (both.rows, both.done, both.valid, both.quarantined, both.cost) == (20, 13, 12, 1, 0.5)
    assert (both.started, both.finished, both.latencies.count) == (5.0, None, 2)
    assert line(both).startswith("13/20 rows, 12 kept, 1 quarantined")
    assert line(both).endswith("at work: b 3/10")
    second.finished = 12.0
    assert together([first, second]).seconds == 7.0
