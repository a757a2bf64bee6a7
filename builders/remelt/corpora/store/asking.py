"""Whether a source can have a store, how big it is at most, and what a store of it would be made of."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ... import __version__
from ...errors import InputError
from ...records import digest
from .. import table_layout
from ..base import open_bytes, safe_name, sha256
from ..mapping import TableMapping
from ..table import INFO
from .layout import VERSION

_BLOCK = 1 << 20


def suits(source: str | Path, mapping: TableMapping | None = None, name: str | None = None) -> bool:
    """Whether `corpora.load` with the same arguments would use the table reader, so that a store can be made.

    Raises:
        InputError: there is nothing to read at `source`.
    """
    from .. import detect, names

    if mapping is not None:
        return True
    if source == "sample":
        return False
    if not Path(source).exists():
        raise InputError(f"There is no folder or file {str(source)!r}; `sample` is the bundled corpus")
    return (name if name in names() else detect(source)) == INFO.name


def most_rows(source: str | Path, mapping: TableMapping | None = None) -> int:
    """How many rows a table corpus has at most, without reading them: lines; Parquet says it itself.

    Raises:
        InputError: no table, or one that cannot be read.
    """
    layout = table_layout.find(Path(source), mapping or TableMapping())
    return sum(_most_rows(layout.folder / path) for path, _ in layout.files)


def _most_rows(path: Path) -> int:
    if path.suffix.lower() not in (".parquet", ".arrow"):
        with open_bytes(path) as file:
            return 1 + sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
    import pyarrow
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".parquet":
            return int(pyarrow.parquet.read_metadata(path).num_rows)
        with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
            return sum(batch.num_rows for batch in stream)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from None


def key_of(source: Path, mapping: TableMapping | None, name: str | None) -> str:
    """What a store is made of: the version, the files' content, the mapping, the name; not the clips.

    Raises:
        InputError: no table, or one that cannot be read.
    """
    mapping = mapping or TableMapping()
    layout = table_layout.find(source, mapping)
    return digest(
        {
            "version": [VERSION, __version__],
            "name": safe_name(name or mapping.name or INFO.name),
            "mapping": asdict(mapping),
            # The order of columns decides which of two stands for a field.
            "columns": list(mapping.columns.items()),
            "folder": str(layout.folder.resolve()),
            "given": str(layout.folder),
            "files": [[path, split, sha256(layout.folder / path)] for path, split in layout.files],
            "class_names": {column: list(names) for column, names in layout.class_names.items()},
            "notes": list(layout.notes),
        }
    )
