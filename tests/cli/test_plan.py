"""`remelt plan melt` and the arguments it shares with `remelt build melt`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from remelt.cli import app, arguments, build, main, plan
from remelt.cli.parts_arguments import parts_options
from remelt.cli.voice_arguments import voice_options

from ..builders import write_meld


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return write_meld(tmp_path / "corpus", 40)


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: Any
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    monkeypatch.setattr("sys.argv", ["remelt", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out, told.err


def arguments_of(command: Any) -> list[str]:
    return list(inspect.signature(command).parameters)


def test_both_commands_have_the_same_arguments() -> None:
    groups = (arguments.melt_options, voice_options, parts_options)
    shared = [name for group in groups for name in arguments_of(group)]
    assert len(shared) > 30
    assert arguments_of(build.melt)[: len(shared)] == shared == arguments_of(plan.melt)[: len(shared)]
    assert arguments_of(build.melt)[len(shared) :] == ["max_invalid", "plain", "quiet"]
    assert arguments_of(plan.melt)[len(shared) :] == ["json_", "show", "plain", "quiet"]


def test_the_commands_arguments_reach_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    app = typer.Typer()

    @app.command()
    @arguments.taking(arguments.melt_options, voice_options)
    def look(options: Any, voice: Any, twice: bool = False) -> None:
        seen.append((options, voice, twice))

    words = (
        "--corpus C --out O --annotator openai/m --base-url http://a/v1 --base-url http://b/v1 --budget 2.5 "
        "--max-rows 7 --rpm 60 --tpm 1000 --deadline 1.5 --least-concurrency 2 --concurrency 4 --logprobs "
        "--prices p.yaml --reasoning-effort low --answer-format grammar --device cpu "
        "--audio none --pitch-by sex --processes 2 --twice"
    )
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    [(options, voice, twice)] = seen
    engine, connection = options.engine, options.connection
    assert (engine.budget, engine.max_rows, engine.deadline) == (2.5, 7, 90.0)
    assert (engine.requests_per_minute, engine.tokens_per_minute) == (60.0, 1000.0)
    assert (engine.concurrency, engine.least_concurrency) == (4, 2)
    assert (connection.base_url, connection.more_urls) == ("http://a/v1", ("http://b/v1",))
    assert (connection.logprobs, connection.answer_format, connection.device) == (True, "grammar", "cpu")
    assert connection.prices == Path("p.yaml")
    assert options.reasoning_effort == "low"
    assert (voice.audio, voice.pitch_by, voice.processes, voice.acoustics) == ("none", "sex", 2, "auto")
    assert twice


def test_the_plan_on_the_screen(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, file = tmp_path / "out", tmp_path / "plan.json"
    words = ("plan", "melt", "--corpus", corpus, "--out", out, "--annotator", "openai/gpt-4o-mini")
    code, shown, _ = run(capsys, monkeypatch, *words, "--splits", "train", "--json", file, "--show", 2)
    assert code == 0
    assert not out.exists()
    written = json.loads(file.read_text(encoding="utf-8"))
    assert f"{written['rows_left']:,} to ask, 0 answered before" in shown
    assert f"at most ${written['price']['most']:.4f}" in shown
    assert f"at most ${written['batch_price']['most']:.4f} (--annotator openai-batch/gpt-4o-mini)" in shown
    assert [line for line in shown.splitlines() if line.startswith("--- Prompt")] == [
        f"--- Prompt {n} of 2: {prompt['utterance_id']}" for n, prompt in enumerate(written["prompts"], 1)
    ]
    assert f"{written['tokens']['input']:,}" in shown
    # A line alone means the screen, as with the other commands.
    monkeypatch.chdir(tmp_path)
    code, shown, _ = run(capsys, monkeypatch, *words, "--splits", "train", "--json", "-", "--show", 2)
    assert (code, json.loads(shown)) == (0, written)
    assert not Path("-").exists()


def test_several_are_shown_what_they_get_alike_once(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = tmp_path / "panel.yaml"
    panel.write_text(
        "annotators: [{name: a, annotator: mock}, {name: b, annotator: mock, seed: 1}, "
        "{name: c, annotator: mock, prompt: melt-label}]"
    )
    words = ("plan", "melt", "--corpus", corpus, "--out", tmp_path / "o", "--panel", panel)
    code, shown, _ = run(capsys, monkeypatch, *words, "--splits", "train", "--show", 1)
    assert code == 0
    titles = [line.rpartition(": ")[0] for line in shown.splitlines() if line.startswith("--- Prompt")]
    assert titles == ["--- Prompt 1 of 2 (for a, b)", "--- Prompt 2 of 2 (for c)"]


def test_quiet_shows_no_prompts(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("plan", "melt", "--corpus", corpus, "--out", tmp_path / "o", "--annotator", "mock", "--quiet")
    code, shown, told = run(capsys, monkeypatch, *words, "--splits", "train")
    assert code == 0
    assert "nobody to pay" in shown
    assert "Prompt 1" not in shown
    assert "Reading" not in told


def test_rows_at_a_time_end_with_3_and_the_rest_follows(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = (
        "melt",
        "--corpus",
        corpus,
        "--out",
        tmp_path / "out",
        "--annotator",
        "mock",
        "--splits",
        "train",
    )
    code, _, told = run(capsys, monkeypatch, "build", *shared, "--max-rows", 9)
    assert code == 3
    assert "--max-rows" in told
    assert told.rstrip().endswith("Everything answered is kept; the same command goes on.")
    code, shown, _ = run(capsys, monkeypatch, "plan", *shared, "--quiet")
    assert code == 0
    assert "9 answered before" in shown
    code, shown, _ = run(capsys, monkeypatch, "build", *shared)
    assert code == 0
    assert "Asked    mock: " in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "1"), "--prices FILE"),
        (("--budget", "-1"), "Bad --budget -1.0"),
        (("--rpm", "0"), "Bad --rpm 0.0"),
        (("--tpm", "nan"), "Bad --tpm nan"),
        (("--deadline", "inf"), "Bad --deadline inf"),
        (("--least-concurrency", "9"), "expected at most --concurrency 8"),
        (("--prices", "none.yaml"), "Cannot read the prices file none.yaml"),
        (("--answer-format", "xml"), "Bad answer format 'xml', expected one of"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_made(
    corpus: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = ("build", "melt", "--corpus", corpus, "--out", tmp_path / "out", "--annotator", "openai/mine")
    code, _, told = run(capsys, monkeypatch, *shared, "--splits", "train", *words)
    assert code == 2
    assert said in told
    assert not (tmp_path / "out").exists()


def test_the_help_names_every_way_to_ask() -> None:
    for command in ("build", "plan"):
        shown = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).invoke(
            app, [command, "melt", "--help"]
        )
        for word in ("openai-batch/MODEL", "hf/HUB_ID", "--budget", "--max-rows", "--prices", "--rpm"):
            assert word in shown.output, (command, word)
