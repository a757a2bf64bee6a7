"""The lock file of the development environment fits what pyproject.toml asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

try:
    import tomllib
except ImportError:
    tomllib = pytest.importorskip("tomli")

SYSTEMS = [
    {"python_version": version, "python_full_version": f"{version}.4", "sys_platform": system,
     "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system]}
    for version in ("3.10", "3.11", "3.12", "3.13")
    for system in ("linux", "darwin", "win32")
]  # fmt: skip


def locked(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith(("#", "-"))]


def wanted(repository: Path) -> list[Requirement]:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for text in (*project["dependencies"], *(r for group in extras for r in group))]


def problems(lines: list[Requirement], asked: list[Requirement], system: dict[str, str]) -> list[str]:
    """What is asked for and not locked, on one system."""
    versions = {
        canonicalize_name(line.name): str(line.specifier).removeprefix("==")
        for line in lines
        if line.marker is None or line.marker.evaluate(system)
    }
    found = []
    for requirement in asked:
        if requirement.marker is not None and not requirement.marker.evaluate(system):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement} ({version})")
    return found


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: f"{s['python_version']}-{s['sys_platform']}")
def test_every_requirement_is_locked_within_its_range(repository: Path, system: dict[str, str]) -> None:
    lines = locked((repository / "requirements-dev.lock").read_text(encoding="utf-8"))
    assert problems(lines, wanted(repository), system) == [], "renew it with scripts/lock"


def test_the_lock_is_exact_and_needs_no_graphics_processor(repository: Path) -> None:
    text = (repository / "requirements-dev.lock").read_text(encoding="utf-8")
    lines = locked(text)
    assert [str(line) for line in lines if not re.fullmatch(r"==[\w.+!-]+", str(line.specifier))] == []
    assert [line.name for line in lines if re.match(r"nvidia|cuda|triton", line.name)] == []
    assert "torch==2" in text
    assert re.search(r"^torch==[\d.]+\+cpu ; sys_platform == 'linux'$", text, re.MULTILINE)


def test_a_lock_that_does_not_fit_is_noticed() -> None:
    lines = locked("# c\na==1.5\nb==2.0 ; sys_platform == 'win32'\n")
    asked = [Requirement("A>=1,<2"), Requirement("b>=1"), Requirement("c")]
    assert problems(lines, asked, SYSTEMS[0]) == ["b>=1 (None)", "c (None)"]
    assert problems(lines, [Requirement("a>=2")], SYSTEMS[0]) == ["a>=2 (1.5)"]
