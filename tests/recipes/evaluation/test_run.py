"""A run from its options to its results: scores, baselines, differences, going on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import recall_score

from remelt.errors import InputError, Interrupted
from remelt.journal import OutLock
from remelt.recipes.evaluation.base import EvaluationOptions
from remelt.recipes.evaluation.compare import compare_runs
from remelt.recipes.evaluation.run import Outcome, evaluate

from ...clip_folders import fill
from .conftest import write_labels
from .stub import StubSystem

SEEDS = (0, 1)


@pytest.fixture
def ravdess(tmp_path: Path) -> Path:
    emotions = ("01", "03", "04", "05")
    names = [
        f"Actor_{a:02d}/03-01-{e}-01-0{s}-01-{a:02d}.wav" for a in (1, 2) for e in emotions for s in (1, 2)
    ]
    return fill(tmp_path / "ravdess", names)


@pytest.fixture
def options(tmp_path: Path, ravdess: Path, monkeypatch: pytest.MonkeyPatch) -> EvaluationOptions:
    # Drawing takes longer than all the rest; test_report.py draws.
    monkeypatch.setattr("remelt.recipes.evaluation.figure.overview", lambda results: {"svg": b"<svg/>"})
    write_labels(tmp_path / "labels.csv")
    return EvaluationOptions(
        source="sample",
        out=tmp_path / "RUN",
        system="stub",
        labels=("old", "new"),
        label_files={"new": tmp_path / "labels.csv"},
        tests={"ravdess": str(ravdess)},
        seeds=SEEDS,
        resamples=200,
    )


def run(options: EvaluationOptions, **changes: object) -> Outcome:
    return evaluate(replace(options, **changes))  # type: ignore[arg-type]


def test_a_run_scores_every_condition_and_leaves_everything_in_its_folder(
    options: EvaluationOptions, stub: StubSystem
) -> None:
    outcome = evaluate(options)
    results = json.loads((options.out / "results.json").read_text(encoding="utf-8"))
    assert results == json.loads(json.dumps(outcome.results))
    config = json.loads((options.out / "config.json").read_text(encoding="utf-8"))
    assert set(config["given"]) == {"corpus", "label_files", "transcripts", "scale"}
    named = {(s["condition"], s["test"]) for s in results["scores"]}
    assert named == {(c, t) for c in ("old", "new") for t in ("own", "ravdess")}
    assert {s["seeds"] for s in results["scores"]} == {2}
    # The score is the mean over seeds of what scikit-learn makes of the kept predictions.
    each = []
    for seed in SEEDS:
        table = pq.read_table(options.out / f"trials/new/seed{seed}/predictions-ravdess.parquet")
        said = table["reference"].to_pylist(), table["predicted"].to_pylist()
        each.append(recall_score(*said, average="macro", labels=sorted(set(said[0]))))
    [score] = [s for s in results["scores"] if (s["condition"], s["test"]) == ("new", "ravdess")]
    assert score["metrics"]["uar"]["value"] == pytest.approx(np.mean(each))
    assert score["rows"] == 16
    report = (options.out / "report.md").read_text(encoding="utf-8")
    for piece in (
        "## Scores",
        "baseline: majority",
        "ravdess",
        "![Scores",
        "What was counted",
        "## Settings",
    ):
        assert piece in report
    assert json.loads((options.out / "analyses" / "counted.json").read_text())["data"][0]["rows"] == 4


def test_baselines_are_of_the_same_rows(options: EvaluationOptions, stub: StubSystem) -> None:
    results = evaluate(options).results
    rows = {(s["condition"], s["test"]): s["rows"] for s in results["scores"]}
    found = {(b["condition"], b["test"], b["baseline"]): b for b in results["baselines"]}
    for condition, test in rows:
        for name in ("majority", "chance"):
            assert found[condition, test, name]["rows"] == rows[condition, test]
    majority = found["old", "ravdess", "majority"]
    assert majority["metrics"]["accuracy"]["value"] == pytest.approx(0.25)
    assert majority["metrics"]["uar"]["value"] == pytest.approx(0.25)


def test_new_labels_are_compared_with_old_ones_where_the_references_agree(
    options: EvaluationOptions, stub: StubSystem
) -> None:
    results = evaluate(options).results
    [found] = results["differences"]
    assert (found["test"], found["a"], found["b"]) == ("ravdess", "old", "new")
    uar = found["differences"]["uar"]
    values = {
        s["condition"]: s["metrics"]["uar"]["value"] for s in results["scores"] if s["test"] == "ravdess"
    }
    assert uar["value"] == pytest.approx(values["new"] - values["old"])
    assert uar["gain_over_base"] == pytest.approx(uar["value"] / values["old"], abs=1e-6)
    assert uar["error_reduction"] == pytest.approx(uar["value"] / (1 - values["old"]), abs=1e-6)
    # Each condition was tested on its own labels there.
    assert any(note.startswith("own: 'old' and 'new' cannot be compared") for note in results["notes"])


def test_a_stopped_run_goes_on_and_ends_alike(
    options: EvaluationOptions, stub: StubSystem, tmp_path: Path
) -> None:
    whole = run(options, out=tmp_path / "whole").results
    stub.executed.clear()
    stub.stop_before = "new"
    with pytest.raises(Interrupted, match="the same command goes on"):
        evaluate(options)
    assert stub.executed == ["old/seed0", "old/seed1"]
    with pytest.raises(InputError, match="is a run that is not finished"):
        compare_runs(options.out, options.out)
    # A trial that was cut off in the middle is none.
    half = options.out / "trials" / "new" / "seed0"
    half.mkdir(parents=True, exist_ok=True)
    (half / "predictions-own.parquet").write_bytes(b"PAR1")
    stub.executed.clear()
    stub.stop_before = ""
    outcome = evaluate(options)
    assert (outcome.reused, stub.executed) == (2, ["new/seed0", "new/seed1"])
    assert json.dumps(outcome.results) == json.dumps(whole)
    stub.executed.clear()
    assert evaluate(options).reused == 4
    assert stub.executed == []


def test_a_folder_of_other_options_is_refused(options: EvaluationOptions, stub: StubSystem) -> None:
    evaluate(options)
    cases: list[tuple[dict[str, object], str]] = [
        ({"training": {"lr": 0.5}}, r"training\.lr: 0\.001, now 0\.5"),
        ({"settings": {"order": "letters"}}, r"settings\.order: 'words', now 'letters'"),
        ({"seeds": (0,)}, r"seeds: \[0, 1\], now \[0\]"),
        ({"labels": ("old",)}, r"labels: \['old', 'new'\], now \['old'\]"),
        ({"source": "sample@train"}, r"material\.rows: 85, now"),
    ]
    for changes, told in cases:
        with pytest.raises(InputError, match=f"run with other options .*{told}"):
            run(options, **changes)
    # Where things lie and what computes may change.
    assert run(options, training={"threads": 1}, resamples=300).reused == 4


def test_a_folder_that_is_no_run_or_in_use_is_refused(
    options: EvaluationOptions, stub: StubSystem, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"not empty and not a run .*thesis\.txt"):
        run(options, out=tmp_path / "other")
    with pytest.raises(InputError, match="is a file"):
        run(options, out=tmp_path / "labels.csv")
    with OutLock(options.out), pytest.raises(InputError, match="Another remelt process"):
        evaluate(options)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"system": "melt2"}, "Bad system 'melt2', expected one of"),
        ({"preset": "huge"}, "Bad preset of stub 'huge', expected one of"),
        (
            {"labels": ("newest",)},
            r"Bad labels of sample 'newest', expected one of \['old', 'sentiment', 'new'\]",
        ),
        ({"settings": {"depht": "3"}}, "Bad setting of stub .* 'depht', expected one of"),
        ({"settings": {"order": "lines"}}, r"Bad order .*'lines', expected one of \['words', 'letters'\]"),
        ({"settings": {"smoothing": "much"}}, "Bad smoothing 'much', expected a number"),
        ({"training": {"epochs": 0}}, "Bad epochs 0"),
        ({"class_rule": "all"}, r"Bad class rule 'all', expected one of \['both', 'own'\]"),
        ({"seeds": ()}, "Bad seeds"),
        (
            {"tests": {"again": "sample@train"}},
            "rows of the test set 'again' are rows of sample that can train",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: EvaluationOptions, stub: StubSystem, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        run(options, **changes)
    assert stub.executed == []


def test_labels_that_nothing_can_be_learnt_from_are_refused(
    options: EvaluationOptions, stub: StubSystem, tmp_path: Path
) -> None:
    lines = ["id,label", *(f"sample/train/dia0_utt{n},{'joy' if n else 'fear'}" for n in range(4))]
    (tmp_path / "few.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"class 'fear' of the labels 'few' has one example \(sample/train/dia0_utt0"
    ):
        run(options, labels=("few",), label_files={"few": tmp_path / "few.csv"})
    (tmp_path / "few.csv").write_text("\n".join(lines[:1] + lines[2:]), encoding="utf-8")
    with pytest.raises(InputError, match=r"labels 'few' have \['joy'\] only"):
        run(options, labels=("few",), label_files={"few": tmp_path / "few.csv"})


def test_a_system_that_hears_needs_sound(
    options: EvaluationOptions, stub: StubSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub, "INFO", replace(stub.INFO, needs=("speech",)))
    table = tmp_path / "mine.csv"
    rows = [f"{n},Line {n},Ann,{('joy', 'anger')[n % 2]}" for n in range(8)]
    table.write_text("\n".join(["id,text,speaker,label", *rows]), encoding="utf-8")
    with pytest.raises(InputError, match=r"hears, and no row of .*mine\.csv has sound"):
        run(options, source=str(table), label_files={}, labels=("old",))


def test_two_runs_are_compared_on_their_common_rows(
    options: EvaluationOptions, stub: StubSystem, tmp_path: Path
) -> None:
    run(options, out=tmp_path / "A", labels=("old",))
    run(options, out=tmp_path / "B", labels=("new",), seeds=(3,))
    found = compare_runs(tmp_path / "A", tmp_path / "B", ("old", "new"), 200)
    assert {d["test"] for d in found["differences"]} == {"ravdess"}
    assert found["differences"][0]["seeds"] == [2, 1]
    assert any("references" in note for note in found["notes"])
    same = compare_runs(tmp_path / "A", tmp_path / "A", (), 200)
    assert all(d["differences"]["uar"]["value"] == 0 for d in same["differences"])
    with pytest.raises(InputError, match="nothing to compare"):
        compare_runs(tmp_path / "A", tmp_path / "B", (), 200)
    with pytest.raises(InputError, match=r"'new', expected one of \['old'\]"):
        compare_runs(tmp_path / "A", tmp_path / "B", ("new", "new"), 200)
    with pytest.raises(InputError, match="no run of `remelt evaluate`"):
        compare_runs(tmp_path / "A", tmp_path, (), 200)
