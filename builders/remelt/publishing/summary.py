"""What the card says in numbers, counted from the published Parquet files themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..records import Stage
from .panel import STAGES
from .reading import read_split


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """One split's label counts.

    Attributes:
        rows: kept rows.
        compared: those with an original label; of them, `changed` have another label now.
        before, after: rows per label, over all kept rows; before[None] are those without an original label.
        matrix: for each original label that occurs (None for those without one), the rows per new label,
            in label order.
        characters, mismatches: rows with an echoed speaker, and those where it is not the speaker.
    """

    split: str
    rows: int
    compared: int
    changed: int
    before: Mapping[str | None, int]
    after: Mapping[str, int]
    matrix: Mapping[str | None, Sequence[int]]
    characters: int
    mismatches: int

    @property
    def change_rate(self) -> float | None:
        """Share of the compared rows whose label is another one now."""
        return self.changed / self.compared if self.compared else None


@dataclass(frozen=True, slots=True)
class Summary:
    """Label counts by split, and how often each flag and each reason for dropping occurs.

    Attributes:
        flags: rows by flag, most frequent first.
        reasons: utterances by (stage, reason) and split; one with several reasons counts for each.
    """

    splits: tuple[SplitSummary, ...]
    labels: tuple[str, ...]
    flags: Mapping[str, int]
    reasons: Mapping[tuple[str, str], Mapping[str, int]]

    @property
    def rows(self) -> int:
        return sum(split.rows for split in self.splits)

    @property
    def change_rate(self) -> float | None:
        """Share of all compared rows whose label is another one now."""
        compared = sum(split.compared for split in self.splits)
        return sum(split.changed for split in self.splits) / compared if compared else None


def summarise(out: Path, manifest: Mapping[str, Any]) -> Summary:
    """Counts a published folder's labels, flags and reasons.

    Raises:
        InputError: a Parquet file is missing or unreadable.
    """
    flags: Counter[str] = Counter()
    reasons: dict[tuple[Stage, str], Counter[str]] = {}
    splits = []
    for split in manifest["splits"]:
        table = read_split(out, manifest, "default", split)
        splits.append(_split(split, table, manifest["label_set"]["labels"]))
        flags.update(pc.list_flatten(table["flags"]).to_pylist())
        dropped = read_split(out, manifest, "dropped", split)
        for stage, why in zip(dropped["stage"].to_pylist(), dropped["reasons"].to_pylist(), strict=True):
            for reason in why:
                reasons.setdefault((stage, reason), Counter())[split] += 1
    # In the order of the stages, then the most frequent first.
    order = sorted(reasons, key=lambda key: (STAGES.index(key[0]), -reasons[key].total(), key[1]))
    return Summary(
        splits=tuple(splits),
        labels=tuple(manifest["label_set"]["labels"]),
        flags=dict(flags.most_common()),
        reasons={key: reasons[key] for key in order},
    )


def _split(split: str, table: pa.Table, labels: Sequence[str]) -> SplitSummary:
    from datasets import Features

    features = Features.from_arrow_schema(table.schema)
    old_names: list[str] = features["original_label"].names
    new = table["label"].to_pylist()
    old = table["original_label"].to_pylist()
    pairs = Counter(zip(old, new, strict=True))
    compared = sum(count for (before, _), count in pairs.items() if before is not None)
    before = Counter(None if value is None else old_names[value] for value in old)
    after = Counter(labels[value] for value in new)
    match = table["character_match"]
    return SplitSummary(
        split=split,
        rows=table.num_rows,
        compared=compared,
        changed=int(pc.sum(table["changed"]).as_py() or 0),
        before=before,
        after={name: after[name] for name in labels},
        matrix={
            name: [pairs[index, column] for column in range(len(labels))]
            for index, name in [*enumerate(old_names), (None, None)]
            if before[name]
        },
        characters=len(match) - match.null_count,
        mismatches=len(match) - match.null_count - int(pc.sum(match).as_py() or 0),
    )
