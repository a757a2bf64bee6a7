"""What happened in a run, and the way to end it cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from ..records import Annotation


@dataclass(slots=True)
class Stats:
    """What happened so far; the progress display and the summary read it.

    Attributes:
        rows: utterances to annotate in this run.
        done: annotated, in this run or found in the journal.
        reused: utterances whose replies were all in the journal.
        asked: requests that were sent.
        cost: US dollars, of replies with a known price.
    """

    rows: int = 0
    done: int = 0
    valid: int = 0
    quarantined: int = 0
    reused: int = 0
    asked: int = 0
    throttled: int = 0
    failed_tries: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def count(self, annotation: Annotation, reused: bool) -> None:
        self.done += 1
        self.reused += reused
        if annotation.verdict.status == "valid":
            self.valid += 1
        else:
            self.quarantined += 1


class Stop:
    """Asks a run to end cleanly: nothing new is asked, what is in flight is waited for."""

    def __init__(self) -> None:
        self.reason = ""
        self._event = asyncio.Event()

    @property
    def asked(self) -> bool:
        return bool(self.reason)

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._event.set()

    async def sleep(self, seconds: float) -> None:
        """Sleeps, but no longer than until the run is asked to stop."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
