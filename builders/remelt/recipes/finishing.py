"""The last steps of every recipe: publish, audit, write the card, seal the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .reporting import Reporter

if TYPE_CHECKING:
    from ..audit import AuditOptions, Findings
    from ..engine import Stats
    from ..publishing import DatasetContent


@dataclass(frozen=True)
class BuildResult:
    """What a build made.

    Attributes:
        out: the dataset folder.
        manifest: its manifest (see docs/dataset-format.md).
        findings: what the audit found (see docs/audit.md).
        stats: what the annotation run did.
    """

    out: Path
    manifest: Mapping[str, Any]
    findings: Findings
    stats: Stats

    @property
    def quarantined(self) -> int:
        return sum(int(c["quarantined"]) for c in self.manifest["counts"].values())

    @property
    def rows(self) -> int:
        return sum(int(c["kept"]) for c in self.manifest["counts"].values())


def finish(out: Path, content: DatasetContent, stats: Stats, reporter: Reporter) -> BuildResult:
    """Publishes, audits, writes the card and seals the folder.

    What the run did goes into the manifest; a run that asked nothing leaves what the one before it did.
    """
    from ..publishing import publish

    return conclude(out, content, stats, reporter, lambda whole: publish(out, whole))


def conclude(
    out: Path,
    content: DatasetContent,
    stats: Stats,
    reporter: Reporter,
    write: Callable[[DatasetContent], Mapping[str, Any]],
) -> BuildResult:
    """The same with another way to write the rows.

    Args:
        content: what is published; `write` may have its rows from elsewhere.
        write: writes the dataset and returns its manifest.
    """
    from ..audit import AuditOptions, audit
    from ..publishing import seal, write_card

    reporter.stage("Writing the dataset")
    if content.run is None:
        content = replace(content, run=stats.as_dict() if stats.asked else _last_run(out))
    manifest = write(content)
    reporter.stage("Auditing")
    if content.voice is not None and content.voice.audio is not None and not _shareable(content.corpus):
        reporter.notice(
            "The corpus's licence is not known to allow sharing, so the report has no sound; "
            f"`remelt audit {out}` makes one that plays it, to be kept to yourself"
        )
    findings = audit(out, AuditOptions() if _shareable(content.corpus) else AuditOptions(audio_bytes=0))
    write_card(out, manifest, findings.as_dict())
    return BuildResult(out, seal(out), findings, stats)


def _last_run(out: Path) -> Mapping[str, Any] | None:
    """What the folder's manifest says of the run that made it."""
    from ..publishing import read_manifest

    try:
        run = read_manifest(out).get("run")
    except InputError:
        return None
    return run if isinstance(run, Mapping) else None


def _shareable(corpus: Mapping[str, Any]) -> bool:
    """Whether the corpus's licence lets its audio travel inside a report that may be uploaded."""
    from ..publishing import shareable

    return shareable(str(corpus.get("licence") or ""), str(corpus.get("name") or ""))


def audit_dataset(out: str | Path, options: AuditOptions | None = None) -> Findings:
    """Audits a dataset folder or a table of labels, and keeps a remelt folder's manifest true.

    A folder whose manifest is not a whole remelt manifest is audited all the same and its manifest left
    as it is; `find_problems` tells what it lacks.

    Args:
        out: a remelt dataset folder, another Parquet dataset folder, or a table file.
        options: see `audit.AuditOptions`.

    Raises:
        InputError: nothing to read, an unknown column, a folder that cannot be written to or in which
            another process works, or Parquet files that are not the published ones.
    """
    from contextlib import nullcontext

    out = Path(out)
    from ..audit import AuditOptions, audit
    from ..journal import OutLock
    from ..publishing import seal
    from .exchange.keeping import settled

    with OutLock(out) if (out / ".remelt").is_dir() else nullcontext():
        settled(out)
        findings = audit(out, options or AuditOptions())
        if findings.folder.resolve().is_relative_to(out.resolve()) and _has_manifest(out):
            seal(out)
    return findings


def _has_manifest(out: Path) -> bool:
    from ..publishing import read_manifest

    try:
        read_manifest(out)
    except InputError:
        return False
    return True
