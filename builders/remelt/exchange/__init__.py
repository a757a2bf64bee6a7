"""Annotations made elsewhere: one module per format, each reads it and may write it.

A module with a `NAME` is a format; `read` finds the right one by looking at the file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value
from .base import Format, Given, Item, Reading, ReadOptions, Sheet, Source

__all__ = [
    "Format",
    "Given",
    "Item",
    "ReadOptions",
    "Reading",
    "Sheet",
    "Source",
    "format_of",
    "formats",
    "read",
    "write",
    "written_formats",
]


def formats() -> Mapping[str, Any]:
    """The formats' modules by name, in the order in which a file is tried.

    >>> list(formats())
    ['remelt', 'label-studio', 'argilla', 'table']
    """
    found = []
    for name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        if hasattr(module, "NAME"):
            found.append(module)
    return {module.NAME: module for module in sorted(found, key=lambda module: module.ORDER)}


def format_of(source: Source) -> str:
    """The name of the format that a file looks like.

    Raises:
        InputError: it looks like none; the message lists the choices.
    """
    for name, module in formats().items():
        if module.recognises(source):
            return name
    known = "; ".join(f"{name} ({module.TITLE})" for name, module in formats().items())
    raise InputError(f"{source.path} is in no format that is known; --format says which it is: {known}")


def read(path: Path, options: ReadOptions, form: str | None = None) -> tuple[str, Reading]:
    """The labels in a file or folder.

    Args:
        path: the file or folder.
        options: how to read it.
        form: the format's name; None to find it.

    Returns:
        The format's name, and what the file holds.

    Raises:
        InputError: the file is missing, of no known format, or holds what cannot be used.
    """
    source = Source(path)
    name = form or format_of(source)
    if name not in formats():
        raise InputError(bad_value("format", name, formats()))
    reading: Reading = formats()[name].read(source, options)
    return name, reading


def written_formats() -> Mapping[str, Any]:
    """The modules of the formats that can be written, by the name of what they write."""
    return {form: module for module in formats().values() for form in getattr(module, "WRITES", ())}


def write(to: Path, sheet: Sheet, form: str, replace: bool = False) -> list[Path]:
    """Writes a sheet for annotators.

    Args:
        replace: whether files that exist may go; somebody may have filled them in.

    Returns:
        The files that were written, the main one first.

    Raises:
        InputError: an unknown format, a file that exists, or one that cannot be written.
    """
    known = written_formats()
    if form not in known:
        raise InputError(bad_value("format", form, known))
    files: list[Path] = known[form].files(to)
    if len(set(files)) < len(files):
        raise InputError(
            f"{to} cannot be both {form}'s own file and the one beside it; give it another ending"
        )
    there = [str(path) for path in files if path.exists()]
    if there and not replace:
        raise InputError(
            f"{', '.join(there)} exists, and somebody may have filled it in; --force writes it anew"
        )
    paths: list[Path] = known[form].write(to, sheet, form)
    return paths
