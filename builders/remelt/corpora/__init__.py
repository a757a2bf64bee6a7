"""Corpus readers: one module each, found by the `INFO` it declares.

A new corpus is one module here with `INFO: CorpusInfo`, `matches(folder) -> bool` and
`load(folder, *, name=None, splits=None) -> Corpus`. One that knows its clips by their names alone also has
`BY_NAMES = True`, so that it does not take a folder whose table says what the clips are.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from ..errors import InputError, bad_value
from . import media, table
from .base import Corpus, CorpusInfo
from .mapping import TableMapping, from_options

__all__ = ["Corpus", "CorpusInfo", "TableMapping", "detect", "from_options", "info", "load", "names"]


@cache
def _readers() -> dict[str, ModuleType]:
    modules = [
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    readers = {module.INFO.name: module for module in modules if hasattr(module, "INFO")}
    return dict(sorted(readers.items()))


def names() -> list[str]:
    """The readers, in alphabetical order.

    >>> {"meld", "sample", "table"} <= set(names())
    True
    """
    return list(_readers())


def info(name: str) -> CorpusInfo:
    """What is known of a corpus.

    Raises:
        InputError: there is no such reader; the message lists the choices.
    """
    if name not in _readers():
        raise InputError(bad_value("corpus", name, names()))
    found: CorpusInfo = _readers()[name].INFO
    return found


def detect(folder: str | Path) -> str:
    """The reader whose layout a folder has; `table` where there are tables of no known layout.

    Raises:
        InputError: there is no such folder or file, or nothing to read in it.
    """
    path = Path(folder)
    if not path.exists():
        raise InputError(f"There is no folder or file {str(folder)!r}; `sample` is the bundled corpus")
    with media.one_look():
        special = [name for name, found in _readers().items() if found is not table and found.matches(path)]
    # The bundled folder also has MELD's layout.
    if "sample" in special:
        return "sample"
    if len(special) > 1:
        raise InputError(
            f"{path} holds several corpora, {special!r}; give the folder of one, or the reader's name "
            f"(--name {special[0]})"
        )
    if special and getattr(_readers()[special[0]], "BY_NAMES", False) and table.matches(path):
        raise InputError(
            f"{path} has clips named as {special[0]} names them, and tables; say which to read: "
            f"--name {special[0]}, or --name {table.INFO.name} (or a mapping) for a table"
        )
    if special:
        return special[0]
    if table.matches(path):
        return table.INFO.name
    layouts = "; ".join(f"{name}: {module.INFO.layout}" for name, module in _readers().items())
    raise InputError(f"Nothing to read below {path}, expected one of these layouts - {layouts}")


def load(
    source: str | Path,
    *,
    name: str | None = None,
    splits: Sequence[str] | None = None,
    mapping: TableMapping | None = None,
) -> Corpus:
    """Reads a corpus.

    Args:
        source: the corpus folder or table file; `sample` for the bundled corpus (`./sample` for a folder of
            that name).
        name: a reader's name to use that reader, else the corpus's name in utterance ids. By default the
            reader is found from the layout and gives the name.
        splits: the splits to give, in this order; all by default, train first.
        mapping: the columns of a table; given one, the table reader is used.

    Raises:
        InputError: the corpus cannot be read; the message names file, row, value and choices.
    """
    if source == "sample" and mapping is None:
        source = _readers()["sample"].FOLDER
    path = Path(source)
    if not path.exists():
        raise InputError(f"There is no folder or file {str(source)!r}; `sample` is the bundled corpus")
    reader = name if name in _readers() and mapping is None else None
    with media.one_look():
        if mapping is not None:
            reader = table.INFO.name
        elif reader is not None:
            name = None
        else:
            reader = detect(path)
        if reader == table.INFO.name:
            return table.load(path, mapping, name=name, splits=splits)
        corpus: Corpus = _readers()[reader].load(path, name=name, splits=splits)
        return corpus
