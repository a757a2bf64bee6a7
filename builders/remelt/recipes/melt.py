"""MELT (Jing et al. 2025): a language model relabels a corpus from text and describes the voice.

`build` goes from corpus to audited dataset: read, select, ask, validate, publish, audit, card. `plan` says
what that will take, and asks nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .building import RecipeSpec, build_recipe, plan_recipe
from .options import BuildOptions
from .requests import public_name

if TYPE_CHECKING:
    from ..corpora import Corpus
    from .finishing import BuildResult
    from .planning import BuildPlan
    from .reporting import Reporter

__all__ = ["NAME", "RECIPE", "MeltOptions", "build", "plan", "public_name"]

NAME = "melt"
MeltOptions = BuildOptions


def _prompt(corpus: Corpus) -> str:
    return "melt" if corpus.name == "meld" else "melt-general"


def _splits(corpus: Corpus) -> tuple[str, ...]:
    return tuple(s for s in corpus.splits if not (corpus.name == "meld" and s == "dev"))


RECIPE = RecipeSpec(name=NAME, prompt=_prompt, splits=_splits)


def build(options: MeltOptions, reporter: Reporter | None = None) -> BuildResult:
    """Builds the dataset, or goes on with one that was interrupted; see `building.build_recipe`.

    Args:
        options: see `options.BuildOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option or a file that cannot be used.
        AnnotatorError: the annotator can answer nothing (wrong key, unknown model).
        Interrupted: stopped before the end; the same call goes on.
    """
    return build_recipe(RECIPE, options, reporter)


def plan(options: MeltOptions, reporter: Reporter | None = None, show: int = 3) -> BuildPlan:
    """What `build` with the same options would ask, cost and take; see `building.plan_recipe`.

    Raises:
        InputError: an option or a file that cannot be used.
    """
    return plan_recipe(RECIPE, options, reporter, show)
