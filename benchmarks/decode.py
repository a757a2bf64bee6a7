"""Times decoding: MP4 made from real WAVs and its alignment, resampling, two processes, memory.

    python benchmarks/decode.py --clips RAVDESS_DIR

The clips are made into H.264/AAC MP4 in a temporary folder. Each figure is the median of several runs, with
the smallest and largest; `per_cpu_second` counts the processor's time, which other work on the machine hardly
lengthens. Needs `pip install 'remelt[voice]'`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from remelt.voice.audio import read
from remelt.voice.pool import Pool
from remelt.voice.quality import Quality, examine, peak_normalised

MP4_CLIPS = 100
COPIES = 12


def quality(path: Path) -> Quality:
    return examine(path)[1]


def make_mp4(source: Path, target: Path) -> None:
    """A clip as video corpora have it: moving pictures and AAC at the WAV's own rate."""
    import av

    samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    planes = np.ascontiguousarray(samples.T)
    layout = "stereo" if len(planes) == 2 else "mono"
    with av.open(str(target), "w") as container:
        picture = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = 320, 240, "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout=layout)
        sound.bit_rate = 128_000
        for number in range(round(planes.shape[1] / rate * 25)):
            image = np.roll(np.indices((240, 320)).sum(axis=0), number).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.stack([image] * 3, axis=-1))
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        heard = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        heard.sample_rate, heard.pts = rate, 0
        container.mux([*sound.encode(heard), *sound.encode(None)])


def lag(sound: np.ndarray, reference: np.ndarray) -> int:
    """By how many samples a sound comes late, from the peak of the cross-correlation."""
    size = 1 << (len(sound) + len(reference)).bit_length()
    product = np.fft.rfft(sound, size) * np.fft.rfft(reference, size).conj()
    peak = int(np.fft.irfft(product, size).argmax())
    return peak if peak < size // 2 else peak - size


def alignment(pairs: Sequence[tuple[Path, Path]]) -> dict[str, Any]:
    """MP4 against WAV, at 48 kHz and at 16 kHz."""
    lags: dict[int, list[int]] = {48_000: [], 16_000: []}
    lengths, correlations = [], []
    for wav, mp4 in pairs:
        for rate, found in lags.items():
            original, decoded = read(wav, rate).samples, read(mp4, rate).samples
            found.append(lag(decoded, original))
        lengths.append(len(decoded) - len(original))
        common = min(len(decoded), len(original))
        correlations.append(float(np.corrcoef(decoded[:common], original[:common])[0, 1]))
    return {
        "clips": len(pairs),
        "lag_in_samples_at_48_khz": sorted(set(lags[48_000])),
        "lag_in_samples_at_16_khz": sorted(set(lags[16_000])),
        "length_difference_in_samples_at_16_khz": sorted(set(lengths)),
        "correlation_least": round(min(correlations), 4),
    }


def rate_of(work: Callable[[], object], clips: int, runs: int) -> dict[str, dict[str, float]]:
    """Clips per second of one process."""
    walls, processors = [], []
    for _ in range(runs):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(clips / (time.perf_counter() - wall))
        processors.append(clips / (time.process_time() - processor))
    return {"per_second": figures(walls), "per_cpu_second": figures(processors)}


def figures(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 2),
        "min": round(min(values), 2),
        "max": round(max(values), 2),
    }


def two_against_one(paths: Sequence[Path], runs: int) -> dict[str, dict[str, float]]:
    """Clips per second with one and with two processes in turns, so that other work meets both alike."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    with Pool(1) as one, Pool(2) as two:
        list(two.map(quality, paths[:40]))
        for _ in range(runs):
            for processes, pool in ((1, one), (2, two)):
                begun = time.perf_counter()
                list(pool.map(quality, paths))
                rates[processes].append(len(paths) / (time.perf_counter() - begun))
    ratios = [after / before for before, after in zip(rates[1], rates[2], strict=True)]
    return {"one": figures(rates[1]), "two": figures(rates[2]), "ratio": figures(ratios)}


def peak_memory(folder: Path, processes: int) -> dict[str, float]:
    """MB of the process that asks and of the largest that decodes, for all clips of a folder."""
    command = [sys.executable, __file__, "--memory", str(folder), "--processes", str(processes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    clips, parent, worker = (float(word) for word in done.stdout.split())
    return {"clips": int(clips), "main_process_mb": parent, "largest_worker_mb": worker}


def report_memory(folder: Path, processes: int) -> None:
    paths = sorted(folder.glob("*.wav"))
    with Pool(processes) as pool:
        for _ in pool.map(quality, paths):
            pass
        worker = max(pool.map(most_memory, range(20 * processes))) if processes > 1 else 0.0
    print(len(paths), most_memory(), worker)


def most_memory(_: int = 0) -> float:
    """The most memory that this process has had, in MB; getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)


def measure(clips: Path, runs: int) -> dict[str, Any]:
    wavs = sorted(clips.rglob("*.wav"))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = [(wav, folder / f"{wav.stem}.mp4") for wav in wavs[:MP4_CLIPS]]
        for wav, mp4 in pairs:
            make_mp4(wav, mp4)
        found["mp4_alignment"] = alignment(pairs)
        mp4s = [mp4 for _, mp4 in pairs]
        found["mp4_read"] = rate_of(lambda: [read(p) for p in mp4s], len(mp4s), runs)
        found["wav_48_to_16_khz_read"] = rate_of(lambda: [read(p) for p in wavs], len(wavs), runs)
        found["wav_quality"] = rate_of(lambda: [quality(p) for p in wavs], len(wavs), runs)
        found["wav_quality_two_processes"] = two_against_one(wavs * 2, runs)
        found["mp4_quality_two_processes"] = two_against_one(mp4s, runs)
        for count in (1, COPIES):
            (folder / str(count)).mkdir()
            for copy in range(count):
                for wav in wavs:
                    os.link(_copied(wav, folder), folder / str(count) / f"{copy:02}-{wav.name}")
        found["memory"] = [
            {"processes": n, **peak_memory(folder / str(count), n)} for n in (1, 2) for count in (1, COPIES)
        ]
    spread = peak_normalised(quality(p).peak_db for p in wavs)
    found["peaks"] = {"clips": spread.clips, "std_db": spread.std_db, "normalised": spread.normalised}
    return found


def _copied(wav: Path, folder: Path) -> Path:
    target = folder / f"copy-{wav.name}"
    if not target.exists():
        target.write_bytes(wav.read_bytes())
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder with RAVDESS's WAV files")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--note", default="", help="what to know of the machine, kept in the record")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory is not None:
        report_memory(options.memory, options.processes)
        return
    if options.clips is None:
        parser.error("--clips is needed")
    record = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "note": options.note,
        "versions": {name: version(name) for name in ("av", "numpy", "soundfile", "soxr")},
        "runs": options.runs,
        **measure(options.clips, options.runs),
    }
    print(json.dumps(record, indent=2))
    options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
