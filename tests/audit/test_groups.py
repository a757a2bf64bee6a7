"""Change rates per group against a plain count with dictionaries."""

from __future__ import annotations

import random

import numpy as np

from remelt.audit import groups


def test_values_against_a_plain_count() -> None:
    rng = random.Random(1)
    values = [rng.choice(["Ross", "Joey", "", None, "Monica"]) for _ in range(500)]
    before = np.array([rng.randrange(-1, 3) for _ in values])
    after = np.array([rng.randrange(-1, 3) for _ in values])
    expected: dict[str | None, list[int]] = {}
    for value, old, new in zip(values, before.tolist(), after.tolist(), strict=True):
        if old >= 0 and new >= 0:
            entry = expected.setdefault(value or None, [0, 0])
            entry[0] += old != new
            entry[1] += 1
    found = groups.by_value(values, before, after)
    assert {g.value: [g.change.count, g.change.total] for g in found} == expected
    assert found[-1].value is None


def test_largest_group_first_and_unknown_last() -> None:
    zero = np.zeros(7, dtype=np.int64)
    found = groups.by_size(groups.by_value(["b", "a", "c", "c", None, None, None], zero, zero))
    assert [g.value for g in found] == ["c", "a", "b", None]


def test_seasons_in_numerical_order() -> None:
    zero = np.zeros(5, dtype=np.int64)
    found = groups.by_number(groups.by_value([10, "2", "pilot", None, 1], zero, zero))
    assert [g.value for g in found] == ["1", "2", "10", "pilot", None]


def test_a_value_on_an_edge_belongs_to_the_upper_bin() -> None:
    before = np.zeros(6, dtype=np.int64)
    after = np.array([0, 1, 0, 1, 0, 1])
    found = groups.by_bin([0.0, 1.499, 1.5, 2.499, 2.5, None], (1.5, 2.5), "s", before, after)
    assert [(g.value, g.change.count, g.change.total) for g in found] == [
        ("under 1.5 s", 1, 2),
        ("1.5 to 2.5 s", 1, 2),
        ("2.5 s and more", 0, 1),
        (None, 1, 1),
    ]


def test_empty_bins_stay_and_negative_numbers_fall_into_the_first() -> None:
    zero = np.zeros(1, dtype=np.int64)
    found = groups.by_bin([-3.0], (1, 2), "s", zero, zero)
    assert [g.change.total for g in found] == [1, 0, 0]
    assert found[1].change.rate is None
