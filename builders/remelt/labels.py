"""Label sets and the maps from each corpus's own names to the common ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .errors import InputError, bad_value


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels an annotator may choose from.

    Attributes:
        name: how options and manifests call it.
        labels: in the fixed order of ClassLabel columns and matrices (lower case).
        prompt_order: as prompts and answer schemas spell and order them.
        spellings: the prompt's own words (case-folded) for labels that it calls otherwise.
        reject: labels by which an annotator says that none of the others fits.
    """

    name: str
    labels: tuple[str, ...]
    prompt_order: tuple[str, ...]
    spellings: Mapping[str, str] = field(default_factory=dict, hash=False)
    reject: tuple[str, ...] = ()

    def parse(self, value: str) -> str | None:
        """The canonical label for a spelling of it, else None; nothing is mapped to a neighbour.

        >>> MELT.parse(" Joy "), MELT.parse("frustration")
        ('joy', None)
        """
        folded = value.strip().casefold()
        folded = self.spellings.get(folded, folded)
        return folded if folded in self.labels else None

    def spelled(self, label: str) -> str:
        """How prompts and answer schemas spell a label of the set.

        >>> FENG.spelled("sadness"), MELT.spelled("sadness")
        ('sad', 'Sadness')
        """
        return next(name for name in self.prompt_order if self.parse(name) == label)


MELT = LabelSet(
    name="melt",
    labels=("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"),
    prompt_order=("Anger", "Disgust", "Sadness", "Joy", "Neutral", "Surprise", "Fear"),
)

# Feng and Narayanan 2023, section 3: the options of the prompt; `other` rejects the utterance.
FENG = LabelSet(
    name="feng",
    labels=("anger", "joy", "neutral", "other", "sadness"),
    prompt_order=("neutral", "sad", "angry", "happy", "other"),
    spellings={"angry": "anger", "happy": "joy", "sad": "sadness"},
    reject=("other",),
)

# Dutta and Ganapathy 2025 (MERITS-L): what the pre-training labels are chosen from.
SENTIMENT = LabelSet(
    name="sentiment",
    labels=("negative", "neutral", "positive"),
    prompt_order=("positive", "negative", "neutral"),
)

LABEL_SETS: Mapping[str, LabelSet] = {s.name: s for s in (MELT, FENG, SENTIMENT)}


@dataclass(frozen=True, slots=True)
class LabelMap:
    """A corpus's own label names (case-folded) to the common ones; `dropped` ones have no common name."""

    corpus: str
    to_common: Mapping[str, str]
    dropped: frozenset[str] = field(default_factory=frozenset)

    def common(self, label: str) -> str | None:
        """The common name of a label, whatever its case; None for one that has none.

        Raises:
            InputError: the corpus has no such label; nothing is mapped to a neighbour.

        >>> LABEL_MAPS["iemocap"].common("exc"), LABEL_MAPS["iemocap"].common("fru")
        ('joy', None)
        """
        folded = label.strip().casefold()
        if folded in self.dropped:
            return None
        if folded not in self.to_common:
            choices = sorted(self.to_common.keys() | self.dropped)
            raise InputError(bad_value(f"label of {self.corpus}", label, choices))
        return self.to_common[folded]


LABEL_MAPS: Mapping[str, LabelMap] = {
    m.corpus: m
    for m in (
        LabelMap("meld", {name: name for name in MELT.labels}),
        LabelMap(
            "iemocap",
            {"ang": "anger", "hap": "joy", "exc": "joy", "sad": "sadness", "neu": "neutral"},
            frozenset({"fru", "xxx", "oth", "sur", "fea", "dis"}),
        ),
        LabelMap(
            "tess",
            {
                "angry": "anger",
                "happy": "joy",
                "sad": "sadness",
                "neutral": "neutral",
                "fear": "fear",
                "disgust": "disgust",
                "pleasant surprise": "surprise",
            },
        ),
        LabelMap(
            "ravdess",
            {
                "angry": "anger",
                "happy": "joy",
                "sad": "sadness",
                "neutral": "neutral",
                "fearful": "fear",
                "disgust": "disgust",
                "surprised": "surprise",
            },
            frozenset({"calm"}),
        ),
        LabelMap(
            "cremad",
            {
                "ang": "anger",
                "hap": "joy",
                "sad": "sadness",
                "neu": "neutral",
                "fea": "fear",
                "dis": "disgust",
            },
        ),
        LabelMap(
            "emodb",
            {
                "anger": "anger",
                "happiness": "joy",
                "sadness": "sadness",
                "neutral": "neutral",
                "fear": "fear",
                "disgust": "disgust",
            },
            frozenset({"boredom"}),
        ),
        LabelMap(
            "msp_improv",
            {"anger": "anger", "happiness": "joy", "sadness": "sadness", "neutral": "neutral"},
            frozenset({"other", "no agreement"}),
        ),
        LabelMap(
            "msp_podcast",
            {
                "anger": "anger",
                "happiness": "joy",
                "sadness": "sadness",
                "neutral": "neutral",
                "fear": "fear",
                "disgust": "disgust",
                "surprise": "surprise",
            },
            frozenset({"contempt", "other", "no agreement"}),
        ),
        LabelMap(
            "feng",
            {"angry": "anger", "happy": "joy", "sad": "sadness", "neutral": "neutral"},
            frozenset({"other"}),
        ),
    )
}


def words_in(text: str, names: Iterable[str]) -> list[tuple[int, str]]:
    """Where names stand in a text as whole words, whatever their case; parts of compounds do not count.

    >>> words_in("Sad. Unhappy, not non-neutral", ["happy", "neutral", "sad"])
    [(0, 'Sad')]
    """
    # The longest first, so that `pleasant surprise` is no `surprise`.
    ways = "|".join(
        r"\s+".join(map(re.escape, name.split())) for name in sorted(names, key=len, reverse=True)
    )
    whole = rf"(?<![\w'’])(?<!\w-)(?:{ways})(?![\w])(?!-\w)"
    found = re.finditer(whole, text, re.IGNORECASE) if ways else ()
    return [(match.start(), " ".join(match.group().split())) for match in found]


def custom_label_set(labels: list[str]) -> LabelSet:
    """A label set for a corpus with labels of its own; spelling is kept for the prompt.

    Raises:
        InputError: fewer than two labels, or a label twice.

    >>> custom_label_set(["Sad", "Happy"]).labels
    ('happy', 'sad')
    """
    folded = [name.strip().casefold() for name in labels]
    if len(set(folded)) < 2 or len(set(folded)) != len(folded) or not all(folded):
        raise InputError(f"Bad label list {labels!r}: two or more different names are needed")
    return LabelSet("custom", tuple(sorted(folded)), tuple(name.strip() for name in labels))


def label_set(name: str) -> LabelSet:
    """A known label set.

    Raises:
        InputError: the name is unknown; the message lists the choices.
    """
    if name not in LABEL_SETS:
        raise InputError(bad_value("label set", name, LABEL_SETS))
    return LABEL_SETS[name]
