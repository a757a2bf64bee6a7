"""Transcripts of a corpus's clips by a speech recogniser, each kept in the journal like any reply.

Feng & Narayanan (2023), de Oliveira et al. (2023) and Dutta & Ganapathy (2025) begin with this step.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...records import Annotation, Message, Reply, Request, Utterance, Verdict, canonical_json
from ..annotation import Work, run
from ..cluster.asking import Asking, ask
from ..reporting import Reporter
from ..requests import public_name
from ..workspace import workspace
from . import transcripts
from .transcripts import Transcript

if TYPE_CHECKING:
    from ...annotators.asr import AsrOptions, Recogniser
    from ...corpora import Corpus, TableMapping
    from ...engine import Stats
    from ...protocols import LoadAudio
    from ..parts.options import PartOptions

NAME = "transcribe"
_SCHEMA: Mapping[str, Any] = {"type": "string"}
_BLOCK = 1 << 20
_READERS = 4


@dataclass(frozen=True)
class TranscribeOptions:
    """What `transcribe` needs to know.

    Attributes:
        corpus: the corpus folder or table file.
        out: the folder to make or to go on with.
        asr: who listens (`whisper/large-v2`, `faster-whisper/tiny.en`, `mms/1b-all`, `openai-asr/MODEL`).
        corpus_name: the reader to use; None to find it from the folder's layout.
        mapping: the columns of a table (see `corpora.TableMapping`).
        splits: the splits to transcribe; None for all.
        limit: transcribe at most so many clips, in corpus order.
        retries: how often a clip is sent again where a server fails.
        hearing: language, beams, device and so on; see `annotators.asr.AsrOptions`. Where it names no
            language, the corpus's own is used where it is known.
        parts: of an `engine` `ray`: the workers that listen, and clips at a time (`rows`); None for this
            process alone.
    """

    corpus: str
    out: Path
    asr: str
    corpus_name: str | None = None
    mapping: TableMapping | None = None
    splits: tuple[str, ...] | None = None
    limit: int | None = None
    retries: int = 5
    hearing: AsrOptions | None = None
    parts: PartOptions | None = None

    def __post_init__(self) -> None:
        # From Python a path is often a plain string, and a corpus a path.
        object.__setattr__(self, "out", Path(self.out))
        object.__setattr__(self, "corpus", str(self.corpus))
        if self.limit is not None and self.limit < 1:
            raise InputError(f"Bad limit {self.limit!r}, expected a whole number from 1")
        if self.retries < 0:
            raise InputError(f"Bad retries {self.retries!r}, expected a whole number from 0")


@dataclass(frozen=True)
class TranscribeResult:
    """What `transcribe` made.

    Attributes:
        out: the folder.
        info: what its transcripts.json says.
        rows: by split.
        stats: what the run did.
        heard: seconds of sound that it decoded.
    """

    out: Path
    info: Mapping[str, Any]
    rows: Mapping[str, tuple[Transcript, ...]]
    stats: Stats
    heard: float = 0.0


@dataclass(frozen=True)
class _Clip:
    """An utterance's clip before anybody listens; `problem` says why nobody can."""

    utterance: Utterance
    sha256: str = ""
    seconds: float | None = None
    problem: str = ""


def transcribe(options: TranscribeOptions, reporter: Reporter | None = None) -> TranscribeResult:
    """Transcribes the clips of a corpus, or goes on with a run that was interrupted.

    Args:
        options: see `TranscribeOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option or a file that cannot be used.
        AnnotatorError: the recogniser can answer nothing (wrong key, unknown model).
        Interrupted: stopped before the end; the same call goes on.
    """
    from ...annotators import asr
    from ...engine import EngineOptions

    reporter = reporter or Reporter()
    corpus, splits = _corpus(options, reporter)
    hearing = replace(options.hearing or asr.AsrOptions(), usual_language=_language(corpus))
    make = partial(_recogniser, options.asr, hearing, corpus.folder.resolve())
    recogniser, heard = make()
    wanted, rest = _wanted(corpus, splits, options.limit)
    engine = EngineOptions(
        concurrency=recogniser.at_once or hearing.concurrency, retries=0, tries=options.retries + 1
    )
    with workspace(options.out, NAME, corpus.name, corpus.folder) as journal:
        reporter.stage(f"Looking at {len(wanted):,} clips")
        clips = _look(corpus.folder, wanted)
        requests = [_request(clip, recogniser) for clip in clips if not clip.problem]
        reporter.stage(f"Transcribing {len(requests):,} clips with {recogniser.name}")
        work = Work(requests, recogniser, _check, _ask, engine)
        if options.parts is not None and options.parts.engine == "ray":
            asking = _asking(work, make, corpus.folder, hearing.threads)
            answered = ask(options.parts, asking, journal, options.out, reporter)
            annotations, stats = answered.annotations, answered.stats
            recogniser.notices += answered.notices
            heard.append(answered.heard)
        else:
            annotations, stats = run(work, journal, reporter)
        rows = _rows(corpus, splits, clips, annotations, recogniser.model)
        info = _info(options, corpus, recogniser, rows, rest)
        info["run"] = _run(options.out, stats, sum(heard))
        transcripts.write(options.out, rows, info)
    return TranscribeResult(options.out, info, rows, stats, sum(heard))


def _corpus(options: TranscribeOptions, reporter: Reporter) -> tuple[Corpus, tuple[str, ...]]:
    """The corpus and the splits to transcribe: all where none is named."""
    from ... import corpora

    reporter.stage(f"Reading {options.corpus}")
    corpus = corpora.load(options.corpus, name=options.corpus_name, mapping=options.mapping)
    for note in corpus.notes:
        reporter.notice(note)
    splits = corpus.splits if options.splits is None else options.splits
    unknown = [split for split in splits if split not in corpus.splits]
    if unknown or not splits:
        what = f"Bad split {unknown[0]!r}" if unknown else "No split is named"
        raise InputError(f"{what}, {corpus.folder} has {list(corpus.splits)!r}")
    if not any(u.clip for u in corpus.utterances if u.split in splits):
        raise InputError(f"{corpus.folder} has no clips in {list(splits)!r}; there is nothing to transcribe")
    return corpus, tuple(dict.fromkeys(splits))


def _language(corpus: Corpus) -> str:
    from ... import corpora

    return corpora.info(corpus.name).language if corpus.name in corpora.names() else ""


def _recogniser(spec: str, hearing: AsrOptions, folder: Path) -> tuple[Recogniser, list[float]]:
    """The recogniser, here or on a worker, and the list that gets the seconds of each clip it decodes."""
    from ...annotators import asr

    heard: list[float] = []
    return asr.create(spec, hearing, _loader(folder, heard)), heard


def _asking(
    work: Work, make: Callable[[], tuple[Recogniser, list[float]]], folder: Path, threads: int
) -> Asking:
    """The same work for workers, which make a recogniser of their own."""
    return Asking(
        requests=work.requests,
        make=make,
        check=work.check,
        conversation=work.conversation,
        options=work.options,
        folder=folder.resolve(),
        in_process=work.annotator.endpoint == "local",
        threads=threads,
    )


def _loader(folder: Path, heard: list[float]) -> LoadAudio:
    """Decodes clips; the seconds of each are added to `heard`."""

    def load(utterance: Utterance) -> Any:
        from ...voice.audio import AudioError, read

        try:
            sound = read(_source(folder, utterance))
        except AudioError as error:
            # Transcripts are passed on; where somebody keeps a corpus is nobody's business.
            raise AudioError(error.flag, str(error).replace(f"{folder}/", "")) from error
        heard.append(sound.seconds)
        return sound.samples

    return load


def _source(folder: Path, utterance: Utterance) -> Any:
    from ...voice.audio import Source

    assert utterance.clip is not None
    return Source(folder / utterance.clip, utterance.clip_start, utterance.clip_end)


def _wanted(
    corpus: Corpus, splits: Sequence[str], limit: int | None
) -> tuple[tuple[Utterance, ...], Counter[str]]:
    """The utterances whose rows are written, and how many of each split are beyond the limit."""
    wanted, rest, clips = [], Counter[str](), 0
    for utterance in corpus.utterances:
        if utterance.split not in splits:
            continue
        if limit is not None and clips >= limit:
            rest[utterance.split] += 1
            continue
        wanted.append(utterance)
        clips += utterance.clip is not None
    return tuple(wanted), rest


def _look(folder: Path, utterances: Sequence[Utterance]) -> list[_Clip]:
    """The clips' hashes and lengths."""
    from ...voice import audio, content

    @cache
    def sha256(path: Path) -> str:
        digest = hashlib.sha256()
        with content.open_file(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def look(utterance: Utterance) -> _Clip:
        if utterance.clip is None:
            missing = "clip_missing" in utterance.flags
            return _Clip(utterance, problem="clip_missing" if missing else "the corpus has no clip of it")
        try:
            found = sha256(folder / utterance.clip)
        except OSError as error:
            flag = "clip_missing" if isinstance(error, FileNotFoundError) else "clip_unreadable"
            return _Clip(utterance, problem=f"{flag}: {utterance.clip}: {error.strerror}")
        seconds = utterance.clip_duration
        if seconds is None:
            seconds = audio.seconds(_source(folder, utterance))
        return _Clip(utterance, found, seconds)

    with ThreadPoolExecutor(_READERS) as threads:
        return list(threads.map(look, utterances))


def _request(clip: _Clip, recogniser: Recogniser) -> Request:
    """What is asked: the sound by its hash, so that a changed clip or cut is heard again."""
    utterance = clip.utterance
    named: dict[str, Any] = {"sha256": clip.sha256}
    for name, value in (("start", utterance.clip_start), ("end", utterance.clip_end)):
        if value is not None:
            named[name] = value
    return Request(
        utterance=utterance,
        annotator=public_name(recogniser.name),
        model=recogniser.model,
        endpoint=recogniser.endpoint,
        messages=(Message("user", canonical_json({"audio": named})),),
        schema=_SCHEMA,
        parameters=dict(recogniser.parameters),
    )


def _ask(request: Request, history: object) -> tuple[Message, ...]:
    return request.messages


def _check(request: Request, reply: Reply) -> Verdict:
    """No words are an answer like any other: a clip may be silent."""
    if reply.failure:
        return Verdict(reply.failure, problems=(reply.detail,))
    return Verdict("valid", answer={"transcript": reply.raw})


def _rows(
    corpus: Corpus,
    splits: Sequence[str],
    clips: Sequence[_Clip],
    annotations: Sequence[Annotation],
    model: str,
) -> dict[str, tuple[Transcript, ...]]:
    answers = {annotation.utterance.id: annotation for annotation in annotations}
    rows: dict[str, list[Transcript]] = {split: [] for split in splits}
    for clip in clips:
        utterance = clip.utterance
        answer = answers.get(utterance.id)
        status, detail, text, heard_by = "error", clip.problem, None, ""
        if answer is not None:
            reply = answer.replies[-1]
            status, detail, heard_by = answer.verdict.status, reply.detail, model
            text = reply.raw if status == "valid" else None
        elif utterance.clip is None:
            status = "no_clip"
        rows[utterance.split].append(
            Transcript(
                id=utterance.id,
                split=utterance.split,
                speaker=utterance.speaker,
                label=utterance.label,
                seconds=clip.seconds,
                reference=utterance.words if utterance.words.strip() else None,
                transcript=text,
                status=status,
                detail=detail,
                model=heard_by,
            )
        )
    return {split: tuple(found) for split, found in rows.items()}


def _info(
    options: TranscribeOptions,
    corpus: Corpus,
    recogniser: Recogniser,
    rows: Mapping[str, Sequence[Transcript]],
    rest: Mapping[str, int],
) -> dict[str, Any]:
    """What transcripts.json says; of each split, utterances = transcribed + failed + no_clip + not_asked."""
    from ... import __version__

    counts, failed = {}, []
    for split, found in rows.items():
        by_status = Counter(row.status for row in found)
        counts[split] = {
            "utterances": len(found) + rest.get(split, 0),
            "transcribed": by_status["valid"],
            "empty": sum(row.transcript == "" for row in found),
            "failed": by_status["error"] + by_status["refused"],
            "no_clip": by_status["no_clip"],
            "not_asked": rest.get(split, 0),
        }
        failed += [
            {"id": row.id, "status": row.status, "reason": row.detail}
            for row in found
            if row.status in ("error", "refused")
        ]
    return {
        "recipe": NAME,
        "remelt": __version__,
        "corpus": corpus.name,
        "source": public_name(recogniser.name),
        "model": recogniser.model,
        "endpoint": recogniser.endpoint,
        "parameters": dict(recogniser.parameters),
        "notices": list(recogniser.notices),
        "splits": list(rows),
        "limit": options.limit,
        "counts": counts,
        "failed": failed,
    }


def _run(out: Path, stats: Stats, heard: float) -> Mapping[str, Any] | None:
    """What this run did; one that heard nothing leaves what the one before it did."""
    if not heard:
        try:
            return transcripts.read_info(out).get("run")
        except InputError:
            return None
    return {
        **stats.as_dict(),
        "audio_seconds": round(heard, 3),
        "real_time_factor": round(stats.seconds / heard, 4),
    }
