"""The published systems, found by the `INFO` that each module declares."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import cast

from ....errors import InputError, bad_value
from ..base import System


@cache
def _systems() -> dict[str, System]:
    modules = [
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    systems = {module.INFO.name: cast(System, module) for module in modules if hasattr(module, "INFO")}
    return dict(sorted(systems.items()))


def names() -> list[str]:
    """The systems, in alphabetical order."""
    return list(_systems())


def system(name: str) -> System:
    """A system by its name; `-` and `_` are the same in it.

    Raises:
        InputError: there is no such system; the message lists the choices.
    """
    wanted = name.replace("-", "_")
    if wanted not in _systems():
        raise InputError(bad_value("system", name, names()))
    return _systems()[wanted]
