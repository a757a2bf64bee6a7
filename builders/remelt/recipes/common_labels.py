"""A corpus's labels under the names that corpora have in common, so that old and new can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..labels import LABEL_MAPS
from ..records import Utterance

if TYPE_CHECKING:
    from ..corpora import Corpus

RENAMED = "Labels under their common names"


@dataclass(frozen=True)
class Renaming:
    """How the labels of a corpus are renamed.

    Attributes:
        labels: own name -> common name, for those that change; empty where nothing does.
        note: says what was renamed and what was not; empty where nothing is.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def rows(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """The utterances with their labels renamed; all of a corpus, or a part of it."""
        for utterance in utterances:
            name = self.labels.get(utterance.label or "")
            yield utterance if name is None else replace(utterance, label=name)


def renaming(corpus: str, found: Iterable[str]) -> Renaming:
    """What `labels.LABEL_MAPS` says of a corpus's labels.

    Args:
        corpus: its name; one that is not known keeps its labels.
        found: the labels that occur in it.
    """
    known = LABEL_MAPS.get(corpus)
    if known is None:
        return Renaming()
    names = frozenset(found)
    renamed = {own: known.to_common[own] for own in sorted(names) if known.to_common.get(own, own) != own}
    if not renamed:
        return Renaming()
    told = f"{RENAMED}: {', '.join(f'{a} is {b}' for a, b in renamed.items())}."
    if alone := sorted(names.difference(known.to_common)):
        told += f" Without a common name, and so never equal to a new label: {', '.join(alone)}."
    return Renaming(renamed, told)


def common_labels(corpus: Corpus) -> Corpus:
    """The corpus with its labels renamed by `labels.LABEL_MAPS`; unknown corpora stay as they are.

    A label without a common name keeps its own. A note says what was renamed and what was not.
    """
    found = renaming(corpus.name, (u.label for u in corpus.utterances if u.label is not None))
    if not found.labels:
        return corpus
    utterances = tuple(found.rows(corpus.utterances))
    return replace(corpus, utterances=utterances, notes=(*corpus.notes, found.note))
