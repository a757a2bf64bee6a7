"""What the voice of a dataset comes from: clips, transcripts made before, the length of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..records import Utterance
from . import transcripts
from .reporting import Reporter

if TYPE_CHECKING:
    from ..corpora import Corpus
    from ..voice.analysis import Job


@dataclass(frozen=True)
class Transcripts:
    """Transcripts by utterance id (None where the recogniser failed), and where they come from."""

    texts: Mapping[str, str | None]
    info: Mapping[str, Any]


def read_transcripts(folder: Path) -> Transcripts:
    """The transcripts of a folder made by `remelt transcribe`.

    Raises:
        InputError: there are none, or a file cannot be read.
    """
    info, rows = transcripts.read(folder)
    about: dict[str, Any] = {name: info[name] for name in ("source", "model", "parameters") if name in info}
    return Transcripts({row.id: row.transcript for row in rows}, about)


def job(utterance: Utterance, folder: Path) -> Job:
    from ..voice.analysis import Job
    from ..voice.audio import Source

    return Job(
        key=utterance.id,
        source=Source(folder / str(utterance.clip), utterance.clip_start, utterance.clip_end),
        stated_seconds=utterance.duration,
        words=len(utterance.words.split()) or None,
    )


class SoundFiles:
    """The sound of each utterance: decoded as FLAC, or the corpus's own file where it holds nothing else."""

    def __init__(
        self, utterances: Iterable[Utterance], files: Mapping[str, Path], originals: Path | None
    ) -> None:
        self._paths: dict[str, tuple[Path, str]] = {}
        for utterance in utterances:
            if utterance.id not in files or utterance.clip is None:
                continue
            name = utterance.id.rpartition("/")[2]
            own = Path(utterance.clip)
            if originals is not None and utterance.clip_start is None and utterance.clip_end is None:
                self._paths[utterance.id] = (originals / own, f"{name}{own.suffix.lower()}")
            else:
                self._paths[utterance.id] = (files[utterance.id], f"{name}.flac")

    def read(self, utterance_id: str) -> tuple[bytes, str] | None:
        """See `protocols.AudioStore`."""
        if utterance_id not in self._paths:
            return None
        path, name = self._paths[utterance_id]
        try:
            return path.read_bytes(), name
        except OSError as error:
            raise InputError(f"Cannot read {path} of {utterance_id}: {error.strerror}") from None

    def size(self, utterance_id: str) -> int:
        """See `protocols.AudioStore`."""
        if utterance_id not in self._paths:
            return 0
        path, _ = self._paths[utterance_id]
        try:
            return path.stat().st_size
        except OSError as error:
            raise InputError(f"Cannot read {path} of {utterance_id}: {error.strerror}") from None


def measure_lengths(corpus: Corpus, reporter: Reporter) -> Corpus:
    """Fills in the length of clips that the reader does not measure (MP4, parts of a file).

    Where the packages for sound are missing, the corpus is returned as it is and the reporter told.
    """
    wanted = [u for u in corpus.utterances if u.clip is not None and u.clip_duration is None]
    if not wanted:
        return corpus
    from ..voice import missing_packages

    if missing := missing_packages():
        reporter.notice(
            f"{len(wanted):,} clips are not measured, {', '.join(missing)} not being installed: "
            "pip install 'remelt[voice]'"
        )
        return corpus
    reporter.stage(f"Measuring the length of {len(wanted):,} clips")
    lengths = dict(zip((u.id for u in wanted), _lengths(corpus.folder, wanted, reporter), strict=True))
    return replace(
        corpus,
        utterances=tuple(
            replace(u, clip_duration=lengths[u.id]) if u.id in lengths else u for u in corpus.utterances
        ),
    )


def _lengths(folder: Path, utterances: Sequence[Utterance], reporter: Reporter) -> Iterator[float | None]:
    from ..voice.audio import seconds

    for done, utterance in enumerate(utterances, 1):
        length = seconds(job(utterance, folder).source)
        reporter.counted(done, len(utterances), "clips")
        yield None if length is None else round(length, 6)
