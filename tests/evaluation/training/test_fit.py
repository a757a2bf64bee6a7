"""What `fit` and `predict` do in one go."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from remelt.errors import InputError
from remelt.evaluation.batch import Batch
from remelt.evaluation.batches import DialogueBatches, Dimensions, UtteranceBatches
from remelt.evaluation.objectives import Classification, Objective, Regression
from remelt.evaluation.training import files
from remelt.evaluation.training.loop import Fitted, fit, predict
from remelt.recipes.reporting import Reporter

from .overfit import overfits
from .small import LABELS, OPTIONS, WIDTH, Small, batches, features, rows, same_weights, train, without_times


class Telling(Reporter):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.counts: list[tuple[int, int, str]] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def counted(self, done: int, total: int, what: str) -> None:
        self.counts.append((done, total, what))


def test_the_same_seed_gives_the_same_and_another_something_else(tmp_path: Path) -> None:
    np.random.seed(7)
    one, first = train(tmp_path / "1")
    torch.rand(13)
    two, second = train(tmp_path / "2")
    three, third = train(tmp_path / "3", seed=1)
    assert without_times(first) == without_times(second)
    assert same_weights(one, two)
    assert without_times(first) != without_times(third)
    assert not same_weights(one, three)
    for name in (files.CURVES, files.WEIGHTS, files.CONFIG):
        same = (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
        assert same, name


def test_history_and_progress(tmp_path: Path) -> None:
    watch = Telling()
    _, fitted = train(tmp_path, watch=watch)
    assert fitted.epochs == len(fitted.history) == 6
    assert fitted.stopped == "epochs"
    assert [entry["epoch"] for entry in fitted.history] == [1, 2, 3, 4, 5, 6]
    assert {"lr", "train_loss", "seconds", "loss", "uar", "accuracy"} <= fitted.history[0].keys()
    assert fitted.best_epoch == 1 + int(np.argmin([entry["loss"] for entry in fitted.history]))
    assert fitted.history[-1]["train_loss"] < fitted.history[0]["train_loss"]
    assert watch.counts == [(done, 36, "batches") for done in range(1, 37)]
    assert watch.notices == []
    written = json.loads((tmp_path / files.HISTORY).read_text())
    assert written["history"] == list(fitted.history)
    assert written["best_epoch"] == fitted.best_epoch
    config = json.loads((tmp_path / files.CONFIG).read_text())
    assert config["model"] == "small.Small"
    assert config["options"]["lr"] == 0.02
    assert (tmp_path / files.CURVES).read_bytes().startswith(b"<?xml")


class Fading(Small):
    """Reaches perfection at once, and loses it in the next epochs: all that it says goes to a constant."""

    def forward(self, batch: Batch) -> Tensor:
        assert batch.labels is not None
        if self.training:
            self.layers.data += 1e-3
        epoch = round(float(self.layers.data[0]) * 1e3) / 6
        exact = nn.functional.one_hot(batch.labels, 3).float()
        return exact * max(0.1, 3 - epoch) + 0 * super().forward(batch)


@pytest.mark.parametrize(
    ("changes", "epochs", "kept"),
    [
        ({"patience": 2}, 3, 1),
        ({"patience": 2, "keep": "last"}, 3, 3),
        ({}, 6, 1),
        ({"keep": "last"}, 6, 6),
    ],
)
def test_early_stopping_and_what_is_kept(
    tmp_path: Path, changes: dict[str, object], epochs: int, kept: int
) -> None:
    options = replace(OPTIONS, lr=1e-9, schedule="constant", warmup=0.0, **changes)  # type: ignore[arg-type]
    model = Fading()
    fitted = fit(
        model,
        Classification(LABELS),
        batches(43, "train"),
        batches(21, "dev"),
        options,
        tmp_path,
        0,
        Reporter(),
    )
    assert (fitted.epochs, fitted.best_epoch) == (epochs, kept)
    assert fitted.stopped == ("patience" if "patience" in changes else "epochs")
    assert model.layers.data[0].item() == pytest.approx(kept * 6e-3, abs=1e-6)


def test_without_validation_rows_the_last_epoch_is_kept(tmp_path: Path) -> None:
    watch = Telling()
    options = replace(OPTIONS, patience=1)
    fitted = fit(Small(), Classification(LABELS), batches(43, "train"), None, options, tmp_path, 0, watch)
    assert (fitted.epochs, fitted.best_epoch) == (6, 6)
    assert watch.notices == [
        "There are no validation rows: all 6 epochs are trained, and the weights of the last one are tested"
    ]
    assert "uar" not in fitted.history[0]


def test_predictions_come_in_order_and_without_dropout(tmp_path: Path) -> None:
    model, _ = train(tmp_path)
    test = batches(21, "test")
    ids, scores = predict(model, Classification(LABELS), test)
    again = predict(model, Classification(LABELS), test)[1]
    assert ids == test.ids
    assert np.array_equal(scores, again)
    for batch in test.ordered():
        single = model(batch).softmax(dim=1).detach().numpy()
        for name, row in zip(batch.ids, single, strict=True):
            assert scores[ids.index(name)] == pytest.approx(row, abs=1e-6)


def test_class_weights_come_from_the_training_rows(tmp_path: Path) -> None:
    examples = tuple(row for row in rows(43) if row.label != "joy" or int(row.id.rpartition("/")[2]) < 8)
    few = UtteranceBatches(examples, features(examples), labels=LABELS, batch_size=8)
    options = replace(OPTIONS, class_weights=True)
    fit(Small(), Classification(LABELS), few, None, options, tmp_path, 0, Reporter())
    found = json.loads((tmp_path / files.CONFIG).read_text())["class weights"]
    assert found == pytest.approx([len(examples) / (3 * count) for count in few.counts])
    with pytest.raises(InputError, match="Bad class_weights True: dimensions have no classes"):
        fit(Small(), Regression(("a",)), few, None, options, tmp_path / "2", 0, Reporter())


class Half(nn.Module):
    """A frozen part with dropout and running values, and a trained one."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Linear(WIDTH, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.frozen.requires_grad_(False)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(8, 3))
        self.modes: set[tuple[bool, bool]] = set()

    def forward(self, batch: Batch) -> Tensor:
        assert batch.speech is not None
        if self.training:
            self.modes.add((self.frozen[2].training, self.head[0].training))
        out: Tensor = self.head(self.frozen(batch.speech.values.mean(dim=(1, 2))))
        return out


def test_what_is_frozen_stays_as_it_is(tmp_path: Path) -> None:
    model = Half()
    before = {name: value.clone() for name, value in model.frozen.state_dict().items()}
    fit(model, Classification(LABELS), batches(43, "train"), None, OPTIONS, tmp_path, 0, Reporter())
    assert model.modes == {(False, True)}
    after = model.frozen.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "frozen.0.weight" not in files._read_weights(tmp_path / files.WEIGHTS)
    model.head.requires_grad_(False)
    with pytest.raises(InputError, match="Half has no weights to train"):
        fit(model, Classification(LABELS), batches(43, "train"), None, OPTIONS, tmp_path / "2", 0, Reporter())


class Bad(Small):
    """Says NaN of one row."""

    def forward(self, batch: Batch) -> Tensor:
        out = super().forward(batch)
        wrong = torch.tensor([name == "small/train/17" for name in batch.ids])
        return torch.where(wrong[:, None] & self.training, torch.nan, out)


class Steep(Small):
    """Its loss is a number, its gradient is none."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) + (0 * self.layers[0]).abs().sqrt()


class Greedy(Small):
    def forward(self, batch: Batch) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Bad(), r"The loss is nan in epoch 1, step \d of 6.*small/train/17.*A smaller lr"),
        (Steep(), r"The gradient is nan in epoch 1, step 1 of 6"),
        (
            Greedy(),
            r"memory is too small for a batch of 8 rows \(epoch 1, step 1\): CUDA.*2 GiB\. A smaller batch",
        ),
    ],
)
def test_training_stops_and_says_where(tmp_path: Path, model: Small, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(
            model, Classification(LABELS), batches(43, "train"), batches(21, "dev"), OPTIONS, tmp_path, 0,
            Reporter(),
        )  # fmt: skip


def test_what_cannot_work_is_refused_at_once(tmp_path: Path) -> None:
    def refused(objective: Objective, match: str, **changes: object) -> None:
        with pytest.raises(InputError, match=match):
            fit(
                Small(), objective, batches(43, "train"), batches(21, "dev"),
                replace(OPTIONS, **changes), tmp_path / "none", 0, Reporter(),  # type: ignore[arg-type]
            )  # fmt: skip

    refused(Classification(LABELS), r"Bad monitor 'ccc', expected one of \['uar',", monitor="ccc")
    refused(Regression(("arousal",)), r"Bad monitor 'uar', expected one of \['ccc', 'loss'\]", monitor="uar")
    if not torch.cuda.is_available():
        refused(Classification(LABELS), "Bad device 'cuda'.*finds no CUDA", device="cuda")
    refused(Classification(LABELS), "Bad device 'tpu', expected cpu, cuda", device="tpu")


def test_settings_of_torch_are_left_as_they_were(tmp_path: Path) -> None:
    seen = []

    class Looking(Reporter):
        def counted(self, done: int, total: int, what: str) -> None:
            seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))

    torch.set_num_threads(2)
    try:
        train(tmp_path, threads=1, epochs=1, watch=Looking())
        assert set(seen) == {(1, True)}
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (2, False)
    finally:
        torch.set_num_threads(1)


def test_rows_without_any_label(tmp_path: Path) -> None:
    context = tuple(replace(row, label=None) for row in rows(10))
    vectors = {row.id: np.ones(WIDTH, np.float32) for row in context}
    none = DialogueBatches(context, text=vectors, labels=LABELS)
    for train_rows, dev_rows, which in (
        (none, batches(21, "dev"), "training"),
        (batches(43, "train"), none, "val"),
    ):
        with pytest.raises(InputError, match=f"No {which}.* row has a label"):
            fit(Small(), Classification(LABELS), train_rows, dev_rows, OPTIONS, tmp_path, 0, Reporter())


class Turns(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, batch: Batch) -> Tensor:
        assert batch.text is not None
        out: Tensor = self.head(batch.text.values)
        return out


def test_dialogues(tmp_path: Path) -> None:
    examples = tuple(
        replace(row, label=None) if place % 4 == 1 else row for place, row in enumerate(rows(40))
    )
    vectors = {name: value[0].mean(axis=0) for name, value in features(rows(40)).items()}
    made = DialogueBatches(examples, text=vectors, labels=LABELS, batch_size=3)
    model, objective = Turns(), Classification(LABELS)
    fitted: Fitted = fit(
        model, objective, made, made, replace(OPTIONS, monitor="uar"), tmp_path, 0, Reporter()
    )
    ids, scores = predict(model, objective, made)
    assert ids == made.ids
    assert scores.shape == (40, 3)
    assert not math.isnan(fitted.history[-1]["uar"])
    single = DialogueBatches(examples, text=vectors, labels=LABELS, batch_size=1)
    assert predict(model, objective, single)[1] == pytest.approx(scores, abs=1e-6)


def test_dimensions(tmp_path: Path) -> None:
    examples, names = rows(43), Dimensions(("arousal", "valence"))
    store = {row.id: np.full((3, 4, WIDTH), row.targets["arousal"], np.float16) for row in examples}
    made = UtteranceBatches(examples, store, labels=names, batch_size=8)
    fitted = fit(
        Small(2),
        Regression(names),
        made,
        made,
        replace(OPTIONS, monitor="ccc", epochs=12),
        tmp_path,
        0,
        Reporter(),
    )
    assert fitted.history[-1]["ccc_arousal"] > 0.8
    assert fitted.history[-1]["loss"] == pytest.approx(1 - fitted.history[-1]["ccc"])


def test_one_batch_is_learnt_by_heart() -> None:
    batch = next(batches(21, "train").ordered())
    first, last = overfits(Small(), Classification(LABELS), batch)
    assert last < 0.05 < first
    shuffled = replace(batch, speech=replace(batch.speech, values=torch.ones_like(batch.speech.values)))
    assert overfits(Small(), Classification(LABELS), shuffled)[1] > 0.5, "nothing can be learnt from this"
