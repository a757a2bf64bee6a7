from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.review.assignment import Wanted, choose, draw, first_on_left, open_items

from .builders import choice_of, session, store_at


def test_a_larger_draw_holds_the_smaller_one() -> None:
    keys = [f"u{i}" for i in range(200)]
    small, large = draw(keys, keys, 20, 3), draw(keys, keys, 50, 3)
    assert large[:20] == small
    assert len(set(large)) == 50
    assert set(draw(keys, keys, None, 3)) == set(keys)
    assert draw(keys, keys, 20, 4) != small


def test_sides_are_drawn_anew_for_each_rater_and_item() -> None:
    sides = {rater: [first_on_left(rater, f"u{i}", 0) for i in range(2_000)] for rater in ("Ann", "Bo")}
    for drawn in sides.values():
        assert 900 < sum(drawn) < 1_100
    equal = sum(a == b for a, b in zip(*sides.values(), strict=True))
    assert 900 < equal < 1_100
    assert [first_on_left("ANN", f"u{i}", 0) for i in range(2_000)] == sides["Ann"]
    assert [first_on_left("Ann", f"u{i}", 1) for i in range(2_000)] != sides["Ann"]


def test_judgements_spread_evenly_whoever_comes_when() -> None:
    keys = [f"u{i}" for i in range(30)]
    wanted = Wanted(seed=5)
    people = random.Random(1)
    counts: Counter[str] = Counter()
    done: dict[str, set[str]] = {name: set() for name in ("Ann", "Bo", "Cy", "Di")}
    for _ in range(60):
        rater = people.choice(list(done))
        key = choose(rater, open_items(keys, done[rater], counts, wanted), counts, {}, wanted)
        if key is None:
            continue
        done[rater].add(key)
        counts[key] += 1
    spread = [counts[key] for key in keys]
    # A rater who has judged all the rarest items takes a commoner one: at most one step further.
    assert max(spread) - min(spread) <= 2
    assert sum(spread) == 60


def test_a_limit_closes_items() -> None:
    wanted = Wanted(raters_per_item=2)
    counts = {"a": 2, "b": 1, "c": 0}
    assert open_items(counts, ["c"], counts, wanted) == ["b"]
    assert open_items(counts, [], counts, Wanted()) == ["a", "b", "c"]


def test_what_a_neighbour_looks_at_comes_last() -> None:
    wanted = Wanted(raters_per_item=1)
    counts = {"a": 0, "b": 0}
    assert choose("Ann", ["a", "b"], counts, {"a": 1}, wanted) == "b"
    assert choose("Ann", ["a"], counts, {"a": 1}, wanted) == "a"
    assert choose("Ann", [], counts, {}, wanted) is None


@pytest.mark.parametrize("raters", [2, 3])
def test_a_session_gives_every_item_its_number_of_raters(tmp_path: Path, raters: int) -> None:
    names = ["Ann", "Bo", "Cy", "Di", "Ed"]
    people = random.Random(raters)
    with store_at(tmp_path) as store:
        asked = session(store, 12, raters_per_item=raters, seed=2)
        while names:
            name = people.choice(names)
            served = asked.next(name)
            if served is None:
                names.remove(name)
            else:
                asked.judge(name, choice_of(served, "left"))
        assert set(asked.counts().values()) == {raters}
        pairs = Counter((j.rater, j.item) for j in store.judgements())
    assert set(pairs.values()) == {1}
    assert len(pairs) == 12 * raters


def test_a_limit_is_a_whole_number_from_1(tmp_path: Path) -> None:
    with store_at(tmp_path) as store, pytest.raises(InputError, match="Bad raters per item 0"):
        session(store, raters_per_item=0)
