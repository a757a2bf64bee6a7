"""Choosing the next token of each row by the row's own rules and its own random numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Keeps a draw of almost 1 from landing behind the last token.
_BELOW = 1 - 1e-12
_STRUCTURE = "answer_format"
_KNOWN = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a row's tokens are drawn.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: draw from the fewest tokens that have this share of the probability together.
        top_k: draw from so many tokens; 0 for all.
        min_p: draw from tokens at least this share as likely as the likeliest.
        seed: of the row's random numbers; None for others in every run.
        max_tokens: tokens of the reply at most; None for as many as the model has room for.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None

    @property
    def cuts(self) -> bool:
        return self.temperature > 0 and (self.top_p < 1 or self.top_k > 0 or self.min_p > 0)

    def draws(self) -> random.Random:
        """The row's random numbers; the same for the same seed on every machine."""
        return random.Random(self.seed)


def sampling(parameters: Mapping[str, Any], attempt: int) -> tuple[Sampling, tuple[str, ...]]:
    """A request's parameters as sampling rules, and the names of those that say nothing here.

    >>> sampling({"temperature": 0, "seed": 5, "reasoning_effort": "low"}, attempt=1)[1]
    ('reasoning_effort',)
    """
    known = {name: parameters[name] for name in _KNOWN if parameters.get(name) is not None}
    if "seed" in known:
        # A repair turn with the first turn's seed is likely to repeat the first turn's fault.
        known["seed"] += attempt
    return Sampling(**known), tuple(name for name in parameters if name not in (*_KNOWN, _STRUCTURE))


def choose(scores: Any, rules: Sequence[Sampling], draws: Sequence[random.Random]) -> list[int]:
    """The next token of each row.

    Args:
        scores: logits, rows by vocabulary; minus infinity where a token is not allowed.
        rules: one for each row.
        draws: one for each row; a number is taken from each that samples.
    """
    import torch

    likeliest = scores.argmax(dim=-1)
    if all(rule.temperature == 0 for rule in rules):
        return [int(token) for token in likeliest.tolist()]
    heat = torch.tensor([[rule.temperature or 1.0] for rule in rules], device=scores.device)
    shares = torch.softmax(scores / heat, dim=-1, dtype=torch.float64)
    if any(rule.cuts for rule in rules):
        shares = _cut(shares, rules)
    sums = shares.cumsum(dim=-1)
    points = [draw.random() if rule.temperature else 0.0 for rule, draw in zip(rules, draws, strict=True)]
    targets = torch.tensor(points, dtype=torch.float64, device=scores.device)[:, None] * sums[:, -1:]
    drawn = torch.searchsorted(sums, torch.minimum(targets, sums[:, -1:] * _BELOW), right=True)[:, 0]
    pairs = zip(rules, likeliest.tolist(), drawn.tolist(), strict=True)
    return [int(sure if rule.temperature == 0 else random_) for rule, sure, random_ in pairs]


def _cut(shares: Any, rules: Sequence[Sampling]) -> Any:
    """The shares with 0 for the tokens that a rule leaves out."""
    import torch

    def column(values: list[float]) -> Any:
        return torch.tensor(values, dtype=torch.float64, device=shares.device)[:, None]

    ordered, places = shares.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered
    rank = torch.arange(shares.shape[-1], device=shares.device)
    keep = before < column([rule.top_p for rule in rules])
    keep &= rank < column([float(rule.top_k or shares.shape[-1]) for rule in rules])
    keep &= ordered >= ordered[:, :1] * column([rule.min_p for rule in rules])
    # The likeliest token stays whatever the rules say.
    keep[:, 0] = True
    return torch.zeros_like(shares).scatter(-1, places, ordered * keep)
