"""Work over several processes: started once, results in order, memory flat however long the list is."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Protocol, TypeVar

from ..errors import InputError, RemeltError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Enough for no process to wait for the consumer, few enough that what waits for the consumer is small.
_AHEAD = 4
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Mapper(Protocol):
    """Whoever does the work, in whatever processes; see `Pool.map`."""

    def map(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]: ...


class Pool:
    """Some processes that live as long as the pool does.

    They are spawned, not forked, so libraries with threads are safe in them; the function and the items must
    be picklable, and a script that makes a pool needs the usual `if __name__ == "__main__"`. With one process
    the work is done in this one.

    Args:
        processes: how many; 1 for none besides this one.

    Raises:
        InputError: fewer than one process.

    >>> with Pool(1) as pool:
    ...     list(pool.map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    def __init__(self, processes: int = 1) -> None:
        if processes < 1:
            raise InputError(f"Bad number of processes {processes!r}, expected a whole number from 1")
        self.processes = processes
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes; what they work on is finished, what waits is dropped."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def map(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """The function's results in the order of the items.

        Only a few items per process are taken ahead of the result that is asked for.

        Raises:
            RemeltError: a process died (killed, out of memory).
            Exception: whatever the function raises, at the place of its item.
        """
        if self.processes == 1:
            return map(function, items)
        return self._spread(function, items)

    def _spread(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
            )
        waiting: deque[Future[_Result]] = deque()
        try:
            for item in items:
                waiting.append(self._executor.submit(function, item))
                if len(waiting) > _AHEAD * self.processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
            raise RemeltError(
                f"One of the {self.processes} processes died while working (killed, or out of memory); "
                "fewer processes take less memory"
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def _begin() -> None:
    # Ctrl-C reaches every process of a terminal; the parent ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    for name in _THREADS:
        os.environ.setdefault(name, "1")


def _follow_parent() -> None:
    """Ends this process when its parent was killed, instead of waiting for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
