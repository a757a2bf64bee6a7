"""The checks of `corpus_checks` for rows in a file: the same flags and counts for any number of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

from ...records import utterance_key
from ..base import duplicate_error
from ..corpus_checks import OVERLAP_MS, turn_faults
from .layout import BIT, PLACE, SHIFT, bits_of, decode

_AT_ONCE = 10_000
# The rows with their place in the order of the corpus, which is known once all splits are.
_PLACED = f"""
CREATE TEMP VIEW placed AS
SELECT l.*, s.rank AS rank, (s.rank << {SHIFT}) | (l.id & {PLACE}) AS spot
FROM scratch.lines AS l JOIN main.splits AS s ON s.code = l.id >> {SHIFT}
"""


class Checks:
    """Runs the checks and gathers what they find.

    Args:
        db: the store, with the scratch tables filled.
        order: the splits in the official order.
        families: the defects to look for.

    Attributes:
        counts: split-level counts.
        findings: counts that belong to the corpus as a whole.
    """

    def __init__(self, db: sqlite3.Connection, order: Sequence[str], families: Collection[str]) -> None:
        self._db, self._order, self._families = db, order, families
        self.counts: dict[str, Mapping[str, int]] = {}
        self.findings: dict[str, int] = {}
        db.execute(_PLACED)

    def refuse_duplicates(self, corpus: str) -> None:
        """See `base.refuse_duplicates`.

        Raises:
            InputError: two rows have one id.
        """
        db = self._db
        db.execute("CREATE TABLE scratch.twice AS SELECT key FROM lines GROUP BY key HAVING count(*) > 1")
        if db.execute("SELECT 1 FROM twice LIMIT 1").fetchone() is None:
            return
        clashes, first, last = 0, None, None
        for row in db.execute("SELECT key, spot, id FROM placed WHERE key IN twice ORDER BY key, spot"):
            if last is None or row[0] != last[0]:
                last = row
                continue
            clashes += 1
            if first is None or row[1] < first[0]:
                first = (row[1], last[2], row[2])
        assert first is not None
        (split,) = db.execute("SELECT name FROM splits WHERE code = ?", (first[1] >> SHIFT,)).fetchone()
        one, other = (
            decode(split, db.execute("SELECT data FROM rows WHERE id = ?", (number,)).fetchone()[0])
            for number in first[1:]
        )
        key = one.id or utterance_key(corpus, split, one.dialogue_id, one.utterance_id)
        raise duplicate_error(f"{key} in {one.source} and {other.source}", clashes)

    def run(self) -> None:
        """Runs the checks of the families that are looked for."""
        if "turns" in self._families:
            self._log(self._turns())
        if "repeats" in self._families:
            self._repeats()
        if "splits" in self._families:
            self._log(self._overlaps("ASC"))
            self._log(self._overlaps("DESC"))
            self.counts["episodes_in_train"] = self._episodes_in_train()
        # A row may stand in the log several times, with the same bits too.
        bits = " + ".join(f"max(bits & {bit})" for bit in BIT.values())
        self._db.execute(f"INSERT INTO marks SELECT id, {bits} FROM scratch.log GROUP BY id ORDER BY id")

    def marks(self, code: int) -> list[tuple[int, int]]:
        """Bits and rows of a split that have just these."""
        query = "SELECT bits, count(*) FROM marks WHERE id BETWEEN ? AND ? GROUP BY bits"
        return self._db.execute(query, (code << SHIFT, code << SHIFT | PLACE)).fetchall()

    def _log(self, found: Iterable[tuple[int, int]]) -> None:
        """Takes down rows and their bits; the statement under way reads other tables."""
        self._db.executemany("INSERT INTO scratch.log VALUES (?, ?)", found)

    def _turns(self) -> Iterator[tuple[int, int]]:
        """See `corpus_checks.turns` and `dialogues`."""
        db = self._db
        db.execute(
            "CREATE TABLE scratch.named (split, dialogue, PRIMARY KEY (split, dialogue)) WITHOUT ROWID"
        )
        db.execute(
            f"INSERT OR IGNORE INTO scratch.named SELECT id >> {SHIFT}, dialogue FROM lines "
            "WHERE number IS NULL"
        )
        # By utterance number where all are numbers, else in file order.
        rows = db.execute(
            f"SELECT l.id >> {SHIFT} AS split, l.dialogue, l.id, l.start, l.end FROM lines AS l "
            f"LEFT JOIN named AS n ON n.split = l.id >> {SHIFT} AND n.dialogue = l.dialogue "
            f"ORDER BY 1, l.dialogue, CASE WHEN n.split IS NULL THEN l.number END, l.id"
        )
        for before, after in pairwise(rows):
            if before[:2] == after[:2] and (flags := turn_faults(before[3:], after[3:])):
                yield after[2], bits_of(flags)

    def _repeats(self) -> None:
        """See `corpus_checks.repeats`."""
        db = self._db
        for column, table in (("line", "same_lines"), ("words", "same_words")):
            db.execute(
                f"CREATE TABLE scratch.{table} AS SELECT {column} AS key, count(*) AS rows, "
                "count(DISTINCT label) AS labels, max(long) AS long, min(spot) AS first "
                f"FROM placed WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1"
            )
            db.execute(f"CREATE UNIQUE INDEX scratch.{table}_key ON {table} (key)")
        lines, other_line = BIT["same_line_twice"], BIT["same_line_other_label"]
        text, long_text = BIT["same_text_other_label"], BIT["same_text_other_label_3_words"]
        db.execute(
            f"INSERT INTO scratch.log SELECT id, {lines} + {other_line} * (labels > 1) "
            "FROM lines JOIN same_lines ON lines.line = same_lines.key"
        )
        db.execute(
            f"INSERT INTO scratch.log SELECT id, {text} + {long_text} * same_words.long "
            "FROM lines JOIN same_words ON lines.words = same_words.key WHERE labels > 1"
        )
        further = (
            "FROM placed AS l JOIN same_lines AS s ON l.line = s.key "
            f"JOIN splits AS t ON t.rank = s.first >> {SHIFT} "
            f"JOIN lines AS f ON f.id = (t.code << {SHIFT}) | (s.first & {PLACE}) WHERE l.spot <> s.first"
        )
        pairs, other, across = db.execute(
            f"SELECT count(*), total(l.label IS NOT f.label), total(l.rank <> t.rank) {further}"
        ).fetchone()
        names = ("repeated_texts", "repeated_texts_other_label")
        counts = db.execute(
            "SELECT count(*), total(labels > 1), total(long), total(long AND labels > 1) FROM same_words"
        ).fetchone()
        self.findings = {
            "same_line_pairs": pairs,
            "same_line_pairs_other_label": int(other),
            "same_line_pairs_across_splits": int(across),
            **dict(
                zip((name + end for end in ("", "_3_words") for name in names), map(int, counts), strict=True)
            ),
        }

    def _overlaps(self, direction: str) -> Iterator[tuple[int, int]]:
        """See `corpus_checks.shared_recordings`; one sweep finds rows that start before, the other after.

        At each row only the farthest end (or the nearest start) that each split has reached matters.
        """
        rows = self._db.execute(
            "SELECT recording, start, end, rank, id FROM placed WHERE recording IS NOT NULL AND "
            f"start IS NOT NULL AND end IS NOT NULL ORDER BY recording, start {direction}, rank"
        )
        bit = BIT["overlaps_earlier_split"]
        for _, recording in groupby(rows, itemgetter(0)):
            reached: dict[int, int] = {}
            for _, start, end, rank, number in recording:
                if end - start <= OVERLAP_MS:
                    continue
                earlier = [there for other, there in reached.items() if other < rank]
                if direction == "ASC":
                    shared = max(earlier, default=start) - start
                    reached[rank] = max(reached.get(rank, end), end)
                else:
                    shared = end - min(earlier, default=end)
                    reached[rank] = start
                if shared > OVERLAP_MS:
                    yield number, bit

    def _episodes_in_train(self) -> dict[str, int]:
        return dict(
            self._db.execute(
                "SELECT name, count(*) FROM splits JOIN "
                f"(SELECT DISTINCT id >> {SHIFT} AS code, recording FROM lines WHERE recording IS NOT NULL) "
                "USING (code) WHERE name <> 'train' AND recording IN (SELECT recording FROM placed "
                "WHERE rank = (SELECT rank FROM splits WHERE name = 'train')) GROUP BY name"
            )
        )
