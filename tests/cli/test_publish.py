"""`remelt publish`: what it prints, how it ends, and that `load_dataset` reads back what was published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from remelt.cli import main
from remelt.publishing import seal

from ..hub_account import held, log_in, published_bytes
from ..hub_server import HubServer
from ..recipes.small_dataset import publish_small

REPO = "user/toy"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        log_in(server, monkeypatch, tmp_path)
        yield server


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return publish_small(tmp_path / "out")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset is known to be whole, which takes a while to find."""
    monkeypatch.setattr("remelt.publishing.find_problems", lambda out: [])


class Terminal:
    """The command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.capsys, self.patch = capsys, patch

    def run(self, *words: Any) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        self.patch.setattr("sys.argv", ["remelt", "publish", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        told = self.capsys.readouterr()
        return int(end.value.code or 0), told.out, told.err


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(capsys, monkeypatch)


READ_BACK = """
import json, sys
from datasets import load_dataset
from huggingface_hub import hf_hub_download

repo, commit = sys.argv[1:]
told = {}
for config in ("default", "annotations", "dropped"):
    for split, rows in load_dataset(repo, config).items():
        told[f"{config}/{split}"] = [rows.column_names, rows.to_list()]
path = hf_hub_download(repo, "data/train-00000-of-00001.parquet", repo_type="dataset", revision=commit)
told["file"] = open(path, "rb").read().hex()
told["label"] = load_dataset(repo, revision=commit, split="train").features["label"].names
print(json.dumps(told))
"""


def test_published_and_read_back(
    hub: HubServer, out: Path, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever asks another address than the one that is named finds nobody there.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    code, told, _ = terminal.run(out, REPO, "--endpoint", hub.url, "--json", tmp_path / "done.json")
    assert code == 0
    done = json.loads((tmp_path / "done.json").read_text())
    commit = hub.repositories[REPO].head().sha
    assert f"Published {hub.url}/datasets/user/toy/commit/{commit}\n" in told
    assert f'  load_dataset("user/toy", revision="{commit}")\n' in told
    assert (done["commit"], done["new_commit"], done["labels_only"]) == (commit, True, False)
    assert held(hub, REPO) == published_bytes(out)
    away = {**os.environ, **hub.environment(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    read = subprocess.run(
        [sys.executable, "-c", READ_BACK, REPO, commit], env=away, capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr[-2_000:]
    found = json.loads(read.stdout)
    for config, folder in (("default", "data"), ("annotations", "annotations"), ("dropped", "dropped")):
        for split in ("train", "test"):
            rows = pq.read_table(out / folder / f"{split}-00000-of-00001.parquet")
            if rows.num_rows:
                ours = [rows.column_names, json.loads(json.dumps(rows.to_pylist()))]
                assert found[f"{config}/{split}"] == ours
            else:
                assert f"{config}/{split}" not in found
    assert bytes.fromhex(found["file"]) == (out / "data" / "train-00000-of-00001.parquet").read_bytes()
    assert "joy" in found["label"]


@pytest.mark.usefixtures("quick")
class TestWhatIsPrinted:
    def test_the_plan(self, hub: HubServer, out: Path, terminal: Terminal) -> None:
        (out / "audit").mkdir()
        for name in ("a", "b"):
            (out / "audit" / f"{name}.csv").write_text("x" * 2_000)
        seal(out)
        (out / "notes.txt").write_text("mine")
        code, told, _ = terminal.run(out, REPO, "--endpoint", hub.url, "--dry-run", "--private", "--plain")
        assert code == 0
        lines = [" ".join(line.split()) for line in told.splitlines()]
        assert "audit/ (2 files) 4.0 kB new" in lines
        size = (out / "README.md").stat().st_size
        assert f"README.md {size / 1e3:,.1f} kB new" in lines
        assert f"To {hub.url}/datasets/user/toy (not there yet; branch main; private)" in lines
        assert any(line.startswith("Content everything; the licence allows labels, text") for line in lines)
        assert any(line.startswith("Files 10 new; ") for line in lines)
        assert "Stays notes.txt (not in the manifest)" in lines
        assert lines[-1] == "Dry run: nothing was sent."
        assert hub.repositories == {}

    def test_the_same_again(self, hub: HubServer, out: Path, terminal: Terminal) -> None:
        terminal.run(out, REPO, "--endpoint", hub.url)
        code, told, _ = terminal.run(out, REPO, "--endpoint", hub.url, "--tag", "v1", "--quiet")
        commit = hub.repositories[REPO].head().sha
        assert code == 0
        assert f"has exactly this already (commit {commit}); no new commit was made" in told
        assert "Its tag: v1" in told

    def test_json_alone(self, hub: HubServer, out: Path, terminal: Terminal) -> None:
        code, told, err = terminal.run(out, REPO, "--endpoint", hub.url, "--json", "-")
        found = json.loads(told)
        assert (code, found["repo"], found["exists"]) == (0, REPO, False)
        assert {file["change"] for file in found["files"]} == {"new"}
        assert hub.token not in told + err


@pytest.mark.usefixtures("quick")
class TestHowItEnds:
    def test_2_where_it_is_refused(self, hub: HubServer, out: Path, terminal: Terminal) -> None:
        hub.add(REPO, {"data.csv": b"a"})
        code, _, err = terminal.run(out, REPO, "--endpoint", hub.url)
        assert code == 2
        assert err.splitlines()[-1].startswith(f"error: {hub.url}/datasets/user/toy holds 1 file that is no")

    def test_3_where_it_can_go_on(self, hub: HubServer, out: Path, terminal: Terminal) -> None:
        fault = hub.fail("POST", "/commit/", status=503, times=10**9)
        code, _, err = terminal.run(out, REPO, "--endpoint", hub.url)
        assert code == 3
        assert err.splitlines()[-1].startswith("interrupted: Cannot upload to user/toy: ")
        assert hub.token not in err
        fault.times = 0
        assert terminal.run(out, REPO, "--endpoint", hub.url)[0] == 0
        assert set(hub.puts.values()) == {1}

    def test_3_where_it_is_stopped(
        self, hub: HubServer, out: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stop(*args: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("remelt.recipes.hub.publish._send", stop)
        code, _, err = terminal.run(out, REPO, "--endpoint", hub.url)
        assert (code, "interrupted: stopped; run the same command again" in err) == (3, True)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answer", "words", "published"), [(False, [], False), (True, [], True), (False, ["--yes"], True)]
)
def test_somebody_at_a_terminal_is_asked(
    hub: HubServer,
    out: Path,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    answer: bool,
    words: list[str],
    published: bool,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("remelt.cli.publish._somebody_there", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda text: asked.append(text) or answer)
    code, _, err = terminal.run(out, REPO, "--endpoint", hub.url, *words)
    assert (REPO in hub.repositories) is published
    assert asked == ([] if words else [f"Publish to {hub.url}/datasets/user/toy?"])
    assert code == (0 if published else 2)
    assert ("Nothing was published" in err) is not published


def test_a_result_that_cannot_be_written_is_refused_before_anything_is_sent(
    hub: HubServer, out: Path, terminal: Terminal, quick: None
) -> None:
    for target, message in ((out, "it is a folder"), (out / "no" / "x.json", "there is no folder")):
        code, _, told = terminal.run(out, REPO, "--json", target)
        assert code == 2
        assert message in told
    assert hub.requests == []
