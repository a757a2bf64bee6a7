"""Which column of a table holds what: from `COLUMN=FIELD` options or from a small YAML or TOML file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value
from .base import read_bytes, safe_name, safe_split

FIELDS = (
    "id", "split", "dialogue_id", "utterance_id", "speaker", "text", "label", "sentiment", "season",
    "episode", "start", "end", "clip",
)  # fmt: skip
_KINDS = {"columns": "column: field pairs", "files": "split: file pairs", "labels": "a list of names"}


@dataclass(frozen=True)
class TableMapping:
    """How a table is read as a corpus.

    A field that no column is mapped to is read from the column of the same name, where there is one.

    Attributes:
        columns: column -> field; the fields are `FIELDS`. `text` is needed, and `id` or both of
            `dialogue_id` and `utterance_id`. `start` and `end` are seconds or H:MM:SS,mmm; `clip` is a path
            relative to the corpus folder.
        files: split -> file (relative to the folder); empty to find them by their names, or to take the
            splits from the `split` column.
        name: the corpus's name in ids.
        labels: the emotion names that the corpus has, for finding others; empty to accept all.
        licence, homepage, citation: for the dataset card.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    labels: tuple[str, ...] = ()
    licence: str = ""
    homepage: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        for column, name in self.columns.items():
            if name not in FIELDS:
                raise InputError(f"{bad_value('field', name, FIELDS)} (for the column {column!r})")
        doubled = sorted({f for f in self.columns.values() if list(self.columns.values()).count(f) > 1})
        if doubled:
            raise InputError(f"The fields {doubled!r} have several columns each, expected one")
        for split, file in self.files.items():
            safe_split(split, "mapping")
            path = Path(file)
            if path.is_absolute() or ".." in path.parts:
                raise InputError(
                    f"Bad file {file!r} of split {split!r}, expected a path below the corpus folder"
                )
        if self.name is not None:
            safe_name(self.name)

    def column_of(self, columns: Sequence[str]) -> dict[str, str]:
        """Field -> column, for the columns that a file has.

        Raises:
            InputError: a mapped column is not there.
        """
        missing = [column for column in self.columns if column not in columns]
        if missing:
            raise InputError(f"mapped columns {missing!r} are not there, found {list(columns)!r}")
        found = {name: column for column, name in self.columns.items()}
        for name in FIELDS:
            if name in columns and name not in self.columns:
                found.setdefault(name, name)
        return found


def from_options(
    columns: Sequence[str], file: Path | None = None, name: str | None = None
) -> TableMapping | None:
    """The mapping that command-line options give; None where there is none.

    Args:
        columns: `COLUMN=FIELD` each; they go before the file's.
        file: a mapping file.
        name: the corpus's name; only used if there is a mapping.

    Raises:
        InputError: an option or the file cannot be used.
    """
    if file is None and not columns:
        return None
    mapping = TableMapping() if file is None else read(file)
    pairs: dict[str, str] = {}
    for option in columns:
        column, equals, target = option.rpartition("=")
        if not equals or not column:
            raise InputError(f"Bad column option {option!r}, expected COLUMN=FIELD; fields: {list(FIELDS)!r}")
        if column in pairs:
            raise InputError(f"The column {column!r} is mapped twice")
        pairs[column] = target.strip()
    taken = set(pairs.values())
    kept = {c: f for c, f in mapping.columns.items() if f not in taken and c not in pairs}
    values = {f.name: getattr(mapping, f.name) for f in fields(mapping)}
    return TableMapping(**{**values, "columns": {**kept, **pairs}, "name": name or mapping.name})


def read(path: Path) -> TableMapping:
    """Reads a mapping file: YAML (`.yaml`, `.yml`) or, from Python 3.11 on, TOML (`.toml`).

    Its keys are the attributes of `TableMapping`.

    Raises:
        InputError: the file cannot be read, or has other keys or values.
    """
    data = _parse(path)
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected keys and values, such as `columns: {{Utterance: text}}`")
    known = [f.name for f in fields(TableMapping)]
    for key in data:
        if key not in known:
            raise InputError(f"{path}: {bad_value('key', key, known)}")
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key in ("columns", "files"):
            right = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
            values[key] = {str(k): v for k, v in value.items()} if right else value
        elif key == "labels":
            right = isinstance(value, list) and all(isinstance(v, str) for v in value)
            values[key] = tuple(v.strip().casefold() for v in value) if right else value
        else:
            right = isinstance(value, str)
            values[key] = value
        if not right:
            raise InputError(f"{path}: bad {key} {value!r}, expected {_KINDS.get(key, 'a text')}")
    try:
        return TableMapping(**values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _parse(path: Path) -> object:
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8") from None
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"{path} is not YAML: {error}") from None
    if suffix == ".toml":
        try:
            toml = importlib.import_module("tomllib")
        except ModuleNotFoundError:
            raise InputError(f"{path}: TOML needs Python 3.11 or newer; write the mapping as YAML") from None
        try:
            return toml.loads(text)
        except ValueError as error:
            raise InputError(f"{path} is not TOML: {error}") from None
    raise InputError(bad_value("mapping file ending", path.suffix, [".yaml", ".yml", ".toml"]))
