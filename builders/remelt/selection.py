"""Rules that keep or drop utterances; every dropped one lists all the rules it fails.

The profile `melt-release` holds the rules that made MELT's release (Jing et al. 2025), found by comparing
the released rows with MELD; `docs/profiles.md` tells them. Options come from a profile (`profiles/`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .errors import InputError, RemeltError, bad_value
from .names import gather, why_generic
from .profiles import SelectionOptions, fold, load_profile, profile_names, profile_path
from .records import Drop, Utterance

__all__ = [
    "AttritionRow",
    "Overlap",
    "Selection",
    "SelectionOptions",
    "check_counts",
    "check_flags",
    "load_profile",
    "overlap",
    "profile_names",
    "profile_path",
    "select",
]


_JUDGES = {"stamps": "time stamps", "clip": "clip's length"}


@dataclass(frozen=True, slots=True)
class AttritionRow:
    """What one rule takes from one split.

    Attributes:
        rule: the rule's name, as in `Drop.reasons`.
        split: the split.
        alone: rows that fail it, whatever the other rules say.
        in_order: rows that fail it and none of the rules before it.
        left: rows left after it and the rules before it.
    """

    rule: str
    split: str
    alone: int
    in_order: int
    left: int


@dataclass(frozen=True)
class Selection:
    """The utterances of the asked splits, each either kept or dropped.

    Attributes:
        kept: in the order of the input.
        dropped: in the order of the input, each with all the rules it fails.
        attrition: by split, then in the order of the rules; rules that are switched off have no row.
        notes: sentences about options that met nothing, and about rows kept against the rules.
    """

    kept: tuple[Utterance, ...]
    dropped: tuple[Drop, ...]
    attrition: tuple[AttritionRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two sets of ids agree; a share of nothing is 0.

    Attributes:
        selected, reference, both: sizes of the two sets and of what they share.
    """

    selected: int
    reference: int
    both: int

    @property
    def precision(self) -> float:
        return self.both / self.selected if self.selected else 0.0

    @property
    def recall(self) -> float:
        return self.both / self.reference if self.reference else 0.0

    @property
    def jaccard(self) -> float:
        either = self.selected + self.reference - self.both
        return self.both / either if either else 0.0


def overlap(selected: Iterable[str], reference: Iterable[str]) -> Overlap:
    """Compares a selection with a reference, such as the ids of a published release.

    >>> found = overlap(["a", "b", "c", "d"], ["b", "c", "d", "e", "f"])
    >>> found.precision, found.recall, found.jaccard
    (0.75, 0.6, 0.5)
    """
    left, right = set(selected), set(reference)
    return Overlap(len(left), len(right), len(left & right))


def select(
    utterances: Sequence[Utterance], options: SelectionOptions, splits: Sequence[str] | None = None
) -> Selection:
    """Applies the rules.

    Args:
        utterances: all of the corpus: speakers are counted in one split for the others, and the words of
            all splits show which names are generic.
        options: the rules.
        splits: those to give; None gives all.

    Raises:
        InputError: a split is not in the corpus.
        RemeltError: kept and dropped rows do not add up to the input.
    """
    present = tuple(dict.fromkeys(u.split for u in utterances))
    asked = present if splits is None else tuple(dict.fromkeys(splits))
    for split in asked:
        if split not in present:
            raise InputError(bad_value("split", split, present))
    _refuse_repeats(utterances)
    included = _IdPatterns(options.include_ids)
    exempt = {u.id for u in utterances if included.match(u.id)} if options.include_ids else set()
    faults = _faults(utterances, options, exempt, present)
    failed: dict[str, list[tuple[str, str]]] = {}
    for rule, found in faults.items():
        for identifier, why in found.items():
            failed.setdefault(identifier, []).append((rule, why))
    given = [u for u in utterances if u.split in asked]
    kept: list[Utterance] = []
    dropped: list[Drop] = []
    against: list[str] = []
    for utterance in given:
        reasons = failed.get(utterance.id, ())
        if reasons and utterance.id in exempt:
            against.append(f"{utterance.id} ({', '.join(rule for rule, _ in reasons)})")
        elif reasons:
            rules, details = zip(*reasons, strict=True)
            dropped.append(Drop(utterance, "selection", rules, details))
            continue
        kept.append(utterance)
    check_counts(given, kept, dropped)
    notes = _notes(utterances, options)
    if options.min_duration and (other := _judged_otherwise(given, options.min_duration)):
        notes.append(
            f"min_duration {options.min_duration:g} s is judged by the {_JUDGES[options.duration_from]}; the "
            f"other would judge {len(other)} row{'s' * (len(other) > 1)} otherwise: {_some(other)}"
        )
    if against:
        notes.append(f"include_ids keeps rows against the rules they fail ({len(against)}): {_some(against)}")
    empty = set(asked).difference(u.split for u in kept)
    notes.extend(f"{split}: no row is kept" for split in asked if split in empty)
    return Selection(
        tuple(kept), tuple(dropped), _attrition(given, dropped, tuple(faults), asked), tuple(notes)
    )


def _refuse_repeats(utterances: Sequence[Utterance]) -> None:
    """Makes sure that ids are unique: reasons belong to ids.

    Raises:
        InputError: an id stands twice; the message says which.
    """
    if len({u.id for u in utterances}) < len(utterances):
        twice = [identifier for identifier, n in Counter(u.id for u in utterances).items() if n > 1]
        raise InputError(f"Ids that stand more than once: {_some(twice)}")


def check_counts(given: Sequence[Utterance], kept: Sequence[Utterance], dropped: Sequence[Drop]) -> None:
    """Makes sure that every utterance is either kept or dropped, once.

    Raises:
        RemeltError: one is missing, or there twice; the message says which.
    """
    accounted = Counter(u.id for u in kept)
    accounted.update(d.utterance.id for d in dropped)
    wanted = Counter(u.id for u in given)
    if accounted != wanted:
        wrong = sorted((wanted - accounted) + (accounted - wanted))
        raise RemeltError(
            f"Selection does not add up: {len(given)} rows given, {len(kept)} kept, {len(dropped)} dropped; "
            f"see {_some(wrong)}"
        )


def check_flags(options: SelectionOptions, known: Collection[str]) -> None:
    """Makes sure that `drop_flags` names defects that the corpus reader knows.

    Raises:
        InputError: a name is unknown; the message lists the choices.
    """
    for flag in options.drop_flags:
        if flag not in known:
            raise InputError(f"profile {options.name}: {bad_value('drop_flags entry', flag, sorted(known))}")


class _IdPatterns:
    """Ids, some with `*` for any characters; most match without a look at each pattern."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._tails: dict[str, str] = {}
        self._others: list[tuple[str, re.Pattern[str]]] = []
        for pattern in patterns:
            tail = pattern.removeprefix("*/")
            if "*" not in pattern:
                self._exact.add(pattern)
            elif "*" not in tail and "/" not in tail:
                self._tails[tail] = pattern
            else:
                regex = ".*".join(map(re.escape, pattern.split("*")))
                self._others.append((pattern, re.compile(regex, re.DOTALL)))

    def match(self, identifier: str) -> str:
        """The first pattern that an id meets, or an empty string."""
        if identifier in self._exact:
            return identifier
        tail = identifier.rpartition("/")[2]
        if tail in self._tails and "/" in identifier:
            return self._tails[tail]
        return next((pattern for pattern, regex in self._others if regex.fullmatch(identifier)), "")

    def idle(self, ids: Collection[str]) -> list[str]:
        """The patterns that no id meets."""
        tails = {identifier.rpartition("/")[2] for identifier in ids if "/" in identifier}
        return [
            *sorted(self._exact.difference(ids)),
            *(pattern for tail, pattern in self._tails.items() if tail not in tails),
            *(pattern for pattern, regex in self._others if not any(map(regex.fullmatch, ids))),
        ]


def _faults(
    utterances: Sequence[Utterance], options: SelectionOptions, exempt: Collection[str], splits: Sequence[str]
) -> dict[str, dict[str, str]]:
    """For each rule in force, in order: id -> a sentence on why the utterance fails it."""
    faults: dict[str, dict[str, str]] = {}
    if options.min_duration:
        faults["duration"] = _too_short(utterances, options.min_duration, options.duration_from)
    if options.min_clip_duration:
        faults["clip_duration"] = _clip_too_short(utterances, options.min_clip_duration)
    if options.min_words:
        faults["words"] = _few_words(utterances, options.min_words)
    names = {name: options.canonical(name) for name in dict.fromkeys(u.speaker for u in utterances)}
    counts: Counter[str] = Counter()
    if options.min_speaker_count:
        where = options.speaker_count_split
        if where != "all" and where not in splits:
            raise InputError(bad_value("speaker_count_split", where, [*splits, "all"]))
        out = set().union(*faults.values()).difference(exempt)
        counts.update(names[u.speaker] for u in utterances if where in (u.split, "all") and u.id not in out)
    for rule, sentences in _speaker_faults(utterances, options, names, counts).items():
        faults[rule] = {u.id: sentences[u.speaker] for u in utterances if u.speaker in sentences}
    if options.labels:
        faults["label"] = _other_label(utterances, options.labels)
    for flag in options.drop_flags:
        sentence = f"the row is flagged {flag!r}"
        faults[f"flag:{flag}"] = {u.id: sentence for u in utterances if flag in u.flags}
    if options.exclude_ids:
        excluded = _IdPatterns(options.exclude_ids)
        matches = ((u.id, excluded.match(u.id)) for u in utterances)
        faults["excluded"] = {i: f"exclude_ids has {pattern!r}" for i, pattern in matches if pattern}
    return faults


def _too_short(utterances: Iterable[Utterance], seconds: float, source: str) -> dict[str, str]:
    found = {}
    for utterance in utterances:
        by_clip = source == "clip" and utterance.clip_duration is not None
        duration = utterance.clip_duration if by_clip else utterance.duration
        if duration is None:
            found[utterance.id] = f"no readable time stamps, {seconds:g} s are needed"
        elif duration < seconds:
            what = "the clip's " if by_clip else ""
            found[utterance.id] = f"{what}{duration:.3f} s is under {seconds:g} s"
    return found


def _judged_otherwise(utterances: Iterable[Utterance], seconds: float) -> list[str]:
    """Ids that `min_duration` keeps by the time stamps and drops by the clip's length, or the other way."""
    return [
        u.id
        for u in utterances
        if u.clip_duration is not None
        and u.duration is not None
        and (u.clip_duration < seconds) != (u.duration < seconds)
    ]


def _clip_too_short(utterances: Iterable[Utterance], seconds: float) -> dict[str, str]:
    return {
        u.id: f"the clip's {u.clip_duration:g} s is under {seconds:g} s"
        for u in utterances
        if u.clip_duration is not None and u.clip_duration < seconds
    }


def _few_words(utterances: Iterable[Utterance], needed: int) -> dict[str, str]:
    counts = ((u.id, len(u.words.split())) for u in utterances)
    return {
        identifier: f"{count} {'word' if count == 1 else 'words'}, {needed} are needed"
        for identifier, count in counts
        if count < needed
    }


def _speaker_faults(
    utterances: Sequence[Utterance],
    options: SelectionOptions,
    names: Mapping[str, str],
    counts: Counter[str],
) -> dict[str, dict[str, str]]:
    """For each speaker rule in force: name -> why it fails; `names` has what each is counted under."""
    always = set(map(options.canonical, options.keep_speakers))
    judged = {name: key for name, key in names.items() if key not in always}
    never = set(map(options.canonical, options.drop_speakers))
    faults: dict[str, dict[str, str]] = {}
    if options.speaker_rule == "list" or never:
        listed = set(map(options.canonical, options.speakers))
        faults["speaker"] = {
            name: f"drop_speakers has {name!r}"
            if key in never
            else f"{name!r} is not among the {len(listed)} listed speakers"
            for name, key in judged.items()
            if key in never or (listed and key not in listed)
        }
    if options.speaker_rule == "named":
        evidence = gather((u.words for u in utterances), {*judged.values(), *judged})
        verdicts = {name: why_generic(key, evidence) for name, key in judged.items()}
        faults["generic_name"] = {name: f"{name!r} {why}" for name, why in verdicts.items() if why}
    if options.min_speaker_count:
        where, needed = options.speaker_count_split, options.min_speaker_count
        faults["speaker_count"] = {
            name: f"{name!r} has {counts[key]} of the {needed} utterances needed in {where}"
            for name, key in judged.items()
            if counts[key] < needed
        }
    return faults


def _other_label(utterances: Iterable[Utterance], labels: Sequence[str]) -> dict[str, str]:
    wanted = sorted(set(map(fold, labels)))
    return {
        u.id: f"no label, one of {wanted!r} is needed"
        if u.label is None
        else f"{u.label!r} is not in {wanted!r}"
        for u in utterances
        if u.label is None or fold(u.label) not in wanted
    }


def _attrition(
    given: Sequence[Utterance], dropped: Sequence[Drop], rules: Sequence[str], splits: Sequence[str]
) -> tuple[AttritionRow, ...]:
    totals = Counter(u.split for u in given)
    alone = Counter((d.utterance.split, reason) for d in dropped for reason in d.reasons)
    first = Counter((d.utterance.split, d.reasons[0]) for d in dropped)
    rows = []
    for split in splits:
        left = totals[split]
        for rule in rules:
            left -= first[split, rule]
            rows.append(AttritionRow(rule, split, alone[split, rule], first[split, rule], left))
    return tuple(rows)


def _notes(utterances: Sequence[Utterance], options: SelectionOptions) -> list[str]:
    """Says which entries of the options met nothing: a slip of the pen drops or keeps rows unseen."""
    speakers = set(map(fold, {u.speaker for u in utterances}))
    labels = set(map(fold, {u.label for u in utterances if u.label is not None}))
    entries = {
        "speakers": (options.speakers, speakers),
        "keep_speakers": (options.keep_speakers, speakers),
        "drop_speakers": (options.drop_speakers, speakers),
        "merge_speakers": ([o for others in options.merge_speakers.values() for o in others], speakers),
        "labels": (options.labels, labels),
    }
    notes = []
    for option, (names, known) in entries.items():
        if idle := [name for name in names if fold(name) not in known]:
            notes.append(f"{option}: {len(idle)} of {len(names)} do not occur in the corpus: {_some(idle)}")
    for option, patterns in (("include_ids", options.include_ids), ("exclude_ids", options.exclude_ids)):
        if patterns and (idle := _IdPatterns(patterns).idle({u.id for u in utterances})):
            notes.append(f"{option}: {len(idle)} of {len(patterns)} meet no row: {_some(idle)}")
    return notes


def _some(items: Sequence[str], most: int = 5) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
