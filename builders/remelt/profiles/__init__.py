"""Selection options, and the profiles (YAML files beside this module) that hold sets of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import InputError, bad_value

SpeakerRule = Literal["any", "named", "list"]
SPEAKER_RULES: tuple[str, ...] = get_args(SpeakerRule)
DurationSource = Literal["stamps", "clip"]
DURATION_SOURCES: tuple[str, ...] = get_args(DurationSource)

_FOLDER = Path(__file__).resolve().parent
_NUMBERS = ("min_duration", "min_clip_duration")
_COUNTS = ("min_words", "min_speaker_count")
_TEXTS = ("name", "description", "duration_from", "speaker_rule", "speaker_count_split")


def fold(name: str) -> str:
    """How speaker names and labels are compared: without outer spaces and case.

    >>> fold(" Phoebe Sr. ")
    'phoebe sr.'
    """
    return name.strip().casefold()


@dataclass(frozen=True)
class SelectionOptions:
    """What an utterance must be like to be kept. Every default switches its rule off.

    Speaker names and labels are compared without case; ids may hold `*` for any characters.

    Attributes:
        name: the profile's name, for manifests.
        description: what the profile is for, in one sentence.
        min_duration: seconds between the time stamps, exact to the millisecond.
        duration_from: `stamps`, or `clip` for the length of the clip itself where it was measured.
        min_clip_duration: seconds of the clip itself; a row without a measured clip is not judged.
        min_words: words, as white space divides the (mended) text.
        speaker_rule: `any` speaker; `named` ones (the generic-name test); those of a `list`.
        speakers: the list, for `speaker_rule` `list`.
        min_speaker_count: utterances a speaker needs; counted after duration and words.
        speaker_count_split: the split to count in, or `all`.
        keep_speakers: allowed whatever the speaker rules say.
        drop_speakers: dropped whatever the speaker rules say.
        merge_speakers: name -> other spellings of it, counted and judged under that name.
        labels: original labels to keep; empty keeps all.
        drop_flags: defects, as the corpus reader names them, whose rows are dropped.
        include_ids: rows kept whatever the other rules say.
        exclude_ids: rows dropped, `include_ids` excepted.

    Raises:
        InputError: a value is out of range, or two options contradict each other.
    """

    name: str = "custom"
    description: str = ""
    min_duration: float = 0.0
    duration_from: DurationSource = "stamps"
    min_clip_duration: float = 0.0
    min_words: int = 0
    speaker_rule: SpeakerRule = "any"
    speakers: tuple[str, ...] = ()
    min_speaker_count: int = 0
    speaker_count_split: str = "train"
    keep_speakers: tuple[str, ...] = ()
    drop_speakers: tuple[str, ...] = ()
    merge_speakers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    drop_flags: tuple[str, ...] = ()
    include_ids: tuple[str, ...] = ()
    exclude_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option in (*_NUMBERS, *_COUNTS):
            value = getattr(self, option)
            if not math.isfinite(value) or value < 0:
                raise InputError(f"Bad {option} {value!r}, expected a number of 0 or more")
        if self.speaker_rule not in SPEAKER_RULES:
            raise InputError(bad_value("speaker_rule", self.speaker_rule, SPEAKER_RULES))
        if self.duration_from not in DURATION_SOURCES:
            raise InputError(bad_value("duration_from", self.duration_from, DURATION_SOURCES))
        if (self.speaker_rule == "list") != bool(self.speakers):
            raise InputError("speakers: a list of speakers and speaker_rule 'list' need each other")
        if self.speaker_rule == "list" and self.min_speaker_count:
            raise InputError("min_speaker_count: not with speaker_rule 'list', which says who is allowed")
        _read_spellings(self.merge_speakers)
        both = set(map(self.canonical, self.keep_speakers)) & set(map(self.canonical, self.drop_speakers))
        if both:
            raise InputError(f"keep_speakers and drop_speakers both name {sorted(both)!r}")

    def canonical(self, speaker: str) -> str:
        """What a speaker is counted and judged under, folded.

        >>> SelectionOptions(merge_speakers={"Kristen": ("Kristin",)}).canonical("KRISTIN")
        'kristen'
        """
        folded = fold(speaker)
        return self._spellings.get(folded, folded)

    @cached_property
    def _spellings(self) -> dict[str, str]:
        return _read_spellings(self.merge_speakers)

    def as_dict(self) -> dict[str, Any]:
        """The options as plain values for a manifest, the name left out; `parse` reads them again."""
        values = {option: getattr(self, option) for option in OPTIONS if option != "name"}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        plain["merge_speakers"] = {name: list(others) for name, others in self.merge_speakers.items()}
        return plain


def _read_spellings(merge_speakers: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Other spelling -> name, both folded; raises InputError where a spelling stands for two names."""
    names = {fold(name) for name in merge_speakers}
    found: dict[str, str] = {}
    for name, others in merge_speakers.items():
        for other in set(map(fold, others)) - {fold(name)}:
            if found.setdefault(other, fold(name)) != fold(name) or other in names:
                raise InputError(f"merge_speakers: {other!r} stands for more than one name")
    return found


OPTIONS: tuple[str, ...] = tuple(f.name for f in fields(SelectionOptions))


def parse(values: Mapping[Any, Any], place: str, name: str = "custom") -> SelectionOptions:
    """Options from plain values, such as a YAML file's.

    Args:
        values: option -> value.
        place: the file, for messages.
        name: the profile's name, where `values` has none.

    Raises:
        InputError: an unknown option or a bad value; the message names place, option and choices.
    """
    checked: dict[str, Any] = {"name": name}
    for option, value in values.items():
        if option not in OPTIONS:
            raise InputError(f"{place}: {bad_value('option', option, OPTIONS)}")
        checked[option] = _checked(option, value, f"{place}: {option}")
    try:
        return SelectionOptions(**checked)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _checked(option: str, value: object, place: str) -> object:
    if option in _NUMBERS:
        return float(_typed(value, (int, float), place, "a number of seconds"))
    if option in _COUNTS:
        return _typed(value, (int,), place, "a whole number")
    if option in _TEXTS:
        return _typed(value, (str,), place, "text")
    if option == "merge_speakers":
        if not isinstance(value, dict):
            raise InputError(
                f"{place}: bad value {value!r}, expected names, each with a list of other spellings"
            )
        return {_text(k, place): _texts(v, f"{place}: {k}") for k, v in value.items()}
    return _texts(value, place)


def _typed(value: Any, types: tuple[type, ...], place: str, expected: str) -> Any:
    # YAML's true and false are numbers to Python.
    if isinstance(value, bool) or not isinstance(value, types):
        raise InputError(f"{place}: bad value {value!r}, expected {expected}")
    return value


def _texts(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError(f"{place}: bad value {value!r}, expected a list such as [one, two]")
    return tuple(_text(item, place) for item in value)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(
            f"{place}: bad entry {value!r}, expected text; put quotes around numbers, yes, no, null"
        )
    return value


def profile_names() -> list[str]:
    """The profiles that come with remelt."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def profile_path(name_or_path: str | Path) -> Path:
    """The file of a profile: one that comes with remelt, else a file.

    Raises:
        InputError: there is neither; the message lists the choices.
    """
    packaged = _FOLDER / f"{name_or_path}.yaml"
    if str(name_or_path) in profile_names():
        return packaged
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(f"{bad_value('profile', str(name_or_path), profile_names())} or a YAML file")
    return path


def load_profile(name_or_path: str | Path) -> SelectionOptions:
    """Reads a profile.

    Args:
        name_or_path: `melt-release`, `melt-paper`, `clean`, or a YAML file.

    Raises:
        InputError: no such profile, unreadable YAML, an unknown option or a bad value.

    >>> load_profile("melt-paper").min_duration
    1.0
    """
    import yaml

    path = profile_path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = yaml.safe_load(text)
        _refuse_repeats(yaml.compose(text, Loader=yaml.SafeLoader), str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected lines such as 'min_words: 3', found {type(values).__name__}")
    return parse(values, str(path), path.stem)


def _refuse_repeats(node: Any, place: str) -> None:
    """YAML lets a later key replace an earlier one without a word; a copied option is easily left twice."""
    pairs: Iterable[Any] = node.value if node is not None and node.id == "mapping" else ()
    seen: set[str] = set()
    for key, value in pairs:
        if key.value in seen:
            raise InputError(f"{place}: line {key.start_mark.line + 1}: {key.value!r} stands twice")
        seen.add(key.value)
        _refuse_repeats(value, place)
