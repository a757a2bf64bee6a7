"""Finds the sound of a dataset's rows for the review page: the column `audio`, else the corpus's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from ...errors import InputError
from ...review.app import Clip
from ...review.judgements import Item

# Longer than any utterance: two hours of speech as FLAC.
MOST_BYTES = 256 * 1024 * 1024
_FILM = "video/mp4"
_MAGIC = (
    (0, b"fLaC", "audio/flac"), (0, b"RIFF", "audio/wav"), (0, b"OggS", "audio/ogg"), (4, b"ftyp", _FILM),
    (0, b"ID3", "audio/mpeg"), (0, b"\xff", "audio/mpeg"),
)  # fmt: skip


class ClipFinder:
    """The sound of each item as a file; what comes out of the dataset is laid into a temporary folder.

    Args:
        out: the dataset folder.
        clips: paths of the clips in the corpus's folder, per row.

    Raises:
        InputError: a Parquet file of the dataset that cannot be read.
    """

    def __init__(self, out: Path, clips: Sequence[str | None]) -> None:
        from ...audit.audio_column import AudioColumn
        from ...audit.build_info import read_cuts
        from ...audit.clips import corpus_folder

        self._lock = Lock()
        self._folder = TemporaryDirectory(prefix="remelt-review-")
        self._column = AudioColumn(out)
        # The column has no sound of rows that were voted on and got no label.
        noted = corpus_folder(out)
        self._corpus = noted.resolve() if noted is not None and noted.is_dir() else None
        self._cuts = read_cuts(out) if self._corpus is not None else {}
        self._clips = clips

    @property
    def any(self) -> bool:
        """Whether any item can have sound."""
        return bool(self._column) or (self._corpus is not None and any(self._clips))

    def __call__(self, item: Item) -> Clip | None:
        """The sound of an item; None where it has none.

        Raises:
            InputError: the dataset's sound cannot be read.
        """
        found = self._from_column(item) if self._column else None
        if found is not None:
            return found
        return self._from_corpus(item) if self._corpus is not None else None

    def _from_column(self, item: Item) -> Clip | None:
        path = Path(self._folder.name) / hashlib.sha256(item.utterance_id.encode()).hexdigest()
        with self._lock:
            if not path.is_file():
                content = self._column.read([item.place], MOST_BYTES).get(item.place, b"")
                partial = path.with_suffix(".partial")
                try:
                    partial.write_bytes(content)
                    partial.replace(path)
                except OSError as error:
                    raise InputError(f"The sound cannot be laid into {path}: {error.strerror}") from None
        with path.open("rb") as file:
            kind = _kind(file.read(16))
        return Clip(path, kind) if kind else None

    def _from_corpus(self, item: Item) -> Clip | None:
        from ...audit.clips import KINDS

        assert self._corpus is not None
        name = self._clips[item.place] if item.place < len(self._clips) else None
        path = (self._corpus / name).resolve() if name else None
        if path is None or not path.is_relative_to(self._corpus) or not path.is_file():
            return None
        kind = _FILM if path.suffix.lower() == ".mp4" else KINDS.get(path.suffix.lower())
        start, end = self._cuts.get(item.utterance_id, (None, None))
        return Clip(path, kind, start, end) if kind else None

    def close(self) -> None:
        """Removes the temporary folder."""
        self._folder.cleanup()


def _kind(beginning: bytes) -> str:
    """The media type by a file's first bytes; empty for an empty file.

    >>> _kind(b"fLaC...."), _kind(b"")
    ('audio/flac', '')
    """
    if not beginning:
        return ""
    for place, mark, kind in _MAGIC:
        if beginning[place : place + len(mark)] == mark:
            return kind
    return "audio/wav"
