"""Bad input, as a whole system meets it: refused in words that name the place, or done and told.

What only a part meets is tested with the part: targets and splits with `protocols`, encoders with `encoders`,
the loss with `training`, options and folders with `recipes.evaluation.run`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from remelt.errors import InputError
from remelt.recipes.evaluation.base import EvaluationOptions, Setup, Trial
from remelt.recipes.evaluation.desk import CachedDesk
from remelt.recipes.evaluation.distilled.options import Settings
from remelt.recipes.evaluation.kept import folder_of
from remelt.recipes.evaluation.run import evaluate
from remelt.recipes.evaluation.systems import distilled_avd
from remelt.recipes.reporting import Reporter

from ..recipes.evaluation.ratings import Loud, rated
from ..recipes.evaluation.utterances import setup_of
from .encoders import tiny_encoders

TRAINING = {"epochs": 1, "batch_size": 12, "monitor": "ccc", "keep": "best", "lr": 1e-3}
AUDIO = Settings(variants=("audio",), hidden=4)


class Notices(Reporter):
    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech") / "tiny"
    return tiny_encoders.save(folder, tiny_encoders.SPEECH["hubert"], {"sampling_rate": 16_000})


def executed(setup: Setup) -> Any:
    (trial,) = distilled_avd.trials(setup)
    return distilled_avd.execute(trial, setup, folder_of(setup.options.out, trial), Reporter())


@pytest.mark.parametrize("tuned", [True, False])
def test_a_clip_of_a_twentieth_of_a_second_and_one_shorter_than_a_step(
    tmp_path: Path, speech: Path, tuned: bool
) -> None:
    class Short(Loud):
        def read(self, example_id: str) -> NDArray[np.float32]:
            lengths = {"0000": 800, "0003": 300, "0004": 1}
            return Loud.read(self, example_id)[: lengths.get(example_id.rpartition("/")[2], 1_600)]

    material = rated()
    material = replace(material, sounds=Short(material.sounds.arousal))  # type: ignore[union-attr]
    settings = replace(AUDIO, speech_tuned=tuned)
    setup = setup_of(tmp_path, material, settings, encoders=(str(speech), None), training=TRAINING)
    found = {key: row for one in executed(setup) for key, row in zip(one.ids, one.scores, strict=True)}
    assert np.isfinite(found["podcast/test1/0004"]).all()
    assert len(found) == 8
    if not tuned:
        assert isinstance(setup.desk, CachedDesk)
        assert any("sound shorter than" in note for note in setup.desk.notes), setup.desk.notes


def test_an_encoder_of_another_rate_is_refused(tmp_path: Path) -> None:
    folder = tiny_encoders.save(tmp_path / "phone", tiny_encoders.SPEECH["hubert"], {"sampling_rate": 8_000})
    setup = setup_of(tmp_path, rated(), AUDIO, encoders=(str(folder), None), training=TRAINING)
    with pytest.raises(InputError, match="phone reads sound at 8000 Hz, but it is given sound at 16000 Hz"):
        executed(setup)


def test_rows_without_words_are_left_out_by_models_that_read(tmp_path: Path) -> None:
    material = rated()
    rows = tuple(replace(row, text=" " if k < 3 else row.text) for k, row in enumerate(material.examples))
    setup = setup_of(tmp_path, replace(material, examples=rows), Settings(variants=("audio", "audio_text")))
    for trial in distilled_avd.trials(setup):
        trained = distilled_avd.splits(trial, setup)["test1"].train
        assert len(trained) == 9
        assert not {row.id for row in trained} & {row.id for row in rows[:3]}
    heard = setup_of(tmp_path, replace(material, examples=rows), AUDIO)
    (trial,) = distilled_avd.trials(heard)
    assert len(distilled_avd.splits(trial, heard)["test1"].train) == 12


def test_a_target_out_of_range_names_its_row(tmp_path: Path) -> None:
    material = rated()
    wrong = {**material.examples[7].targets, "valence": 1.5}
    rows = tuple(replace(row, targets=wrong) if k == 7 else row for k, row in enumerate(material.examples))
    setup = setup_of(tmp_path, replace(material, examples=rows), AUDIO)
    (trial,) = distilled_avd.trials(setup)
    with pytest.raises(
        InputError, match=r"1 of 12 train rows have a valence outside 0 to 1, first 1.5 of .*0007"
    ):
        distilled_avd.splits(trial, setup)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_split_without_any_rating_is_refused(tmp_path: Path, part: str) -> None:
    material = rated()
    rows = tuple(replace(row, targets={}) if row.split.startswith(part) else row for row in material.examples)
    setup = setup_of(tmp_path, replace(material, examples=rows), replace(AUDIO, protocol="standard"))
    with pytest.raises(InputError, match=f"Bad {part} split '{part}.*', expected one of"):
        distilled_avd.trials(setup)


def test_a_loss_that_is_no_number_stops_and_says_where(
    tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remelt.evaluation.models.audio_text_regressor import AudioTextRegressor

    right = AudioTextRegressor.forward

    def spoilt(self: AudioTextRegressor, batch: Any) -> torch.Tensor:
        values = right(self, batch)
        return values * float("nan") if "podcast/train/0007" in batch.ids else values

    monkeypatch.setattr(AudioTextRegressor, "forward", spoilt)
    settings = replace(AUDIO, speech_tuned=False)
    training = {**TRAINING, "batch_size": 4}
    setup = setup_of(tmp_path, rated(), settings, encoders=(str(speech), None), training=training)
    message = r"The loss is nan in epoch 1, step \d of 3, so nothing can be learnt. .*podcast/train/0007"
    with pytest.raises(InputError, match=message):
        executed(setup)


def test_a_folder_of_another_systems_training_is_refused(tmp_path: Path, speech: Path) -> None:
    settings = replace(AUDIO, speech_tuned=False)
    setup = setup_of(tmp_path, rated(), settings, encoders=(str(speech), None), training=TRAINING)
    executed(setup)
    config = folder_of(tmp_path, Trial("ratings", "audio", "", 0)) / "config.json"
    there = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**there, "model": "weighted_ssl.WeightedSSL"}), encoding="utf-8")
    message = (
        r"holds a training of something else: model \('weighted_ssl.WeightedSSL' there, "
        r"'audio_text_regressor.AudioTextRegressor' now\)"
    )
    with pytest.raises(InputError, match=message):
        executed(setup)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    options = EvaluationOptions("nowhere", tmp_path / "run", "distilled_avd", training={"device": "cuda"})
    with pytest.raises(InputError, match="cuda"):
        evaluate(options)
    assert not (tmp_path / "run").exists()


def test_every_system_says_how_to_install_torch_where_it_is_missing(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from remelt.errors import InputError
from remelt.recipes.evaluation import systems
from remelt.recipes.evaluation.base import EvaluationOptions
from remelt.recipes.evaluation.run import evaluate
for name in systems.names():
    try:
        evaluate(EvaluationOptions("sample", Path(sys.argv[1]), name))
    except InputError as error:
        print(name, str(error).partition("; ")[2])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all(line.endswith("pip install torch==2.13.0 && pip install 'remelt[ser]'") for line in lines)
    assert not (tmp_path / "run").exists()
