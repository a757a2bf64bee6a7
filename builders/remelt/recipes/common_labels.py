"""A corpus's labels under the names that corpora have in common, so that old and new can be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..labels import LABEL_MAPS

if TYPE_CHECKING:
    from ..corpora import Corpus

RENAMED = "Labels under their common names"


def common_labels(corpus: Corpus) -> Corpus:
    """The corpus with its labels renamed by `labels.LABEL_MAPS`; unknown corpora stay as they are.

    A label without a common name keeps its own. A note says what was renamed and what was not.
    """
    known = LABEL_MAPS.get(corpus.name)
    if known is None:
        return corpus
    found = dict.fromkeys(u.label for u in corpus.utterances if u.label is not None)
    renamed = {own: known.to_common[own] for own in found if known.to_common.get(own, own) != own}
    if not renamed:
        return corpus
    told = f"{RENAMED}: {', '.join(f'{a} is {b}' for a, b in sorted(renamed.items()))}."
    if alone := sorted(own for own in found if own not in known.to_common):
        told += f" Without a common name, and so never equal to a new label: {', '.join(alone)}."
    utterances = tuple(replace(u, label=renamed.get(u.label or "", u.label)) for u in corpus.utterances)
    return replace(corpus, utterances=utterances, notes=(*corpus.notes, told))
