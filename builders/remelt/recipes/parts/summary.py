"""What is known of a part once it is made, and how that is kept beside its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...engine import Stats, stats_from, stats_record

if TYPE_CHECKING:
    from ...publishing.streamed import Spooled
    from ...selection import SelectionCounts

FILE = "summary.json"


@dataclass(frozen=True)
class PartSummary:
    """One part, without its rows.

    Attributes:
        number, split, start: which part it is (see `PartTask`).
        rows: rows of the corpus in it.
        fingerprint: the job's.
        complete: whether every question has its answer, so that the part need not be made again.
        counts: what the selection did.
        spooled: what lies in the part's folder.
        stats: what happened when its questions were asked.
        each: the same for each annotator by name.
        members: for each annotator by name what it told: notices, retires, caveat, and `run` where it was
            asked in an earlier run only.
        info: what the rule of the vote counted; None where there was no vote.
    """

    number: int
    split: str
    start: int
    rows: int
    fingerprint: str
    complete: bool
    counts: SelectionCounts
    spooled: Spooled
    stats: Stats
    each: Mapping[str, Stats]
    members: Mapping[str, Mapping[str, Any]]
    info: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` reads it again, on another machine too."""
        same = ("number", "split", "start", "rows", "fingerprint", "complete", "members", "info")
        return {
            **{name: getattr(self, name) for name in same},
            "counts": self.counts.as_dict(),
            "spooled": self.spooled.as_dict(),
            "stats": stats_record(self.stats),
            "each": {name: stats_record(stats) for name, stats in self.each.items()},
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PartSummary:
        """What `as_dict` gave."""
        from ...publishing.streamed import Spooled
        from ...selection import SelectionCounts

        return cls(
            **{
                **record,
                "counts": SelectionCounts.from_dict(record["counts"]),
                "spooled": Spooled.from_dict(record["spooled"]),
                "stats": stats_from(record["stats"]),
                "each": {name: stats_from(stats) for name, stats in record["each"].items()},
            }
        )


def part_folder(parts: Path, number: int) -> Path:
    """Where a part lies below the folder of all parts."""
    return parts / f"{number:06d}"


def read_summary(parts: Path, number: int, fingerprint: str) -> PartSummary | None:
    """The summary of a part that an earlier run has made and that still holds; None where it is to be made.

    Args:
        parts: the folder of all parts.
        number: the part's.
        fingerprint: the job's; a part of another one, or one with questions left open, does not hold, nor
            does one whose rows are not there to their end.
    """
    from ...publishing.streamed import is_whole

    folder = part_folder(parts, number)
    try:
        record = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if record["fingerprint"] != fingerprint or not record["complete"] or not is_whole(folder):
            return None
        return PartSummary.from_dict(record)
    except (OSError, ValueError, KeyError, TypeError):
        # Whatever is wrong with it: the part is made again, from the journal.
        return None


def write_summary(parts: Path, summary: PartSummary) -> None:
    """Keeps a summary beside the rows of its part, whole or not at all; until then the part does not count.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
    """
    from ...publishing.manifest import plain
    from ...publishing.parquet import write_bytes

    text = json.dumps(plain(summary.as_dict()), ensure_ascii=True)
    write_bytes(text.encode("ascii"), part_folder(parts, summary.number) / FILE)
