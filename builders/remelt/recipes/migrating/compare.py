"""How far two annotators agree, and which of them is nearer to the original labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ...audit import ChangeMatrix, Rate
    from ...audit.agreement_scores import Score
    from ...audit.descriptions import Value

_LABEL = "x-remelt-label"


@dataclass(frozen=True)
class Row:
    """One row of the sample.

    Attributes:
        stratum: its place among the sample's strata.
        published: the dataset's label.
        original: the corpus's own label; None where it has none.
        old, new: what the two annotators say; None without a usable answer.
        status: of the new annotator's answer.
        old_answer, new_answer: the whole answers, where they could be used.
    """

    id: str
    split: str
    stratum: int
    published: str
    original: str | None
    old: str | None
    new: str | None
    status: str
    old_answer: Mapping[str, Any] | None = None
    new_answer: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LabelAgreement:
    """One label on both sides.

    Attributes:
        kept: of the rows that the old annotator gave this label, those where the new one gives it, too.
        specific: share of both sides' mentions that agree, 2 both / (old + new); None without any.
        goes_to: the other label that the new annotator gives most often instead, with its count.
    """

    label: str
    old: int
    new: int
    kept: Rate
    specific: float | None
    goes_to: tuple[str, int] | None


@dataclass(frozen=True)
class Nearer:
    """Both annotators against a reference, over the rows that carry all three labels.

    Attributes:
        old, new: each against the reference (accuracy is the share of equal labels).
        only_old, only_new: rows where only the one has the reference's label.
        p: that the two are equally near, exact and two-sided (McNemar 1947); None where they never differ.
    """

    old: Score
    new: Score
    only_old: int
    only_new: int
    p: float | None


@dataclass(frozen=True)
class FieldAgreement:
    """Another field of the answers that has a list of values."""

    name: str
    same: Rate
    kappa: float | None


@dataclass(frozen=True)
class Comparison:
    """What the two annotators' answers have in common.

    Attributes:
        labels: those chosen from.
        score: of the sample as it was drawn: the new annotator against the old one.
        matrix: rows = old, columns = new.
        each: label by label.
        whole: the same measures for all rows of the splits, each stratum with its own weight: accuracy, uar,
            f1, kappa; None where nothing can be compared.
        covered: share of these rows whose strata have a compared row.
        references: `original` (the corpus's own labels) and, with several annotators, `published`.
        fields: other fields of the answers with a list of values.
    """

    labels: tuple[str, ...]
    score: Score
    matrix: ChangeMatrix
    each: tuple[LabelAgreement, ...]
    whole: Mapping[str, Value] | None
    covered: float
    references: Mapping[str, Nearer]
    fields: tuple[FieldAgreement, ...]


def compare(
    rows: Sequence[Row],
    sizes: Sequence[int],
    labels: Sequence[str],
    schemas: tuple[Mapping[str, Any], Mapping[str, Any]],
    references: Sequence[str],
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compares the answers of the sample.

    Args:
        sizes: rows of the dataset in each stratum.
        labels: those chosen from.
        schemas: of the old and the new answers.
        references: attributes of a row to hold both against.
        resamples, seed: of the bootstrap; 0 resamples for no intervals.
    """
    from ...audit import change_matrix
    from ...audit.agreement_scores import interval, measures, score

    labels = tuple(labels)
    old, new = _codes(rows, "old", labels), _codes(rows, "new", labels)
    matrix = change_matrix(old, new, labels)
    stack, covered = _weighted(rows, old, new, sizes, len(labels), resamples, seed)
    found = {name: interval(values[0], values[1:]) for name, values in measures(stack).items()}
    return Comparison(
        labels=labels,
        score=score(new, old, len(labels), resamples, seed),
        matrix=matrix,
        each=tuple(_each(matrix)),
        whole=found if stack[0].any() else None,
        covered=covered,
        references={
            name: nearer for name in references if (nearer := _nearer(rows, name, labels, resamples, seed))
        },
        fields=tuple(_fields(rows, schemas)),
    )


def _codes(rows: Sequence[Row], side: str, labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    import numpy as np

    places = {label: n for n, label in enumerate(labels)}
    return np.array([places.get(getattr(row, side) or "", -1) for row in rows], dtype=np.int64)


def _weighted(
    rows: Sequence[Row],
    old: np.ndarray[Any, np.dtype[np.int64]],
    new: np.ndarray[Any, np.dtype[np.int64]],
    sizes: Sequence[int],
    count: int,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    """The matrix that all rows would have, with its bootstrap resamples, and the share of rows behind it.

    A compared row of a stratum stands for as many rows of the dataset as the stratum has for each of them;
    rows are drawn anew within their strata (the stratified bootstrap).
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    strata = np.array([row.stratum for row in rows], dtype=np.int64)
    both = (old >= 0) & (new >= 0)
    stack = np.zeros((1 + resamples, count * count))
    known = 0
    for place, size in enumerate(sizes):
        here = both & (strata == place)
        flat = np.bincount(old[here] * count + new[here], minlength=count * count)
        compared = int(flat.sum())
        if not compared:
            continue
        known += size
        stack[0] += flat * (size / compared)
        if resamples:
            used = np.flatnonzero(flat)
            drawn = rng.multinomial(compared, flat[used] / compared, size=resamples)
            stack[1:, used] += drawn * (size / compared)
    return stack.reshape(-1, count, count), known / sum(sizes)


def _each(matrix: ChangeMatrix) -> Iterator[LabelAgreement]:
    from ...audit import wilson

    for place, label in enumerate(matrix.labels):
        old, new = int(matrix.before[place]), int(matrix.after[place])
        both = int(matrix.counts[place, place])
        if not old + new:
            continue
        others = {n: int(c) for n, c in enumerate(matrix.counts[place]) if n != place and c}
        most = max(others, key=lambda n: (others[n], -n), default=None)
        yield LabelAgreement(
            label=label,
            old=old,
            new=new,
            kept=wilson(both, old),
            specific=2 * both / (old + new),
            goes_to=None if most is None else (matrix.labels[most], others[most]),
        )


def _nearer(
    rows: Sequence[Row], reference: str, labels: Sequence[str], resamples: int, seed: int
) -> Nearer | None:
    """None where no row carries the reference's label and both answers."""
    from ...audit.agreement_scores import score

    told = [r for r in rows if getattr(r, reference) is not None and r.old is not None and r.new is not None]
    if not told:
        return None
    names = tuple(dict.fromkeys((*labels, *sorted(str(getattr(row, reference)) for row in told))))
    known, old, new = (_codes(told, side, names) for side in (reference, "old", "new"))
    only_old = int(((old == known) & (new != known)).sum())
    only_new = int(((new == known) & (old != known)).sum())
    return Nearer(
        old=score(old, known, len(names), resamples, seed),
        new=score(new, known, len(names), resamples, seed),
        only_old=only_old,
        only_new=only_new,
        p=exact_p(only_old, only_new),
    )


def exact_p(one: int, other: int) -> float | None:
    """The probability of counts as far apart as these, or farther, were both equally likely; None for none.

    >>> exact_p(1, 7), exact_p(0, 0)
    (0.0703125, None)
    """
    total = one + other
    if not total:
        return None
    tail = sum(math.comb(total, k) for k in range(min(one, other) + 1))
    return min(1.0, float(2 * tail / 2**total))


def _fields(
    rows: Sequence[Row], schemas: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> Iterator[FieldAgreement]:
    import numpy as np

    from ...audit import change_matrix, wilson

    old, new = (dict(_categorical(schema)) for schema in schemas)
    for name in (name for name in old if name in new):
        pairs = [(_value(r.old_answer, name), _value(r.new_answer, name)) for r in rows]
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        if not both:
            continue
        values = sorted({value for pair in both for value in pair})
        codes = [np.array([values.index(pair[side]) for pair in both]) for side in (0, 1)]
        same = sum(a == b for a, b in both)
        matrix = change_matrix(codes[0], codes[1], tuple(values))
        yield FieldAgreement(name, wilson(same, len(both)), matrix.kappa())


def _categorical(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields of an answer that have a list of values, by their dotted names, but for the label."""

    def walk(node: Mapping[str, Any], above: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name, part in node.get("properties", {}).items():
            dotted = f"{above}{name}"
            if "enum" in part or part.get("type") == "boolean":
                yield dotted, part
            yield from walk(part, f"{dotted}.")

    return ((name, part) for name, part in walk(schema, "") if name != schema.get(_LABEL))


def _value(answer: Mapping[str, Any] | None, dotted: str) -> str | None:
    node: Any = answer
    for part in dotted.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return None if node is None else str(node)
