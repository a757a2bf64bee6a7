"""What is published of all that a build's annotators answered: the annotations, and what the votes say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...records import Annotation, Drop, Utterance, Vote
from ..annotation import quarantined
from ..reporting import Reporter
from ..requests import Questions
from .members import Panel, Participant

if TYPE_CHECKING:
    from ...prompting import Prompt
    from ...publishing import DatasetContent
    from ...resolution.base import ResolutionOptions
    from ..options import BuildOptions
    from .run import Asked


FIRST = "first"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the commands that come after have to know of a dataset with votes; the manifest has it.

    Attributes:
        asked: `remelt add-annotations` was asked for the rule, so that it holds for later builds too.
        alone: one annotator has built the dataset without any vote, so that without what was added all is as
            it was.
    """

    asked: bool = False
    alone: bool = False

    def record(self) -> dict[str, bool]:
        """The keys of the manifest's `resolution`; one that is absent is false."""
        return {name: True for name in ("asked", "alone") if getattr(self, name)}

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> Standing:
        """That of a published dataset; one without votes stands alone."""
        record = manifest.get("resolution")
        if not isinstance(record, Mapping):
            return cls(alone=True)
        return cls(record.get("asked") is True, record.get("alone") is True)


def base_content(recipe: str, options: BuildOptions, panel: Panel) -> DatasetContent:
    """What is published whatever the answers are; the annotator is the first one."""
    from ... import corpora
    from ...publishing import DatasetContent

    rows, first = panel.rows, panel.members[0]
    corpus = rows.corpus
    info = corpora.info(corpus.name) if corpus.name in corpora.names() else None
    return DatasetContent(
        recipe=recipe,
        corpus={
            "name": corpus.name,
            "title": info.title if info else corpus.name,
            "language": info.language if info else None,
            "licence": corpus.licence,
            "homepage": corpus.homepage,
            "citation": corpus.citation,
            "files": dict(corpus.files),
            "defects": {name: dict(counts) for name, counts in corpus.defects.items()},
        },
        splits=rows.splits,
        inputs={s: sum(u.split == s for u in corpus.utterances) for s in rows.splits},
        annotations=(),
        drops=rows.dropped,
        label_set=rows.labels,
        schema=first.questions.schema,
        schema_name=_schema_name(first.questions),
        annotator=_annotator_record(first),
        prompt=_prompt_record(first.questions.prompt),
        profile={"name": Path(rows.profile).name, "options": rows.selection_options},
        attrition=rows.attrition,
        options={
            "limit": options.limit,
            "turns": first.questions.turns,
            "keep_speakers": list(options.keep_speakers),
            "retries": first.engine.retries,
        },
        notes=[*corpus.notes, *rows.selection.notes],
    )


def members_content(
    content: DatasetContent,
    panel: Panel,
    asked: Asked,
    rule: ResolutionOptions | None,
    out: Path,
    reporter: Reporter,
    standing: Standing | None = None,
) -> DatasetContent:
    """What is published of all answers: of one annotator alone, or of several and their votes.

    What was added to OUT by `remelt add-annotations` votes too, by `first` where nobody asked for a rule.

    Args:
        content: see `base_content`.
        rule: see `panel_rule`.
        standing: what later commands have to know of the rule and the build.
    """
    from ...resolution import ResolutionOptions
    from ..exchange.additions import stored
    from ..resolving import ratings_for

    rows = panel.rows
    notes = [*asked.notes, *(note for one in panel.members for note in replay_notes(one, [rows.utterances]))]
    for note in notes:
        reporter.notice(note)
    content = replace(content, notes=[*content.notes, *notes])
    added = stored(out, rows.utterances, rows.labels)
    if rule is None and not added:
        annotations = asked.annotations
        return replace(content, annotations=annotations, drops=(*content.drops, *quarantined(annotations)))
    members = [{**member_record(one), **asked.records[one.name]} for one in panel.members]
    deciding = rule or ResolutionOptions(rule=FIRST)
    content = panel_content(
        content,
        [*members, *(one.member for one in added)],
        [*asked.annotations, *(a for one in added for a in one.annotations)],
        rows.utterances,
        deciding,
        ratings_for(deciding, rows.utterances, rows.labels, rows.corpus.name),
        standing,
    )
    tell_notes(content, reporter)
    return content


def tell_notes(content: DatasetContent, reporter: Reporter) -> None:
    """What the rule of the vote has to say to whom it concerns now."""
    for note in content.panel.resolution["notes"] if content.panel else ():
        reporter.notice(note)


def panel_content(
    content: DatasetContent,
    members: Sequence[Mapping[str, Any]],
    annotations: Sequence[Annotation],
    utterances: Sequence[Utterance],
    options: ResolutionOptions,
    ratings: Mapping[str, Sequence[Vote]] | None = None,
    standing: Standing | None = None,
) -> DatasetContent:
    """What is published of several annotators: every annotation, and what the votes come to.

    Args:
        content: all that does not depend on the answers; of its drops those of the selection stay.
        members: one record per annotator, in the order of their votes (see `publishing.PanelContent`).
        annotations: theirs, in any order; `Request.annotator` is the member's name.
        utterances: those to annotate, in corpus order; one that nobody annotated is a drop (`not_asked`).
        options: how the votes become a label.
        ratings: utterance id -> what people said of it, for rules that ask them.
        standing: what later commands have to know of the rule and the build.

    Raises:
        InputError: a name that stands twice, or a rule that cannot be used.
    """
    from ...publishing.panel import PanelContent
    from ..resolving import decide

    names = [str(member["name"]) for member in members]
    if len(set(names)) < len(names):
        raise InputError(f"Two annotators have the same name: {names!r}")
    ordered = _ordered(annotations, utterances, names)
    kinds = {str(member["name"]): str(member["kind"]) for member in members}
    decision = decide(ordered, options, content.label_set, names, ratings, kinds=kinds)
    answered = {a.utterance.id for a in ordered}
    unasked = [
        Drop(u, "selection", ("not_asked",), ("no annotator has answered it",))
        for u in utterances
        if u.id not in answered
    ]
    lead = next((m for m in members if m["kind"] == "model" and _has_more_than_a_label(m)), members[0])
    return replace(
        content,
        annotations=ordered,
        drops=(
            *(drop for drop in content.drops if drop.stage == "selection"),
            *unasked,
            *decision.drops,
        ),
        schema=lead["schema"]["json"],
        schema_name=lead["schema"]["name"],
        prompt=lead["prompt"],
        notes=[*content.notes, *(note for note in decision.notes if note not in content.notes)],
        panel=PanelContent(
            members, decision.resolutions, {**decision.record, **(standing or Standing()).record()}
        ),
    )


def _ordered(
    annotations: Sequence[Annotation], utterances: Sequence[Utterance], names: Sequence[str]
) -> tuple[Annotation, ...]:
    """By utterance, then by annotator; all with the build's own copy of the utterance."""
    place = {name: n for n, name in enumerate(names)}
    found: dict[str, list[Annotation]] = {utterance.id: [] for utterance in utterances}
    known = {utterance.id: utterance for utterance in utterances}
    for annotation in annotations:
        own = known.get(annotation.utterance.id)
        if own is None:
            continue
        if annotation.utterance is not own:
            annotation = replace(annotation, request=replace(annotation.request, utterance=own))
        found[own.id].append(annotation)
    return tuple(
        a for group in found.values() for a in sorted(group, key=lambda a: place[a.request.annotator])
    )


def _has_more_than_a_label(member: Mapping[str, Any]) -> bool:
    schema = member["schema"]["json"]
    return set(schema.get("properties", ())) != {schema.get("x-remelt-label")}


def member_record(member: Participant) -> dict[str, Any]:
    """What the manifest says of an annotator of several."""
    questions = member.questions
    return {
        "kind": "model",
        **_annotator_record(member),
        "prompt": _prompt_record(questions.prompt),
        "schema": {"name": _schema_name(questions), "json": questions.schema},
        "turns": questions.turns,
    }


def _annotator_record(member: Participant) -> dict[str, Any]:
    annotator = member.annotator
    return {
        "name": member.name,
        "model": annotator.model,
        "endpoint": annotator.endpoint,
        "parameters": dict(member.questions.parameters),
        "retires": getattr(annotator, "retires", None),
        "notices": list(annotator.notices),
        "caveat": getattr(annotator, "caveat", ""),
    }


def _schema_name(questions: Questions) -> str:
    return questions.prompt.schema if questions.prompt else "label"


def _prompt_record(prompt: Prompt | None) -> dict[str, Any] | None:
    if prompt is None:
        return None
    return {
        "name": prompt.name,
        "version": prompt.version,
        "source": prompt.source,
        "sha256": prompt.sha256,
        "text": prompt.text,
    }


def rule_of(manifest: Mapping[str, Any]) -> ResolutionOptions:
    """The rule by which a dataset was published; `first` where a single annotator had no rule."""
    from ...resolution import ResolutionOptions
    from ..resolving import options_from

    record = manifest.get("resolution")
    if isinstance(record, Mapping) and isinstance(record.get("options"), Mapping):
        return options_from(record["options"])
    return ResolutionOptions(rule=FIRST)


def asked_rule(out: Path) -> ResolutionOptions | None:
    """The rule that `remelt add-annotations` was asked for, which holds until somebody asks for another.

    Raises:
        InputError: OUT's manifest cannot be read, or has a rule that this version does not know.
    """
    from ...publishing import read_manifest
    from ..exchange.keeping import kept

    path = kept(out, "manifest.json")
    if not path.is_file():
        return None
    manifest = read_manifest(path.parent)
    return rule_of(manifest) if Standing.read(manifest).asked else None


def replay_notes(member: Participant, asked: Iterable[Sequence[Utterance]]) -> list[str]:
    """What a replayed file and the corpus do not have in common.

    Args:
        member: any annotator; one that replays nothing has nothing to tell.
        asked: the utterances that were asked about, some at a time, in corpus order; gone through once.
    """
    annotator = member.annotator
    unused, compare = getattr(annotator, "unused", None), getattr(annotator, "compare", None)
    if unused is None or compare is None:
        return []

    def ids() -> Iterator[str]:
        for utterances in asked:
            compare(utterances)
            yield from (utterance.id for utterance in utterances)

    notes = []
    extra = unused(ids())
    if extra:
        notes.append(f"{len(extra):,} replayed ids were not asked for, such as {', '.join(extra[:5])}")
    differences = getattr(annotator, "differences", ())
    if differences:
        notes.append(
            f"{len(differences):,} replayed rows carry another text or speaker than the corpus, "
            f"such as {', '.join(str(d) for d in differences[:3])}"
        )
    return notes
