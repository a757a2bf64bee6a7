"""What the makers of parts are given: the same job for all, and a task for each part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...corpora import Corpus
    from ...journal import Journal
    from ...publishing.columns import Columns
    from ...resolution.base import ResolutionOptions
    from ...selection import SelectionOptions, SelectionTotals
    from ..building import RecipeSpec
    from ..common_labels import Renaming
    from ..options import BuildOptions
    from ..reporting import Reporter
    from .summary import PartSummary


@dataclass(frozen=True)
class PartJob:
    """What all parts of a build have in common; can be pickled, and holds no key.

    Attributes:
        spec: the recipe; one without hooks that need all rows at once.
        options: the build's, with the recipe's own values filled in.
        out: the dataset folder, absolute; parts are left in `out/.remelt/parts/`.
        store: the corpus's store (see `corpora.store`), absolute.
        head: the corpus without its utterances.
        renaming: of the corpus's labels.
        splits: those to build, in the order asked for.
        profile: the selection profile's name.
        selection_options: its options.
        totals: what the selection needs of the whole corpus.
        columns: of what is published; with soft labels, which are taken out again where nobody gave any.
        turns: previous turns that a prompt shows at most.
        rule: how votes become a label; None for one annotator alone.
        fingerprint: of everything that decides what a part holds; a part with another one is made anew.
    """

    spec: RecipeSpec
    options: BuildOptions
    out: Path
    store: Path
    head: Corpus
    renaming: Renaming
    splits: tuple[str, ...]
    profile: str
    selection_options: SelectionOptions
    totals: SelectionTotals
    columns: Columns
    turns: int
    rule: ResolutionOptions | None
    fingerprint: str

    @property
    def folder(self) -> Path:
        """Where the parts lie until they are put together."""
        return self.out / ".remelt" / "parts"


@dataclass(frozen=True, slots=True)
class PartTask:
    """One part to make.

    Attributes:
        number: from 0, in the order of the corpus.
        split, start, size: the rows of a split from `start` on (see `CorpusStore.part`).
        limit: annotate at most so many of them; None for all.
        max_rows: ask about at most so many of them in this run; None for all.
        deadline: seconds left of the run; None without end.
    """

    number: int
    split: str
    start: int
    size: int
    limit: int | None = None
    max_rows: int | None = None
    deadline: float | None = None


class Executor(Protocol):
    """Who makes the parts."""

    def __call__(
        self, job: PartJob, tasks: Sequence[PartTask], journal: Journal, reporter: Reporter
    ) -> Iterator[PartSummary]:
        """Makes all tasks and yields their summaries in any order, each when its part lies in `job.folder`.

        Args:
            job: what all have in common.
            tasks: those that are not made yet, in the order of the corpus.
            journal: OUT's, open and locked by this process. Whatever was answered elsewhere is in it before a
                part's summary is yielded.
            reporter: is told `progress` of the parts at work; the caller adds up what was done before.

        Raises:
            Interrupted, AnnotatorError, InputError: as `panel.run.ask_panel`; what was answered is in the
                journal or will be before anything is asked again.
        """
        ...
