"""What models reached, in the card of their dataset: verified, audited, rebuilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import remelt
from remelt.errors import InputError
from remelt.publishing import find_problems
from remelt.publishing.evaluation import EVALUATION, read_evaluation
from remelt.recipes.evaluation.base import EvaluationOptions
from remelt.recipes.evaluation.card import remove_evaluation, write_evaluation
from remelt.recipes.evaluation.run import evaluate
from remelt.recipes.finishing import audit_dataset
from remelt.recipes.hub.labels_only import labels_only_folder

from .stub import StubSystem

TITLE = "## What SER models trained on these labels reach"


@pytest.fixture
def out(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "OUT"))


@pytest.fixture
def run(out: Path, tmp_path: Path, stub: StubSystem, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("remelt.recipes.evaluation.figure.overview", lambda results: {})
    monkeypatch.setattr("remelt.audit.run._figures", lambda findings: {})
    options = EvaluationOptions(str(out), tmp_path / "RUN", "stub", labels=("old", "new"), resamples=200)
    evaluate(options)
    return tmp_path / "RUN"


def test_the_card_has_the_scores_and_the_folder_stays_whole(out: Path, run: Path, tmp_path: Path) -> None:
    before = (out / "README.md").read_text(encoding="utf-8")
    write_evaluation(out, [run])
    text = (out / "README.md").read_text(encoding="utf-8")
    assert TITLE in text
    assert "### Counted words" in text
    assert "baseline: majority" in text
    # No place on this machine is published.
    assert str(tmp_path) not in text + (out / EVALUATION).read_text(encoding="utf-8")
    assert find_problems(out) == []
    audit_dataset(out)
    assert find_problems(out) == []
    assert (out / EVALUATION).is_file()
    remelt.rebuild(out, tmp_path / "OUT2")
    assert TITLE in (tmp_path / "OUT2" / "README.md").read_text(encoding="utf-8")
    assert find_problems(tmp_path / "OUT2") == []
    remove_evaluation(out)
    assert (out / "README.md").read_text(encoding="utf-8") == before
    assert find_problems(out) == []


def test_a_run_takes_the_place_of_the_one_before_it(out: Path, run: Path, tmp_path: Path) -> None:
    write_evaluation(out, [run])
    write_evaluation(out, [run])
    shutil.copytree(run, tmp_path / "OTHER")
    write_evaluation(out, [tmp_path / "OTHER"])
    found = read_evaluation(out)
    assert found is not None
    assert [one["run"] for one in found["runs"]] == ["RUN", "OTHER"]


def test_a_card_says_where_the_labels_have_changed_since(out: Path, run: Path) -> None:
    record = write_evaluation(out, [run])
    assert "earlier version" not in (out / "README.md").read_text(encoding="utf-8")
    import json

    record["runs"][0]["data"] = "another"
    (out / EVALUATION).write_text(json.dumps(record), encoding="utf-8")
    from remelt.publishing import read_manifest, write_card

    write_card(out, read_manifest(out))
    assert "earlier version" in (out / "README.md").read_text(encoding="utf-8")


def test_runs_of_something_else_are_refused(out: Path, run: Path, tmp_path: Path, stub: StubSystem) -> None:
    options = EvaluationOptions("sample", tmp_path / "CORPUS", "stub", labels=("old",), resamples=200)
    evaluate(options)
    with pytest.raises(InputError, match=r"CORPUS was trained on sample \(corpus\), not on the rows"):
        write_evaluation(out, [run, tmp_path / "CORPUS"])
    assert not (out / EVALUATION).exists()
    with pytest.raises(InputError, match="no run of `remelt evaluate`"):
        write_evaluation(out, [tmp_path])
    with pytest.raises(InputError, match="no evaluation to take out"):
        remove_evaluation(out)


def test_labels_alone_claim_nothing_of_models(out: Path, run: Path, tmp_path: Path) -> None:
    write_evaluation(out, [run])
    labels = labels_only_folder(out, tmp_path / "LABELS")
    assert TITLE not in (labels / "README.md").read_text(encoding="utf-8")
    assert not (labels / EVALUATION).exists()
    assert find_problems(labels) == []


def test_a_run_on_some_rows_says_so(
    out: Path, tmp_path: Path, stub: StubSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remelt.recipes.evaluation.figure.overview", lambda results: {})
    evaluate(
        EvaluationOptions(str(out), tmp_path / "RUN", "stub", labels=("old",), resamples=100, limit=1_000)
    )
    write_evaluation(out, [tmp_path / "RUN"])
    assert "seeds 0, trained on 1000 rows at most." in (out / "README.md").read_text(encoding="utf-8")
