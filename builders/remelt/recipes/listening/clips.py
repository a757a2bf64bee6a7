"""What the voice of a dataset comes from: clips, transcripts made before, the length of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...records import Utterance
from ..reporting import Reporter
from . import transcripts

if TYPE_CHECKING:
    from ...corpora import Corpus
    from ...voice.analysis import Job


@dataclass(frozen=True)
class Transcripts:
    """What a recogniser heard.

    Attributes:
        texts: utterance id -> transcript; None where the recogniser failed.
        references: utterance id -> the words that the corpus had when they were made; None where it had none.
        corpus: the corpus's name; empty where it is not known.
        info: source, model and parameters, for the manifest.
    """

    texts: Mapping[str, str | None]
    references: Mapping[str, str | None]
    corpus: str
    info: Mapping[str, Any]

    def check(self, utterances: Sequence[Utterance], folder: Path) -> str:
        """Makes sure that they are of these utterances.

        Returns:
            A sentence on rows whose words have changed since; empty where none have.

        Raises:
            InputError: they are of another corpus, or of none of these utterances, or most of these have
                other words.
        """
        ours = {u.corpus for u in utterances}
        if self.corpus and ours and self.corpus not in ours:
            raise InputError(
                f"The transcripts in {folder} are of {self.corpus!r}, the corpus is {sorted(ours)!r}"
            )
        shared = [u for u in utterances if u.id in self.texts]
        if utterances and not shared:
            raise InputError(f"The transcripts in {folder} are of none of the {len(utterances):,} utterances")
        other = [
            u.id
            for u in shared
            if (self.references[u.id] or "") != (transcripts.storable(u.words) if u.words.strip() else "")
        ]
        if not other:
            return ""
        said = (
            f"{len(other):,} of {len(shared):,} rows with a transcript in {folder} had other words when "
            f"it was made, such as {', '.join(other[:3])}"
        )
        if 2 * len(other) > len(shared):
            raise InputError(f"{said}: transcripts of another corpus, it seems")
        return said


def read_transcripts(folder: Path) -> Transcripts:
    """The transcripts of a folder made by `remelt transcribe`.

    Raises:
        InputError: there are none, or a file cannot be read.
    """
    info, rows = transcripts.read(folder)
    about: dict[str, Any] = {name: info[name] for name in ("source", "model", "parameters") if name in info}
    return Transcripts(
        {row.id: row.transcript for row in rows},
        {row.id: row.reference for row in rows},
        str(info.get("corpus") or ""),
        about,
    )


def job(utterance: Utterance, folder: Path) -> Job:
    from ...voice.analysis import Job
    from ...voice.audio import Source

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


def measure_lengths(corpus: Corpus, reporter: Reporter) -> Corpus:
    """Fills in the length of clips that the reader does not measure (MP4, parts of a file).

    Where the packages for sound are missing, the corpus is returned as it is and the reporter told.
    """
    wanted = [u for u in corpus.utterances if u.clip is not None and u.clip_duration is None]
    if not wanted:
        return corpus
    from ...voice import missing_packages

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
    from ...voice.audio import seconds

    for done, utterance in enumerate(utterances, 1):
        length = seconds(job(utterance, folder).source)
        reporter.counted(done, len(utterances), "clips")
        yield None if length is None else round(length, 6)
