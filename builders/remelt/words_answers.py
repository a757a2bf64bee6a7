"""Reads an answer that is given in words: the one option that a reply names, and does not deny."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .labels import LabelSet, words_in

_THOUGHT = re.compile(r"<(think|thinking)>.*?</\1>", re.DOTALL)
_THINKING = re.compile(r"<(?:think|thinking)>")
_THOUGHT_ENDS = re.compile(r"</(?:think|thinking)>")
_AROUND = " \t\r\n.,;:!?*`'\"‘’“”()[]<>-"
_NEGATOR = (
    r"(?:\b(?:not|never|no|nor|neither|cannot|hardly|barely|scarcely|rarely|seldom|without|except|dont|isnt)\b"
    r"|n['’]t\b|\b(?:far\s+from|anything\s+but|rather\s+than|instead\s+of)\b)"
)
_BETWEEN = r"[^\w.!?;\n]+"
# A negator and at most two words between it and the option, all in one sentence.
_DENIED_NEAR = re.compile(rf"{_NEGATOR}(?:{_BETWEEN}[\w'’-]+){{0,2}}{_BETWEEN}$", re.IGNORECASE)
# "I don't think that the speaker is happy" denies from farther away; a "but" ends it.
_DENIED_THOUGHT = re.compile(
    r"(?:\bnot|n['’]t)\s+(?:think|believe|say|call|feel|seem|sound|appear|look)\b(?:(?!\bbut\b)[^.!?;\n])*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    rf"[^\w.!?;\n]*\b(?:is|are|was|were|does|do|did|would|can|could|seems?)(?:n['’]?t\b|\s+{_NEGATOR})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Words:
    """What a reply in words says.

    Attributes:
        label: the label; empty where there is a problem.
        problem: why it is no answer; empty where it is one.
        notes: what was tolerated.
    """

    label: str
    problem: str
    notes: tuple[str, ...]


def read_words(raw: str, labels: LabelSet, names: Collection[str]) -> Words:
    """The one option that a reply names.

    An option is denied by a negator among the three words before it in its sentence (`not really happy`),
    by a verb of thinking that is negated (`I don't think she is happy`), or by what follows it (`angry is
    not it`). Such a reply is no answer, nor is one that names several options: asking again is cheaper than
    a wrong label.

    Args:
        raw: the reply; thoughts before the answer do not count.
        labels: the label set.
        names: all ways of writing its labels.

    >>> from remelt.labels import FENG
    >>> read_words("It sounds sad.", FENG, FENG.prompt_order).label
    'sadness'
    >>> read_words("She is not all that happy.", FENG, FENG.prompt_order).problem
    'the reply says what the label is not: She is not all that happy.'
    """
    text = raw.strip().lstrip("\ufeff")
    said = without_thoughts(text) if text else ""
    notes: tuple[str, ...] = ("think_block",) if said != text else ()
    named = [(at, n) for at, n in words_in(said or "", names) if labels.parse(n)]
    spelled = {labels.spelled(label): label for _, n in named if (label := labels.parse(n))}
    problem = ""
    if said is None:
        problem = f"the reply ends before its thoughts do: {excerpt(text)}"
    elif not said:
        problem = "the reply holds nothing but thoughts" if text else "the reply is empty"
    elif not named:
        problem = f"the reply names none of the options {list(labels.prompt_order)}: {excerpt(said)}"
    elif len(spelled) > 1:
        problem = f"the reply names several options: {', '.join(spelled)}"
    elif any(_is_denied(said, at, name) for at, name in named):
        problem = f"the reply says what the label is not: {excerpt(said)}"
    if problem:
        return Words("", problem, notes)
    [(spelling, label)] = spelled.items()
    if said is not None and said.strip(_AROUND) != named[0][1]:
        notes = (*notes, "text_around_word")
    if any(name != spelling for _, name in named):
        notes = (*notes, "label_case")
    return Words(label, "", notes)


def _is_denied(said: str, at: int, name: str) -> bool:
    before = said[:at]
    # The option may be written with other spaces than `name`.
    after = re.sub(r"\S+", "", said[at:], count=len(name.split()))
    return bool(_DENIED_NEAR.search(before) or _DENIED_THOUGHT.search(before) or _DENIED_AFTER.match(after))


def without_thoughts(text: str) -> str | None:
    """What follows a block of thoughts, in which JSON is no answer; None where the block does not end.

    Some chat templates write the opening tag themselves, and the reply begins inside the block.

    >>> without_thoughts('<think>perhaps {"label": "Joy"}</think>\\n{"label": "Fear"}')
    '{"label": "Fear"}'
    """
    if match := _THOUGHT.match(text):
        return text[match.end() :].strip()
    if _THINKING.match(text):
        return None
    end = _THOUGHT_ENDS.search(text)
    return text[end.end() :].strip() if end and text[0] not in "{`" else text


def excerpt(text: str, most: int = 300) -> str:
    """The beginning of a reply, for a message about it."""
    return text if len(text) <= most else f"{text[:most]}…"
