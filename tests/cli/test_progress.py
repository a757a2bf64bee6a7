from types import SimpleNamespace

import pytest

from remelt.cli.progress import LiveReporter, line
from remelt.engine import Stats


def stats(**changes: float) -> Stats:
    values = {"rows": 2_000, "done": 600, "valid": 590, "quarantined": 10, "reused": 100, **changes}
    made = Stats(**values)  # type: ignore[arg-type]
    made.finished = made.started + 10
    return made


def test_the_line_of_a_smooth_run_is_short() -> None:
    assert line(stats(input_tokens=900, output_tokens=100)) == (
        "600/2,000 rows, 100 from the journal, 590 kept, 10 quarantined, 50.0 rows/s, 1,000 tokens, "
        "about 28 s left"
    )


def test_rows_of_an_annotator_that_failed_are_not_waited_for() -> None:
    assert line(stats(given_up=400)).endswith("about 20 s left")
    assert "left" not in line(stats(given_up=1_400))


def test_the_line_tells_what_goes_wrong() -> None:
    made = stats(replies=520, unusable=13, repairs=12, throttled=7, paused=31.4, failed_tries=3, cost=0.12345)
    for _ in range(99):
        made.latencies.add(0.8)
    made.latencies.add(12.0)
    for part in (
        "$0.1235", "0.78 s a request (99 %: 0.78 s)", "2.5 % unusable", "12 repair turns",
        "7 rate limits (31 s held back)", "3 failed tries",
    ):  # fmt: skip
        assert part in line(made)


def test_the_live_display_is_not_drawn_for_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    clock = SimpleNamespace(monotonic=lambda: 1_000 + now)
    monkeypatch.setattr("remelt.cli.progress.line", lambda shown: drawn.append(shown.done) or "")
    monkeypatch.setattr("remelt.cli.progress.time", clock)
    reporter = LiveReporter()
    for done in range(3_000):
        # A row every 1/1024 s, so that the clock is exact: a drawing every 0.1 s is one for every 103 rows.
        now = done / 1024
        reporter.progress(stats(done=done))
    reporter.annotated(stats(done=3_000))
    assert drawn == [*range(0, 3_000, 103), 3_000]
