"""A corpus in a store: its rows part by part, and what is known of all of them."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError, bad_value
from ...records import Utterance, digest
from ..base import Corpus
from ..mapping import TableMapping
from ..table import Tables
from .asking import key_of
from .layout import PLACE, SHIFT, connect, decode, marked, named_clip
from .writing import ClipStates, make

_AT_ONCE = 4096
_IN_DIALOGUE = (
    f"FROM rows INDEXED BY turns WHERE id >> {SHIFT} = ? AND dialogue = ? AND id < ? ORDER BY id DESC"
)


@dataclass(frozen=True, slots=True)
class PartPlace:
    """Where a part lies: `size` rows of a split from row `start` on, counted from 0."""

    number: int
    split: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class StorePart:
    """Some rows of one split.

    Attributes:
        number: from 0, over the splits in the order asked for.
        split: theirs.
        start: the number of the first row in its split, counted from 0.
        utterances: in corpus order.
        context: earlier rows of the same dialogues, in corpus order, for prompts that show previous turns;
            `prompting.Dialogues((*part.context, *part.utterances))` finds them.
    """

    number: int
    split: str
    start: int
    utterances: tuple[Utterance, ...]
    context: tuple[Utterance, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreTotals:
    """What is known of all rows of some splits.

    Attributes:
        rows: split -> how many.
        labels: label -> how many rows have it; rows without one are not counted.
        speakers: speaker -> how many rows; the empty name included.
        witnesses: a few utterances that together have every label and every kind of id that there is;
            `publishing.columns_of` gives for them what it gives for all rows.
    """

    rows: Mapping[str, int]
    labels: Mapping[str, int]
    speakers: Mapping[str, int]
    witnesses: tuple[Utterance, ...]


class CorpusStore:
    """A corpus in a file. Close it, or use it in a `with` statement; not for several threads at once.

    Args:
        path: a file that `open` has made.

    Attributes:
        path: the file.
        head: the corpus without its utterances; all else is as `corpora.load` gives it.
        made_of: what the rows come from, in one word: it changes with the tables, the mapping and the clips.
        splits: in the official order.

    Raises:
        InputError: it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(f"There is no store of a corpus at {path}")
        self._db = connect(path, read_only=True)
        try:
            meta = {name: json.loads(value) for name, value in self._db.execute("SELECT * FROM meta")}
            splits = self._db.execute("SELECT name, code, rows FROM splits ORDER BY rank").fetchall()
            self._variants = frozenset(meta["variants"])
        except (sqlite3.Error, KeyError, ValueError) as error:
            self._db.close()
            raise InputError(f"{path} is no store of a corpus, or an unfinished one: {error}") from None
        self._meta, head = meta, meta["head"]
        self.made_of = digest([meta.get("key"), meta.get("clips")])
        self.splits = tuple(name for name, _, _ in splits)
        self._codes = {name: int(code) for name, code, _ in splits}
        self._rows = {name: int(rows) for name, _, rows in splits}
        self._in_dialogues = bool(self._db.execute("PRAGMA index_info(turns)").fetchall())
        self.head = Corpus(
            **{**head, "folder": Path(head["folder"]), "utterances": (), "notes": tuple(head["notes"])}
        )

    @classmethod
    def open(
        cls, path: Path, source: str | Path, mapping: TableMapping | None = None, name: str | None = None
    ) -> CorpusStore:
        """Opens the store of a table corpus, and makes it where there is none of these very tables.

        Args:
            path: the store's file; its folder must be there.
            source: the corpus folder or table file.
            mapping: which column holds what.
            name: the corpus's name in ids; else the mapping's, else `table`.

        Raises:
            InputError: as `corpora.load` of the same source; or the store cannot be written.
        """
        folder = Path(source)
        if not folder.exists():
            raise InputError(f"There is no folder or file {str(source)!r}; `sample` is the bundled corpus")
        # A reader's name says which reader, not what the corpus is called.
        name = None if mapping is None and name == "table" else name
        key = key_of(folder, mapping, name)
        if path.is_file():
            try:
                found = cls(path)
            except InputError:
                found = None
            if found is not None and found._made_of(key):
                return found
            if found is not None:
                found.close()
        make(path, Tables(folder, mapping, name), key, str(source))
        return cls(path)

    @classmethod
    def attach(cls, path: Path) -> CorpusStore:
        """Opens a store that `open` has made, without a look at the tables: for workers.

        Raises:
            InputError: there is no such store.
        """
        return cls(path)

    def count(self, split: str) -> int:
        """How many rows a split has.

        Raises:
            InputError: there is no such split.
        """
        self._check(split)
        return self._rows[split]

    def places(self, splits: Sequence[str], size: int) -> tuple[PartPlace, ...]:
        """Where the parts of at most `size` rows lie; a part has rows of one split only.

        Raises:
            InputError: there is no such split, or the size is below 1.
        """
        if size < 1:
            raise InputError(f"Bad size of a part {size!r}, expected a whole number from 1")
        starts = [(split, start) for split in splits for start in range(0, self.count(split), size)]
        return tuple(
            PartPlace(number, split, start, min(size, self._rows[split] - start))
            for number, (split, start) in enumerate(starts)
        )

    def part(
        self, split: str, start: int, size: int, *, number: int = 0, turns: int | None = None
    ) -> StorePart:
        """The rows `start` to `start + size` of a split.

        Args:
            split, start, size: see `PartPlace`.
            number: the part's.
            turns: how many earlier rows of each dialogue are wanted at most; None for all, 0 for none.

        Raises:
            InputError: there is no such split.
        """
        self._check(split)
        first = self._codes[split] << SHIFT | start
        query = "SELECT id, data, dialogue FROM rows WHERE id >= ? AND id < ? ORDER BY id"
        rows = self._db.execute(query, (first, first + size)).fetchall()
        utterances = self._utterances(split, rows)
        context: tuple[Utterance, ...] = ()
        if turns != 0 and start and self._in_dialogues:
            context = self._before(split, first, dict.fromkeys(row[2] for row in rows), turns)
        return StorePart(number, split, start, utterances, context)

    def parts(self, splits: Sequence[str], size: int, turns: int | None = None) -> Iterator[StorePart]:
        """All parts of some splits, in order; see `places` and `part`."""
        for place in self.places(splits, size):
            yield self.part(place.split, place.start, place.size, number=place.number, turns=turns)

    def rows(self, splits: Iterable[str] | None = None) -> Iterator[Utterance]:
        """All utterances of some splits (all by default, in the official order), one after the other."""
        for part in self.parts(self.splits if splits is None else tuple(splits), _AT_ONCE, turns=0):
            yield from part.utterances

    def totals(self, splits: Sequence[str] | None = None) -> StoreTotals:
        """What is known of all rows of some splits; of all splits by default.

        Raises:
            InputError: there is no such split.
        """
        labels: Counter[str] = Counter()
        speakers: Counter[str] = Counter()
        witnesses: list[Utterance] = []
        chosen = self.splits if splits is None else tuple(dict.fromkeys(splits))
        for split in chosen:
            self._check(split)
            totals = self._meta["totals"][split]
            labels.update(totals["labels"])
            speakers.update(totals["speakers"])
            for number in totals["witnesses"]:
                witnesses += self.part(split, number & PLACE, 1, turns=0).utterances
        rows = {split: self._rows[split] for split in chosen}
        return StoreTotals(rows, dict(labels), dict(speakers), tuple(witnesses))

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()

    def __enter__(self) -> CorpusStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check(self, split: str) -> None:
        if split not in self._rows:
            raise InputError(bad_value("split", split, self.splits))

    def _made_of(self, key: str) -> bool:
        """Whether it was made of these files, and the clips have not changed since."""
        if self._meta.get("key") != key:
            return False
        seen = ClipStates()
        if "clip_missing" in self.head.defects:
            for (data,) in self._db.execute("SELECT data FROM rows"):
                if (clip := named_clip(data)) is not None:
                    seen.add(self.head.folder, clip)
        return bool(self._meta.get("clips") == seen.total)

    def _utterances(self, split: str, rows: Sequence[tuple[Any, ...]]) -> tuple[Utterance, ...]:
        if not rows:
            return ()
        marks = dict(
            self._db.execute("SELECT * FROM marks WHERE id BETWEEN ? AND ?", (rows[0][0], rows[-1][0]))
        )
        return tuple(self._utterance(split, row[1], marks.get(row[0], 0)) for row in rows)

    def _utterance(self, split: str, data: str, bits: int) -> Utterance:
        draft = decode(split, data)
        if bits:
            draft.flags.update(marked(bits))
        if draft.speaker in self._variants:
            draft.flags.add("speaker_variant")
        return draft.freeze(self.head.name)

    def _before(
        self, split: str, first: int, dialogues: Iterable[int | str], turns: int | None
    ) -> tuple[Utterance, ...]:
        """At most `turns` rows of each dialogue before a row."""
        query = f"SELECT id, data {_IN_DIALOGUE}" + ("" if turns is None else f" LIMIT {turns}")
        code = self._codes[split]
        found = sorted(row for d in dialogues for row in self._db.execute(query, (code, d, first)))
        marks = (self._db.execute("SELECT bits FROM marks WHERE id = ?", row[:1]).fetchone() for row in found)
        return tuple(
            self._utterance(split, data, bits[0] if bits else 0)
            for (_, data), bits in zip(found, marks, strict=True)
        )
