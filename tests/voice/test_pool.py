"""Work over processes: order, look-ahead, errors, death."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from remelt.errors import InputError, RemeltError
from remelt.voice.pool import Pool


@pytest.fixture(scope="module")
def two() -> Iterator[Pool]:
    with Pool(2) as pool:
        yield pool


class Counted:
    """Numbers 1, 2, ... that know how many were taken."""

    def __init__(self, last: int) -> None:
        self.taken = 0
        self._last = last

    def __iter__(self) -> Iterator[int]:
        for number in range(1, self._last + 1):
            self.taken = number
            yield number


def test_results_keep_the_order(two: Pool) -> None:
    assert list(two.map(math.sqrt, range(500))) == [math.sqrt(n) for n in range(500)]
    delays = [0.2, 0, 0.1, 0]
    assert list(two.map(time.sleep, delays)) == [None] * 4


def test_the_processes_stay(two: Pool) -> None:
    first = set(two.map(os.getpgid, [0] * 20))
    assert first == {os.getpgid(0)}
    # `eval` is the shortest function that tells where it runs.
    pids = set(two.map(eval, ["__import__('os').getpid()"] * 50))
    again = set(two.map(eval, ["__import__('os').getpid()"] * 50))
    assert os.getpid() not in pids
    assert again <= pids | again
    assert len(pids | again) <= 2


def test_few_items_are_taken_ahead(two: Pool) -> None:
    items = Counted(10_000)
    results = two.map(math.sqrt, items)
    for number in range(1, 101):
        assert next(results) == math.sqrt(number)
        assert items.taken <= number + 2 * 4 + 1
    results.close()
    assert items.taken < 120
    assert next(two.map(math.sqrt, [4])) == 2


def test_one_process_works_here_and_only_when_asked() -> None:
    items = Counted(10)
    with Pool(1) as pool:
        results = pool.map(eval, ("__import__('os').getpid()" for _ in items))
        assert items.taken == 0
        assert next(results) == os.getpid()
        assert items.taken == 1


def test_an_error_comes_at_its_place(two: Pool) -> None:
    results = two.map(int, ["1", "2", "x", "4"])
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="'x'"):
        next(results)
    assert list(two.map(int, ["5"])) == [5]


def test_a_dead_process_is_an_error_of_ours() -> None:
    with Pool(2) as pool:
        with pytest.raises(RemeltError, match="One of the 2 processes died"):
            list(pool.map(os._exit, [7, 7]))
        assert list(pool.map(abs, [-1])) == [1]


def test_bad_number_of_processes() -> None:
    with pytest.raises(InputError, match="Bad number of processes 0"):
        Pool(0)


def test_processes_end_with_a_parent_that_was_killed() -> None:
    code = (
        "from remelt.voice.pool import Pool\n"
        "import time\n"
        "if __name__ == '__main__':\n"
        "    pool = Pool(2)\n"
        "    print(*set(pool.map(eval, ['__import__(\"os\").getpid()'] * 40)), flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [int(word) for word in parent.stdout.readline().split()]
    assert children
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 120
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
