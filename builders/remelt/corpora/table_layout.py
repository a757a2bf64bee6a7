"""Finds the table files of a folder and the split that each belongs to."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .base import read_bytes, safe_split
from .mapping import TableMapping
from .media import walk
from .table_files import SUFFIXES

_SPLIT_WORDS = {
    "train": "train", "training": "train", "dev": "dev", "devel": "dev", "val": "validation",
    "valid": "validation", "validation": "validation", "test": "test", "testing": "test", "eval": "test",
    "evaluation": "test",
}  # fmt: skip
_NOT_LETTERS = re.compile(r"[^a-z]+")


@dataclass(frozen=True)
class Layout:
    """The files of a table corpus.

    Attributes:
        folder: what the paths are relative to.
        files: path and split; None where the rows must say it themselves.
        class_names: label names that the folder states for columns of numbers.
        notes: what was taken for granted.
    """

    folder: Path
    files: tuple[tuple[str, str | None], ...]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def matches(source: Path) -> bool:
    """Whether there is a table file."""
    if source.is_file():
        return source.suffix.lower() in SUFFIXES
    return any(_is_table(file.name) for file in walk(source))


def _is_table(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def find(source: Path, mapping: TableMapping) -> Layout:
    """Finds the files, by the mapping, by the datasets library's layouts, or by their names.

    Args:
        source: the folder, or a single file.
        mapping: `files` and a `split` column are obeyed.

    Raises:
        InputError: no file, or a file whose split cannot be told.
    """
    if source.is_file():
        return _by_name(source.parent, [source.name], mapping)
    if mapping.files:
        missing = [file for file in mapping.files.values() if not (source / file).is_file()]
        if missing:
            raise InputError(f"The files {missing!r} of the mapping are not below {source}")
        return Layout(source, tuple((file, split) for split, file in mapping.files.items()))
    saved = _saved_to_disk(source)
    if saved:
        return Layout(source, tuple(saved))
    if _has_configs(source / "README.md"):
        return _hub_layout(source)
    paths = [file.path for file in walk(source) if _is_table(file.name)]
    if not paths:
        raise InputError(f"No table below {source}, expected files ending in one of {list(SUFFIXES)!r}")
    return _by_name(source, sorted(paths), mapping)


def _by_name(folder: Path, paths: Sequence[str], mapping: TableMapping) -> Layout:
    if "split" in mapping.columns.values():
        return Layout(folder, tuple((path, None) for path in paths))
    splits = [_split_of(path) for path in paths]
    if len(paths) == 1 and splits[0] is None:
        return Layout(folder, ((paths[0], None),))
    unclear = [path for path, split in zip(paths, splits, strict=True) if split is None]
    if unclear:
        raise InputError(
            f"{folder}: the split of {unclear[:5]!r} cannot be told, expected train, dev, validation or "
            "test in the file's name, a column mapped to 'split', or `files: {split: file}` in a mapping file"
        )
    return Layout(folder, tuple(zip(paths, splits, strict=True)))


def _split_of(path: str) -> str | None:
    """The split that the file's name says, else the nearest folder's.

    >>> _split_of("data/train-00000-of-00001.parquet"), _split_of("a.csv"), _split_of("dev/x.csv")
    ('train', None, 'dev')
    """
    for part in reversed(path.split("/")):
        words = _NOT_LETTERS.split(part.lower())
        named = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
        if len(named) == 1:
            return named.pop()
    return None


def _saved_to_disk(folder: Path) -> list[tuple[str, str | None]]:
    """The files of `save_to_disk`, of a dataset or of a dictionary of datasets."""
    index = folder / "dataset_dict.json"
    if not index.is_file():
        return _arrow_files(folder, "", None) if (folder / "state.json").is_file() else []
    splits = _json(index).get("splits")
    if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
        raise InputError(f"{index}: expected a list of splits")
    found: list[tuple[str, str | None]] = []
    for split in splits:
        safe_split(split, str(index))
        found += _arrow_files(folder, f"{split}/", split)
    return found


def _arrow_files(folder: Path, prefix: str, split: str | None) -> list[tuple[str, str | None]]:
    path = folder / prefix / "state.json"
    state = _json(path)
    files = state.get("_data_files")
    names = [f.get("filename") for f in files if isinstance(f, dict)] if isinstance(files, list) else []
    good = [name for name in names if isinstance(name, str) and Path(name).name == name]
    if not good or len(good) != len(names):
        raise InputError(f"{path}: expected the names of its Arrow files")
    return [(prefix + name, split or _split_name(state.get("_split"))) for name in good]


def _split_name(value: object) -> str | None:
    return safe_split(value, "state.json") if isinstance(value, str) else None


def _json(path: Path) -> dict[str, object]:
    try:
        data = json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a JSON object")
    return data


def _has_configs(card: Path) -> bool:
    """Whether a dataset card says where the data are."""
    if not card.is_file():
        return False
    text = read_bytes(card).decode("utf-8", "replace")
    front = text.split("\n---", 1)[0] if text.startswith("---") else ""
    return re.search(r"^(configs|dataset_info):", front, re.MULTILINE) is not None


def _hub_layout(folder: Path) -> Layout:
    """The default config's files, as the datasets library finds them."""
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        try:
            builder = datasets.load_dataset_builder(str(folder.resolve()), cache_dir=cache)
        except (ValueError, OSError) as error:
            raise InputError(f"{folder} cannot be read as a dataset folder: {error}") from None
    files = builder.config.data_files or {}
    found = [(path, str(split)) for split, paths in files.items() for path in _below(folder, paths)]
    if not found:
        raise InputError(f"{folder}: its card names no data files")
    features = builder.info.features or {}
    names = {c: list(f.names) for c, f in features.items() if isinstance(f, datasets.ClassLabel)}
    note = f"Read as a dataset folder, configuration {builder.config.name!r}."
    return Layout(folder, tuple(found), names, (note,))


def _below(folder: Path, paths: Iterable[str]) -> list[str]:
    root = folder.resolve()
    found = []
    for path in paths:
        resolved = Path(path).resolve()
        if not resolved.is_relative_to(root):
            raise InputError(f"{folder}: its card names {path}, which is not below the folder")
        found.append(resolved.relative_to(root).as_posix())
    return found
