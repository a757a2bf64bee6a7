"""Checks that the labelled rows of a dataset are those that follow from its replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ..errors import InputError
from ..records import Annotation, Resolution, Verdict
from .batches import Rows
from .columns import Columns
from .layout import FOLDERS
from .panelchecks import published_resolutions, vote_problems
from .problem import Listing, Problem
from .reading import Answered, annotations_from_table, asked_of, verdicts_from_table
from .tables import data_table


def derivation_problems(
    replies: Rows,
    data: Rows,
    split: str,
    manifest: Mapping[str, Any],
    columns: Columns,
    stages: Mapping[str, str],
) -> Iterator[Problem]:
    """What the labelled rows of a split have that does not follow from their replies.

    With a single annotator some rows at a time are compared: both configs are in the order of the corpus. The
    votes of several are compared all at once.

    Args:
        replies, data: the rows of the two configs.
        split: their split.
        manifest: the folder's manifest.
        columns: what decides the columns (see `columns_of`).
        stages: dropped utterance -> stage; only looked at where several annotators voted.
    """
    windows = _Windows(replies, split, manifest, at_once=columns.panel)
    derived = _Derived(data, columns)
    votes: list[Problem] = []
    for answered in windows:
        resolutions = None
        if columns.panel:
            table = data.table()
            votes += vote_problems(answered, table, stages, split, manifest)
            resolutions = published_resolutions(answered, table, manifest)
        derived.add(answered, resolutions)
    if windows.failure is not None:
        yield windows.failure
        return
    yield from votes
    yield from derived.problems(f"{FOLDERS['default']}/{split}")


class _Windows:
    """The annotations behind the published rows, with the verdicts as they were published.

    Attributes:
        failure: what kept them from being read back, if anything did. A request that is not the published
            one goes before an answer that is none, wherever they stand.
    """

    def __init__(self, replies: Rows, split: str, manifest: Mapping[str, Any], at_once: bool) -> None:
        self._replies = replies
        self._split = split
        self._at_once = at_once
        self._manifest = manifest
        self._place = f"{FOLDERS['annotations']}/{split}"
        self.failure: Problem | None = None

    def __iter__(self) -> Iterator[list[Annotation]]:
        try:
            asked = asked_of(self._manifest)
            for table in [self._replies.table()] if self._at_once else _by_request(self._replies):
                answered = annotations_from_table(table, split=self._split, **asked)
                if self.failure is None:
                    yield from self._with_verdicts(answered, table)
        except (InputError, ValueError) as error:
            self.failure = Problem(self._place, str(error))

    def _with_verdicts(self, answered: Sequence[Answered], table: pa.Table) -> Iterator[list[Annotation]]:
        try:
            verdicts: Iterator[Verdict] = iter(verdicts_from_table(table))
        except (InputError, ValueError) as error:
            self.failure = Problem(self._place, str(error))
            return
        yield [
            Annotation(request, asked, tuple(next(verdicts) for _ in asked)) for request, asked in answered
        ]


def _by_request(replies: Rows) -> Iterator[pa.Table]:
    """The replies some at a time, those to one request together."""
    waiting: pa.Table | None = None
    for batch in replies.batches():
        table = batch if waiting is None else pa.concat_tables([waiting, batch])
        hashes = table["request_hash"].to_pylist()
        end = len(hashes)
        while end and hashes[end - 1] == hashes[-1]:
            end -= 1
        if end:
            yield table.slice(0, end)
        waiting = table.slice(end)
    if waiting is not None:
        yield waiting


class _Derived:
    """The labelled rows beside those that follow from the annotations."""

    def __init__(self, data: Rows, columns: Columns) -> None:
        self._columns = replace(columns, voice=None)
        self._published = _Reader(data)
        self._other: dict[str, Listing] = {}
        self._failure = ""
        self._misplaced = False

    def add(self, answered: Sequence[Annotation], resolutions: Mapping[str, Resolution] | None) -> None:
        """Compares what follows from further annotations with the next rows."""
        if self._failure:
            return
        try:
            derived = data_table(answered, self._columns, resolutions=resolutions)
        except (InputError, KeyError) as error:
            self._failure = f"cannot be derived from the replies: {error}"
            return
        if not self._misplaced:
            self._compare(derived, self._published.take(derived.num_rows))

    def _compare(self, ours: pa.Table, theirs: pa.Table) -> None:
        ids = ours["id"].to_pylist()
        if ids != theirs["id"].to_pylist():
            self._misplaced = True
            return
        for name in ours.column_names:
            what = f"rows have another {name!r} than their replies and utterances"
            listing = self._other.setdefault(name, Listing(what))
            if not ours[name].equals(theirs[name]):
                pairs = zip(ids, ours[name].to_pylist(), theirs[name].to_pylist(), strict=True)
                listing.add(row for row, one, other in pairs if one != other)

    def problems(self, place: str) -> Iterator[Problem]:
        """What was found, once all annotations were given."""
        if self._failure:
            yield Problem(place, self._failure)
        elif self._misplaced or self._published.take(1).num_rows:
            yield Problem(place, "its rows or their order are not those of the replies")
        else:
            for listing in self._other.values():
                yield from listing.problems(place)


class _Reader:
    """Rows in order, as many at a time as are asked for."""

    def __init__(self, rows: Rows) -> None:
        self._batches = rows.batches()
        self._waiting = rows.schema.empty_table().replace_schema_metadata()

    def take(self, count: int) -> pa.Table:
        """The next rows, fewer where there are no more."""
        while self._waiting.num_rows < count:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._waiting = pa.concat_tables([self._waiting, batch.replace_schema_metadata()])
        taken, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        return taken
