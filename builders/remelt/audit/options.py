"""The options of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .groups import DURATION_EDGES, WORD_EDGES


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What to compare and what to write.

    Attributes:
        before, after: label columns; `original_label` and `label` where not given. With `against`, `before`
            is a column of the audited dataset and `after` one of the other, `label` for both by default.
        against: another dataset, joined by id.
        to: where the files go; `OUT/audit` for a plain audit of a dataset folder, a folder of its own
            beside it or in it otherwise.
        figures: whether SVG and PNG figures are drawn.
        audio_bytes: clips are embedded in the report until they take this many bytes; 0 for none.
        report_rows: the report carries at most about this many rows.
        duration_edges: seconds; word_edges: words: where one bin ends and the next begins.
    """

    before: str | None = None
    after: str | None = None
    against: Path | None = None
    to: Path | None = None
    figures: bool = True
    audio_bytes: int = 20_000_000
    report_rows: int = 20_000
    duration_edges: tuple[float, ...] = DURATION_EDGES
    word_edges: tuple[float, ...] = WORD_EDGES
