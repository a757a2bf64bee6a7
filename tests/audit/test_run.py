"""What an audit writes, and the command."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from remelt.audit import AuditOptions, audit, print_findings
from remelt.cli import app
from remelt.errors import InputError

from ..effort import effort


def rows_of(count: int, split: str = "train") -> list[dict[str, object]]:
    return [
        {"id": f"s/{split}/dia0_utt{i}", "speaker": f"P{i % 4}", "text": "some words here",
         "season": 1 + i % 3, "original_label": "joy", "duration": i / 2,
         "label": ("joy", "anger", "fear")[i % 3]}
        for i in range(count)
    ]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_the_files_of_an_audit(make_out) -> None:
    out = make_out({"train": rows_of(30), "test": rows_of(6, "test")})
    found = audit(out)
    assert found.folder == out / "audit"
    assert sorted(found.files) == sorted(content(out / "audit"))
    for scope in ("train", "test", "all"):
        for kind in ("csv", "json", "svg", "png"):
            assert f"change_matrix_{scope}.{kind}" in found.files
    stored = json.loads((out / "audit" / "findings.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(found.as_dict()))
    assert stored["splits"]["train"]["change"]["count"] == 20
    assert str(out) not in (out / "audit" / "findings.json").read_text(encoding="utf-8")
    with (out / "audit" / "change_matrix_train.csv").open(encoding="utf-8") as lines:
        table = list(csv.reader(lines))
    assert table[0] == ["before", "anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    assert table[4] == ["joy", "10", "0", "10", "10", "0", "0", "0"]
    percent = (out / "audit" / "change_matrix_train_column_percent.csv").read_text(encoding="utf-8")
    assert "joy,100.00,,100.00,100.00,,," in percent


def test_the_same_dataset_in_another_folder_gives_the_same_bytes(make_out) -> None:
    rows = {"train": rows_of(30)}
    first, second = (make_out(rows, name) for name in ("one", "two"))
    audit(first)
    audit(second)
    assert content(first / "audit") == content(second / "audit")


def test_files_of_an_earlier_audit_are_removed_and_others_left(make_out) -> None:
    out = make_out({"train": rows_of(5), "test": rows_of(5, "test")})
    audit(out)
    (out / "audit" / "my notes.txt").write_text("keep", encoding="utf-8")
    (out / "data" / "test-00000-of-00001.parquet").unlink()
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    (out / "manifest.json").write_text(json.dumps({**manifest, "splits": ["train"]}), encoding="utf-8")
    found = audit(out, AuditOptions(figures=False))
    assert sorted([*found.files, "my notes.txt"]) == sorted(content(out / "audit"))
    assert "change_matrix_test.csv" not in found.files


def test_split_names_that_are_no_file_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"{s},a,b\n" for s in ("all", "../x", "x", "..", "Train"))
    path.write_text(f"split,label,original_label\n{rows}", encoding="utf-8")
    found = audit(path, AuditOptions(figures=False))
    assert found.folder == tmp_path / "t-audit"
    names = sorted(f for f in found.files if f.endswith(".csv") and f.startswith("groups"))
    assert len(names) == 6
    assert {"groups_all.csv", "groups_all_2.csv", "groups_x.csv", "groups_x_2.csv"} < set(names)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t-audit", "t.csv"]


def test_a_folder_that_cannot_be_written(make_out) -> None:
    out = make_out({"train": rows_of(3)})
    (out / "audit").write_text("a file stands in the way", encoding="utf-8")
    with pytest.raises(InputError, match="The audit cannot be written to"):
        audit(out, AuditOptions(figures=False))


def test_other_columns_and_other_datasets_get_folders_of_their_own(make_out) -> None:
    one, two = make_out({"train": rows_of(9)}, "one"), make_out({"train": rows_of(12)[3:]}, "two")
    quick = {"figures": False}
    assert (
        audit(one, AuditOptions(after="speaker", **quick)).folder == one / "audit" / "original_label-speaker"
    )
    joined = audit(one, AuditOptions(against=two, **quick))
    assert joined.folder == one / "audit" / "against-two"
    assert joined.dataset["kind"] == "joined"
    assert (joined.overall.rows, joined.overall.change.count) == (6, 0)
    assert {k: len(v) for k, v in (joined.unmatched or {}).items()} == {"one": 3, "two": 3}
    with (joined.folder / "unmatched.csv").open(encoding="utf-8") as lines:
        assert len(list(csv.reader(lines))) == 7


def test_printing_takes_names_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "speaker,label,original_label\n[red]Bob[/red],[/],a\n[red]Bob[/red],a,a\n", encoding="utf-8"
    )
    found = audit(path, AuditOptions(figures=False))
    print_findings(found, Console(width=200))
    printed = capsys.readouterr().out
    assert "[red]Bob[/red]" in printed
    assert "[/]" in printed
    assert "50.00 %" in printed


def test_the_command(make_out, tmp_path: Path) -> None:
    out = make_out({"train": rows_of(9)})
    target = tmp_path / "f.json"
    result = CliRunner().invoke(app, ["audit", str(out), "--json", str(target), "--no-figures", "--no-audio"])
    assert result.exit_code == 0, result.output
    assert "66.67 %" in result.output
    assert json.loads(target.read_text(encoding="utf-8"))["overall"]["change"]["count"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--before", "lable"], r"Bad column 'lable', expected one of \['id', 'speaker'"),
        (["--json", "/no/such/folder/f.json", "--no-figures"], "The findings cannot be written"),
        (["--against", "/no/such/folder"], "There is no file or folder /no/such/folder"),
    ],
)
def test_bad_use_is_named(make_out, arguments: list[str], message: str) -> None:
    out = make_out({"train": rows_of(3)})
    result = CliRunner().invoke(app, ["audit", str(out), *arguments])
    assert isinstance(result.exception, InputError)
    with pytest.raises(InputError, match=message):
        raise result.exception


def test_the_command_loads_nothing_heavy_for_help() -> None:
    code = (
        "import sys, remelt.cli.audit; "
        "heavy = ('numpy', 'pyarrow', 'matplotlib', 'jinja2', 'yaml', 'remelt.audit'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_published_labels_straight_from_their_file(test_data: Path, tmp_path: Path) -> None:
    path = test_data / "melt" / "meld_train.csv"
    if not path.is_file():
        pytest.skip("MELT's published train labels are not in the data folder")
    options = AuditOptions(before="Emotion", after="llm_label", to=tmp_path, figures=False)
    change = audit(path, options).overall.change
    assert (change.count, change.total) == (3261, 7024)


@pytest.mark.slow
def test_the_whole_audit_of_the_real_corpus_is_little_work(meld_folder: Path, tmp_path: Path) -> None:
    audit(meld_folder, AuditOptions(to=tmp_path))
    assert effort(lambda: audit(meld_folder, AuditOptions(to=tmp_path)), 2) < 70
