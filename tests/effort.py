"""How much work something is, in a measure that a slow or busy machine stretches alike."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable


def effort(work: Callable[[], object], times: int = 3) -> float:
    """Processor time of a function over that of a fixed piece of work, the best of a few times each.

    The fixed work takes about 0.1 s of a usual processor.
    """
    taken, fixed = zip(*((_seconds(work), _seconds(_yardstick)) for _ in range(times)), strict=True)
    return float(min(taken) / min(fixed))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _yardstick() -> None:
    rows = [{"id": f"row {n}", "text": "some words " * 8, "n": n} for n in range(20_000)]
    text = json.dumps(rows)
    assert len(re.findall(r"row \d+", text)) == 20_000
    json.loads(text).sort(key=lambda row: row["id"][::-1])
