"""Alqurashi et al.'s three models: padding, learning, standardisation, and what is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from remelt.errors import InputError
from remelt.evaluation.batch import Batch, Sequences
from remelt.evaluation.models.frontend import States
from remelt.evaluation.models.hierarchy import Branch, BranchOptions, Standardised
from remelt.evaluation.objectives import Classification

from ..training.overfit import overfits

LAYERS, WIDTH = 2, 6
LENGTHS = (7, 1, 4, 7, 2, 3)


def rows(seed: int = 0, lengths: tuple[int, ...] = LENGTHS) -> dict[str, NDArray[np.float32]]:
    drawn = np.random.default_rng(seed)
    return {
        f"row{k}": drawn.normal(3.0, 2.0, (LAYERS, length, WIDTH)).astype(np.float32)
        for k, length in enumerate(lengths)
    }


def batch(what: str, store: dict[str, NDArray[np.float32]], classes: int, filling: float = 0.0) -> Batch:
    lengths = [row.shape[1] for row in store.values()]
    values = torch.full((len(store), LAYERS, max(lengths) + (filling != 0) * 3, WIDTH), filling)
    for place, row in enumerate(store.values()):
        values[place, :, : row.shape[1]] = torch.from_numpy(row)
    found = Sequences(values, torch.tensor(lengths))
    labels = torch.arange(len(store)) % classes
    whole = Batch(tuple(store), labels=labels)
    return replace(whole, speech=found) if what == "speech" else replace(whole, text=found)


MODELS: dict[str, Callable[[], Branch]] = {
    "m1_lstm": lambda: Branch("speech", States(LAYERS, WIDTH), 2, BranchOptions(hidden=16, width=16)),
    "m2_pooled": lambda: Branch(
        "speech", States(LAYERS, WIDTH), 3, BranchOptions("pooled", "weighted", width=32)
    ),
    "m3_embeddings": lambda: Branch(
        "text", States(LAYERS, WIDTH), 4, BranchOptions(states="embedding", hidden=16, width=16)
    ),
    "m3_weighted": lambda: Branch(
        "text", States(LAYERS, WIDTH), 4, BranchOptions(states="weighted", hidden=16, width=16)
    ),
}


def made(name: str) -> Branch:
    torch.manual_seed(0)
    model = MODELS[name]()
    assert model.standardised is not None
    model.standardised.measure(rows(), rows())
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_a_row_gives_the_same_alone_and_however_filled(name: str) -> None:
    model, store = made(name), rows()
    classes = model.head[-1].out_features
    with torch.no_grad():
        together = model(batch(model.modality, store, classes))
        filled = model(batch(model.modality, store, classes, filling=1e4))
        alone = [model(batch(model.modality, {key: row}, classes)) for key, row in store.items()]
    torch.testing.assert_close(filled, together, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(torch.cat(alone), together, atol=1e-6, rtol=1e-5)
    assert len({tuple(row) for row in together.tolist()}) == len(store)


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_is_learnt_by_heart(name: str) -> None:
    model = made(name)
    labels = ("a", "b", "c", "d")[: model.head[-1].out_features]
    first, last = overfits(
        model, Classification(labels), batch(model.modality, rows(), len(labels)), steps=80, lr=2e-2
    )
    assert first > 0.5
    assert last < 0.05


def test_the_lstm_against_its_equations() -> None:
    model, row = made("m1_lstm"), rows()["row0"]
    assert model.standardised is not None
    assert model.lstm is not None
    weights = {
        name: value.detach().numpy().astype(np.float64) for name, value in model.lstm.named_parameters()
    }
    mean = model.standardised.mean.numpy()[-1]
    inputs = (row[-1] - mean) / model.standardised.deviation.numpy()[-1]

    def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-x))

    state = cell = np.zeros(16)
    for step in inputs:
        gates = (
            weights["weight_ih_l0"] @ step + weights["bias_ih_l0"] + weights["weight_hh_l0"] @ state
        ) + weights["bias_hh_l0"]
        enter, forget, new, out = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        state = sigmoid(out) * np.tanh(cell)
    _, first, _, _, second = model.head
    hidden = np.maximum(first.weight.detach().numpy() @ state + first.bias.detach().numpy(), 0)
    expected = second.weight.detach().numpy() @ hidden + second.bias.detach().numpy()
    with torch.no_grad():
        found = model(batch("speech", {"row0": row}, 2))[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_embeddings_are_the_first_states_and_last_the_last() -> None:
    store, other = rows(), rows()
    for key in other:
        other[key][0] = 0.0
    embedding, last = made("m3_embeddings"), made("m1_lstm")
    with torch.no_grad():
        assert not torch.allclose(embedding(batch("text", store, 4)), embedding(batch("text", other, 4)))
        assert torch.equal(last(batch("speech", store, 2)), last(batch("speech", other, 2)))


def test_standardised_training_columns_have_mean_0_and_deviation_1() -> None:
    store = rows()
    # A column without differences stays, whatever its value.
    for row in store.values():
        row[:, :, 2] = 5.0
    part = Standardised(LAYERS, WIDTH)
    part.measure(store, store)
    steps = torch.cat([part(torch.from_numpy(row)) for row in store.values()], dim=1)
    expected = torch.ones(LAYERS, WIDTH)
    expected[:, 2] = 0.0
    torch.testing.assert_close(steps.mean(dim=1), torch.zeros(LAYERS, WIDTH), atol=1e-5, rtol=0)
    torch.testing.assert_close(steps.std(dim=1, unbiased=False), expected, atol=1e-5, rtol=0)
    again = Standardised(LAYERS, WIDTH)
    again.load_state_dict(part.state_dict())
    assert torch.equal(again.mean, part.mean)
    with pytest.raises(InputError, match="No training rows"):
        part.measure(store, [])


class Doubled(nn.Module):
    """An encoder that can be tuned: samples become steps of two samples."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Linear(2, WIDTH)
        self.front.requires_grad_(False)
        self.transformer = nn.Linear(WIDTH, WIDTH)

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        steps = self.front(sequences.values.unflatten(1, (-1, 2)))
        return torch.stack((steps, self.transformer(steps)), dim=1), sequences.lengths // 2


def test_a_tuned_encoder_learns_at_its_own_rate_and_its_front_stays() -> None:
    torch.manual_seed(0)
    encoder = Doubled()
    options = BranchOptions("pooled", "last", width=16, encoder_lr=1e-3)
    model = Branch("speech", States(LAYERS, WIDTH, encoder), 3, options)
    assert model.standardised is None
    head, tuned = model.parameter_groups(1e-2)
    assert (head["lr"], tuned["lr"]) == (1e-2, 1e-3)
    before = {name: value.clone() for name, value in encoder.named_parameters()}
    sounds = Sequences(torch.randn(6, 8), torch.tensor([8, 6, 8, 4, 8, 2]))
    heard = Batch(tuple("abcdef"), speech=sounds, labels=torch.arange(6) % 3)
    _, last = overfits(model, Classification(("a", "b", "c")), heard, steps=80, lr=2e-2)
    assert last < 0.3
    after = dict(encoder.named_parameters())
    assert torch.equal(before["front.weight"], after["front.weight"])
    assert not torch.equal(before["transformer.weight"], after["transformer.weight"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": "gru"}, "Bad shape 'gru', expected one of"),
        ({"states": "first"}, "Bad states 'first', expected one of"),
        ({"hidden": 0}, "Bad hidden 0"),
        ({"dropout": 1.0}, r"Bad dropout 1\.0"),
        ({"encoder_lr": 0.0}, r"Bad encoder_lr 0\.0"),
    ],
)
def test_bad_options(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BranchOptions(**fields)  # type: ignore[arg-type]


def test_what_a_branch_cannot_read() -> None:
    with pytest.raises(InputError, match="Bad modality 'video'"):
        Branch("video", States(LAYERS, WIDTH), 2)
    with pytest.raises(InputError, match="needs text"):
        made("m3_weighted")(batch("speech", rows(), 4))
