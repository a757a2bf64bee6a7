"""Measures the sound of a corpus and shows how its levels fall on emotions and sexes; no model is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...records import Utterance
from ..reporting import Reporter
from ..workspace import workspace
from .clips import job
from .levelling import audible, backend_record, bins_record, fit_levels, fit_one, levels_of

if TYPE_CHECKING:
    from ...audit.levels import Crossing
    from ...corpora import Corpus, TableMapping
    from ...voice.acoustics import Backend
    from ...voice.analysis import Analysis, Job
    from ...voice.bins import By, Scheme
    from ...voice.quality import PeakSpread
    from ..parts.options import PartOptions

RECIPE = "voice"
CORPUS_WIDE = "pitch_level_corpus"
TITLES = {
    "pitch_level": "Pitch",
    "loudness_level": "Loudness",
    "rate_level": "Syllable rate",
    CORPUS_WIDE: "Pitch within the corpus",
}


@dataclass(frozen=True)
class MeasureOptions:
    """What to measure, and how.

    Attributes:
        corpus: corpus folder or table file; `sample` for the bundled corpus.
        out: the folder to write to.
        corpus_name, mapping: as for `corpora.load`.
        splits: only these; all by default.
        acoustics: name of an acoustics backend.
        functionals: also measure the 88 functionals of eGeMAPSv02.
        processes: how many processes decode and measure.
        pitch_by: auto, speaker, sex or corpus (see `voice.bins.fit`).
        bins_from: the split the quantiles come from, or `all`; None for train, and for all rows where there
            is no train.
        parts: of an `engine` `ray`: the workers that decode and measure; None for `processes` here.
    """

    corpus: str
    out: Path
    corpus_name: str | None = None
    mapping: TableMapping | None = None
    splits: Sequence[str] | None = None
    acoustics: str = "default"
    functionals: bool = False
    processes: int = 1
    pitch_by: By = "auto"
    bins_from: str | None = None
    parts: PartOptions | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        corpus: as it was read.
        backend: name, version, licence, notice and measures of the acoustics backend.
        analyses: utterance id -> what was heard; utterances without a clip are not in it.
        schemes: level column -> its limits.
        levels: utterance id -> level column -> low, mid, high or None; also `pitch_level_corpus`, the level
            of pitch against the whole corpus.
        crossings: (`label` or `sex`, level column) -> counts.
        peaks: how the clips' peaks vary.
        notes: sentences the user should read.
        files: the files written, relative to the folder.
    """

    corpus: Corpus
    backend: Backend
    analyses: Mapping[str, Analysis]
    schemes: Mapping[str, Scheme]
    levels: Mapping[str, Mapping[str, str | None]]
    crossings: Mapping[tuple[str, str], Crossing]
    peaks: PeakSpread
    notes: tuple[str, ...]
    files: tuple[str, ...] = field(default=())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """split -> utterances, and of these `no_clip`, `no_sound` and `measured`, which add up."""
        found: dict[str, dict[str, int]] = {}
        for utterance in self.corpus.utterances:
            row = found.setdefault(
                utterance.split, {"utterances": 0, "no_clip": 0, "no_sound": 0, "measured": 0}
            )
            row["utterances"] += 1
            row[self.state(utterance)] += 1
        return found

    @property
    def flags(self) -> dict[str, int]:
        """Quality flag -> clips, the most frequent first."""
        counts = Counter(flag for utterance in self.corpus.utterances for flag in self.flags_of(utterance))
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def flags_of(self, utterance: Utterance) -> tuple[str, ...]:
        """The faults of an utterance's clip, one that is not there included."""
        analysis = self.analyses.get(utterance.id)
        if analysis is not None:
            return analysis.quality.flags
        return ("clip_missing",) if "clip_missing" in utterance.flags else ()

    def state(self, utterance: Utterance) -> str:
        """`no_clip`, `no_sound` (the clip cannot be used) or `measured`."""
        analysis = self.analyses.get(utterance.id)
        if analysis is None:
            return "no_clip"
        return "measured" if analysis.quality.usable else "no_sound"


def measure(options: MeasureOptions, reporter: Reporter | None = None) -> Measured:
    """Decodes, checks and measures every clip, makes levels, and writes tables and figures.

    What was measured stays in `OUT/.remelt/voice`: a second run, or one that goes on after an interruption,
    decodes only what is new.

    Args:
        options: see `MeasureOptions`.
        reporter: told what happens.

    Raises:
        InputError: the corpus cannot be read or has no clips, an option is wrong, a package is missing, or
            the folder belongs to something else.
    """
    from ... import corpora
    from ...voice import acoustics
    from .measured_files import write

    reporter = reporter or Reporter()
    backend = acoustics.create(options.acoustics, options.functionals)
    corpus = corpora.load(
        options.corpus, name=options.corpus_name, splits=options.splits, mapping=options.mapping
    )
    _check(options, corpus)
    jobs = [job(u, corpus.folder) for u in corpus.utterances if u.clip]
    if not jobs:
        raise InputError(
            f"No utterance of {corpus.name} has a clip in {corpus.folder}; there is nothing to hear"
        )
    with workspace(options.out, RECIPE, corpus.name, corpus.folder):
        reporter.stage(f"Listening to {len(jobs):,} clips of {corpus.name} ({backend.name})")
        analyses = _analyse(jobs, options, corpus.folder, reporter)
        found = _result(corpus, backend, analyses, options)
        reporter.stage("Writing tables and figures")
        return write(found, options.out)


def _check(options: MeasureOptions, corpus: Corpus) -> None:
    choices = ["all", *corpus.splits]
    if options.bins_from is not None and options.bins_from not in choices:
        raise InputError(bad_value("split for the quantiles", options.bins_from, choices))


def _analyse(
    jobs: Sequence[Job], options: MeasureOptions, folder: Path, reporter: Reporter
) -> dict[str, Analysis]:
    from ...voice.analysis import AnalysisOptions, analyse

    how = AnalysisOptions(
        acoustics=options.acoustics, functionals=options.functionals, processes=options.processes
    )
    pool, kept = None, options.out / ".remelt" / "voice"
    if options.parts is not None and options.parts.engine == "ray":
        from ..cluster.mapping import RayPool

        pool = partial(RayPool, options.parts, options.out.resolve(), folder.resolve())
        jobs, kept = [_absolute(one) for one in jobs], kept.resolve()
    found: dict[str, Analysis] = {}
    for analysis in analyse(jobs, how, kept, pool):
        found[analysis.key] = analysis
        reporter.counted(len(found), len(jobs), "clips")
    return found


def _absolute(job: Job) -> Job:
    return replace(job, source=replace(job.source, path=job.source.path.resolve()))


def _result(
    corpus: Corpus, backend: Backend, analyses: Mapping[str, Analysis], options: MeasureOptions
) -> Measured:
    from ...voice.bins import LEVEL_MEASURES, BinOptions
    from ...voice.quality import peak_normalised

    bins = BinOptions(split=options.bins_from or "train", pitch_by=options.pitch_by)
    measures = {key: audible(found.measures, found.quality.flags) for key, found in analyses.items()}
    schemes = fit_levels(corpus.utterances, measures, bins)
    wide = fit_one(corpus.utterances, measures, LEVEL_MEASURES["pitch_level"], "corpus", bins)
    levels: dict[str, dict[str, str | None]] = {}
    for utterance in corpus.utterances:
        own = measures.get(utterance.id, {})
        wide_level = levels_of(utterance, own, {"pitch_level": wide})["pitch_level"]
        levels[utterance.id] = {**levels_of(utterance, own, schemes), CORPUS_WIDE: wide_level}
    peaks = peak_normalised(a.quality.peak_db for a in analyses.values())
    # Where pitch is compared with the whole corpus anyway, the second column would repeat the first.
    same = all(found["pitch_level"] == found[CORPUS_WIDE] for found in levels.values())
    columns = [column for column in TITLES if column != CORPUS_WIDE or not same]
    crossings = _crossings(corpus, levels, columns)
    notes = _notes(peaks, backend, crossings)
    return Measured(corpus, backend, analyses, schemes, levels, crossings, peaks, notes)


def _crossings(
    corpus: Corpus, levels: Mapping[str, Mapping[str, str | None]], columns: Sequence[str]
) -> dict[tuple[str, str], Crossing]:
    from ...audit.levels import cross

    found = {}
    for by in ("label", "sex"):
        names = [getattr(u, by) for u in corpus.utterances]
        if any(names):
            for column in columns:
                found[by, column] = cross(names, [levels[u.id][column] for u in corpus.utterances])
    return found


def _notes(
    peaks: PeakSpread, backend: Backend, crossings: Mapping[tuple[str, str], Crossing]
) -> tuple[str, ...]:
    said = [backend.notice] if backend.notice else []
    if peaks.normalised:
        said.append(
            f"The clips' peaks vary by {peaks.std_db:.1f} dB only: they were brought to one peak, so that "
            "loudness levels say little about how loud anybody spoke."
        )
    said += _about_sex(crossings)
    return tuple(said)


def _about_sex(crossings: Mapping[tuple[str, str], Crossing]) -> list[str]:
    """How far pitch levels tell the sex, against the whole corpus and as they are used."""
    own, wide = (
        None if table is None else table.association
        for table in (crossings.get(("sex", column)) for column in ("pitch_level", CORPUS_WIDE))
    )
    if own is None:
        return []
    chance = f"(by chance about {own.expected_v:.2f})"
    if wide is not None:
        return [
            f"Sex and pitch level have Cramér's V {wide.v:.2f} against the whole corpus and {own.v:.2f} as "
            f"used here {chance}."
        ]
    said = f"Sex and pitch level have Cramér's V {own.v:.2f} {chance}"
    if own.v <= 2 * own.expected_v:
        return [f"{said}."]
    return [f"{said}: these levels tell who speaks; comparing by speaker or sex takes that out."]


def as_dict(found: Measured) -> dict[str, Any]:
    """Everything but the rows, as `voice.json` has it."""
    backend = found.backend
    return {
        "format": 1,
        "corpus": {"name": found.corpus.name, "licence": found.corpus.licence},
        "counts": found.counts,
        "flags": found.flags,
        "acoustics": {**backend_record(backend), "measures": list(backend.measures)},
        "summary": _summary(found),
        "bins": bins_record(found.schemes),
        "peaks": asdict(found.peaks),
        "levels": {
            by: {c: table.as_dict() for (b, c), table in found.crossings.items() if b == by}
            for by in dict.fromkeys(by for by, _ in found.crossings)
        },
        "notes": [*found.corpus.notes, *found.notes],
        "files": list(found.files),
    }


def _summary(found: Measured) -> dict[str, dict[str, float | int]]:
    """measure -> number of values, their mean, standard deviation (population), least, median and most."""
    import numpy as np

    summary: dict[str, dict[str, float | int]] = {}
    for name in found.backend.measures:
        values = np.array(
            [v for a in found.analyses.values() if (v := a.measures.get(name)) is not None], dtype=np.float64
        )
        values = values[np.isfinite(values)]
        summary[name] = {"values": len(values)}
        if len(values):
            summary[name] |= {
                "mean": float(values.mean()),
                "std": float(values.std()),
                "min": float(values.min()),
                "median": float(np.median(values)),
                "max": float(values.max()),
            }
    return summary
