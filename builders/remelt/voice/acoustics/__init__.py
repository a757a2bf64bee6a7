"""Pitch, loudness and rhythm of a voice. One backend = one module here, found by the `NAME` it declares.

A backend module has `NAME`, `LICENCE` and `create(functionals: bool) -> base.Backend`; it imports optional
packages inside functions, because all modules here are read to find the one that is asked for. `default` is
the name of the backend that remelt chooses, `DEFAULT`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType

from ...errors import InputError, bad_value
from .base import FUNCTIONALS, MEASURES, RATE, Backend

__all__ = ["DEFAULT", "FUNCTIONALS", "MEASURES", "RATE", "Backend", "backends", "create"]

DEFAULT = "shs"


def backends() -> Mapping[str, ModuleType]:
    """The backend modules by name, in alphabetical order.

    >>> list(backends())
    ['afx', 'opensmile', 'shs', 'swift-f0']
    """
    modules = [
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    return dict(sorted((module.NAME, module) for module in modules if hasattr(module, "NAME")))


def create(name: str = "default", functionals: bool = False) -> Backend:
    """A backend, ready to measure.

    Args:
        name: a key of `backends()`, or `default`.
        functionals: measure the 88 functionals of eGeMAPSv02 besides, under their own names.

    Raises:
        InputError: there is no such backend (the message lists the choices), or its package is not
            installed (the message has the command that installs it).
    """
    known = backends()
    wanted = DEFAULT if name == "default" else name
    if wanted not in known:
        raise InputError(bad_value("acoustics backend", name, ["default", *known]))
    made: Backend = known[wanted].create(functionals)
    return made
