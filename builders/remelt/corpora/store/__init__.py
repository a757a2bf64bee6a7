"""A table corpus of any size, kept in a file instead of memory, with the same checks and the same answers.

`CorpusStore.open` reads the table once, row by row, into one SQLite file. Checks that compare rows (unique
ids, turns, repeated lines, shared recordings, spellings) are done there, so that memory does not grow with
the rows; flags, counts, notes and findings are those of `corpora.load`. The file is kept, and read again as
long as the tables, the mapping and the clips are the same.
"""

from __future__ import annotations

from .asking import most_rows, suits
from .reading import CorpusStore, PartPlace, StorePart, StoreTotals

__all__ = ["CorpusStore", "PartPlace", "StorePart", "StoreTotals", "most_rows", "suits"]
