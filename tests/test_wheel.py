"""The wheel carries every data file of the checkout, and works where there is no checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Folder of the checkout -> folder in the wheel.
DATA = {
    "prompts": "remelt/prompts",
    "schemas": "remelt/schemas",
    "cards": "remelt/cards",
    "builders/remelt": "remelt",
}
OFFLINE = re.compile(
    r"Failed to establish a new connection|name resolution|Network is unreachable|ProxyError|Timeout"
)
RUN_SECONDS = 900


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command that sees neither the checkout nor this environment's packages."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=cwd, env=kept, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )


def files_of(folder: Path) -> dict[str, bytes]:
    """Path inside the folder and content of every file, caches left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    result = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, repository, cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    # Only what the tests import is worth compiling.
    options = ["--disable-pip-version-check", "--no-compile"]
    result = run(python, "-m", "pip", "install", *options, wheel, cwd=folder)
    if result.returncode and OFFLINE.search(result.stdout + result.stderr):
        pytest.skip("no package index can be reached")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "venv" / "bin"


def test_the_wheel_holds_the_checkouts_files(repository: Path, wheel: Path) -> None:
    expected = {}
    for source, target in DATA.items():
        files = files_of(repository / source)
        assert files, source
        expected.update({f"{target}/{name}": content for name, content in files.items()})
    assert {name for name in expected if name.startswith("remelt/corpora/sample/train_splits/")}
    with zipfile.ZipFile(wheel) as archive:
        found = {
            n: archive.read(n) for n in archive.namelist() if not n.partition("/")[0].endswith(".dist-info")
        }
        names = archive.namelist()
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert wheel.stat().st_size < 8_000_000


def test_the_source_distribution_holds_what_a_checkout_needs(repository: Path, built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "CITATION.cff", "CHANGELOG.md", "pyproject.toml", "scripts/quickstart"}
    wanted |= {
        "scripts/test",
        "scripts/environment.bash",
        "scripts/sample_dialogues.yaml",
        "tests/conftest.py",
    }
    assert wanted <= names


def test_the_command_runs_from_a_clean_environment(installed: Path, tmp_path: Path) -> None:
    version = run(installed / "remelt", "--version", cwd=tmp_path)
    assert (version.returncode, version.stderr) == (0, "")
    assert re.fullmatch(r"remelt \d+\.\d+\.\d+\S*\n", version.stdout)
    prompts = run(installed / "remelt", "prompts", cwd=tmp_path)
    assert prompts.returncode == 0, prompts.stderr
    assert "melt" in prompts.stdout
    place = run(installed / "python", "-c", "import remelt; print(remelt.__file__)", cwd=tmp_path)
    assert place.stdout.startswith(str(installed.parent))


def test_a_build_from_a_clean_environment(installed: Path, tmp_path: Path) -> None:
    options = ["--corpus", "sample", "--profile", "sample", "--annotator", "mock", "--out", "made"]
    built = run(installed / "remelt", "build", "melt", *options, cwd=tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    out = tmp_path / "made"
    counts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert {split: count["input"] for split, count in counts.items()} == {"train": 58, "dev": 11, "test": 16}
    assert (out / "audit" / "report.html").stat().st_size > 10_000
    script = "from datasets import load_dataset as load\nprint(load('made', cache_dir='cache').num_rows)"
    loaded = run(installed / "python", "-c", script, cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    kept = {split: count["kept"] for split, count in counts.items()}
    assert loaded.stdout.splitlines()[-1] == str(kept)
    verified = run(installed / "remelt", "verify", "made", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
