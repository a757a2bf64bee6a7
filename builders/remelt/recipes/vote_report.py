"""How good the labels of a vote are: of each model, of the vote, and of the vote that a human agrees with.

Feng & Narayanan (2023) judge their labels by the models that are trained on them. Here the labels themselves
are held against the corpus's own: how many utterances get one, and how many of these are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from ..records import Rating, Utterance, Vote
from .feng_tables import Printed, printed

if TYPE_CHECKING:
    from ..audit.agreement_scores import Score
    from ..audit.matrix import Rate
    from ..labels import LabelSet
    from ..records import Resolution
    from ..resolution import ResolutionOptions

VOTE, CHECKED = "vote", "vote + human"
MODEL, PERSON = "model", "human"
_HUMAN = "human"
_NO_VOTES = "no_votes"
_RECIPE = "transcribe_vote"
_COLUMNS = ("id", "annotator", "attempt", "status", "label", "original_label", "ratings", "label_logprobs")


@dataclass(frozen=True, slots=True)
class Quality:
    """The labels of one source against the corpus's.

    Attributes:
        name: the annotator's, `vote` or `vote + human`.
        kind: `model`, `human` or `vote`.
        asked: utterances that the source was asked about, among those that are counted.
        coverage: their share; people and imported files often have some utterances only.
        kept: the utterances that it gave one of the classes, of those that it was asked about.
        right: the right ones of those that it was asked about: what it rejected counts as wrong.
        lost: why it gave the others none (`rejected`, `no_answer`, `no_majority`, `disagreement`, ...) ->
            utterances.
        score: accuracy, UAR, macro-F1 and kappa of the kept ones.
    """

    name: str
    kind: str
    asked: int
    coverage: float
    kept: Rate
    right: Rate
    lost: Mapping[str, int]
    score: Score

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "asked": self.asked,
            "kept": self.kept.as_dict(),
            "right_of_all": self.right.as_dict(),
            "lost": dict(self.lost),
            **self.score.as_dict(),
            "coverage": self.coverage,
        }


@dataclass(frozen=True, slots=True)
class VoteReport:
    """The numbers of one dataset.

    Attributes:
        out: the dataset folder.
        corpus: the corpus's name.
        text: `reference` or `asr`: whose words were annotated.
        heard: the recogniser, where the words are its own.
        rule: how the votes became a label; empty where a single annotator's label stands.
        asked: utterances that were asked about and have one of the classes as their own label.
        others: utterances that were asked about and have no such label; they are in no number here.
        counts: class -> how many of the asked ones have it.
        sources: each annotator, then the votes.
        printed: what the paper prints of this corpus; None for datasets of other recipes.
    """

    out: Path
    corpus: str
    text: str
    heard: str
    rule: str
    asked: int
    others: int
    counts: Mapping[str, int]
    sources: tuple[Quality, ...]
    printed: Printed | None

    @property
    def commonest(self) -> float | None:
        """Accuracy of always saying the commonest class."""
        return max(self.counts.values()) / self.asked if self.asked else None

    @property
    def chance(self) -> float | None:
        """UAR of any guess that does not look at the words."""
        present = sum(count > 0 for count in self.counts.values())
        return 1 / present if present else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "out": str(self.out),
            "corpus": self.corpus,
            "text": self.text,
            "heard": self.heard,
            "rule": self.rule,
            "asked": self.asked,
            "others": self.others,
            "counts": dict(self.counts),
            "accuracy_of_the_commonest": self.commonest,
            "uar_of_chance": self.chance,
            "sources": [quality.as_dict() for quality in self.sources],
            "printed": None if self.printed is None else self.printed.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class _Row:
    """An utterance that was asked about.

    Attributes:
        utterance: with its own label and what the corpus's raters said.
        votes: annotator -> its vote, without a label where its last reply was of no use; only of those who
            were asked.
        label: the published one.
        reason: why none was published.
    """

    utterance: Utterance
    votes: Mapping[str, Vote]
    label: str | None
    reason: str


def vote_report(out: str | Path, resamples: int = 2_000, seed: int = 0) -> VoteReport:
    """Holds the labels of a dataset's annotators and of their vote against the corpus's own.

    The labels of the published rule are the published ones. The other of the two votes, without or with the
    human, is counted anew from all utterances and with the models' probabilities. The vote with a human is
    there where the corpus publishes ratings, or people were added.

    Args:
        out: a dataset folder made by remelt, whatever the recipe.
        resamples: bootstrap resamples for the intervals of accuracy and UAR; 0 for none.
        seed: of the bootstrap.

    Raises:
        InputError: no dataset there, or no utterance with one of its classes as the corpus's label.
    """
    from ..publishing import read_manifest
    from .exchange.additions import published_labels
    from .exchange.keeping import settled

    out = Path(out)
    settled(out)
    manifest = read_manifest(out)
    labels = published_labels(out)
    members = {m["name"]: str(m["kind"]) for m in manifest.get("annotators", [])} or {
        manifest["annotator"]["name"]: MODEL
    }
    rows = _read(out, manifest, labels, members)
    classes = tuple(label for label in labels.labels if label not in labels.reject)
    known = [row for row in rows if row.utterance.label in classes]
    if not known:
        raise InputError(
            f"{out}: none of the {len(rows):,} annotated utterances has an original label out of {classes!r}"
        )
    rule = _rule(manifest, labels)
    judge = _Judge(known, classes, resamples, seed)
    sources = [judge.source(n, PERSON if kind == PERSON else MODEL) for n, kind in members.items()]
    if rule is not None:
        sources += _votes(judge, rows, members, labels, rule, manifest["corpus"]["name"])
    asr = manifest["options"].get("transcripts") or {}
    return VoteReport(
        out=out,
        corpus=manifest["corpus"]["name"],
        text=str(manifest["options"].get("text") or "reference"),
        heard=str(asr.get("model") or asr.get("source") or ""),
        rule="" if rule is None else str(manifest["resolution"]["rule"]),
        asked=len(known),
        others=len(rows) - len(known),
        counts={label: sum(row.utterance.label == label for row in known) for label in classes},
        sources=tuple(sources),
        printed=printed(manifest["corpus"]["name"]) if manifest["recipe"] == _RECIPE else None,
    )


class _Judge:
    """Holds labels against the rows' own."""

    def __init__(self, rows: Sequence[_Row], classes: Sequence[str], resamples: int, seed: int) -> None:
        import numpy as np

        self._rows, self._classes = rows, list(classes)
        self._options = resamples, seed
        self._own = np.array([self._classes.index(str(row.utterance.label)) for row in rows], dtype=np.int64)

    def source(self, name: str, kind: str) -> Quality:
        said = {row.utterance.id: row.votes[name].label for row in self._rows if name in row.votes}
        return self.quality(
            name,
            kind,
            {
                key: (label, "no_answer" if label is None else "" if label in self._classes else "rejected")
                for key, label in said.items()
            },
        )

    def vote(self, name: str, found: Iterable[Resolution]) -> Quality:
        return self.quality(name, VOTE, {r.utterance_id: (r.label, r.reason) for r in found})

    def published(self, name: str) -> Quality:
        return self.quality(name, VOTE, {row.utterance.id: (row.label, row.reason) for row in self._rows})

    def quality(self, name: str, kind: str, given: Mapping[str, tuple[str | None, str]]) -> Quality:
        """What labels are worth: utterance id -> label and why there is none, of those asked about."""
        import numpy as np

        from ..audit.agreement_scores import score
        from ..audit.matrix import wilson

        place = {label: n for n, label in enumerate(self._classes)}
        asked = [n for n, row in enumerate(self._rows) if row.utterance.id in given]
        found = [given[self._rows[n].utterance.id] for n in asked]
        codes = np.array([place.get(label or "", -1) for label, _ in found], dtype=np.int64)
        own = self._own[asked]
        kept, total = int((codes >= 0).sum()), len(asked)
        resamples, seed = self._options
        return Quality(
            name=name,
            kind=kind,
            asked=total,
            coverage=round(total / len(self._rows), 6),
            kept=wilson(kept, total),
            right=wilson(int((codes == own).sum()), total),
            lost=dict(sorted(Counter(reason for _, reason in found if reason).items())),
            score=score(codes, own, len(self._classes), resamples, seed),
        )


def _votes(
    judge: _Judge,
    rows: Sequence[_Row],
    members: Mapping[str, str],
    labels: LabelSet,
    rule: ResolutionOptions,
    corpus: str,
) -> Iterator[Quality]:
    """The vote, and the vote that a human agrees with."""
    from ..resolution import Ballot, resolve, rules
    from .resolving import rater_votes

    ratings = rater_votes((row.utterance for row in rows), labels, corpus)
    if rule.rule == _HUMAN:
        models = [n for n, kind in members.items() if kind != PERSON]
        if len(models) > 1:
            base = replace(
                rule, rule=rule.base, human=None, sources=tuple(s for s in rule.sources if s in models)
            )
            cast = [Ballot(row.utterance.id, _of(row, models)) for row in rows]
            yield judge.vote(VOTE, resolve(cast, labels.labels, base).resolutions)
        yield judge.published(CHECKED)
        return
    if len(members) > 1:
        yield judge.published(VOTE)
    if (ratings or PERSON in members.values()) and rules()[rule.rule].IS_BASE:
        checked = replace(rule, rule=_HUMAN, base=rule.rule)
        cast = [
            Ballot(row.utterance.id, (*_of(row, members), *ratings.get(row.utterance.id, ()))) for row in rows
        ]
        yield judge.vote(CHECKED, resolve(cast, labels.labels, checked).resolutions)


def _of(row: _Row, members: Iterable[str]) -> tuple[Vote, ...]:
    return tuple(row.votes[name] for name in members if name in row.votes)


def _rule(manifest: Mapping[str, Any], labels: LabelSet) -> ResolutionOptions | None:
    from .resolving import options_from

    record = manifest.get("resolution")
    if record is None:
        return None
    rule = options_from(record["options"])
    return replace(rule, reject=rule.reject or labels.reject)


def _read(out: Path, manifest: Mapping[str, Any], labels: LabelSet, members: Mapping[str, str]) -> list[_Row]:
    """The annotated utterances, each with every annotator's last reply as a vote, and what was published."""
    from ..publishing.extras import ratings_from
    from ..publishing.reading import read_split, split_schema
    from ..publishing.surrogates import unescape

    votes: dict[str, dict[str, Vote]] = {}
    rows: dict[str, Utterance] = {}
    for split in manifest["splits"]:
        present = split_schema(out, manifest, "annotations", split).names
        wanted = [name for name in _COLUMNS if name in present]
        for row in read_split(out, manifest, "annotations", split, wanted).to_pylist():
            row["id"] = unescape(row["id"])
            # Attempts stand in their order, and the last one counts.
            votes.setdefault(row["id"], {})[row["annotator"]] = _vote(row, labels, members)
            if row["id"] not in rows:
                ratings: tuple[Rating, ...] = ratings_from(row.get("ratings"), row["id"])
                rows[row["id"]] = _utterance(manifest, split, row, ratings)
    published = _published(out, manifest)
    return [
        _Row(utterance, votes[name], *published.get(name, (None, _NO_VOTES)))
        for name, utterance in rows.items()
    ]


def _vote(row: Mapping[str, Any], labels: LabelSet, members: Mapping[str, str]) -> Vote:
    from ..publishing.soft import soft_label

    name = row["annotator"]
    kind: Literal["model", "human"] = "human" if members.get(name) == PERSON else "model"
    if row["status"] != "valid":
        return Vote(name, None, kind)
    shares = soft_label(row.get("label_logprobs") or "", labels.labels, row["id"]) or ()
    believed = {label: share for label, share in zip(labels.labels, shares, strict=bool(shares)) if share}
    return Vote(name, row["label"], kind, believed)


def _published(out: Path, manifest: Mapping[str, Any]) -> dict[str, tuple[str | None, str]]:
    """Utterance id -> the published label, or None and why there is none."""
    from ..publishing.reading import read_split
    from ..publishing.surrogates import unescape

    names = manifest["label_set"]["labels"]
    found: dict[str, tuple[str | None, str]] = {}
    for split in manifest["splits"]:
        for row in read_split(out, manifest, "dropped", split, ("id", "stage", "reasons")).to_pylist():
            reason = row["reasons"][0] if row["stage"] == "resolution" else _NO_VOTES
            found[unescape(row["id"])] = None, reason
        for row in read_split(out, manifest, "default", split, ("id", "label")).to_pylist():
            found[unescape(row["id"])] = names[row["label"]], ""
    return found


def _utterance(
    manifest: Mapping[str, Any], split: str, row: Mapping[str, Any], ratings: tuple[Rating, ...]
) -> Utterance:
    return Utterance(
        id=row["id"],
        corpus=manifest["corpus"]["name"],
        split=split,
        dialogue_id="",
        utterance_id="",
        speaker="",
        text="",
        label=row["original_label"],
        ratings=ratings,
    )
