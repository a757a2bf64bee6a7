"""The engine: requests in, annotations out; pacing, retries, budget, and the journal before all else."""

from __future__ import annotations

from .batches import annotate_in_batches
from .core import annotate
from .options import EngineOptions
from .stats import Stats, Stop, stats_from, stats_record, together

__all__ = [
    "EngineOptions",
    "Stats",
    "Stop",
    "annotate",
    "annotate_in_batches",
    "stats_from",
    "stats_record",
    "together",
]
