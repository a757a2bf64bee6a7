"""What may be published of a corpus, by its licence and by its name."""

from __future__ import annotations

import pytest

from remelt import corpora
from remelt.publishing import shareable, sharing_of
from remelt.publishing.sharing import rules

TEXT, EVERYTHING, LABELS = (True, False), (True, True), (False, False)


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [
        ("meld", TEXT), ("iemocap", LABELS), ("msp_improv", LABELS), ("msp_podcast", LABELS),
        ("cmu_mosi", LABELS), ("cremad", EVERYTHING), ("ravdess", EVERYTHING), ("tess", EVERYTHING),
        ("emodb", EVERYTHING), ("sample", EVERYTHING), ("table", LABELS),
    ],
)  # fmt: skip
def test_every_reader_has_its_rule(corpus, expected):
    found = sharing_of(corpora.info(corpus).licence, corpus)
    assert (found.text, found.audio) == expected
    assert found.why
    assert "." not in found.why[-1:]


def test_no_reader_is_forgotten():
    listed = {
        "meld",
        "iemocap",
        "msp_improv",
        "msp_podcast",
        "cmu_mosi",
        "cremad",
        "ravdess",
        "tess",
        "emodb",
    }
    assert set(corpora.names()) == listed | {"sample", "table"}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC BY 4.0", EVERYTHING), ("cc-by-nc-sa-4.0", EVERYTHING), ("CC BY-SA 3.0 DE", EVERYTHING),
        ("Creative Commons Attribution-NonCommercial 4.0 International", EVERYTHING),
        ("MIT", EVERYTHING), ("MIT License", EVERYTHING), ("Apache License, Version 2.0", EVERYTHING),
        ("BSD-3-Clause", EVERYTHING), ("CC0-1.0", EVERYTHING), ("ODbL-1.0", EVERYTHING),
        ("GPL-3.0", TEXT), ("GPLv3", TEXT), ("AGPL-3.0-or-later", TEXT),
        ("", LABELS), ("unknown", LABELS), ("MIT internal", LABELS), ("mittelfristig", LABELS),
        ("CC BY 4.0 for the labels, audio on request", LABELS), ("research only", LABELS),
    ],
)  # fmt: skip
def test_only_a_whole_known_licence_counts(licence, expected):
    found = sharing_of(licence, "mine")
    assert (found.text, found.audio) == expected
    assert shareable(licence) is expected[1]


@pytest.mark.parametrize("name", ["IEMOCAP", "iemocap_asr", "IEMOCAP4", "msp-podcast-1.11", "MSPPodcast"])
def test_a_free_licence_does_not_free_a_corpus_that_is_not(name):
    assert sharing_of("CC0-1.0", name).what == "labels and ids only"


def test_a_contract_binds_a_corpus_that_is_free_elsewhere():
    found = sharing_of("bought from a dealer", "ravdess")
    assert found.what == "labels and ids only"
    assert found.describe == (
        "labels and ids only: the licence 'bought from a dealer' is not known to allow passing it on"
    )


def test_every_rule_says_why_and_where_that_stands():
    for rule in (*rules()["corpora"].values(), *rules()["licences"]):
        assert rule["why"]
        assert rule["source"].startswith(("https://", "http://"))
