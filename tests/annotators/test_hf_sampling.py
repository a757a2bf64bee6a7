"""Drawing tokens: the shares that come out are those that the rules say."""

from __future__ import annotations

import importlib.util
import random
from collections import Counter

import pytest

from remelt.annotators.hf.sampling import Sampling, choose, sampling

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")

SHARES = [0.5, 0.25, 0.15, 0.1, 0.0]


def drawn(rule: Sampling, count: int = 4000) -> dict[int, float]:
    import torch

    scores = torch.tensor(SHARES).log().expand(count, -1)
    draws = [random.Random(n) for n in range(count)]
    return {t: n / count for t, n in Counter(choose(scores, [rule] * count, draws)).items()}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Sampling(), {0: 0.5, 1: 0.25, 2: 0.15, 3: 0.1}),
        (Sampling(temperature=0), {0: 1.0}),
        # Squares, by hand: .25, .0625, .0225, .01 of .345.
        (Sampling(temperature=0.5), {0: 0.725, 1: 0.181, 2: 0.065, 3: 0.029}),
        (Sampling(top_p=0.7), {0: 2 / 3, 1: 1 / 3}),
        (Sampling(top_k=3), {0: 0.556, 1: 0.278, 2: 0.167}),
        (Sampling(min_p=0.45), {0: 2 / 3, 1: 1 / 3}),
        (Sampling(top_p=0.0), {0: 1.0}),
        (Sampling(top_p=0.95, top_k=2), {0: 2 / 3, 1: 1 / 3}),
    ],
)
def test_shares(rule: Sampling, expected: dict[int, float]) -> None:
    assert drawn(rule) == pytest.approx(expected, abs=0.03)


def test_each_row_has_its_own_rules_and_numbers() -> None:
    import torch

    rules = [Sampling(temperature=0), Sampling(seed=3), Sampling(top_k=1), Sampling(seed=3)]
    scores = torch.zeros(4, 50)
    scores[:, 7] = 0.1
    both = choose(scores, rules, [rule.draws() for rule in rules])
    assert both[0] == both[2] == 7
    assert both[1] == both[3] == choose(scores[:1], rules[1:2], [rules[1].draws()])[0]


def test_what_is_not_allowed_is_never_drawn() -> None:
    import torch

    class Edge(random.Random):
        def random(self) -> float:
            return 1 - 2**-53

    scores = torch.full((1, 6), float("-inf"))
    scores[0, 2:4] = 1.0
    assert choose(scores, [Sampling()], [Edge()]) == [3]


def test_parameters() -> None:
    rule, unknown = sampling({"temperature": 0.2, "seed": 5, "max_tokens": 9, "top_p": None, "user": "x"}, 2)
    assert rule == Sampling(temperature=0.2, seed=7, max_tokens=9)
    assert unknown == ("user",)
