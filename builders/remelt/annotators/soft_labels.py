"""Log-probabilities of the labels, from what a model thought of at the label's place in its answer.

A server that gives log-probabilities gives, for each token it wrote, the likeliest others. At the token where
the labels part, those that can only begin one label are its share; of a beginning that several labels have
in common, the next token decides where the model went on with it, and where it did not, the labels have
equal parts of it. Spellings count together (`Joy`, `joy`, ` Joy`), since the answer's check takes them all.
The numbers are the model's own, before any grammar: what is no label's beginning is left out. An answer in
words is read in the same way, from the option that it names on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..labels import words_in
from ..records import canonical_json
from .base import in_words

LABEL_KEY = "x-remelt-label"
_SPELLINGS_KEY = "x-remelt-spellings"

_SPACE = " \t\r\n"
_DECIMALS = 6
_MOST_STARTS = 200
_THOUGHTS_END = ("</think>", "</thinking>")
_NO_WORD = re.compile(r"[\W_]+")
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply.

    Attributes:
        text: its bytes (a token may end inside a character).
        choices: bytes and natural log-probability of the likeliest tokens at its place, itself included.
    """

    text: bytes
    choices: tuple[tuple[bytes, float], ...]


def from_logprobs(logprobs: Any, raw: str, schema: Mapping[str, Any], prefill: str = "") -> str:
    """The labels' log-probabilities in one choice of a chat completion, as `Reply.label_logprobs` has them.

    Args:
        logprobs: the choice's `logprobs`; may be missing or anything else.
        raw: the choice's text.
        schema: the answer's schema, which names the label's place (`x-remelt-label`) and lists the labels.
        prefill: the answer's first characters, which the server may have been given.

    Returns:
        A JSON object from label (as the label set calls it) to natural log-probability, or an empty string
        where the server gave none or the label is not to be found.
    """
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    entries = content if isinstance(content, list) else []
    own = [_choice(entry) for entry in entries]
    texts = [choice[0] for choice in own if choice is not None]
    place = _place(raw, texts, schema, prefill) if texts and len(texts) == len(entries) else None
    if place is None:
        return ""
    # Only from the label on: twenty choices at every place would cost more than all else that is done.
    tokens = (_token(entry) for entry in entries[place[0] :])
    return as_json(_masses(tokens, place[1], schema, place[2]))


def as_json(logprobs: Mapping[str, float]) -> str:
    """Log-probabilities as `Reply.label_logprobs` has them; empty for none.

    >>> as_json({"Joy": -0.25, "fear": float("-inf")})
    '{"joy":-0.25}'
    """
    known = {label.casefold(): round(p, _DECIMALS) for label, p in logprobs.items() if math.isfinite(p)}
    return canonical_json(known) if known else ""


def label_names(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels that a schema lists, as it spells them; none where it lists none."""
    node: Any = schema
    for part in str(schema.get(LABEL_KEY, "")).split("."):
        node = node.get("properties", {}).get(part) if isinstance(node, Mapping) else None
    names = node.get("enum", ()) if isinstance(node, Mapping) else ()
    return tuple(name for name in names if isinstance(name, str))


def label_set_name(name: str, schema: Mapping[str, Any]) -> str:
    """What the label set calls a label that a schema spells its own way.

    >>> label_set_name("Sad", {"x-remelt-spellings": {"sad": "sadness"}}), label_set_name("Joy", {})
    ('sadness', 'joy')
    """
    folded = name.casefold()
    return str(schema.get(_SPELLINGS_KEY, {}).get(folded, folded))


def _token(entry: Mapping[str, Any]) -> Token:
    """A token of OpenAI's `logprobs.content`."""
    own = _choice(entry)
    assert own is not None
    others = entry.get("top_logprobs")
    choices = dict(filter(None, map(_choice, others if isinstance(others, list) else ())))
    return Token(own[0], tuple({**choices, own[0]: own[1]}.items()))


def _choice(entry: Any) -> tuple[bytes, float] | None:
    if not isinstance(entry, Mapping):
        return None
    text, raw, logprob = (entry.get(name) for name in ("token", "bytes", "logprob"))
    if not isinstance(logprob, int | float) or isinstance(logprob, bool):
        return None
    if not isinstance(text, str) and not isinstance(raw, list):
        return None
    try:
        return bytes(raw) if isinstance(raw, list) else str(text).encode("utf-8", "replace"), float(logprob)
    except (ValueError, TypeError):
        return None


def of_reply(
    raw: str, tokens: Sequence[Token], schema: Mapping[str, Any], prefill: str = ""
) -> dict[str, float]:
    """The labels' log-probabilities in a reply.

    Args:
        raw: the reply's text.
        tokens: what it was written with; servers may have cut spaces, fences or thoughts off the text.
        schema: see `from_logprobs`.
        prefill: see `from_logprobs`.

    Returns:
        Natural log-probability by label as the label set calls it, without labels of no mass; empty where
        the label or its tokens are not to be found.
    """
    place = _place(raw, [token.text for token in tokens], schema, prefill)
    return {} if place is None else _masses(tokens[place[0] :], place[1], schema, place[2])


def _place(
    raw: str, texts: Sequence[bytes], schema: Mapping[str, Any], prefill: str
) -> tuple[int, int, bool] | None:
    """The number of the token in which the label begins, how many of its bytes come before it, and whether
    it stands among words and not in an object.
    """
    names, path = label_names(schema), str(schema.get(LABEL_KEY, "")).split(".")
    text, given = raw, 0
    place = label_place(text, path, names)
    if place is None and prefill:
        text, given = prefill + raw, len(prefill)
        place = label_place(text, path, names)
    worded = place is None and in_words(schema)
    if worded:
        text, given, prefill = raw, 0, ""
        said = max(raw.rfind(end) for end in _THOUGHTS_END)
        place = next((at for at, _ in words_in(raw, names) if at > said), None)
    whole = b"".join(texts)
    if given == 0 and raw.startswith(prefill) and _bytes(raw) not in whole:
        # The server repeats the prefill, which is none of the model's tokens.
        given = len(prefill)
    shift = whole.rfind(_bytes(text[given:]))
    if place is None or place < given or shift < 0:
        return None
    left = shift + len(_bytes(text[given:place]))
    for number, part in enumerate(texts):
        if left < len(part):
            return number, left, worded
        left -= len(part)
    return None


def label_place(text: str, path: Sequence[str], names: Iterable[str]) -> int | None:
    """Where the label's characters begin (after the quote) in the last object of a text that has them.

    >>> label_place('{"a": 1, "label": "Joy"}', ["label"], ["Joy"])
    19
    """
    known = {name.strip().casefold() for name in names}
    start, found = text.find("{"), None
    for _ in range(_MOST_STARTS):
        if start == -1:
            break
        place = _walk(text, start, path)
        try:
            _, end = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        if place is not None and place[1].strip().casefold() in known:
            found = place[0]
        start = text.find("{", end)
    return found


def _walk(text: str, at: int, path: Sequence[str]) -> tuple[int, str] | None:
    """Place and value of the string that a path of keys leads to, in the object that begins at a place."""
    try:
        at = _skip(text, at + 1)
        while text[at] == '"':
            key, at = _decoder.raw_decode(text, at)
            at = _skip(text, at)
            if text[at] != ":":
                return None
            at = _skip(text, at + 1)
            if key == path[0] and len(path) > 1:
                return _walk(text, at, path[1:]) if text[at] == "{" else None
            value, end = _decoder.raw_decode(text, at)
            if key == path[0]:
                return (at + 1, value) if isinstance(value, str) else None
            at = _skip(text, end)
            if text[at] != ",":
                return None
            at = _skip(text, at + 1)
    except (ValueError, IndexError, RecursionError):
        return None
    return None


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _masses(
    tokens: Iterable[Token], before: int, schema: Mapping[str, Any], worded: bool
) -> dict[str, float]:
    """Adds up what the tokens of the label say of all labels.

    Args:
        tokens: those from the one on in which the label begins.
        before: how many of that token's bytes come before the label.
        schema: the schema that lists the labels.
        worded: the label stands among words: it ends where they do, and not at a quote.
    """
    fitting = _named if worded else _fitting
    labels = {label_set_name(name, schema): _written(name) for name in label_names(schema)}
    masses = dict.fromkeys(labels, 0.0)
    shared, begun = 1.0, b""
    for token in tokens:
        lead, before = token.text[:before], 0
        own = fitting(begun + token.text[len(lead) :], labels)
        if not own:
            # The label is spelled with escapes: its tokens cannot be told apart.
            return {}
        further = 0.0
        for text, logprob in token.choices:
            content = text if worded else _after(lead, text)
            fit = () if content is None else fitting(begun + content, labels)
            mass = shared * math.exp(min(logprob, 0.0))
            if len(fit) > 1 and fit == own:
                further += mass
            elif len(fit) < len(labels):
                for label in fit:
                    masses[label] += mass / len(fit)
        if len(own) == 1:
            break
        begun, shared = begun + token.text[len(lead) :], further
    else:
        # The reply ends with a label that begins another one.
        for label, name in labels.items():
            masses[label] += shared if worded and name == _clean(begun) else 0.0
    return {label: math.log(mass) for label, mass in masses.items() if mass > 0}


def _after(lead: bytes, text: bytes) -> bytes | None:
    """What a choice says of the label, where the token that was taken has something before it (` "Joy`)."""
    if not lead:
        return text
    before, quote, content = text.partition(b'"')
    return content if quote and b'"' in lead and not before.strip() else None


def _fitting(content: bytes, labels: Mapping[str, str]) -> tuple[str, ...]:
    """The labels that a text inside the quotes can begin, or is where the closing quote stands in it."""
    text = content.decode("utf-8", "ignore").lstrip().casefold()
    said, quote, _ = text.partition('"')
    if quote:
        return tuple(label for label, name in labels.items() if name == said.rstrip())
    return tuple(label for label, name in labels.items() if name.startswith(said))


def _named(content: bytes, labels: Mapping[str, str]) -> tuple[str, ...]:
    """The labels that a text among words can begin, or is where something else follows in it."""
    text = _clean(content)
    return tuple(
        label
        for label, name in labels.items()
        if name.startswith(text) or (text.startswith(name) and _NO_WORD.match(text, len(name)))
    )


def _clean(content: bytes) -> str:
    """A text without what stands before its first letter: spaces, hyphens, quotes."""
    text = content.decode("utf-8", "ignore").casefold()
    before = _NO_WORD.match(text)
    return text[before.end() :] if before else text


def _written(name: str) -> str:
    return json.dumps(name.strip(), ensure_ascii=False)[1:-1].casefold()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
