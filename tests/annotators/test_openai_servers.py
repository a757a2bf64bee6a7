"""Several equal servers: used in turn, taken out when they fail, taken back when they are well."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from urllib.parse import urlsplit

import pytest

from held_server import HeldServer
from openai_requests import KEY, ask, ask_all, chat, make, until
from remelt.annotators.openai_chat import OpenAIChat
from remelt.annotators.openai_transport import Unreachable
from remelt.errors import AnnotatorError, InputError, TransientError
from remelt.records import Reply, Request
from servers import ChatServer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remelt.annotators.openai_servers._FIRST_LOOK", 0.05)
    monkeypatch.setattr("remelt.annotators.openai_servers._LONGEST_LOOK", 0.2)


def several(*servers: ChatServer | str, **options: object) -> OpenAIChat:
    urls = [server if isinstance(server, str) else server.url for server in servers]
    return chat(urls[0], more_urls=tuple(urls[1:]), **options)


def port(server: ChatServer) -> int:
    found = urlsplit(server.url).port
    assert found is not None
    return found


async def persist(annotator: OpenAIChat, request: Request) -> Reply:
    """Asks as the engine does: again after a transient error."""
    for _ in range(100):
        try:
            return await annotator.answer(request, request.messages, 0)
        except TransientError:
            await asyncio.sleep(0.05)
    raise AssertionError("no answer in 100 tries")


async def persist_all(annotator: OpenAIChat, numbers: range, at_once: int = 8) -> list[Reply]:
    requests = iter([make(n) for n in numbers])
    replies: list[Reply] = []

    async def work() -> None:
        for request in requests:
            replies.append(await persist(annotator, request))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return replies


# -- in turn ---------------------------------------------------------------------------------------


async def test_all_are_used_and_the_first_stands_in_the_keys() -> None:
    with ChatServer() as one, ChatServer() as two, ChatServer() as three:
        annotator = several(one, two, three)
        await annotator.start()
        replies = await persist_all(annotator, range(1))
        # All at once: nobody's slowness has a say in whose turn it is.
        replies += await persist_all(annotator, range(1, 90), at_once=89)
        await annotator.close()
        shares = [len(server.asked) for server in (one, two, three)]
        alone = chat(one)
    assert len({reply.utterance_id for reply in replies}) == 90
    assert sum(shares) == 90
    assert set(shares) <= {29, 30, 31}
    assert annotator.endpoint == alone.endpoint == one.url
    assert annotator.notices == []


async def test_the_one_with_the_fewest_requests_under_way_is_asked() -> None:
    with HeldServer() as slow, ChatServer(latency=0.01) as quick:
        annotator = several(slow, quick)
        await persist(annotator, make())
        slow.may_answer = lambda: len(quick.asked) >= 50
        await persist_all(annotator, range(1, 61), at_once=6)
        await annotator.close()
        assert len(quick.asked) > 2 * len(slow.asked)


def test_an_address_is_given_once() -> None:
    with pytest.raises(InputError, match="'http://a:1/v1' is given twice"):
        several("http://a:1/v1", "http://b:1/v1", "http://me:pw@a:1/v1/")
    with pytest.raises(InputError, match="expected one like"):
        several("http://a:1/v1", "b:1")


# -- out and back ----------------------------------------------------------------------------------


async def test_one_dies_in_the_middle_and_comes_back() -> None:
    with ChatServer(latency=0.02) as steady:
        with ChatServer(latency=0.02) as mortal:
            annotator = several(steady, mortal)
            await annotator.start()
            running = asyncio.create_task(persist_all(annotator, range(150)))
            await until(lambda: len(mortal.asked) >= 20)
        replies = await running
        assert len({reply.utterance_id for reply in replies}) == len(replies) == 150
        assert [notice.split(" (")[0] for notice in annotator.notices] == [
            f"{mortal.url} was taken out of the servers in use"
        ]
        answered = Counter(a["hash"] for server in (steady, mortal) for a in server.asked)
        assert len(answered) == 150
        assert sum(answered.values()) - 150 <= 8
        asked = len(steady.asked)
        await persist_all(annotator, range(150, 160))
        assert len(steady.asked) == asked + 10

        with ChatServer(port=port(mortal)) as back:
            await until(lambda: len(annotator.notices) == 2)
            await persist_all(annotator, range(160, 190), at_once=30)
            assert len(back.asked) == 15
        assert annotator.notices[1] == f"{mortal.url} is in use again"
        await annotator.close()


async def test_nobody_at_an_address_costs_no_try() -> None:
    with ChatServer() as gone:
        pass
    with ChatServer() as there:
        annotator = several(gone, there)
        results = await ask_all(annotator, 8)
        assert [type(r) for r in results] == [Reply] * 8
        assert len(there.asked) == 8
    assert len(annotator.notices) == 1


async def test_five_failures_in_a_row_take_a_server_out() -> None:
    with ChatServer(faults={"500": 1}) as broken, ChatServer() as well:
        annotator = several(well, broken)
        await annotator.start()
        await persist_all(annotator, range(40), at_once=2)
        assert len(broken.asked) >= 5
        assert "taken out" in annotator.notices[0]
        assert "status 500" in annotator.notices[0]
        broken.options.faults = {}
        await until(lambda: "in use again" in annotator.notices[-1])
        before = len(broken.asked)
        await persist_all(annotator, range(40, 60))
        assert len(broken.asked) > before
        await annotator.close()


async def test_single_failures_take_nobody_out() -> None:
    with ChatServer(faults={"500:once": 1}) as one, ChatServer(faults={"drop:once": 1}) as two:
        annotator = several(one, two)
        await persist_all(annotator, range(1))
        for number in range(1, 20):
            await persist(annotator, make(number))
        await annotator.close()
    assert annotator.notices == []


async def test_notices_of_a_server_that_comes_and_goes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remelt.annotators.openai_servers._LONGEST_LOOK", 0.01)
    monkeypatch.setattr("remelt.annotators.openai_servers._FAILURES", 1)
    with ChatServer(faults={"500": 1}) as broken, ChatServer(latency=0.01) as well:
        annotator = several(well, broken)
        await annotator.start()
        numbers = itertools.count()
        while len(annotator.notices) < 6:
            await persist(annotator, make(next(numbers)))
        # It is out for the fourth time, and the fifth.
        seen = len(broken.asked)
        while len(broken.asked) < seen + 3:
            await persist(annotator, make(next(numbers)))
        await annotator.close()
    assert len(annotator.notices) == 6
    assert annotator.notices[-1].endswith("is not told")


async def test_when_all_are_out_the_error_is_as_ever() -> None:
    with ChatServer() as one, ChatServer() as two:
        annotator = several(one, two)
        await annotator.start()
    for _ in range(3):
        with pytest.raises(Unreachable) as caught:
            await ask_dead(annotator)
        assert not caught.value.charged
        assert not caught.value.throttled
    with ChatServer(port=port(two)) as back:
        assert (await persist(annotator, make(5))).failure == ""
        assert len(back.asked) == 1
    await annotator.close()


async def ask_dead(annotator: OpenAIChat) -> None:
    """Asks; a kept connection that dies with its server is not what is looked at."""
    for _ in range(8):
        try:
            await annotator.answer(make(5), make(5).messages, 0)
        except Unreachable:
            raise
        except TransientError:
            continue


async def test_a_server_alone_is_never_out() -> None:
    with ChatServer(faults={"500": 1}) as server:
        annotator = chat(server)
        results = await ask_all(annotator, 12)
        assert all(isinstance(r, TransientError) for r in results)
        assert len(server.asked) == 12
    assert annotator.notices == []


async def test_no_credentials_are_told() -> None:
    with ChatServer() as gone:
        url = gone.url.replace("http://", "http://me:hunter2@") + "?token=abc"
    with ChatServer() as there:
        annotator = several(there, url)
        await annotator.start()
        await ask_all(annotator, 4)
    assert len(annotator.notices) == 1
    assert gone.url in annotator.notices[0]
    assert "hunter2" not in str(annotator.notices)
    assert "abc" not in str(annotator.notices)


# -- rate limits -----------------------------------------------------------------------------------


async def test_a_rate_limit_of_one_sends_the_request_to_the_other() -> None:
    with ChatServer(rate_limit=60, burst=1, rate_headers=True) as narrow, ChatServer() as wide:
        annotator = several(narrow, wide)
        results = await asyncio.gather(*(persist(annotator, make(n)) for n in range(12)))
        assert narrow.throttled <= 6
        assert all(reply.failure == "" for reply in results)
        assert max(reply.tries for reply in results) == 2
        await annotator.close()
    assert annotator.notices == []


async def test_a_rate_limit_of_all_is_told() -> None:
    # One request at once, and the next a minute later.
    options = {"rate_limit": 1, "rate_headers": True}
    with ChatServer(**options) as one, ChatServer(**options) as two:
        annotator = several(one, two)
        await persist(annotator, make())
        await persist(annotator, make(1))
        with pytest.raises(TransientError) as caught:
            await ask(annotator, make(2))
    assert caught.value.throttled
    assert caught.value.retry_after is not None
    assert annotator.limits is not None
    assert (annotator.limits.requests, annotator.limits.requests_left) == (2, 0)


async def test_limits_of_a_server_that_is_out_do_not_count() -> None:
    with ChatServer(rate_limit=6000, rate_headers=True) as steady:
        with ChatServer(rate_limit=600, rate_headers=True) as mortal:
            annotator = several(steady, mortal)
            await persist_all(annotator, range(4))
            assert annotator.limits is not None
            assert annotator.limits.requests == 6600
        await persist_all(annotator, range(4, 12))
        assert annotator.limits is not None
        assert annotator.limits.requests == 6000
        await annotator.close()


# -- equal or not ----------------------------------------------------------------------------------


async def test_a_server_with_another_model_is_named() -> None:
    with ChatServer(model="m") as one, ChatServer(model="other") as two:
        annotator = several(one, two)
        with pytest.raises(
            AnnotatorError, match=rf"{two.url} does not serve the model 'm'; it has \['other'\]"
        ):
            await annotator.start()
        await annotator.close()


async def test_a_list_of_models_is_not_believed_while_the_first_server_is_away() -> None:
    with ChatServer() as away:
        pass
    with ChatServer(model="other") as there:
        annotator = several(away, there)
        with pytest.raises(AnnotatorError, match=f"{there.url} does not serve the model 'm'"):
            await annotator.start()
        await annotator.close()


async def test_servers_that_answer_to_every_name_are_equal() -> None:
    with ChatServer() as one, ChatServer() as two, ChatServer(models_route=False) as three:
        annotator = several(one, two, three)
        await annotator.start()
        await annotator.close()


async def test_a_server_that_refuses_the_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(key=KEY) as one, ChatServer(key="sk-another") as two:
        annotator = several(one, two)
        with pytest.raises(AnnotatorError, match=f"{two.url} refuses the API key") as caught:
            await annotator.start()
        await annotator.close()
    assert KEY not in str(caught.value)


async def test_a_server_that_is_away_at_the_start_is_taken_in_later() -> None:
    with ChatServer() as away:
        pass
    with ChatServer(model="m") as there:
        annotator = several(away, there)
        await annotator.start()
        assert f"{away.url} was taken out" in annotator.notices[0]
        await persist_all(annotator, range(4))
        with ChatServer(port=port(away), model="m") as back:
            await until(lambda: len(annotator.notices) == 2)
            await persist_all(annotator, range(4, 24))
            assert back.asked
        await annotator.close()


async def test_nobody_at_all() -> None:
    with ChatServer() as one, ChatServer() as two:
        pass
    annotator = several(one, two)
    with pytest.raises(AnnotatorError, match=f"Cannot reach {one.url}: .*{two.url}: .*base URL right"):
        await annotator.start()
    await annotator.close()


async def test_a_server_that_comes_back_with_another_model_stays_out() -> None:
    with ChatServer(model="m") as steady:
        with ChatServer(model="m") as mortal:
            annotator = several(steady, mortal)
            await annotator.start()
        await persist_all(annotator, range(6))
        with ChatServer(port=port(mortal), model="other") as back:
            await until(lambda: len(annotator.notices) == 2)
            await asyncio.sleep(0.3)
            await persist_all(annotator, range(6, 16))
            assert back.asked == []
        assert "does not serve the model 'm'" in annotator.notices[1]
        assert len(annotator.notices) == 2
        await annotator.close()
