"""The annotators of a build: who they are, what each is asked, and by which rule they vote.

One annotator is a panel of one. Several annotate the same rows, each with its own settings and requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ...errors import InputError, bad_value
from ..options import BuildOptions, Member, member_options
from ..reporting import Reporter
from ..requests import Questions, Rows, make_questions, public_name, read_corpus, select_rows

if TYPE_CHECKING:
    from pathlib import Path

    from ...engine import EngineOptions
    from ...protocols import Annotator, Check, Conversation
    from ...resolution.base import ResolutionOptions
    from ..building import RecipeSpec

_SHOWN = 20

# An annotator: as the user describes it, the options as they hold for it, and itself.
Made: TypeAlias = "tuple[Member, BuildOptions, Annotator]"


@dataclass(frozen=True)
class Participant:
    """One annotator of a build, and what it is asked.

    Attributes:
        name: as it is published, and as votes call it.
        spec: its specification.
        options: the build's as they hold for it, with nothing left open.
        check: judges its replies.
        conversation: the messages to send, given the earlier replies.
    """

    name: str
    spec: str
    options: BuildOptions
    annotator: Annotator
    questions: Questions
    check: Check
    conversation: Conversation

    @property
    def engine(self) -> EngineOptions:
        assert self.options.engine is not None
        return self.options.engine


@dataclass(frozen=True)
class Panel:
    """All annotators of a build, in the order of their votes, and the rows that each is asked about."""

    rows: Rows
    members: tuple[Participant, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.members)


def open_panel(spec: RecipeSpec, options: BuildOptions, reporter: Reporter) -> Panel:
    """Reads the corpus, makes the annotators, and renders what each is asked; nothing is asked yet.

    Raises:
        InputError: an option or a file that cannot be used, a name that stands twice, or two annotators
            that would be asked the same.
    """
    options = spec.filled(options)
    check_names(options.members)
    corpus, splits = read_corpus(spec, options, reporter)
    made = [make_member(options, member, splits) for member in options.members]
    rows = select_rows(spec, options, corpus, splits, reporter)
    return make_panel(spec, rows, made, reporter)


def make_panel(spec: RecipeSpec, rows: Rows, made: Sequence[Made], reporter: Reporter) -> Panel:
    """Renders what each annotator is asked about some rows; nothing is asked yet.

    Args:
        made: the annotators, in the order of their votes (see `make_member`).

    Raises:
        InputError: a prompt that cannot be used, or two annotators that would be asked the same.
    """
    panel = []
    for member, own, annotator in made:
        name = member.name or public_name(annotator.name)
        panel.append(_participant(spec, own, rows, annotator, name, reporter))
    _check_keys(panel)
    return Panel(rows, tuple(panel))


def make_member(options: BuildOptions, member: Member, splits: tuple[str, ...]) -> Made:
    """One annotator, with the options as they hold for it and nothing left open.

    Args:
        options: the build's, with the recipe's own values filled in.
        splits: those that are built.

    Raises:
        InputError: an annotator that cannot be made.
    """
    from ...annotators import create

    own = member_options(options, member)
    engine, connection = own.engine, own.connection
    assert engine is not None
    assert connection is not None
    connection = replace(connection, concurrency=engine.concurrency, splits=splits)
    annotator = create(member.annotator, connection)
    if turns := getattr(annotator, "turns", None):
        engine = replace(engine, retries=max(engine.retries, turns - 1))
    if slots := getattr(annotator, "slots", None):
        engine = replace(engine, concurrency=min(engine.concurrency, slots))
    if at_once := getattr(annotator, "at_once", None):
        engine = replace(engine, concurrency=at_once)
    return member, replace(own, engine=engine, connection=connection), annotator


def _participant(
    spec: RecipeSpec, options: BuildOptions, rows: Rows, annotator: Annotator, name: str, reporter: Reporter
) -> Participant:
    from ... import answers, prompting

    questions = make_questions(spec, options, rows, annotator, name, reporter.notice)
    repair = prompting.load_repair(questions.schema)
    assert isinstance(options.annotator, str)
    return Participant(
        name=name,
        spec=options.annotator,
        options=options,
        annotator=annotator,
        questions=questions,
        check=answers.Checker(questions.schema, rows.labels).check,
        conversation=lambda request, history: prompting.repair_turn(repair, request, history, rows.labels),
    )


def check_names(members: Sequence[Member]) -> None:
    """Refuses annotators of one name.

    Raises:
        InputError: a name that stands twice.
    """
    names = [member.name or public_name(member.annotator) for member in members]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"Two annotators are called {name!r}; give each its own name and settings in a file "
                "(--panel FILE, see docs/panel.md)"
            )


def _check_keys(members: Sequence[Participant]) -> None:
    """Refuses annotators that share requests: one reply would be two votes."""
    seen: dict[str, str] = {}
    for member in members if len(members) > 1 else ():
        for request in member.questions.requests:
            other = seen.setdefault(request.key, member.name)
            if other != member.name:
                raise InputError(
                    f"The annotators {other!r} and {member.name!r} would be asked the same about "
                    f"{request.utterance.id} (same model, server, prompt and parameters), which would count "
                    "one reply twice; give one of them another seed, prompt or temperature"
                )


def panel_rule(spec: RecipeSpec, options: BuildOptions, panel: Panel) -> ResolutionOptions | None:
    """The rule by which the votes become a label; None where nobody asked for one.

    That is the user's, else the one that `remelt add-annotations` was asked for, else the recipe's.

    Raises:
        InputError: the rule or one of its options cannot be used, or names a source that does not vote.
    """
    from ...resolution import ResolutionOptions, resolve
    from ..exchange.additions import members_of
    from ..resolving import check_people, check_quorum, check_sources, ratings_for
    from .content import asked_rule

    rule = options.resolution or asked_rule(options.out)
    if rule is None:
        if spec.resolution is None and len(panel.members) == 1:
            return None
        rule = replace(spec.resolution or ResolutionOptions(), seed=options.seed or 0)
    # The rule's own look at its options, before anybody is asked or paid.
    rows = panel.rows
    resolve((), rows.labels.labels, rule)
    ratings = ratings_for(rule, rows.utterances, rows.labels, rows.corpus.name)
    check_people(rule, ratings, _people(options.out), rows.corpus.name, options.out)
    names = [*panel.names, *(str(member["name"]) for member in members_of(options.out))]
    raters = sorted({vote.source for votes in (ratings or {}).values() for vote in votes})
    if both := sorted(set(raters) & set(names)):
        raise InputError(f"Raters and annotators have the same names: {both!r}; give the annotators others")
    for what, given in (("vote source", rule.sources), ("source with a weight", rule.weights)):
        for name in given:
            if name not in names and name not in raters:
                raise InputError(bad_value(what, name, [*names, *raters[:_SHOWN]]))
    check_sources(rule, names, raters)
    people = [str(member["name"]) for member in members_of(options.out) if member["kind"] == "human"]
    check_quorum(rule, [name for name in names if name not in people], people)
    return rule


def _people(out: Path) -> bool:
    from ..exchange.additions import members_of

    return any(member["kind"] == "human" for member in members_of(out))
