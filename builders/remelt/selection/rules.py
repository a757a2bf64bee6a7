"""The rules, one row at a time; what needs the whole corpus comes in as totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..names import gather, why_generic
from ..profiles import SelectionOptions, fold
from ..records import Utterance
from .patterns import IdPatterns

# Rule -> speaker -> why rows of that speaker fail it.
SpeakerFaults = Mapping[str, Mapping[str, str]]


class Fault(NamedTuple):
    """A rule that a row fails, and a sentence on why."""

    rule: str
    why: str


class Judge:
    """Judges rows one by one.

    Args:
        options: the rules.
        speakers: what the speaker rules say of each speaker of the corpus.
    """

    def __init__(self, options: SelectionOptions, speakers: SpeakerFaults) -> None:
        self._options, self._sentences = options, tuple(speakers.items())
        self._labels = sorted(set(map(fold, options.labels)))
        self._included = IdPatterns(options.include_ids)
        self._excluded, self._excludes = IdPatterns(options.exclude_ids), bool(options.exclude_ids)
        self._flags = tuple(dict.fromkeys(options.drop_flags))
        switches = {
            "duration": options.min_duration,
            "clip_duration": options.min_clip_duration,
            "words": options.min_words,
            **dict.fromkeys(speakers, True),
            "label": options.labels,
            **{f"flag:{flag}": True for flag in options.drop_flags},
            "excluded": options.exclude_ids,
        }
        self.rules = tuple(rule for rule, on in switches.items() if on)

    def exempt(self, utterance: Utterance) -> bool:
        """Whether the row is kept whatever the rules say."""
        return bool(self._options.include_ids) and bool(self._included.match(utterance.id))

    def faults(self, utterance: Utterance) -> list[Fault]:
        """The rules that a row fails, in the order of the rules."""
        found = early_faults(utterance, self._options)
        speaker = utterance.speaker
        for rule, sentences in self._sentences:
            if speaker in sentences:
                found.append(Fault(rule, sentences[speaker]))
        if self._labels and (why := self._other_label(utterance.label)):
            found.append(Fault("label", why))
        if utterance.flags and self._flags:
            found += [
                Fault(f"flag:{flag}", f"the row is flagged {flag!r}")
                for flag in self._flags
                if flag in utterance.flags
            ]
        if self._excludes and (pattern := self._excluded.match(utterance.id)):
            found.append(Fault("excluded", f"exclude_ids has {pattern!r}"))
        return found

    def _other_label(self, label: str | None) -> str:
        if label is None:
            return f"no label, one of {self._labels!r} is needed"
        return "" if fold(label) in self._labels else f"{label!r} is not in {self._labels!r}"


def early_faults(utterance: Utterance, options: SelectionOptions) -> list[Fault]:
    """The rules before those about speakers, who are counted in the rows that these leave."""
    found = []
    clip, seconds = utterance.clip_duration, options.min_duration
    if seconds:
        by_clip = options.duration_from == "clip" and clip is not None
        duration = clip if by_clip else utterance.duration
        if duration is None:
            found.append(Fault("duration", f"no readable time stamps, {seconds:g} s are needed"))
        elif duration < seconds:
            what = "the clip's " if by_clip else ""
            found.append(Fault("duration", f"{what}{duration:.3f} s is under {seconds:g} s"))
    if options.min_clip_duration and clip is not None and clip < options.min_clip_duration:
        found.append(
            Fault("clip_duration", f"the clip's {clip:g} s is under {options.min_clip_duration:g} s")
        )
    if options.min_words and (count := len(utterance.words.split())) < options.min_words:
        words = "word" if count == 1 else "words"
        found.append(Fault("words", f"{count} {words}, {options.min_words} are needed"))
    return found


def judged_otherwise(utterance: Utterance, seconds: float) -> bool:
    """Whether `min_duration` keeps it by the time stamps and drops it by the clip, or the other way."""
    clip = utterance.clip_duration
    if clip is None or utterance.duration is None:
        return False
    return (clip < seconds) != (utterance.duration < seconds)


def speaker_faults(
    texts: Iterable[str], options: SelectionOptions, names: Mapping[str, str], counts: Counter[str]
) -> dict[str, dict[str, str]]:
    """For each speaker rule in force: name -> why it fails.

    Args:
        texts: the words of all utterances; only looked at for `speaker_rule` `named`.
        options: the rules.
        names: every speaker -> what they are counted and judged under.
        counts: rows by what speakers are counted under.
    """
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
        evidence = gather(texts, {*judged.values(), *judged})
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
