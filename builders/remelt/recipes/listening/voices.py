"""What is heard in the clips of a dataset: sound, measures, levels, transcripts, joined by utterance id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...protocols import AudioStore
from ...records import Utterance, Voice
from ..reporting import Reporter
from .clips import SoundFiles, Transcripts, job, read_transcripts
from .levelling import audible, backend_record, bins_record, fit_levels, levels_of

if TYPE_CHECKING:
    from ...publishing import VoiceContent
    from ...voice.analysis import Analysis

AUDIO = ("auto", "flac", "original", "none")
CHOOSE, NONE = "auto", "none"
QUALITY = ("peak_db", "rms_db", "leading_silence", "trailing_silence")
FOLDER = "voice"
MISSING = "clip_missing"


@dataclass(frozen=True)
class VoiceOptions:
    """What to take from the clips.

    Attributes:
        audio: the sound in the dataset: `flac` (16 kHz mono), `original` (the file as it is), `none`, or
            `auto`: flac where the corpus has clips and the packages are there.
        acoustics: a backend of `voice.acoustics`, `none`, or `auto`: remelt's own choice where the corpus
            has clips and the packages are there.
        functionals: all 88 functionals of eGeMAPSv02 besides.
        transcripts: a folder made by `remelt transcribe`; its transcripts join the dataset.
        pitch_by: what pitch is compared with for its level: `speaker`, `sex`, `corpus` or `auto`.
        bins_from: the split that the limits of levels come from, or `all`.
        processes: how many decode and measure at once.
    """

    audio: str = CHOOSE
    acoustics: str = CHOOSE
    functionals: bool = False
    transcripts: Path | None = None
    pitch_by: str = "auto"
    bins_from: str = "train"
    processes: int = 1

    def __post_init__(self) -> None:
        if self.audio not in AUDIO:
            raise InputError(bad_value("audio", self.audio, AUDIO))
        if self.processes < 1:
            raise InputError(f"Bad processes {self.processes!r}, expected a whole number from 1")
        if self.transcripts is not None:
            object.__setattr__(self, "transcripts", Path(self.transcripts))


@dataclass(frozen=True)
class Listening:
    """What will be done, decided before anything is asked or paid.

    Attributes:
        options: as given.
        audio: flac, original or none.
        acoustics: the backend's name; None for no measures.
        transcripts: what a recogniser heard; None where none was asked.
    """

    options: VoiceOptions
    audio: str
    acoustics: str | None
    transcripts: Transcripts | None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self.audio == NONE and self.acoustics is None and self.transcripts is None

    @property
    def decodes(self) -> bool:
        """Whether clips have to be decoded."""
        return self.audio != NONE or self.acoustics is not None


def prepare(options: VoiceOptions, utterances: Sequence[Utterance], reporter: Reporter) -> Listening:
    """Decides what will be done, so that what cannot be done is told before anything is paid.

    Args:
        options: as given.
        utterances: those that may reach the dataset.
        reporter: is told what `auto` leaves out.

    Raises:
        InputError: a backend that is unknown, or a package that is missing and was asked for by name; audio
            asked for of a corpus without clips; no such transcripts.
    """
    from ...voice import missing_packages

    transcripts = None
    if options.transcripts is not None:
        transcripts = read_transcripts(options.transcripts)
        if changed := transcripts.check(utterances, options.transcripts):
            reporter.notice(changed)
    _check_levels(options, utterances)
    clips = any(u.clip is not None for u in utterances)
    if not clips:
        for name in ("audio", "acoustics"):
            if getattr(options, name) not in (CHOOSE, NONE):
                raise InputError(f"--{name} {getattr(options, name)}: the corpus has no clips to read")
        _refuse_idle(options, "the corpus has no clips to measure")
        return Listening(options, NONE, None, transcripts)
    missing = missing_packages()
    if missing and (options.audio, options.acoustics) != (NONE, NONE):
        if {options.audio, options.acoustics} - {CHOOSE, NONE}:
            raise InputError(f"Sound needs {', '.join(missing)}; install with: pip install 'remelt[voice]'")
        reporter.notice(
            f"The clips are left out, {', '.join(missing)} not being installed: pip install 'remelt[voice]'"
        )
        return Listening(options, NONE, None, transcripts)
    if options.acoustics == NONE:
        _refuse_idle(options, "nothing is measured")
    backend = None if options.acoustics == NONE else _backend(options)
    audio = "flac" if options.audio == CHOOSE else options.audio
    return Listening(options, audio, backend, transcripts)


def _refuse_idle(options: VoiceOptions, why: str) -> None:
    """Refuses what would be left undone without a word."""
    for name in ("functionals", "pitch_by", "bins_from"):
        if getattr(options, name) != getattr(VoiceOptions(), name):
            raise InputError(f"--{name.replace('_', '-')} has no effect: {why}")


def _check_levels(options: VoiceOptions, utterances: Sequence[Utterance]) -> None:
    from ...voice.bins import ALL, BinOptions, as_by

    as_by(options.pitch_by)
    splits = list(dict.fromkeys(u.split for u in utterances))
    if options.bins_from not in (ALL, BinOptions().split, *splits):
        raise InputError(bad_value("bins_from", options.bins_from, [*splits, ALL]))


def _backend(options: VoiceOptions) -> str:
    from ...voice import acoustics

    choices = (CHOOSE, NONE, *acoustics.backends())
    if options.acoustics not in choices:
        raise InputError(bad_value("acoustics", options.acoustics, choices))
    name = "default" if options.acoustics == CHOOSE else options.acoustics
    return acoustics.create(name, options.functionals).name


def listen(
    listening: Listening, folder: Path, utterances: Sequence[Utterance], out: Path, reporter: Reporter
) -> VoiceContent | None:
    """Decodes and measures the clips of a dataset; what an earlier run measured is taken from its cache.

    Args:
        listening: what to do.
        folder: the corpus folder.
        utterances: the dataset's rows; limits of levels come from them.
        out: the dataset folder; sound and measures wait in `.remelt/voice` there.
        reporter: is told what happens.

    Returns:
        What was heard; None where there is nothing to add.

    Raises:
        InputError: a package is missing.
        Interrupted: the disk is full, or Ctrl-C.
    """
    if listening.idle:
        return None
    from ...publishing import VoiceContent
    from ...voice.audio import RATE

    notes: list[str] = []
    # Rows that nobody listened to have nulls, not the flags of a faultless clip.
    rows = {u.id: Voice(u.id, flags=(MISSING,)) for u in utterances if MISSING in u.flags}
    info: dict[str, Any] = {"audio": listening.audio, "rate": RATE}
    measures: tuple[str, ...] = ()
    store: AudioStore | None = None
    if listening.decodes:
        heard, files = _heard(listening, folder, utterances, out, reporter)
        rows.update(heard)
        info["quality"] = dict(sorted(Counter(f for v in rows.values() for f in v.flags).items()))
        measures = QUALITY
        if listening.acoustics is not None:
            backend = _created(listening)
            measures = (*QUALITY, *backend.measures)
            info["acoustics"] = backend_record(backend)
            info["bins"] = _place(rows, utterances, listening.options, notes)
        if listening.audio != NONE:
            store = SoundFiles(utterances, files, folder if listening.audio == "original" else None)
    if listening.transcripts is not None:
        info["transcripts"] = dict(listening.transcripts.info)
        _join(rows, utterances, listening.transcripts, notes)
    for note in notes:
        reporter.notice(note)
    levels = tuple(info.get("bins", ()))
    info["notes"] = notes
    return VoiceContent(rows, info, measures, levels, listening.transcripts is not None, store)


def _created(listening: Listening) -> Any:
    from ...voice import acoustics

    return acoustics.create(str(listening.acoustics), listening.options.functionals)


def _heard(
    listening: Listening, folder: Path, utterances: Sequence[Utterance], out: Path, reporter: Reporter
) -> tuple[dict[str, Voice], dict[str, Path]]:
    """What was heard in each clip, and where its decoded sound lies."""
    from ...voice.analysis import AnalysisOptions, analyse

    jobs = [job(u, folder) for u in utterances if u.clip is not None]
    reporter.stage(f"Listening to {len(jobs):,} clips")
    options = AnalysisOptions(
        acoustics=listening.acoustics,
        functionals=listening.options.functionals,
        processes=listening.options.processes,
    )
    heard: dict[str, Voice] = {}
    files: dict[str, Path] = {}
    for done, found in enumerate(analyse(jobs, options, out / ".remelt" / FOLDER), 1):
        heard[found.key] = _voice(found)
        if found.audio is not None:
            files[found.key] = found.audio
        reporter.counted(done, len(jobs), "clips")
    return heard, files


def _voice(found: Analysis) -> Voice:
    quality = found.quality
    return Voice(
        utterance_id=found.key,
        seconds=quality.seconds,
        flags=quality.flags,
        measures={name: getattr(quality, name) for name in QUALITY} | dict(found.measures),
    )


def _place(
    rows: dict[str, Voice], utterances: Sequence[Utterance], options: VoiceOptions, notes: list[str]
) -> dict[str, Any]:
    """Gives every row its levels; returns the schemes by column."""
    from ...voice.bins import BinOptions, as_by

    limits = BinOptions(split=options.bins_from, pitch_by=as_by(options.pitch_by))
    measures = {key: audible(voice.measures, voice.flags) for key, voice in rows.items()}
    schemes = fit_levels(utterances, measures, limits)
    for utterance in utterances:
        if utterance.id in rows:
            levels = levels_of(utterance, measures[utterance.id], schemes)
            rows[utterance.id] = replace(rows[utterance.id], levels=levels)
    for column, scheme in schemes.items():
        notes.extend(f"{column}: {note}" for note in scheme.notes)
    return bins_record(schemes)


def _join(
    rows: dict[str, Voice], utterances: Sequence[Utterance], transcripts: Transcripts, notes: list[str]
) -> None:
    absent = [u.id for u in utterances if u.id not in transcripts.texts]
    if absent:
        notes.append(
            f"{len(absent):,} of {len(utterances):,} rows have no transcript in the given folder, such as "
            f"{', '.join(absent[:3])}"
        )
    for utterance in utterances:
        if (text := transcripts.texts.get(utterance.id)) is not None:
            rows[utterance.id] = replace(rows.get(utterance.id, Voice(utterance.id)), transcript=text)
