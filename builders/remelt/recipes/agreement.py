"""Agreement of several raters: of a dataset's annotators, of a corpus's people, or of a table of labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, bad_value

if TYPE_CHECKING:
    from ..audit import ChangeMatrix, Rate
    from ..audit.agreement import Agreement, AgreementOptions, VoteTable
    from ..audit.files import Columns
    from ..corpora import Corpus
    from ..records import Rating, Utterance

LONG = ("id", "rater", "label")
ORIGINAL = "original_label"
# The bundled corpus, which is no folder.
_SAMPLE = "sample"


@dataclass(frozen=True)
class TableColumns:
    """Where a table has its labels.

    Attributes:
        wide: one column per rater; empty for a long table.
        long: the columns of item, rater and label; empty to look for `id`, `rater`, `label`.
        item: the column of ids of a wide table; None for `id` where there is one, else the row's number.
        original: the column to compare the majority with; None for `original_label` where there is one.
    """

    wide: tuple[str, ...] = ()
    long: tuple[str, ...] = ()
    item: str | None = None
    original: str | None = None

    def __post_init__(self) -> None:
        if self.wide and self.long:
            raise InputError("Label columns (one per rater) and a long table's columns exclude each other")
        if self.long and len(self.long) != 3:
            raise InputError(f"Bad columns {list(self.long)!r}, expected three: item, rater, label")
        if len(set(self.long)) != len(self.long):
            raise InputError(
                f"Bad columns {list(self.long)!r}, expected three different ones: item, rater, label"
            )
        if len(self.wide) == 1 or len(set(self.wide)) != len(self.wide):
            raise InputError(f"Bad label columns {list(self.wide)!r}, expected two or more different ones")


@dataclass(frozen=True)
class Judged:
    """One group of votes.

    Attributes:
        agreement: of those who voted.
        strict: of the judged items those where one label has more than half of the votes.
        change: rows = original label, columns = the label that most chose, of the items that have both; None
            where no item has an original label.
    """

    agreement: Agreement
    strict: Rate
    change: ChangeMatrix | None

    def as_dict(self) -> dict[str, Any]:
        change = self.change
        return {
            **self.agreement.as_dict(),
            "strict_majority": self.strict.as_dict(),
            "change": None
            if change is None
            else {**change.change.as_dict(), "kappa": change.kappa(), "matrix": change.as_dict()},
        }


@dataclass(frozen=True)
class AgreementReport:
    """What was measured.

    Attributes:
        kind: dataset, corpus or table.
        name: of the corpus or the dataset's corpus, or of the file.
        groups: what the votes are (`voice`, `face`, `audiovisual`, `votes`, `ratings`) -> what was found.
        notes: sentences about the reading.
    """

    source: Path
    kind: str
    name: str
    groups: Mapping[str, Judged]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Everything under the keys that docs/agreement.md describes."""
        return {
            "format": 1,
            "kind": self.kind,
            "name": self.name,
            "groups": {name: found.as_dict() for name, found in self.groups.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class _Read:
    """Votes by group, the original label of each item, and what there is to say."""

    kind: str
    name: str
    groups: Mapping[str, VoteTable]
    original: Mapping[str, str]
    notes: tuple[str, ...] = ()


def measure_agreement(
    source: Path,
    options: AgreementOptions,
    *,
    columns: TableColumns = TableColumns(),
    by: Sequence[str] = (),
) -> AgreementReport:
    """Measures the agreement of a dataset's annotators, a corpus's raters or a table's columns.

    Args:
        source: a dataset folder of remelt's, a corpus folder, or a CSV, TSV, JSONL or Parquet file.
        options: see `audit.agreement.AgreementOptions`.
        columns: of a table; for others as it is.
        by: the groups to measure; all that are there if empty.

    Raises:
        InputError: nothing to measure there, a column or group that is not there, or options that do not fit.
    """
    source = Path(source)
    found = _read(source, columns)
    for name in by:
        if name not in found.groups:
            raise InputError(bad_value("way of judging", name, found.groups))
    wanted = by or tuple(found.groups)
    options = replace(options, order=tuple(_fold(label) or "" for label in options.order))
    groups = {name: _judged(found.groups[name], found.original, options) for name in wanted}
    notes = (*found.notes, *_too_few(groups, options))
    return AgreementReport(source, found.kind, found.name, groups, notes)


def _too_few(groups: Mapping[str, Judged], options: AgreementOptions) -> Iterator[str]:
    """What was not measured for want of items."""
    from ..audit.agreement_scores import LEAST_ITEMS

    for name, judged in groups.items():
        found = judged.agreement
        if found.usable < LEAST_ITEMS and options.resamples:
            need = f"intervals need {LEAST_ITEMS} items with two votes or more"
            yield f"{name}: {need}, there are {found.usable:,}."
        pairs = found.pairs
        if pairs is not None and pairs.enough < pairs.met:
            yield (
                f"{name}: {pairs.met - pairs.enough:,} of {pairs.met:,} pairs of raters share fewer than "
                f"{pairs.least_common:,} items and are not compared (--least-common sets the number)."
            )


def _judged(votes: VoteTable, original: Mapping[str, str], options: AgreementOptions) -> Judged:
    import numpy as np

    from ..audit import change_matrix, wilson
    from ..audit.agreement import measure, ordered

    votes = ordered(votes, options.order)
    agreement = measure(votes, options)
    totals = votes.counts.sum(axis=1)
    strict = int((2 * votes.counts.max(axis=1) > totals).sum())
    labels = (*votes.labels, *sorted({*original.values()}.difference(votes.labels)))
    places: dict[str | None, int] = {None: -1, **{label: i for i, label in enumerate(labels)}}
    before = np.array([places[original.get(item)] for item in votes.items], dtype=np.int64)
    after = np.maximum(votes.decided(), -1)
    change = change_matrix(before, after, labels) if (before >= 0).any() else None
    return Judged(agreement, wilson(strict, int((totals > 0).sum())), change)


def _read(source: Path, columns: TableColumns) -> _Read:
    from .. import corpora

    if source.is_file() or columns.wide or columns.long:
        return _from_table(source, columns)
    if (source / "manifest.json").is_file():
        return _from_dataset(source)
    if str(source) != _SAMPLE and corpora.detect(source) == "table":
        return _from_table(source, columns)
    return _from_corpus(source)


def _from_dataset(out: Path) -> _Read:
    from ..audit.build_info import read_build
    from ..audit.dataset import read_table
    from ..audit.panel_rows import read_panel, read_ratings
    from .exchange.keeping import settled

    settled(out)
    build = read_build(out)
    table = read_table(out)
    rows = read_panel(out, table, build)
    groups: dict[str, VoteTable] = {}
    notes = []
    ids = list(table.ids)
    codes = table.before.tolist()
    labels: tuple[str, ...] = table.labels
    if rows is not None:
        groups["votes"] = rows.votes
        ids, codes, labels = list(rows.votes.items), rows.original.tolist(), rows.labels
        if rows.unresolved:
            notes.append(f"{len(rows.unresolved):,} items are rows that got no label.")
    ratings = rows.ratings if rows is not None else read_ratings(out, table, build)
    if ratings is not None:
        groups["ratings"] = ratings
    if not groups:
        raise InputError(
            f"{out} has neither votes of several annotators nor ratings of its corpus's people; "
            "nothing to measure agreement of"
        )
    original = {item: labels[code] for item, code in zip(ids, codes, strict=True) if code >= 0}
    name = str(build.get("corpus", "name") or "") if build else ""
    return _Read("dataset", name, groups, original, tuple(notes))


def _from_corpus(source: Path) -> _Read:
    from .. import corpora
    from ..corpora import cremad

    corpus = corpora.load(str(source))
    original = {u.id: u.label for u in corpus.utterances if u.label is not None}
    notes = list(corpus.notes)
    if str(source) != _SAMPLE and corpora.detect(source) == cremad.INFO.name:
        groups = _cremad_votes(source, corpus)
    else:
        ratings = [(u, u.ratings) for u in corpus.utterances if u.ratings]
        groups = {"ratings": _rated(ratings, _named(ratings), notes)} if ratings else {}
    if not groups:
        raise InputError(
            f"The corpus {corpus.name} in {source} has no ratings of single people; "
            "nothing to measure agreement of"
        )
    unnamed = [name for name, votes in groups.items() if not votes.named]
    if unnamed:
        notes.append(
            f"Nobody's name is known for {', '.join(unnamed)}: single raters and pairs of them are not "
            "told apart; everything else needs no names."
        )
    return _Read("corpus", corpus.name, groups, original, tuple(notes))


def _cremad_votes(source: Path, corpus: Corpus) -> dict[str, VoteTable]:
    from ..corpora import cremad

    rows = {str(u.dialogue_id): u for u in corpus.utterances}
    return {
        mode: _rated([(rows[n], r) for n, r in found.votes.items() if n in rows], found.named, [])
        for mode, found in cremad.judgements(source).items()
    }


def _named(ratings: Iterable[tuple[Utterance, Sequence[Rating]]]) -> bool:
    return all(rating.rater for _, found in ratings for rating in found)


def _rated(ratings: Sequence[tuple[Utterance, Sequence[Rating]]], named: bool, notes: list[str]) -> VoteTable:
    """The first label of each rating as a vote."""
    from ..audit.agreement import vote_table

    several = sum(1 for _, found in ratings for rating in found if len(rating.labels) > 1)
    if several:
        notes.append(f"{several:,} ratings have several labels; the first one counts.")
    votes: dict[tuple[str, str], tuple[str, str, str | None]] = {}
    for utterance, found in ratings:
        for place, rating in enumerate(found):
            if rating.labels:
                key = (utterance.id, rating.rater if named else str(place))
                votes.setdefault(key, (*key, rating.labels[0]))
    return vote_table(votes.values(), items=[u.id for u, _ in ratings], named=named)


def _from_table(source: Path, columns: TableColumns) -> _Read:
    from ..audit.agreement import vote_table
    from ..audit.files import read

    table = read(source)
    values = table.values
    original = columns.original or (ORIGINAL if ORIGINAL in values else None)
    if columns.wide:
        ids, votes = _wide(source, table, columns)
    else:
        ids, votes = _long(source, table, columns)
    before: dict[str, str] = {}
    if original is not None:
        for item, value in zip(ids, _column(source, table, original), strict=True):
            label = _fold(value)
            if label is not None:
                before[item] = label
    groups = {"votes": vote_table(votes, items=list(dict.fromkeys(ids)))}
    return _Read("table", source.name, groups, before)


def _wide(
    source: Path, table: Columns, columns: TableColumns
) -> tuple[list[str], list[tuple[str, str, str | None]]]:
    name = columns.item or ("id" if "id" in table.values else None)
    ids = (
        [str(value) for value in _column(source, table, name)]
        if name is not None
        else [f"row {i}" for i in range(1, len(table) + 1)]
    )
    votes = [
        (item, rater, _fold(value))
        for rater in columns.wide
        for item, value in zip(ids, _column(source, table, rater), strict=True)
    ]
    return ids, votes


def _long(
    source: Path, table: Columns, columns: TableColumns
) -> tuple[list[str], list[tuple[str, str, str | None]]]:
    names = columns.long or LONG
    if not columns.long and not set(LONG) <= table.values.keys():
        raise InputError(
            f"{source} does not say where its labels are: name one column per rater (--label-columns a,b,c) "
            f"or the columns of item, rater and label (--long id,rater,label), from {list(table.values)!r}"
        )
    items, raters, labels = (_column(source, table, name) for name in names)
    ids = [str(value) for value in items]
    votes = [(i, str(r), _fold(label)) for i, r, label in zip(ids, raters, labels, strict=True)]
    return ids, votes


def _column(source: Path, table: Columns, name: str) -> list[Any]:
    if name not in table.values:
        raise InputError(f"{source}: {bad_value('column', name, table.values)}")
    return table.values[name]


def _fold(value: object) -> str | None:
    """A label as it is compared: lower case, without spaces around it; whole numbers without a point."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold() or None
