"""What the rules have to know of a whole corpus: read once, then any part of it can be judged alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..errors import InputError, bad_value
from ..profiles import SelectionOptions, fold
from ..records import Utterance
from .patterns import IdPatterns
from .records import Sample, SelectionCounts
from .rules import SpeakerFaults, early_faults, speaker_faults

_JUDGES = {"stamps": "time stamps", "clip": "clip's length"}


@dataclass(frozen=True)
class SelectionTotals:
    """What `select` needs of a whole corpus to judge a part of it.

    Attributes:
        splits: those of the corpus, in its order.
        speakers: for each speaker rule in force: speaker -> why their rows fail it.
        idle: sentences about entries of the options that met nothing in the corpus.
    """

    splits: tuple[str, ...]
    speakers: SpeakerFaults
    idle: tuple[str, ...]


def totals_of(rows: Callable[[], Iterable[Utterance]], options: SelectionOptions) -> SelectionTotals:
    """Goes through a corpus; no row is held.

    Args:
        rows: gives all rows of the corpus, in its order, as often as it is called: twice where names are
            told from roles by the words of the corpus (`speaker_rule` `named`), else once.
        options: the rules.

    Raises:
        InputError: speakers are to be counted in a split that is not there.
    """
    splits: dict[str, None] = {}
    names: dict[str, str] = {}
    labels: set[str] = set()
    counts: Counter[str] = Counter()
    where = options.speaker_count_split
    included = IdPatterns(options.include_ids)
    patterns = {"include_ids": options.include_ids, "exclude_ids": options.exclude_ids}
    unmet = {option: IdPatterns(ids) for option, ids in patterns.items() if ids}
    counted = options.min_speaker_count > 0
    for utterance in rows():
        splits[utterance.split] = None
        speaker = utterance.speaker
        if speaker not in names:
            names[speaker] = options.canonical(speaker)
        if utterance.label is not None:
            labels.add(utterance.label)
        here = counted and where in (utterance.split, "all")
        if here and (not early_faults(utterance, options) or included.match(utterance.id)):
            counts[names[speaker]] += 1
        for still in unmet.values():
            still.cross_off(utterance.id)
    if counted and where != "all" and where not in splits:
        raise InputError(bad_value("speaker_count_split", where, [*splits, "all"]))
    faults = speaker_faults((u.words for u in rows()), options, names, counts)
    idle = _idle(options, names, labels, {option: still.left for option, still in unmet.items()})
    return SelectionTotals(tuple(splits), faults, tuple(idle))


def _idle(
    options: SelectionOptions,
    names: Iterable[str],
    corpus_labels: Iterable[str],
    unmet: Mapping[str, list[str]],
) -> list[str]:
    """Says which entries of the options met nothing: a slip of the pen drops or keeps rows unseen."""
    speakers, labels = set(map(fold, names)), set(map(fold, corpus_labels))
    entries = {
        "speakers": (options.speakers, speakers),
        "keep_speakers": (options.keep_speakers, speakers),
        "drop_speakers": (options.drop_speakers, speakers),
        "merge_speakers": ([o for others in options.merge_speakers.values() for o in others], speakers),
        "labels": (options.labels, labels),
    }
    told = []
    for option, (wanted, known) in entries.items():
        if idle := [name for name in wanted if fold(name) not in known]:
            told.append(
                f"{option}: {len(idle)} of {len(wanted)} do not occur in the corpus: {Sample.of(idle)}"
            )
    for option, patterns in unmet.items():
        if patterns:
            count = len(getattr(options, option))
            told.append(f"{option}: {len(patterns)} of {count} meet no row: {Sample.of(patterns)}")
    return told


def selection_notes(
    counts: SelectionCounts, options: SelectionOptions, totals: SelectionTotals, splits: Iterable[str]
) -> tuple[str, ...]:
    """Sentences about options that met nothing, about rows kept against the rules, and about empty splits.

    Args:
        counts: of all rows of the asked splits.
        options: the rules.
        totals: of the whole corpus.
        splits: those asked for.
    """
    told = list(totals.idle)
    other, against = counts.otherwise, counts.against
    if other.count:
        told.append(
            f"min_duration {options.min_duration:g} s is judged by the {_JUDGES[options.duration_from]}; the "
            f"other would judge {other.count} row{'s' * (other.count > 1)} otherwise: {other}"
        )
    if against.count:
        told.append(f"include_ids keeps rows against the rules they fail ({against.count}): {against}")
    told.extend(f"{split}: no row is kept" for split in splits if not counts.kept.get(split))
    return tuple(told)
