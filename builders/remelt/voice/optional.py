"""Optional packages, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import InputError


def package(name: str, extra: str = "voice") -> Any:
    """An optional package, imported now.

    Raises:
        InputError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"The package {name!r} cannot be loaded ({error}); install it with: pip install 'remelt[{extra}]'"
        ) from None
