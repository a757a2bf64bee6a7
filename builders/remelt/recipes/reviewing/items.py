"""The rows of a dataset that people are asked about, with their words, labels and what was said before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...review.assignment import draw, drawn
from ...review.judgements import Item, Turn
from .undecided import Undecided, leading_share, read_undecided

if TYPE_CHECKING:
    from ...audit.files import Columns

SOURCES = ("original_label", "label")
PICKS = ("random", "disagreement", "low-confidence")
TURNS = 5
_VOTES, _SHARE, _ENTROPY, _SOFT = "votes", "vote_share", "vote_entropy", "soft_label"
_CONTEXT = ("id", "speaker", "text", "text_repaired", "dialogue_id", "utterance_id", "start")


@dataclass(frozen=True)
class Rows:
    """A dataset's rows, ready to be asked about.

    Attributes:
        items: one per row, in the order of the files; then those on which the annotators came to no label,
            whose column `label` is None.
        labels: of the sources, ClassLabel order first.
        choices: the labels of the column `label`: what a rater may choose from.
        clips: paths of the clips in the corpus's folder, per row.
        votes: source -> its label, per row; None for a dataset without votes.
        beliefs: the largest share of a row's soft label, or of its votes where it got no label; None for a
            dataset without soft labels.
        entropies: of a row's votes in bits; None for a dataset without votes.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]
    choices: tuple[str, ...]
    clips: tuple[str | None, ...]
    votes: tuple[Mapping[str, str], ...] | None
    beliefs: tuple[float | None, ...] | None
    entropies: tuple[float | None, ...] | None


def read_rows(out: Path, sources: tuple[str, str] = SOURCES, turns: int = TURNS, needed: bool = True) -> Rows:
    """Reads a dataset folder.

    Args:
        out: the folder.
        sources: where the two labels come from: a column, or a source of the column `votes`.
        turns: how many turns before an utterance are shown.
        needed: whether a source that is not there is an error; otherwise its labels are None.

    Raises:
        InputError: no dataset there, a column that it needs is missing, or a source is neither a column nor
            one that voted.
    """
    from ...audit.files import read
    from ..exchange.keeping import settled

    if not out.is_dir():
        raise InputError(f"There is no dataset folder {out}")
    settled(out)
    other = "" if (out / "manifest.json").is_file() else " is no dataset made by remelt"
    try:
        columns = read(out, _splits(out))
    except InputError as error:
        if not other:
            raise
        raise InputError(f"{out}{other}: {error}") from None
    if columns.splits and "id" not in columns.values:
        raise InputError(f"{out}{other}: {bad_value('column', 'id', columns.values)}")
    kept = len(columns)
    nested = _nested(out, kept)
    ballots = nested[_VOTES]
    undecided = Undecided() if ballots is None else read_undecided(out)
    columns = undecided.after(columns)
    votes = None if ballots is None else (*map(_voted, ballots), *undecided.votes)
    first, second = (_labels(out, columns, votes, source, needed) for source in sources)
    context = _Context(out, columns, turns)
    texts = _words(columns.values)
    ids, speakers = columns.values["id"], columns.values.get("speaker") or [None] * len(columns)
    items = tuple(
        Item(
            utterance_id=str(ids[row]),
            split=columns.split[row],
            text=texts[row],
            speaker=str(speakers[row] or ""),
            context=context.before(row),
            first=first[row],
            second=second[row],
            place=row,
        )
        for row in range(len(columns))
    )
    named = [_fold(name) for source in reversed(sources) for name in columns.class_names.get(source, ())]
    seen = {label for column in (first, second) for label in column}
    order = dict.fromkeys([*named, *sorted(label for label in seen if label is not None)])
    labels = tuple(label for label in order if label is not None)
    choices = tuple(name for n in columns.class_names.get("label", ()) if (name := _fold(n)) is not None)
    clips = columns.values.get("clip") or [None] * len(columns)
    return Rows(
        items=items,
        labels=labels,
        choices=choices or labels,
        clips=tuple(name if isinstance(name, str) and name else None for name in clips),
        votes=votes,
        beliefs=_beliefs(nested[_SOFT], undecided),
        entropies=None if votes is None else _entropies(columns.values.get(_ENTROPY), votes, kept),
    )


def _beliefs(shares: list[Any] | None, undecided: Undecided) -> tuple[float | None, ...] | None:
    if shares is None:
        return None
    # Rows without a label have no soft label in the dataset; the votes' shares are the nearest to one.
    return (*(max(s, default=None) if s else None for s in shares), *map(leading_share, undecided.votes))


def _entropies(
    column: list[Any] | None, votes: Sequence[Mapping[str, str]], kept: int
) -> tuple[float | None, ...]:
    of_kept = column[:kept] if column else map(_entropy, votes[:kept])
    return (*of_kept, *map(_entropy, votes[kept:]))


def differing(rows: Rows) -> list[Item]:
    """The rows that carry both labels, and not the same one."""
    return [item for item in rows.items if item.first and item.second and item.first != item.second]


def pick(rows: Rows, how: str, number: int | None, seed: int) -> list[Item]:
    """Chooses rows to be labelled.

    Args:
        rows: the dataset.
        how: `random`; `disagreement` (those whose votes are spread most, or, without votes, whose two labels
            differ); `low-confidence` (those whose soft label has the lowest peak, or, without soft labels,
            whose votes have the highest entropy).
        number: so many at most; None for all.
        seed: of the lot, which also decides between equals.

    Raises:
        InputError: an unknown way, or the dataset has nothing to choose by.
    """
    if how not in PICKS:
        raise InputError(bad_value("pick", how, PICKS))
    items = list(rows.items)
    if how == "random":
        return draw(items, [item.utterance_id for item in items], number, seed)
    if how == "disagreement":
        if rows.entropies is None:
            changed = differing(rows)
            if not changed:
                raise InputError(
                    "There is no disagreement to pick by: "
                    "the dataset has no votes, and no row's two labels differ"
                )
            return draw(changed, [item.utterance_id for item in changed], number, seed)
        ranks = [None if not entropy else -entropy for entropy in rows.entropies]
    elif rows.beliefs is not None:
        ranks = list(rows.beliefs)
    elif rows.entropies is not None:
        ranks = [None if entropy is None else -entropy for entropy in rows.entropies]
    else:
        raise InputError(
            "There is no confidence to pick by: the dataset has neither soft labels nor votes "
            f"(columns {_SOFT!r}, {_VOTES!r})"
        )
    ranked = [
        (rank, drawn("item", seed, item.utterance_id), item)
        for rank, item in zip(ranks, items, strict=True)
        if rank is not None
    ]
    if not ranked:
        raise InputError(f"No row can be picked by {how}: all votes agree, or none has a soft label")
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])[:number]]


def _splits(out: Path) -> list[str]:
    """The splits in the manifest's order; none where there is no readable manifest."""
    found = _manifest(out).get("splits")
    return [str(split) for split in found] if isinstance(found, list) else []


def _manifest(out: Path) -> Mapping[str, Any]:
    """The manifest; empty where there is no readable one, as beside a table."""
    try:
        found = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _fold(value: object) -> str | None:
    return None if value is None else str(value).strip().casefold() or None


def _labels(
    out: Path, columns: Columns, votes: Sequence[Mapping[str, str]] | None, source: str, needed: bool
) -> list[str | None]:
    if source in columns.values:
        values = columns.values[source]
        if any(isinstance(value, list) for value in values):
            raise InputError(f"{out}: column {source!r} holds lists; a label column has one label per row")
        return [_fold(value) for value in values]
    voters = sorted({name for row in votes or () for name in row})
    if votes is not None and source in voters:
        return [row.get(source) for row in votes]
    if not needed:
        return [None] * len(columns)
    raise InputError(
        f"{out}: {bad_value('label source', source, [*columns.values, *voters])}"
        + ("" if votes is not None else "; the dataset has no votes")
    )


def _nested(out: Path, rows: int) -> dict[str, list[Any] | None]:
    """The columns `votes` and `soft_label`, which are lists; None for one that is not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ...audit.files import parquet_files

    found: dict[str, list[Any] | None] = {_VOTES: None, _SOFT: None}
    for path in parquet_files(out):
        try:
            with pq.ParquetFile(path) as file:
                names = [name for name in found if name in file.schema_arrow.names]
                table = file.read(columns=names) if names else None
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from None
        for name in names:
            found[name] = [*(found[name] or []), *(table[name].to_pylist() if table is not None else [])]
    return {
        name: values if values is not None and len(values) == rows else None for name, values in found.items()
    }


def _voted(votes: object) -> dict[str, str]:
    """Source -> label of one row's votes."""
    return {
        str(vote["source"]): label
        for vote in (votes if isinstance(votes, list) else [])
        if (label := _fold(vote["label"])) is not None
    }


def _entropy(votes: Mapping[str, str]) -> float | None:
    from ...audit.matrix import entropy

    labels = list(votes.values())
    return entropy([labels.count(label) for label in sorted(set(labels))])


def _words(values: Mapping[str, list[Any]]) -> list[str]:
    """The words to show: the repaired copy where there is one."""
    texts = values.get("text") or []
    repaired = values.get("text_repaired") or [None] * len(texts)
    return [
        str((text if better is None else better) or "") for text, better in zip(texts, repaired, strict=True)
    ]


class _Context:
    """The turns before each row, those too that were dropped from the dataset."""

    def __init__(self, out: Path, columns: Columns, turns: int) -> None:
        self._turns = turns
        # A dialogue is one of the corpus's splits; its turns may have been published in several.
        self._resplit = _manifest(out).get("resplit") is True
        size = len(columns)
        plain = {name: columns.values.get(name) or [None] * size for name in _CONTEXT}
        self._dialogues: dict[tuple[str, Any], list[tuple[Any, Turn]]] = {}
        self._places: list[tuple[tuple[str, Any], Any]] = []
        self._own = set(columns.values["id"])
        numbered = all(isinstance(value, int) for value in plain["utterance_id"])
        timed = not numbered and all(isinstance(value, (int, float)) for value in plain["start"])
        self._by = "utterance_id" if numbered else "start" if timed else ""
        if "text" not in columns.values:
            raise InputError(f"{out}: {bad_value('column', 'text', columns.values)}")
        known = any(value is not None for value in plain["dialogue_id"])
        self._add(plain, columns.split, keep=True)
        if self._by and known and (out / "dropped").is_dir():
            self._add_dropped(out / "dropped")
        for turns_of in self._dialogues.values():
            turns_of.sort(key=lambda entry: entry[0])
        if not known:
            self._dialogues.clear()

    def _add(self, values: Mapping[str, list[Any]], split: Sequence[str], keep: bool) -> None:
        from ...publishing.layout import split_of

        texts = _words(values)
        for row, text in enumerate(texts):
            if not keep and values["id"][row] in self._own:
                continue
            own = split_of(str(values["id"][row])) if self._resplit else split[row]
            dialogue = (own, values["dialogue_id"][row])
            place = values[self._by][row] if self._by else row
            if keep:
                self._places.append((dialogue, place))
            if place is not None:
                turn = Turn(str(values["speaker"][row] or ""), text)
                self._dialogues.setdefault(dialogue, []).append((place, turn))

    def _add_dropped(self, folder: Path) -> None:
        from ...audit.files import read_parquet

        for path in sorted(folder.glob("*.parquet")):
            table, _ = read_parquet(path, (*_CONTEXT, "split"))
            values = {name: table[name].to_pylist() for name in table.column_names}
            filled = {name: values.get(name) or [None] * table.num_rows for name in _CONTEXT}
            if "split" in values:
                self._add(filled, values["split"], keep=False)

    def before(self, row: int) -> tuple[Turn, ...]:
        """The last turns before a row, first to last."""
        dialogue, place = self._places[row]
        if self._turns < 1 or place is None:
            return ()
        earlier = [turn for at, turn in self._dialogues.get(dialogue, ()) if at < place]
        return tuple(earlier[-self._turns :])


def restrict(rows: Rows, split: str | None) -> Rows:
    """The rows of one split.

    Raises:
        InputError: there is no such split.
    """
    if split is None:
        return rows
    splits = list(dict.fromkeys(item.split for item in rows.items))
    if split not in splits:
        raise InputError(bad_value("split", split, splits))
    kept = [row for row, item in enumerate(rows.items) if item.split == split]

    def of(values: Sequence[Any] | None) -> Any:
        return None if values is None else tuple(values[row] for row in kept)

    return replace(
        rows,
        items=of(rows.items),
        votes=of(rows.votes),
        beliefs=of(rows.beliefs),
        entropies=of(rows.entropies),
    )
