"""The licence guard: what of a dataset may be published, and what is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from ...publishing import Sharing

_REPORT = "audit/report.html"
_SOUND = b"data:audio/"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Guarded:
    """What the licence allows and what is published.

    Attributes:
        sharing: what may be passed on of the corpus.
        labels_only: whether labels and ids alone are published.
        reduce: whether they have to be taken out of the dataset first.
        warnings: what the user should know.
    """

    sharing: Sharing
    labels_only: bool
    reduce: bool
    warnings: tuple[str, ...] = ()


def guard(out: Path, manifest: Mapping[str, Any], labels_only: bool | None) -> Guarded:
    """Decides what is published of a dataset.

    Args:
        out: the dataset folder.
        manifest: its manifest.
        labels_only: True for labels and ids only, False for everything; None for what the licence allows.

    Raises:
        InputError: it cannot be published as it is and has no labels of its own to take out.
    """
    from ...publishing import sharing_of

    corpus = manifest["corpus"]
    sharing = sharing_of(str(corpus.get("licence") or ""), str(corpus["name"]))
    if manifest.get("labels_only"):
        if labels_only is False:
            raise InputError(f"{out} has labels only; publish the dataset they were taken from with --full")
        return Guarded(sharing, labels_only=True, reduce=False)
    forbidden = _forbidden(out, manifest, sharing)
    if labels_only is False:
        warning = f"published in full although {' and '.join(forbidden)} may not be shared: {sharing.why}"
        return Guarded(sharing, False, False, (warning,) if forbidden else ())
    if not (labels_only or forbidden):
        return Guarded(sharing, labels_only=False, reduce=False)
    if manifest.get("joined"):
        raise InputError(
            f"{out} is joined to the corpus ({sharing.why}); publish the labels that it was joined from"
        )
    if labels_only is None and sharing.text and forbidden == ["the sound in the report"]:
        raise InputError(
            f"{out / _REPORT} plays clips, which may not be shared ({sharing.why}); make one without them: "
            f"`remelt audit {out} --no-audio`"
        )
    warnings = []
    if labels_only is None and sharing.text:
        warnings.append("the text could be published, too: build without sound (--audio none)")
    return Guarded(sharing, labels_only=True, reduce=True, warnings=tuple(warnings))


def _forbidden(out: Path, manifest: Mapping[str, Any], sharing: Sharing) -> list[str]:
    """What the dataset holds that may not be passed on."""
    found = [] if sharing.text else ["its words"]
    if not sharing.audio:
        voice = manifest.get("voice")
        if isinstance(voice, Mapping) and voice.get("audio", "none") != "none":
            found.append("its sound")
        elif _REPORT in manifest["files"] and _plays(out / _REPORT):
            found.append("the sound in the report")
    return found


def _plays(report: Path) -> bool:
    """Whether a report has clips inside."""
    before = b""
    with report.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if _SOUND in before + chunk:
                return True
            before = chunk[-len(_SOUND) :]
    return False
