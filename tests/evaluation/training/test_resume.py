"""A training that is broken off and taken up again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from remelt.errors import InputError, Interrupted
from remelt.evaluation.batches import UtteranceBatches
from remelt.evaluation.objectives import Classification
from remelt.evaluation.training import files, loop
from remelt.evaluation.training.loop import fit, load_weights
from remelt.recipes.reporting import Reporter

from .small import LABELS, OPTIONS, Small, batches, features, rows, same_weights, train, without_times

BATCHES = 6


class Breaking(Reporter):
    """Raises an error once so many batches are done."""

    def __init__(self, after: int, error: BaseException) -> None:
        self.after, self.error = after, error

    def counted(self, done: int, total: int, what: str) -> None:
        if done == self.after:
            raise self.error


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after each epoch, however fast epochs are."""
    monkeypatch.setattr(loop, "_TIMES_AS_LONG", 0)


def test_killed_in_an_epoch_and_resumed_equals_unbroken(tmp_path: Path, repository: Path) -> None:
    unbroken, expected = train(tmp_path / "whole")
    path = os.pathsep.join(str(repository / part) for part in ("builders", "tests"))
    after = 3 * BATCHES + 2
    done = subprocess.run(
        [sys.executable, "-m", "evaluation.training.killed", str(tmp_path / "killed"), str(after)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "killed" / files.WEIGHTS).exists()
    assert list((tmp_path / "killed" / "checkpoint").glob("epoch-*"))
    seen: list[int] = []
    watch = Reporter()
    watch.counted = lambda done, total, what: seen.append(done)  # type: ignore[method-assign]
    resumed, found = train(tmp_path / "killed", watch=watch)
    assert seen[0] > BATCHES, "it began anew"
    assert without_times(found) == without_times(expected)
    assert same_weights(resumed, unbroken)
    whole, broken = (tmp_path / name / files.WEIGHTS for name in ("whole", "killed"))
    assert whole.read_bytes() == broken.read_bytes()


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("changes", [{}, {"patience": 1, "lr": 0.2}, {"keep": "last", "optimizer": "adam"}])
def test_broken_off_again_and_again(tmp_path: Path, changes: dict[str, object]) -> None:
    unbroken, expected = train(tmp_path / "whole", **changes)
    for after in range(4, BATCHES * expected.epochs, 9):
        with pytest.raises(OSError, match="power"):
            train(tmp_path / "broken", watch=Breaking(after, OSError("no power")), **changes)
    resumed, found = train(tmp_path / "broken", **changes)
    assert without_times(found) == without_times(expected)
    assert same_weights(resumed, unbroken)
    assert found.best_epoch == (found.epochs if changes.get("keep") == "last" else found.best_epoch)


def test_stopped_by_hand(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="epoch 2 of 6; the same command goes on"):
        train(tmp_path, watch=Breaking(BATCHES + 1, KeyboardInterrupt()))


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first, expected = train(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        (files.CONFIG, files.CURVES, files.HISTORY, files.WEIGHTS)
    )
    again, found = train(tmp_path, watch=Breaking(1, AssertionError("trained again")))
    assert found == expected
    assert same_weights(again, first)
    assert not again.training


@pytest.mark.usefixtures("every_epoch")
def test_what_the_folder_is_of_is_compared_by_name(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, watch=Breaking(BATCHES + 1, KeyboardInterrupt()))
    with pytest.raises(
        InputError, match=r"something else: lr \(0.02 there, 0.5 now\), seed \(0 there, 1 now\)\. "
    ):
        train(tmp_path, lr=0.5, seed=1)
    examples = rows(43)
    other = UtteranceBatches(
        examples, {k: v + 1 for k, v in features(examples).items()}, labels=LABELS, batch_size=8, seed=3,
        crop_steps=10,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"something else: training rows. Take"):
        fit(Small(), Classification(LABELS), other, batches(21, "dev"), OPTIONS, tmp_path, 0, Reporter())
    with pytest.raises(InputError, match=r"something else: architecture. Take"):
        fit(
            Small(4), Classification(LABELS), batches(43, "train"), batches(21, "dev"), OPTIONS, tmp_path, 0,
            Reporter(),
        )  # fmt: skip
    train(tmp_path, threads=1)


def test_other_frozen_weights_are_another_training(tmp_path: Path) -> None:
    def model(start: float) -> Small:
        torch.manual_seed(0)
        made = Small()
        nn.init.constant_(made.layers, start)
        made.layers.requires_grad_(False)
        return made

    arguments = (Classification(LABELS), batches(43, "train"), None, OPTIONS, tmp_path, 0, Reporter())
    fit(model(0.0), *arguments)
    assert "layers" not in files._read_weights(tmp_path / files.WEIGHTS)
    with pytest.raises(InputError, match=r"something else: frozen weights. Take"):
        fit(model(1.0), *arguments)


def test_nothing_was_kept_so_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(tmp_path, watch=Breaking(1, KeyboardInterrupt()))
    train(tmp_path, lr=0.5)
    assert json.loads((tmp_path / files.CONFIG).read_text())["options"]["lr"] == 0.5


def test_weights_come_back_for_use(tmp_path: Path) -> None:
    trained, _ = train(tmp_path)
    fresh = Small()
    assert not same_weights(fresh, trained)
    load_weights(fresh, tmp_path)
    assert same_weights(fresh, trained)
    with pytest.raises(
        InputError, match=r"another model: the weight 'head.4.bias' has the shape \(3,\), expected"
    ):
        load_weights(Small(outputs=2), tmp_path)
    with pytest.raises(InputError, match=r"the weight 'head.0.bias' is not in the model"):
        load_weights(nn.ReLU(), tmp_path)
    with pytest.raises(InputError, match="is its training finished"):
        load_weights(Small(), tmp_path / "nowhere")


class Wide(Small):
    """With 1.2 million weights that nothing needs: 5 MB, and 10 MB of the optimizer's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1_200_000))

    def forward(self, batch):  # type: ignore[no-untyped-def]
        return super().forward(batch) + self.weight.sum()


@pytest.mark.usefixtures("every_epoch")
def test_a_full_disk_keeps_the_last_checkpoint(small_disk: Path) -> None:
    def again() -> None:
        fit(
            Wide(),
            Classification(LABELS),
            batches(43, "train"),
            None,
            OPTIONS,
            small_disk / "run",
            0,
            Reporter(),
        )

    with pytest.raises(Interrupted, match=r"disk.*Make room, and the same command goes on"):
        again()
    kept = [path.name for path in (small_disk / "run" / "checkpoint").iterdir()]
    assert kept == ["epoch-00001"]
    with pytest.raises(Interrupted, match="disk"):
        again()
    assert [path.name for path in (small_disk / "run" / "checkpoint").iterdir()] == kept
