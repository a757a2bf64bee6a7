"""Would another model do? A sample of a published dataset annotated again, and what changes with it.

Models are switched off; a dataset that is to grow needs a successor for the one that made it. `migrate` asks
another model what the first was asked about a sample of the rows, and says how far the two agree, which of
them is nearer to the original labels, and what the whole dataset would cost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..records import Annotation, Reply, digest
from .annotation import Work, run
from .migrating.compare import Comparison, Row, compare
from .migrating.costs import Projection, Spent, project, spent_on
from .migrating.files import write_results
from .migrating.options import MigrateOptions as MigrateOptions
from .migrating.questions import NewQuestions, new_questions
from .migrating.sample import Sample, draw
from .migrating.source import Asked, Source, read_asked, read_source
from .options import BuildOptions, Member
from .panel.members import make_member
from .planning import check_budget
from .reporting import Reporter
from .requests import public_name
from .workspace import workspace

if TYPE_CHECKING:
    from ..engine import EngineOptions
    from ..protocols import Annotator

RECIPE = "migrate"
FOLDER = ".remelt/migrate"


@dataclass(frozen=True)
class Side:
    """One of the two annotators.

    Attributes:
        retires: ISO date on which its model is switched off, where that is known.
        answered_by: replies of the sample by the model that answered, as the server named it.
        first, last: when they came, UTC in ISO 8601; None where it is not known.
    """

    name: str
    model: str
    endpoint: str
    retires: str | None
    answered_by: Mapping[str, int]
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Migration:
    """What a migration would change.

    Attributes:
        out: the dataset, in which nothing is changed.
        folder: where journal and results lie.
        old, new: the annotators.
        prompt: the name of the prompt that the new one was shown; None for none.
        sample: the rows that were drawn.
        seed: of the sample and the bootstrap.
        rows: the sample's rows with both labels.
        comparison: how far the two agree.
        spent: what the sample has taken.
        projection: what the whole dataset would take.
        notes: what to know of the numbers, one sentence each.
    """

    out: Path
    folder: Path
    old: Side
    new: Side
    prompt: str | None
    sample: Sample
    seed: int
    rows: tuple[Row, ...]
    comparison: Comparison
    spent: Spent
    projection: Projection
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by what came of them: asked, valid, invalid, refused, error, compared."""
        statuses = Counter(row.status for row in self.rows)
        return {
            "asked": len(self.rows),
            **{name: statuses[name] for name in ("valid", "invalid", "refused", "error")},
            "compared": self.comparison.score.rows,
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything but the rows, under the keys that docs/model-life.md describes."""
        from .migrating.files import comparison_dict

        return {
            "format": 1,
            "dataset": str(self.out),
            "folder": str(self.folder),
            "old": asdict(self.old),
            "new": asdict(self.new),
            "prompt": self.prompt,
            "sample": {
                "seed": self.seed,
                "rows": len(self.rows),
                "of": self.sample.population,
                "strata": self.sample.as_dicts(),
            },
            "counts": self.counts,
            **comparison_dict(self.comparison),
            "spent": asdict(self.spent),
            "projection": asdict(self.projection),
            "notes": list(self.notes),
        }


def migrate(out: str | Path, options: MigrateOptions, reporter: Reporter | None = None) -> Migration:
    """Annotates a sample of a published dataset again with another model, and compares the two.

    The sample is drawn by split and published label, in proportion but with a row of each where that is
    possible. The messages are sent as they were sent (they are in the dataset), with the same parameters and
    the same schema; no corpus is needed. Every reply goes into a journal of the migration's own: the same
    call goes on after an interruption, and asks nothing twice. Nothing in the dataset's data changes.

    Args:
        out: the dataset folder, with its replies.
        options: see `MigrateOptions`.
        reporter: is told what happens.

    Returns:
        What was found; also written to `migration.json`, `change_matrix.csv` and `rows.csv` in its folder.

    Raises:
        InputError: a dataset without replies or messages, an option that cannot be used.
        AnnotatorError: the new model can answer nothing.
        Interrupted: stopped before the end; the same call goes on.
    """
    reporter = reporter or Reporter()
    it = _prepare(Path(out), options, reporter)
    with workspace(it.folder, RECIPE, str(it.source.manifest["corpus"]["name"])) as journal:
        reporter.stage(
            f"Asking {it.annotator.name} about {len(it.asked):,} of {it.sample.population:,} rows that "
            f"{it.source.name} has labelled"
        )
        new = it.questions
        work = Work(new.requests, it.annotator, new.check, new.conversation, it.engine)
        annotations, _ = run(work, journal, reporter)
        migration = _result(it, options, annotations)
        write_results(it.folder, migration.as_dict(), migration.rows, migration.comparison)
    return migration


@dataclass(frozen=True)
class _Prepared:
    """Everything that is known before anything is asked."""

    source: Source
    sample: Sample
    asked: Sequence[Asked]
    annotator: Annotator
    engine: EngineOptions
    questions: NewQuestions
    folder: Path


def _prepare(out: Path, options: MigrateOptions, reporter: Reporter) -> _Prepared:
    reporter.stage(f"Reading {out}")
    source = read_source(out, options.of, options.splits)
    sample = draw(source.rows, options.sample, options.seed)
    asked = read_asked(source, sample.places)
    annotator, engine = _annotator(source, options)
    questions = new_questions(source, asked, annotator, options)
    check_budget(annotator, questions.requests, engine.budget)
    for note in questions.notes:
        reporter.notice(note)
    return _Prepared(
        source, sample, asked, annotator, engine, questions, options.to or _folder(source, annotator)
    )


def _annotator(source: Source, options: MigrateOptions) -> tuple[Annotator, EngineOptions]:
    from ..engine import EngineOptions

    engine = options.engine
    if engine is None:
        known = source.retries
        engine = EngineOptions() if known is None else EngineOptions(retries=known)
    build = BuildOptions(
        corpus="",
        out=source.out,
        annotator=options.annotator,
        engine=engine,
        connection=options.connection,
    )
    _, own, annotator = make_member(build, Member(options.annotator), source.splits)
    assert own.engine is not None
    return annotator, own.engine


def _folder(source: Source, annotator: Annotator) -> Path:
    """A folder for each new model and server; it has a name that any file system takes."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", public_name(annotator.name)).strip("-.")[:60]
    return source.out / FOLDER / f"{name}-{digest([annotator.model, annotator.endpoint, source.name])[:8]}"


def _result(it: _Prepared, options: MigrateOptions, annotations: Sequence[Annotation]) -> Migration:
    source, sample = it.source, it.sample
    rows = tuple(_row(*pair, sample) for pair in zip(it.asked, annotations, strict=True))
    comparison = compare(
        rows,
        [stratum.rows for stratum in sample.strata],
        source.labels.labels,
        (source.member["schema"]["json"], it.questions.schema),
        ("original",) if source.alone else ("original", "published"),
        options.resamples,
        options.seed,
    )
    old = _side(source.member, [reply for one in it.asked for reply in one.replies])
    record = {
        "name": public_name(it.annotator.name),
        "model": it.annotator.model,
        "endpoint": it.annotator.endpoint,
        "retires": getattr(it.annotator, "retires", None),
    }
    new = _side(record, [reply for annotation in annotations for reply in annotation.replies])
    return Migration(
        out=source.out,
        folder=it.folder,
        old=old,
        new=new,
        prompt=it.questions.prompt,
        sample=sample,
        seed=options.seed,
        rows=rows,
        comparison=comparison,
        spent=spent_on(annotations),
        projection=_projection(it, options, annotations),
        notes=(*it.questions.notes, *it.annotator.notices, *_notes(sample, comparison, (old, new))),
    )


def _row(one: Asked, annotation: Annotation, sample: Sample) -> Row:
    utterance, verdict = one.request.utterance, annotation.verdict
    old, new = ((v.label, v.answer) if v.status == "valid" else (None, None) for v in (one.verdict, verdict))
    return Row(
        id=utterance.id,
        split=utterance.split,
        stratum=sample.places[utterance.id],
        published=one.label,
        original=utterance.label,
        old=old[0],
        new=new[0],
        status=verdict.status,
        old_answer=old[1],
        new_answer=new[1],
    )


def _side(record: Mapping[str, Any], replies: Sequence[Reply]) -> Side:
    times = [reply.created for reply in replies if reply.created]
    return Side(
        name=str(record["name"]),
        model=str(record["model"]),
        endpoint=str(record["endpoint"]),
        retires=record.get("retires"),
        answered_by=dict(sorted(Counter(reply.model for reply in replies).items())),
        first=min(times, default=None),
        last=max(times, default=None),
    )


def _projection(it: _Prepared, options: MigrateOptions, annotations: Sequence[Annotation]) -> Projection:
    from ..annotators import known_models

    strata = it.sample.strata
    places = [it.sample.places[annotation.utterance.id] for annotation in annotations]
    free = getattr(it.annotator, "estimate", None) is None
    prices = options.connection.prices if options.connection else None
    return project(
        annotations,
        [strata[place].rows / strata[place].drawn for place in places],
        it.source.whole / sum(stratum.rows for stratum in strata if stratum.drawn),
        None if free else known_models.find(it.annotator.model, prices),
        rows=it.source.whole,
        free=free,
        batched=bool(getattr(it.annotator, "batched", False)),
        concurrency=it.engine.concurrency,
    )


def _notes(sample: Sample, comparison: Comparison, sides: Sequence[Side]) -> Iterator[str]:
    """What to know of the numbers."""
    from ..annotators.retirement import sentence

    for side in sides:
        if side.retires:
            yield sentence(side.model, side.retires)
        if others := [name for name in side.answered_by if name != side.model]:
            yield f"{side.model} was asked, {', '.join(map(repr, others))} answered"
    few = sum(1 for stratum in sample.strata if stratum.drawn == 1 < stratum.rows)
    if few:
        yield (
            f"{few:,} of {len(sample.strata):,} strata (split and label) have a single row in the sample, "
            "which has no spread: the intervals for the whole dataset are too narrow there"
        )
    empty = sum(not stratum.drawn for stratum in sample.strata)
    if empty:
        yield f"{empty:,} of {len(sample.strata):,} strata have no row in the sample, which is too small"
    if comparison.covered < 1:
        yield f"The figures for the whole dataset stand for {100 * comparison.covered:.1f} % of its rows"
