"""Checks the replies of a dataset folder against its manifest: how many they are, how they were asked for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .layout import FOLDERS, MANIFEST
from .problem import Listing, Problem
from .surrogates import escape, unescape

COLUMNS = (
    "id", "status", "label", "request_hash", "attempt", "annotator", "schema_hash", "parameters", "means",
    "input_tokens", "output_tokens", "cost", "model", "created",
)  # fmt: skip
_AMOUNTS = ("input_tokens", "output_tokens", "cost")
_STATUSES = ("valid", "invalid", "refused", "error")


class ReplyCounts:
    """Some replies, counted batch after batch."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._means: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._times: tuple[str, str] = ("", "")
        self._sums: dict[str, float] = {}

    def add(self, replies: pa.Table) -> None:
        """Counts further replies."""
        self._statuses.update(replies["status"].to_pylist())
        self._means.update(replies["means"].to_pylist())
        self._models.update(unescape(model) for model in replies["model"].to_pylist())
        times = [time for time in (*replies["created"].to_pylist(), *self._times) if time]
        self._times = (min(times, default=""), max(times, default=""))
        for name in _AMOUNTS:
            known = [value for value in replies[name].to_pylist() if value is not None]
            if known:
                # One after the other, so that the sum does not depend on how many rows come at a time.
                self._sums[name] = reduce(add, known, self._sums.get(name, 0))

    def problems(self, stated: Mapping[str, Any], what: str) -> Iterator[Problem]:
        """Where the manifest has other numbers."""
        found: dict[str, float | None] = {
            "total": self._statuses.total(),
            **{status: self._statuses[status] for status in _STATUSES},
            **{name: round(self._sums[name], 6) if name in self._sums else None for name in _AMOUNTS},
        }
        for key, count in found.items():
            if stated.get(key) != count:
                yield Problem(MANIFEST, f"{what} say {key} {stated.get(key)!r}, the files have {count}")

    def means_problems(self, stated: Mapping[str, Any], name: str) -> Iterator[Problem]:
        """Where the manifest says otherwise how answers were asked for."""
        found = dict(self._means)
        if stated != found:
            yield Problem(MANIFEST, f"means of {name!r} are {stated!r}, the files have {found!r}")

    def answered_problems(self, stated: Mapping[str, Any], name: str) -> Iterator[Problem]:
        """Where the manifest says otherwise who answered and when; earlier versions of remelt do not say."""
        first, last = (time or None for time in self._times)
        found = {"answered_by": dict(self._models), "answered": {"first": first, "last": last}}
        for key, value in found.items():
            if stated.get(key, value) != value:
                yield Problem(MANIFEST, f"{key} of {name!r} is {stated[key]!r}, the files have {value!r}")


class ReplyChecks:
    """Everything about the replies of all splits that one of them tells alone.

    Args:
        manifest: the folder's manifest.
    """

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._manifest = manifest
        self._members: Sequence[Mapping[str, Any]] = manifest.get("annotators", ())
        self._all = ReplyCounts()
        self._of = {member["name"]: ReplyCounts() for member in self._members}
        self._other: dict[tuple[str, str], dict[str, Any]] = {}
        self._schemas: dict[str, set[str]] = {}
        self._known = {member["name"]: member["schema"]["sha256"] for member in self._members}

    def add(self, split: str, replies: pa.Table) -> None:
        """Takes further replies of a split, with the columns `COLUMNS`."""
        self._all.add(replies)
        pairs = set(zip(replies["annotator"].to_pylist(), replies["schema_hash"].to_pylist(), strict=True))
        said = self._manifest["schema"]["sha256"]
        wrong = {found for name, found in pairs if found != self._known.get(name, said)}
        self._schemas.setdefault(split, set()).update(wrong)
        for member in self._members or (self._manifest["annotator"],):
            mine = replies
            if self._members:
                mine = replies.filter(pc.equal(replies["annotator"], escape(member["name"])))
                self._of[member["name"]].add(mine)
            self._compare(member, split, mine)

    def _compare(self, member: Mapping[str, Any], split: str, replies: pa.Table) -> None:
        """The seed differs from row to row; everything else is the same for all of an annotator's."""
        if (member["name"], split) in self._other:
            return
        stated = _unseeded(member.get("parameters", {}))
        for text in pc.unique(replies["parameters"]).to_pylist():
            found = _unseeded(json.loads(text))
            if found != stated:
                self._other[member["name"], split] = found
                return

    def schema_problems(self, split: str) -> Iterator[Problem]:
        """Replies of a split that were asked for with another schema."""
        listing = Listing("schema hashes are not the manifest's")
        listing.add(self._schemas.get(split, ()))
        yield from listing.problems(f"{FOLDERS['annotations']}/{split}")

    def problems(self) -> Iterator[Problem]:
        """Where the manifest has other totals or parameters than all replies together."""
        yield from self._all.problems(self._manifest["replies"], "replies")
        for member in self._members:
            counts = self._of[member["name"]]
            yield from counts.problems(member["replies"], f"replies of {member['name']!r}")
            yield from counts.means_problems(member["means"], member["name"])
            yield from counts.answered_problems(member, member["name"])
        if not self._members:
            annotator = self._manifest["annotator"]
            yield from self._all.answered_problems(annotator, annotator["name"])
        for member in self._members or (self._manifest["annotator"],):
            yield from self._parameter_problems(member)

    def _parameter_problems(self, member: Mapping[str, Any]) -> Iterator[Problem]:
        for split in self._manifest["splits"]:
            other = self._other.get((member["name"], split))
            if other is not None:
                name = f"annotator {member['name']!r}" if self._members else "annotator"
                stated = _unseeded(member.get("parameters", {}))
                yield Problem(
                    MANIFEST,
                    f"the {name}'s parameters are {stated!r}, requests of {split!r} have {other!r}",
                )
                return


def _unseeded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if key != "seed"}
