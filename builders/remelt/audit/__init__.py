"""Audits a relabelled dataset: change matrices, agreement, distributions, figures, an HTML report."""

from __future__ import annotations

from .console import print_findings, print_summary
from .findings import Findings, Scope
from .matrix import ChangeMatrix, Rate, change_matrix, entropy, wilson
from .options import AuditOptions
from .run import audit

__all__ = [
    "AuditOptions",
    "ChangeMatrix",
    "Findings",
    "Rate",
    "Scope",
    "audit",
    "change_matrix",
    "entropy",
    "print_findings",
    "print_summary",
    "wilson",
]
