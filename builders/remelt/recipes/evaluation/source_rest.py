"""What a dataset's corpus has besides the dataset: other splits, and turns between those that were kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...records import Utterance
from .sources import Place, Wants


@dataclass(frozen=True)
class Rest:
    """The corpus that a dataset was made from.

    Attributes:
        folder: the corpus's.
        rows: all of its utterances; empty where the folder has only clips.
        why: what kept it from being read as a corpus; empty where nothing did.
    """

    folder: Path
    rows: tuple[Utterance, ...] = ()
    why: str = ""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the corpus."""
        return tuple(dict.fromkeys(row.split for row in self.rows))

    @property
    def clips(self) -> Path | None:
        """The folder, where rows have clips or it is one of clips alone."""
        return self.folder if not self.rows or any(row.clip is not None for row in self.rows) else None


def rest_of(corpus: str, folder: Path, known: frozenset[str]) -> Rest:
    """Reads a dataset's corpus; a folder that only has its clips is none.

    Args:
        corpus: its name as the dataset has it.
        folder: that the user named.
        known: ids of the dataset's rows.

    Raises:
        InputError: there is no such folder, or it is another corpus.
    """
    from .source_corpus import load

    try:
        found = load(Place(corpus, str(folder), None), Wants())
    except InputError as error:
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder} with the corpus or its clips: {error}") from None
        return Rest(folder, why=str(error))
    rows = tuple(found.utterances)
    if known.isdisjoint(row.id for row in rows):
        raise InputError(
            f"{folder} is not the corpus that the dataset was made from: it has rows such as {rows[0].id}, "
            f"the dataset such as {min(known)}"
        )
    return Rest(found.folder, rows)


def missing(
    rest: Rest, rows: Sequence[Mapping[str, Any]], splits: Collection[str]
) -> tuple[list[dict[str, Any]], str]:
    """Rows that the corpus has and the dataset has not.

    Args:
        rest: the corpus.
        rows: of the dataset, kept and dropped.
        splits: those that are wanted.

    Returns:
        Them, and a sentence on them, empty where there are none.
    """
    if rest.why:
        return [], f"{rest.folder} gives clips only, as no corpus can be read from it: {rest.why}"
    there, present = {row["id"] for row in rows}, {row["split"] for row in rows}
    more = [plain(row) for row in rest.rows if row.split in splits and row.id not in there]
    whole = Counter(str(row["split"]) for row in more if row["split"] not in present)
    told = [f"{count:,} rows of the split {split}" for split, count in whole.items()]
    if between := len(more) - whole.total():
        told.append(f"{between:,} turns between those of the dataset")
    return more, f"From {rest.folder} come {', '.join(told)}." if told else ""


def plain(row: Utterance) -> dict[str, Any]:
    """An utterance of the corpus as a row of the dataset without a new label."""
    return {
        "id": row.id, "split": row.split, "speaker": row.speaker, "text": row.text,
        "text_repaired": row.text_repaired, "dialogue_id": row.dialogue_id,
        "utterance_id": row.utterance_id, "sex": row.sex, "session": row.session,
        "label": None, "original_label": row.label, "clip": row.clip,
        "clip_start": row.clip_start, "clip_end": row.clip_end, "attributes": row.attributes,
    }  # fmt: skip
