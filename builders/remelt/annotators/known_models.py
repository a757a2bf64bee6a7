"""Prices and retirement dates of hosted models (`known_models.yaml`); what is not listed is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One hosted model.

    Attributes:
        input, output, cached_input: US dollars per million tokens.
        retires: ISO date on which its maker switches it off; None where none is announced.
    """

    id: str
    input: float
    output: float
    cached_input: float
    retires: str | None

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """US dollars of one request.

        Args:
            input_tokens: all tokens of the prompt, those from the server's cache included.
            output_tokens: tokens of the reply.
            cached_tokens: how many of the prompt's tokens came from the cache.

        >>> round(find("gpt-4o-2024-08-06").cost(400, 100), 6)
        0.002
        """
        fresh = input_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * self.cached_input + output_tokens * self.output) / 1e6


@cache
def known_models() -> Mapping[str, KnownModel]:
    """Every known model by its id."""
    import yaml

    data = yaml.safe_load(Path(__file__).with_name("known_models.yaml").read_text(encoding="utf-8"))
    found = {}
    for entry in data["models"]:
        retires = str(entry["retires"]) if "retires" in entry else None
        cached = entry.get("cached_input", entry["input"])
        for name in entry["ids"]:
            found[name] = KnownModel(name, entry["input"], entry["output"], cached, retires)
    return found


def find(model: str) -> KnownModel | None:
    """A model by its exact id; None where nothing is known of it.

    >>> find("gpt-4o-2024-08-06").retires, find("my-own-model")
    ('2027-01-14', None)
    """
    return known_models().get(model)
