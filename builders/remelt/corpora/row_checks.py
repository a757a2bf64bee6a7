"""Checks that need one row only: its times, its text and encoding, its speaker's name."""

from __future__ import annotations

import re

from .base import Draft
from .text import mend

_LEADING = (".", ":", ";", ",", "-", "–", "—")
_BRACKETS = re.compile(r"[()\[\]{}]")
_SEVERAL = re.compile(r"/|&|\+|\band\b", re.IGNORECASE)
_EVERYBODY = frozenset({"all", "both", "everyone", "everybody"})


def encoding(draft: Draft, utf8: bool = True) -> None:
    """Mends text and speaker. Goes before the other checks, which read the mended words.

    Args:
        draft: the row.
        utf8: whether the row's bytes were UTF-8.
    """
    if not utf8:
        draft.flags.add("not_utf8")
    mended, broken = mend(draft.text)
    if broken:
        draft.flags |= broken
        if mended != draft.text:
            draft.text_repaired = mended
    if not draft.speaker.isascii() or not draft.speaker.isprintable():
        name, _ = mend(draft.speaker)
        if name != draft.speaker:
            draft.flags.add("speaker_mended")
            draft.speaker = name


def times(draft: Draft) -> None:
    """Flags odd durations; the reader itself flags times that it cannot read."""
    duration = draft.duration
    if duration is None:
        return
    flags = draft.flags
    if duration < 0:
        flags.add("negative_duration")
        return
    words = 1000 * len(draft.words.split())
    if words > 6 * duration:
        flags.add("over_6_words_per_s")
        if words > 8 * duration:
            flags.add("over_8_words_per_s")
    if duration < 1000:
        flags.update(_short(duration))
    elif duration > 15_000:
        flags.update(("over_15s", "over_30s") if duration > 30_000 else ("over_15s",))


def _short(duration: int) -> list[str]:
    classes = (
        ("zero_duration", duration == 0),
        ("under_100ms", 0 < duration < 100),
        ("under_500ms", duration < 500),
        ("under_1s", duration < 1000),
    )
    return [name for name, met in classes if met]


def text(draft: Draft) -> None:
    """Flags what is odd in the words."""
    words = draft.words
    flags = draft.flags
    count = len(words.split())
    if count < 3:
        flags.add(("empty_text", "one_word", "two_words")[count])
    if count and not any(map(str.isalpha, words)):
        flags.add("no_letters")
    if _BRACKETS.search(words):
        flags.add("stage_direction")
    if words.lstrip().startswith(_LEADING):
        flags.add("leading_punctuation")
    if words.count('"') % 2:
        flags.add("unbalanced_quotes")
    if "\n" in words or "\r" in words:
        flags.add("line_break")
    if not words.isascii():
        flags.add("non_ascii")


def speaker(draft: Draft) -> None:
    """Flags what is odd in the speaker's name."""
    name = draft.speaker
    if not name:
        draft.flags.add("speaker_missing")
        return
    if name.casefold() in _EVERYBODY or _SEVERAL.search(name):
        draft.flags.add("several_speakers")
    if not name.isascii():
        draft.flags.add("speaker_non_ascii")
    if name == name.lower() and any(map(str.isalpha, name)):
        draft.flags.add("speaker_lower_case")
