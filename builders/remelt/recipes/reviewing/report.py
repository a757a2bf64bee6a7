"""`remelt review-report`: what people said of a dataset's labels."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...review.judgements import CHOICES, SKIP, Judgement, current
from ...review.store import FILE, Store
from ...review.tallies import (
    History,
    RaterCount,
    Tally,
    answered,
    by_rater,
    history,
    left_chosen,
    tallies_by,
    tally,
)

if TYPE_CHECKING:
    from ...audit.agreement import Agreement
    from ...audit.matrix import Rate

# Jing et al. 2025 (MELT), the preference test and its Figure 3. Only these statements are published in words.
PAPER = (
    "MELT (Jing et al. 2025, Figure 3): 20 people; more than 70 % chose MELT's label for anger and for "
    "surprise, while for fear and sadness MELD's was preferred."
)
PAPER_LABELS = frozenset({"anger", "surprise", "fear", "sadness"})
NUMBERS = "review.json"
JUDGEMENTS = "judgements.csv"
FIGURE = "preference"
EXPORTED = ("id", "annotator", "label", "confidence", "note")
CAVEAT = (
    "The intervals take judgements as independent. Several people judged some items: the shares over items, "
    "each counted once for the label that most chose, have intervals that allow for it."
)


@dataclass(frozen=True)
class Share:
    """How often the second source's label was preferred.

    Attributes:
        counts: the judgements and items behind it.
        rate: of the judgements that chose one of the two, with its 95 % Wilson interval.
        items: of the items that have a majority, with its 95 % Wilson interval.
    """

    counts: Tally
    rate: Rate
    items: Rate

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self.counts), "share": self.rate.as_dict(), "item_share": self.items.as_dict()}


@dataclass(frozen=True)
class Preference:
    """What was preferred of two sources' labels.

    Attributes:
        sources: the first and the second.
        items: how many were judged.
        overall: over all of them; shares are those of the second source.
        by_second, by_first: per label that the second, or the first, source gave.
        left: how often the label on the left was chosen.
        raters: what each did.
        agreement: of the raters; None where no item has two judgements.
    """

    sources: tuple[str, str]
    items: int
    overall: Share
    by_second: tuple[Share, ...]
    by_first: tuple[Share, ...]
    left: Rate
    raters: tuple[RaterCount, ...]
    agreement: Agreement | None

    @property
    def paper(self) -> str:
        """What was published of such a test; empty where the labels are not those of it."""
        labels = {share.counts.label for share in (*self.by_first, *self.by_second)}
        return PAPER if labels & PAPER_LABELS else ""

    @property
    def repeated(self) -> bool:
        """Whether any item was judged by several people."""
        return self.agreement is not None

    def as_dict(self) -> dict[str, Any]:
        return {
            "sources": list(self.sources),
            "items": self.items,
            "overall": self.overall.as_dict(),
            "by_second": [share.as_dict() for share in self.by_second],
            "by_first": [share.as_dict() for share in self.by_first],
            "left_chosen": self.left.as_dict(),
            "raters": [asdict(rater) for rater in self.raters],
            "agreement": None if self.agreement is None else self.agreement.as_dict(),
            "paper": self.paper,
        }


@dataclass(frozen=True)
class Against:
    """One rater's labels, or all raters', against a source's.

    Attributes:
        agreement: share of equal labels with its 95 % Wilson interval.
        kappa: Cohen's; None where it is not defined.
        by_label: per label of the source, the share of equal ones.
    """

    agreement: Rate
    kappa: float | None
    by_label: Mapping[str, Rate]

    def as_dict(self) -> dict[str, Any]:
        rates = {label: rate.as_dict() for label, rate in self.by_label.items()}
        return {"agreement": self.agreement.as_dict(), "kappa": self.kappa, "by_label": rates}


@dataclass(frozen=True)
class Labels:
    """What raters labelled.

    Attributes:
        sources: the original label's and the model's.
        items: how many were labelled.
        counts: label -> how often it was chosen.
        raters: what each did.
        overall: source -> all raters' labels against it.
        against: rater -> source -> that rater's labels against it.
        agreement: of the raters; None where no item has two labels.
    """

    sources: tuple[str, str]
    items: int
    counts: Mapping[str, int]
    raters: tuple[RaterCount, ...]
    overall: Mapping[str, Against]
    against: Mapping[str, Mapping[str, Against]]
    agreement: Agreement | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "sources": list(self.sources),
            "items": self.items,
            "labels": dict(self.counts),
            "raters": [asdict(rater) for rater in self.raters],
            "overall": {name: found.as_dict() for name, found in self.overall.items()},
            "against": {
                rater: {name: found.as_dict() for name, found in sources.items()}
                for rater, sources in self.against.items()
            },
            "agreement": None if self.agreement is None else self.agreement.as_dict(),
        }


@dataclass(frozen=True)
class ReviewReport:
    """Everything that people said of a dataset.

    Attributes:
        name: the folder's.
        preferences: one per pair of sources.
        labels: one per pair of sources that the labels were noted with.
        judgements: each rater's last word on each item.
        history: what was changed and taken back.
    """

    name: str
    preferences: tuple[Preference, ...]
    labels: tuple[Labels, ...]
    judgements: tuple[Judgement, ...]
    history: History

    def as_dict(self) -> dict[str, Any]:
        """Everything under the keys that docs/review.md describes."""
        return {
            "format": 1,
            "name": self.name,
            "preference": [found.as_dict() for found in self.preferences],
            "label": [found.as_dict() for found in self.labels],
            "history": asdict(self.history),
        }


def report(out: Path) -> ReviewReport:
    """Counts what is in a dataset's store of judgements; a server may be running meanwhile.

    Raises:
        InputError: nobody has judged anything, or the store cannot be read.
    """
    path = out / ".remelt" / FILE
    if not path.is_file():
        raise InputError(f"Nobody has reviewed {out}: there is no {path}; start with `remelt review {out}`")
    with Store(path, read_only=True) as store:
        rows = store.judgements()
    if not rows:
        raise InputError(f"Nobody has judged anything of {out} yet")
    last = current(rows)
    return ReviewReport(
        name=out.resolve().name,
        preferences=tuple(_preference(*group) for group in _groups(last, "preference")),
        labels=tuple(_labels(*group, _choices(out, group[0])) for group in _groups(last, "label")),
        judgements=tuple(last),
        history=history(rows),
    )


def _groups(judgements: Iterable[Judgement], mode: str) -> list[tuple[tuple[str, str], list[Judgement]]]:
    found: dict[tuple[str, str], list[Judgement]] = {}
    for judgement in judgements:
        if judgement.mode == mode:
            found.setdefault(judgement.sources, []).append(judgement)
    return list(found.items())


def _preference(sources: tuple[str, str], judgements: list[Judgement]) -> Preference:
    from ...audit.matrix import wilson

    return Preference(
        sources=sources,
        items=len({judgement.item for judgement in judgements}),
        overall=_share(tally(judgements)),
        by_second=tuple(map(_share, tallies_by(judgements, lambda judgement: judgement.second))),
        by_first=tuple(map(_share, tallies_by(judgements, lambda judgement: judgement.first))),
        left=wilson(*left_chosen(judgements)),
        raters=by_rater(judgements, CHOICES["preference"]),
        agreement=_agreement(
            ((j.item, j.rater, j.choice) for j in answered(judgements)),
            [choice for choice in CHOICES["preference"] if choice != SKIP],
        ),
    )


def _share(counts: Tally) -> Share:
    from ...audit.matrix import wilson

    items = counts.items_first + counts.items_second
    return Share(counts, wilson(counts.second, counts.decided), wilson(counts.items_second, items))


def _agreement(votes: Iterable[tuple[str, str, str]], choices: Sequence[str]) -> Agreement | None:
    """The raters' agreement; some coefficients depend on how many choices there were, taken or not."""
    from ...audit.agreement import measure, vote_table

    known = list(votes)
    if len({item for item, _, _ in known}) == len(known):
        return None
    return measure(vote_table(known, labels=choices))


def _choices(out: Path, sources: tuple[str, str]) -> tuple[str, ...]:
    """What raters chose labels from; nothing where the dataset cannot be read any more."""
    from .items import read_rows

    try:
        return read_rows(out, sources, turns=0, needed=False).choices
    except InputError:
        return ()


def _labels(sources: tuple[str, str], judgements: list[Judgement], choices: Sequence[str]) -> Labels:
    labelled = answered(judgements)
    raters = by_rater(judgements, CHOICES["label"])
    return Labels(
        sources=sources,
        items=len({judgement.item for judgement in labelled}),
        counts=dict(sorted(Counter(str(judgement.label) for judgement in labelled).items())),
        raters=raters,
        overall=_all_against(sources, labelled),
        against={
            count.rater: _all_against(sources, [j for j in labelled if j.rater == count.rater])
            for count in raters
        },
        agreement=_agreement(((j.item, j.rater, str(j.label)) for j in labelled), choices),
    )


def _all_against(sources: tuple[str, str], labelled: Sequence[Judgement]) -> dict[str, Against]:
    pairs = {
        sources[0]: [(j.first, j.label) for j in labelled],
        sources[1]: [(j.second, j.label) for j in labelled],
    }
    found = {}
    for source, both in pairs.items():
        known = [(theirs, label) for theirs, label in both if theirs and label]
        if known:
            found[source] = _against(known)
    return found


def _against(pairs: Sequence[tuple[str, str]]) -> Against:
    import numpy as np

    from ...audit.matrix import change_matrix, label_changes, wilson

    names = tuple(sorted({name for pair in pairs for name in pair}))
    codes = [np.array([names.index(pair[side]) for pair in pairs], dtype=np.int64) for side in (0, 1)]
    matrix = change_matrix(codes[0], codes[1], names)
    rates = {c.label: wilson(c.kept, c.before) for c in label_changes(matrix) if c.before}
    return Against(matrix.agreement, matrix.kappa(), rates)


def write_report(found: ReviewReport, folder: Path) -> list[str]:
    """Writes the numbers, every current judgement, and a figure per pair of sources.

    Returns:
        The files' names.

    Raises:
        InputError: the folder cannot be written to.
    """
    from .figure import preference_figure

    files: dict[str, bytes] = {
        NUMBERS: (json.dumps(found.as_dict(), ensure_ascii=False, indent=2) + "\n").encode(),
        JUDGEMENTS: _table(found.judgements),
    }
    for place, preference in enumerate(found.preferences):
        number = f"_{place + 1}" if len(found.preferences) > 1 else ""
        for kind, content in preference_figure(preference).items():
            files[f"{FIGURE}{number}.{kind}"] = content
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise InputError(f"Cannot write to {folder}: {error.strerror}") from None
    return sorted(files)


def _table(judgements: Iterable[Judgement]) -> bytes:
    """Every current judgement as CSV; what the raters' pages call items is left out."""
    names = [f.name for f in fields(Judgement) if f.name not in ("item", "sources", "number")]
    rows = [
        [*("" if (value := getattr(j, name)) is None else value for name in names), *j.sources]
        for j in judgements
    ]
    return _csv([*names, "first_source", "second_source"], rows)


def export_labels(found: ReviewReport, path: Path) -> int:
    """Writes each rater's labels as a long table: id, annotator, label, confidence, note.

    Returns:
        The number of rows. Skips, and judgements of the mode `preference`, are not labels and left out.

    Raises:
        InputError: there are no labels, or the file cannot be written.
    """
    labelled = (j for j in found.judgements if j.mode == "label" and j.label is not None)
    # An utterance whose words were mended in between is another item of the same id; the later label counts.
    chosen = list({(j.utterance_id, j.rater): j for j in labelled}.values())
    if not chosen:
        raise InputError(
            f"There are no labels of {found.name} to export; people choose them with --mode label"
        )
    chosen.sort(key=lambda j: (j.utterance_id, j.rater.casefold()))
    rows = [
        [j.utterance_id, j.rater, j.label, "" if j.confidence is None else j.confidence, j.note]
        for j in chosen
    ]
    try:
        path.write_bytes(_csv(EXPORTED, rows))
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}") from None
    return len(rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
