"""The errors remelt raises on purpose. Their messages name the value, the place and the choices."""

from __future__ import annotations

from collections.abc import Iterable


class RemeltError(Exception):
    """Bad use or bad input; the command line prints the message and exits with 2."""


class InputError(RemeltError):
    """A file or option that cannot be used as it is."""


class Interrupted(RemeltError):
    """The run stopped before its end and the same command goes on; the command line exits with 3."""


class TransientError(RemeltError):
    """The annotator could not answer now; asking again later may work.

    Args:
        message: what the server or the network said.
        retry_after: seconds the server asks to wait, where it says so.
        throttled: True for a rate limit (429); such a refusal is never counted as an attempt.
        charged: True where the request may have been worked on and billed all the same: its reply was lost
            on the way (a time-out, a dropped connection, an answer that cannot be read).
    """

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        throttled: bool = False,
        charged: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.throttled = throttled
        self.charged = charged


class RequestRejected(RemeltError):
    """The annotator refuses this one request for good (too long, blocked content); the others go on."""


class FieldRefused(RequestRejected):
    """The annotator refuses a field of this request; refused in every request, it ends the run.

    Args:
        message: what the server said.
        advice: what to change where all requests are refused for it.
    """

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class AnnotatorError(RemeltError):
    """No request can succeed (wrong key, unknown model); the run stops at once."""


def bad_value(what: str, value: object, choices: Iterable[object]) -> str:
    """The house's sentence for a value that is not among the choices.

    >>> bad_value("speaker rule", "lead", ["named", "list", "any"])
    "Bad speaker rule 'lead', expected one of ['named', 'list', 'any']"
    """
    return f"Bad {what} {value!r}, expected one of {list(choices)!r}"
