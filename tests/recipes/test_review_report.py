from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from remelt.errors import InputError
from remelt.recipes.reviewing.report import export_labels, report, write_report
from remelt.review.judgements import Judgement

from ..review.builders import SOURCES, judgement, store_at
from ..review.datasets import LABELS, row, write_dataset

RATERS = ("Ann", "Bo", "Cy")


def stored(out: Path, judgements: Iterable[Judgement]) -> Path:
    with store_at(out) as store:
        for one in judgements:
            store.add(one)
    return out


def preferences(number: int = 90, seed: int = 1) -> list[Judgement]:
    """Choices of three raters on thirty items, most of them for the second label where it is anger."""
    rng = np.random.default_rng(seed)
    found = []
    for n in range(number):
        place = n % 30
        second = ("anger", "fear", "joy")[place % 3]
        likely = 0.8 if second == "anger" else 0.3
        drawn = rng.random()
        choice = (
            "skip"
            if drawn > 0.95
            else "same"
            if drawn > 0.88
            else "second"
            if rng.random() < likely
            else "first"
        )
        left = "first" if rng.random() < 0.5 else "second"
        more = {"first": "neutral", "second": second, "left": left, "seconds": float(1 + n % 7)}
        found.append(judgement(RATERS[n // 30], f"u{place}", choice, **more))
    return found


def test_shares_are_those_of_the_judgements_with_wilson_intervals(tmp_path: Path) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    said = preferences()
    (found,) = report(stored(tmp_path, said)).preferences
    assert [share.counts.label for share in found.by_second] == ["anger", "fear", "joy"]
    for share in (found.overall, *found.by_second):
        mine = [j for j in said if share.counts.label in ("", j.second)]
        second, first = (sum(j.choice == c for j in mine) for c in ("second", "first"))
        assert (share.counts.second, share.counts.first) == (second, first)
        assert share.counts.same + share.counts.skip + second + first == len(mine)
        assert share.rate.rate == pytest.approx(second / (second + first))
        expected = proportion.proportion_confint(second, second + first, method="wilson")
        assert (share.rate.low, share.rate.high) == pytest.approx(expected)
    assert (found.by_second[0].rate.rate or 0) > 0.6 > (found.by_second[1].rate.rate or 1)
    (only,) = found.by_first
    assert only.counts.label == "neutral"
    assert only.rate == found.overall.rate


def test_items_are_counted_by_their_majority(tmp_path: Path) -> None:
    votes = {
        "a": ["second", "second", "first"],
        "b": ["first", "skip", "same"],
        "c": ["first", "second", "same"],
    }
    said = [judgement(r, item, c) for item, cs in votes.items() for r, c in zip(RATERS, cs, strict=True)]
    (found,) = report(stored(tmp_path, said)).preferences
    counts = found.overall.counts
    assert (counts.items_second, counts.items_first, counts.items_even) == (1, 1, 1)
    assert (found.overall.items.count, found.overall.items.total) == (1, 2)
    assert (counts.second, counts.first, counts.same, counts.skip) == (3, 3, 2, 1)


def test_agreement_of_raters_equals_pairs_counted_by_hand(tmp_path: Path) -> None:
    said = preferences()
    (found,) = report(stored(tmp_path, said)).preferences
    assert found.agreement is not None
    shares = []
    for item in {j.item for j in said}:
        choices = [j.choice for j in said if j.item == item and j.choice != "skip"]
        if len(choices) > 1:
            pairs = [a == b for a, b in combinations(choices, 2)]
            shares.append(sum(pairs) / len(pairs))
    assert found.agreement.usable == len(shares)
    value = found.agreement.coefficients["percent_agreement"].value
    assert value == pytest.approx(sum(shares) / len(shares))


def ac1(pairs: list[tuple[str, str]], labels: int) -> float:
    """Gwet 2008, equation for two raters: chance is the mean of p (1 - p), over all labels but one."""
    said = [label for pair in pairs for label in pair]
    shares = [said.count(label) / len(said) for label in sorted(set(said))]
    chance = sum(share * (1 - share) for share in shares) / (labels - 1)
    return (sum(a == b for a, b in pairs) / len(pairs) - chance) / (1 - chance)


def test_labels_that_nobody_chose_were_on_offer(tmp_path: Path) -> None:
    out = write_dataset(tmp_path / "out", [row(n) for n in range(20)])
    pairs = [("joy" if n < 12 else "anger", "joy" if n < 12 or n > 16 else "anger") for n in range(20)]
    said = [
        judgement(rater, f"l{n}", "label", mode="label", label=label, left="")
        for n, pair in enumerate(pairs)
        for rater, label in zip(RATERS, pair, strict=False)
    ]
    (found,) = report(stored(out, said)).labels
    assert found.agreement is not None
    assert found.agreement.labels == LABELS
    value = found.agreement.coefficients["gwet_ac1"].value
    assert value == pytest.approx(ac1(pairs, 7))
    assert value != pytest.approx(ac1(pairs, 2))
    # Three answers are on offer to a preference: either label, or the same.
    sides = {"joy": "first", "anger": "second"}
    chosen = [judgement(j.rater, j.item, sides[str(j.label)]) for j in said]
    (preference,) = report(stored(tmp_path / "preferred", chosen)).preferences
    assert preference.agreement is not None
    value = preference.agreement.coefficients["gwet_ac1"].value
    assert value == pytest.approx(ac1([(sides[a], sides[b]) for a, b in pairs], 3))


def test_only_the_last_word_counts_and_the_history_is_told(tmp_path: Path) -> None:
    said = [
        judgement("Ann", "a", "first"),
        judgement("Ann", "a", "second"),
        judgement("Ann", "b", "first"),
        judgement("Ann", "b", "withdrawn"),
        judgement("Bo", "a", "first"),
        judgement("Bo", "a", "withdrawn"),
        judgement("Bo", "a", "same"),
    ]
    found = report(stored(tmp_path, said))
    assert [(j.rater, j.item, j.choice) for j in found.judgements] == [
        ("Ann", "a", "second"),
        ("Bo", "a", "same"),
    ]
    assert (found.history.rows, found.history.changed, found.history.withdrawn) == (7, 1, 2)


def test_raters_and_their_hands(tmp_path: Path) -> None:
    said = preferences()
    (found,) = report(stored(tmp_path, said)).preferences
    assert [rater.rater for rater in found.raters] == ["Ann", "Bo", "Cy"]
    for rater in found.raters:
        mine = [j for j in said if j.rater == rater.rater]
        assert sum(rater.counts.values()) == len(mine) == 30
        assert rater.median_seconds == np.median([j.seconds or 0 for j in mine])
    decided = [j for j in said if j.choice in ("first", "second")]
    assert (found.left.count, found.left.total) == (sum(j.choice == j.left for j in decided), len(decided))


def labelled() -> list[Judgement]:
    rng = np.random.default_rng(4)
    names = ("anger", "joy", "neutral")
    found = []
    for n in range(60):
        truth = names[n % 3]
        label = truth if rng.random() < 0.7 else str(rng.choice(names))
        rater = ("Ann", "Bo")[n // 30]
        more = {
            "mode": "label",
            "label": label,
            "confidence": 1 + n % 5,
            "left": "",
            "note": '=1, "so"\nthere',
        }
        pair = {"first": truth, "second": str(rng.choice(names))}
        found.append(judgement(rater, f"l{n % 30}", "label", **more, **pair))
    return [*found, judgement("Bo", "l99", "skip", mode="label", left="")]


def test_labels_against_both_sources(tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    said = labelled()
    (found,) = report(stored(tmp_path, said)).labels
    assert found.items == 30
    assert sum(found.counts.values()) == 60
    for rater in ("Ann", "Bo"):
        mine = [j for j in said if j.rater == rater and j.choice == "label"]
        for source, side in zip(SOURCES, ("first", "second"), strict=True):
            truth, label = [getattr(j, side) for j in mine], [j.label for j in mine]
            against = found.against[rater][source]
            assert against.agreement.rate == pytest.approx(metrics.accuracy_score(truth, label))
            assert against.kappa == pytest.approx(metrics.cohen_kappa_score(truth, label))
            recalls = metrics.recall_score(truth, label, labels=sorted(set(truth)), average=None)
            assert [rate.rate for rate in against.by_label.values()] == pytest.approx(list(recalls))
    assert found.overall["label"].agreement.total == 60
    assert found.raters[1].counts == {"label": 30, "skip": 1}
    assert found.raters[0].mean_confidence == pytest.approx(3.0)


def test_export_is_one_row_per_rater_and_item(tmp_path: Path) -> None:
    said = labelled()
    out = stored(tmp_path / "out", [*said, judgement("Ann", "u0", "second")])
    path = tmp_path / "labels.csv"
    assert export_labels(report(out), path) == 60
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["id", "annotator", "label", "confidence", "note"]
    wanted = {(j.utterance_id, j.rater): j for j in said if j.choice == "label"}
    assert len(rows) == len(wanted) == 60
    for line in rows:
        told = wanted[line["id"], line["annotator"]]
        assert (line["label"], int(line["confidence"]), line["note"]) == (
            told.label,
            told.confidence,
            told.note,
        )


def test_preferences_are_no_labels_to_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labels of out to export"):
        export_labels(report(stored(tmp_path / "out", preferences())), tmp_path / "labels.csv")


def test_files_of_a_report(tmp_path: Path) -> None:
    out = stored(tmp_path / "out", [*preferences(), *labelled()])
    found = report(out)
    names = write_report(found, tmp_path / "there" / "deep")
    assert names == ["judgements.csv", "preference.png", "preference.svg", "review.json"]
    folder = tmp_path / "there" / "deep"
    numbers = json.loads((folder / "review.json").read_text(encoding="utf-8"))
    assert numbers["preference"][0]["sources"] == list(SOURCES)
    assert numbers["label"][0]["items"] == 30
    with (folder / "judgements.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 90 + 61
    assert {(r["rater"], r["utterance_id"], r["choice"]) for r in rows if r["mode"] == "preference"} == {
        (j.rater, j.utterance_id, j.choice) for j in preferences()
    }
    drawn = (folder / "preference.svg").read_text(encoding="utf-8")
    for text in ("By label", "By original_label", "anger", "neutral", "20 people; more than 70 %"):
        assert text in drawn
    again = tmp_path / "again"
    write_report(found, again)
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }


def test_a_report_of_skips_alone(tmp_path: Path) -> None:
    out = stored(tmp_path / "out", [judgement("Ann", "a", "skip", first="x", second="y")])
    found = report(out)
    (preference,) = found.preferences
    assert preference.overall.rate.rate is None
    assert preference.agreement is None
    assert preference.paper == ""
    assert "preference.svg" in write_report(found, tmp_path / "to")


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Nobody has reviewed .*start with `remelt review"):
        report(tmp_path)
    store_at(tmp_path).close()
    with pytest.raises(InputError, match="Nobody has judged anything"):
        report(tmp_path)
