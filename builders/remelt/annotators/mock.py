"""A deterministic annotator for demonstrations and tests: answers any schema, and badly where it is told to.

`mock:invalid=0.1,refused=0.01,latency=0.02,seed=3`. The reply depends on the utterance's id, the turn and the
seed alone, so that two runs agree however their requests interleave.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, RequestRejected, TransientError, bad_value
from ..protocols import Annotator
from ..records import Message, Reply, Request
from .base import AnnotatorOptions, in_words

SCHEME = "mock"
FORM = "mock[:invalid=SHARE,...]"

_INVALID = ("off_list", "broken", "missing", "prose", "cut_off")
_ODD = ("fences", "text_around", "label_case", "wrong_character")
_SPOILED_WORDS = {"off_list": "frustration", "prose": "It sounds rather calm to me.", "cut_off": "The emo"}
_MAJORITY = "neutral"
_WORDS = ("calm", "bright", "soft", "steady", "tense", "quick", "low", "warm", "sharp", "flat")


@dataclass(frozen=True, slots=True)
class MockSettings:
    """What the mock does, as shares (0 to 1) of its replies.

    Attributes:
        invalid: unusable replies: a label off the list, broken JSON, a field missing, prose, a cut-off.
        odd: usable but untidy ones: code fences, text around the JSON, the label's case, another character.
        refused: refusals.
        rejected: requests that can never succeed.
        transient: requests that fail the first time they come.
        latency: seconds before each reply.
        seed: another seed, other replies.
    """

    invalid: float = 0.0
    odd: float = 0.0
    refused: float = 0.0
    rejected: float = 0.0
    transient: float = 0.0
    latency: float = 0.0
    seed: int = 0


def create(spec: str, options: AnnotatorOptions) -> Annotator:
    """The annotator for `mock` or `mock:NAME=VALUE,...`.

    Raises:
        InputError: an unknown setting or a value out of range.
    """
    return Mock(spec, parse_settings(spec[len(SCHEME) + 1 :], options.seed))


def parse_settings(text: str, seed: int = 0) -> MockSettings:
    """Reads `invalid=0.1,seed=3`; `seed` is the one to use where the text names none.

    Raises:
        InputError: an unknown setting or a value out of range.

    >>> parse_settings("invalid=0.1").invalid
    0.1
    """
    names = [f.name for f in dataclasses.fields(MockSettings)]
    values: dict[str, Any] = {"seed": seed}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in names:
            raise InputError(bad_value("mock setting", name, names))
        try:
            number = int(value) if name == "seed" else float(value)
        except ValueError:
            raise InputError(f"Bad mock setting {part!r}, expected {name}=NUMBER") from None
        if name != "seed" and not 0 <= number <= (60 if name == "latency" else 1):
            raise InputError(
                f"Bad mock setting {part!r}, expected {'seconds' if name == 'latency' else '0 to 1'}"
            )
        values[name] = number
    return MockSettings(**values)


class Mock:
    """Answers without a model.

    Args:
        name: as given on the command line.
        settings: see `MockSettings`.
    """

    model = "mock"

    def __init__(self, name: str, settings: MockSettings) -> None:
        self.name, self.settings = name, settings
        changed = {
            f.name: value
            for f in dataclasses.fields(settings)
            if (value := getattr(settings, f.name)) != f.default and f.name not in ("latency", "transient")
        }
        # In the endpoint, because a reply under other settings is another reply.
        self.endpoint = ":".join(["mock", *filter(None, [",".join(f"{k}={v}" for k, v in changed.items())])])
        self.notices: list[str] = []
        self._seen: set[tuple[str, int]] = set()

    async def start(self) -> None:
        """There is nothing to get ready."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def answer(self, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """Answers one request; see `protocols.Annotator.answer`."""
        started = time.perf_counter()
        key = (request.utterance.id, attempt)
        if self.settings.latency:
            await asyncio.sleep(self.settings.latency)
        if self._draw("rejected", request.utterance.id) < self.settings.rejected:
            raise RequestRejected("mock: this request can never succeed")
        first = key not in self._seen
        self._seen.add(key)
        if first and self._draw("transient", *key) < self.settings.transient:
            raise TransientError("mock: overloaded")
        raw, finish, refusal = self._reply(request, key)
        return Reply(
            request_key=request.key,
            utterance_id=request.utterance.id,
            attempt=attempt,
            raw=raw,
            model=self.model,
            means="mock",
            failure="refused" if refusal else "",
            detail=refusal,
            finish_reason=finish,
            cost=0.0,
            seconds=time.perf_counter() - started,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )

    def _reply(self, request: Request, key: tuple[str, int]) -> tuple[str, str, str]:
        """Raw text, finish reason and refusal."""
        answer = self._fill(request.schema, request, "", key)
        number, settings = self._draw("kind", *key), self.settings
        if number < settings.refused:
            return "", "stop", "mock: I would rather not say"
        number -= settings.refused
        if number < settings.invalid:
            kind = _INVALID[int(number / settings.invalid * len(_INVALID))]
            return self._spoil(kind, answer, request.schema), "length" if kind == "cut_off" else "stop", ""
        number -= settings.invalid
        if number < settings.odd:
            kind = _ODD[int(number / settings.odd * len(_ODD))]
            return self._untidy(kind, answer, request.schema), "stop", ""
        return self._written(answer, request.schema), "stop", ""

    def _written(self, answer: dict[str, Any], schema: Mapping[str, Any]) -> str:
        """An answer as a model would give it."""
        if in_words(schema):
            return str(_get(answer, str(schema.get("x-remelt-label", "label"))))
        return json.dumps(answer, ensure_ascii=False)

    def _draw(self, *parts: object) -> float:
        """A number from 0 to 1 that depends on the seed and the parts alone."""
        data = json.dumps([self.settings.seed, *parts], ensure_ascii=True).encode()
        return int.from_bytes(hashlib.sha256(data).digest()[:7], "big") / 2**56

    # -- answers ------------------------------------------------------------------------------------

    def _fill(self, schema: Mapping[str, Any], request: Request, path: str, key: tuple[str, int]) -> Any:
        """A value that the schema takes; `path` is the dotted place in the answer."""
        number = self._draw("value", path, *key)
        if path and path == request.schema.get("x-remelt-echo"):
            return request.utterance.speaker
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return _choose(list(schema["enum"]), number)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {
                name: self._fill(part, request, f"{path}.{name}".lstrip("."), key)
                for name, part in schema.get("properties", {}).items()
            }
        if kind == "array":
            count = max(1, int(schema.get("minItems", 1)))
            items = schema.get("items", {"type": "string"})
            return [self._fill(items, request, f"{path}.{n}", key) for n in range(count)]
        if kind in ("number", "integer"):
            low = schema.get("minimum", 0)
            value = low + number * (schema.get("maximum", low + 1) - low)
            return round(value) if kind == "integer" else value
        if kind in ("boolean", "null"):
            return None if kind == "null" else number < 0.5
        words = f"{_WORDS[int(number * 10)]} and {_WORDS[int(number * 1000) % 10]}"
        return words[: int(schema.get("maxLength", len(words)))]

    def _spoil(self, kind: str, answer: dict[str, Any], schema: Mapping[str, Any]) -> str:
        if in_words(schema):
            return _SPOILED_WORDS.get(kind, "")
        text = json.dumps(answer, ensure_ascii=False)
        if kind == "off_list":
            _put(answer, str(schema.get("x-remelt-label", "label")), "Frustration")
            return json.dumps(answer, ensure_ascii=False)
        if kind == "missing":
            answer.popitem()
            return json.dumps(answer, ensure_ascii=False)
        if kind == "prose":
            return "The voice sounds rather calm to me."
        return text.replace('":', '"', 1) if kind == "broken" else text[: len(text) * 2 // 3]

    def _untidy(self, kind: str, answer: dict[str, Any], schema: Mapping[str, Any]) -> str:
        if kind == "label_case":
            place = str(schema.get("x-remelt-label", "label"))
            _put(answer, place, str(_get(answer, place)).upper())
        if kind == "wrong_character" and schema.get("x-remelt-echo"):
            _put(answer, str(schema["x-remelt-echo"]), "Somebody Else")
        text = self._written(answer, schema)
        if kind == "fences":
            return f"```{'' if in_words(schema) else 'json'}\n{text}\n```"
        return f"Here is the answer: {text} I hope this helps." if kind == "text_around" else text


def _choose(options: list[Any], number: float) -> Any:
    """One option; where there is a neutral one it gets half, as in the corpora of the field."""
    neutral = [o for o in options if isinstance(o, str) and o.casefold() == _MAJORITY]
    if neutral and len(options) > 1:
        if number < 0.5:
            return neutral[0]
        options = [o for o in options if o is not neutral[0]]
        number = 2 * number - 1
    return options[int(number * len(options))]


def _get(answer: Any, place: str) -> Any:
    for part in place.split("."):
        answer = answer.get(part) if isinstance(answer, dict) else None
    return answer


def _put(answer: dict[str, Any], place: str, value: str) -> None:
    """Sets a value at a dotted place that exists."""
    parent, _, name = place.rpartition(".")
    node = _get(answer, parent) if parent else answer
    if isinstance(node, dict):
        node[name] = value
