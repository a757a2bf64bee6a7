"""How a request is put to an OpenAI-compatible server, and what is left out when it refuses a field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..records import Message, Request
from .base import AnswerFormat
from .openai_errors import ServerSaid

_LOWER: Mapping[str, AnswerFormat] = {"json_schema": "json_object", "json_object": "prompt"}
_FORMAT = re.compile(
    r"response_format|json[ _](?:schema|object|mode)|structured[ _]outputs?|grammar|guided", re.IGNORECASE
)
_UNSUPPORTED = re.compile(
    r"unsupported|not (?:support|permitted|allowed|available|accept|implemented)|unrecogni[sz]ed|unknown"
    r"|unexpected|extra[ _](?:input|field|f)|only the default|deprecated|cannot both",
    re.IGNORECASE,
)
_CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What this server takes, as far as it is known.

    Attributes:
        answer_format: how the JSON structure is asked for.
        dropped: parameters that are not sent.
        renamed: True where max_tokens is sent as max_completion_tokens.
    """

    answer_format: AnswerFormat
    dropped: tuple[str, ...] = ()
    renamed: bool = False

    @property
    def detail(self) -> str:
        """What is notable about a reply to this plan; empty for nothing."""
        parts = [f"sent without {name}" for name in self.dropped]
        if self.renamed and "max_tokens" not in self.dropped:
            parts.append("max_tokens sent as max_completion_tokens")
        return "; ".join(parts)

    def means(self, request: Request) -> str:
        """The word for `Reply.means`."""
        if self.answer_format == "prefill" and not request.prefill:
            return "prompt"
        return self.answer_format

    def body(
        self,
        model: str,
        request: Request,
        messages: tuple[Message, ...],
        attempt: int,
        schema: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The body of the chat completion request.

        Args:
            model: the model to ask for.
            request: what is asked.
            messages: the conversation so far.
            attempt: 0, or the number of the repair turn.
            schema: the answer's schema as `named_schema` gives it.
        """
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": m.role, "content": sendable(m.content)} for m in messages],
        }
        for name, value in request.parameters.items():
            if value is None or name in (*self.dropped, "answer_format"):
                continue
            if name == "seed":
                # A repair turn with the first turn's seed is likely to repeat the first turn's fault.
                value = value + attempt
            body["max_completion_tokens" if self.renamed and name == "max_tokens" else name] = value
        if self.answer_format == "json_schema":
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self.answer_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        elif self.answer_format == "prefill" and request.prefill:
            body["messages"].append({"role": "assistant", "content": sendable(request.prefill)})
            body.update(_CONTINUE)
        return body


def named_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as `response_format` wants it: named, strict, without remelt's own keys.

    >>> named_schema({"title": "my answer", "x-remelt-label": "label", "type": "object"})
    {'name': 'my_answer', 'strict': True, 'schema': {'type': 'object'}}
    """
    name = _NAME.sub("_", str(schema.get("title", "")))[:64] or "answer"
    return {"name": name, "strict": True, "schema": _plain(schema)}


def _plain(node: Any, names: bool = False) -> Any:
    """A copy without remelt's keys and the keywords that say nothing of the answer.

    Args:
        node: a schema or a part of one.
        names: the keys of `node` are property names, not keywords.
    """
    if isinstance(node, Mapping):
        return {
            key: _plain(value, names=not names and key in ("properties", "$defs"))
            for key, value in node.items()
            if names or not (key.startswith("x-remelt-") or key in ("$schema", "$id", "$comment", "title"))
        }
    if isinstance(node, list | tuple):
        return [_plain(item) for item in node]
    return node


def sendable(text: str) -> str:
    """The text without unpaired surrogates, which no JSON body can carry."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def adapt(plan: Plan, body: Mapping[str, Any], said: ServerSaid, auto: bool) -> tuple[Plan, str] | None:
    """The plan without the field that the server has refused, and a sentence on it.

    Args:
        plan: what the refused request was made by.
        body: the refused request.
        said: the refusal.
        auto: whether the answer format may change.

    Returns:
        None where the refusal names no field that can be left out.
    """
    if auto and blames_format(body, said):
        return lowered(plan, said)
    if not _UNSUPPORTED.search(said.text):
        return None
    name = named_parameter(body, said)
    if name == "max_tokens" and not plan.renamed:
        notice = f"the server refuses max_tokens ({said.message}); sent as max_completion_tokens"
        return replace(plan, renamed=True), notice
    if name is None:
        return None
    name = "max_tokens" if name == "max_completion_tokens" and plan.renamed else name
    return replace(
        plan, dropped=(*plan.dropped, name)
    ), f"the server refuses {name} ({said.message}); not sent"


def lowered(plan: Plan, said: ServerSaid) -> tuple[Plan, str] | None:
    """The plan with the next weaker answer format; None where there is none."""
    weaker = _LOWER.get(plan.answer_format)
    if weaker is None:
        return None
    means = "the prompt alone" if weaker == "prompt" else weaker
    notice = f"the server refuses {plan.answer_format} ({said.message}); JSON is asked for by {means}"
    return replace(plan, answer_format=weaker), notice


def named_parameter(body: Mapping[str, Any], said: ServerSaid) -> str | None:
    """The parameter that a refusal names, among those that were sent."""
    sent = [name for name in body if name not in ("model", "messages", "response_format", *_CONTINUE)]
    if _field(said) in body:
        return said.param if said.param in sent else None
    # Of two that exclude each other the temperature stays.
    for name in sorted(sent, key=lambda n: n == "temperature"):
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said.message):
            return name
    return None


def blames_format(body: Mapping[str, Any], said: ServerSaid) -> bool:
    """Whether a refusal is about how the answer's structure was asked for."""
    if any(name in body and name in said.message for name in _CONTINUE):
        return True
    if "response_format" not in body:
        return False
    field = _field(said)
    return field == "response_format" if field in body else bool(_FORMAT.search(said.message))


def _field(said: ServerSaid) -> str:
    """The field of the request that the server's `param` is in (`messages` for `messages.[0].content`)."""
    return re.split(r"[.\[]", said.param)[0]


@dataclass(slots=True)
class Bid:
    """One request's way through the negotiation: the shared plan it began with, and its own."""

    base: Plan
    plan: Plan
    untold: tuple[str, ...] = ()


class Negotiation:
    """What a run has found out about its server; shared by all its requests.

    Args:
        plan: what to begin with.
        auto: whether the answer format may change.
        notices: gets a sentence for each change.
    """

    def __init__(self, plan: Plan, auto: bool, notices: list[str]) -> None:
        self.plan, self.auto, self.settled = plan, auto, False
        self._notices = notices

    def open(self) -> Bid:
        return Bid(self.plan, self.plan)

    def refused(self, bid: Bid, body: Mapping[str, Any], said: ServerSaid, guess: bool = True) -> bool:
        """Changes the bid after a refusal.

        Args:
            bid: the refused one.
            body: what was sent.
            said: the refusal.
            guess: whether a refusal that names nothing may be about the answer format; such a change
                counts for the others only once it has worked.

        Returns:
            False where asking otherwise would not help.
        """
        if bid.base != self.plan:
            bid.base = bid.plan = self.plan
            bid.untold = ()
            return True
        if self.settled:
            return False
        change = adapt(bid.plan, body, said, self.auto)
        if change is not None:
            bid.plan, notice = change
            bid.untold = (*bid.untold, notice)
            self._tell(bid)
            return True
        if guess and self.auto and named_parameter(body, said) is None:
            change = lowered(bid.plan, said)
        if change is None:
            return False
        bid.plan, notice = change
        bid.untold = (*bid.untold, notice)
        return True

    def accepted(self, bid: Bid) -> None:
        """The server took the bid: from now on a refusal is about one request, not about a field."""
        if not self.settled:
            self.settled = True
            if bid.base == self.plan:
                self._tell(bid)

    def _tell(self, bid: Bid) -> None:
        self._notices.extend(bid.untold)
        self.plan = bid.base = bid.plan
        bid.untold = ()
