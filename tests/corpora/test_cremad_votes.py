"""The single votes of CREMA-D by voice, face and both."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import cremad

from .test_cremad import RESPONSES, VOTES, make

FURTHER = "6,p3,1,H_70,900,2,1002_IEO_DIS_LO,H,\n7,p1,3,S_70,900,3,1002_IEO_DIS_LO,s,20\n"


def test_counts_become_votes_of_every_way_of_judging(tmp_path: Path) -> None:
    found = cremad.judgements(make(tmp_path / "x", tabulatedVotes=VOTES))
    assert list(found) == ["voice", "face", "audiovisual"]
    assert not any(way.named for way in found.values())
    votes = {
        way: {n: Counter(r.labels[0] for r in rs) for n, rs in of.votes.items()} for way, of in found.items()
    }
    assert votes == {
        "voice": {
            "1001_DFA_ANG_XX": {"ang": 6, "dis": 1, "neu": 3},
            "1002_IEO_DIS_LO": {"dis": 2, "neu": 2},
        },
        "face": {"1001_DFA_ANG_XX": {"ang": 1, "dis": 1}},
        "audiovisual": {"1001_DFA_ANG_XX": {"sad": 5}},
    }
    assert [r.rater for r in found["face"].votes["1001_DFA_ANG_XX"]] == ["face/1", "face/2"]


def test_answers_name_the_people_of_every_way_of_judging(tmp_path: Path) -> None:
    folder = make(tmp_path / "x", finishedResponses=RESPONSES + FURTHER, tabulatedVotes=VOTES)
    found = cremad.judgements(folder)
    assert all(way.named for way in found.values())
    assert [(r.rater, r.labels) for r in found["face"].votes["1001_DFA_ANG_XX"]] == [("p3", ("ang",))]
    seen = found["face"].votes["1002_IEO_DIS_LO"][0]
    assert (seen.rater, seen.labels, seen.attributes) == ("p3", ("hap",), {})
    both = found["audiovisual"].votes["1002_IEO_DIS_LO"][0]
    assert (both.rater, both.labels, both.attributes) == ("p1", ("sad",), {"level": 20.0})
    # What a row carries stays what it was: the votes of those who only heard it.
    rows = corpora.load(folder).utterances
    assert [r.rater for r in rows[0].ratings] == ["p1", "p2"]
    assert rows[1].ratings == ()


def test_a_way_that_only_the_counts_know(tmp_path: Path) -> None:
    found = cremad.judgements(make(tmp_path / "x", finishedResponses=RESPONSES, tabulatedVotes=VOTES))
    assert {way: of.named for way, of in found.items()} == {"voice": True, "face": True, "audiovisual": False}
    assert cremad.judgements(make(tmp_path / "y")) == {}


def test_the_real_votes_are_all_there(test_data: Path) -> None:
    folder = test_data / "cremad"
    if not folder.is_dir():
        pytest.skip(f"no CREMA-D tables at {folder}")
    found = cremad.judgements(folder)
    modes = {"1": "voice", "2": "face", "3": "audiovisual"}
    letters = {"A": "ang", "D": "dis", "F": "fea", "H": "hap", "N": "neu", "S": "sad"}
    with (folder / "tabulatedVotes_actors_1001-1010.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            votes = found[modes[row[""][0]]].votes[row["fileName"]]
            assert Counter(r.labels[0] for r in votes) == Counter(
                {k: int(row[c]) for c, k in letters.items()}
            )
    assert {way: sum(map(len, of.votes.values())) for way, of in found.items()} == {
        "voice": 7524, "face": 7852, "audiovisual": 7830,
    }  # fmt: skip
