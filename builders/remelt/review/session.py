"""One question put to several raters: hands out items, takes judgements, takes them back."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from threading import RLock
from typing import Any

from ..errors import InputError, RemeltError, bad_value
from .assignment import Wanted, choose, first_on_left, open_items
from .judgements import (
    CHOICES,
    CONFIDENCES,
    MODES,
    NOTE_LENGTH,
    SKIP,
    WITHDRAWN,
    Item,
    Judgement,
    Mode,
    current,
    item_key,
    rater_name,
)
from .store import Store

_LONGEST = 24 * 60 * 60.0


class StaleItem(RemeltError):
    """The browser shows something that is not asked any more; it has to load the next item."""


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        mode: `preference` or `label`.
        sources: where the two labels of an item come from.
        labels: what a rater of the mode `label` chooses from.
        wanted: how judgements are spread.

    Raises:
        InputError: an unknown mode, no labels to choose from, or a limit below 1.
    """

    mode: Mode
    sources: tuple[str, str]
    labels: tuple[str, ...] = ()
    wanted: Wanted = field(default_factory=Wanted)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(bad_value("mode", self.mode, MODES))
        if self.mode == "label" and len(self.labels) < 2:
            raise InputError(f"Bad labels {list(self.labels)!r}: two or more are needed to choose from")
        limit = self.wanted.raters_per_item
        if limit is not None and limit < 1:
            raise InputError(f"Bad raters per item {limit!r}, expected a whole number from 1")


@dataclass(frozen=True)
class Served:
    """What a rater's browser gets to see of an item.

    Attributes:
        token: stands for the item; says nothing about it.
        left, right: the two labels as they stand; empty in the mode `label`.
        earlier: the judgement that the rater took back, if there is one.
    """

    token: str
    item: Item
    left: str = ""
    right: str = ""
    earlier: Judgement | None = None


class Session:
    """Raters and items of one question; safe to use from several threads.

    Attributes:
        question: what is asked.
        name: stands for the store and the question; the same after a restart, and says nothing about either.

    Args:
        items: what is judged; each at most once.
        store: where judgements go, and where those made before lie.
        question: what is asked.

    Raises:
        InputError: no item.
    """

    def __init__(self, items: Sequence[Item], store: Store, question: Question) -> None:
        if not items:
            raise InputError("There is no item to judge")
        self.question = question
        self._store = store
        self._lock = RLock()
        self._items = {item_key(question.mode, question.sources, item): item for item in items}
        secret = store.secret("items").encode()
        self._tokens = {
            key: hmac.new(secret, key.encode(), hashlib.sha256).hexdigest() for key in self._items
        }
        self._keys = {token: key for key, token in self._tokens.items()}
        # Browsers keep what they could not send under this name; another review at the address has another.
        asked = json.dumps([question.mode, question.sources if question.mode == "preference" else []])
        self.name = hmac.new(secret, f"review {asked}".encode(), hashlib.sha256).hexdigest()[:16]
        self._said: dict[str, dict[str, Judgement]] = {}
        self._withdrawn: dict[str, dict[str, Judgement]] = {}
        self._shown: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._load()

    def _load(self) -> None:
        stored = self._store.judgements()
        for judgement in stored:
            self._names.setdefault(judgement.rater.casefold(), judgement.rater)
        earlier: dict[tuple[str, str], Judgement] = {}
        known = [judgement for judgement in stored if judgement.item in self._items]
        for judgement in known:
            withdrawn = self._of(self._withdrawn, judgement.rater)
            withdrawn.pop(judgement.item, None)
            if judgement.choice == WITHDRAWN:
                place = (judgement.rater, judgement.item)
                withdrawn[judgement.item] = earlier.pop(place, judgement)
            else:
                earlier[judgement.rater, judgement.item] = judgement
        for judgement in current(known):
            self._remember(judgement)

    def _of(self, table: dict[str, dict[str, Judgement]], rater: str) -> dict[str, Judgement]:
        return table.setdefault(rater, {})

    def _remember(self, judgement: Judgement) -> None:
        said = self._of(self._said, judgement.rater)
        before = said.pop(judgement.item, None)
        said[judgement.item] = judgement
        self._counts[judgement.item] += (judgement.choice != SKIP) - (
            before is not None and before.choice != SKIP
        )

    def rater(self, text: str) -> str:
        """The rater of this name, however it is capitalised.

        Raises:
            InputError: it is no name.
        """
        name = rater_name(text)
        with self._lock:
            return self._names.setdefault(name.casefold(), name)

    def counts(self) -> Mapping[str, int]:
        """Judgements of each item, by its key; skips are not counted."""
        with self._lock:
            return {key: self._counts[key] for key in self._items}

    def progress(self, rater: str) -> dict[str, int]:
        """How many items the rater has judged (`done`), and how many wait for them (`open`)."""
        with self._lock:
            said = self._of(self._said, rater)
            opened = open_items(self._items, said, self._counts, self.question.wanted)
            return {"done": len(said), "open": len(opened)}

    def last(self, rater: str) -> str | None:
        """The token of the item that the rater judged last; None where there is none."""
        with self._lock:
            said = self._of(self._said, rater)
            return self._tokens[next(reversed(said))] if said else None

    def next(self, rater: str) -> Served | None:
        """The item that the rater is to judge now: one that was taken back, else a new one; None at the end.

        Asking again without judging gives the same item.
        """
        with self._lock:
            key = self._next(rater)
            if key is None:
                self._shown.pop(rater, None)
                return None
            self._shown[rater] = key
            left, right = self._sides(rater, key)
            earlier = self._of(self._withdrawn, rater).get(key)
            return Served(self._tokens[key], self._items[key], left, right, earlier)

    def _next(self, rater: str) -> str | None:
        said = self._of(self._said, rater)
        back = [key for key in self._of(self._withdrawn, rater) if key not in said]
        if back:
            return back[-1]
        opened = open_items(self._items, said, self._counts, self.question.wanted)
        shown = self._shown.get(rater)
        if shown in opened:
            return shown
        held = Counter(key for other, key in self._shown.items() if other != rater)
        return choose(rater, opened, self._counts, held, self.question.wanted)

    def _sides(self, rater: str, key: str) -> tuple[str, str]:
        if self.question.mode != "preference":
            return "", ""
        item = self._items[key]
        pair = (item.first or "", item.second or "")
        return pair if first_on_left(rater, key, self.question.wanted.seed) else pair[::-1]

    def item(self, token: str) -> Item:
        """The item behind a token.

        Raises:
            StaleItem: there is none.
        """
        return self._items[self._key(token)]

    def _key(self, token: object) -> str:
        key = self._keys.get(token) if isinstance(token, str) else None
        if key is None:
            raise StaleItem("This item is not part of the review any more")
        return key

    def judge(self, rater: str, said: Mapping[str, Any]) -> Judgement:
        """Stores a judgement; it is durable on return. The same one sent twice is stored once.

        Args:
            rater: see `rater`.
            said: `item` (its token), `choice` (`left`, `right`, `same`, `skip` or `label`), `left` and
                `right` (the labels that the browser shows), `label`, `confidence`, `note`, `seconds`.

        Raises:
            InputError: a value that cannot be; the message lists the choices.
            StaleItem: the item, or what was shown of it, is not asked any more.
            Interrupted: it cannot be stored.
        """
        with self._lock:
            key = self._key(said.get("item"))
            judgement = self._judgement(rater, key, said)
            before = self._of(self._said, rater).get(key)
            if before is not None and before.said == judgement.said:
                return before
            stored = self._store.add(judgement)
            self._remember(stored)
            self._of(self._withdrawn, rater).pop(key, None)
            if self._shown.get(rater) == key:
                del self._shown[rater]
            return stored

    def undo(self, rater: str, token: object) -> None:
        """Takes the rater's judgement of an item back, so that it comes next; nothing where there is none.

        Raises:
            StaleItem: there is no such item.
            Interrupted: it cannot be stored.
        """
        with self._lock:
            key = self._key(token)
            judgement = self._of(self._said, rater).get(key)
            if judgement is None:
                return
            item = self._items[key]
            self._store.add(self._row(rater, key, WITHDRAWN, first=item.first, second=item.second))
            del self._of(self._said, rater)[key]
            self._counts[key] -= judgement.choice != SKIP
            taken = self._of(self._withdrawn, rater)
            taken.pop(key, None)
            taken[key] = judgement

    def _judgement(self, rater: str, key: str, said: Mapping[str, Any]) -> Judgement:
        item = self._items[key]
        seconds = said.get("seconds")
        known = isinstance(seconds, (int, float)) and 0 <= seconds <= _LONGEST
        values: dict[str, Any] = {
            "first": item.first,
            "second": item.second,
            "seconds": round(float(seconds), 3) if known and seconds is not None else None,
        }
        if self.question.mode == "label":
            return self._row(rater, key, *self._labelled(said), **values)
        left, right = self._sides(rater, key)
        if (said.get("left"), said.get("right")) != (left, right):
            raise StaleItem("The labels of this item stand otherwise now")
        place = "first" if left == item.first else "second"
        other = "second" if place == "first" else "first"
        choice = _one_of("choice", said.get("choice"), ("left", "right", "same", "skip"))
        choice = {"left": place, "right": other}.get(choice, choice)
        return self._row(rater, key, choice, left=place, **values)

    def _labelled(self, said: Mapping[str, Any]) -> tuple[str, str | None, int | None, str]:
        """Choice, label, confidence and note."""
        choice = _one_of("choice", said.get("choice"), CHOICES["label"])
        note = said.get("note") or ""
        if not isinstance(note, str) or len(note) > NOTE_LENGTH:
            raise InputError(f"Bad note of {len(str(note)):,} characters, expected at most {NOTE_LENGTH:,}")
        if choice == SKIP:
            return choice, None, None, note.strip()
        label = _one_of("label", said.get("label"), self.question.labels)
        confidence = said.get("confidence")
        if confidence is not None and (isinstance(confidence, bool) or confidence not in CONFIDENCES):
            raise InputError(bad_value("confidence", confidence, CONFIDENCES))
        return choice, label, confidence, note.strip()

    def _row(
        self,
        rater: str,
        key: str,
        choice: str,
        label: str | None = None,
        confidence: int | None = None,
        note: str = "",
        **more: Any,
    ) -> Judgement:
        item = self._items[key]
        return Judgement(
            mode=self.question.mode,
            sources=self.question.sources,
            item=key,
            utterance_id=item.utterance_id,
            split=item.split,
            rater=rater,
            choice=choice,
            label=label,
            confidence=confidence,
            note=note,
            created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **more,
        )


def _one_of(what: str, value: object, choices: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise InputError(bad_value(what, value, choices))
    return value
