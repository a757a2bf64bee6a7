"""The parts of a build shown as one run."""

from __future__ import annotations

from dataclasses import replace

from remelt.engine import Stats, stats_from, stats_record
from remelt.publishing.streamed import Spooled
from remelt.publishing.tally import Replies, Tally
from remelt.recipes.parts.merge import add_up
from remelt.recipes.parts.progress import WholeRun, one_run
from remelt.recipes.parts.summary import PartSummary
from remelt.recipes.reporting import Reporter
from remelt.selection import SelectionCounts


class Seen(Reporter):
    def __init__(self) -> None:
        self.shown: list[Stats] = []
        self.notices: list[str] = []
        self.ends: list[Stats] = []

    def progress(self, stats: Stats) -> None:
        self.shown.append(stats)

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def annotated(self, stats: Stats) -> None:
        self.ends.append(stats)


def run(rows: int, done: int, **counts: int) -> Stats:
    return replace(Stats(), rows=rows, done=done, valid=done, **counts)


def summary(number: int, rows: int, stats: Stats) -> PartSummary:
    spooled = Spooled({}, (0, 0, 0), {}, False, Tally({}, Replies()))
    return PartSummary(
        number, "train", 0, rows, "f", True, SelectionCounts(), spooled, stats, {"a": stats}, {"a": {}}
    )


def test_rows_to_come_are_guessed_from_those_before() -> None:
    seen = Seen()
    whole = WholeRun(seen, rows=1000)
    whole.take(summary(0, 100, run(80, 80)), run(80, 80))
    whole.progress(run(70, 10))
    assert (seen.shown[-1].rows, seen.shown[-1].done) == (800, 90)
    whole.take(summary(1, 900, run(700, 700)), run(700, 700))
    whole.end()
    assert [(end.rows, end.done) for end in seen.ends] == [(780, 780)]


def test_a_limit_is_a_limit_of_the_guess() -> None:
    seen = Seen()
    whole = WholeRun(seen, rows=1000, most=90)
    whole.take(summary(0, 100, run(80, 80)), run(80, 80))
    whole.progress(run(10, 5))
    assert seen.shown[-1].rows == 90


def test_a_run_that_ends_in_its_first_part_is_told_of() -> None:
    seen = Seen()
    whole = WholeRun(seen, rows=10)
    whole.end()
    assert seen.ends == []
    whole.progress(run(10, 3))
    whole.end()
    assert [end.done for end in seen.ends] == [3]


def test_what_every_part_says_is_said_once() -> None:
    seen = Seen()
    whole = WholeRun(seen, rows=10)
    for text in ("one", "two", "one"):
        whole.notice(text)
    assert seen.notices == ["one", "two"]


def test_counts_add_up_and_requests_in_flight_do_not() -> None:
    first, second = run(5, 4, window=8, peak=7), run(6, 6, window=2, peak=9)
    first.latencies.add(0.5)
    both = one_run([first, second])
    assert (both.rows, both.done, both.window, both.peak, both.latencies.count) == (11, 10, 8, 9, 1)


def test_stats_and_summaries_come_back_from_json() -> None:
    stats = run(5, 4, input_tokens=7)
    stats.latencies.add(0.5)
    stats.finished = stats.started + 2.5
    back = stats_from(stats_record(stats))
    assert back.as_dict() == stats.as_dict()
    made = summary(3, 5, stats)
    again = PartSummary.from_dict(made.as_dict())
    assert again.stats.as_dict() == stats.as_dict()
    assert (again.number, again.rows, again.counts, again.spooled) == (3, 5, made.counts, made.spooled)


def test_the_counts_of_a_vote_add_up() -> None:
    def part(agreed: int, reasons: dict[str, int]) -> dict[str, object]:
        source = {"kind": "model", "compared": 4, "agreed": agreed, "agreement": agreed / 4}
        return {"utterances": 5, "reasons": reasons, "sources": {"a": source}}

    whole = add_up([part(1, {"tie": 2}), part(4, {"quorum": 1, "tie": 1})])
    assert whole["utterances"] == 10
    assert list(whole["reasons"].items()) == [("quorum", 1), ("tie", 3)]
    assert whole["sources"]["a"] == {"kind": "model", "compared": 8, "agreed": 5, "agreement": 5 / 8}
    empty = {"sources": {"a": {"kind": "model", "compared": 0, "agreed": 0, "agreement": None}}}
    assert add_up([empty, empty])["sources"]["a"]["agreement"] is None
