"""What goes wrong between this machine and the Hub, in the user's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

from httpx2 import HTTPError
from huggingface_hub.errors import (
    DeviceCodeError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    OIDCError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ...errors import InputError, Interrupted, RemeltError
from ...offline import active

AGAIN = "run the same command again, it goes on where it stopped"
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_LATER = "the Hub takes it for too much at once; wait a while, then run the same command again"


@contextmanager
def hub_errors(doing: str, endpoint: str) -> Iterator[None]:
    """Turns what huggingface_hub raises into remelt's errors.

    Args:
        doing: what was tried, as the message's beginning (`Cannot create user/name`).
        endpoint: the Hub's address.

    Raises:
        InputError: the Hub refuses, and would again.
        Interrupted: no connection, or the Hub cannot answer now; the same command goes on later.
    """
    try:
        yield
    except RemeltError:
        raise
    except OfflineModeIsEnabled:
        raise InputError(f"{doing}: HF_HUB_OFFLINE is set, which forbids any connection") from None
    except (HFValidationError, OIDCError, DeviceCodeError) as error:
        raise InputError(f"{doing}: {error}") from None
    except (HTTPError, RuntimeError, ValueError, OSError) as error:
        if active():
            raise InputError(f"{doing}: it is not in the Hub's cache here, and remelt is offline") from None
        raise explained(doing, endpoint, innermost(error)) from error


def passing(error: BaseException) -> bool:
    """Whether asking again may help: a broken connection, a rate limit, a server that cannot answer now."""
    found = innermost(error)
    if isinstance(found, HfHubHTTPError):
        return found.response.status_code in _PASSING
    return isinstance(found, (HTTPError, JSONDecodeError))


def innermost(error: BaseException) -> BaseException:
    """The error of the connection where the library has wrapped it into one of its own."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, HTTPError):
            return found
        found = found.__cause__
    return error


def explained(doing: str, endpoint: str, error: BaseException) -> RemeltError:
    """The error to raise for one of huggingface_hub's."""
    if isinstance(error, HfHubHTTPError):
        return _answered(doing, endpoint, error)
    if isinstance(error, (HTTPError, ConnectionError, TimeoutError)):
        reason = str(error) or type(error).__name__
        return Interrupted(f"{doing}: the connection to {endpoint} failed ({reason}); {AGAIN}")
    if isinstance(error, JSONDecodeError):
        return Interrupted(f"{doing}: {endpoint} answered with something that is no JSON; {AGAIN}")
    if isinstance(error, (ValueError, OSError)):
        return InputError(f"{doing}: {_one_line(str(error))}")
    # What hf_xet raises on a broken connection is no more than a RuntimeError.
    return Interrupted(f"{doing}: {_one_line(str(error))}; {AGAIN}")


def _answered(doing: str, endpoint: str, error: HfHubHTTPError) -> RemeltError:
    status = error.response.status_code
    said = _one_line(error.server_message or "")
    told = f"{doing}: {endpoint} answered {status}{f' ({said})' if said else ''}"
    if isinstance(error, RevisionNotFoundError):
        return InputError(f"{told}; there is no such branch, tag or commit")
    if isinstance(error, RepositoryNotFoundError):
        return InputError(f"{told}; there is no such dataset, or this token may not see it")
    advice = {
        401: "the token is wrong or has expired; set HF_TOKEN, or run `hf auth login`",
        402: "the account's storage is used up",
        403: "the token may not do this; it needs the right to write to that user or organisation",
        404: "is this the Hub's address?",
        409: "something of that name exists already, or another change is under way; look, then try again",
        413: "a file or the whole commit is too large for the Hub",
    }
    if status in advice:
        return InputError(f"{told}; {advice[status]}")
    if status == 412:
        return Interrupted(
            f"{told}; somebody else changed the dataset meanwhile; run the same command again to compare anew"
        )
    if status == 429:
        return Interrupted(f"{told}; {_LATER}")
    return Interrupted(f"{told}; {AGAIN}") if status in _PASSING or status >= 500 else InputError(told)


def _one_line(text: str) -> str:
    """Without what could move a terminal's cursor."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
