"""The sound of examples: out of a dataset's column, or out of the clips of a corpus."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...records import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...evaluation.examples import SoundSource
    from ...publishing.sounds import PublishedAudio
    from ...voice.audio import Source
    from ..reporting import Reporter
    from .base import Material

_CHECKED = "sounds.jsonl"
_SHOWN = 3


class ColumnSounds:
    """The column `audio` of a dataset; see `evaluation.examples.SoundSource`."""

    def __init__(self, column: PublishedAudio) -> None:
        self._column = column
        self._digests: dict[str, str] = {}

    def digest(self, example_id: str) -> str:
        """The sha256 of the stored bytes."""
        if example_id not in self._digests:
            self._digests[example_id] = hashlib.sha256(self._stored(example_id)[0]).hexdigest()
        return self._digests[example_id]

    def read(self, example_id: str) -> NDArray[Any]:
        """Mono samples at 16 kHz."""
        content, name = self._stored(example_id)
        suffix = PurePosixPath(name).suffix
        with NamedTemporaryFile(prefix="remelt-", suffix=suffix) as file:
            file.write(content)
            file.flush()
            return _decoded(example_id, Path(file.name), None, None)

    def _stored(self, example_id: str) -> tuple[bytes, str]:
        found = self._column.read(example_id)
        if found is None:
            raise InputError(f"The dataset has no sound of {example_id}")
        return found


class ClipSounds:
    """The clips of a corpus's folder; see `evaluation.examples.SoundSource`."""

    def __init__(self, clips: Mapping[str, Source]) -> None:
        self._clips = clips
        self._files: dict[Path, str] = {}

    def digest(self, example_id: str) -> str:
        """The sha256 of the file, with the cut where only a part of it counts."""
        clip = self._clip(example_id)
        if clip.path not in self._files:
            self._files[clip.path] = _sha256(example_id, clip.path)
        whole = self._files[clip.path]
        if clip.start is None and clip.end is None:
            return whole
        return hashlib.sha256(f"{whole} {clip.start} {clip.end}".encode()).hexdigest()

    def read(self, example_id: str) -> NDArray[Any]:
        """Mono samples at 16 kHz."""
        clip = self._clip(example_id)
        return _decoded(example_id, clip.path, clip.start, clip.end)

    def _clip(self, example_id: str) -> Source:
        if example_id not in self._clips:
            raise InputError(f"There is no clip of {example_id}")
        return self._clips[example_id]


class SharedSounds:
    """Sounds of several sources; see `evaluation.examples.SoundSource`."""

    def __init__(self, sources: Mapping[str, SoundSource]) -> None:
        self._sources = sources

    def digest(self, example_id: str) -> str:
        """A hash of the sound's content."""
        return self._source(example_id).digest(example_id)

    def read(self, example_id: str) -> NDArray[Any]:
        """Mono samples at 16 kHz."""
        return self._source(example_id).read(example_id)

    def _source(self, example_id: str) -> SoundSource:
        if example_id not in self._sources:
            raise InputError(f"There is no sound of {example_id}")
        return self._sources[example_id]


class MixedSounds(SharedSounds):
    """The sounds of several materials; of a row that two have, the first one's."""

    def __init__(self, materials: Iterable[Material]) -> None:
        sources: dict[str, SoundSource] = {}
        for material in materials:
            if material.sounds is not None:
                for row in material.examples:
                    if row.has_sound:
                        sources.setdefault(row.id, material.sounds)
        super().__init__(sources)


def _sha256(example_id: str, path: Path) -> str:
    from ...rows import file_sha256

    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"Cannot read {path} of {example_id}: {error.strerror}") from None


def _decoded(example_id: str, path: Path, start: float | None, end: float | None) -> NDArray[Any]:
    from ...voice.audio import RATE, AudioError, Source, read

    try:
        return read(Source(path, start, end), RATE).samples
    except AudioError as error:
        raise InputError(f"The sound of {example_id} cannot be read: {error}") from None


def checked(material: Material, folder: Path, reporter: Reporter) -> Material:
    """The material with `has_sound` only where the sound can be decoded.

    What can be read is kept by content, so that a clip is decoded for this once; what cannot is tried again,
    as another decoder may be there by then.

    Args:
        material: with or without sound.
        folder: where that is kept.
        reporter: is told how many cannot be read.

    Raises:
        InputError: no clip can be read, or a package that decodes sound is missing.
    """
    rows = [row for row in material.examples if row.has_sound]
    if material.sounds is None or not rows:
        return material
    known = _known(folder / _CHECKED)
    faults: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _CHECKED).open("a", encoding="utf-8") as file:
        for done, row in enumerate(rows, 1):
            fault = _fault(material, row.id, known, file)
            if fault:
                faults[row.id] = fault
            reporter.counted(done, len(rows), f"clips of {material.name} looked at")
    if not faults:
        return material
    first = next(iter(faults.values()))
    if len(faults) == len(rows):
        raise InputError(f"None of the {len(rows):,} clips of {material.source} can be read: {first}")
    note = (
        f"{len(faults):,} of {len(rows):,} clips of {material.source} cannot be read and are left out by "
        f"models that hear, such as {', '.join(list(faults)[:_SHOWN])}: {first}"
    )
    reporter.notice(note)
    examples = tuple(replace(row, has_sound=False) if row.id in faults else row for row in material.examples)
    identity = digest([material.identity, sorted(faults)])
    return replace(material, examples=examples, notes=(*material.notes, note), identity=identity)


def _fault(material: Material, row: str, known: dict[str, str], file: Any) -> str:
    """Why a clip cannot be read; empty where it can."""
    assert material.sounds is not None
    try:
        content = material.sounds.digest(row)
    except InputError as error:
        return str(error)
    if content not in known:
        try:
            samples = material.sounds.read(row)
            known[content] = "" if len(samples) else f"The sound of {row} has no samples"
        except InputError as error:
            known[content] = str(error)
        if not known[content]:
            file.write(json.dumps({"sound": content}) + "\n")
    return known[content]


def _known(path: Path) -> dict[str, str]:
    """Sounds that could be read -> no fault."""
    found: dict[str, str] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found[json.loads(line)["sound"]] = ""
        except (ValueError, KeyError, TypeError):
            # The last line of a run that was killed.
            continue
    return found
