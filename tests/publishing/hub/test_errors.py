"""Which errors can be gone on with, and which not."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OIDCError

from remelt.errors import InputError, Interrupted, RemeltError
from remelt.publishing.hub.errors import hub_errors, passing

ENDPOINT = "https://hub.example.org"


def answered(status: int, said: str = "") -> HfHubHTTPError:
    request = httpx2.Request("GET", ENDPOINT)
    response = httpx2.Response(status, request=request)
    return HfHubHTTPError("told at length", response=response, server_message=said)


def wrapped(error: Exception) -> Exception:
    """As the library hands on what went wrong in one of its threads."""
    try:
        try:
            raise error
        except Exception as inner:
            raise RuntimeError("Error while uploading 'data/x.parquet' to the Hub.") from inner
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (httpx2.ConnectError("refused"), Interrupted, f"the connection to {ENDPOINT} failed (refused)"),
        (httpx2.ReadTimeout(""), Interrupted, "failed (ReadTimeout)"),
        (ConnectionResetError("reset"), Interrupted, "failed (reset)"),
        (TimeoutError("slow"), Interrupted, "failed (slow)"),
        (RuntimeError("what hf_xet\nraises"), Interrupted, "Doing it: what hf_xet raises; run the same"),
        (PermissionError(13, "no", "file"), InputError, "Doing it: [Errno 13] no: 'file'"),
        (ValueError("Invalid metadata\n- license"), InputError, "Doing it: Invalid metadata - license"),
        (HFValidationError("bad name"), InputError, "Doing it: bad name"),
        (answered(401, "Invalid"), InputError, f"{ENDPOINT} answered 401 (Invalid); the token is wrong"),
        (answered(400, "a\x1b[2Jb\u202e"), InputError, "answered 400 (a [2Jb)"),
        (OIDCError("no id token"), InputError, "Doing it: no id token"),
        (answered(418), InputError, "answered 418"),
        (answered(507), Interrupted, "answered 507"),
        (
            answered(429, "slow\n down"),
            Interrupted,
            "answered 429 (slow down); the Hub takes it for too much",
        ),
    ],
)
def test_each_error_in_the_users_words(error: Exception, kind: type[RemeltError], message: str) -> None:
    for raised in (error, wrapped(error)) if isinstance(error, httpx2.HTTPError) else (error,):
        with pytest.raises(RemeltError) as caught, hub_errors("Doing it", ENDPOINT):
            raise raised
        assert type(caught.value) is kind
        assert message in str(caught.value)


def test_remelts_own_errors_pass() -> None:
    with pytest.raises(InputError, match=r"^mine$"), hub_errors("Doing it", ENDPOINT):
        raise InputError("mine")


def test_a_defect_is_no_error_of_the_hub() -> None:
    with pytest.raises(TypeError), hub_errors("Doing it", ENDPOINT):
        raise TypeError("a defect")


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (answered(429), True),
        (answered(503), True),
        (answered(403), False),
        (answered(412), False),
        (httpx2.ReadError("cut"), True),
        (wrapped(httpx2.ReadError("cut")), True),
        (ValueError("bad"), False),
        (RuntimeError("bad"), False),
    ],
)
def test_what_is_tried_again(error: Exception, again: bool) -> None:
    assert passing(error) is again


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"), hub_errors("Doing it", ENDPOINT):
        (tmp_path / "gone").read_bytes()
