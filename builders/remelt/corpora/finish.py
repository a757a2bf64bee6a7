"""The last step of every reader: run the checks, count the defects, freeze the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import corpus_checks, media, row_checks
from .base import Corpus, CorpusInfo, Draft, by_split, official_order, pick_splits, refuse_duplicates
from .defects import Family, tally

ROW_CHECKS: Mapping[Callable[[Draft], None], Family] = {
    row_checks.times: "times",
    row_checks.text: "text",
    row_checks.speaker: "speakers",
}
_LISTED = 12


@dataclass(frozen=True)
class Reading:
    """What a reader has found, before it is checked.

    Attributes:
        info: the corpus; `info.name` stands in the ids.
        folder: what paths are relative to.
        drafts: all rows of all splits.
        files: label file -> sha256.
        families: the defects to look for; `encoding` and `labels` are looked for by the reader itself.
        notes: sentences for the user.
        counts: split-level counts that the reader found (extra clips).
    """

    info: CorpusInfo
    folder: Path
    drafts: Sequence[Draft]
    files: Mapping[str, str]
    families: frozenset[Family]
    notes: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def finish(reading: Reading, splits: Sequence[str] | None) -> Corpus:
    """Checks all rows and gives those of the asked splits.

    Args:
        reading: what was read.
        splits: the splits to give, in this order; None for all, train first.

    Raises:
        InputError: two rows with one key, or a split that is not there.
    """
    rows = by_split(reading.drafts)
    present = official_order(rows)
    asked = pick_splits(splits, present)
    rows = {split: rows[split] for split in present}
    drafts = [draft for split in present for draft in rows[split]]
    refuse_duplicates(drafts, reading.info.name)
    notes = list(reading.notes)
    counts, findings = _check(reading, rows, drafts, notes)
    shown = [draft for split in asked for draft in rows[split]]
    return Corpus(
        name=reading.info.name,
        folder=reading.folder,
        utterances=tuple(draft.freeze(reading.info.name) for draft in shown),
        files=dict(reading.files),
        defects=tally(shown, reading.families, asked, counts),
        licence=reading.info.licence,
        homepage=reading.info.homepage,
        citation=reading.info.citation,
        notes=tuple(notes),
        findings=findings,
        profile=reading.info.profile,
    )


def _check(
    reading: Reading, rows: Mapping[str, Sequence[Draft]], drafts: Sequence[Draft], notes: list[str]
) -> tuple[dict[str, Mapping[str, int]], dict[str, int]]:
    """Runs the checks of the asked families; split-level counts and corpus-wide findings."""
    families = reading.families
    counts: dict[str, Mapping[str, int]] = dict(reading.counts)
    findings: dict[str, int] = {}
    for check, family in ROW_CHECKS.items():
        for draft in drafts if family in families else ():
            check(draft)
    groups = corpus_checks.dialogues(drafts) if families & {"turns", "numbering"} else []
    if "turns" in families:
        corpus_checks.turns(groups)
    if "numbering" in families:
        counts.update(corpus_checks.numbering(drafts, groups))
    if "repeats" in families:
        findings.update(corpus_checks.repeats(drafts))
    if "splits" in families:
        counts.update(corpus_checks.shared_recordings(rows))
    if "speakers" in families:
        findings["several_speaker_names"] = len({d.speaker for d in drafts if "several_speakers" in d.flags})
        variants = corpus_checks.spellings(drafts)
        findings["speaker_variant_groups"] = len(variants)
        notes += variant_notes(variants)
    if "media" in families:
        media.check(reading.folder, drafts)
    mended = sum(draft.text_repaired is not None for draft in drafts)
    notes += mended_notes(mended)
    return counts, findings


def variant_notes(variants: Sequence[Sequence[tuple[str, int]]]) -> list[str]:
    """What is said of names that may be spellings of one."""
    return [f"Speaker names that may be spellings of one name: {_listed(variants)}."] if variants else []


def mended_notes(rows: int) -> list[str]:
    """What is said of rows whose text was mended."""
    if not rows:
        return []
    return [f"Rows with broken encoding: {rows:,}; text is kept, text_repaired holds it mended."]


def _listed(variants: Sequence[Sequence[tuple[str, int]]]) -> str:
    groups = [" / ".join(f"{name} ({count})" for name, count in group) for group in variants]
    more = [f"and {len(groups) - _LISTED} more"] if len(groups) > _LISTED else []
    return "; ".join([*groups[:_LISTED], *more])
