"""The sentiment that valence gives, at and around the thresholds of MERITS-L."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from remelt import corpora
from remelt.errors import InputError
from remelt.recipes.sentiment_oracle import OracleOptions, find_oracle, sentiment_of
from remelt.records import Utterance

from ..builders import utterance


def rated(*valences: float | None, **changes: Any) -> list[Utterance]:
    return [
        utterance(n, attributes={} if v is None else {"valence": v, "arousal": 1.0}, **changes)
        for n, v in enumerate(valences)
    ]


# The paper: (5, 7] positive, [1, 3) negative, else neutral.
@pytest.mark.parametrize(
    ("valence", "sentiment"),
    [
        (1.0, "negative"), (2.0, "negative"), (2.999999, "negative"), (3.0, "neutral"), (4.2, "neutral"),
        (5.0, "neutral"), (5.000001, "positive"), (6.0, "positive"), (7.0, "positive"),
    ],
)  # fmt: skip
def test_both_limits_are_neutral(valence: float, sentiment: str) -> None:
    assert sentiment_of(valence) == sentiment


@pytest.mark.parametrize("valence", [0.999, 7.001, 0.0, -3.0, float("nan"), float("inf")])
def test_a_valence_off_the_scale_is_an_error_that_names_the_row(valence: float) -> None:
    with pytest.raises(InputError, match=r"train.csv:4: toy/train/dia0_utt2: bad valence .* from 1 to 7"):
        find_oracle(rated(4.0, 2.0, valence))


def test_every_row_with_a_valence_has_an_oracle_and_the_rest_is_told() -> None:
    found = find_oracle(rated(1.5, 3.0, 6.5, None))
    assert found.source == "valence"
    assert list(found.labels.values()) == ["negative", "neutral", "positive"]
    assert found.record == {
        "source": "valence",
        "positive_above": 5.0,
        "negative_below": 3.0,
        "scale": [1.0, 7.0],
        "counts": {"negative": 1, "neutral": 1, "positive": 1},
    }
    assert found.notes == ("1 of 4 utterances have no valence to compare with.",)


def test_thresholds_can_be_moved() -> None:
    options = OracleOptions(positive_above=4.0, negative_below=4.0)
    found = find_oracle(rated(3.9, 4.0, 4.1), options)
    assert list(found.labels.values()) == ["negative", "neutral", "positive"]
    assert found.record["positive_above"] == 4.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "arousal"}, "Bad oracle 'arousal', expected one of"),
        ({"positive_above": 2.0}, "negative below 3 and positive above 2 overlap"),
        ({"positive_above": 8.0}, "Bad positive_above 8, expected a valence from 1 to 7"),
        ({"negative_below": 0.5}, "Bad negative_below 0.5, expected a valence from 1 to 7"),
        ({"scale": (5.0, 1.0)}, r"Bad valence scale \(5.0, 1.0\)"),
        ({"positive_above": float("nan")}, "overlap"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OracleOptions(**options)


def test_another_scale_needs_thresholds_of_its_own() -> None:
    rows = rated(1.5, 2.5, 4.5, corpus="iemocap", sentiment="positive")
    found = find_oracle(rows)
    assert (found.source, found.labels[rows[0].id]) == ("sentiment", "positive")
    assert "goes from 1 to 5, the paper's thresholds are for 1 to 7" in found.notes[0]
    with pytest.raises(InputError, match="--positive-above and --negative-below"):
        find_oracle(rows, OracleOptions("valence"))
    chosen = find_oracle(rows, OracleOptions(positive_above=3.5, negative_below=2.5))
    assert list(chosen.labels.values()) == ["negative", "neutral", "positive"]
    assert chosen.record["scale"] == [1.0, 5.0]
    with pytest.raises(InputError, match=r"bad valence 4\.5, expected a number from 1 to 4"):
        find_oracle(rows, OracleOptions("valence", 3.5, 2.5, (1.0, 4.0)))


def test_a_scale_that_looks_like_another_one_is_told() -> None:
    assert "is it on the scale of 1 to 7?" in find_oracle(rated(1.5, 4.9)).notes[0]
    assert not find_oracle(rated(1.5, 5.1)).notes


def test_the_corpus_sentiment_stands_where_there_is_no_valence() -> None:
    given = ["positive", "Neutral", "NEGATIVE", "mixed", None]
    found = find_oracle([utterance(n, sentiment=s) for n, s in enumerate(given)])
    assert (found.source, list(found.labels.values())) == ("sentiment", ["positive", "neutral", "negative"])
    assert found.notes == (
        "1 sentiments of the corpus are none of the three ('mixed').",
        "2 of 5 utterances have no sentiment to compare with.",
    )


def test_what_is_asked_for_by_name_must_be_there() -> None:
    with pytest.raises(InputError, match="no utterance has a valence"):
        find_oracle([utterance(0, sentiment="positive")], OracleOptions("valence"))
    with pytest.raises(InputError, match="no utterance has a sentiment"):
        find_oracle(rated(4.0), OracleOptions("sentiment"))
    assert find_oracle(rated(4.0), OracleOptions("none")).labels == {}
    assert find_oracle([utterance(0)]).source == "none"


def test_real_meld_has_its_own_sentiment(test_data: Path) -> None:
    with (test_data / "meld" / "dev_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    own = {f"meld/dev/dia{r['Dialogue_ID']}_utt{r['Utterance_ID']}": r["Sentiment"] for r in rows}
    found = find_oracle(corpora.load(test_data / "meld", splits=["dev"]).utterances)
    assert (found.source, found.labels, found.notes) == ("sentiment", own, ())
    # The split's table: 406 negative, 470 neutral, 233 positive.
    assert found.record["counts"] == {"negative": 406, "neutral": 470, "positive": 233}
