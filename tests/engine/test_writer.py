import asyncio
import threading
from collections.abc import Sequence

from remelt.engine.writer import Writer
from remelt.errors import Interrupted
from remelt.journal import Journal
from remelt.records import Reply, Request

from ..builders import reply, request
from ..openai_requests import until


class SlowJournal:
    full = False

    def __init__(self, fails: int = -1) -> None:
        self.fails = fails
        self.may_store = threading.Event()
        self.may_store.set()
        self.groups: list[list[Reply]] = []
        self.threads: set[int] = set()

    def append(self, batch: Sequence[tuple[Request, Reply]]) -> None:
        self.threads.add(threading.get_ident())
        self.groups.append([r for _, r in batch])
        assert self.may_store.wait(60)
        if len(self.groups) == self.fails:
            raise Interrupted("no")


def writer_of(journal: object) -> tuple[Writer, list[Exception], list[None]]:
    failures: list[Exception] = []
    full: list[None] = []
    return Writer(journal, failures.append, lambda: full.append(None)), failures, full  # type: ignore[arg-type]


async def test_the_first_reply_is_committed_at_once_the_others_in_groups() -> None:
    journal = SlowJournal()
    journal.may_store.clear()
    writer, _, _ = writer_of(journal)
    stored: list[bool] = []
    asked = [request(n) for n in range(600)]
    writer.put(asked[0], reply(asked[0]), stored.append)
    await until(lambda: bool(journal.groups))
    for one in asked[1:]:
        writer.put(one, reply(one), stored.append)
    journal.may_store.set()
    await writer.flush()
    writer.close()
    assert [len(group) for group in journal.groups] == [1, 256, 256, 87]
    assert [r.utterance_id for group in journal.groups for r in group] == [r.utterance.id for r in asked]
    assert stored == [True] * 600
    assert len(journal.threads) == 1
    assert threading.get_ident() not in journal.threads


async def test_nothing_is_called_done_before_it_is_durable(journal: Journal) -> None:
    writer, _, _ = writer_of(journal)
    found = []
    for one in (request(n) for n in range(50)):
        writer.put(one, reply(one), lambda stored, key=one.key: found.append(len(journal.replies([key]))))  # type: ignore[misc]
        await asyncio.sleep(0)
    await writer.flush()
    writer.close()
    assert found == [1] * 50


async def test_a_group_that_cannot_be_stored_is_told_and_the_next_one_tried() -> None:
    journal = SlowJournal(fails=1)
    writer, failures, _ = writer_of(journal)
    assert not await writer.keep(request(0), reply(request(0)))
    assert await writer.keep(request(1), reply(request(1)))
    assert [str(error) for error in failures] == ["no"]
    await writer.flush()
    writer.close()


async def test_a_full_disk_is_told() -> None:
    journal = SlowJournal()
    writer, _, full = writer_of(journal)
    journal.full = True
    assert await writer.keep(request(0), reply(request(0)))
    assert full == [None]
    await writer.flush()
    writer.close()


async def test_a_slow_trickle_is_never_held_back() -> None:
    journal = SlowJournal()
    writer, _, _ = writer_of(journal)
    for number in range(5):
        await writer.keep(request(number), reply(request(number)))
        await asyncio.sleep(0.02)
    assert [len(group) for group in journal.groups] == [1] * 5
    await writer.flush()
    writer.close()
