"""One pass over clips: decode once, judge the sound, measure it, keep it as FLAC.

Measures are taken from the 16-bit samples of the FLAC file, with or without a folder to keep it in: whoever
measures the published sound finds the published values.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..records import digest
from . import acoustics, audio, cache, quality
from .acoustics import Backend
from .audio import Source
from .cache import Cache
from .pool import Mapper, Pool
from .quality import Quality

# Changes whenever decoding or the judgement of a sound does.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Job:
    """A clip to analyse.

    Attributes:
        key: comes back with the result.
        source: the file, or the part of it.
        stated_seconds: what the corpus says of its length, to tell wrong cuts; None where it says nothing.
        words: how many words are said to be in it.
    """

    key: str
    source: Source
    stated_seconds: float | None = None
    words: int | None = None


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How to analyse.

    Attributes:
        acoustics: a backend's name (see `acoustics.backends`), `default`, or None to measure nothing.
        functionals: the 88 functionals of eGeMAPSv02 besides.
        processes: how many work at once.
    """

    acoustics: str | None = "default"
    functionals: bool = False
    processes: int = 1

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise InputError(f"Bad processes {self.processes!r}, expected a whole number from 1")


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in a clip.

    Attributes:
        key: of the job.
        quality: the state of the sound, with its flags.
        measures: name -> value, all of the backend's names; None where the sound has no such value.
        audio: the 16 kHz mono FLAC file; None where there is no sound or no folder to keep it in.
    """

    key: str
    quality: Quality
    measures: Mapping[str, float | None]
    audio: Path | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    """What a process needs to know. `cached_as` is the cache's key, None where the file cannot be read."""

    job: Job
    options: AnalysisOptions
    folder: Path | None
    cached_as: str | None = None
    kept: cache.Kept | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    quality: Quality
    audio: str | None
    measures: dict[str, float | None]


def analyse(
    jobs: Iterable[Job],
    options: AnalysisOptions | None = None,
    folder: Path | None = None,
    pool: Callable[[], AbstractContextManager[Mapper]] | None = None,
) -> Iterator[Analysis]:
    """Decodes, judges and measures clips.

    A clip that cannot be read gives an `Analysis` with its flags and None in all measures. With a folder,
    what is found is kept there by content: a second run decodes nothing that could be read, another backend
    measures the kept sound. Memory holds a few clips per process, however many jobs there are. Results are
    the same with any number of processes.

    Args:
        jobs: the clips; taken as they are needed.
        options: what to measure and with how many processes; `AnalysisOptions()` by default.
        folder: where measurements and FLAC files are kept; is made where it does not exist.
        pool: makes the workers, once there is something to do; by default `options.processes` processes here.

    Returns:
        One result per job, in their order.

    Raises:
        InputError: an unknown backend, a missing package, or a folder that cannot be used.
        Interrupted: the disk is full; what was found before is kept, and the same call goes on.
    """
    chosen = options or AnalysisOptions()
    backend = None if chosen.acoustics is None else _backend(chosen.acoustics, chosen.functionals)
    store = None if folder is None else Cache(folder)
    return _results(jobs, chosen, backend, store, pool or (lambda: Pool(chosen.processes)))


def _results(
    jobs: Iterable[Job],
    options: AnalysisOptions,
    backend: Backend | None,
    store: Cache | None,
    make_pool: Callable[[], AbstractContextManager[Mapper]],
) -> Iterator[Analysis]:
    folder = None if store is None else store.folder
    waiting: deque[tuple[_Task, Analysis | None]] = deque()

    def tasks() -> Iterator[_Task | None]:
        for job in rest:
            task, ready = _plan(job, options, backend, store)
            waiting.append((task, ready))
            yield None if ready is not None else task

    try:
        rest = iter(jobs)
        # While everything is known no process is started.
        for job in rest:
            task, ready = _plan(job, options, backend, store)
            if ready is None:
                rest = _before(job, rest)
                break
            yield ready
        else:
            return
        with make_pool() as pool:
            for found in pool.map(_work, tasks()):
                task, ready = waiting.popleft()
                if ready is not None:
                    yield ready
                elif found is not None:
                    if store is not None:
                        _keep(store, task, found, backend)
                    yield _analysis(task.job, found, backend, folder)
    finally:
        if store is not None:
            store.close()


def _before(first: Job, rest: Iterator[Job]) -> Iterator[Job]:
    yield first
    yield from rest


def _plan(
    job: Job, options: AnalysisOptions, backend: Backend | None, store: Cache | None
) -> tuple[_Task, Analysis | None]:
    """What is to be done for a job, and its result where nothing is."""
    if store is None:
        return _Task(job, options, None), None
    content = cache.content_hash(job.source.path)
    if content is None:
        return _Task(job, options, store.folder), None
    key = _key(content, job)
    kept = store.sound(key)
    task = _Task(job, options, store.folder, key, kept)
    if kept is None:
        return task, None
    measures: dict[str, float | None] | None = {}
    if backend is not None:
        measures = store.measures(kept.audio, _signature(backend))
    if measures is None:
        return task, None
    found = _Found(kept.quality, kept.audio, measures)
    return task, _analysis(job, found, backend, store.folder)


def _key(content: str, job: Job) -> str:
    """The cache's key of a clip; the file's suffix is part of it, for it can be wrong, which is flagged."""
    source = job.source
    what = [
        VERSION, _decoders(), audio.RATE, [field.name for field in fields(Quality)], content,
        source.path.suffix.lower(), source.start, source.end, job.stated_seconds, job.words,
    ]  # fmt: skip
    return digest(what)


@lru_cache(maxsize=1)
def _decoders() -> dict[str, str | None]:
    """Versions of what turns a file into samples: others may give others; None where one is missing."""
    import soundfile

    versions: dict[str, str | None] = {"libsndfile": soundfile.__libsndfile_version__}
    for name in ("soundfile", "av", "soxr"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _signature(backend: Backend) -> str:
    """Under what measurements are kept: whatever changes the values or which there are."""
    return f"{backend.name}: {backend.version}: {digest(list(backend.measures))[:16]}"


def _keep(store: Cache, task: _Task, found: _Found, backend: Backend | None) -> None:
    if task.cached_as is None or found.audio is None:
        return
    if backend is not None:
        store.keep_measures(found.audio, _signature(backend), found.measures)
    if task.kept is None or task.kept.audio != found.audio:
        store.keep_sound(task.cached_as, found.quality, found.audio)


def _analysis(job: Job, found: _Found, backend: Backend | None, folder: Path | None) -> Analysis:
    names = () if backend is None else backend.measures
    path = None
    if found.audio is not None and folder is not None:
        path = cache.audio_path(folder, found.audio)
    return Analysis(job.key, found.quality, {name: found.measures.get(name) for name in names}, path)


@lru_cache(maxsize=4)
def _backend(name: str, functionals: bool) -> Backend:
    return acoustics.create(name, functionals)


def _work(task: _Task | None) -> _Found | None:
    """Decodes, or takes the kept sound, and measures; in whatever process."""
    if task is None:
        return None
    if task.kept is not None and task.folder is not None:
        samples = _kept_samples(cache.audio_path(task.folder, task.kept.audio))
        if samples is not None:
            return _Found(task.kept.quality, task.kept.audio, _measure(samples, task.options))
    job = task.job
    sound, judged = quality.examine(job.source, stated_seconds=job.stated_seconds, words=job.words)
    if sound is None or not len(sound.samples):
        return _Found(judged, None, {})
    content = audio.flac(sound.samples)
    name = None if task.folder is None else cache.spool(task.folder, content)
    return _Found(judged, name, _measure(_samples(io.BytesIO(content)), task.options))


def _measure(samples: NDArray[np.float32], options: AnalysisOptions) -> dict[str, float | None]:
    if options.acoustics is None:
        return {}
    return _backend(options.acoustics, options.functionals).measure(samples)


def _kept_samples(path: Path) -> NDArray[np.float32] | None:
    """The samples of a kept file; None where it is damaged, so that it is made again."""
    import soundfile

    try:
        return _samples(path)
    except soundfile.SoundFileError:
        path.unlink(missing_ok=True)
        return None


def _samples(file: Path | io.BytesIO) -> NDArray[np.float32]:
    import soundfile

    samples, _ = soundfile.read(file, dtype="float32")
    return np.asarray(samples, np.float32)
