"""Fixtures of all tests of the evaluation."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """One thread for torch: tests share a machine, and sums have one order."""
    import torch

    torch.set_num_threads(1)
