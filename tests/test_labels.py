"""The maps from corpora's own label names to the common ones."""

from __future__ import annotations

import pytest

from remelt.errors import InputError
from remelt.labels import LABEL_MAPS, MELT


@pytest.mark.parametrize("name", sorted(LABEL_MAPS))
def test_maps_lead_to_the_common_names_and_drop_nothing_twice(name: str) -> None:
    known = LABEL_MAPS[name]
    assert set(known.to_common.values()) <= set(MELT.labels)
    assert not known.to_common.keys() & known.dropped
    assert all(label == label.casefold() for label in (*known.to_common, *known.dropped))


@pytest.mark.parametrize(
    ("corpus", "label", "common"),
    [
        ("iemocap", "hap", "joy"),
        ("iemocap", " EXC ", "joy"),
        ("iemocap", "fru", None),
        ("iemocap", "xxx", None),
        ("msp_improv", "happiness", "joy"),
        ("msp_improv", "no agreement", None),
        ("msp_podcast", "surprise", "surprise"),
        ("msp_podcast", "contempt", None),
    ],
)
def test_a_label_gets_its_common_name(corpus: str, label: str, common: str | None) -> None:
    assert LABEL_MAPS[corpus].common(label) == common


def test_a_label_that_the_corpus_lacks_is_not_mapped_to_a_neighbour() -> None:
    with pytest.raises(InputError, match=r"Bad label of iemocap 'happy', expected one of \['ang', 'dis'"):
        LABEL_MAPS["iemocap"].common("happy")
