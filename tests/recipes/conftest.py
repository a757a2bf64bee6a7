"""A dataset that several test files read and none changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from remelt.recipes.finishing import BuildResult

from .votes import voted


@pytest.fixture(autouse=True, scope="module")
def _no_figures(no_figures: None) -> None:
    """Figures of an audit are drawn in tests/audit and, whole builds with them, in tests/test_api.py."""


@pytest.fixture(scope="session")
def voted_build(tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    """30 rows in MELD's layout with the votes of `votes.VOTES`; the folder of the corpus is beside OUT."""
    return voted(tmp_path_factory.mktemp("voted"))


@pytest.fixture(scope="session")
def voted_out(voted_build: BuildResult) -> Path:
    return voted_build.out
