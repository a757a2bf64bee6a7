"""What is asked of people and what they said: items, judgements, and which of these count."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ..errors import InputError
from ..records import digest

Mode = Literal["preference", "label"]
MODES: tuple[Mode, ...] = ("preference", "label")
# What a judgement can say; `withdrawn` takes the rater's last word on the item back.
PREFERENCES = ("first", "second", "same", "skip")
CHOICES = {"preference": PREFERENCES, "label": ("label", "skip")}
SKIP = "skip"
WITHDRAWN = "withdrawn"
CONFIDENCES = (1, 2, 3, 4, 5)
NAME_LENGTH = 60
NOTE_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said before the utterance."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One utterance to judge.

    Attributes:
        utterance_id: its id in the dataset; raters never see it.
        split: the dataset's.
        text: the words.
        speaker: who says them; empty where unknown.
        context: the turns before it, first to last.
        first, second: its two labels, in the order of the sources; a rater of the mode `label` does not see
            them. None where the source has none.
        place: where the row stands in the dataset's files.
    """

    utterance_id: str
    split: str
    text: str
    speaker: str = ""
    context: tuple[Turn, ...] = ()
    first: str | None = None
    second: str | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rater said of one item, once.

    Attributes:
        mode: `preference` or `label`.
        sources: where the item's two labels come from: the original label and the new one, as a rule.
        item: the item's key (see `item_key`).
        choice: one of `CHOICES[mode]`, or `withdrawn`.
        first, second: the item's labels at that time.
        left: which of them stood on the left, `first` or `second`; empty in the mode `label`.
        label: what the rater chose from the list; None in the mode `preference`.
        confidence: 1 (a guess) to 5 (certain); None where the rater did not say.
        seconds: from the item's appearance to the choice, as the browser measured it; None where unknown.
        created: UTC time in ISO 8601, to the second.
        number: the place in the store, counted from 1; 0 before it is stored.
    """

    mode: str
    sources: tuple[str, str]
    item: str
    utterance_id: str
    split: str
    rater: str
    choice: str
    first: str | None = None
    second: str | None = None
    left: str = ""
    label: str | None = None
    confidence: int | None = None
    note: str = ""
    seconds: float | None = None
    created: str = ""
    number: int = field(default=0, compare=False)

    @property
    def said(self) -> tuple[object, ...]:
        """What the rater decided, without when and how fast."""
        return (self.choice, self.label, self.confidence, self.note)


def item_key(mode: str, sources: tuple[str, str], item: Item) -> str:
    """By what a judgement is found again: the question, the utterance, its words, and the labels shown.

    A dataset that was rebuilt keeps the judgements of the items that stayed the same.

    >>> joy = Item("s/train/a", "train", "Great!", first="joy", second="anger")
    >>> sources = ("original_label", "label")
    >>> item_key("preference", sources, joy) == item_key("label", sources, joy)
    False
    """
    shown = [item.first, item.second] if mode == "preference" else []
    asked = list(sources) if mode == "preference" else []
    return digest([mode, asked, item.utterance_id, item.text, shown])


def rater_name(text: str) -> str:
    """A rater's name as it is stored: composed characters, single spaces.

    Raises:
        InputError: empty, longer than 60 characters, or with characters that cannot be printed.

    >>> rater_name("  Ann   Lee ")
    'Ann Lee'
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise InputError(f"Bad name {name[:80]!r}, expected 1 to {NAME_LENGTH} printable characters")
    return name


def current(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Each rater's last word on each item, in the order in which it was said.

    Args:
        judgements: all of them, in the order of the store.
    """
    last: dict[tuple[str, str], Judgement] = {}
    for judgement in judgements:
        key = (judgement.rater, judgement.item)
        last.pop(key, None)
        last[key] = judgement
    return [judgement for judgement in last.values() if judgement.choice != WITHDRAWN]
