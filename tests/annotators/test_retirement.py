"""When a model is switched off, as servers tell it and as builds and plans warn of it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from openai_requests import chat
from remelt.annotators import AnnotatorOptions, known_models, retirement
from remelt.annotators.openai_batch import OpenAIBatch
from remelt.engine import EngineOptions, Stats, Stop
from remelt.errors import AnnotatorError
from remelt.journal import Journal
from remelt.recipes.annotation import Work, carry_out
from remelt.recipes.reporting import Reporter
from servers import ChatServer

KNOWN = "gpt-4o-2024-08-06"


@pytest.mark.parametrize(
    ("entry", "date"),
    [
        ({"shutdown_date": "2027-01-14"}, "2027-01-14"),
        ({"shutdown_date": None}, None),
        ({"expiration_date": "2026-11-08"}, "2026-11-08"),
        ({"deprecation": "2026-11-30T12:00:00Z"}, "2026-11-30"),
        ({"deprecation": "2026-11-30T23:30:00.1234567-02:00"}, "2026-12-01"),
        ({"lifecycle_status": "deprecated", "deprecation": {"inference": 1709284527}}, "2024-03-01"),
        ({"deprecation": {"fine_tune": 1677662127}}, None),
        ({"lifecycle": {"sunset_date": "2027-02-03"}}, "2027-02-03"),
        ({"model_info": {"deprecation_date": "2027-02-03"}}, "2027-02-03"),
        ({"retirement_date": 1799884800}, "2027-01-14"),
        ({"retirement_date": "1799884800000"}, "2027-01-14"),
        ({"retirement_date": 1799884800.5}, "2027-01-14"),
        # What is plainer goes before what may only be an announcement.
        ({"deprecation_date": "2026-01-01", "shutdown_date": "2027-01-14"}, "2027-01-14"),
        ({"deprecation": {"date": "2026-01-01"}, "retires_at": "2027-01-14"}, "2027-01-14"),
        ({"created": 1709284527, "object": "model"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_dates_as_servers_give_them(entry: dict[str, Any], date: str | None) -> None:
    assert retirement.announced({"id": "m", **entry}) == (date, "")


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "2027-13-41",
        "20270114",
        12,
        -5.0,
        float("nan"),
        float("inf"),
        "1e400",
        10**30,
        [1],
        "3027-01-14",
    ],
)
def test_what_is_no_date_is_told_and_left(value: Any) -> None:
    date, problem = retirement.announced({"id": "m", "shutdown_date": value})
    assert date is None
    assert problem.startswith("the field 'shutdown_date' is no date: ")
    assert len(problem) < 120


def test_a_field_that_holds_no_date_does_not_hide_one_that_does() -> None:
    entry = {"shutdown_date": "soon", "deprecation_date": "2027-01-14"}
    assert retirement.announced(entry) == ("2027-01-14", "")


@pytest.mark.parametrize(
    ("today", "words"),
    [
        ("2026-10-15", ""),
        ("2026-10-16", "switched off on 2027-01-14 (in 90 days)"),
        ("2027-01-13", "(in 1 day)"),
        ("2027-01-14", "was switched off on 2027-01-14"),
        ("2030-01-01", "was switched off on 2027-01-14"),
    ],
)
def test_a_warning_comes_ninety_days_before(today: str, words: str) -> None:
    found = retirement.warning("m", "2027-01-14", datetime.date.fromisoformat(today))
    assert words in found
    assert bool(found) == bool(words)


async def started(server: ChatServer, model: str = "m") -> Any:
    annotator = chat(server, model)
    await annotator.start()
    await annotator.close()
    return annotator


async def test_the_listing_goes_before_what_we_know() -> None:
    entry = {"id": KNOWN, "deprecation": {"inference": 1830297600}}
    with ChatServer(listing=(entry,)) as server:
        annotator = await started(server, KNOWN)
    assert annotator.retires == "2028-01-01"
    assert annotator.notices == []


@pytest.mark.parametrize("listing", [(), ({"id": "m"},), ({"id": "other", "shutdown_date": "2027-01-14"},)])
async def test_without_a_date_in_the_listing_the_known_one_holds(listing: tuple[Any, ...]) -> None:
    with ChatServer(listing=listing) as server:
        assert (await started(server, KNOWN)).retires == known_models.find(KNOWN).retires  # type: ignore[union-attr]
        assert (await started(server, "m")).retires is None


async def test_a_date_that_is_none_is_a_notice() -> None:
    with ChatServer(listing=({"id": "m", "shutdown_date": "some day"},)) as server:
        annotator = await started(server)
    assert annotator.retires is None
    assert len(annotator.notices) == 1
    assert "'shutdown_date' is no date: 'some day'" in annotator.notices[0]


async def test_a_listing_without_the_model_is_asked_for_it() -> None:
    entry = {"id": "maker/m", "expiration_date": "2027-03-04"}
    with ChatServer(listing=({"id": "other"},), single=(entry,)) as server:
        assert (await started(server, "maker/m")).retires == "2027-03-04"


async def test_batches_know_it_too() -> None:
    with ChatServer(listing=({"id": "m", "shutdown_date": "2027-01-14"},)) as server:
        annotator = OpenAIBatch("openai-batch/m", "m", AnnotatorOptions(base_url=server.url))
        await annotator.start()
        await annotator.close()
    assert annotator.retires == "2027-01-14"


class Told(Reporter):
    def __init__(self, server: ChatServer) -> None:
        self.server = server
        self.notices: list[tuple[str, int]] = []

    def notice(self, text: str) -> None:
        self.notices.append((text, len(self.server.asked)))


@pytest.mark.parametrize(("today", "warned"), [("2026-12-24", True), ("2026-01-01", False)])
async def test_a_run_says_it_before_it_asks(
    today: str, warned: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openai_requests import make
    from remelt.records import Verdict

    monkeypatch.setattr(retirement, "utc_today", lambda: datetime.date.fromisoformat(today))
    with ChatServer(listing=({"id": "m", "shutdown_date": "2027-01-14"},)) as server:
        told = Told(server)
        work = Work(
            [make(n) for n in range(3)],
            chat(server),
            lambda request, reply: Verdict("valid", {}, "joy"),
            lambda request, history: request.messages,
            EngineOptions(),
        )
        with Journal(tmp_path / "journal.sqlite") as journal:
            await carry_out(work, journal, Stats(rows=3), Stop(), told, {})
        assert len(server.asked) == 3
    found = [(text, asked) for text, asked in told.notices if "switched off" in text]
    assert [asked for _, asked in found] == ([0] if warned else [])
    assert all(text.startswith("m is switched off on 2027-01-14 (in 21 days)") for text, _ in found)


async def test_a_refused_key_still_ends_it() -> None:
    with ChatServer(key="right") as server, pytest.raises(AnnotatorError, match="API key"):
        await started(server)
