"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A machine that stands still for a moment says nothing about the code under test.
settings.register_profile("remelt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("remelt")

REPOSITORY = Path(__file__).resolve().parents[1]
# No test asks the key store of who runs it.
os.environ.setdefault("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real corpora; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("REMELT_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "meld").is_dir():
        pytest.skip(f"real corpora are not at {folder}; set REMELT_TEST_DATA to run this test")
    return folder


@pytest.fixture(scope="module")
def no_figures() -> Iterator[None]:
    """No pictures are drawn, which take most of a small build's time; tests/audit draws them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remelt.audit.run._figures", lambda findings: {})
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB; needs the right to mount."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small file system needs root")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=False)


@pytest.fixture
def encodings(test_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which tiktoken finds o200k_base without a network."""
    from remelt.annotators import tokens

    folder = test_data / "tiktoken"
    if not folder.is_dir():
        pytest.skip(f"no encoding at {folder}")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    tokens._loaded.cache_clear()
    return folder


@pytest.fixture
def no_encodings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """tiktoken cannot get any file, as without a network."""
    import tiktoken

    from remelt.annotators import tokens

    def unreachable(name: str) -> None:
        raise ConnectionError(f"no way to {name}")

    monkeypatch.setattr(tiktoken, "get_encoding", unreachable)
    tokens._loaded.cache_clear()
    yield
    tokens._loaded.cache_clear()
