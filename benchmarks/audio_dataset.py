"""Times clips on their way into a dataset with sound, and its memory; prints and writes a JSON record.

    python benchmarks/audio_dataset.py --ravdess DIR

DIR holds RAVDESS's 48 kHz WAV files (`Actor_01`, ...). Each clip is copied until there are 1,440, each copy
one sample shorter, so that no two files are the same. Decoding, resampling to 16 kHz, judging and FLAC
(`listen`), writing Parquet, manifest and card (`publish`), checking every sound (`verify`) and making the
dataset again (`again`) are timed apart, each in a process of its own, with 120 clips and with all.
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
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

FEW, MANY = 120, 1_440
STAGES = ("listen", "publish", "verify", "again")


def copies(ravdess: Path, folder: Path, clips: int) -> None:
    """`clips` different 48 kHz files, made from those there are."""
    import soundfile

    sources = sorted(ravdess.rglob("*.wav"))
    folder.mkdir(parents=True)
    for number in range(clips):
        turn, place = divmod(number, len(sources))
        samples, rate = soundfile.read(sources[place], dtype="int16")
        soundfile.write(folder / f"dia{place}_utt{turn}.wav", samples[turn:], rate)


def listen(work: Path) -> None:
    from remelt.voice.analysis import AnalysisOptions, Job, analyse
    from remelt.voice.audio import Source

    jobs = (Job(f"toy/train/{path.stem}", Source(path)) for path in sorted((work / "clips").iterdir()))
    options = AnalysisOptions(acoustics=None)
    rows = [
        [found.key, str(found.audio), found.quality.seconds, list(found.quality.flags)]
        for found in analyse(jobs, options, work / "heard")
    ]
    (work / "heard.json").write_text(json.dumps(rows), encoding="utf-8")


class Files:
    """The FLAC files that `listen` kept."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self.paths = paths

    def read(self, utterance_id: str) -> tuple[bytes, str]:
        return self.paths[utterance_id].read_bytes(), f"{utterance_id.rpartition('/')[2]}.flac"

    def size(self, utterance_id: str) -> int:
        return self.paths[utterance_id].stat().st_size


def content(work: Path) -> Any:
    """The records of a build in which everybody said the same."""
    from remelt.labels import MELT
    from remelt.publishing import DatasetContent, VoiceContent
    from remelt.records import Annotation, Message, Reply, Request, Utterance, Verdict, Voice

    heard = json.loads((work / "heard.json").read_text(encoding="utf-8"))
    schema = {"x-remelt-label": "label", "type": "object", "properties": {"label": {"enum": ["Joy"]}}}
    annotations = []
    for number, (key, *_) in enumerate(heard):
        row = Utterance(key, "toy", "train", number, 0, "Ann", "Kids are talking by the door", label="joy")
        request = Request(row, "mock", "mock", "mock", (Message("user", row.text),), schema)
        reply = Reply(request.key, key, 0, '{"label": "Joy"}', "mock", "mock")
        annotations.append(Annotation(request, (reply,), (Verdict("valid", {"label": "Joy"}, "joy"),)))
    voice = VoiceContent(
        rows={key: Voice(key, seconds, tuple(flags)) for key, _, seconds, flags in heard},
        info={"audio": "flac", "rate": 16_000},
        audio=Files({key: Path(path) for key, path, *_ in heard}),
    )
    return DatasetContent(
        recipe="melt",
        corpus={"name": "toy", "licence": "CC BY-NC-SA 4.0"},
        splits=("train",),
        inputs={"train": len(annotations)},
        annotations=annotations,
        drops=(),
        label_set=MELT,
        schema=schema,
        schema_name="label",
        annotator={"name": "mock", "model": "mock", "endpoint": "mock", "parameters": {}},
        created="2026-01-01T00:00:00Z",
        voice=voice,
    )


def stage(name: str, work: Path) -> None:
    """One stage; prints its seconds without start-up and imports of the first call."""
    from remelt import publishing

    begun = time.perf_counter()
    if name == "listen":
        listen(work)
    elif name == "publish":
        publishing.publish(work / "out", content(work))
    elif name == "verify":
        if problems := publishing.find_problems(work / "out"):
            sys.exit("\n".join(map(str, problems)))
    else:
        from dataclasses import replace

        voice = publishing.read_voice(work / "out")
        publishing.publish(work / "again", replace(content(work), voice=voice))
        files = [publishing.read_manifest(work / name)["files"] for name in ("out", "again")]
        if files[0] != files[1]:
            sys.exit("the dataset that was made again is another one")
    print(time.perf_counter() - begun)


def run(name: str, work: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds with start-up, and peak memory in MB of a stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", name, "--work", str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed with status {status}: {output}")
    return float(output), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def figures(values: list[float], digits: int = 2) -> dict[str, float]:
    middle = statistics.median(values)
    return {k: round(v, digits) for k, v in (("median", middle), ("min", min(values)), ("max", max(values)))}


def measure(ravdess: Path, clips: int, runs: int) -> dict[str, Any]:
    """Seconds and peak memory of each stage with so many clips."""
    seconds: dict[str, list[float]] = {}
    processor: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    size = 0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            code = (
                f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import audio_dataset as a; "
            )
            code += f"a.copies(a.Path({str(ravdess)!r}), a.Path({str(work / 'clips')!r}), {clips})"
            subprocess.run([sys.executable, "-c", code], check=True)
            for name in STAGES:
                took, busy, peak = run(name, work)
                seconds.setdefault(name, []).append(took)
                processor.setdefault(name, []).append(busy)
                memory.setdefault(name, []).append(peak)
            size = sum(path.stat().st_size for path in (work / "out" / "data").iterdir())
    return {
        "seconds": {name: figures(values) for name, values in seconds.items()},
        "processor_seconds": {name: figures(values) for name, values in processor.items()},
        "peak_mb": {name: figures(values, 1) for name, values in memory.items()},
        "parquet_mb": round(size / 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ravdess", type=Path, help="folder with RAVDESS's WAV files")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        stage(options.stage, options.work)
        return
    if options.ravdess is None:
        parser.error("--ravdess is needed")
    record = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in ("remelt", "datasets", "pyarrow", "soundfile", "soxr")},
        "runs": options.runs,
        **{f"{clips}_clips": measure(options.ravdess, clips, options.runs) for clips in (FEW, MANY)},
    }
    print(json.dumps(record, indent=2))
    options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
