"""Losses, scores and measures against scikit-learn, audmetric and plain loops."""

from __future__ import annotations

import math

import audmetric
import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, recall_score
from sklearn.utils.class_weight import compute_class_weight

from remelt.errors import InputError
from remelt.evaluation.batch import NOT_COUNTED, Batch, Sequences
from remelt.evaluation.objectives import Classification, Regression, class_weights

LABELS = ("a", "b", "c")


def rows(labels: list[int], targets: list[list[float]] | None = None) -> Batch:
    speech = Sequences(torch.zeros(len(labels), 2, 4, 5), torch.full((len(labels),), 4))
    ids = tuple(str(place) for place in range(len(labels)))
    return Batch(
        ids, speech, labels=torch.tensor(labels), targets=None if targets is None else torch.tensor(targets)
    )


def test_class_weights_are_scikit_learns() -> None:
    truth = [0] * 7 + [1] * 2 + [2]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=truth)
    assert class_weights((7, 2, 1)) == pytest.approx(expected)
    assert class_weights((7, 0, 1)) == pytest.approx((8 / 14, 0.0, 8 / 2))
    weights = np.array(class_weights((7, 0, 1)))
    assert (weights * (7, 0, 1)).sum() == pytest.approx(8), "an example weighs 1 on average"


@pytest.mark.parametrize("weights", [None, (0.5, 2.0, 0.0)])
def test_cross_entropy_row_by_row(weights: tuple[float, ...] | None) -> None:
    objective = Classification(LABELS, weights)
    batch = rows([0, 1, 2, 1])
    output = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    total = above = 0.0
    for logits, label in zip(output.tolist(), [0, 1, 2, 1], strict=True):
        own = math.log(math.exp(logits[label]) / sum(math.exp(value) for value in logits))
        weight = 1.0 if weights is None else weights[label]
        total, above = total - weight * own, above + weight
    assert objective.loss(output, batch).item() == pytest.approx(total / above, abs=1e-5)
    scores = objective.scores(output, batch)
    assert scores.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    measured = objective.measures(scores, objective.reference(batch))
    assert measured["loss"] == pytest.approx(total / above, abs=1e-5)


def dialogues() -> tuple[Batch, torch.Tensor]:
    """Two dialogues of three and two turns, one turn of each being context."""
    labels = torch.tensor([[0, NOT_COUNTED, 2], [NOT_COUNTED, 1, NOT_COUNTED]])
    text = Sequences(torch.zeros(2, 3, 4), torch.tensor([3, 2]))
    output = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1))
    return Batch(("d0t0", "d0t1", "d0t2", "d1t0", "d1t1"), text=text, labels=labels), output


def test_of_dialogues_only_labelled_turns_are_learnt_and_real_ones_scored() -> None:
    batch, output = dialogues()
    objective = Classification(LABELS)
    taught = torch.stack([output[0, 0], output[0, 2], output[1, 1]]).log_softmax(dim=1)
    assert objective.loss(output, batch).item() == pytest.approx(
        -(taught[0, 0] + taught[1, 2] + taught[2, 1]).item() / 3, abs=1e-6
    )
    scores, reference = objective.scores(output, batch), objective.reference(batch)
    assert scores.shape == (len(batch.ids), 3)
    assert scores[4] == pytest.approx(output[1, 1].softmax(0).numpy())
    assert reference.tolist() == [0, NOT_COUNTED, 2, NOT_COUNTED, 1]
    changed = output.clone()
    changed[0, 1], changed[1, 0], changed[1, 2] = 9.0, -9.0, 99.0
    assert objective.loss(changed, batch).item() == pytest.approx(objective.loss(output, batch).item())
    assert objective.measures(objective.scores(changed, batch), reference) == pytest.approx(
        objective.measures(scores, reference)
    )


def test_measures_are_scikit_learns() -> None:
    chance = np.random.default_rng(2)
    reference, scores = chance.integers(0, 3, 200), chance.dirichlet((1, 1, 1), 200)
    measured = Classification(LABELS).measures(scores, reference)
    guess = scores.argmax(axis=1)
    assert measured["uar"] == pytest.approx(recall_score(reference, guess, average="macro"))
    assert measured["accuracy"] == pytest.approx((guess == reference).mean())
    assert measured["macro_f1"] == pytest.approx(f1_score(reference, guess, average="macro"))
    assert measured["weighted_f1"] == pytest.approx(f1_score(reference, guess, average="weighted"))
    assert set(Classification(LABELS).monitors) == set(measured)


def test_dimensions() -> None:
    chance = np.random.default_rng(3)
    target, output = chance.uniform(size=(30, 2)), chance.uniform(size=(30, 2))
    target[:5, 0] = np.nan
    objective = Regression(("arousal", "valence"))
    batch = rows([0] * 30, target.tolist())
    measured = objective.measures(objective.scores(torch.tensor(output), batch), objective.reference(batch))
    arousal = audmetric.concordance_cc(target[5:, 0], output[5:, 0])
    valence = audmetric.concordance_cc(target[:, 1], output[:, 1])
    assert measured["ccc_arousal"] == pytest.approx(arousal, abs=1e-5)
    assert measured["ccc_valence"] == pytest.approx(valence, abs=1e-5)
    assert measured["ccc"] == pytest.approx((arousal + valence) / 2, abs=1e-5)
    assert measured["loss"] == pytest.approx(objective.loss(torch.tensor(output), batch).item(), abs=1e-5)


def test_half_precision_output_is_counted_in_single_precision() -> None:
    batch, output = dialogues()
    objective = Classification(LABELS)
    assert objective.loss(output.bfloat16(), batch).dtype == torch.float32
    assert objective.scores(output.bfloat16(), batch).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Classification(("a",)), r"Bad labels \['a'\], expected two or more"),
        (lambda: Classification(("a", "a")), "different ones"),
        (lambda: Classification(("a", "b"), (1.0,)), "1 class weights for 2 labels"),
        (lambda: Regression(()), "expected one or more"),
    ],
)
def test_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
