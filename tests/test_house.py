"""The house rules that a machine can check: which way imports point, short files, a light command line."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "remelt"
# The layers from bottom to top; a module of the package named nowhere here is one of the parts.
FOUNDATION = ("errors", "fingerprints", "records", "protocols")
# batch_log keeps its tables in the journal's file; the engine writes them, recipes and commands read them.
SUPPORT = ("batch_log", "hf_models", "journal", "labels", "offline", "resources", "rows")
PART = 2
ABOVE_PARTS = {"recipes": 3, "cli": 4, "__main__": 5, "": 5}
# Modules that belong to a part without lying in its folder.
PART_OF = {"names": "selection", "profiles": "selection", "words_answers": "answers"}
HEAVY = (
    "datasets", "huggingface_hub", "jinja2", "jsonschema", "matplotlib", "numpy", "openai", "pyarrow",
    "soundfile", "tiktoken", "torch", "yaml", "ftfy",
)  # fmt: skip
TOP_LEVEL = {"builders", "prompts", "schemas", "cards", "scripts", "tests", "benchmarks", "docs"}
MOST_LINES = 450


def level(part: str) -> int:
    if part in FOUNDATION:
        return 0
    if part in SUPPORT:
        return 1
    return ABOVE_PARTS.get(part, PART)


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a module imports, inside functions and by literal name too."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            name = node.args[0].value
            if called in ("import_module", "__import__") and isinstance(name, str):
                yield node.lineno, name if not name.startswith(".") else f"{package}.{name.lstrip('.')}"


def part_of(name: str) -> str:
    """The part of the package a dotted name lies in; empty for the package itself."""
    part = f"{name}.".split(".")[1]
    return PART_OF.get(part, part)


def violations(root: Path) -> list[str]:
    """Every import inside `root/remelt` that points up, or from one part into another."""
    found = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        module = module_name(path, root)
        own = part_of(module)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, name in imported(tree, module, path.stem == "__init__"):
            other = part_of(name)
            if name.partition(".")[0] != PACKAGE or name == f"{PACKAGE}.__version__" or other == own:
                continue
            if level(other) > level(own) or (level(other) == level(own) and level(own) != 0):
                found.append(f"{path.relative_to(root).as_posix()}:{line} imports {name}")
    return found


def test_imports_point_one_way(repository: Path) -> None:
    assert violations(repository / "builders") == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("corpora/meld.py", "from ..audit import matrix", "remelt.audit.matrix"),
        ("corpora/meld.py", "from .. import audit", "remelt.audit"),
        ("corpora/__init__.py", "from ..audit import matrix", "remelt.audit.matrix"),
        ("corpora/deep/er.py", "from ...audit.matrix import counts", "remelt.audit.matrix.counts"),
        ("corpora/meld.py", "import remelt.audit.matrix as m", "remelt.audit.matrix"),
        ("corpora/meld.py", "import os, remelt.audit", "remelt.audit"),
        ("corpora/meld.py", "from remelt.audit import matrix", "remelt.audit.matrix"),
        ("corpora/meld.py", "from remelt import audit", "remelt.audit"),
        ("corpora/meld.py", "def f():\n    from ..audit import matrix", "remelt.audit.matrix"),
        ("corpora/meld.py", "import importlib\nimportlib.import_module('remelt.audit')", "remelt.audit"),
        ("corpora/meld.py", "from ..recipes import melt", "remelt.recipes.melt"),
        ("recipes/melt.py", "from ..cli import build", "remelt.cli.build"),
        ("names.py", "from .engine import run", "remelt.engine.run"),
        ("labels.py", "from .resources import read", "remelt.resources.read"),
        ("records.py", "from .labels import MELT", "remelt.labels.MELT"),
        ("errors.py", "import remelt", "remelt"),
        ("audit/table.py", "if TYPE_CHECKING:\n    from ..voice import wav", "remelt.voice.wav"),
        ("newpart.py", "from .corpora import base", "remelt.corpora.base"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, source: str, expected: str) -> None:
    file = tmp_path / PACKAGE / path
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == [f"{PACKAGE}/{path}:{source.count(chr(10)) + 1} imports {expected}"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cli/build.py", "from ..recipes import melt\nfrom ..corpora import load\nfrom ..errors import bad"),
        ("recipes/melt.py", "from .. import corpora, __version__\nfrom ..journal import Journal"),
        (
            "corpora/meld.py",
            "from . import base\nfrom .base import Corpus\nfrom ..labels import X\nimport csv",
        ),
        ("corpora/__init__.py", "from .meld import load\nfrom ..records import Utterance"),
        ("selection.py", "from .names import gather\nfrom .profiles import folder"),
        ("protocols.py", "from .records import Reply"),
        ("corpora/meld.py", "import remelted.audit\nfrom audit import remelt"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, path: str, source: str) -> None:
    file = tmp_path / PACKAGE / path
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == []


def test_files_are_short(repository: Path) -> None:
    lines = {}
    for folder in ("builders", "scripts", "tests"):
        for path in (repository / folder).rglob("*.py"):
            lines[path.relative_to(repository).as_posix()] = path.read_text(encoding="utf-8").count("\n")
    assert len(lines) > 10
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_unplanned_top_level_folder(repository: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=repository, text=True).split("\0")
    folders = {path.partition("/")[0] for path in tracked if "/" in path}
    assert {name for name in folders if not name.startswith(".")} <= TOP_LEVEL
    assert "builders" in folders


def loaded_after(statement: str) -> set[str]:
    """The top-level modules in memory after a statement in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("statement", ["import remelt", "import remelt.cli"])
def test_the_command_line_loads_nothing_heavy(statement: str) -> None:
    loaded = loaded_after(statement)
    assert "remelt" in loaded
    assert loaded.isdisjoint(HEAVY), f"{statement} loads {sorted(loaded.intersection(HEAVY))}"


def test_a_heavy_import_is_noticed() -> None:
    assert "numpy" in loaded_after("import remelt, numpy.linalg")
