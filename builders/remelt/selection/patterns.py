"""Ids of options, some with `*` for any characters."""

from __future__ import annotations

import re
from collections.abc import Iterable


class IdPatterns:
    """Tells which pattern an id meets; most match without a look at each pattern."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._tails: dict[str, str] = {}
        self._others: list[tuple[str, re.Pattern[str]]] = []
        for pattern in patterns:
            tail = pattern.removeprefix("*/")
            if "*" not in pattern:
                self._exact.add(pattern)
            elif "*" not in tail and "/" not in tail:
                self._tails[tail] = pattern
            else:
                regex = ".*".join(map(re.escape, pattern.split("*")))
                self._others.append((pattern, re.compile(regex, re.DOTALL)))

    def match(self, identifier: str) -> str:
        """The first pattern that an id meets, or an empty string."""
        if identifier in self._exact:
            return identifier
        tail = identifier.rpartition("/")[2]
        if tail in self._tails and "/" in identifier:
            return self._tails[tail]
        return next((pattern for pattern, regex in self._others if regex.fullmatch(identifier)), "")

    def cross_off(self, identifier: str) -> None:
        """Forgets every pattern that an id meets; those left in the end are idle."""
        self._exact.discard(identifier)
        if "/" in identifier:
            self._tails.pop(identifier.rpartition("/")[2], None)
        if self._others:
            self._others = [(p, regex) for p, regex in self._others if not regex.fullmatch(identifier)]

    @property
    def left(self) -> list[str]:
        """The patterns that no id has crossed off."""
        return [*sorted(self._exact), *self._tails.values(), *(pattern for pattern, _ in self._others)]
