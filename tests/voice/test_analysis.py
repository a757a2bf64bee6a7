"""Clips in, results out: in order, decoded once, the same however many processes, and never an exception."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remelt.errors import InputError, Interrupted
from remelt.voice import analysis, quality
from remelt.voice.acoustics import MEASURES, create
from remelt.voice.analysis import Analysis, AnalysisOptions, Job, analyse
from remelt.voice.audio import Source

from ..bad_audio import KINDS, make, tone

pytest.importorskip("scipy")
pytest.importorskip("soxr")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Six clips of different lengths, rates and channels."""
    found = []
    for number, rate in enumerate((16_000, 48_000, 16_000, 22_050, 44_100, 8_000)):
        path = tmp_path / "clips" / f"clip{number}.wav"
        path.parent.mkdir(exist_ok=True)
        samples = tone(0.6 + 0.1 * number, rate)
        soundfile.write(path, np.stack([samples] * (1 + number % 2), axis=1), rate)
        found.append(Job(f"corpus/train/{number}", Source(path)))
    return found


class Counted:
    """Counts decodings and measurements, which go on as before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoded = self.measured = 0
        examine, measure = quality.examine, analysis._measure

        def counted_examine(*args: Any, **more: Any) -> Any:
            self.decoded += 1
            return examine(*args, **more)

        def counted_measure(*args: Any) -> Any:
            self.measured += 1
            return measure(*args)

        monkeypatch.setattr(quality, "examine", counted_examine)
        monkeypatch.setattr(analysis, "_measure", counted_measure)

    def take(self) -> tuple[int, int]:
        counts = self.decoded, self.measured
        self.decoded = self.measured = 0
        return counts


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_results_in_order_with_everything_in_them(jobs: list[Job], tmp_path: Path) -> None:
    found = list(analyse(jobs, folder=tmp_path / "voice"))
    assert [a.key for a in found] == [job.key for job in jobs]
    assert [a.quality.rate for a in found] == [16_000, 48_000, 16_000, 22_050, 44_100, 8_000]
    for number, result in enumerate(found):
        assert result.quality.seconds == pytest.approx(0.6 + 0.1 * number, abs=0.001)
        assert tuple(result.measures) == MEASURES
        assert result.measures["f0_semitone_mean"] == pytest.approx(12 * np.log2(120 / 27.5), abs=3)
        assert result.audio is not None
        info = soundfile.info(result.audio)
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        assert info.duration == pytest.approx(result.quality.seconds, abs=0.001)


def test_whoever_measures_the_kept_sound_finds_the_same_values(jobs: list[Job], tmp_path: Path) -> None:
    kept = list(analyse(jobs, folder=tmp_path / "voice"))
    free = list(analyse(jobs))
    assert [a.measures for a in kept] == [a.measures for a in free]
    assert all(a.audio is None for a in free)
    for result in kept:
        assert result.audio is not None
        assert create().measure(soundfile.read(result.audio, dtype="float32")[0]) == result.measures


def test_a_second_run_decodes_nothing(jobs: list[Job], tmp_path: Path, counted: Counted) -> None:
    first = list(analyse(jobs, folder=tmp_path / "voice"))
    assert counted.take() == (6, 6)
    assert list(analyse(jobs, folder=tmp_path / "voice")) == first
    assert counted.take() == (0, 0)


def test_a_second_run_starts_no_process(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = list(analyse(jobs, folder=tmp_path / "voice"))
    monkeypatch.setattr(analysis, "Pool", None)
    assert list(analyse(jobs, AnalysisOptions(processes=2), tmp_path / "voice")) == first


def test_another_backend_measures_the_kept_sound(jobs: list[Job], tmp_path: Path, counted: Counted) -> None:
    pytest.importorskip("swift_f0")
    folder = tmp_path / "voice"
    first = list(analyse(jobs, AnalysisOptions(acoustics=None), folder))
    assert counted.take() == (6, 6)
    assert all(a.measures == {} for a in first)
    plain = list(analyse(jobs, AnalysisOptions(), folder))
    other = list(analyse(jobs, AnalysisOptions(acoustics="swift-f0"), folder))
    assert counted.take() == (0, 12)
    assert [a.quality for a in first] == [a.quality for a in plain] == [a.quality for a in other]
    assert [a.audio for a in first] == [a.audio for a in other]
    assert plain[0].measures != other[0].measures
    assert list(analyse(jobs, AnalysisOptions(), folder)) == plain
    assert counted.take() == (0, 0)
    fresh = list(analyse(jobs, AnalysisOptions(acoustics="swift-f0")))
    assert [a.measures for a in fresh] == [a.measures for a in other]


def test_a_renamed_clip_is_known_and_a_changed_one_is_not(
    jobs: list[Job], tmp_path: Path, counted: Counted
) -> None:
    folder = tmp_path / "voice"
    first = list(analyse(jobs, folder=folder))
    counted.take()
    moved = jobs[0].source.path.rename(tmp_path / "elsewhere.wav")
    soundfile.write(jobs[1].source.path, tone(1.5), 16_000)
    again = list(analyse([Job("x", Source(moved)), *jobs[1:]], folder=folder))
    assert counted.take() == (1, 1)
    assert again[0].measures == first[0].measures
    assert again[1].quality.seconds == 1.5


def test_cuts_are_clips_of_their_own(jobs: list[Job], tmp_path: Path, counted: Counted) -> None:
    path = jobs[5].source.path
    cuts = [Job(str(start), Source(path, start, start + 0.3)) for start in (0.0, 0.3, 0.6)]
    found = list(analyse([jobs[5], *cuts], folder=tmp_path / "voice"))
    assert [a.quality.seconds for a in found[1:]] == [0.3] * 3
    assert len({a.audio for a in found}) == 4
    counted.take()
    assert list(analyse(cuts, folder=tmp_path / "voice")) == found[1:]
    assert counted.take() == (0, 0)


def test_time_stamps_and_words_are_part_of_the_judgement(jobs: list[Job], tmp_path: Path) -> None:
    path = jobs[0].source.path
    judged = [Job("a", Source(path)), Job("b", Source(path), 3.0), Job("c", Source(path), words=50)]
    flags = [a.quality.flags for a in analyse(judged, folder=tmp_path / "voice")]
    assert flags == [(), ("length_differs",), ("too_many_words",)]


def test_a_kept_file_of_the_same_size_and_other_bytes_is_made_again(
    jobs: list[Job], tmp_path: Path, counted: Counted
) -> None:
    """After a power cut the end of a file may be zeros; nothing about such a file may be published."""
    first = list(analyse(jobs, folder=tmp_path / "voice"))
    kept = first[3].audio
    assert kept is not None
    content = kept.read_bytes()
    kept.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    counted.take()
    assert list(analyse(jobs, folder=tmp_path / "voice")) == first
    assert counted.take() == (1, 1)
    assert kept.read_bytes() == content


@pytest.mark.parametrize("package", ["av", "soundfile", "soxr", "libsndfile"])
def test_another_decoder_decodes_again(
    jobs: list[Job], tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    first = list(analyse(jobs[:2], folder=tmp_path / "voice"))
    assert counted.take() == (2, 2)
    version = analysis.metadata.version
    # What is known of the versions is kept for as long as the process lives.
    monkeypatch.setattr(analysis, "_decoders", analysis._decoders.__wrapped__)
    assert list(analyse(jobs[:2], folder=tmp_path / "voice")) == first
    assert counted.take() == (0, 0)
    monkeypatch.setattr(
        analysis.metadata, "version", lambda name: "99.0" if name == package else version(name)
    )
    if package == "libsndfile":
        monkeypatch.setattr(soundfile, "__libsndfile_version__", "99.0")
    assert list(analyse(jobs[:2], folder=tmp_path / "voice")) == first
    assert counted.take() == (2, 2)


def test_a_damaged_kept_file_is_made_again(jobs: list[Job], tmp_path: Path, counted: Counted) -> None:
    pytest.importorskip("swift_f0")
    folder = tmp_path / "voice"
    first = list(analyse(jobs, folder=folder))
    assert first[2].audio is not None
    content = first[2].audio.read_bytes()
    first[2].audio.write_bytes(b"\0" * len(content))
    counted.take()
    list(analyse(jobs, AnalysisOptions(acoustics="swift-f0"), folder))
    assert counted.take() == (1, 6)
    assert first[2].audio.read_bytes() == content


def test_bad_clips_give_flags_and_no_measures(tmp_path: Path) -> None:
    pytest.importorskip("av")
    paths = make(tmp_path / "bad")
    jobs = [
        Job(bad.name, Source(paths[bad.name], bad.start, bad.end), bad.seconds, len(bad.text.split()))
        for bad in KINDS
    ]
    for _ in range(2):
        found = list(analyse(jobs, folder=tmp_path / "voice"))
        assert [a.key for a in found] == [bad.name for bad in KINDS]
        for bad, result in zip(KINDS, found, strict=True):
            assert set(bad.flags) <= set(result.quality.flags), bad.name
            assert tuple(result.measures) == MEASURES
            if not result.quality.usable:
                assert set(result.measures.values()) == {None}
                assert result.audio is None


def test_one_process_or_two(jobs: list[Job], tmp_path: Path) -> None:
    bad = Job("missing", Source(tmp_path / "missing.wav"))
    mixed = [*jobs[:3], bad, *jobs[3:]]
    one = list(analyse(mixed, AnalysisOptions(), tmp_path / "one"))
    # Some are known when the processes start.
    list(analyse(jobs[2:4], AnalysisOptions(), tmp_path / "two"))
    two = list(analyse(mixed, AnalysisOptions(processes=2), tmp_path / "two"))
    assert [(a.key, a.quality, a.measures) for a in one] == [(a.key, a.quality, a.measures) for a in two]
    files = [sorted((tmp_path / name / "audio").rglob("*.flac")) for name in ("one", "two")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    assert len(files[0]) == 6


def test_jobs_are_taken_as_they_are_needed(jobs: list[Job], tmp_path: Path) -> None:
    """An endless corpus: only a few jobs are ahead of the results."""
    taken = 0

    def endless() -> Iterator[Job]:
        nonlocal taken
        while True:
            taken += 1
            yield jobs[taken % 6]

    results = analyse(endless(), folder=tmp_path / "voice")
    for _ in range(20):
        next(results)
    assert taken <= 24
    results.close()  # type: ignore[attr-defined]


def test_bad_options_are_told_at_once(jobs: list[Job], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Bad acoustics backend 'loud'"):
        analyse(jobs, AnalysisOptions(acoustics="loud"))
    with pytest.raises(InputError, match="Bad processes 0"):
        AnalysisOptions(processes=0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="Cannot write to"):
        analyse(jobs, folder=tmp_path / "file")


def test_no_jobs() -> None:
    assert list(analyse([])) == []


@pytest.mark.parametrize(("name", "package"), [("default", "afx_audio"), ("opensmile", "opensmile")])
def test_functionals_are_kept_apart(jobs: list[Job], tmp_path: Path, name: str, package: str) -> None:
    pytest.importorskip(package)
    folder = tmp_path / "voice"
    plain, full = AnalysisOptions(name), AnalysisOptions(name, functionals=True)
    first = list(analyse(jobs[:2], plain, folder))
    second = list(analyse(jobs[:2], full, folder))
    assert [len(a.measures) for a in second] == [97, 97]
    assert all(None not in a.measures.values() for a in second)
    assert list(analyse(jobs[:2], full, folder)) == second
    assert list(analyse(jobs[:2], plain, folder)) == first


def test_a_full_disk_stops_and_the_next_run_goes_on(
    small_disk: Path, tmp_path: Path, counted: Counted
) -> None:
    jobs = []
    for number in range(12):
        path = tmp_path / f"{number}.wav"
        noise = np.random.default_rng(number).uniform(-1, 1, 16_000 * 75)
        soundfile.write(path, noise, 16_000)
        jobs.append(Job(str(number), Source(path)))
    options = AnalysisOptions(acoustics=None)
    found: list[Analysis] = []
    with pytest.raises(Interrupted, match="No space left"):
        found.extend(analyse(jobs, options, small_disk / "voice"))
    assert 2 < len(found) < 12
    counted.take()
    again = analyse(jobs, options, small_disk / "voice")
    assert [next(again) for _ in found] == found
    assert counted.take() == (0, 0)


RUN = """
import sys
from pathlib import Path
from remelt.voice.analysis import AnalysisOptions, Job, analyse
from remelt.voice.audio import Source
if __name__ == "__main__":
    jobs = [Job(path.name, Source(path)) for path in sorted(Path(sys.argv[1]).glob("*.wav"))]
    for result in analyse(jobs, AnalysisOptions(processes=int(sys.argv[3])), Path(sys.argv[2])):
        print(result.key, flush=True)
"""


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on(tmp_path: Path, counted: Counted, processes: int) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(30):
        soundfile.write(clips / f"{number:02}.wav", tone(0.5 + number / 50), 16_000)
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")
    command = [sys.executable, str(script), str(clips), str(tmp_path / "voice"), str(processes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(8)]
    process.kill()
    process.wait(timeout=300)
    assert said == [f"{number:02}.wav" for number in range(8)]
    jobs = [Job(path.name, Source(path)) for path in sorted(clips.glob("*.wav"))]
    resumed = list(analyse(jobs, folder=tmp_path / "voice"))
    assert counted.take()[0] <= 30 - 8
    assert [a.measures for a in resumed] == [a.measures for a in analyse(jobs)]


def test_the_same_samples_in_any_container_are_kept_once(tmp_path: Path) -> None:
    samples = np.rint(tone(1.0) * 32767) / 32768
    jobs = []
    for name in ("a.wav", "b.flac"):
        file = io.BytesIO()
        soundfile.write(file, samples, 16_000, format=name[2:].upper(), subtype="PCM_16")
        (tmp_path / name).write_bytes(file.getvalue())
        jobs.append(Job(name, Source(tmp_path / name)))
    first, second = analyse(jobs, folder=tmp_path / "voice")
    assert first.audio == second.audio
