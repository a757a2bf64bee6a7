"""The packages of `remelt[ser]`, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import InputError

# torch first, so that nothing else chooses its build.
INSTALL = "pip install torch==2.13.0 && pip install 'remelt[ser]'"


def package(name: str, install: str = INSTALL) -> Any:
    """A package of `remelt[ser]`, imported now.

    Args:
        name: of the module.
        install: what installs it, for the message.

    Raises:
        InputError: it is not installed; the message has the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"Training SER models needs the package {name!r}, which cannot be loaded ({error}); "
            f"install it with: {install}"
        ) from None
