"""Checks the votes of a dataset against its replies, and its labels against the votes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..records import Annotation, Resolution, Vote
from .layout import FOLDERS
from .panel import UNRESOLVED
from .problem import Problem, listed
from .surrogates import unescape
from .votes import resolutions_from_table

# Published shares have nine decimals.
_CLOSE = 1e-6
# Rules under which each vote that counts is one for its label; `weighted` has the weights besides.
_COUNTING = ("majority", "plurality", "first", "weighted")
# Rules under which no other label has more.
_LEADING = ("majority", "plurality", "weighted", "soft", "dawid_skene")


def published_resolutions(
    answered: Sequence[Annotation], data: pa.Table, manifest: Mapping[str, Any]
) -> dict[str, Resolution]:
    """What the votes of every annotated utterance came to, as it was published.

    Args:
        answered: the annotations of one split.
        data: the default config's rows of that split.
        manifest: the folder's manifest.
    """
    rule = str(manifest["resolution"]["rule"])
    found = resolutions_from_table(data, manifest["label_set"]["labels"], rule)
    return {
        **{a.utterance.id: Resolution(a.utterance.id, None, rule) for a in answered},
        **found,
    }


def vote_problems(
    answered: Sequence[Annotation],
    data: pa.Table,
    stages: Mapping[str, str],
    split: str,
    manifest: Mapping[str, Any],
) -> Iterator[Problem]:
    """What does not fit between one split's replies, votes, labels and dropped rows.

    That the rule, which is no part of publishing, gives these labels is for a rebuild to show.

    Args:
        answered: the annotations with their published verdicts.
        data: the default config's rows.
        stages: dropped utterance -> stage.
        split: the split.
        manifest: the folder's manifest.
    """
    votes = _votes(answered, manifest)
    ids = {unescape(name) for name in data["id"].to_pylist()}
    stages = {unescape(name): stage for name, stage in stages.items()}
    valid = {name for name, mine in votes.items() if any(vote.label is not None for vote in mine)}
    place = f"{FOLDERS['annotations']}/{split}"
    pairs = Counter((a.utterance.id, a.request.annotator) for a in answered)
    doubles = [f"{name} by {who}" for (name, who), count in pairs.items() if count > 1]
    yield from listed(place, "utterances are annotated twice by the same", doubles)
    place = f"{FOLDERS['default']}/{split}"
    yield from listed(place, "rows have no reply in annotations", ids - votes.keys())
    yield from _row_problems(data, votes, place, manifest)
    place = f"{FOLDERS['dropped']}/{split}"
    unresolved = {name for name, stage in stages.items() if stage == UNRESOLVED}
    quarantined = {name for name, stage in stages.items() if stage == "annotation"}
    yield from listed(
        place,
        "annotated utterances without a label are missing",
        votes.keys() - ids - unresolved - quarantined,
    )
    yield from listed(place, "unresolved rows have no valid reply", unresolved - valid)
    yield from listed(place, "quarantined rows have a valid reply", quarantined & valid)


def _votes(answered: Sequence[Annotation], manifest: Mapping[str, Any]) -> dict[str, list[Vote]]:
    """Utterance id -> the votes of those who annotated it, in their order."""
    kinds = {member["name"]: member["kind"] for member in manifest["annotators"]}
    votes: dict[str, list[Vote]] = {}
    for a in answered:
        label = a.verdict.label if a.verdict.status == "valid" else None
        kind = "human" if kinds[a.request.annotator] == "human" else "model"
        votes.setdefault(a.utterance.id, []).append(
            Vote(a.request.annotator, label, "human" if kind == "human" else "model")
        )
    return votes


def _row_problems(
    data: pa.Table, votes: Mapping[str, Sequence[Vote]], place: str, manifest: Mapping[str, Any]
) -> Iterator[Problem]:
    labels = list(manifest["label_set"]["labels"])
    found = resolutions_from_table(data, labels, str(manifest["resolution"]["rule"]))
    options = manifest["resolution"]["options"]
    members = {member["name"] for member in manifest["annotators"]}
    rated = (
        dict(zip(map(unescape, data["id"].to_pylist()), data["ratings"].to_pylist(), strict=True))
        if "ratings" in data.column_names
        else {}
    )

    def other_votes(r: Resolution) -> bool:
        return [v for v in r.votes if v.source in members] != list(votes.get(r.utterance_id, ()))

    def unrated(r: Resolution) -> bool:
        others = [v for v in r.votes if v.source not in members]
        return bool(others) and (rated.get(r.utterance_id) is None or any(v.kind != "human" for v in others))

    checks: dict[str, Callable[[Resolution], bool]] = {
        "rows have other votes than their replies": other_votes,
        "rows have votes of others than annotators and raters": unrated,
        "rows have a soft label that does not add up to 1": lambda r: (
            abs(math.fsum(r.distribution.values()) - 1) > _CLOSE
        ),
        "rows have another vote_entropy than their soft label": lambda r: (
            r.entropy is None or abs(r.entropy - _entropy(r.distribution)) > _CLOSE
        ),
        "rows have another vote_share than their votes": lambda r: (
            r.share is None or abs(r.share - _part(r, options)) > _CLOSE
        ),
        "rows have a label that nothing speaks for": lambda r: not r.distribution.get(str(r.label)),
        "rows have another soft label than their votes": lambda r: _miscounted(r, options),
        "rows have another label than the rule gives": lambda r: _misruled(r, options),
    }
    for what, wrong in checks.items():
        yield from listed(place, what, [name for name, r in found.items() if wrong(r)])


def _entropy(distribution: Mapping[str, float]) -> float:
    return -math.fsum(share * math.log2(share) for share in distribution.values() if share > 0)


def _part(resolution: Resolution, options: Mapping[str, Any]) -> float:
    """The label's part of the votes that counted."""
    rule, votes = _base(resolution, options)
    if rule != "dawid_skene":
        return resolution.distribution.get(str(resolution.label), 0.0)
    # Its soft labels are probabilities that were estimated, not parts of the votes.
    return sum(vote.label == resolution.label for vote in votes) / len(votes) if votes else 0.0


def _base(resolution: Resolution, options: Mapping[str, Any]) -> tuple[str, list[Vote]]:
    """The rule that decided, and the votes that it counted."""
    votes = list(resolution.votes)
    rule = resolution.rule
    if rule == "human":
        rule, votes = str(options.get("base")), [vote for vote in votes if vote.kind == "model"]
    if sources := options.get("sources"):
        # With a human, sources that name raters alone leave every model in the count.
        everybody = votes if resolution.rule == "human" else []
        votes = [vote for vote in votes if vote.source in sources] or everybody
    abstain = options.get("abstain") or ()
    return rule, [vote for vote in votes if vote.label is not None and vote.label not in abstain]


def _miscounted(resolution: Resolution, options: Mapping[str, Any]) -> bool:
    rule, votes = _base(resolution, options)
    if rule not in _COUNTING:
        return False
    weights = options.get("weights") or {} if rule == "weighted" else {}
    whole = math.fsum(weights.get(vote.source, 1.0) for vote in votes)
    if not whole:
        return True
    names = {vote.label for vote in votes} | resolution.distribution.keys()
    return any(
        abs(
            math.fsum(weights.get(vote.source, 1.0) for vote in votes if vote.label == name) / whole
            - resolution.distribution.get(str(name), 0.0)
        )
        > _CLOSE
        for name in names
    )


def _misruled(resolution: Resolution, options: Mapping[str, Any]) -> bool:
    rule, votes = _base(resolution, options)
    label, shares = resolution.label, resolution.distribution
    if label in (options.get("reject") or ()):
        return True
    if rule == "first":
        order = options.get("sources") or [vote.source for vote in votes]
        said = {vote.source: vote.label for vote in votes}
        return next((said[name] for name in order if name in said), None) != label
    if rule in _LEADING:
        return max(shares.values(), default=0.0) - shares.get(str(label), 0.0) > _CLOSE
    return False
