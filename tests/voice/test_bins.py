"""Levels by quantile, against pandas, the rule written out by hand, and cases made to go wrong."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product

import numpy as np
import pytest

from remelt.errors import InputError
from remelt.voice.bins import BY, LEVELS, BinOptions, BinRow, Group, Scheme, as_by, fit


def rows(values: object, **fields: object) -> list[BinRow]:
    """One row per value, of one speaker in train unless told otherwise."""
    given = {"split": "train", "speaker": "a", "sex": "female", **fields}
    return [BinRow(key=f"k{n}", value=v, **given) for n, v in enumerate(values)]  # type: ignore[arg-type, call-overload]


def levels(scheme: Scheme, of: list[BinRow]) -> list[str | None]:
    return [scheme.level(row) for row in of]


def counts(scheme: Scheme, of: list[BinRow]) -> Counter[str | None]:
    return Counter(levels(scheme, of))


@pytest.mark.parametrize(("n", "seed"), [(10, 0), (101, 1), (1440, 2), (31, 3)])
def test_a_corpus_is_cut_as_pandas_and_the_paper_cut_it(n: int, seed: int) -> None:
    """Jing et al. 2025: `<= q(.3)` is low and `>= q(.7)` is high."""
    pd = pytest.importorskip("pandas")
    values = np.random.default_rng(seed).normal(30, 5, n)
    scheme = fit(rows(values), "corpus", BinOptions())
    series = pd.Series(values)
    low, high = series.quantile(0.3), series.quantile(0.7)
    expected = ["low" if v <= low else "high" if v >= high else "mid" for v in values]
    assert levels(scheme, rows(values)) == expected
    group = scheme.groups["corpus", "all"]
    assert (group.low, group.high, group.n) == (low, high, n)
    got = counts(scheme, rows(values))
    assert [round(got[level] / n, 1) for level in LEVELS] == [0.3, 0.4, 0.3]


def test_quantiles_interpolate_between_values() -> None:
    scheme = fit(rows([0.0, 10.0, 20.0, 30.0]), "corpus", BinOptions())
    group = scheme.groups["corpus", "all"]
    assert (group.low, group.high) == pytest.approx((9.0, 21.0))
    assert levels(scheme, rows([9.0, 9.01, 20.99, 21.0])) == ["low", "mid", "mid", "high"]


def test_values_on_a_limit_belong_to_the_outer_level() -> None:
    values = [1.0] * 3 + [2.0] * 4 + [3.0] * 3
    assert counts(fit(rows(values), "corpus", BinOptions()), rows(values)) == {"low": 3, "mid": 4, "high": 3}
    ties = [1.0] * 6 + [2.0, 3.0, 4.0, 5.0]
    assert counts(fit(rows(ties), "corpus", BinOptions()), rows(ties)) == {"low": 6, "mid": 1, "high": 3}


def test_equal_values_are_mid_and_said() -> None:
    scheme = fit(rows([4.0] * 50), "corpus", BinOptions())
    assert counts(scheme, rows([4.0] * 50)) == {"mid": 50}
    assert levels(scheme, rows([3.9, 4.1])) == ["low", "high"]
    assert scheme.groups["corpus", "all"].tied
    assert any("fall on one value in corpus all" in note for note in scheme.notes)


def test_most_values_equal_leaves_the_others_outside() -> None:
    values = [0.0] + [5.0] * 8 + [9.0]
    assert levels(fit(rows(values), "corpus", BinOptions()), rows(values)) == ["low", *["mid"] * 8, "high"]


def test_other_quantiles() -> None:
    values = list(range(100))
    scheme = fit(rows(values), "corpus", BinOptions(low=0.1, high=0.5))
    assert counts(scheme, rows(values)) == {"low": 10, "mid": 40, "high": 50}


@pytest.mark.parametrize("absent", [None, float("nan"), float("inf"), -float("inf")])
def test_missing_values_have_no_level_and_move_no_limit(absent: float | None) -> None:
    values = list(map(float, range(60)))
    whole = fit(rows(values), "corpus", BinOptions())
    gaps = rows([*values, absent, absent])
    scheme = fit(gaps, "corpus", BinOptions())
    assert scheme.groups == whole.groups
    assert levels(scheme, gaps)[-2:] == [None, None]
    assert (scheme.missing, scheme.values) == (2, 60)
    assert scheme.levels["train"] == {"low": 18, "mid": 24, "high": 18, "none": 2}
    assert any("2 rows without a value" in note for note in scheme.notes)


@pytest.mark.parametrize("by", BY)
def test_nothing_to_fit_gives_no_level(by: str) -> None:
    empty = rows([None] * 3)
    scheme = fit(empty, as_by(by), BinOptions())
    assert levels(scheme, empty) == [None] * 3
    assert not scheme.groups
    assert "No row has a level." in scheme.describe()
    assert fit([], as_by(by), BinOptions()).levels == {}


def two_sexes(per_speaker: int = 40) -> list[BinRow]:
    """Three women about 20 semitones over three men, each speaker with the same spread."""
    rng = np.random.default_rng(7)
    made = []
    for sex, name in product(("female", "male"), "xyz"):
        base = 40 if sex == "female" else 20
        for value in rng.normal(base, 2, per_speaker):
            made.append(BinRow(f"{sex}{name}{len(made)}", "train", f"{sex}-{name}", sex, float(value)))
    return made


def test_over_the_corpus_pitch_tells_the_sex() -> None:
    every = two_sexes()
    wide = fit(every, "corpus", BinOptions())
    of = {s: counts(wide, [r for r in every if r.sex == s]) for s in ("female", "male")}
    assert of["male"]["low"] == 72
    assert of["male"]["high"] == of["female"]["low"] == 0
    for by in ("sex", "speaker"):
        scheme = fit(every, as_by(by), BinOptions())
        for sex in ("female", "male"):
            got = counts(scheme, [r for r in every if r.sex == sex])
            assert [got[level] for level in LEVELS] == [36, 48, 36]


def test_auto_takes_the_speaker_then_the_sex_then_the_corpus() -> None:
    every = two_sexes(per_speaker=30)
    few = [BinRow(f"few{n}", "train", "newcomer", "male", 20.0 + n) for n in range(29)]
    unknown = [BinRow("who", "train", "", None, 30.0)]
    scheme = fit([*every, *few, *unknown], "auto", BinOptions())
    kinds = {row.speaker: group.kind for row in [*every, *few, *unknown] if (group := scheme.group(row))}
    assert kinds.pop("newcomer") == "sex"
    assert kinds.pop("") == "corpus"
    assert set(kinds.values()) == {"speaker"}
    assert scheme.placed["train"] == {"speaker": 180, "sex": 29, "corpus": 1}
    assert scheme.groups["sex", "male"].n == 119


def test_the_least_number_is_of_values_not_of_clips() -> None:
    voiced = rows(map(float, range(29))) + rows([None] * 10)
    assert ("speaker", "a") not in fit(voiced, "auto", BinOptions()).groups
    assert ("speaker", "a") in fit(voiced, "auto", BinOptions(least=29)).groups


def test_a_named_grouping_is_strict() -> None:
    few = rows(map(float, range(10)))
    scheme = fit(few, "speaker", BinOptions())
    assert levels(scheme, few) == [None] * 10
    assert any("10 rows without limits: fewer than 30 values of the speaker" in n for n in scheme.notes)
    sexless = rows(map(float, range(50)), sex=None)
    assert set(levels(fit(sexless, "sex", BinOptions()), sexless)) == {None}


def test_limits_come_from_train_and_hold_for_test() -> None:
    train, test = rows(map(float, range(100))), rows(map(float, range(1000, 1100)), split="test")
    scheme = fit([*train, *test], "corpus", BinOptions())
    assert (scheme.fitted_on, scheme.values) == ("train", 100)
    assert set(levels(scheme, test)) == {"high"}
    other = fit([*train, *test], "corpus", BinOptions(split="test"))
    assert set(levels(other, train)) == {"low"}
    both = fit([*train, *test], "corpus", BinOptions(split="all"))
    assert (both.fitted_on, both.values, both.notes) == ("all", 200, ())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (rows(map(float, range(50)), split="test"), "there is no split train"),
        (
            rows([None] * 5) + rows(map(float, range(50)), split="test"),
            "no row of the split train has a value",
        ),
    ],
)
def test_without_train_all_rows_are_taken_and_it_is_said(given: list[BinRow], why: str) -> None:
    scheme = fit(given, "corpus", BinOptions())
    assert (scheme.fitted_on, scheme.values) == ("all", 50)
    assert f"The quantiles come from all rows because {why}." in scheme.notes
    assert scheme.as_dict()["asked_split"] == "train"
    assert why in " ".join(scheme.describe())


def test_splits_compared_by_different_rules_are_pointed_out() -> None:
    train = [r for r in two_sexes() if r.sex == "male"]
    test = [BinRow(f"t{n}", "test", "unseen", "male", 20.0) for n in range(40)]
    scheme = fit([*train, *test], "auto", BinOptions())
    assert scheme.placed == {"train": {"speaker": 120}, "test": {"sex": 40}}
    assert any("100 % of train but 0 % of test" in note for note in scheme.notes)
    assert not fit([*train, *test], "sex", BinOptions()).notes


def test_few_values_over_the_corpus_are_pointed_out() -> None:
    scheme = fit(rows([1.0, 2.0, 3.0]), "auto", BinOptions())
    assert levels(scheme, rows([1.0, 2.0, 3.0])) == ["low", "mid", "high"]
    assert any("rest on 3 values; below 30 they are chance" in note for note in scheme.notes)


def test_the_scheme_is_json_that_adds_up() -> None:
    every = [*two_sexes(), *rows([None, 30.0], split="test", speaker="new", sex=None)]
    scheme = fit(every, "auto", BinOptions())
    found = json.loads(json.dumps(scheme.as_dict(), allow_nan=False))
    assert found["levels"]["test"] == {"mid": 1, "none": 1}
    for counts_of in ("levels", "placed_by"):
        assert sum(sum(split.values()) for split in found[counts_of].values()) == len(every)
    limits = {(g["kind"], g["name"]): (g["low"], g["high"]) for g in found["groups"]}
    again = Scheme("auto", BinOptions(), "train", 0, {k: Group(*k, 1, *v) for k, v in limits.items()})
    assert levels(again, every) == levels(scheme, every)


def test_the_scheme_in_sentences() -> None:
    said = " ".join(fit(two_sexes(), "auto", BinOptions()).describe())
    assert "at or below the 30 % quantile" in said
    assert "the split train (240 values)" in said
    assert "240 rows with their own speaker (6 with limits of their own)" in said
    assert "Levels: 30 % low, 40 % mid, 30 % high." in said


def test_order_of_rows_changes_nothing() -> None:
    every = two_sexes()
    mixed = [every[i] for i in np.random.default_rng(0).permutation(len(every))]
    assert fit(every, "auto", BinOptions()).as_dict() == fit(mixed, "auto", BinOptions()).as_dict()


@pytest.mark.parametrize(
    "bad",
    [{"low": 0.7, "high": 0.3}, {"low": 0.0}, {"high": 1.0}, {"low": float("nan")}, {"least": 1},
     {"pitch_by": "age"}],
)  # fmt: skip
def test_bad_options(bad: dict[str, object]) -> None:
    with pytest.raises(InputError, match="Bad"):
        BinOptions(**bad)  # type: ignore[arg-type]


def test_an_unknown_grouping_lists_the_choices() -> None:
    with pytest.raises(InputError, match=r"Bad grouping 'age', expected one of \('auto'|\['auto'"):
        as_by("age")
    with pytest.raises(InputError, match="Bad grouping"):
        fit([], "age", BinOptions())  # type: ignore[arg-type]
