"""Rules that keep or drop utterances; every dropped one lists all the rules it fails.

The profile `melt-release` holds the rules that made MELT's release (Jing et al. 2025), found by comparing
the released rows with MELD; `docs/profiles.md` tells them. Options come from a profile (`profiles/`).

A corpus of any size is selected in parts: `totals_of` reads it once, `select` judges each part with these
totals, and the counts of the parts add up to the attrition and the notes of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from ..errors import InputError, RemeltError, bad_value
from ..profiles import SelectionOptions, load_profile, profile_names, profile_path
from ..records import Drop, Utterance
from .records import (
    AttritionRow,
    Overlap,
    Sample,
    Selection,
    SelectionCounts,
    attrition,
    merge_counts,
    overlap,
)
from .rules import Judge, judged_otherwise
from .totals import SelectionTotals, selection_notes, totals_of

__all__ = [
    "AttritionRow",
    "Overlap",
    "Selection",
    "SelectionCounts",
    "SelectionOptions",
    "SelectionTotals",
    "attrition",
    "check_counts",
    "check_flags",
    "load_profile",
    "merge_counts",
    "overlap",
    "profile_names",
    "profile_path",
    "select",
    "selection_notes",
    "totals_of",
]


def select(
    utterances: Sequence[Utterance],
    options: SelectionOptions,
    splits: Sequence[str] | None = None,
    totals: SelectionTotals | None = None,
) -> Selection:
    """Applies the rules.

    Args:
        utterances: all of the corpus: speakers are counted in one split for the others, and the words of
            all splits show which names are generic. With totals, a part of it.
        options: the rules.
        splits: those to give; None gives all.
        totals: of the whole corpus, with the same options, where `utterances` are a part of it. The
            selection's notes are then empty: `selection_notes` tells them of all parts together.

    Raises:
        InputError: a split is not in the corpus.
        RemeltError: kept and dropped rows do not add up to the input.
    """
    present = tuple(dict.fromkeys(u.split for u in utterances))
    asked = present if splits is None else tuple(dict.fromkeys(splits))
    known = present if totals is None else totals.splits
    for split in asked:
        if split not in known:
            raise InputError(bad_value("split", split, known))
    _refuse_repeats(utterances)
    whole = totals or totals_of(lambda: utterances, options)
    judge = Judge(options, whole.speakers)
    given = [u for u in utterances if u.split in asked]
    kept: list[Utterance] = []
    dropped: list[Drop] = []
    against: list[str] = []
    for utterance in given:
        faults = judge.faults(utterance)
        if faults and judge.exempt(utterance):
            against.append(f"{utterance.id} ({', '.join(fault.rule for fault in faults)})")
        elif faults:
            rules, details = zip(*faults, strict=True)
            dropped.append(Drop(utterance, "selection", rules, details))
            continue
        kept.append(utterance)
    check_counts(given, kept, dropped)
    other = [u.id for u in given if judged_otherwise(u, options.min_duration)] if options.min_duration else []
    counts = SelectionCounts(
        given=Counter(u.split for u in given),
        kept=Counter(u.split for u in kept),
        rules=judge.rules,
        alone=_by_split((d.utterance.split, rule) for d in dropped for rule in d.reasons),
        first=_by_split((d.utterance.split, d.reasons[0]) for d in dropped),
        otherwise=Sample.of(other),
        against=Sample.of(against),
    )
    notes = () if totals else selection_notes(counts, options, whole, asked)
    return Selection(tuple(kept), tuple(dropped), attrition(counts, asked), notes, counts)


def _by_split(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (split, rule), count in Counter(pairs).items():
        found.setdefault(split, {})[rule] = count
    return found


def _refuse_repeats(utterances: Sequence[Utterance]) -> None:
    """Makes sure that ids are unique: reasons belong to ids.

    Raises:
        InputError: an id stands twice; the message says which.
    """
    if len({u.id for u in utterances}) < len(utterances):
        twice = [identifier for identifier, n in Counter(u.id for u in utterances).items() if n > 1]
        raise InputError(f"Ids that stand more than once: {Sample.of(twice)}")


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
            f"see {Sample.of(wrong)}"
        )


def check_flags(options: SelectionOptions, known: Collection[str]) -> None:
    """Makes sure that `drop_flags` names defects that the corpus reader knows.

    Raises:
        InputError: a name is unknown; the message lists the choices.
    """
    for flag in options.drop_flags:
        if flag not in known:
            raise InputError(f"profile {options.name}: {bad_value('drop_flags entry', flag, sorted(known))}")
