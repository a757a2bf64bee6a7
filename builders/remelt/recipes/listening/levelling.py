"""Levels of pitch, loudness and rate for the clips of a corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...records import Utterance

if TYPE_CHECKING:
    from ...voice.acoustics import Backend
    from ...voice.bins import BinOptions, BinRow, By, Scheme

Measures = Mapping[str, float | None]


def fit_levels(
    utterances: Iterable[Utterance], measures: Mapping[str, Measures], options: BinOptions
) -> dict[str, Scheme]:
    """The limits of each level column: pitch as `options.pitch_by` says, loudness and rate over the corpus.

    Args:
        utterances: all that take part, those without a clip too.
        measures: utterance id -> measure name -> value; an utterance or measure may be missing.
        options: quantiles, split, least number.

    Returns:
        `pitch_level`, `loudness_level` and `rate_level` with their schemes.
    """
    from ...voice.bins import LEVEL_MEASURES

    rows = list(utterances)
    return {
        column: fit_one(
            rows, measures, measure, options.pitch_by if column == "pitch_level" else "corpus", options
        )
        for column, measure in LEVEL_MEASURES.items()
    }


def fit_one(
    utterances: Iterable[Utterance],
    measures: Mapping[str, Measures],
    measure: str,
    by: By,
    options: BinOptions,
) -> Scheme:
    """The limits of one measure (see `voice.bins.fit`)."""
    from ...voice.bins import fit

    return fit(list(_rows(utterances, measures, measure)), by, options)


def levels_of(
    utterance: Utterance, measured: Measures, schemes: Mapping[str, Scheme]
) -> dict[str, str | None]:
    """The level of one utterance in each column of `fit_levels`."""
    from ...voice.bins import LEVEL_MEASURES

    return {
        column: scheme.level(bin_row(utterance, measured.get(LEVEL_MEASURES[column])))
        for column, scheme in schemes.items()
    }


def audible(measures: Measures, flags: Iterable[str]) -> Measures:
    """The measures that levels may be made of: none of a silent clip, which is not a low voice."""
    return {} if "silent" in flags else measures


def bin_row(utterance: Utterance, value: float | None) -> BinRow:
    """What the binning needs of an utterance."""
    from ...voice.bins import BinRow

    return BinRow(utterance.id, utterance.split, utterance.speaker, utterance.sex, value)


def _rows(
    utterances: Iterable[Utterance], measures: Mapping[str, Measures], measure: str
) -> Iterator[BinRow]:
    for utterance in utterances:
        yield bin_row(utterance, measures.get(utterance.id, {}).get(measure))


def backend_record(backend: Backend) -> dict[str, str]:
    """Who measured, for a manifest."""
    return {
        "backend": backend.name,
        "version": backend.version,
        "licence": backend.licence,
        "notice": backend.notice,
    }


def bins_record(schemes: Mapping[str, Scheme]) -> dict[str, Any]:
    """The scheme of each level column, for a manifest: measure, limits, counts, sentences on them."""
    from ...voice.bins import LEVEL_MEASURES

    return {
        column: {
            "measure": LEVEL_MEASURES[column],
            **scheme.as_dict(),
            "description": list(scheme.describe()),
        }
        for column, scheme in schemes.items()
    }
