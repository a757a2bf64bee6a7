"""Puts the parts of a build together: what they counted, what their annotators told, their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...resolution import soft
from ..panel.content import Standing, member_record, panel_content
from .progress import one_run
from .summary import PartSummary, part_folder

if TYPE_CHECKING:
    from ...publishing import DatasetContent
    from ..panel.members import Panel
    from .job import PartJob


def publish_parts(job: PartJob, frame: DatasetContent, summaries: Sequence[PartSummary]) -> Mapping[str, Any]:
    """Writes the dataset from all parts.

    Args:
        frame: all that is published but the rows.
        summaries: of all parts, in the order of the corpus.

    Returns:
        The manifest.

    Raises:
        InputError: a part's rows cannot be read, or do not add up.
        WriteError: the disk is full; the parts stay, and the next run goes on from here.
    """
    from ...publishing.streamed import publish_spooled
    from ...publishing.tally import together as tallied

    parts = {
        split: [(part_folder(job.folder, s.number), s.spooled) for s in summaries if s.split == split]
        for split in job.splits
    }
    tally = tallied([s.spooled.tally for s in summaries])
    return publish_spooled(job.out, frame, tally, parts, job.columns)


def whole_frame(
    job: PartJob,
    base: DatasetContent,
    panel: Panel,
    summaries: Sequence[PartSummary],
    notes: Sequence[str],
    standing: Standing,
) -> DatasetContent:
    """All that is published but the rows.

    Args:
        base: of the annotators without any row (see `panel.content.base_content`).
        panel: the annotators.
        summaries: of all parts, in the order of the corpus.
        notes: of the selection and of what was replayed.
        standing: what later commands have to know of the rule and the build.
    """
    from ...selection import attrition, merge_counts

    counts = merge_counts(s.counts for s in summaries)
    told = {name: _told(name, summaries) for name in panel.names}
    first = {name: value for name, value in told[panel.names[0]].items() if name != "run"}
    frame = replace(
        base,
        inputs={split: counts.given.get(split, 0) for split in job.splits},
        attrition=attrition(counts, job.splits),
        annotator={**base.annotator, **first},
        notes=[*base.notes, *notes],
    )
    if job.rule is None:
        return frame
    # Without any row it is all there but the counts, which the parts have.
    members = [{**member_record(one), **told[one.name]} for one in panel.members]
    frame = panel_content(frame, members, (), (), job.rule, None, standing)
    assert frame.panel is not None
    info = add_up([s.info for s in summaries if s.info is not None])
    said = soft.notes(info) if job.rule.rule == soft.NAME else ()
    resolution = {**frame.panel.resolution, "info": info, "notes": list(said)}
    return replace(
        frame,
        notes=[*frame.notes, *(note for note in said if note not in frame.notes)],
        panel=replace(frame.panel, resolution=resolution),
    )


def _told(name: str, summaries: Sequence[PartSummary]) -> dict[str, Any]:
    """What an annotator told in all parts: every notice once, the last word on all else; and its run."""
    found: dict[str, Any] = {}
    notices: dict[str, None] = {}
    for summary in summaries:
        told = summary.members.get(name, {})
        notices.update(dict.fromkeys(told.get("notices", ())))
        found |= {key: value for key, value in told.items() if value or key not in found}
    stats = one_run([summary.each[name] for summary in summaries])
    if stats.asked or "run" not in found:
        found["run"] = stats.as_dict()
    return {**found, "notices": list(notices)}


def add_up(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of a vote in all parts as those of the whole; shares are worked out anew.

    >>> one = {"decided": 3, "sources": {"a": {"kind": "model", "compared": 2, "agreed": 1}}}
    >>> add_up([one, one])
    {'decided': 6, 'sources': {'a': {'kind': 'model', 'compared': 4, 'agreed': 2}}}
    """
    whole: dict[str, Any] = {}
    for record in records:
        for name, value in record.items():
            if isinstance(value, Mapping):
                whole[name] = add_up([whole.get(name, {}), value])
            elif isinstance(value, (int, float)) and name != "agreement":
                whole[name] = whole.get(name, 0) + value
            else:
                whole[name] = value
    if "agreement" in whole:
        whole["agreement"] = whole["agreed"] / whole["compared"] if whole["compared"] else None
    # As the rules give them: named sources as they come, counted reasons in alphabetical order.
    return {n: dict(sorted(v.items())) if n in ("decided_by", "reasons") else v for n, v in whole.items()}
