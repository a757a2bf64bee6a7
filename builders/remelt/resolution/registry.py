"""Finds the rules: modules beside this one that declare a `NAME`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

_HERE = Path(__file__).parent


def rules() -> Mapping[str, ModuleType]:
    """The rule modules by name, in alphabetical order.

    >>> "majority" in rules() and "dawid_skene" in rules()
    True
    """
    found: dict[str, ModuleType] = {}
    for name in sorted(m.name for m in pkgutil.iter_modules([str(_HERE)])):
        module = importlib.import_module(f"{__package__}.{name}")
        if hasattr(module, "NAME"):
            found[module.NAME] = module
    return dict(sorted(found.items()))
