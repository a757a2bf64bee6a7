"""What an OpenAI-compatible server says when it does not answer, and what that means for the run."""

from __future__ import annotations

import json
import math
import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote

from ..errors import TransientError

Kind = Literal["transient", "throttled", "quota", "key", "model", "route", "rejected", "refused_field"]

_SECRET = re.compile(
    r"\b(?:sk|pk|rk|gsk|hf)[-_][\w*.-]{6,}|(?<=Bearer )\S+|(?<=Basic )\S+|(?<=://)[^/\s@]+(?=@)"
)
_MODEL = re.compile(
    r"model\b.{0,120}\b(?:(?:does )?not (?:exist|found)|not have access|decommissioned|deprecated|retired)"
    r"|(?:unknown|invalid|no such) model|model_not_found|unrecognized model",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|size|window)|too (?:many tokens|long)|request too large"
    r"|maximum (?:prompt|input) length",
    re.IGNORECASE,
)
_BLOCKED = re.compile(r"moderation|flagged|content[ _](?:filter|policy|management)|safety", re.IGNORECASE)
_QUOTA = re.compile(
    r"insufficient_quota|billing_(?:hard_limit|not_active)|insufficient (?:balance|credits)", re.I
)
_LONGEST = 300
# Local servers take any key, such as 'x' or 'none'; these are no secret, and words of the message.
_SHORTEST_KEY = 7
# An answer is kept word for word; what is taken out of it must be no word by chance.
_SHORTEST_IN_ANSWER = 16
CUSTOM_HEADERS = "OPENAI_CUSTOM_HEADERS"


@dataclass(frozen=True, slots=True)
class ServerSaid:
    """An error answer, whatever its form.

    Attributes:
        message: one line, at most 300 characters, without anything that looks like a key.
        code, param: as OpenAI's error bodies carry them; empty where there are none.
        retry_after: seconds to wait, where the server says so.
    """

    status: int
    message: str
    code: str = ""
    param: str = ""
    retry_after: float | None = None

    @property
    def text(self) -> str:
        return f"{self.code} {self.param} {self.message}"


def kind(said: ServerSaid) -> Kind:
    """What an error answer means for the run.

    Returns:
        transient or throttled: ask again; quota, key, model, route: stop; rejected: this request only;
        refused_field: perhaps a field of the request that this server does not take.
    """
    status, text = said.status, said.text
    if status == 429:
        if _QUOTA.search(text):
            return "quota"
        return "rejected" if _TOO_LONG.search(text) else "throttled"
    if status == 401:
        return "key"
    if status == 402:
        return "quota"
    if status == 403:
        if said.code == "model_not_found" or _MODEL.search(text):
            return "model"
        return "rejected" if _BLOCKED.search(text) else "key"
    if status == 404:
        return "model" if _MODEL.search(text) or re.search(r"\bmodel\b", said.message) else "route"
    if status in (408, 409, 425) or status >= 500:
        return "transient"
    if status == 413 or _TOO_LONG.search(text) or _BLOCKED.search(text):
        return "rejected"
    if status in (400, 422):
        return "model" if said.param in ("", "model") and _MODEL.search(text) else "refused_field"
    return "route" if status in (405, 410) or status < 400 else "rejected"


def read_object(
    shown: str, status: int, headers: Mapping[str, str], content: bytes, key: str
) -> Mapping[str, Any] | ServerSaid | None:
    """The JSON object of an answer, what the server said instead, or None for JSON that is no object.

    Args:
        shown: the server's address as messages show it.
        status, headers, content, key: see `read_error`.

    Raises:
        TransientError: it is no JSON; the request may have been worked on all the same.
    """
    if status >= 400:
        return read_error(status, headers, content, key)
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        said = read_error(status, headers, content, key).message or "nothing"
        message = f"{shown} answered with something that is not JSON ({said})"
        raise TransientError(message, charged=True) from None
    return payload if isinstance(payload, dict) else None


def read_error(status: int, headers: Mapping[str, str], content: bytes, key: str = "") -> ServerSaid:
    """Reads an error answer: OpenAI's form, FastAPI's, a bare text, an HTML page.

    Args:
        status: the HTTP status.
        headers: the answer's headers, names in any case as the mapping handles it.
        content: the answer's body.
        key: the API key, which some servers repeat; it is taken out.
    """
    code = param = ""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        message = _page(content)
    else:
        error = body.get("error", body) if isinstance(body, dict) else body
        message = _message(error)
        if isinstance(error, dict):
            code, param = (str(error.get(name) or "") for name in ("code", "param"))
            code = code if code and code != "None" else str(error.get("type") or "")
    return ServerSaid(status, tidy(message, key), tidy(code, key), tidy(param, key), retry_after(headers))


def _page(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    return "an HTML page" if re.search(r"<(?:!doctype|html)", text, re.IGNORECASE) else text


def _message(error: Any) -> str:
    """The words of an error body, but never the request that some servers quote in it."""
    if isinstance(error, dict):
        for name in ("message", "detail", "error", "msg"):
            if error.get(name):
                return _message(error[name])
        return str(error.get("code") or error.get("type") or "no message")
    if isinstance(error, list):
        return "; ".join(_item(item) for item in error[:5])
    return str(error)


def _item(item: Any) -> str:
    """One entry of FastAPI's list of validation errors."""
    if not isinstance(item, dict):
        return str(item)
    place = ".".join(str(part) for part in item.get("loc", ()))
    return f"{place}: {item.get('msg', '')}" if place else str(item.get("msg", item))


def tidy(text: str, key: str = "") -> str:
    """One line of at most 300 characters without the API key or what looks like one.

    >>> tidy("Incorrect API key provided: sk-abc123***xyz.\\nSee the docs")
    'Incorrect API key provided: [key] See the docs'
    """
    text = without(text, secrets(key), _SHORTEST_KEY)
    line = " ".join(_SECRET.sub("[key]", text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def without_key(answer: str, key: str) -> str:
    """An answer without the API key, which a gateway may repeat there, and otherwise as it is.

    >>> without_key('{"label": "joy", "debug": "Bearer abcdefghijklmnop"}', "abcdefghijklmnop")
    '{"label": "joy", "debug": "Bearer [key]"}'
    """
    return without(answer, secrets(key), _SHORTEST_IN_ANSWER)


def without(text: str, secrets: Iterable[str], shortest: int) -> str:
    """A text without some secrets, also in base64 and as part of an address, where they are long enough."""
    for secret in secrets:
        if len(secret) < shortest:
            continue
        plain = secret.encode("utf-8", "replace")
        for form in dict.fromkeys((str(secret), quote(secret, safe=""), b64encode(plain).decode())):
            text = text.replace(form, "[key]")
    return text


def secrets(key: str) -> tuple[str, ...]:
    """A key and what goes to the server with it: see `keys.Key`, and the user's own headers."""
    return (key, *getattr(key, "others", ()), *header_values())


def header_values() -> list[str]:
    """What the user's own headers hold, which may be keys of gateways."""
    lines = os.environ.get(CUSTOM_HEADERS, "").splitlines()
    return [value for line in lines if (value := line.partition(":")[2].strip())]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date.

    >>> retry_after({"retry-after": "2.5"}), retry_after({"retry-after": "soon"})
    (2.5, None)
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError, IndexError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what caused it, innermost last."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__
