"""The sample corpus that comes with remelt: invented dialogues in MELD's layout, with synthetic speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..labels import MELT
from . import meld
from .base import Corpus, CorpusInfo

FOLDER = Path(__file__).resolve().parent / "sample"

INFO = CorpusInfo(
    name="sample",
    title="remelt sample corpus",
    licence="Apache-2.0",
    homepage="",
    citation="",
    layout="bundled with remelt: give `sample` instead of a folder; MELD's layout with FLAC clips",
    labels=MELT.labels,
    language="en",
)


def matches(folder: Path) -> bool:
    """Whether this is the bundled folder itself."""
    return folder.resolve() == FOLDER


def load(folder: Path = FOLDER, *, name: str | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Reads the bundled corpus; see `meld.load` for the arguments and errors."""
    return meld.read(folder, meld.named(INFO, name), splits)
