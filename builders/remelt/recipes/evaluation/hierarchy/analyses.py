"""What the hierarchy shows besides scores: thresholds, what text corrects, each model alone, new labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....evaluation.metrics import measures
from ....evaluation.predictions import Predictions
from ....evaluation.threshold import Answers, Corrected, Point, corrected, decide, sweep
from ....publishing.parquet import write_bytes
from ...reporting import Reporter
from ..base import Analysis, Setup, Trial
from . import figure
from .rows import folds
from .settings import NEUTRAL, SPEECH_ONLY, WITH_TEXT, Settings, variant_of
from .stages import M1, M2, M3, Job, kept_answers, kept_predictions, reference_of, threshold_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GRID = tuple(round(0.01 * step, 2) for step in range(61))
_FOLDS = "folds"
# Acted corpora have a few fixed sentences, each said with every emotion.
_FEW_TEXTS = 20
_PAPER = (
    "The paper reports that text corrects 59.5 % (speaker-dependent) and 44.6 % (speaker-independent) of the "
    "emotional IEMOCAP utterances that the LSTM calls neutral."
)
_SLIP = (
    "The paper counts 5,331 utterances of IEMOCAP; the same four classes are 5,531 everywhere else. Either "
    "is taken here."
)


@dataclass(frozen=True)
class Said:
    """What the models of a trial said of one test part.

    Attributes:
        job: the trial.
        part: name of the test.
        answers: of the models.
        threshold: that the trial decides with.
    """

    job: Job
    part: str
    answers: Answers
    threshold: float

    @property
    def test(self) -> str:
        """The test's name, one for all folds."""
        return _FOLDS if self.part == self.job.fold.name else self.part

    @property
    def reference(self) -> NDArray[Any]:
        """The class numbers."""
        return reference_of(self.job, self.part)


Cells = Mapping[tuple[str, str, str], Mapping[int, Sequence[Said]]]


def of(setup: Setup, results: Mapping[Trial, Sequence[Predictions]], folder: Path) -> Sequence[Analysis]:
    """All analyses.

    Args:
        folder: for the figure and the tables of new labels.
    """
    jobs = _jobs(setup, results)
    found = [_rows(jobs), _stages(jobs)]
    texts = [job for job in jobs if variant_of(job.trial.variant)[1] == WITH_TEXT]
    cells = _cells(texts)
    if cells:
        found += [_thresholds(cells, folder), _corrections(cells), _with_against_without(setup, results)]
        found.append(_relabelled(cells, folder))
    return [one for one in found if one.data]


def _jobs(setup: Setup, results: Mapping[Trial, Sequence[Predictions]]) -> list[Job]:
    known: dict[tuple[str, int], dict[str, Any]] = {}
    found = []
    for trial in results:
        key = (trial.condition, trial.seed)
        if key not in known:
            known[key] = {fold.name: fold for fold in folds(setup, *key)}
        found.append(Job(trial, setup, known[key][trial.fold], Reporter()))
    return found


def _cells(jobs: Sequence[Job]) -> dict[tuple[str, str, str], dict[int, list[Said]]]:
    """Condition, speech model and test -> seed -> what was said, fold after fold."""
    found: dict[tuple[str, str, str], dict[int, list[Said]]] = {}
    for job in jobs:
        answers = kept_answers(job)
        if answers is None:
            continue
        threshold = threshold_of(job, answers)
        for part in job.fold.tests:
            said = Said(job, part, answers[part], threshold)
            key = (job.trial.condition, variant_of(job.trial.variant)[0], said.test)
            found.setdefault(key, {}).setdefault(job.trial.seed, []).append(said)
    return found


def _named(key: tuple[str, str, str]) -> dict[str, Any]:
    return dict(zip(("labels", "speech", "test"), key, strict=True))


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return round(float(np.mean(known)), 4) if known else None


def _rows(jobs: Sequence[Job]) -> Analysis:
    """How many rows each fold has."""
    settings: Settings = jobs[0].settings
    table = {}
    for job in jobs:
        split = job.fold.split
        for part, rows in job.fold.tests.items():
            counts = {"train": split.train, "validation": split.validation, "rows tested": rows}
            table[job.trial.condition, job.fold.name, part] = {
                "labels": job.trial.condition,
                "fold": job.fold.name,
                "test": part,
                **{name: len(found) for name, found in counts.items()},
                **{f"{label} tested": sum(row.label == label for row in rows) for label in settings.labels},
            }
    first = jobs[0].fold
    corpus = first.split.train[0].corpus
    total = len(
        {row.id for job in jobs for part in job.parts.values() for row in (*job.fold.split.train, *part)}
    )
    notes = [f"{total:,} utterances of the classes {', '.join(settings.labels)} in all."]
    notes += dict.fromkeys(note for job in jobs for note in job.fold.split.notes)
    notes += [_SLIP] if corpus == "iemocap" else []
    texts = {" ".join((row.text or "").casefold().split()) for job in jobs for row in job.rows}
    if WITH_TEXT in settings.inputs and len(texts) <= _FEW_TEXTS:
        notes.append(
            f"All rows together have {len(texts)} different texts, so words cannot tell the classes "
            "apart: what text changes here is chance."
        )
    return Analysis("rows", "Rows that train, validate and test", list(table.values()), notes=tuple(notes))


def _points(by_seed: Mapping[int, Sequence[Said]], thresholds: Sequence[float]) -> list[list[Point]]:
    """The scores of each seed at each threshold, all folds together."""
    found = []
    for parts in by_seed.values():
        whole = Answers(
            parts[0].answers.labels,
            np.concatenate([one.answers.emotional for one in parts]),
            np.concatenate([one.answers.emotions for one in parts]),
            np.concatenate([np.asarray(one.answers.text) for one in parts]),
        )
        found.append(list(sweep(whole, np.concatenate([one.reference for one in parts]), thresholds)))
    return found


def _thresholds(cells: Cells, folder: Path) -> Analysis:
    """The table over thresholds with its figure."""
    table, curves = [], {}
    for key, by_seed in cells.items():
        parts = [one for some in by_seed.values() for one in some]
        settings, labels = parts[0].job.settings, parts[0].answers.labels
        chosen = [one.threshold for one in parts]
        asked = sorted({0.0, 0.5, *settings.thresholds, *chosen})
        for points in zip(*_points(by_seed, asked), strict=True):
            scores = {"UA": _mean([p.ua for p in points]), "WA": _mean([p.wa for p in points])}
            for k, label in enumerate(labels):
                scores[f"{label} precision"] = _mean([p.precision[k] for p in points])
                scores[f"{label} recall"] = _mean([p.recall[k] for p in points])
            used = sum(value == points[0].threshold for value in chosen)
            share = f"{used} of {len(chosen)}"
            table.append({**_named(key), "threshold": points[0].threshold, **scores, "chosen": share})
        curves[key] = figure.Curve(_of_seeds(_points(by_seed, _GRID), labels.index(NEUTRAL)), tuple(chosen))
    write_bytes(figure.drawn(curves), folder / "thresholds.svg")
    return Analysis(
        "thresholds",
        "Scores over the threshold of the text model",
        table,
        f"{folder.name}/thresholds.svg",
        (
            "Threshold 0 is speech alone; from 0.5 on the text model decides wherever speech says neutral. "
            "'chosen': trainings whose validation rows chose the threshold by UA (of equals the smallest); "
            "picking the best row of this table instead would be picking on test rows.",
        ),
    )


def _of_seeds(points: Sequence[Sequence[Point]], neutral: int) -> list[figure.Place]:
    """Neutral precision and recall, and UA, over the grid, as means of the seeds."""
    found = []
    for each in zip(*points, strict=True):
        precision = [point.precision[neutral] for point in each]
        recall = [point.recall[neutral] for point in each]
        values = (_mean(precision), _mean(recall), _mean([point.ua for point in each]))
        found.append(
            figure.Place(each[0].threshold, *(float("nan") if value is None else value for value in values))
        )
    return found


def _corrections(cells: Cells) -> Analysis:
    """What the text model makes of emotional rows that speech calls neutral."""
    table = []
    for key, by_seed in cells.items():
        each = [
            corrected(one.answers, one.reference, one.threshold) for some in by_seed.values() for one in some
        ]
        total = Corrected(**{f.name: sum(getattr(one, f.name) for one in each) for f in fields(Corrected)})
        table.append(
            {
                **_named(key),
                "emotional called neutral": total.missed,
                "text is right": total.right,
                "share": _rounded(total.share),
                "text says any emotion": total.emotional,
                "right at the threshold": total.applied,
                "neutral spoilt at the threshold": total.spoilt,
            }
        )
    notes = (
        "'share' is 'text is right' of 'emotional called neutral', whatever the threshold. Of several seeds "
        "all rows are counted. " + _PAPER,
    )
    return Analysis("corrections", "Emotional rows that speech calls neutral", table, notes=notes)


def _stages(jobs: Sequence[Job]) -> Analysis:
    """Each model by itself on test rows of its own classes."""
    found: dict[tuple[str, ...], list[dict[str, float]]] = {}
    seen: set[tuple[str, ...]] = set()
    for job in jobs:
        speech, inputs = variant_of(job.trial.variant)
        for name in (M1, M2, *((M3,) if inputs == WITH_TEXT else ())):
            said = kept_predictions(job, name) or {}
            for part, rows in job.fold.tests.items() if said else ():
                own = _own_rows(said[part], [row.label != NEUTRAL or name != M2 for row in rows])
                test = _FOLDS if part == job.fold.name else part
                whose = "text" if name == M3 else speech
                key = (job.trial.condition, name.upper(), whose, test)
                once = (*key, str(job.trial.seed), job.fold.name)
                if len(own.ids) and once not in seen:
                    seen.add(once)
                    found.setdefault(key, []).append({"rows": float(len(own.ids)), **measures(own)})
    data = [
        {
            **dict(zip(("labels", "model", "on", "test"), key, strict=True)),
            "trainings": len(some),
            "rows": int(sum(one["rows"] for one in some)),
            "UA": _mean([one["uar"] for one in some]),
            "WA": _mean([one["accuracy"] for one in some]),
        }
        for key, some in found.items()
    ]
    notes = (
        "M1: emotional or neutral. M2: the emotions, on rows that are emotional. M3: all classes from words. "
        "Means over trainings (folds and seeds).",
    )
    return Analysis("models", "The three models by themselves", data, notes=notes)


def _own_rows(said: Predictions, kept: Sequence[bool]) -> Predictions:
    chosen = np.flatnonzero(kept)
    return Predictions(
        said.test,
        tuple(said.ids[k] for k in chosen),
        tuple(said.groups[k] for k in chosen),
        said.labels,
        said.reference[chosen],
        said.scores[chosen],
    )


def _with_against_without(setup: Setup, results: Mapping[Trial, Sequence[Predictions]]) -> Analysis:
    """Text or no text, on the same rows with the same models of speech."""
    from ..results import cells_of, difference

    cells = cells_of({trial: tuple(some) for trial, some in results.items()})
    table = []
    for cell, runs in cells.items():
        speech, inputs = variant_of(cell.variant)
        other = type(cell)(cell.condition, f"{speech}_{SPEECH_ONLY}", cell.test)
        if inputs != WITH_TEXT or other not in cells:
            continue
        told = difference(cells[other], runs, setup.options.resamples)
        if isinstance(told, str):
            continue
        for score, shown in (("uar", "UA"), ("accuracy", "WA")):
            one = told["differences"][score]
            table.append(
                {
                    **_named((cell.condition, speech, cell.test)),
                    "score": shown,
                    "speech alone": one["a"],
                    "with text": one["b"],
                    "difference": one["value"],
                    **{name: one[name] for name in ("low", "high", "p")},
                }
            )
    notes = ("Paired bootstrap; the interval is of 95 %.",)
    return Analysis("with_text", "What text adds to speech", table, notes=notes)


def _relabelled(cells: Cells, folder: Path) -> Analysis:
    """Tables of the labels that were decided for, which `replay:FILE` reads as an annotator's."""
    table = []
    for key, by_seed in cells.items():
        parts = next(iter(by_seed.values()))
        rows = [line for one in parts for line in _lines(one)]
        name = "-".join(("reclassified", *key)).replace("/", "_") + ".csv"
        write_bytes(_csv(rows), folder / name)
        table.append(
            {
                **_named(key),
                "file": f"{folder.name}/{name}",
                "rows": len(rows),
                "neutral by speech": sum(row["speech_label"] == NEUTRAL for row in rows),
                "changed by text": sum(row["speech_label"] != row["new_label"] for row in rows),
            }
        )
    notes = (
        "One line per tested row, of the first seed: 'new_label' is the decision, 'speech_label' that of "
        "speech alone. The tables are annotators: --annotator replay:FILE. With folds every row of the "
        "corpus is tested once, by models that were not trained on it.",
    )
    return Analysis("reclassified", "Labels by speech and text, for use as an annotator", table, notes=notes)


def _lines(one: Said) -> list[dict[str, Any]]:
    labels = one.answers.labels
    final, heard = decide(one.answers, one.threshold), decide(one.answers, 0.0)
    text = np.asarray(one.answers.text)
    return [
        {
            "id": row.id,
            "new_label": labels[final[k]],
            "speech_label": labels[heard[k]],
            "text_label": labels[one.answers.by_text[k]],
            "corpus_label": row.label,
            "text_neutral": round(float(text[k, labels.index(NEUTRAL)]), 4),
            "threshold": one.threshold,
        }
        for k, row in enumerate(one.job.parts[one.part])
    ]


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode("utf-8", "surrogatepass")
