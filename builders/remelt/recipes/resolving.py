"""From the annotations of several annotators, and what people said, to one label per utterance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError, bad_value
from ..labels import LABEL_MAPS, LabelSet
from ..records import Annotation, Drop, Rating, Resolution, Utterance, Vote
from .annotation import quarantined

if TYPE_CHECKING:
    from ..resolution import ResolutionOptions

# IEMOCAP's actors judged their own session; they are no raters of somebody else.
_SELF_REPORT = re.compile(r"[CA]-[FM]\d*")
# How the readers call a rater of whom only the place in this utterance's list is known.
_NOBODY = re.compile(r".*/\d+")
_UNNAMED = "rater"
_SHOWN = 20


@dataclass(frozen=True)
class Decision:
    """What the votes of a build came to.

    Attributes:
        resolutions: utterance id -> its resolution, for every utterance with an annotation, in their order.
        drops: the utterances without a label: stage `annotation` where nobody's answer was valid, else
            stage `resolution` with the resolution's reason.
        record: for the manifest: rule, options, ratings (whether people's judgements of the corpus were
            asked), info, notes.
        notes: sentences for the log and the card.
    """

    resolutions: dict[str, Resolution]
    drops: tuple[Drop, ...]
    record: dict[str, Any]
    notes: tuple[str, ...] = ()


def decide(
    annotations: Sequence[Annotation],
    options: ResolutionOptions,
    labels: LabelSet,
    members: Sequence[str],
    ratings: Mapping[str, Sequence[Vote]] | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
) -> Decision:
    """What several annotators' answers, and people's judgements, come to.

    Args:
        annotations: of all members, in any order; each utterance at most once per member.
        options: the rule. Where it rejects no label, those that the label set rejects are.
        labels: the label set.
        members: the annotators' names in the order of their votes.
        ratings: utterance id -> what people said of it, who vote after the members (see `rater_votes`).
        kinds: a member's name -> `human` for a person; all others are models.

    Raises:
        InputError: an annotation of somebody who is no member, a source in the options that is neither
            member nor rater, or what `resolution.resolve` refuses.
    """
    from ..resolution import Ballot, resolve

    ratings, kinds = ratings or {}, kinds or {}
    options = replace(options, reject=options.reject or labels.reject)
    groups = _grouped(annotations, members)
    _check_names(options, members, [ratings[name] for name in groups if name in ratings])
    ballots = []
    for name, group in groups.items():
        votes = [vote_of(a, labels, kinds.get(a.request.annotator, "model")) for a in group]
        ballots.append(Ballot(name, (*votes, *ratings.get(name, ()))))
    found = resolve(ballots, labels.labels, options)
    resolutions = {r.utterance_id: r for r in found.resolutions}
    drops = tuple(
        _drop(group, resolutions[name], len(members) > 1)
        for name, group in groups.items()
        if resolutions[name].label is None
    )
    record = {
        "rule": options.rule,
        "options": options_record(options),
        "ratings": bool(ratings),
        "info": dict(found.info),
        "notes": list(found.notes),
    }
    return Decision(resolutions, drops, record, found.notes)


def check_sources(options: ResolutionOptions, members: Sequence[str], raters: Iterable[str] = ()) -> None:
    """Makes sure that the options name sources that vote, so that nobody is asked in vain.

    Args:
        options: the rule.
        members: the annotators' names.
        raters: the names of the people behind a corpus's ratings.

    Raises:
        InputError: a name that is neither, or a rule between two sources that gets more or fewer.
    """
    from ..resolution.consistency import NAME, pair

    known = dict.fromkeys((*members, *sorted(raters)))
    asked = (options.human,) if options.rule == "human" and options.human is not None else ()
    for what, names in (
        ("source", options.sources), ("weighted source", options.weights), ("human rater", asked),
    ):  # fmt: skip
        for name in names:
            if name not in known:
                raise InputError(bad_value(what, name, list(known)[:_SHOWN]))
    if options.rule == NAME:
        pair(options.sources or tuple(known))


def check_quorum(options: ResolutionOptions, models: Sequence[str], people: Sequence[str] = ()) -> None:
    """Makes sure that as many vote as any label needs.

    Args:
        options: the rule.
        models: the models' names.
        people: those whose judgements were added; the rule that asks a human counts models' votes only.

    Raises:
        InputError: fewer than the quorum can vote on an utterance.
    """
    of_models = options.rule == "human"
    able = [*models, *(() if of_models else people)]
    # The rule with a human may name people alone; then all models count.
    named = [name for name in options.sources if name in able or not of_models]
    able = named or able
    if len(able) < options.quorum:
        raise InputError(
            f"Bad quorum {options.quorum}, expected at most {len(able)}: no label could come about from the "
            f"votes of {able!r}"
        )


def options_record(options: ResolutionOptions) -> dict[str, Any]:
    """The options as JSON holds them; `options_from` gives them back."""
    record: dict[str, Any] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(sorted(value.items()))
        record[field.name] = value
    return record


def options_from(record: Mapping[str, Any]) -> ResolutionOptions:
    """The options that `options_record` wrote, or some of them; what is absent has its usual value.

    Raises:
        InputError: an option that does not exist, or a value that cannot be.
    """
    from ..resolution import ResolutionOptions

    known = {field.name: field for field in fields(ResolutionOptions)}
    for name in record:
        if name not in known:
            raise InputError(bad_value("resolution option", name, known))
    return ResolutionOptions(**record)


def ratings_for(
    rule: ResolutionOptions, utterances: Iterable[Utterance], labels: LabelSet, corpus: str
) -> dict[str, list[Vote]] | None:
    """What the corpus's own raters said, for the rule that asks a human; None for every other rule.

    Args:
        rule: the rule.
        utterances, labels, corpus: see `rater_votes`.
    """
    return rater_votes(utterances, labels, corpus) if rule.rule == "human" else None


def check_people(
    rule: ResolutionOptions, ratings: Mapping[str, Sequence[Vote]] | None, added: bool, corpus: str, out: Path
) -> None:
    """Refuses the rule that asks a human where no person has judged anything.

    Args:
        rule: the rule.
        ratings: see `ratings_for`.
        added: whether people's judgements were added to the dataset.
        corpus, out: the corpus's name and the dataset folder, for the message.

    Raises:
        InputError: the rule is `human` and there is nobody.
    """
    if rule.rule == "human" and not ratings and not added:
        raise InputError(
            f"The rule 'human' needs somebody's judgements: {corpus} has no ratings, and none were added to "
            f"{out}; --vote takes another rule. What people said in `remelt review` is added by `remelt "
            f"review-report {out} --export FILE.csv` and `remelt add-annotations {out} --from FILE.csv`"
        )


def rater_votes(utterances: Iterable[Utterance], labels: LabelSet, corpus: str) -> dict[str, list[Vote]]:
    """What a corpus's own raters said, as votes of people for labels of the set.

    IEMOCAP's self-reports (raters C-F1, C-M1 and the like) are left out. A rater's labels are renamed by
    the corpus's map; those without a name in the set are passed over. One that is left is the rater's
    vote; several share the vote out equally and leave its label open; none at all makes a vote without
    a label: the rater was asked, and said something else. Raters without a name are numbered in each
    utterance (`rater/1`): the same number is not the same person.

    Args:
        utterances: with `ratings`.
        labels: the label set.
        corpus: whose names the raters used; one without a map has the set's own names.

    Returns:
        Utterance id -> votes, in the order of the ratings; without utterances that nobody labelled.
    """
    found: dict[str, list[Vote]] = {}
    for utterance in utterances:
        said: dict[str, list[str]] = {}
        for place, rating in enumerate(utterance.ratings, 1):
            if rating.labels and not (corpus == "iemocap" and _SELF_REPORT.fullmatch(rating.rater)):
                own = _common(rating, labels, corpus)
                said.setdefault(rating.rater or f"{_UNNAMED}/{place}", []).extend(own)
        if said:
            found[utterance.id] = [_shared(rater, own) for rater, own in said.items()]
    return found


def _common(rating: Rating, labels: LabelSet, corpus: str) -> list[str]:
    known = LABEL_MAPS.get(corpus)
    common = (
        labels.parse(name) if known is None else known.to_common.get(name.strip().casefold())
        for name in rating.labels
    )
    return [name for name in common if name in labels.labels]


def _shared(rater: str, said: Sequence[str]) -> Vote:
    chosen = sorted(set(said))
    if len(chosen) < 2:
        return Vote(rater, chosen[0] if chosen else None, "human")
    return Vote(rater, None, "human", {label: 1 / len(chosen) for label in chosen})


def _grouped(annotations: Iterable[Annotation], members: Sequence[str]) -> dict[str, list[Annotation]]:
    """The annotations of each utterance in the order of the members."""
    place = {name: n for n, name in enumerate(members)}
    groups: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        if annotation.request.annotator not in place:
            told = bad_value("annotator", annotation.request.annotator, members)
            raise InputError(f"{annotation.utterance.id}: {told}")
        groups.setdefault(annotation.utterance.id, []).append(annotation)
    for group in groups.values():
        group.sort(key=lambda a: place[a.request.annotator])
    return groups


def _check_names(
    options: ResolutionOptions, members: Sequence[str], ratings: Sequence[Sequence[Vote]]
) -> None:
    raters = {vote.source for votes in ratings for vote in votes}
    check_sources(options, members, raters)
    if both := sorted(raters & set(members)):
        raise InputError(f"Raters and annotators have the same names: {both!r}")
    nobody = sorted(name for name in raters if _NOBODY.fullmatch(name))
    counted = not options.sources or set(options.sources) & set(nobody)
    if nobody and counted and options.rule == "dawid_skene":
        raise InputError(
            f"The rule 'dawid_skene' needs to know who said what, and the raters {nobody[:3]!r} are "
            "numbered anew for each utterance: name others in `sources`, or take another rule"
        )


def vote_of(annotation: Annotation, labels: LabelSet, kind: str = "model") -> Vote:
    """What an annotation says as a vote, with what its log-probabilities make of each label.

    Args:
        annotation: of any status; one that is not valid is a vote without a label.
        labels: the label set.
        kind: `human` for a person; all others are models.
    """
    from ..publishing.soft import soft_label

    who: Literal["model", "human"] = "human" if kind == "human" else "model"
    label = annotation.verdict.label if annotation.verdict.status == "valid" else None
    if label is None:
        return Vote(annotation.request.annotator, None, who)
    given = annotation.replies[-1].label_logprobs
    shares = soft_label(given, labels.labels, annotation.utterance.id) or ()
    believed = {name: share for name, share in zip(labels.labels, shares, strict=bool(shares)) if share}
    return Vote(annotation.request.annotator, label, who, believed)


def _drop(group: Sequence[Annotation], resolution: Resolution, several: bool) -> Drop:
    utterance = group[0].utterance
    if any(a.verdict.status == "valid" for a in group):
        return Drop(utterance, "resolution", (resolution.reason,), (resolution.detail,))
    reasons: dict[str, list[str]] = {}
    for annotation, failed in zip(group, quarantined(group), strict=True):
        told = failed.details[0]
        reasons.setdefault(failed.reasons[0], []).append(
            f"{annotation.request.annotator}: {told}" if several else told
        )
    return Drop(utterance, "annotation", tuple(reasons), tuple("; ".join(told) for told in reasons.values()))
