"""What the card says in numbers, counted from the published Parquet files themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ..records import Stage
from .batches import Rows, published_rows
from .panel import STAGES


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
        rows = published_rows(out, manifest, "default", split)
        splits.append(_split(split, rows, manifest["label_set"]["labels"], flags))
        for batch in published_rows(out, manifest, "dropped", split).batches(("stage", "reasons")):
            for stage, why in zip(batch["stage"].to_pylist(), batch["reasons"].to_pylist(), strict=True):
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


def _split(split: str, rows: Rows, labels: Sequence[str], flags: Counter[str]) -> SplitSummary:
    """One split's counts; its flags are added to those of the others."""
    from datasets import Features

    old_names: list[str] = Features.from_arrow_schema(rows.schema)["original_label"].names
    pairs: Counter[tuple[int | None, int]] = Counter()
    changed = characters = matches = 0
    for batch in rows.batches(("label", "original_label", "changed", "character_match", "flags")):
        pairs.update(zip(batch["original_label"].to_pylist(), batch["label"].to_pylist(), strict=True))
        flags.update(pc.list_flatten(batch["flags"]).to_pylist())
        changed += int(pc.sum(batch["changed"]).as_py() or 0)
        characters += batch.num_rows - batch["character_match"].null_count
        matches += int(pc.sum(batch["character_match"]).as_py() or 0)
    before: Counter[str | None] = Counter()
    after: Counter[str] = Counter()
    for (old, new), count in pairs.items():
        before[None if old is None else old_names[old]] += count
        after[labels[new]] += count
    return SplitSummary(
        split=split,
        rows=rows.num_rows,
        compared=rows.num_rows - before[None],
        changed=changed,
        before=before,
        after={name: after[name] for name in labels},
        matrix={
            name: [pairs[index, column] for column in range(len(labels))]
            for index, name in [*enumerate(old_names), (None, None)]
            if before[name]
        },
        characters=characters,
        mismatches=characters - matches,
    )
