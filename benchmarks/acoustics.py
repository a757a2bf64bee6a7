"""Compares the acoustics backends with openSMILE on RAVDESS: agreement and speed; prints and writes JSON.

    python benchmarks/acoustics.py DIR

DIR holds RAVDESS clips (`Actor_01/03-01-01-01-01-01-01.wav`, ...). Agreement is with openSMILE's own
functionals of the same 16 kHz samples; bins are the lowest 30, the middle 40 and the highest 30 %. All
backends are timed in turn in each round, so their ratios hold on a busy machine; the load is in the record.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Clips per core are wanted; set before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import soxr

from remelt.voice import audio
from remelt.voice.acoustics import DEFAULT, FUNCTIONALS, backends, create
from remelt.voice.analysis import AnalysisOptions, Job, analyse
from remelt.voice.audio import Source

PITCH, LOUDNESS = "F0semitoneFrom27.5Hz_sma3nz_amean", "loudness_sma3_amean"
REFERENCE = "opensmile"
PACKAGES = ("remelt", "opensmile", "afx-audio", "swift-f0", "numpy", "scipy", "soxr")
WARM_SECONDS, TIMED_SECONDS = 5.0, 10.0
Clips = dict[str, np.ndarray[Any, Any]]
Rows = list[dict[str, float | None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with RAVDESS clips")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help="one part, to be put into the record that is there")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    paths = sorted(options.folder.rglob("03-01-*.wav"))
    clips = {path.name: audio.read(path).samples for path in paths}
    # Half of them, both sexes and every emotion, for what takes long.
    some = {path.name: clips[path.name] for path in paths[::2]}
    reference = [] if options.only else measured(REFERENCE, clips)
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in PACKAGES},
        "clips": len(clips),
        "seconds_of_sound": round(sum(map(len, clips.values())) / audio.RATE, 1),
        "default": DEFAULT,
        "runs": options.runs,
        "load_average": {},
    }
    if options.only:
        record = json.loads(options.json.read_text(encoding="utf-8"))
    parts: dict[str, Callable[[], Any]] = {
        "agreement_with_opensmile": lambda: agreement(clips, reference),
        "measuring_clips_per_cpu_second": lambda: speed(some, options.runs),
        "agreement_on_altered_clips": lambda: {
            name: altered(some, change) for name, change in ALTERED.items()
        },
        "functionals_afx_with_opensmile": lambda: functionals(clips, reference),
        "reading_and_measuring": lambda: processes(paths, options.runs),
        "two_against_one_of_an_empty_loop": lambda: control(options.runs),
    }
    for name in [options.only] if options.only else parts:
        record[name] = parts[name]()
        record["load_average"][name] = round(os.getloadavg()[0], 1)
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


def _noisy(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    noise = np.random.default_rng(0).normal(size=len(samples))
    return (samples + noise * samples.std() * 10 ** (-20 / 20)).astype(np.float32)


# Sounds that nothing was adjusted on: another pitch and tempo, noise 20 dB under the voice.
ALTERED: dict[str, Callable[[Any], Any]] = {
    "15 % higher and faster": lambda samples: soxr.resample(samples, 1.15, 1.0),
    "white noise at 20 dB": _noisy,
}


def measured(name: str, clips: Clips) -> Rows:
    """All values, the 88 functionals included."""
    backend = create(name, functionals=True)
    return [backend.measure(samples) for samples in clips.values()]


def altered(clips: Clips, change: Callable[[Any], Any]) -> dict[str, Any]:
    changed = {name: change(samples) for name, samples in clips.items()}
    return agreement(changed, measured(REFERENCE, changed))


def agreement(clips: Clips, reference: Rows) -> dict[str, Any]:
    """Of each other backend with openSMILE's functionals."""
    # Actors with even numbers are women.
    women = np.array([int(name[-6:-4]) % 2 == 0 for name in clips])
    pitch, loud = (np.array([row[name] for row in reference], float) for name in (PITCH, LOUDNESS))
    found = {}
    for name in (name for name in backends() if name != REFERENCE):
        backend = create(name)
        rows = [backend.measure(samples) for samples in clips.values()]
        own = {key: np.array([row[key] for row in rows], float) for key in backend.measures}
        f0 = own["f0_semitone_mean"]
        known = np.isfinite(f0)
        sexes = (known & women, known & ~women)
        found[name] = {
            "clips": len(rows),
            "f0_correlation": correlation(f0[known], pitch[known]),
            "f0_correlation_women_men": [correlation(f0[sex], pitch[sex]) for sex in sexes],
            "f0_bins_within_sex": round(float(np.mean([same_bins(f0[s], pitch[s]) for s in sexes])), 4),
            "f0_median_difference_semitones": round(float(np.median(np.abs(f0 - pitch)[known])), 3),
            "f0_missing": int((~known).sum()),
            "loudness_correlation": correlation(own["loudness_mean"], loud),
            "loudness_bins": same_bins(own["loudness_mean"], loud),
            "syllable_rate_median": round(float(np.nanmedian(own["syllable_rate"])), 2),
        }
    return found


def correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return round(float(np.corrcoef(a, b)[0, 1]), 4)


def same_bins(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Share of the clips that fall into the same of the three bins by both."""
    bins = [np.digitize(values, np.quantile(values, [0.3, 0.7])) for values in (a, b)]
    return round(float(np.mean(bins[0] == bins[1])), 4)


def functionals(clips: Clips, reference: Rows) -> dict[str, Any]:
    """How near afx-audio's 88 functionals come to openSMILE's, as correlations over clips."""
    tables = (measured("afx", clips), reference)
    found = {}
    for name in FUNCTIONALS:
        ours, theirs = (np.array([row[name] for row in table], float) for table in tables)
        known = np.isfinite(ours) & np.isfinite(theirs)
        found[name] = correlation(ours[known], theirs[known])
    values = list(found.values())
    return {
        "median": round(statistics.median(values), 4),
        **{f"at_least_{line}": sum(value >= line for value in values) for line in (0.99, 0.95, 0.9, 0.8)},
        "of": len(values),
        "each": dict(sorted(found.items(), key=lambda item: item[1])),
    }


def speed(clips: Clips, runs: int) -> dict[str, Any]:
    """Clips per second of processor time, decoding not included."""
    times: dict[str, list[float]] = {name: [] for name in backends()}
    for _ in range(runs):
        for name in times:
            backend = create(name)
            backend.measure(next(iter(clips.values())))
            begun = time.process_time()
            for samples in clips.values():
                backend.measure(samples)
            times[name].append(len(clips) / (time.process_time() - begun))
    return {name: figures(values) for name, values in times.items()}


def processes(paths: Sequence[Path], runs: int) -> dict[str, Any]:
    """From file to measures with one process and with two, for some seconds after all of them have begun.

    Wall time tells what a machine with nothing else to do gains; processor time tells, on any machine, what
    the second process costs.
    """
    found: dict[str, Any] = {}
    for name in backends():
        wall: dict[int, list[float]] = {1: [], 2: []}
        work: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(runs):
            for count in wall:
                per_second, per_cpu_second = steady(paths, AnalysisOptions(acoustics=name, processes=count))
                wall[count].append(per_second)
                work[count].append(per_cpu_second)
        found[name] = {
            "clips_per_second": {str(count): figures(values) for count, values in wall.items()},
            "clips_per_cpu_second": {str(count): figures(values) for count, values in work.items()},
            "two_against_one": round(statistics.median(wall[2]) / statistics.median(wall[1]), 2),
        }
    return found


def steady(paths: Sequence[Path], options: AnalysisOptions) -> tuple[float, float]:
    """Clips per second of wall time and of processor time, once every process is at work."""
    results = analyse((Job(path.name, Source(path)) for path in itertools.cycle(paths)), options)
    next(results)
    begun = time.perf_counter()
    while time.perf_counter() - begun < WARM_SECONDS:
        next(results)
    done, begun, spent = 0, time.perf_counter(), cpu_seconds()
    while time.perf_counter() - begun < TIMED_SECONDS:
        next(results)
        done += 1
    took = time.perf_counter() - begun
    rates = done / took, done / (cpu_seconds() - spent)
    results.close()  # type: ignore[attr-defined]
    return rates


def control(runs: int) -> float:
    """What two processes do against one where nothing is shared: what the machine has to give just now."""
    done: dict[int, list[int]] = {1: [], 2: []}
    for _ in range(runs):
        for count, values in done.items():
            with multiprocessing.get_context("spawn").Pool(count) as pool:
                values.append(sum(pool.map(spin, [TIMED_SECONDS / 2] * count)))
    return round(statistics.median(done[2]) / statistics.median(done[1]), 2)


def spin(seconds: float) -> int:
    end, turns = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        turns += 1
    return turns


def cpu_seconds() -> float:
    """Processor time of this process and of those it started (Linux)."""
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def figures(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 1),
        "min": round(min(values), 1),
        "max": round(max(values), 1),
    }


if __name__ == "__main__":
    main()
