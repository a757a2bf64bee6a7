"""remelt: relabel speech-emotion corpora with language models; publish, audit and regenerate the result.

The main functions, loaded when first used:

- `build_melt(MeltOptions(...))`: from corpus to audited dataset (recipes.melt)
- `plan_melt(MeltOptions(...))`: what that will ask, cost and take, before anything is asked (recipes.melt)
- `rebuild(source, out)`: a dataset again from its published replies (recipes.rebuild)
- `load_corpus(source)`, `inspect_corpus(source)`: read and check a corpus (corpora, recipes)
- `audit_dataset(out)`: change matrices, agreement, figures, report (recipes.finishing)
- `find_problems(out)`: hashes, counts, schemas (publishing)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "AnnotatorOptions": ("annotators", "AnnotatorOptions"),
    "BuildPlan": ("recipes.planning", "BuildPlan"),
    "BuildResult": ("recipes.finishing", "BuildResult"),
    "EngineOptions": ("engine", "EngineOptions"),
    "MeltOptions": ("recipes.melt", "MeltOptions"),
    "RemeltError": ("errors", "RemeltError"),
    "audit_dataset": ("recipes.finishing", "audit_dataset"),
    "build_melt": ("recipes.melt", "build"),
    "inspect_corpus": ("recipes.inspecting", "inspect_corpus"),
    "load_corpus": ("corpora", "load"),
    "plan_melt": ("recipes.melt", "plan"),
    "rebuild": ("recipes.rebuild", "rebuild"),
    "find_problems": ("publishing", "find_problems"),
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'remelt' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(importlib.import_module(f".{module}", __name__), attribute)
