"""MERITS-L from words and sound to predictions: every stage, pre-training, what is frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from remelt.errors import InputError
from remelt.evaluation.predictions import Predictions
from remelt.evaluation.training import curves
from remelt.recipes.evaluation import published
from remelt.recipes.evaluation.base import Setup, Trial
from remelt.recipes.evaluation.kept import folder_of
from remelt.recipes.evaluation.merits import inputs
from remelt.recipes.evaluation.merits.settings import STAGES
from remelt.recipes.evaluation.systems import pseudo_sentiment as system
from remelt.recipes.reporting import Reporter

from .conversations import conversations, encoders, setup


class Told(Reporter):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def run(given: Setup, reporter: Reporter | None = None) -> dict[Trial, Sequence[Predictions]]:
    found = {}
    for trial in system.trials(given):
        folder = folder_of(given.options.out, trial)
        found[trial] = system.execute(trial, given, folder, reporter or Reporter())
    return found


@pytest.fixture(autouse=True, scope="module")
def _without_figures() -> Iterator[None]:
    """A figure takes longer than the training that it shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "curves", lambda *_: b"<svg/>")
        yield


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, names: tuple[str, str]
) -> tuple[Setup, dict[Trial, Sequence[Predictions]]]:
    """Every stage, trained on new labels."""
    given = setup(tmp_path_factory.mktemp("whole"), conversations(), names, labels=("new",))
    given = replace(given, tests={"other": conversations("other", splits={"test": 5})})
    return given, run(given)


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors")) + sorted(folder.rglob("*.npz"))
    }


def test_every_stage_is_trained_and_tested(whole: tuple[Setup, dict[Trial, Sequence[Predictions]]]) -> None:
    given, found = whole
    assert [trial.variant for trial in found] == list(STAGES)
    tested = [row for row in given.material.examples if row.split == "test"]
    for predictions in found.values():
        own, other = predictions
        assert (own.test, other.test) == ("test", "other")
        assert sorted(own.ids) == sorted(row.id for row in tested)
        assert len(other.ids) == len(given.tests["other"].examples)
        truth = [own.labels[k] for k in own.reference]
        assert truth == [given.material.labels["old"][row] for row in own.ids]
        np.testing.assert_allclose(own.scores.sum(axis=1), 1, rtol=1e-5)
        assert set(own.groups) == {row.dialogue for row in tested}


def test_the_words_are_learnt(whole: tuple[Setup, dict[Trial, Sequence[Predictions]]]) -> None:
    _, found = whole
    one = found[Trial("new", "text_stage1", "", 0)][0]
    assert (one.predicted == one.reference).mean() > 0.6


def test_later_stages_leave_the_earlier_ones_alone(names: tuple[str, str], tmp_path: Path) -> None:
    given = setup(tmp_path, conversations(), names)
    trials = {trial.variant: trial for trial in system.trials(given)}

    def execute(stage: str) -> Predictions:
        trial = trials[stage]
        return system.execute(trial, given, folder_of(given.options.out, trial), Reporter())[0]

    fused = execute("fusion_stage3")
    before = hashes(given.options.out)
    assert {name.split("/")[2] for name in before} == set(STAGES) - {"merged"}
    execute("merged")
    alone = execute("text_stage1")
    after = hashes(given.options.out)
    assert {name: after[name] for name in before} == before
    again = replace(given, options=replace(given.options, out=tmp_path / "again"))
    for stage in ("text_stage1", "text_stage2", "speech_stage1", "speech_stage2"):
        system.execute(trials[stage], again, tmp_path, Reporter())
    same = system.execute(trials["fusion_stage3"], again, tmp_path, Reporter())[0]
    np.testing.assert_array_equal(same.scores, fused.scores)
    assert not np.array_equal(alone.scores, fused.scores)


def test_labels_of_context_turns_change_nothing(names: tuple[str, str], tmp_path: Path) -> None:
    material = conversations(heard=False)
    common = set(material.labels["new"])
    other = {
        name: label if name in common or "/train/" not in name else "anger"
        for name, label in material.labels["old"].items()
    }
    assert other != material.labels["old"]
    scores = []
    for place, labels in enumerate((dict(material.labels["old"]), other)):
        changed = replace(material, labels={**material.labels, "old": labels})
        given = setup(tmp_path / str(place), changed, names, labels=("old", "new"), stages="text_stage2")
        trial = system.trials(given)[0]
        scores.append(system.execute(trial, given, tmp_path, Reporter())[0].scores)
    np.testing.assert_array_equal(*scores)


def test_without_sound_the_words_are_left(names: tuple[str, str], tmp_path: Path) -> None:
    given = setup(tmp_path, conversations(heard=False), names)
    assert [trial.variant for trial in system.trials(given)] == ["text_stage1", "text_stage2"]
    with pytest.raises(InputError, match="Stage 'fusion_stage3' needs sound"):
        system.trials(setup(tmp_path, conversations(heard=False), names, stages="text_stage1,fusion_stage3"))


def test_the_tables_name_the_kind_of_gain(whole: tuple[Setup, dict[Trial, Sequence[Predictions]]]) -> None:
    given, found = whole
    analyses = {one.name: one for one in system.analyse(given, found, given.options.out)}
    assert set(analyses) == {"stages", "layers"}
    steps = analyses["stages"].data
    assert len(steps) == 5 * 2
    for row in steps:
        assert row["b - a"] == pytest.approx(row["b"] - row["a"], abs=1e-3)
        if row["a"] > 0:
            assert row["gain/base"] == pytest.approx((row["b"] - row["a"]) / row["a"], abs=2e-2)
    kinds = {(row["a is"], row["b is"]): row["the paper's kind"] for row in steps}
    assert kinds["text_stage1", "text_stage2"] == "gain/base"
    assert kinds["text_stage2", "fusion_stage3"] == "error reduction"
    assert any(note.startswith("Not CARE") for note in analyses["stages"].notes)
    (layers,) = analyses["layers"].data
    assert sum(value for name, value in layers.items() if name.startswith("layer")) == pytest.approx(
        1, abs=1e-3
    )


def sentiments(folder: Path, name: str, shift: int = 0, word: str = "positive") -> Path:
    """A table of sentiment labels that follow from the words."""
    lines = ["id,split,text,label"]
    for k in range(40):
        label = ("negative", "neutral", word)[(k + shift) % 3]
        lines.append(f"{k},train,{('aaa', 'nnn', 'jjj')[k % 3]} {'xyz'[k % 2]},{label}")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("encoder", ["frozen", "tuned"])
def test_pretraining_is_compared_with_none(names: tuple[str, str], tmp_path: Path, encoder: str) -> None:
    given = setup(
        tmp_path,
        conversations(heard=False),
        names,
        text_encoder=encoder,
        pretrained=f"gpt={sentiments(tmp_path, 'a')},mix={sentiments(tmp_path, 'b', 1)}",
        pretrain_epochs=1,
        text_epochs=1,
    )
    found = run(given)
    assert [trial.variant for trial in found] == [
        "text_stage1+gpt", "text_stage1+mix", "text_stage1+plain", "text_stage2+gpt",
    ]  # fmt: skip
    scores = [predictions[0].scores for predictions in found.values()]
    assert not np.array_equal(scores[0], scores[2])
    assert not np.array_equal(scores[0], scores[1])
    folder = given.options.out / "pretraining" / "gpt" / "seed0"
    about = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))
    assert about["rows"] == {"train": 32, "validation": 8}
    table = next(one for one in system.analyse(given, found, folder) if one.name == "pretraining")
    assert [(row["a is"], row["b is"]) for row in table.data] == [
        ("plain", "gpt"), ("mix", "gpt"), ("plain", "mix"),
    ]  # fmt: skip
    assert sum("held out" in note for note in table.notes) == 2
    if encoder == "tuned":
        # The folder is a text encoder of its own, and another one than it was made from.
        made = given.desk.encoder(str(folder / "model"), "text")
        assert made.identity != given.desk.encoder(names[1], "text").identity
        loaded = replace(given, settings=replace(given.settings, pretrained=f"ft={folder / 'model'}"))
        loaded = replace(loaded, options=replace(given.options, out=tmp_path / "loaded"))
        trial = system.trials(loaded)[0]
        again = system.execute(trial, loaded, tmp_path, Reporter())[0]
        np.testing.assert_allclose(again.scores, scores[0], rtol=1e-5)


def test_labels_that_are_no_sentiment_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    path = sentiments(tmp_path, "a", word="joy")
    given = setup(tmp_path, conversations(heard=False), names, pretrained=str(path))
    with pytest.raises(InputError, match=r"labels \['joy'\]; the text encoder is pre-trained on"):
        run(given)


def test_tuning_a_large_encoder_fast_is_warned_of(names: tuple[str, str], tmp_path: Path) -> None:
    given = setup(tmp_path, conversations(heard=False), names, text_encoder="tuned")
    given = replace(given, training=replace(given.training, lr=1e-4))
    assert "text_lr=1e-5" in inputs.divergence(given, given.settings, 1024)
    assert inputs.divergence(given, given.settings, 768) == ""
    slow = replace(given.settings, text_lr=1e-5)
    assert inputs.divergence(given, slow, 1024) == ""
    assert inputs.divergence(given, replace(given.settings, text_encoder="frozen"), 1024) == ""


def test_the_published_numbers_give_the_gains_that_the_paper_states() -> None:
    table = published.values("pseudo_sentiment")[0]["rows"]
    score = {(row["model"], row["test"]): 100 * row["values"]["weighted_f1"] for row in table}

    def gain(corpus: str, base: str, better: str) -> float:
        a, b = score[base, corpus], score[better, corpus]
        return 100 * (b - a) / a

    def reduction(corpus: str) -> float:
        a, b = score["text_stage2", corpus], score["fusion_stage3", corpus]
        return 100 * (b - a) / (100 - a)

    assert gain("iemocap", "speech_stage1", "speech_stage2") == pytest.approx(16.46, abs=0.01)
    assert gain("iemocap", "text_stage1", "text_stage2") == pytest.approx(20.06, abs=0.01)
    corpora = ("iemocap", "meld", "cmu_mosi")
    assert [reduction(name) for name in corpora] == pytest.approx([16.28, 2.24, 5.65], abs=0.01)
