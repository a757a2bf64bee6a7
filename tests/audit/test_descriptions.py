"""The scores of words against sound are scikit-learn's, and everything left out of them is counted."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from remelt.answers import load_schema
from remelt.audit import AuditOptions, audit, print_findings
from remelt.audit.dataset import read_table
from remelt.audit.descriptions import OVERALL, Dimension, score, words_against_sound
from remelt.audit.figures import figure_bytes
from remelt.audit.lexicon import LEVELS, level
from remelt.audit.run import _sound_figures
from remelt.audit.sound import find_sound
from remelt.labels import MELT

from .voices import rows_of, write_voice

QUICK = AuditOptions(figures=False)


def draw(size: int, shares: tuple[float, ...], right: float, seed: int = 3) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    heard = rng.choice(LEVELS, size, p=shares)
    said = np.where(rng.random(size) < right, heard, rng.choice(LEVELS, size))
    return said.tolist(), heard.tolist()


@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label was found")
@pytest.mark.parametrize("shares", [(0.3, 0.4, 0.3), (0.05, 0.9, 0.05), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("size", [1, 7, 500])
def test_scores_are_those_of_scikit_learn(size: int, shares: tuple[float, ...]) -> None:
    said, heard = draw(size, shares, 0.4)
    found = score(said, heard)
    assert found.rows == size
    assert found.uar.value == pytest.approx(balanced_accuracy_score(heard, said), abs=1e-6)
    assert found.acc.value == pytest.approx(accuracy_score(heard, said), abs=1e-6)
    assert found.f1.value == pytest.approx(f1_score(heard, said, average="macro"), abs=1e-6)
    assert np.array(found.counts).T.tolist() == confusion_matrix(heard, said, labels=LEVELS).tolist()
    assert found.chance_uar == pytest.approx(1 / len(set(heard)), abs=1e-6)
    commonest = max(heard.count(name) for name in LEVELS)
    assert found.majority_acc == pytest.approx(commonest / size, abs=1e-6)


def test_intervals_are_those_of_drawing_rows() -> None:
    said, heard = draw(400, (0.3, 0.4, 0.3), 0.3)
    found = score(said, heard)
    rng = np.random.default_rng(99)
    drawn = []
    truth, right = np.array(heard), np.array(said) == np.array(heard)
    for _ in range(2000):
        rows = rng.integers(400, size=400)
        drawn.append(np.mean([right[rows][truth[rows] == name].mean() for name in LEVELS]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert (found.uar.low, found.uar.high) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))
    assert found.uar.low < found.uar.value < found.uar.high
    assert score(said, heard) == found, "seeded"


def test_nothing_to_score() -> None:
    found = score([None, "low"], ["low", None])
    assert (found.rows, found.uar.value, found.acc.low, found.chance_uar) == (0, None, None, None)


def dimension_of(out: Path, name: str = "pitch") -> Dimension:
    found = words_against_sound(read_table(out))
    assert found is not None
    return next(d for d in found.dimensions if d.name == name)


def test_what_is_not_read_is_counted_and_its_effect_said(tmp_path: Path) -> None:
    rows = rows_of(200)
    for row in rows[:20]:
        row["pitch_level"] = None
    pitch = dimension_of(write_voice(tmp_path, {"train": rows}))
    measured = rows[20:]
    heard = [row["pitch_level"] for row in measured]
    said = [level(row["pitch"], "pitch").level for row in measured]
    cover = pitch.coverage["train"]
    assert cover == pitch.coverage[OVERALL]
    assert (cover.rows, cover.unmeasured) == (200, 20)
    assert cover.unknown == sum(row["pitch"] == "wistful" for row in measured) > 0
    assert cover.empty == sum(row["pitch"] is None for row in measured) > 0
    assert cover.known + cover.unknown + cover.empty + cover.unmeasured == cover.rows
    assert cover.known_share == pytest.approx(cover.known / 180)
    misses = [s or "none" for s in said]
    assert cover.as_wrong_acc == pytest.approx(accuracy_score(heard, misses), abs=1e-6)
    recalls = [np.mean([s == h for s, h in zip(said, heard, strict=True) if h == name]) for name in LEVELS]
    assert cover.as_wrong_uar == pytest.approx(np.mean(recalls), abs=1e-6)
    mids = [s or "mid" for s in said]
    assert cover.as_mid_uar == pytest.approx(balanced_accuracy_score(heard, mids), abs=1e-6)
    assert cover.as_mid_acc == pytest.approx(accuracy_score(heard, mids), abs=1e-6)
    assert cover.as_mid_f1 == pytest.approx(f1_score(heard, mids, average="macro"), abs=1e-6)
    assert pitch.unknown == (("wistful", cover.unknown),)


def test_by_split_label_speaker_and_rule(tmp_path: Path) -> None:
    train, test = rows_of(60), rows_of(30, "test")
    for row in train[:10]:
        row["speaker"] = "P1"
    pitch = dimension_of(write_voice(tmp_path, {"train": train, "test": test}))
    assert list(pitch.scores) == ["train", "test", OVERALL]
    added = np.array(pitch.scores["train"].counts) + np.array(pitch.scores["test"].counts)
    assert added.tolist() == [list(row) for row in pitch.scores[OVERALL].counts]
    for groups in (pitch.by_label, pitch.by_speaker):
        assert sum(found.rows for found in groups.values()) == pitch.scores[OVERALL].rows
    assert next(iter(pitch.by_speaker)) == "P1"
    joy = [row for row in (*train, *test) if row["label"] == 1]
    said = [level(row["pitch"], "pitch").level for row in joy]
    assert pitch.by_label["joy"] == score(said, [row["pitch_level"] for row in joy])
    assert sum(n for n, _ in pitch.by_rule.values()) == pitch.scores[OVERALL].rows
    assert set(pitch.by_rule) == {"named", "word", "diminished", "negated"}


def test_the_published_table_stands_beside(tmp_path: Path) -> None:
    out = write_voice(tmp_path, {"train": rows_of(30)})
    pitch, loudness = dimension_of(out), dimension_of(out, "loudness")
    assert pitch.published["train"] == {"uar": 0.4761, "acc": 0.5213, "f1": 0.4376}
    assert pitch.published["test"] == {"uar": 0.4880, "acc": 0.5493, "f1": 0.4534}
    assert loudness.published["train"] == {"uar": 0.4103, "acc": 0.4546, "f1": 0.4005}
    assert loudness.published["test"] == {"uar": 0.3904, "acc": 0.4374, "f1": 0.3824}


def test_the_files(tmp_path: Path) -> None:
    rows = {"train": rows_of(60), "test": rows_of(20, "test")}
    found = audit(write_voice(tmp_path / "one", rows), QUICK)
    stored = json.loads((found.folder / "findings.json").read_text(encoding="utf-8"))
    pitch = stored["descriptions"]["dimensions"]["pitch"]
    assert stored["descriptions"]["lexicon_version"] >= 1
    assert stored["levels"]["pitch_level"]["sex"]["names"][0]["name"] == "female"
    assert set(stored["levels"]) == {"pitch_level", "loudness_level"}

    def table(name: str) -> list[dict[str, str]]:
        with (found.folder / name).open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))

    scores = {(r["dimension"], r["by"], r["value"]): r for r in table("descriptions.csv")}
    assert float(scores["pitch", "split", "train"]["uar"]) == pitch["scores"]["train"]["uar"]["value"]
    assert ("pitch", "label", "joy") in scores
    assert ("loudness", "speaker", "P0") in scores
    cells = [
        r for r in table("descriptions_confusion.csv") if (r["dimension"], r["split"]) == ("pitch", "train")
    ]
    counts = [[int(r[f"measured_{name}"]) for name in LEVELS] for r in cells]
    assert counts == pitch["scores"]["train"]["counts"]
    assert {r["words"] for r in table("descriptions_unknown.csv")} == {"wistful"}
    opposite = [r for r in table("descriptions_opposite.csv") if r["dimension"] == "pitch"]
    by_id = {row["id"]: row for split in rows.values() for row in split}
    expected = [
        row["id"] for row in by_id.values()
        if {level(row["pitch"], "pitch").level, row["pitch_level"]} == {"low", "high"}
    ]  # fmt: skip
    assert sorted(r["id"] for r in opposite) == sorted(expected)
    assert len(expected) == pitch["disagreements"] > 3
    assert all({r["described"], r["measured"]} == {"low", "high"} for r in opposite)
    again = audit(write_voice(tmp_path / "two", rows), QUICK)
    assert again.files == found.files
    for name in found.files:
        assert (again.folder / name).read_bytes() == (found.folder / name).read_bytes()


def test_the_figures(tmp_path: Path) -> None:
    sound = find_sound(read_table(write_voice(tmp_path, {"train": rows_of(40)})))
    assert sound is not None
    drawn = _sound_figures(sound)
    assert list(drawn) == [
        "descriptions_all", "levels_by_label", "levels_by_original_label", "levels_by_sex",
    ]  # fmt: skip
    first, second = (figure_bytes(drawn["descriptions_all"]) for _ in range(2))
    assert first == second
    svg = first["svg"].decode()
    assert "Pitch (" in svg
    assert "chance 0.333" in svg
    cells = [count for row in sound.descriptions.dimensions[0].scores[OVERALL].counts for count in row]
    assert [str(count) for count in cells if f">{count}</text>" not in svg] == []


def test_printing_says_what_the_lexicon_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audit(write_voice(tmp_path, {"train": rows_of(40)}), QUICK)
    print_findings(found, Console(width=200))
    printed = capsys.readouterr().out
    assert re.search(
        r"pitch: the lexicon \(version \d+\) reads \d+\.\d % of 40 measured descriptions", printed
    )
    assert re.search(r"commonest unknown: 'wistful' \(\d+\)", printed)
    assert "0.4761" in printed
    assert "Cramér's V" in printed


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        (("pitch", "loudness", "rhythm_speed"), (False, True)),
        (("pitch_level", "loudness_level", "rate_level"), (False, False)),
    ],
)
def test_without_words_or_without_levels(tmp_path: Path, without: Any, expected: tuple[bool, bool]) -> None:
    found = audit(write_voice(tmp_path, {"train": rows_of(12)}, without=without), QUICK)
    stored = json.loads((found.folder / "findings.json").read_text(encoding="utf-8"))
    assert (bool(stored.get("descriptions")), bool(stored.get("levels"))) == expected
    assert ("levels.csv" in found.files) == expected[1]
    assert "descriptions.csv" not in found.files


def test_a_dataset_without_voice_shows_nothing_new(make_out) -> None:  # type: ignore[no-untyped-def]
    row = {"id": "s/train/dia0_utt0", "label": "joy", "original_label": "joy", "pitch": "high", "text": "Hi"}
    found = audit(make_out({"train": [row]}), QUICK)
    stored = json.loads((found.folder / "findings.json").read_text(encoding="utf-8"))
    assert found.sound is None
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert not {"descriptions", "levels"} & set(stored)
    assert not [name for name in found.files if name.startswith(("descriptions", "levels"))]
    assert "Words against sound" not in page
    assert '"sound"' not in page


def test_levels_that_the_model_gives_itself_are_taken_as_they_are() -> None:
    schema = load_schema("melt-levels", MELT)["properties"]["elements"]["properties"]
    for dimension in ("pitch", "loudness", "rhythm_speed"):
        assert tuple(schema[dimension]["enum"]) == LEVELS
        for name in LEVELS:
            reading = level(name, dimension)
            assert (reading.level, reading.rule) == (name, "named")
