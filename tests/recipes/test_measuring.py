"""`remelt voice`: every utterance accounted for, tables that agree, files that come out the same."""

from __future__ import annotations

import csv
import json
import shutil
import wave
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from remelt.audit.levels import LEVELS
from remelt.cli import app
from remelt.corpora import load
from remelt.errors import InputError, Interrupted
from remelt.journal import FILE, Journal
from remelt.recipes.listening.measuring import CORPUS_WIDE, Measured, MeasureOptions, measure
from remelt.recipes.reporting import Reporter
from remelt.voice.bins import LEVEL_MEASURES

pytest.importorskip("av")
pytest.importorskip("soxr")
pytest.importorskip("scipy")
pq = pytest.importorskip("pyarrow.parquet")
FILES = (
    "voice.json", "voice.parquet", "voice_levels.csv", "voice_levels.png", "voice_levels.svg",
    "voice_levels_by_sex.png", "voice_levels_by_sex.svg",
)  # fmt: skip
TEXT = "03-01-04-01-01-01-01.wav"
# Emotion code of a file name -> how much higher and louder than calm it is spoken.
SPOKEN = {"02": (1.0, 0.05), "03": (1.15, 0.2), "05": (1.3, 0.4), "06": (1.5, 0.9)}


def buzz(path: Path, hertz: float, gain: float) -> None:
    """Half a second of a sound with seven partials over a fundamental."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(8_000) / 16_000
    partials = [np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 8)]
    samples = np.asarray(gain * 16_000 * np.sum(partials, axis=0) / 2, dtype="<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.tobytes())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A man and a woman with RAVDESS's file names, four emotions, 32 clips each; one more clip is text."""
    folder = tmp_path_factory.mktemp("toy")
    takes = list(product("12", "12", "12"))
    for (actor, base), (emotion, (higher, gain)) in product(((1, 110.0), (2, 220.0)), SPOKEN.items()):
        for n, (intensity, statement, repetition) in enumerate(takes):
            name = f"03-01-{emotion}-0{intensity}-0{statement}-0{repetition}-{actor:02d}.wav"
            buzz(folder / f"Actor_{actor:02d}" / name, base * higher * (1 + 0.01 * n), gain * (1 - 0.02 * n))
    (folder / "Actor_01" / TEXT).write_text("not a sound at all", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "voice"


@pytest.fixture(scope="module")
def found(corpus: Path, out: Path) -> Measured:
    return measure(MeasureOptions(str(corpus), out))


@pytest.fixture(scope="module")
def rows(found: Measured, out: Path) -> list[dict[str, Any]]:
    assert found.files
    return list(pq.read_table(out / "voice.parquet").to_pylist())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_every_utterance_is_in_the_table_with_its_state(found: Measured, rows: list[dict[str, Any]]) -> None:
    assert found.files == FILES
    assert [row["id"] for row in rows] == [u.id for u in found.corpus.utterances]
    assert Counter(row["state"] for row in rows) == {"measured": 64, "no_sound": 1}
    assert found.counts == {"train": {"utterances": 65, "no_clip": 0, "no_sound": 1, "measured": 64}}
    text = next(row for row in rows if row["state"] == "no_sound")
    assert {"clip_is_text", "clip_unreadable"} <= set(text["flags"])
    assert text["seconds"] is text["f0_semitone_mean"] is text["pitch_level"] is None
    assert found.flags["clip_is_text"] == 1


def test_levels_in_the_table_are_the_quantiles_of_its_measures(rows: list[dict[str, Any]]) -> None:
    heard = [row for row in rows if row["state"] == "measured"]
    for column, members in (
        ("loudness_level", [heard]),
        (CORPUS_WIDE, [heard]),
        ("pitch_level", [[r for r in heard if r["speaker"] == s] for s in ("Actor_01", "Actor_02")]),
    ):
        measure_name = LEVEL_MEASURES.get(column, "f0_semitone_mean")
        for part in members:
            low, high = np.quantile([row[measure_name] for row in part], (0.3, 0.7))
            for row in part:
                value = row[measure_name]
                assert row[column] == ("low" if value <= low else "high" if value >= high else "mid")


def test_pitch_follows_sex_over_the_corpus_and_emotion_within_the_speaker(found: Measured) -> None:
    wide, own = found.crossings["sex", CORPUS_WIDE], found.crossings["sex", "pitch_level"]
    assert wide.counts[wide.names.index("male")][2] == 0
    assert own.association is not None
    assert own.association.v < 0.1
    assert wide.association is not None
    assert wide.association.v > 0.6
    label = found.crossings["label", "pitch_level"]
    counts = dict(zip(label.names, label.counts, strict=True))
    assert counts["calm"] == (16, 0, 0)
    assert counts["fearful"] == (0, 0, 16)
    assert any(f"V {wide.association.v:.2f} against the whole corpus and 0.0" in note for note in found.notes)


def test_crossings_are_counts_of_the_table(found: Measured, rows: list[dict[str, Any]], out: Path) -> None:
    for (by, column), table in found.crossings.items():
        assert table.rows + sum(table.without) + table.unnamed == len(rows)
        by_hand = Counter((row[by], row[column]) for row in rows)
        for name, counts in zip(table.names, table.counts, strict=True):
            assert counts == tuple(by_hand[name, level] for level in LEVELS)
    with (out / "voice_levels.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert sum(int(r["rows"]) + int(r["no_level"]) for r in lines
               if (r["measure"], r["by"], r["value"]) == ("pitch_level", "label", "all")) == 65  # fmt: skip


def test_the_summary_is_json_and_agrees(found: Measured, rows: list[dict[str, Any]], out: Path) -> None:
    summary = json.loads((out / "voice.json").read_text(encoding="utf-8"))
    assert summary["counts"] == found.counts
    assert tuple(summary["files"]) == FILES
    assert summary["acoustics"]["backend"] == found.backend.name
    pitch = summary["bins"]["pitch_level"]
    assert (pitch["by"], pitch["fitted_on"], pitch["placed_by"]) == (
        "auto", "train", {"train": {"speaker": 64, "none": 1}}
    )  # fmt: skip
    values = [row["f0_semitone_mean"] for row in rows if row["f0_semitone_mean"] is not None]
    assert summary["summary"]["f0_semitone_mean"]["mean"] == pytest.approx(np.mean(values))
    assert summary["summary"]["f0_semitone_mean"]["std"] == pytest.approx(np.std(values))
    assert summary["peaks"]["normalised"] is False


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["voice", *arguments])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_a_second_run_decodes_nothing_writes_the_same_bytes_and_shows_them(
    corpus: Path, out: Path, found: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remelt.voice import audio

    real = audio.read
    before = contents(out)
    decoded: list[str] = []

    def note(source: Any, rate: int = audio.RATE) -> audio.Sound:
        decoded.append(source.path.name)
        return real(source, rate)

    monkeypatch.setattr(audio, "read", note)
    shown = run(str(corpus), "--out", str(out), "--plain")
    assert contents(out) == before
    assert set(decoded) <= {TEXT}
    assert "65 utterances" in shown
    assert "clip without usable sound 1" in shown
    assert "calm 16 100.0 / 0.0 / 0.0" in shown
    assert "64 rows with their own speaker (2 with limits of their own)" in shown
    assert "Cramér's V" in shown
    assert "female 32 31.2 / 37.5 / 31.2" in shown


def test_an_interrupted_run_goes_on(corpus: Path, tmp_path: Path, out: Path, found: Measured) -> None:
    class Stops(Reporter):
        def counted(self, done: int, total: int, what: str) -> None:
            if done == 20:
                raise KeyboardInterrupt

    target = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        measure(MeasureOptions(str(corpus), target), Stops())
    assert not (target / "voice.parquet").exists()
    measure(MeasureOptions(str(corpus), target))
    assert contents(target) == contents(out)


def test_other_comparisons_and_limits(corpus: Path, out: Path, found: Measured, tmp_path: Path) -> None:
    assert found.files
    copy = shutil.copytree(out, tmp_path / "copy")
    wide = measure(MeasureOptions(str(corpus), copy, pitch_by="corpus", bins_from="all"))
    assert wide.schemes["pitch_level"].fitted_on == "all"
    assert ("sex", CORPUS_WIDE) not in wide.crossings
    assert any("these levels tell who speaks" in note for note in wide.notes)
    assert all(levels["pitch_level"] == levels[CORPUS_WIDE] for levels in wide.levels.values())
    with pytest.raises(InputError, match="Bad split for the quantiles 'dev', expected one of"):
        measure(MeasureOptions(str(corpus), copy, bins_from="dev"))


def test_a_folder_of_something_else_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="OUT"):
        measure(MeasureOptions(str(corpus), tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_a_corpus_without_clips_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "lines.csv"
    table.write_text("id,text,speaker\na,hello there,Ann\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"No utterance of .* has a clip"):
        measure(MeasureOptions(str(table), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_unknown_backend_is_told_before_anything_is_made(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Bad acoustics backend 'praat', expected one of"):
        measure(MeasureOptions(str(corpus), tmp_path / "out", acoustics="praat"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--pitch-by", "age", "Bad grouping 'age', expected one of"),
        ("--splits", "dev", "Bad split 'dev', expected one of"),
    ],
)
def test_bad_options_of_the_command(
    corpus: Path, tmp_path: Path, option: str, value: str, message: str
) -> None:
    result = CliRunner().invoke(app, ["voice", str(corpus), "--out", str(tmp_path / "o"), option, value])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_the_bundled_corpus_keeps_its_row_without_a_clip(tmp_path: Path) -> None:
    (tmp_path / "o" / ".remelt").mkdir(parents=True)
    Journal(tmp_path / "o" / ".remelt" / FILE).close()
    (tmp_path / "o" / "voice_levels_by_sex.svg").write_text("of another run", encoding="utf-8")
    made = measure(MeasureOptions("sample", tmp_path / "o"))
    counts = made.counts
    assert sum(row["utterances"] for row in counts.values()) == len(made.corpus) == 85
    assert sum(row["no_clip"] for row in counts.values()) == 1
    assert made.schemes["loudness_level"].fitted_on == "train"
    assert ("sex", "pitch_level") not in made.crossings
    assert not (tmp_path / "o" / "voice_levels_by_sex.svg").exists()


@pytest.mark.slow
def test_ravdess_says_what_is_known_of_it(test_data: Path, tmp_path: Path) -> None:
    """Anger and fear are loud and high, calm and sadness are not; pitch over the corpus is sex."""
    made = measure(MeasureOptions(str(test_data / "ravdess"), tmp_path / "o"))
    assert made.counts["train"]["measured"] == 120
    assert made.peaks.normalised is False
    shares = {
        column: dict(zip(table.names, table.counts, strict=True))
        for (by, column), table in made.crossings.items()
        if by == "label"
    }
    for column in ("pitch_level", "loudness_level"):
        for name in ("angry", "fearful"):
            assert shares[column][name][2] >= 8 > 2 > shares[column][name][0]
        assert shares[column]["calm"][0] >= 10
        assert shares[column]["calm"][2] == 0
    wide = made.crossings["sex", CORPUS_WIDE]
    male, female = (wide.counts[wide.names.index(sex)] for sex in ("male", "female"))
    assert male[0] / sum(male) > 0.5
    assert female[0] / sum(female) < 0.05


def test_ctrl_c_is_an_interruption_to_go_on_from(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("remelt.recipes.listening.measuring._analyse", stop)
    result = CliRunner().invoke(app, ["voice", str(corpus), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, Interrupted)
    assert "the same command goes on" in str(result.exception)


def test_missing_and_broken_clips_of_a_corpus_with_labels(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(load("sample").folder, folder)
    gone, broken = [str(u.clip) for u in load("sample", splits=["dev"]).utterances if u.clip][:2]
    (folder / gone).unlink()
    (folder / broken).write_text("no sound at all", encoding="utf-8")
    found = measure(MeasureOptions(str(folder), tmp_path / "out", corpus_name="meld", splits=("dev",)))
    rows = pq.read_table(tmp_path / "out" / "voice.parquet").to_pylist()
    missing = [row for row in rows if row["state"] == "no_clip"]
    assert missing
    assert all(row["flags"] == ["clip_missing"] for row in missing)
    assert found.flags["clip_missing"] == len(missing)
    [unread] = [row for row in rows if row["clip"] == broken]
    assert "clip_is_text" in unread["flags"]
    assert unread["detail"]
    assert str(folder) not in unread["detail"]
