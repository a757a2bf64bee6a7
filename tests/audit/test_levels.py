"""Levels against labels: Cramér's V against scipy and against its definition, tables, figures."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from remelt.audit.figures import figure_bytes
from remelt.audit.levels import LEVELS, Crossing, association, cross, csv_bytes, levels_figure
from remelt.errors import InputError

TABLES = [
    [[10, 20, 30], [6, 9, 17], [3, 3, 3]],
    [[58, 14, 0], [1, 22, 49]],
    [[8, 8, 0], [3, 9, 4], [0, 2, 14], [7, 7, 2], [1, 5, 10], [2, 6, 8], [5, 9, 2], [4, 4, 8]],
    [[5, 0, 0], [0, 5, 0], [0, 0, 5]],
    [[1, 2], [3, 4]],
]


@pytest.mark.parametrize("table", TABLES)
def test_the_association_is_scipys(table: list[list[int]]) -> None:
    contingency = pytest.importorskip("scipy.stats.contingency")
    from scipy.stats import chi2_contingency

    found = association(table)
    assert found is not None
    expected = chi2_contingency(table, correction=False)
    assert found.v == pytest.approx(contingency.association(table, method="cramer"), abs=1e-12)
    assert found.chi2 == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)
    assert found.dof == expected.dof
    assert found.rows == np.sum(table)
    assert found.sparse == (expected.expected_freq < 5).sum()


def test_without_scipy_there_is_no_p_value_and_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = association(TABLES[0])
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    bare = association(TABLES[0])
    assert bare is not None
    assert whole is not None
    assert bare == replace(whole, p=None)


def test_full_dependence_and_none() -> None:
    full, none = association(TABLES[3]), association([[2, 4, 6], [1, 2, 3]])
    assert full is not None
    assert full.v == pytest.approx(1)
    assert full.corrected_v == pytest.approx(1)
    assert none is not None
    assert (none.v, none.corrected_v) == (pytest.approx(0), 0)
    assert none.p == pytest.approx(1)


def test_empty_names_and_levels_do_not_count() -> None:
    bare = association([[10, 20], [30, 5]])
    assert association([[10, 0, 20], [0, 0, 0], [30, 0, 5]]) == bare


@pytest.mark.parametrize("table", [[], [[1, 2, 3]], [[0, 4, 0], [0, 9, 0]], [[0, 0, 0], [0, 0, 0]]])
def test_nothing_to_compare(table: list[list[int]]) -> None:
    assert association(table) is None


def test_chance_alone_makes_v_what_is_said_and_the_correction_takes_it_off() -> None:
    rng = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(300):
        counts = rng.multinomial(120, [1 / 24] * 24).reshape(8, 3)
        found = association(counts.tolist())
        assert found is not None
        plain.append(found.v)
        corrected.append(found.corrected_v)
    assert found.expected_v == pytest.approx(np.sqrt(14 / 240))
    assert np.mean(plain) == pytest.approx(found.expected_v, abs=0.02)
    assert np.mean(corrected) < 0.08


def test_counts_are_what_a_count_by_hand_gives() -> None:
    rng = np.random.default_rng(1)
    names = [str(n) for n in rng.choice(["joy", "anger", ""], 200)]
    levels = [None if n == "none" else str(n) for n in rng.choice([*LEVELS, "none"], 200)]
    table = cross(names, levels)
    by_hand = Counter(zip(names, levels, strict=True))
    for name, counts, without in zip(table.names, table.counts, table.without, strict=True):
        assert counts == tuple(by_hand[name, level] for level in LEVELS)
        assert without == by_hand[name, None]
    assert table.names == ("anger", "joy")
    assert table.rows + sum(table.without) + table.unnamed == 200


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InputError, match="Bad level 'loud', expected one of"):
        cross(["joy"], ["loud"])


def test_json_and_csv_say_the_same() -> None:
    table = cross(["joy"] * 4 + ["fear"], ["low", "low", "high", None, None])
    found = json.loads(json.dumps(table.as_dict(), allow_nan=False))
    joy = next(row for row in found["names"] if row["name"] == "joy")
    assert (joy["rows"], joy["low_share"], joy["no_level"]) == (3, pytest.approx(2 / 3), 1)
    assert found["association"] is None
    rows = list(csv.DictReader(io.StringIO(csv_bytes({("pitch_level", "label"): table}).decode())))
    assert [row["value"] for row in rows] == ["fear", "joy", "all"]
    assert rows[0]["low_share"] == ""
    assert float(rows[1]["low_share"]) == pytest.approx(joy["low_share"], abs=1e-6)
    assert rows[2]["no_level"] == "2"


def crossings() -> dict[str, Crossing]:
    names = ["a < b", "$x$ & y", "a very long name that has to be cut somewhere"] * 20
    return {"Pitch": cross(names, [*LEVELS] * 20), "Rate": cross(names, ["mid"] * 60)}


def test_the_figure_is_drawn_and_always_the_same() -> None:
    drawing = levels_figure(crossings(), "Levels by label")
    assert drawing is not None
    files = figure_bytes(drawing)
    svg = files["svg"].decode()
    assert files["png"].startswith(b"\x89PNG")
    for text in ("Levels by label", "Cramér's V 1.000 (by chance about 0.183)", "nothing to compare",
                 "a &lt; b", "$x$ &amp; y", "low", "mid", "high", "100"):  # fmt: skip
        assert text in svg, text
    again = levels_figure(crossings(), "Levels by label")
    assert again is not None
    assert figure_bytes(again) == files


def test_bars_are_as_long_as_the_shares() -> None:
    table = cross(["joy"] * 10, ["low"] * 2 + ["mid"] * 3 + ["high"] * 5)
    drawing = levels_figure({"Pitch": table}, "x")
    assert drawing is not None
    bars = [patch for patch in drawing.axes[0].patches if getattr(patch, "get_width", None)]
    widths = [bar.get_width() for bar in bars]  # type: ignore[attr-defined]
    assert widths == pytest.approx([20, 20, 30, 30, 50, 50])
    assert [bar.get_x() for bar in bars] == pytest.approx([0, 0, 20, 20, 50, 50])  # type: ignore[attr-defined]


def test_no_figure_of_nothing() -> None:
    assert levels_figure({"Pitch": cross(["joy"], [None])}, "x") is None
