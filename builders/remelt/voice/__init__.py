"""The voice: audio in, its quality, pitch and loudness, levels of both, and word error rates."""

from __future__ import annotations

from importlib.util import find_spec

_PACKAGES = {"av": "av", "soxr": "soxr", "scipy": "scipy"}


def missing_packages() -> list[str]:
    """Packages of the extra `voice` that reading and measuring sound needs and that are not installed."""
    return [package for package, module in _PACKAGES.items() if find_spec(module) is None]
