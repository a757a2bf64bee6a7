"""Every promise in docs/guarantees.md is backed by a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def missing(text: str, repository: Path) -> list[str]:
    """The named tests that are not there, and the promises without one."""
    found = []
    for line in text.splitlines():
        if not line.startswith("| ") or line.startswith("| promise"):
            continue
        named = _NAMED.findall(line)
        if not named:
            found.append(line)
        for file, function in named:
            path = repository / file
            tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
            functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
            if function not in functions or not function.startswith("test_"):
                found.append(f"{file}::{function}")
    return found


def test_every_promise_has_its_test(repository: Path) -> None:
    text = (repository / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert len(_NAMED.findall(text)) > 30
    assert missing(text, repository) == []


def test_a_promise_without_a_test_is_noticed(repository: Path) -> None:
    text = "| promise | test |\n|---|---|\n| a | b |\n| c | `tests/test_lock.py::test_nothing` |\n"
    assert missing(text, repository) == ["| a | b |", "tests/test_lock.py::test_nothing"]
