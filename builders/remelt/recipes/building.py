"""From a corpus to an audited dataset: the one build that all recipes which annotate a corpus share.

`build_recipe` reads, selects, asks, validates, decides, publishes, audits and writes the card; `plan_recipe`
says what that will take, and asks nobody. A recipe is a `RecipeSpec`: what differs between the systems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..labels import MELT, LabelSet
from .finishing import BuildResult, finish
from .listening.voices import Listening, listen, prepare
from .options import RECIPE
from .panel.content import Standing, asked_rule, base_content, members_content
from .panel.members import open_panel, panel_rule
from .panel.plan import plan_panel
from .panel.run import ask_panel
from .parts.build import build_in_parts
from .parts.plan import plan_in_parts
from .parts.suiting import NeedsAllRows, parts_of, tell_memory
from .planning import BuildPlan, check_budget
from .reporting import Reporter
from .workspace import workspace

if TYPE_CHECKING:
    from pathlib import Path

    from ..corpora import Corpus
    from ..publishing import DatasetContent, VoiceContent
    from ..resolution.base import ResolutionOptions
    from .options import BuildOptions
    from .panel.members import Panel


@dataclass(frozen=True)
class RecipeSpec:
    """One system's way of annotating.

    Attributes:
        name: the owner of OUT and the manifest's `recipe`; its card is `cards/NAME.md.j2` and `NAME.bib`.
        labels: what annotators choose from where the user gives no other labels.
        prompt: the default prompt's name for a corpus; None for `melt-general`.
        splits: the default splits of a corpus; None for all of them.
        prepare: what to make of the corpus once it is read and its labels have their common names (other
            words, other labels); what it adds to `Corpus.notes` is told and published. None for nothing.
        content: the last word on what is published, after the votes; None for nothing.
        resolution: how votes become a label where the user does not say, also the vote of a single
            annotator; None for the usual rule, and for no vote at all where one annotator stands alone.
        temperature, max_tokens: sent with every request where the user does not say; MELT's.
    """

    name: str
    labels: LabelSet = MELT
    prompt: Callable[[Corpus], str] | None = None
    splits: Callable[[Corpus], tuple[str, ...]] | None = None
    prepare: Callable[[Corpus, Reporter], Corpus] | None = None
    content: Callable[[DatasetContent], DatasetContent] | None = None
    resolution: ResolutionOptions | None = None
    temperature: float | None = 1.0
    max_tokens: int | None = 512

    def filled(self, options: BuildOptions) -> BuildOptions:
        """The options with the recipe's own values where they say so."""
        return replace(
            options,
            temperature=self.temperature if options.temperature == RECIPE else options.temperature,
            max_tokens=self.max_tokens if options.max_tokens == RECIPE else options.max_tokens,
        )


def build_recipe(spec: RecipeSpec, options: BuildOptions, reporter: Reporter | None = None) -> BuildResult:
    """Builds the dataset, or goes on with one that was interrupted.

    Args:
        spec: the recipe.
        options: see `BuildOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option or a file that cannot be used.
        AnnotatorError: the only annotator can answer nothing (wrong key, unknown model).
        Interrupted: stopped before the end, or one of several annotators failed; the same call goes on.
    """
    reporter = reporter or Reporter()
    parts = parts_of(spec, options, reporter)
    if parts is not None:
        try:
            return build_in_parts(spec, options, parts, reporter)
        except NeedsAllRows as error:
            if options.parts is not None:
                raise
            tell_memory(error.reason, reporter)
    panel = open_panel(spec, options, reporter)
    rows = panel.rows
    for one in panel.members:
        check_budget(one.annotator, one.questions.requests, one.engine.budget)
    rule = panel_rule(spec, options, panel)
    standing = _standing(spec, options, panel)
    if standing.asked and rule is not None:
        reporter.notice(
            f"The votes are decided by {rule.rule!r}, for which `remelt add-annotations {options.out}` was "
            "asked; --vote RULE decides by another"
        )
    listening = prepare(options.voice, rows.utterances, reporter)
    with workspace(options.out, spec.name, rows.corpus.name, rows.corpus.folder) as journal:
        asked = ask_panel(panel, journal, options, reporter)
        content = base_content(spec.name, options, panel)
        content = members_content(content, panel, asked, rule, options.out, reporter, standing)
        if spec.content is not None:
            content = spec.content(content)
        content = replace(content, voice=_hear(listening, panel, content, options.out, reporter))
        return finish(options.out, content, asked.stats, reporter)


def plan_recipe(
    spec: RecipeSpec, options: BuildOptions, reporter: Reporter | None = None, show: int = 3
) -> BuildPlan:
    """What `build_recipe` with the same options would ask, cost and take; asks nobody, changes nothing.

    An OUT that exists is looked up, so that only the rows that are still missing count.

    Args:
        spec: the recipe.
        options: see `BuildOptions`.
        reporter: is told what happens.
        show: how many rendered prompts of each annotator to include, spread over the rows to be asked.

    Raises:
        InputError: an option or a file that cannot be used.
    """
    reporter = reporter or Reporter()
    parts = parts_of(spec, options, reporter)
    if parts is not None:
        try:
            return plan_in_parts(spec, options, parts, reporter, show)
        except NeedsAllRows as error:
            if options.parts is not None:
                raise
            tell_memory(error.reason, reporter)
    panel = open_panel(spec, options, reporter)
    panel_rule(spec, options, panel)
    prepare(options.voice, panel.rows.utterances, reporter)
    return plan_panel(panel, spec.name, show)


def _standing(spec: RecipeSpec, options: BuildOptions, panel: Panel) -> Standing:
    asked = options.resolution is None and asked_rule(options.out) is not None
    return Standing(asked, options.resolution is None and spec.resolution is None and len(panel.members) == 1)


def _hear(
    listening: Listening, panel: Panel, content: DatasetContent, out: Path, reporter: Reporter
) -> VoiceContent | None:
    """What was heard in the clips of the rows that reach the dataset."""
    rows = [row.utterance for row in content.kept()]
    return listen(listening, panel.rows.corpus.folder, rows, out, reporter)
