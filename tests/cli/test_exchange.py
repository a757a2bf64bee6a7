"""`remelt add-annotations` and `remelt export-annotations`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remelt.cli import main
from remelt.publishing import find_problems

from ..recipes.small_dataset import publish_small, table

U = "toy/train/dia0_utt"


def remelt(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["remelt", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_there_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = publish_small(tmp_path / "out")
    path = tmp_path / "sheet.jsonl"
    assert remelt(monkeypatch, "export-annotations", out, "--to", path, "--only", "unresolved") == 0
    assert "1 utterances written" in capsys.readouterr().out
    assert remelt(monkeypatch, "export-annotations", out, "--to", path) == 2
    assert "sheet.jsonl exists, and somebody may have filled it in; --force" in capsys.readouterr().err
    sheet = path.read_text(encoding="utf-8").replace('"label": ""', '"label": "Fear"')
    path.write_text(sheet, encoding="utf-8")
    add = ("add-annotations", out, "--from", path, "--source", "ann", "--plain")
    assert remelt(monkeypatch, *add, "--vote", "plurality", "--ties", "first") == 0
    said = capsys.readouterr().out
    assert "ann (human): 1 votes" in said
    assert "Rule     plurality" in said
    assert "5 rows, 0 quarantined" in said
    # The whole of it: audit, card and all.
    assert find_problems(out) == []
    assert (out / "audit" / "report.html").is_file()


def test_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = publish_small(tmp_path / "out")
    path = table(tmp_path / "a.csv", [(f"{U}0", "boredom", "ann")])
    for arguments, message in (
        ((), "Nothing to do: give --from FILE, --remove NAME or --vote RULE"),
        (("--source", "ann", "--remove", "bob"), "Nothing is read: give --from FILE"),
        (("--quorum", "2"), "How to vote is said by --vote RULE"),
        (("--from", path, "--each"), "a.csv is read as table"),
        (("--from", path, "--kind", "robot"), "Bad kind 'robot'"),
        (("--from", path), "a.csv, line 2: Bad label 'boredom'"),
        (("--vote", "loudest"), "Bad resolution rule 'loudest'"),
        (("--remove", "ann"), "Bad source to remove 'ann': nothing was added, and the annotators that built"),
    ):
        assert remelt(monkeypatch, "add-annotations", out, *arguments) == 2
        assert message in capsys.readouterr().err


def test_the_findings_alone_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,before,after\na/b/c,joy,fear\na/b/d,joy,joy\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = (path, "--before", "before", "--after", "after", "--no-figures", "--json", "-")
    assert remelt(monkeypatch, "audit", *words) == 0
    assert json.loads(capsys.readouterr().out)["splits"]
    assert not Path("-").exists()
