"""A function over many items on Ray's workers, its results in the order of the items."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ...errors import RemeltError
from ..parts.options import PartOptions
from . import session, shards, working

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Enough for no worker to wait, few enough that what waits for the consumer is small.
_AHEAD = 4
_RETRIES = 3


class RayPool:
    """What `voice.pool.Pool` is for processes of this machine, for the workers of a cluster.

    Args:
        options: `workers` and `address` hold.
        out: the folder that the workers write to, absolute.
        read: what they read, absolute.

    Raises (on entering):
        InputError: ray is missing, or a machine of the cluster does not see OUT or what is read.
    """

    def __init__(self, options: PartOptions, out: Path, *read: Path) -> None:
        self._options, self._out, self._read = options, out, read
        self._open = contextlib.ExitStack()
        self._cluster: session.Cluster | None = None

    def __enter__(self) -> RayPool:
        options = self._options
        with contextlib.ExitStack() as stack:
            self._cluster = stack.enter_context(session.connect(options.address, options.workers))
            session.check_machines(self._cluster, self._out, *self._read)
            shards.clear(self._out)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._cluster = None
        self._open.close()

    def map(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """See `voice.pool.Pool.map`.

        Raises:
            RemeltError: of the function.
            Interrupted: a worker failed, or was lost again and again over one item.
        """
        cluster = self._cluster
        assert cluster is not None
        task = cluster.ray.remote(num_cpus=1, max_retries=_RETRIES)(_guarded)
        most = _AHEAD * (self._options.workers or cluster.processors)
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(task.remote(function, item))
                if len(waiting) > most:
                    yield _opened(cluster.ray.get(waiting.popleft()))
            while waiting:
                yield _opened(cluster.ray.get(waiting.popleft()))
        except cluster.ray.exceptions.RayError as error:
            raise working.lost(error) from error
        finally:
            for left in waiting:
                cluster.ray.cancel(left)


def _guarded(function: Callable[[Any], Any], item: Any) -> tuple[Any, tuple[str, str] | None]:
    try:
        return function(item), None
    except RemeltError as error:
        return None, working.told_of(error)


def _opened(brought: tuple[Any, tuple[str, str] | None]) -> Any:
    result, failed = brought
    if failed is not None:
        raise working.error_of(failed)
    return result
