"""What a migration needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from ...annotators import AnnotatorOptions
    from ...engine import EngineOptions


@dataclass(frozen=True)
class MigrateOptions:
    """What a migration needs to know.

    Attributes:
        annotator: the new one (`openai/MODEL`, `local/smollm2`, `mock:seed=1`, `replay:FILE`, ...).
        sample: rows to ask about; all where there are no more.
        seed: of the sample and the bootstrap.
        splits: those to draw from; None for all.
        of: the annotator of the dataset to compare with, where there are several; None for the first model.
        prompt: another prompt than the dataset's, by name or path, without previous turns; None to send the
            messages as they were sent.
        parameters: what to send instead of the dataset's own (`{"max_tokens": 2000}`; None: not sent).
        to: the folder for journal and results; None for one below `OUT/.remelt/migrate/`.
        engine: how requests are sent; None for the usual way, with the dataset's number of repair turns.
        connection: how the annotator is reached.
        resamples: bootstrap resamples for 95 % intervals; 0 for none.
    """

    annotator: str
    sample: int = 200
    seed: int = 0
    splits: tuple[str, ...] | None = None
    of: str | None = None
    prompt: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    to: Path | None = None
    engine: EngineOptions | None = None
    connection: AnnotatorOptions | None = None
    resamples: int = 2000

    def __post_init__(self) -> None:
        if self.to is not None:
            object.__setattr__(self, "to", Path(self.to))
        if self.sample < 1:
            raise InputError(f"Bad sample {self.sample!r}, expected a whole number of rows from 1")
        if self.resamples < 0:
            raise InputError(f"Bad number of resamples {self.resamples!r}, expected a whole number from 0")
