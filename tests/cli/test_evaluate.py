"""`remelt evaluate` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from remelt.cli import app
from remelt.errors import InputError
from remelt.recipes.evaluation import systems

from ..clip_folders import fill
from ..recipes.evaluation.stub import StubSystem


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> StubSystem:
    made, others = StubSystem(), dict(systems._systems())
    monkeypatch.setattr(systems, "_systems", lambda: {**others, "stub": made})
    monkeypatch.setattr("remelt.recipes.evaluation.figure.overview", lambda results: {})
    return made


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


def told(*words: object) -> str:
    """The message of a command that is refused."""
    result = call(*words)
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


def test_a_folder_can_stand_where_a_command_does(tmp_path: Path) -> None:
    ravdess = fill(tmp_path / "r", [f"Actor_01/03-01-0{e}-01-0{s}-01-01.wav" for e in (1, 3) for s in (1, 2)])
    words = [
        "sample",
        "--system",
        "stub",
        "--labels",
        "old",
        "--tests",
        f"ravdess={ravdess}",
        "--resamples",
        100,
    ]
    result = call(
        *words, "--out", tmp_path / "A", "--set", "order=letters", "--train", "epochs=3", "--lr", "0.01"
    )
    assert result.exit_code == 0, result.output
    for piece in ("test set", "ravdess", "baseline: chance", "report.md"):
        assert piece in result.output
    config = json.loads((tmp_path / "A" / "config.json").read_text())
    assert config["settings"]["order"] == "letters"
    assert (config["training"]["epochs"], config["training"]["lr"]) == (3, 0.01)
    again = call(
        "run", *words, "--out", tmp_path / "B", "--seeds", "1,2", "--quiet", "--json", tmp_path / "b.json"
    )
    assert again.exit_code == 0
    assert "test set" not in again.output
    assert json.loads((tmp_path / "b.json").read_text())["system"] == "stub"
    compared = call("compare", tmp_path / "A", tmp_path / "B", "--resamples", 100)
    assert compared.exit_code == 0
    assert "B against A" in compared.output


def test_systems_and_encoders_are_listed() -> None:
    listed = call("systems").output
    assert all(name in listed for name in systems.names())
    one = call("systems", "stub").output
    assert "words, letters" in one
    assert "weight_decay" in one
    assert json.loads(call("systems", "stub", "--json", "-").output)["settings"][0]["name"] == "smoothing"
    shown = call("encoders").output
    assert "minilm-local" in shown
    assert " all " in shown
    assert " none " not in shown
    assert "expected one of" in told("systems", "none")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--system", "none"], "Bad system 'none', expected one of"),
        (["--system", "stub", "--tests", "ravdess"], "Bad --tests 'ravdess', expected NAME=VALUE"),
        (["--system", "stub", "--set", "order=a", "--set", "order=b"], "'order' is given twice"),
        (["--system", "stub", "--seeds", "one"], "Bad --seeds 'one'"),
        (["--system", "stub", "--scale", "7"], "Bad --scale '7'"),
        (["--system", "stub", "--train", "speed=1"], "Bad training option 'speed'"),
        (["--system", "stub", "--lr", "0"], "Bad lr 0.0"),
        (["--system", "stub", "--device", "cuda:9"], "cuda:9"),
        (["--system", "stub", "--tests", "x=nowhere"], "There is no folder or file 'nowhere'"),
        (["--system", "stub", "--labels-file", "new=nowhere.csv"], "nowhere.csv"),
        (["--system", "stub", "--corpus", "clips"], "has its own clips"),
    ],
)
def test_bad_use_is_refused_in_words(
    words: list[str], message: str, tmp_path: Path, stub: StubSystem
) -> None:
    assert message in told("sample", *words, "--out", tmp_path / "RUN")
    assert stub.executed == []


def test_a_stop_ends_with_code_3_and_a_note(tmp_path: Path, stub: StubSystem) -> None:
    from remelt.errors import Interrupted

    stub.stop_before = "old"
    result = call("sample", "--system", "stub", "--out", tmp_path / "RUN", "--labels", "old")
    assert isinstance(result.exception, Interrupted)


def test_without_torch_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = told("sample", "--system", "stub", "--out", tmp_path / "RUN")
    assert "pip install torch" in found
    assert "remelt[ser]" in found
    assert not (tmp_path / "RUN").exists()


def test_help_and_lists_load_no_torch() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom remelt.cli import app\n"
        "for words in (['--help'], ['run', '--help'], ['systems'], ['systems', 'melt'], ['encoders']):\n"
        "    assert CliRunner().invoke(app, ['evaluate', *words]).exit_code == 0, words\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'matplotlib') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_card_wants_runs(tmp_path: Path) -> None:
    assert "No run is named" in told("card", tmp_path)
    assert "--remove takes no runs" in told("card", tmp_path, tmp_path, "--remove")
    assert "There is no dataset folder" in told("card", tmp_path / "none", tmp_path)
