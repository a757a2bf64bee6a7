"""Several annotators of one build, and what their votes came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, bad_value
from ..records import Annotation, Drop, Resolution, Stage, Utterance, Verdict, digest
from .apikeys import keys_in_text

VOTES, SHARE, ENTROPY, DECIDED = "votes", "vote_share", "vote_entropy", "decided_by"
PANEL_COLUMNS = (VOTES, SHARE, ENTROPY, DECIDED)
KINDS = ("model", "human", "import")
UNRESOLVED: Stage = "resolution"
# The reason of an utterance that no annotator has answered, because annotators are missing.
NOT_ASKED = "not_asked"
# In the order in which an utterance can be left out.
STAGES: tuple[Stage, ...] = ("selection", "annotation", UNRESOLVED)
# A member's keys that are counted from its replies and not handed over.
OF_REPLIES = ("means", "answered_by", "answered")
COUNTED = (*OF_REPLIES, "replies")
_KEYS = ("name", "kind", "model", "endpoint", "parameters", "notices", "prompt", "schema")
_ANNOTATOR = ("name", "model", "endpoint", "parameters", "retires", "notices", "caveat")
_NOTHING = Verdict("error")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class PanelContent:
    """What a dataset with votes has besides the annotations.

    Attributes:
        members: one record per annotator, in the order of their votes: name (as in `Request.annotator`),
            kind (`model`, `human` or `import`), model, endpoint, parameters, notices, prompt (record or
            None), schema (`name` and `json`); optionally retires, caveat, file, sha256.
        resolutions: utterance id -> what its votes came to, for every utterance that has an annotation.
        resolution: the rule's record for the manifest: rule, options, info, notes.
    """

    members: Sequence[Mapping[str, Any]]
    resolutions: Mapping[str, Resolution]
    resolution: Mapping[str, Any] = field(default_factory=dict)

    @property
    def annotator(self) -> dict[str, Any]:
        """The first member as the manifest describes a single annotator."""
        return {key: self.members[0][key] for key in _ANNOTATOR if key in self.members[0]}

    @property
    def has_raters(self) -> bool:
        """Whether others than the members voted: the corpus's own raters."""
        names = {member["name"] for member in self.members}
        return any(vote.source not in names for r in self.resolutions.values() for vote in r.votes)

    def check(self, annotations: Sequence[Annotation], drops: Sequence[Drop], labels: Sequence[str]) -> None:
        """Refuses votes and replies that do not belong together.

        Raises:
            InputError: a member that is no member, twice the same, or holds an API key; replies out of the
                order of utterances and members; a resolution without replies or the other way about; a
                label that is off the list, or dropped; an unresolved utterance that is not dropped.
        """
        self._check_members()
        self._check_order(annotations)
        answered = dict.fromkeys(a.utterance.id for a in annotations)
        _none("annotated and not resolved", answered.keys() - self.resolutions.keys())
        _none("resolved and not annotated", self.resolutions.keys() - answered.keys())
        for name, resolution in self.resolutions.items():
            if resolution.utterance_id != name:
                raise InputError(f"The resolution of {resolution.utterance_id!r} stands under {name!r}")
            if resolution.label is not None and resolution.label not in labels:
                raise InputError(f"{name}: {bad_value('resolved label', resolution.label, labels)}")
        stages = {drop.utterance.id: drop.stage for drop in drops}
        resolved = {name for name, found in self.resolutions.items() if found.label is not None}
        valid = {a.utterance.id for a in annotations if a.verdict.status == "valid"}
        selected = {name for name, stage in stages.items() if stage == "selection"}
        _none("kept and dropped", resolved & stages.keys())
        _none("dropped by the selection and yet annotated", answered.keys() & selected)
        _none("without a label and not dropped", answered.keys() - resolved - stages.keys())
        # An utterance that nobody was asked about, because an annotator is missing, has no replies at all.
        unresolved = {name for name, stage in stages.items() if stage == UNRESOLVED}
        _none("unresolved and without a valid reply", unresolved - valid)
        quarantined = stages.keys() - selected - unresolved
        _none("quarantined in spite of a valid reply", quarantined & valid)

    def _check_members(self) -> None:
        if not self.members:
            raise InputError("A panel needs at least one annotator")
        for member in self.members:
            missing = [key for key in _KEYS if key not in member]
            if missing:
                raise InputError(f"The annotator {member.get('name')!r} lacks {missing!r}")
            if member["kind"] not in KINDS:
                raise InputError(f"{member['name']}: {bad_value('kind', member['kind'], KINDS)}")
            if keys_in_text(str(dict(member))):
                raise InputError(f"The record of {member['name']!r} holds what looks like an API key")
        names = [member["name"] for member in self.members]
        _none_of("annotators", "named twice", {name for name, count in Counter(names).items() if count > 1})

    def _check_order(self, annotations: Sequence[Annotation]) -> None:
        place = {member["name"]: n for n, member in enumerate(self.members)}
        hashes = {member["name"]: digest(member["schema"]["json"]) for member in self.members}
        finished: set[str] = set()
        first: Annotation | None = None
        before = -1
        for annotation in annotations:
            request, row = annotation.request, annotation.utterance
            if request.annotator not in place:
                raise InputError(f"{row.id}: {bad_value('annotator', request.annotator, place)}")
            if request.schema_hash != hashes[request.annotator]:
                raise InputError(f"{row.id}: {request.annotator} was asked with another schema than its own")
            if first is None or row.id != first.utterance.id:
                if row.id in finished:
                    raise InputError(f"The annotations of {row.id} do not stand together")
                finished.add(row.id)
                first, before = annotation, -1
            elif row != first.utterance:
                raise InputError(f"{row.id} is not the same for {request.annotator} as for the others")
            if place[request.annotator] <= before:
                raise InputError(
                    f"{row.id}: the replies of {request.annotator} stand twice, or not in the order of the "
                    f"annotators {list(place)!r}"
                )
            before = place[request.annotator]
        keys = Counter(a.request.key for a in annotations)
        doubled = {a.utterance.id for a in annotations if keys[a.request.key] > 1}
        _none("asked the same by two annotators", doubled)


def member_records(panel: PanelContent, counted: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The members as the manifest has them.

    Args:
        panel: the annotators.
        counted: by a member's name, what is counted from its replies (`COUNTED`).
    """
    return [
        {
            **member,
            "schema": {
                "name": member["schema"]["name"],
                "sha256": digest(member["schema"]["json"]),
                "json": member["schema"]["json"],
            },
            **counted[member["name"]],
        }
        for member in panel.members
    ]


def members_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The members as `PanelContent` takes them, from the manifest; none for a single annotator."""
    return [
        {
            **{key: value for key, value in member.items() if key not in COUNTED},
            "schema": {key: member["schema"][key] for key in ("name", "json")},
        }
        for member in manifest.get("annotators", ())
    ]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the default config.

    Attributes:
        annotation: whose answer is shown; None where a label came about without any annotator's answer.
        label: the new label.
        resolution: what the votes came to; None with a single annotator.
    """

    annotation: Annotation | None
    utterance: Utterance
    label: str | None
    resolution: Resolution | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the answer shown."""
        return self.annotation.verdict if self.annotation else _NOTHING


def kept_rows(
    annotations: Sequence[Annotation], resolutions: Mapping[str, Resolution] | None = None
) -> list[Row]:
    """The rows that reach the default config, in the order of the annotations.

    With votes, the answer shown is that of the first annotator whose valid answer has the label, else the
    first valid one.
    """
    if resolutions is None:
        return [Row(a, a.utterance, a.verdict.label) for a in annotations if a.verdict.status == "valid"]
    groups: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        groups.setdefault(annotation.utterance.id, []).append(annotation)
    rows = []
    for name, group in groups.items():
        resolution = resolutions[name]
        if resolution.label is not None:
            rows.append(
                Row(_shown(group, resolution.label), group[0].utterance, resolution.label, resolution)
            )
    return rows


def _shown(group: Iterable[Annotation], label: str) -> Annotation | None:
    valid = [a for a in group if a.verdict.status == "valid"]
    return next((a for a in valid if a.verdict.label == label), valid[0] if valid else None)


def _none(what: str, ids: Iterable[str]) -> None:
    _none_of("utterances", what, ids)


def _none_of(things: str, what: str, names: Iterable[str]) -> None:
    found = sorted(names)
    if found:
        raise InputError(f"{len(found)} {things} are {what}: {', '.join(found[:_MOST_NAMED])}")
