"""How large a table is in memory, from numbers that add up over its parts.

A split is spread over several files by the size of its table in memory. Where the split never is in memory as
a whole, its parts are measured, and the sum says what `pyarrow.Table.nbytes` would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Arrow's layout: an offset has four bytes, a bit says whether a value is there.
_OFFSET = 4


@dataclass(frozen=True, slots=True)
class Measure:
    """What a table's buffers hold.

    Attributes:
        values: path of a column or of a part of it -> its values, how many of them are null, and the bytes of
            its texts.
    """

    values: Mapping[str, tuple[int, int, int]]

    @classmethod
    def of(cls, table: pa.Table) -> Measure:
        """That of a table of numbers, truth values, texts, and lists and structs of them."""
        found: dict[str, tuple[int, int, int]] = {}
        for name in table.column_names:
            for chunk in table[name].chunks:
                _measure(name, chunk, found)
        return cls(found)

    def plus(self, other: Measure) -> Measure:
        """That of both tables, one after the other."""
        found = dict(self.values)
        for path, values in other.values.items():
            found[path] = _sum(found.get(path, (0, 0, 0)), values)
        return Measure(found)

    def nbytes(self, schema: pa.Schema) -> int:
        """The bytes that a table with these columns takes in memory."""
        return sum(self._size(field.name, field.type) for field in schema)

    def _size(self, path: str, kind: pa.DataType) -> int:
        rows, nulls, data = self.values.get(path, (0, 0, 0))
        # A column in which nothing is missing has no bitmap.
        size = _bits(rows) if nulls else 0
        if pa.types.is_string(kind):
            return size + _OFFSET * rows + data
        if pa.types.is_list(kind):
            return size + _OFFSET * rows + self._size(f"{path}.item", kind.value_type)
        if pa.types.is_struct(kind):
            return size + sum(self._size(f"{path}.{field.name}", field.type) for field in kind)
        return size + (_bits(rows) if kind.bit_width == 1 else rows * kind.bit_width // 8)


def _measure(path: str, array: Any, found: dict[str, tuple[int, int, int]]) -> None:
    kind, data = array.type, 0
    if pa.types.is_string(kind):
        data = pc.sum(pc.binary_length(array)).as_py() or 0
    elif pa.types.is_list(kind):
        _measure(f"{path}.item", array.flatten(), found)
    elif pa.types.is_struct(kind):
        for number, field in enumerate(kind):
            _measure(f"{path}.{field.name}", array.field(number), found)
    found[path] = _sum(found.get(path, (0, 0, 0)), (len(array), array.null_count, data))


def _sum(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _bits(count: int) -> int:
    return -(-count // 8)
