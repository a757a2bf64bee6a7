"""Pieces of work spread over Ray's workers by Ray Data: what is at work, what went wrong, and how to stop."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine import Stats, together
from ...errors import AnnotatorError, InputError, Interrupted, RemeltError
from ..annotation import stop_runs
from ..reporting import Reporter
from .session import Cluster

_BEAT = 1.0
_POLL = 0.25
_LIVES = 4
_KINDS: tuple[type[RemeltError], ...] = (AnnotatorError, InputError, Interrupted)


# Does an item; it is sent to every worker once, and may keep what it loads.
Work = Callable[[Any, Reporter], Any]


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work.

    Attributes:
        workers: how many at once.
        processors: of each.
        graphics: graphics processors of each, or the share of one.
    """

    workers: int
    processors: float = 1
    graphics: float = 0


@dataclass(frozen=True, slots=True)
class Done:
    """An item that was done.

    Attributes:
        number: its place among the items.
        result: what the work returned.
    """

    number: int
    result: Any


@dataclass(frozen=True, slots=True)
class _Told:
    """What a worker tells of the item it is at: the counts so far, None where it is over; new notices."""

    stats: Stats | None = None
    notices: tuple[str, ...] = ()


def crew(cluster: Cluster, workers: int | None, items: int, in_process: bool, threads: int = 1) -> Crew:
    """How many workers there are, and what each has.

    Args:
        workers: as the user says; None for one for each processor.
        items: how many pieces of work there are.
        in_process: whether models are loaded into the workers' memory.
        threads: processor cores that such a model uses.
    """
    each = max(1, threads) if in_process else 1
    number = max(1, min(workers or cluster.processors // each, items))
    graphics = 0.0
    if in_process and cluster.graphics:
        share = -(-number // cluster.graphics)
        graphics = 1 / share
    return Crew(number, min(each, max(1, cluster.processors // number)), graphics)


def spread(
    cluster: Cluster, crew: Crew, work: Work, items: Sequence[Any], reporter: Reporter
) -> Iterator[Done]:
    """Has every item done by one of the workers and yields the results as they come.

    A worker that is lost is started anew and does its item again; one that is lost four times over the same
    item ends the run. The first SIGINT or SIGTERM, or the first item that fails, asks the workers to end
    what they are at; a second signal does not wait for them.

    Args:
        cluster: connected to.
        crew: see `crew`.
        work: does an item; can be pickled. A `RemeltError` of it asks the other workers to stop.
        items: can be pickled.
        reporter: is told `progress` of all items at work together, and the workers' notices.

    Raises:
        RemeltError: an item failed, of the kind that the work raised, or a worker did.
        Interrupted: stopped by a signal.
    """
    run = _Run(cluster, crew, work, items, reporter)
    try:
        with _signals(run.on_signal):
            yield from run.results()
    finally:
        run.end()


class _Run:
    def __init__(
        self, cluster: Cluster, crew: Crew, work: Work, items: Sequence[Any], reporter: Reporter
    ) -> None:
        self._ray, self._crew, self._reporter = cluster.ray, crew, reporter
        self._work, self._items = work, items
        self._control = cluster.ray.remote(num_cpus=0, max_restarts=0)(Control).remote()
        self._coming: queue.Queue[Any] = queue.Queue()
        self._failure: RemeltError | None = None
        self._said: set[str] = set()
        self._signal = ""
        self._asked_to_stop = False
        self._begun = time.monotonic()

    def results(self) -> Iterator[Done]:
        threading.Thread(target=self._consume, daemon=True).start()
        while True:
            try:
                found = self._coming.get(timeout=_POLL)
            except queue.Empty:
                self._look()
                continue
            if found is None:
                break
            if isinstance(found, Exception):
                raise lost(found) from found
            number, result, failure = found
            if failure is None:
                yield Done(number, result)
            else:
                self._failure = self._failure or failure
            self._look()
        self._look()
        if self._signal:
            raise Interrupted(f"stopped by {self._signal}")
        if self._failure is not None:
            raise self._failure

    def on_signal(self, name: str) -> None:
        if self._signal:
            raise KeyboardInterrupt
        self._signal = name

    def end(self) -> None:
        """Asks whoever is still at work to stop; the run is over, whatever ended it."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._control.stop.remote("the run ended")

    def _consume(self) -> None:
        """In a thread of its own: takes what Ray Data brings."""
        try:
            for row in self._dataset().iter_rows():
                self._coming.put(_opened(row["outcome"]))
            self._coming.put(None)
        except Exception as error:  # noqa: BLE001 - it is raised where the results are waited for
            self._coming.put(error)

    def _dataset(self) -> Any:
        import ray.data

        packed = [{"item": pickle.dumps((number, item))} for number, item in enumerate(self._items)]
        data = ray.data.from_items(packed, override_num_blocks=len(packed))
        data.context.enable_progress_bars = False
        return data.map_batches(
            _Worker,
            fn_constructor_kwargs={"work": self._work, "control": self._control, "folder": os.getcwd()},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=self._crew.workers, max_tasks_in_flight_per_actor=1),
            num_cpus=self._crew.processors,
            num_gpus=self._crew.graphics,
        )

    def _look(self) -> None:
        """Shows how far the workers are, passes on what they told, and asks them to stop where it is time."""
        if (self._signal or self._failure) and not self._asked_to_stop:
            self._asked_to_stop = True
            self._control.stop.remote(f"stopped by {self._signal}" if self._signal else "another part failed")
            if self._signal:
                self._reporter.notice("Stopping: waiting for the workers; again to stop at once")
        try:
            at_work, notices = self._ray.get(self._control.news.remote())
        except self._ray.exceptions.RayError as error:
            raise lost(error) from error
        for notice in notices:
            # What one worker has to say, the others mostly say too.
            if notice not in self._said:
                self._said.add(notice)
                self._reporter.notice(notice)
        if at_work:
            all_of_them = together(at_work)
            # The clocks of several machines have nothing in common.
            all_of_them.started, all_of_them.finished = self._begun, None
            self._reporter.progress(all_of_them)


class Control:
    """Between the run and its workers; an actor of its own, for both can call it while they work."""

    def __init__(self) -> None:
        self._stopped = ""
        self._begun: Counter[int] = Counter()
        self._stats: dict[int, Stats] = {}
        self._notices: list[str] = []

    def begin(self, number: int) -> tuple[str, int]:
        """A worker takes an item: why it must not, or nothing, and how often the item was begun."""
        self._begun[number] += 1
        return self._stopped, self._begun[number]

    def tell(self, number: int, told: _Told) -> str:
        """A worker tells how far it is; what it gets is why it must stop, or nothing."""
        if told.stats is None:
            self._stats.pop(number, None)
        else:
            self._stats[number] = told.stats
        self._notices += told.notices
        return self._stopped

    def stop(self, reason: str) -> None:
        self._stopped = self._stopped or reason

    def news(self) -> tuple[list[Stats], list[str]]:
        """The counts of the items at work, and the notices since the last time."""
        notices, self._notices = self._notices, []
        return list(self._stats.values()), notices


class _Worker:
    """One process that does items, one after the other."""

    def __init__(self, work: Work, control: Any, folder: str) -> None:
        self._work, self._control = work, control
        # Where the user stands, for paths that are not absolute; a cluster was started somewhere else. On a
        # machine without that folder they are not found, and the error names them.
        with contextlib.suppress(OSError):
            os.chdir(folder)

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa

        made = [self._one(*pickle.loads(item)) for item in batch.column("item").to_pylist()]
        return pa.table({"outcome": pa.array(made, pa.binary())})

    def _one(self, number: int, item: Any) -> bytes:
        line = _Line(self._control, number)
        try:
            with line:
                return pickle.dumps((number, self._work(item, line), None))
        except RemeltError as error:
            return pickle.dumps((number, None, told_of(error)))
        except Exception as error:  # noqa: BLE001 - Ray would wrap it in pages of its own frames
            return pickle.dumps((number, None, ("", _unplanned(error))))


def _unplanned(error: Exception) -> str:
    """A defect of ours, as short as it can be found by."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"A worker failed: {type(error).__name__}: {error} ({last.filename}:{last.lineno})"


class _Line(Reporter):
    """A worker's line to the run: tells it how far an item is, and hears when to stop.

    Raises (on entering):
        Interrupted: the run is being stopped.
    """

    def __init__(self, control: Any, number: int) -> None:
        self._control, self._number = control, number
        self._stats: Stats | None = None
        self._notices: list[str] = []
        self._over = threading.Event()
        self._talk = threading.Thread(target=self._beat, daemon=True)

    def notice(self, text: str) -> None:
        self._notices.append(text)

    def progress(self, stats: Stats) -> None:
        self._stats = stats

    def __enter__(self) -> _Line:
        import ray

        stopped, lives = ray.get(self._control.begin.remote(self._number))
        if stopped:
            raise Interrupted(stopped)
        if lives > _LIVES:
            raise Interrupted(
                f"{_LIVES} workers were lost over the same part (killed, or out of memory); fewer workers "
                "take less memory"
            )
        if lives > 1:
            self._notices.append("A worker was lost; what it was at is done again, without what was answered")
        self._talk.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._talk.join()
        self._stats = None
        self._call()

    def _beat(self) -> None:
        while not self._over.wait(_BEAT):
            if stopped := self._call():
                stop_runs(stopped)

    def _call(self) -> str:
        import ray

        told, self._notices = tuple(self._notices), []
        try:
            return str(ray.get(self._control.tell.remote(self._number, _Told(self._stats, told))))
        except ray.exceptions.RayError:
            return "the run is gone"


def _opened(outcome: bytes) -> tuple[int, Any, RemeltError | None]:
    number, result, failed = pickle.loads(outcome)
    if failed is None:
        return number, result, None
    return number, result, error_of(failed)


def told_of(error: RemeltError) -> tuple[str, str]:
    """An error as a worker sends it: its kind and what it says."""
    return next((kind.__name__ for kind in _KINDS if isinstance(error, kind)), ""), str(error)


def error_of(told: tuple[str, str]) -> RemeltError:
    """The error that a worker told of."""
    kind = next((kind for kind in _KINDS if kind.__name__ == told[0]), RemeltError)
    return kind(told[1])


def lost(error: Exception) -> Interrupted:
    """A worker that failed in a way nobody planned for, or that Ray lost too often."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # Of a traceback from afar the last line says what it was.
    return Interrupted(f"Ray's workers failed: {lines[-1].strip()}")


@contextlib.contextmanager
def _signals(on_signal: Callable[[str], None]) -> Iterator[None]:
    """SIGINT and SIGTERM are told by name instead of ending the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    for sign in (signal.SIGINT, signal.SIGTERM):
        before[sign] = signal.signal(sign, lambda number, _: on_signal(signal.Signals(number).name))
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
