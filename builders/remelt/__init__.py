"""remelt: relabel speech-emotion corpora with language models; publish, audit and regenerate the result.

The main functions, loaded when first used:

- `build_melt(MeltOptions(...))`: from corpus to audited dataset (recipes.melt)
- `plan_melt(MeltOptions(...))`: what that will ask, cost and take, before anything is asked (recipes.melt)
- `build_transcribe_vote(BuildOptions(...))`, `build_pseudo_sentiment(BuildOptions(...))`: the other recipes
- `add_annotations(out, AddOptions(...))`, `export_annotations(out, to, ExportOptions(...))`: labels of people
  and other tools (recipes.exchange.adding, recipes.exchange.exporting)
- `measure_agreement(source)`: kappa, alpha, AC1 of a dataset, a corpus or a table (recipes.agreement)
- `rebuild(source, out)`: a dataset again from its published replies (recipes.rebuild)
- `load_corpus(source)`, `inspect_corpus(source)`: read and check a corpus (corpora, recipes)
- `audit_dataset(out)`: change matrices, agreement, figures, report (recipes.finishing)
- `go_offline()`: from then on nothing leaves this machine (offline)
- `find_problems(out)`: hashes, counts, schemas (publishing)
- `migrate(out, MigrateOptions(...))`: what another model would change and cost (recipes.migrate)
- `publish_to_hub(out, "USER/NAME", PublishOptions(...))`: to the Hugging Face Hub (recipes.hub.publish)
- `evaluate(EvaluationOptions(...))`: SER models trained on old and new labels (recipes.evaluation.run)
"""

from __future__ import annotations

import importlib
from typing import Any

from . import offline as _offline

__version__ = "0.1.0"

_PUBLIC = {
    "AddOptions": ("recipes.exchange.adding", "AddOptions"),
    "AnnotatorOptions": ("annotators", "AnnotatorOptions"),
    "BuildOptions": ("recipes.options", "BuildOptions"),
    "BuildPlan": ("recipes.planning", "BuildPlan"),
    "BuildResult": ("recipes.finishing", "BuildResult"),
    "EvaluationOptions": ("recipes.evaluation.base", "EvaluationOptions"),
    "ExportOptions": ("recipes.exchange.exporting", "ExportOptions"),
    "EngineOptions": ("engine", "EngineOptions"),
    "Member": ("recipes.options", "Member"),
    "MigrateOptions": ("recipes.migrating.options", "MigrateOptions"),
    "MeltOptions": ("recipes.melt", "MeltOptions"),
    "PublishOptions": ("recipes.hub.publish", "PublishOptions"),
    "RemeltError": ("errors", "RemeltError"),
    "ResolutionOptions": ("resolution", "ResolutionOptions"),
    "add_annotations": ("recipes.exchange.adding", "add_annotations"),
    "audit_dataset": ("recipes.finishing", "audit_dataset"),
    "build_melt": ("recipes.melt", "build"),
    "build_pseudo_sentiment": ("recipes.pseudo_sentiment", "build"),
    "build_transcribe_vote": ("recipes.transcribe_vote", "build"),
    "evaluate": ("recipes.evaluation.run", "evaluate"),
    "export_annotations": ("recipes.exchange.exporting", "export_annotations"),
    "inspect_corpus": ("recipes.inspecting", "inspect_corpus"),
    "load_corpus": ("corpora", "load"),
    "go_offline": ("offline", "go_offline"),
    "measure_agreement": ("recipes.agreement", "measure_agreement"),
    "migrate": ("recipes.migrate", "migrate"),
    "plan_melt": ("recipes.melt", "plan"),
    "publish_to_hub": ("recipes.hub.publish", "publish_to_hub"),
    "rebuild": ("recipes.rebuild", "rebuild"),
    "find_problems": ("publishing", "find_problems"),
}
__all__ = ["__version__", *sorted(_PUBLIC)]

# Before any library that would read the environment.
_offline.be_quiet()
if _offline.wanted():
    _offline.go_offline()


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'remelt' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(importlib.import_module(f".{module}", __name__), attribute)
