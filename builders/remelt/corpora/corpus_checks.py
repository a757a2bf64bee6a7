"""Checks that compare rows: turns of a dialogue, numbering, repeated lines, shared recordings, spellings."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

from .base import Draft
from .text import normal

# Milliseconds; None where a time is missing or cannot be read.
Interval = tuple[int | None, int | None]

OVERLAP_MS = 500
_ARTICLES = re.compile(r"^(?:the|a|an) ")


def dialogues(drafts: Iterable[Draft]) -> list[list[Draft]]:
    """The turns of each dialogue, by utterance number where all are numbers, else in file order."""
    groups: dict[tuple[str, int | str], list[Draft]] = {}
    for draft in drafts:
        groups.setdefault((draft.split, draft.dialogue_id), []).append(draft)
    for group in groups.values():
        numbers = _numbers(group)
        if len(numbers) == len(group) and sorted(numbers) != numbers:
            group[:] = [t for _, t in sorted(zip(numbers, group, strict=True), key=lambda pair: pair[0])]
    return list(groups.values())


def _numbers(group: Iterable[Draft]) -> list[int]:
    return [turn.utterance_id for turn in group if isinstance(turn.utterance_id, int)]


def turns(groups: Iterable[Sequence[Draft]]) -> None:
    """Flags turns whose times do not follow the previous turn's."""
    for group in groups:
        for before, after in pairwise(group):
            after.flags.update(turn_faults((before.start, before.end), (after.start, after.end)))


def turn_faults(before: Interval, after: Interval) -> list[str]:
    """The flags of a turn that starts and ends at `after`, behind one that does at `before`."""
    if before[0] is None or before[1] is None or after[0] is None:
        return []
    overlap = before[1] - after[0]
    flags = {
        "starts_before_previous_ends": overlap > 0,
        "starts_1s_before_previous_ends": overlap > 1000,
        "out_of_order": after[0] < before[0],
        "same_interval_as_previous": before == after,
        "over_60s_after_previous": overlap < -60_000,
    }
    return [flag for flag, met in flags.items() if met]


def numbering(drafts: Sequence[Draft], groups: Iterable[Sequence[Draft]]) -> dict[str, dict[str, int]]:
    """Finds gaps in dialogue and utterance numbers, and running numbers used twice.

    Returns:
        The split-level counts. Only corpora whose numbers start at 0 or 1 have gaps in this sense.
    """
    missing_turns: Counter[str] = Counter()
    gapped: Counter[str] = Counter()
    first = _first(d.utterance_id for d in drafts)
    for group in groups:
        numbers = _numbers(group)
        if len(numbers) != len(group):
            continue
        for before, number, turn in zip([first - 1, *numbers], numbers, group, strict=False):
            if number > before + 1:
                turn.flags.add("after_missing_turn")
        missing = numbers[-1] - first + 1 - len(numbers)
        missing_turns[group[0].split] += missing
        gapped[group[0].split] += missing > 0
    ids: dict[str, set[int]] = {}
    serials: set[tuple[str, str]] = set()
    for draft in drafts:
        if isinstance(draft.dialogue_id, int):
            ids.setdefault(draft.split, set()).add(draft.dialogue_id)
        if draft.serial and (draft.split, draft.serial) in serials:
            draft.flags.add("repeated_serial")
        serials.add((draft.split, draft.serial))
    start = _first(d.dialogue_id for d in drafts)
    return {
        "missing_turns": dict(missing_turns),
        "dialogues_with_missing_turns": dict(gapped),
        "missing_dialogues": {split: max(n) - start + 1 - len(n) for split, n in ids.items()},
    }


def _first(numbers: Iterable[int | str]) -> int:
    return min((n for n in numbers if isinstance(n, int)), default=0)


def repeats(drafts: Iterable[Draft]) -> dict[str, int]:
    """Flags lines that occur twice in one recording, and texts that have several labels.

    Returns:
        Corpus-wide counts: pairs of rows that are one line twice (further copies count as further pairs),
        and different texts that occur more than once, of all lengths and of three words or more.
    """
    lines: dict[Hashable, list[Draft]] = {}
    texts: dict[str, list[Draft]] = {}
    for draft in drafts:
        words = normal(draft.words)
        if not words:
            continue
        texts.setdefault(words, []).append(draft)
        if draft.recording is not None and draft.start is not None:
            lines.setdefault((draft.recording, draft.start, words), []).append(draft)
    found: Counter[str] = Counter(
        {"same_line_pairs": 0, "same_line_pairs_other_label": 0, "same_line_pairs_across_splits": 0}
    )
    for rows in lines.values():
        for row in rows if len(rows) > 1 else ():
            row.flags.add("same_line_twice")
            if _labels(rows) > 1:
                row.flags.add("same_line_other_label")
        for row in rows[1:]:
            found["same_line_pairs"] += 1
            found["same_line_pairs_other_label"] += row.label != rows[0].label
            found["same_line_pairs_across_splits"] += row.split != rows[0].split
    return {**found, **_repeated_texts(texts)}


def _repeated_texts(texts: Mapping[str, Sequence[Draft]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for words, rows in texts.items():
        if len(rows) < 2:
            continue
        long = len(words.split()) >= 3
        several = _labels(rows) > 1
        found["repeated_texts"] += 1
        found["repeated_texts_3_words"] += long
        found["repeated_texts_other_label"] += several
        found["repeated_texts_other_label_3_words"] += several and long
        for row in rows if several else ():
            row.flags.add("same_text_other_label")
            if long:
                row.flags.add("same_text_other_label_3_words")
    names = ("repeated_texts", "repeated_texts_other_label")
    return {name + end: found[name + end] for end in ("", "_3_words") for name in names}


def _labels(rows: Iterable[Draft]) -> int:
    return len({row.label for row in rows if row.label is not None})


def shared_recordings(splits: Mapping[str, Sequence[Draft]]) -> dict[str, dict[str, int]]:
    """Flags rows that share over 0.5 s with a row of an earlier split.

    Args:
        splits: the rows by split, train first.

    Returns:
        The split-level counts.
    """
    earlier: dict[Hashable, list[tuple[int, int]]] = {}
    episodes: dict[str, set[Hashable]] = {}
    for split, drafts in splits.items():
        timelines = {place: _Timeline(intervals) for place, intervals in earlier.items()}
        for draft in drafts:
            place = draft.recording
            if place is None:
                continue
            episodes.setdefault(split, set()).add(place)
            if draft.start is None or draft.end is None:
                continue
            if place in timelines and timelines[place].shares(draft.start, draft.end, OVERLAP_MS):
                draft.flags.add("overlaps_earlier_split")
            earlier.setdefault(place, []).append((draft.start, draft.end))
    train = episodes.get("train", set())
    return {"episodes_in_train": {s: len(e & train) for s, e in episodes.items() if s != "train"}}


class _Timeline:
    """Intervals of one recording, sorted, to be asked for overlaps without looking at all of them."""

    def __init__(self, intervals: Iterable[tuple[int, int]]) -> None:
        self._intervals = sorted(intervals)
        self._latest = list(accumulate((end for _, end in self._intervals), max))

    def shares(self, start: int, end: int, more_than: int) -> bool:
        """Whether an interval has more than so many milliseconds in common with this one."""
        place = bisect_left(self._intervals, (end - more_than,))
        while place and self._latest[place - 1] > start + more_than:
            place -= 1
            other = self._intervals[place]
            if min(end, other[1]) - max(start, other[0]) > more_than:
                return True
        return False


def spellings(drafts: Sequence[Draft]) -> list[list[tuple[str, int]]]:
    """Flags the rows of names that seem to be spellings of one; gives these names (see `variants`)."""
    found = variants(Counter(d.speaker for d in drafts if d.speaker))
    names = {name for group in found for name, _ in group}
    for draft in drafts:
        if draft.speaker in names:
            draft.flags.add("speaker_variant")
    return found


def variants(counts: Mapping[str, int]) -> list[list[tuple[str, int]]]:
    """Finds names that seem to be spellings of one, with their counts.

    Two names belong together if they differ in articles, punctuation and `No.` only, or if both have at
    least six letters, the same consonants and mostly the same letters (Kristen, Kristin). Both are guesses
    for a person to look at; nothing is merged.

    Args:
        counts: name -> rows; no empty name.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(counts):
        groups.setdefault(_plain_name(name), []).append(name)
    skeletons: dict[str, list[str]] = {}
    for plain in groups:
        skeletons.setdefault(_skeleton(plain), []).append(plain)
    found = []
    for plains in skeletons.values():
        for plain in plains:
            if plain not in groups:
                continue
            names = groups.pop(plain)
            for other in [p for p in plains if p in groups and _alike(plain, p)]:
                names += groups.pop(other)
            if len(names) > 1:
                found.append(sorted(((n, counts[n]) for n in names), key=lambda pair: (-pair[1], pair[0])))
    return sorted(found, key=lambda group: (-sum(n for _, n in group), group))


def _plain_name(name: str) -> str:
    folded = name.casefold().replace("’", "'").replace("no.", "#")
    return _ARTICLES.sub("", " ".join(re.sub(r"[^\w\s'/]", " ", folded).split())) or name


def _skeleton(name: str) -> str:
    """The first letter, then consonants without doubles."""
    return name[0] + re.sub(r"(.)\1+", r"\1", re.sub(r"[aeiouy]", "", name[1:]))


def _alike(one: str, other: str) -> bool:
    if min(len(one), len(other)) < 6:
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= 0.85
