"""Label sets and the maps from each corpus's own names to the common ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import InputError, bad_value


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels an annotator may choose from.

    Attributes:
        name: how options and manifests call it.
        labels: in the fixed order of ClassLabel columns and matrices (lower case).
        prompt_order: as prompts and answer schemas spell and order them.
    """

    name: str
    labels: tuple[str, ...]
    prompt_order: tuple[str, ...]

    def parse(self, value: str) -> str | None:
        """The canonical label for a spelling of it, else None; nothing is mapped to a neighbour.

        >>> MELT.parse(" Joy "), MELT.parse("frustration")
        ('joy', None)
        """
        folded = value.strip().casefold()
        return folded if folded in self.labels else None


MELT = LabelSet(
    name="melt",
    labels=("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"),
    prompt_order=("Anger", "Disgust", "Sadness", "Joy", "Neutral", "Surprise", "Fear"),
)

LABEL_SETS: Mapping[str, LabelSet] = {s.name: s for s in (MELT,)}


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
