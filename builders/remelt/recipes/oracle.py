"""`remelt oracle`: how often each annotator's sentiment is the oracle's, beside what MERITS-L reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..labels import SENTIMENT
from .sentiment_oracle import AUTO, NONE, VALENCE, Oracle, OracleOptions, find_oracle

if TYPE_CHECKING:
    from ..audit import ChangeMatrix
    from ..audit.descriptions import Value
    from ..records import Utterance

PUBLISHED_SOURCE = "Dutta & Ganapathy 2025 (MERITS-L), MSP-Podcast, valence"
# Model -> percent of the rows where its sentiment is the one of the valence.
PUBLISHED: Mapping[str, float] = {
    "GPT-3.5 Turbo": 52.98,
    "Llama-3-8b-chat": 50.91,
    "Mixtral-8x7B-Instruct-v0.1": 44.98,
}
DATASET = "dataset"
_RESAMPLES = 1000


@dataclass(frozen=True)
class Overlap:
    """One source's labels beside the oracle's.

    Attributes:
        name: the annotator, or `dataset` for the published label.
        overlap: share of equal labels among the rows with both; interval by Wilson.
        uar: mean recall of the oracle's labels that occur; percentile bootstrap interval over rows.
        kappa: Cohen's; None where it is not defined.
        matrix: counts; rows are the oracle's labels, columns the source's.
        unanswered: rows with an oracle that the source was asked about without a valid answer.
        no_oracle: its valid answers on rows without an oracle.
    """

    name: str
    overlap: Value
    uar: Value
    kappa: float | None
    matrix: ChangeMatrix
    unanswered: int = 0
    no_oracle: int = 0

    @property
    def rows(self) -> int:
        return self.matrix.total

    @property
    def recalls(self) -> dict[str, float | None]:
        """Oracle label -> share of its rows that the source labels so; None for one that does not occur."""
        shares = self.matrix.row_shares()
        return {label: shares[n][n] for n, label in enumerate(self.matrix.labels)}

    def as_dict(self) -> dict[str, Any]:
        from ..audit.agreement_scores import as_json

        return {
            "name": self.name,
            "rows": self.rows,
            "same": self.matrix.kept,
            "overlap": as_json(self.overlap),
            "uar": as_json(self.uar),
            "kappa": self.kappa,
            "recalls": self.recalls,
            "confusion": {
                label: dict(zip(self.matrix.labels, row, strict=True))
                for label, row in zip(self.matrix.labels, self.matrix.counts.tolist(), strict=True)
            },
            "unanswered": self.unanswered,
            "no_oracle": self.no_oracle,
        }


@dataclass(frozen=True)
class OracleReport:
    """What `remelt oracle` found.

    Attributes:
        source: the dataset folder.
        corpus: the corpus's name.
        oracle: where the sentiment to compare with comes from.
        overlaps: one per annotator in the order of the dataset; where there are several, after them that
            of the published label.
    """

    source: Path
    corpus: str
    oracle: Oracle
    overlaps: tuple[Overlap, ...]

    def as_dict(self) -> dict[str, Any]:
        """All numbers as JSON; shares, not percent, but for the published values."""
        return {
            "format": 1,
            "corpus": self.corpus,
            "oracle": dict(self.oracle.record),
            "labels": list(SENTIMENT.labels),
            "overlaps": [overlap.as_dict() for overlap in self.overlaps],
            "notes": list(self.oracle.notes),
            "published": {
                "source": PUBLISHED_SOURCE,
                "sample": "another sample than this one",
                "percent": dict(PUBLISHED),
            },
        }


def compare(
    name: str, given: Mapping[str, str | None], oracle: Oracle, seed: int = 0, resamples: int = _RESAMPLES
) -> Overlap:
    """Compares one source's labels with the oracle.

    Args:
        name: of the source.
        given: utterance id -> its label; None where it gave no valid one.
        oracle: see `find_oracle`.
        seed, resamples: of the bootstrap.

    >>> oracle = Oracle("valence", {"a": "positive", "b": "neutral", "c": "negative", "d": "negative"})
    >>> found = compare("m", {"a": "positive", "b": "positive", "c": "negative", "d": None}, oracle)
    >>> round(found.overlap.value, 4), round(found.uar.value, 4), found.unanswered
    (0.6667, 0.6667, 1)
    """
    import numpy as np

    from ..audit import change_matrix, wilson
    from ..audit.descriptions import Value

    known = {i: label for i, label in given.items() if label is not None}
    both = [i for i in known if i in oracle.labels]
    place = {label: n for n, label in enumerate(SENTIMENT.labels)}
    matrix = change_matrix(
        np.array([place[oracle.labels[i]] for i in both], dtype=np.int64),
        np.array([place[known[i]] for i in both], dtype=np.int64),
        SENTIMENT.labels,
    )
    share = wilson(matrix.kept, matrix.total)
    return Overlap(
        name=name,
        overlap=Value(share.rate, share.low, share.high),
        uar=_uar(matrix, seed, resamples),
        kappa=matrix.kappa(),
        matrix=matrix,
        unanswered=sum(1 for i, label in given.items() if label is None and i in oracle.labels),
        no_oracle=len(known) - len(both),
    )


def _uar(matrix: ChangeMatrix, seed: int, resamples: int) -> Value:
    from ..audit.agreement_scores import interval, measures, resampled_matrices
    from ..audit.descriptions import Value

    values = measures(resampled_matrices(matrix.counts, resamples, seed))["uar"]
    found = interval(values[0], values[1:])
    # Where every sample gives the same, a width of 0 would claim certainty.
    return Value(found.value) if found.low is not None and found.low == found.high else found


def oracle_overlap(
    source: str | Path, options: OracleOptions | None = None, *, seed: int = 0, resamples: int = _RESAMPLES
) -> OracleReport:
    """Compares every annotator of a dataset with the oracle.

    Args:
        source: a dataset folder whose labels are negative, neutral and positive.
        options: where the oracle comes from; None for what the dataset was built with, else `auto`.
        seed, resamples: of the bootstrap of UAR.

    Raises:
        InputError: no remelt dataset, other labels, a valence outside the scale, or no oracle at all.
    """
    from ..publishing import read_manifest
    from .exchange.keeping import settled

    source = Path(source)
    settled(source)
    manifest = read_manifest(source)
    labels = manifest["label_set"]["labels"]
    if sorted(labels) != sorted(SENTIMENT.labels):
        raise InputError(f"{source} has the labels {labels!r}, an oracle is there for {SENTIMENT.labels!r}")
    options = options or options_of(manifest)
    utterances, given = _answers(source, manifest)
    oracle = find_oracle(utterances, options)
    if oracle.source == NONE:
        raise InputError(
            f"{source} has nothing to compare with: no valence on a known scale, and no sentiment of the "
            f"corpus's own. {' '.join(oracle.notes)}".rstrip()
        )
    overlaps = [compare(name, answers, oracle, seed, resamples) for name, answers in given.items()]
    if len(overlaps) > 1:
        overlaps.append(compare(DATASET, _published(source, manifest, utterances), oracle, seed, resamples))
    return OracleReport(source, str(manifest["corpus"]["name"]), oracle, tuple(overlaps))


def options_of(manifest: Mapping[str, Any]) -> OracleOptions:
    """The oracle that a dataset was built with; the usual one where its manifest does not say."""
    record = manifest["options"].get("oracle") or {}
    if record.get("source") == VALENCE:
        low, high = record["scale"]
        return OracleOptions(VALENCE, record["positive_above"], record["negative_below"], (low, high))
    source = str(record.get("source") or AUTO)
    return OracleOptions(AUTO if source == NONE else source)


def _answers(
    source: Path, manifest: Mapping[str, Any]
) -> tuple[list[Utterance], dict[str, dict[str, str | None]]]:
    """Every utterance that was asked about, and annotator -> utterance id -> its last valid label."""
    from ..publishing.extras import ATTRIBUTES, attributes_from
    from ..publishing.reading import read_split
    from ..records import Utterance

    utterances: dict[str, Utterance] = {}
    given: dict[str, dict[str, str | None]] = {}
    for split in manifest["splits"]:
        table = read_split(source, manifest, "annotations", split)
        wanted = ("id", "annotator", "status", "label", "sentiment", "source", ATTRIBUTES)
        for row in table.select([name for name in wanted if name in table.column_names]).to_pylist():
            key = row["id"]
            given.setdefault(row["annotator"], {})[key] = row["label"] if row["status"] == "valid" else None
            if key not in utterances:
                attributes = attributes_from(row.get(ATTRIBUTES), key)
                utterances[key] = Utterance(
                    id=key,
                    corpus=str(manifest["corpus"]["name"]),
                    split=split,
                    dialogue_id="",
                    utterance_id="",
                    speaker="",
                    text="",
                    sentiment=row["sentiment"],
                    source=row["source"],
                    attributes=attributes,
                )
    return list(utterances.values()), given


def _published(source: Path, manifest: Mapping[str, Any], asked: list[Utterance]) -> dict[str, str | None]:
    """Utterance id -> the published label; None for one that was asked about and has none."""
    from ..publishing.reading import read_split

    found: dict[str, str | None] = {utterance.id: None for utterance in asked}
    names = manifest["label_set"]["labels"]
    for split in manifest["splits"]:
        table = read_split(source, manifest, "default", split, ("id", "label"))
        for key, label in zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True):
            found[key] = names[label]
    return found
