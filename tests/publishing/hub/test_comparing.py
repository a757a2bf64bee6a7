"""What a publication would change, and whose dataset it is."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from remelt.publishing import read_manifest
from remelt.publishing.hub import RemoteFile, RemoteState, compare, files_to_publish, left_here, same_origin
from remelt.publishing.hub.comparing import git_oid, origin

DATA = "data/train-00000-of-00001.parquet"


def state(files: dict[str, RemoteFile], manifest: dict[str, Any] | None = None) -> RemoteState:
    return RemoteState("0" * 40, False, True, {".gitattributes": RemoteFile(1, "a", ""), **files}, manifest)


def as_published(out: Path) -> dict[str, RemoteFile]:
    """The files as the Hub lists them: large ones by sha256, others by git's hash."""
    return {
        path: RemoteFile(entry["bytes"], "pointer", entry["sha256"])
        if path.endswith(".parquet")
        else RemoteFile(entry["bytes"], git_oid(out / path), "")
        for path, entry in files_to_publish(out, read_manifest(out)).items()
    }


@pytest.mark.parametrize("content", [b"", b"hello\n", bytes(range(256)) * 9_000])
def test_git_agrees_on_the_hash(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    told = subprocess.check_output(["git", "hash-object", "--no-filters", str(file)], text=True).strip()
    assert git_oid(file) == told


def test_nothing_of_the_private_folder_is_published(built: Path) -> None:
    names = set(files_to_publish(built, read_manifest(built)))
    assert {"README.md", "manifest.json", DATA} <= names
    assert {name.split("/")[0] for name in names} == {
        "README.md",
        "manifest.json",
        "data",
        "annotations",
        "dropped",
    }
    assert left_here(built, read_manifest(built)) == []


def test_each_kind_of_change(built: Path) -> None:
    manifest = read_manifest(built)
    there = as_published(built)
    assert {c.change for c in compare(built, manifest, state(there, dict(manifest)))} == {"same"}
    same_size = there[DATA].size
    there[DATA] = RemoteFile(same_size, "pointer", "f" * 64)
    there["README.md"] = RemoteFile(there["README.md"].size, "f" * 40, "")
    del there["manifest.json"]
    there |= {"old.csv": RemoteFile(3, "b", ""), "LICENSE": RemoteFile(4, "c", "")}
    earlier = {**manifest, "files": {**manifest["files"], "old.csv": {}}}
    found = {c.path: c.change for c in compare(built, manifest, state(there, earlier)) if c.change != "same"}
    assert found == {
        DATA: "changed",
        "README.md": "changed",
        "manifest.json": "new",
        "old.csv": "deleted",
    }
    replaced = compare(built, manifest, state(there, earlier), replace=True)
    assert [c.path for c in replaced if c.change == "deleted"] == ["LICENSE", "old.csv"]
    assert {c.change for c in compare(built, manifest, None)} == {"new"}


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (None, False),
        ({}, False),
        ({"recipe": "melt", "corpus": {"name": "meld"}}, True),
        ({"recipe": "melt", "corpus": {"name": "meld"}, "labels_only": True}, True),
        ({"recipe": "melt", "corpus": {"name": "iemocap"}}, False),
        ({"recipe": "transcribe_vote", "corpus": {"name": "meld"}}, False),
        ({"recipe": "melt", "corpus": "meld"}, False),
    ],
)
def test_an_earlier_version_has_the_same_recipe_and_corpus(
    built: Path, found: dict[str, Any] | None, same: bool
) -> None:
    there = state({"manifest.json": RemoteFile(1, "a", "")}, found)
    assert same_origin(read_manifest(built), there) is same
    assert ("no remelt dataset" in origin(there)) is (found is None)


@pytest.mark.parametrize(("file", "same"), [("calls.csv", True), ("letters.csv", False)])
def test_tables_without_a_name_are_told_apart_by_their_files(file: str, same: bool) -> None:
    ours = {"recipe": "melt", "corpus": {"name": "table", "files": {"calls.csv": "1"}}}
    found = {"recipe": "melt", "corpus": {"name": "table", "files": {file: "2"}}}
    there = state({"manifest.json": RemoteFile(1, "a", "")}, found)
    assert same_origin(ours, there) is same
    assert file in origin(there)
