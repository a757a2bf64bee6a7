"""`inspect` with sound: every bad clip named with its reason, numbers, durations, what is missing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

import remelt
from remelt.cli.corpora_ import register as register_corpora
from remelt.cli.inspect_ import register
from remelt.corpora import Corpus, load
from remelt.corpora import inspection as counting
from remelt.corpora.inspection import inspect
from remelt.recipes.inspecting import CorpusSound, inspect_corpus
from remelt.recipes.reporting import Reporter
from remelt.voice import optional
from remelt.voice.quality import FLAGS

from ..bad_audio import KINDS, encoded, make, mp4, tone

pytest.importorskip("av")
pytest.importorskip("soxr")
HEADER = "id,split,text,clip,start,end\n"


class Told(Reporter):
    def __init__(self) -> None:
        self.counts: list[tuple[int, int, str]] = []

    def counted(self, done: int, total: int, what: str) -> None:
        self.counts.append((done, total, what))


def row(name: str, text: str = "Kids are talking", end: float | None = None, split: str = "train") -> str:
    times = ",," if end is None else f",0,{end}"
    return f"{name},{split},{text},{name}{times}\n".replace(",,,", ",,")


def table(folder: Path, *rows: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(HEADER + "".join(rows))
    return path


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    make(folder)
    (folder / "good.wav").write_bytes(encoded(tone()))
    kinds = [row(bad.name, bad.text, bad.seconds) for bad in KINDS]
    return table(folder, *kinds, row("good.wav", split="test"))


@pytest.fixture
def cut(bad: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same corpus as a reader of long recordings gives it: with cuts."""
    cuts = {kind.name: (kind.start, kind.end) for kind in KINDS}

    def with_cuts(*arguments: Any, **options: Any) -> Corpus:
        corpus = load(*arguments, **options)
        changed = []
        for utterance in corpus.utterances:
            start, end = cuts.get(str(utterance.id).rpartition("/")[2], (None, None))
            changed.append(replace(utterance, clip_start=start, clip_end=end))
        return replace(corpus, utterances=tuple(changed))

    monkeypatch.setattr(counting, "load", with_cuts)
    return bad


def sound_of(path: Path, **options: Any) -> CorpusSound:
    found = inspect_corpus(path, **options).audio
    assert found is not None
    return found


def test_every_bad_clip_is_named_with_its_reason(cut: Path) -> None:
    told = Told()
    sound = sound_of(cut, reporter=told)
    flagged = {clip.id.rpartition("/")[2]: clip for clip in sound.flagged}
    assert {name: clip.flags for name, clip in flagged.items()} == {kind.name: kind.flags for kind in KINDS}
    assert all(clip.detail for clip in flagged.values() if clip.seconds is None)
    total = len(KINDS) + 1
    assert sound.total.clips == total
    assert sound.total.decoded == total - sum(clip.seconds is None for clip in sound.flagged)
    assert told.counts == [(n, total, "clips") for n in range(1, total + 1)]
    assert list(sound.flags) == list(FLAGS)
    for flag, counts in sound.flags.items():
        assert counts == {"train": sum(flag in kind.flags for kind in KINDS), "test": 0}


def test_the_command_shows_what_python_finds(cut: Path, tmp_path: Path) -> None:
    app = Typer()
    register(app)
    register_corpora(app)
    target = tmp_path / "numbers.json"
    result = CliRunner().invoke(app, ["inspect", str(cut), "--json", str(target), "--plain"])
    assert result.exit_code == 0, result.output
    written = json.loads(target.read_text(encoding="utf-8"))
    # Tuples become lists on the way.
    assert written == json.loads(json.dumps(inspect_corpus(cut).to_dict()))
    assert [tuple(clip["flags"]) for clip in written["audio"]["flagged"]] == [kind.flags for kind in KINDS]
    for flag, counts in written["audio"]["flags"].items():
        assert re.search(rf"^{flag} +{counts['train']} +0 +{counts['train']} ", result.output, re.MULTILINE)
    assert "zero_bytes.wav: clip_empty, clip_unreadable: " in result.output
    assert re.search(r"and \d+ more \(--json lists them all\)", result.output)


def test_processes_change_nothing(bad: Path) -> None:
    assert sound_of(bad, processes=2) == sound_of(bad)


def test_without_sound_nothing_changes(bad: Path) -> None:
    found = inspect_corpus(bad, audio=False)
    assert found.audio is None
    assert found.to_dict() == inspect(bad).to_dict()
    assert "audio" in inspect_corpus(bad).to_dict()
    (text_only := bad.parent / "text.csv").write_text("id,text\na,Good day\n")
    assert inspect_corpus(text_only).to_dict() == inspect(text_only).to_dict()
    assert remelt.inspect_corpus is inspect_corpus


def test_numbers_per_split(tmp_path: Path) -> None:
    for number, level in enumerate((0.1, 0.2, 0.4)):
        (tmp_path / f"{number}.wav").write_bytes(encoded(tone(1 + number, level=level)))
    stereo = np.stack([tone(2, 48_000)] * 2, axis=1)
    (tmp_path / "3.flac").write_bytes(encoded(stereo, "FLAC", rate=48_000))
    rows = [row(f"{n}.wav") for n in range(3)]
    sound = sound_of(table(tmp_path, *rows, row("3.flac", split="test")))
    train, test = sound.splits["train"], sound.splits["test"]
    assert (train.clips, train.decoded, train.seconds) == (3, 3, 6.0)
    assert (train.rates, test.rates, test.channels) == ({"16000": 3}, {"48000": 1}, {"2": 1})
    assert sound.total.rates == {"16000": 3, "48000": 1}
    peaks = [20 * np.log10(np.abs(np.rint(tone(1 + n, level=v) * 32768) / 32768).max())
             for n, v in enumerate((0.1, 0.2, 0.4))]  # fmt: skip
    assert train.peak_db is not None
    assert train.peak_db["median"] == pytest.approx(np.median(peaks), abs=2e-3)
    assert train.peak_db["p95"] == pytest.approx(np.quantile(peaks, 0.95), abs=2e-3)
    assert train.length == {"min": 1, "p5": 1.1, "p25": 1.5, "median": 2, "p75": 2.5, "p95": 2.9, "max": 3}
    assert sound.flagged == ()
    assert sound.peaks.normalised is None


def test_durations_by_clip_and_by_time_stamps(tmp_path: Path) -> None:
    lengths = {"a": (1.05, 1.05), "b": (0.97, 1.01), "c": (1.02, 0.98), "d": (0.95, 0.98), "e": (3.0, 1.2)}
    for name, (clip, _) in lengths.items():
        (tmp_path / f"{name}.wav").write_bytes(encoded(tone(clip)))
    sound = sound_of(table(tmp_path, *(row(f"{n}.wav", end=stated) for n, (_, stated) in lengths.items())))
    assert (sound.lengths.compared, sound.lengths.differ) == (5, 1)
    one, release = sound.lengths.rules
    names = [key.rpartition("/")[2] for key in one.dropped_by_clip_only + one.dropped_by_stamps_only]
    assert (one.seconds, one.under_by_stamps, one.under_by_clip, names) == (1.0, 2, 2, ["b.wav", "c.wav"])
    names = [key.rpartition("/")[2] for key in release.dropped_by_clip_only]
    assert (release.seconds, release.under_by_stamps, names) == (0.961, 0, ["d.wav"])
    assert any("Under 1 s are 2 rows by time stamps and 2 by clip" in note for note in sound.notes)
    assert sound.lengths.difference is not None
    assert sound.lengths.difference["max"] == pytest.approx(1.8)


def test_a_normalised_corpus_is_warned_of(tmp_path: Path) -> None:
    for number in range(20):
        samples = tone(0.5, level=0.01 * (number + 1))
        (tmp_path / f"{number}.wav").write_bytes(encoded(0.8 * samples / np.abs(samples).max()))
    sound = sound_of(table(tmp_path, *(row(f"{n}.wav", "Yes") for n in range(20))))
    assert sound.peaks.normalised is True
    assert any("brought to one peak" in note for note in sound.notes)


def test_missing_packages_are_said_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(tone()))
    (tmp_path / "b.mp4").write_bytes(mp4(tone()))
    (tmp_path / "c.wav").write_bytes(b"")

    def absent(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(optional, "import_module", absent)
    sound = sound_of(table(tmp_path, row("a.wav"), row("b.mp4"), row("c.wav")))
    assert (sound.total.clips, sound.total.decoded, sound.total.skipped) == (3, 1, 1)
    assert [clip.id.rpartition("/")[2] for clip in sound.flagged] == ["c.wav"]
    assert "1 clip was not looked at" in sound.notes[0]
    assert "pip install 'remelt[voice]'" in sound.notes[0]


def test_the_keys_are_documented(bad: Path, repository: Path) -> None:
    page = (repository / "docs" / "inspect.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z_0-9]+)`", page))
    audio = inspect_corpus(bad).to_dict()["audio"]
    keys = {"audio", *audio, *audio["total"], *audio["peaks"], *audio["lengths"], *audio["flagged"][0]}
    assert keys | set(audio["lengths"]["rules"][0]) | set(audio["total"]["length"]) <= documented
    for flag, meaning in FLAGS.items():
        assert f"| `{flag}` | {meaning} |" in page
