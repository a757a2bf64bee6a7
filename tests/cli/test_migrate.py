"""`remelt migrate` and `remelt models hosted`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remelt.annotators import known_models
from remelt.cli import main
from servers import ChatServer

from ..recipes import migration_dataset as dataset


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: Any
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    monkeypatch.setattr("sys.argv", ["remelt", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out, told.err


def test_it_prints_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = dataset.publish_rows(tmp_path / "out")
    words = ("migrate", out, "--annotator", "mock:seed=2", "--sample", 20, "--resamples", 50)
    code, told, _ = run(capsys, monkeypatch, *words, "--json", tmp_path / "found.json")
    assert code == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    for part in (
        "Old      test/model (test), asked 2026-01-01 to 2026-01-03",
        "New      mock:seed=2",
        "Sample   20 of 59 rows, seed 0: 20 with a usable answer",
        "nobody to pay",
        "Against the original labels",
        "elements.pitch",
        f"{found['agreement']['kappa']['value']:.3f}",
        f"{found['whole_dataset']['kappa']['value']:.3f}",
        found["folder"],
    ):
        assert part in told
    code, told, _ = run(capsys, monkeypatch, *words, "--json", "-")
    assert json.loads(told) == found


def test_interrupted_it_exits_with_3_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    with ChatServer() as server:
        words = ("migrate", out, "--annotator", "openai/next", "--base-url", server.url, "--sample", 9)
        code, _, err = run(capsys, monkeypatch, *words, "--max-rows", 4, "--quiet")
        assert (code, len(server.asked)) == (3, 4)
        assert "interrupted" in err
        code, told, _ = run(capsys, monkeypatch, *words, "--quiet", "--resamples", 0)
        assert (code, told, len(server.asked)) == (0, "", 9)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--base-url", "http://localhost:1/v1"), "no effect on 'mock'"),
        (("--answer-format", "songs"), "answer format 'songs'"),
        (("--of", "nobody"), "test/model"),
    ],
)
def test_bad_use_exits_with_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    told: str,
) -> None:
    out = dataset.publish_rows(tmp_path / "out")
    code, _, err = run(capsys, monkeypatch, "migrate", out, "--annotator", "mock", *words)
    assert code == 2
    assert told in err


def test_hosted_models_with_their_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, told, _ = run(capsys, monkeypatch, "models", "hosted")
    lines = {line.partition(":")[0]: line for line in told.splitlines()}
    for name, model in known_models.known_models().items():
        assert (model.retires or "") in lines[f"openai/{name}"]
    prices = tmp_path / "p.yaml"
    prices.write_text("models: [{ids: [mine], input: 1, output: 2, retires: 2031-02-03}]", encoding="utf-8")
    _, told, _ = run(capsys, monkeypatch, "models", "hosted", "--retiring", "--prices", prices, "--json", "-")
    found = {model["id"]: model["retires"] for model in json.loads(told)}
    assert found["mine"] == "2031-02-03"
    assert all(found.values())
