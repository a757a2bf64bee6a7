"""How requests are sent."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How requests are sent.

    Attributes:
        concurrency: requests in flight at most.
        retries: how often an unusable answer is asked again, with what was wrong.
        tries: requests per answer where the server fails (5xx, timeout, dropped connection).
        wait: seconds before the second try; doubles each time, with jitter.
        longest_wait: upper limit of one wait in seconds.
        outage: seconds without any reply after which the run stops (and can be resumed).
        least_concurrency: requests in flight that a struggling server is left with at least.
        requests_per_minute, tokens_per_minute: limits to keep to, beside those that the server tells; None
            for no more than these, and to send as fast as the server answers where it tells none. Tokens
            count as the annotator estimates them, and as the reply says once it is there.
        budget: US dollars that the journal's replies and everything in flight may come to; None for no cap.
        max_rows: utterances to ask about in this run at most, those answered before not counted; 0 only
            takes in what batches of earlier runs have brought.
        deadline: seconds after which nothing new is sent; None for none.
    """

    concurrency: int = 8
    retries: int = 2
    tries: int = 6
    wait: float = 0.5
    longest_wait: float = 60.0
    outage: float = 600.0
    least_concurrency: int = 1
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    budget: float | None = None
    max_rows: int | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        least = {"concurrency": 1, "retries": 0, "tries": 1, "least_concurrency": 1, "max_rows": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"Bad {name} {value!r}, expected a whole number from {low}")
        for name in ("requests_per_minute", "tokens_per_minute", "budget", "deadline"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"Bad {name} {value!r}, expected a number above 0")
