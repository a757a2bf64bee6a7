"""From a folder to material for training and testing: a remelt dataset, a corpus, or augmented folds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, bad_value
from ...labels import LABEL_MAPS
from ...records import digest

if TYPE_CHECKING:
    from ...evaluation.examples import Example
    from ..reporting import Reporter
    from .base import Material

# The condition of a corpus's own sentiment (MELD, CMU-MOSI).
SENTIMENT = "sentiment"
_SHOWN = 3


@dataclass(frozen=True)
class Wants:
    """What belongs to a source besides its folder; see `EvaluationOptions` for the fields.

    Attributes:
        splits: those to read; None for all.
    """

    clips: Path | None = None
    label_files: Mapping[str, Path] = field(default_factory=dict)
    transcripts: Mapping[str, Path] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    splits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source lies: `NAME=DIR@SPLIT+SPLIT`, of which only DIR must be there.

    Attributes:
        name: a corpus's reader, or what the source is called; empty where nothing was given.
        path: the folder, a table file, or `sample`.
        splits: those to read; None for all.
    """

    name: str
    path: str
    splits: tuple[str, ...] | None


def place_of(source: str) -> Place:
    """What a source says; a path that is there is taken as it stands.

    Raises:
        InputError: nothing is named.

    >>> place_of("meld=MELD@dev+test")
    Place(name='meld', path='MELD', splits=('dev', 'test'))
    """
    name, sign, path = source.partition("=")
    if not sign or Path(source).exists():
        name, path = "", source
    splits: tuple[str, ...] | None = None
    if not Path(path).exists() and "@" in path:
        path, _, wanted = path.rpartition("@")
        splits = tuple(part for part in wanted.split("+") if part)
    if not path.strip():
        raise InputError(f"Bad source {source!r}, expected a folder, CORPUS=FOLDER or CORPUS=FOLDER@SPLIT")
    return Place(name.strip(), path, splits or None)


def read(source: str, wants: Wants | None = None, reporter: Reporter | None = None) -> Material:
    """Reads a source.

    Args:
        source: see `Place`.
        wants: what belongs to it.
        reporter: is told of what it should be.

    Raises:
        InputError: nothing there that can be read, a value out of its range, a file of labels or transcripts
            of other rows.
    """
    from ..reporting import Reporter
    from . import source_corpus, source_dataset, source_folds

    wants, reporter = wants or Wants(), reporter or Reporter()
    place = place_of(source)
    if place.splits is not None:
        wants = replace(wants, splits=place.splits)
    folder = Path(place.path)
    recipe = _recipe(folder)
    # What readers say of a corpus is told by `remelt inspect`; here it only goes into the results.
    known: tuple[str, ...] = ()
    if recipe == "augment":
        material = source_folds.read(folder, source, wants)
    elif recipe is not None:
        material = source_dataset.read(folder, source, wants, reporter)
    elif wants.clips is not None:
        raise InputError(f"{source} is a corpus and has its own clips; --corpus is for datasets by remelt")
    else:
        material, known = source_corpus.read(place, source, wants, reporter)
    material = finished(material, wants)
    for note in material.notes:
        reporter.notice(note if source in note else f"{source}: {note}")
    return replace(material, notes=(*known, *material.notes))


def _recipe(folder: Path) -> str | None:
    """The recipe that made a folder; None for anything that remelt has not made."""
    manifest = folder / "manifest.json"
    if not folder.is_dir() or not manifest.is_file():
        return None
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{manifest} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict) or "remelt_version" not in found:
        return None
    return str(found.get("recipe"))


def finished(material: Material, wants: Wants) -> Material:
    """The material with what other files say of its rows, and its identity.

    Raises:
        InputError: files of other rows, or a material without rows.
    """
    from .label_files import with_labels, with_transcripts

    if not material.examples:
        raise InputError(f"{material.source} has no rows")
    material = with_transcripts(with_labels(material, wants.label_files), wants.transcripts)
    rows = [
        [e.id, e.split, e.text, dict(e.targets), e.speaker, e.session, e.dialogue, e.turn, e.has_sound]
        for e in material.examples
    ]
    content = [rows, _sorted(material.labels), _sorted(material.transcripts), _sorted(material.folds)]
    return replace(material, identity=digest(content))


def _sorted(nested: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    return {name: dict(found) for name, found in nested.items()}


class CommonNames:
    """A corpus's labels under the names that corpora have in common; what has none is counted.

    Args:
        corpus: its name.
        reject: labels that say that none fits.
        also: labels that stay as they are.
    """

    def __init__(self, corpus: str, reject: Iterable[str] = (), also: Iterable[str] = ()) -> None:
        self._map = LABEL_MAPS.get(corpus)
        self._reject = frozenset(reject)
        self._also = frozenset(also)
        self._without: dict[str, int] = {}

    def __call__(self, label: str | None) -> str | None:
        """The common name; None where there is none. Names of an unknown corpus stay as they are."""
        folded = (label or "").strip().casefold()
        if not folded:
            return None
        if folded in self._reject:
            self._without[folded] = self._without.get(folded, 0) + 1
            return None
        if self._map is None or folded in self._also or folded in self._map.to_common.values():
            return folded
        found = self._map.to_common.get(folded)
        if found is None:
            self._without[folded] = self._without.get(folded, 0) + 1
        return found

    def note(self, what: str) -> str:
        """A sentence on labels without a common name; empty where every label has one."""
        if not self._without:
            return ""
        told = ", ".join(f"{name} ({count:,})" for name, count in sorted(self._without.items()))
        return f"{what}: rows whose label has no common name are neither trained nor tested on: {told}."


def missing_clips(examples: Iterable[Example], folder: Path, lost: list[str]) -> str:
    """A sentence on clips that are not in a corpus's folder; empty where all are."""
    if not lost:
        return ""
    total = sum(1 for _ in examples)
    return (
        f"{len(lost):,} of {total:,} rows have no clip in {folder}, such as {', '.join(lost[:_SHOWN])}; "
        "models that hear leave them out."
    )


def wanted_splits(source: str, asked: tuple[str, ...] | None, present: Iterable[str]) -> tuple[str, ...]:
    """The splits to read.

    Raises:
        InputError: one that is not there.
    """
    there = tuple(present)
    for split in asked or ():
        if split not in there:
            raise InputError(f"{source}: {bad_value('split', split, there)}")
    return asked or there
