"""The last steps of every recipe: publish, audit, write the card, seal the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .reporting import Reporter

if TYPE_CHECKING:
    from ..audit import Findings
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
    """Publishes, audits, writes the card and seals the folder."""
    from ..audit import audit
    from ..publishing import publish, seal, write_card

    reporter.stage("Writing the dataset")
    manifest = publish(out, content)
    reporter.stage("Auditing")
    findings = audit(out)
    write_card(out, manifest, findings.as_dict())
    return BuildResult(out, seal(out), findings, stats)
