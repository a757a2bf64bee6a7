"""How a request is put to an OpenAI-compatible server, and what is left out when it refuses a field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..records import Message, Request
from .base import AnnotatorOptions, AnswerFormat, in_words
from .openai_errors import ServerSaid

# One of these is understood by llama.cpp, by vLLM, by older vLLM; each passes over the others.
GRAMMAR_FIELDS = ("json_schema", "structured_outputs", "guided_json")
MOST_ALTERNATIVES, FEWER_ALTERNATIVES = 20, 5
_OURS = {*GRAMMAR_FIELDS, "logprobs"}

_LOWER: Mapping[str, AnswerFormat] = {"json_schema": "json_object", "json_object": "prompt"}
_FORMAT = re.compile(
    r"response_format|json[ _](?:schema|object|mode)|structured[ _]outputs?|grammar|guided", re.IGNORECASE
)
_UNSUPPORTED = re.compile(
    r"unsupported|not (?:support|permitted|allowed|available|accept|implemented)|unrecogni[sz]ed|unknown"
    r"|unexpected|extra[ _](?:input|field|f)|only the default|deprecated|cannot both",
    re.IGNORECASE,
)
_TYPE = re.compile(r"json_object|\btype\b")
_SCHEMA = re.compile(r"(?<!json_)schema")
_LOGPROBS = re.compile(r"(?<![\w-])(?:top_)?logprobs?(?![\w-])", re.IGNORECASE)
_NOT_FOR_REASONING = ("temperature", "top_p")
_CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What this server takes, as far as it is known.

    Attributes:
        answer_format: how the JSON structure is asked for.
        auto: whether nobody chose it; an answer in words is then asked for by the prompt alone.
        dropped: parameters that are not sent.
        renamed: True where max_tokens is sent as max_completion_tokens.
        turned: True where the server has refused the other of these two names already.
        bare: True where json_object is asked for without the schema.
        alternatives: likeliest tokens to ask for at each place; 0 for no log-probabilities.
    """

    answer_format: AnswerFormat
    dropped: tuple[str, ...] = ()
    renamed: bool = False
    turned: bool = False
    bare: bool = False
    alternatives: int = 0
    auto: bool = False

    def asked(self, request: Request) -> AnswerFormat:
        """How the structure of this request's answer is asked for."""
        return "prompt" if self.auto and in_words(request.schema) else self.answer_format

    def noted(self, request: Request) -> str:
        """What is notable about how a request was sent; empty for nothing."""
        asked = {name for name, value in request.parameters.items() if value is not None} | _OURS
        parts = [f"sent without {name}" for name in self.dropped if name in asked]
        if self.renamed and "max_tokens" in asked and "max_tokens" not in self.dropped:
            parts.append("max_tokens sent as max_completion_tokens")
        if self.asked(request) == "json_object" and not self.bare:
            parts.append("json_object sent with the schema")
        return "; ".join(parts)

    def means(self, request: Request) -> str:
        """The word for `Reply.means`."""
        asked = self.asked(request)
        return "prompt" if asked == "prefill" and not request.prefill else asked

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
            body[self.limit if name == "max_tokens" else name] = value
        if self.alternatives:
            body |= {"logprobs": True, "top_logprobs": self.alternatives}
        if self.answer_format == "prefill" and request.prefill:
            body["messages"].append({"role": "assistant", "content": sendable(request.prefill)})
        return body | self._structure(request, schema)

    @property
    def limit(self) -> str:
        """How the limit on the reply's tokens is called."""
        return "max_completion_tokens" if self.renamed else "max_tokens"

    def _structure(self, request: Request, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that ask for the answer's structure."""
        asked = self.asked(request)
        if asked == "json_schema":
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        if asked == "json_object":
            bare = {"type": "json_object"}
            return {"response_format": bare if self.bare else {**bare, "schema": schema["schema"]}}
        if asked == "grammar":
            named = {"structured_outputs": {"json": schema["schema"]}}
            return {
                name: named.get(name, schema["schema"]) for name in GRAMMAR_FIELDS if name not in self.dropped
            }
        return dict(_CONTINUE) if asked == "prefill" and request.prefill else {}


def first_plan(model: str, options: AnnotatorOptions, reasoning: bool = False) -> tuple[Plan, list[str]]:
    """What to begin with, and what to tell of it.

    Args:
        model: the model that will be asked.
        options: answer format and log-probabilities.
        reasoning: whether it is known to think before it answers; such models take no temperature.
    """
    plan = Plan(
        "json_schema" if options.answer_format == "auto" else options.answer_format,
        alternatives=MOST_ALTERNATIVES if options.logprobs else 0,
        auto=options.answer_format == "auto",
    )
    if not reasoning:
        return plan, []
    notice = (
        f"{model} is a reasoning model: {' and '.join(_NOT_FOR_REASONING)} are not sent, max_tokens is sent "
        "as max_completion_tokens and covers the reasoning too"
    )
    return replace(plan, dropped=_NOT_FOR_REASONING, renamed=True), [notice]


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
    if blames_format(body, said) and (change := lowered(plan, said, auto)) is not None:
        return change
    if plan.alternatives and _LOGPROBS.search(said.text):
        return _fewer(plan, said)
    if not _UNSUPPORTED.search(said.text):
        return None
    name = named_parameter(body, said)
    if name is None:
        return None
    if name == plan.limit and not plan.turned:
        plan = replace(plan, renamed=not plan.renamed, turned=True)
        return plan, f"the server refuses {name} ({said.message}); sent as {plan.limit}"
    name = "max_tokens" if name == plan.limit else name
    return replace(
        plan, dropped=(*plan.dropped, name)
    ), f"the server refuses {name} ({said.message}); not sent"


def lowered(plan: Plan, said: ServerSaid, auto: bool = True) -> tuple[Plan, str] | None:
    """The plan with the next weaker answer format; None where there is none.

    Args:
        plan: what the refused request was made by.
        said: the refusal.
        auto: whether the format may be another than the one that was asked for.
    """
    about_schema = _SCHEMA.search(said.text) or not _TYPE.search(said.text)
    if plan.answer_format == "json_object" and not plan.bare and about_schema:
        notice = f"the server refuses json_object with a schema ({said.message}); sent without the schema"
        return replace(plan, bare=True), notice
    weaker = _LOWER.get(plan.answer_format) if auto else None
    if weaker is None:
        return None
    means = "the prompt alone" if weaker == "prompt" else weaker
    notice = f"the server refuses {plan.answer_format} ({said.message}); JSON is asked for by {means}"
    return replace(plan, answer_format=weaker), notice


def _fewer(plan: Plan, said: ServerSaid) -> tuple[Plan, str]:
    """The plan with fewer log-probabilities, or none."""
    if plan.alternatives > FEWER_ALTERNATIVES and not _UNSUPPORTED.search(said.text):
        notice = f"the server refuses {plan.alternatives} log-probabilities ({said.message}); asked for 5"
        return replace(plan, alternatives=FEWER_ALTERNATIVES), notice
    notice = f"the server refuses logprobs ({said.message}); there are no soft labels"
    return replace(plan, alternatives=0, dropped=(*plan.dropped, "logprobs")), notice


def named_parameter(body: Mapping[str, Any], said: ServerSaid) -> str | None:
    """The parameter that a refusal names, among those that were sent."""
    kept = ("model", "messages", "response_format", *_CONTINUE)
    if len(grammar := _grammar(body)) == 1:
        # The last one is the answer format itself.
        kept = (*kept, *grammar)
    sent = [name for name in body if name not in kept]
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
    asking = ("response_format", *_grammar(body)) if "response_format" in body else _grammar(body)
    field = _field(said)
    return bool(asking) and (field in asking if field in body else bool(_FORMAT.search(said.message)))


def _grammar(body: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in GRAMMAR_FIELDS if name in body)


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
        if guess and "response_format" in body and named_parameter(body, said) is None:
            change = lowered(bid.plan, said, self.auto)
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
