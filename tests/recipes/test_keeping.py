"""An addition that dies half-way leaves the dataset as it was, and can be made again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt.audit.agreement import AgreementOptions
from remelt.errors import InputError, Interrupted
from remelt.publishing import publish, read_manifest
from remelt.recipes.agreement import measure_agreement
from remelt.recipes.augment.augment import read_source
from remelt.recipes.exchange import adding, keeping
from remelt.recipes.exchange.adding import AddOptions, add_annotations
from remelt.recipes.exchange.additions import members_of, stored
from remelt.recipes.exchange.exporting import ExportOptions, export_annotations
from remelt.recipes.finishing import audit_dataset
from remelt.recipes.oracle import oracle_overlap
from remelt.recipes.rebuild import rebuild
from remelt.recipes.reviewing.items import read_rows
from remelt.recipes.vote_report import vote_report
from remelt.recipes.workspace import workspace

from .small_dataset import finish_quickly, problems, publish_small, small_content, table

U = "toy/train/dia0_utt"
# Kills the process after so many of the published files were replaced.
SCRIPT = """
import os, sys
from pathlib import Path
import remelt.publishing.parquet as parquet
from remelt.recipes.exchange import adding
from tests.recipes.small_dataset import finish_quickly
adding.finish = finish_quickly
left = int(sys.argv[3])
usual = parquet.Staged.commit
def commit(self):
    global left
    if left == 0:
        os.kill(os.getpid(), 9)
    left -= 1
    usual(self)
parquet.Staged.commit = commit
adding.add_annotations(sys.argv[1], adding.AddOptions(file=Path(sys.argv[2])))
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "finish", finish_quickly)
    monkeypatch.setattr("remelt.publishing.folder.write_card", lambda *_: None)


def state(out: Path) -> dict[str, bytes]:
    """Everything published, and the record of what was added."""
    paths = [*out.glob("*.*"), *out.glob("[a-z]*/*"), *out.glob(keeping.REGISTRY)]
    files = sorted(p for p in paths if p.is_file() and p.suffix != ".part")
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in files}


@pytest.mark.parametrize("files", [4, 8])
def test_a_killed_addition_is_put_back(tmp_path: Path, repository: Path, files: int) -> None:
    out = publish_small(tmp_path / "out")
    add_annotations(out, AddOptions(file=table(tmp_path / "a.csv", [(f"{U}0", "fear", "ann")])))
    before = state(out)
    path = table(tmp_path / "b.csv", [(f"{U}0", "fear", "bob"), (f"{U}3", "fear", "bob")])
    command = [sys.executable, "-c", SCRIPT, str(out), str(path), str(files)]
    ways = os.pathsep.join([str(repository / "builders"), str(repository)])
    died = subprocess.run(command, env={**os.environ, "PYTHONPATH": ways}, capture_output=True, check=False)
    assert died.returncode == -9, died.stderr.decode()
    # Whoever looks meanwhile sees what was added before; who would read half of the files is told.
    assert [member["name"] for member in members_of(out)] == ["ann"]
    with pytest.raises(InputError, match="was left half changed"):
        export_annotations(out, tmp_path / "x.csv", ExportOptions())
    assert keeping.recover(out)
    assert state(out) == before
    assert problems(out) == []
    assert not keeping.recover(out)
    add_annotations(out, AddOptions(file=path))
    assert [one.member["name"] for one in stored(out)] == ["ann", "bob"]


def test_a_failure_after_publishing_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = publish_small(tmp_path / "out")
    before = state(out)

    def full(folder: Path, content: Any, *_: Any) -> None:
        publish(folder, content)
        raise Interrupted("No space left")

    monkeypatch.setattr(adding, "finish", full)
    path = table(tmp_path / "a.csv", [(f"{U}0", "fear", "ann")])
    with pytest.raises(Interrupted, match="No space left"):
        add_annotations(out, AddOptions(file=path))
    assert state(out) == before
    assert stored(out) == []
    monkeypatch.setattr(adding, "finish", finish_quickly)
    add_annotations(out, AddOptions(file=path))
    assert len(stored(out)) == 1


def test_nobody_reads_what_is_half_changed(tmp_path: Path) -> None:
    out = publish_small(tmp_path / "out")
    keeping._keep(out, ["manifest.json"], read_manifest(out)["created"])
    before = state(out)
    for read in (
        lambda: rebuild(out, tmp_path / "again"),
        lambda: add_annotations(out, AddOptions(to=tmp_path / "again")),
        lambda: vote_report(out),
        lambda: read_rows(out),
        lambda: measure_agreement(out, AgreementOptions()),
        lambda: read_source(out),
        lambda: oracle_overlap(out),
        lambda: audit_dataset(out),
    ):
        with pytest.raises(InputError, match="was left half changed"):
            read()
    assert state(out) == before
    assert not (tmp_path / "again").exists()
    # A table is no dataset that could be half changed.
    keeping.settled(table(tmp_path / "a.csv", []))


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def test_a_full_disk_changes_nothing(small_disk: Path, tmp_path: Path) -> None:
    out = publish_small(small_disk / "out")
    before = state(out)
    path = table(tmp_path / "a.csv", [(f"{U}0", "fear", "ann")])
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(Interrupted):
        add_annotations(out, AddOptions(file=path))
    assert state(out) == before
    filler.unlink()
    add_annotations(out, AddOptions(file=path))
    assert problems(out) == []


def test_what_another_command_published_since_is_not_undone(tmp_path: Path) -> None:
    out = publish_small(tmp_path / "out")
    # As a process leaves it that was killed.
    keeping._keep(out, ["README.md", "manifest.json"], "2026-02-02T00:00:00Z")
    (out / "README.md").unlink()
    publish(out, replace(small_content(), created="2026-03-03T00:00:00Z"))
    before = state(out)
    with workspace(out, "melt", "toy"):
        pass
    assert state(out) == before
    assert not (out / ".remelt" / "before").exists()
