"""The regression of arousal, valence and dominance: padding, learning, layers, and the sizes of the paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from remelt.errors import InputError
from remelt.evaluation.batch import Batch, Sequences
from remelt.evaluation.models.audio_text_regressor import (
    POOLING_CHOICES,
    STATES,
    AudioTextRegressor,
    Side,
    parameters,
)
from remelt.evaluation.objectives import Regression

from ..training.overfit import overfits

LAYERS, WIDTH = 4, 6
HEARD, READ = (9, 1, 5, 7, 2, 9, 3, 4), (3, 6, 1, 2, 2, 4, 5, 1)
DIMENSIONS = ("arousal", "valence", "dominance")


def sequences(lengths: tuple[int, ...], seed: int, filling: float = 0.0, extra: int = 0) -> Sequences:
    drawn = np.random.default_rng(seed)
    values = torch.full((len(lengths), LAYERS, max(lengths) + extra, WIDTH), filling)
    for place, length in enumerate(lengths):
        values[place, :, :length] = torch.from_numpy(drawn.normal(size=(LAYERS, length, WIDTH)))
    return Sequences(values, torch.tensor(lengths))


def batch(filling: float = 0.0, extra: int = 0) -> Batch:
    targets = torch.from_numpy(np.random.default_rng(3).uniform(size=(len(HEARD), 3))).float()
    ids = tuple(f"row{k}" for k in range(len(HEARD)))
    return Batch(
        ids, sequences(HEARD, 1, filling, extra), sequences(READ, 2, filling, extra), targets=targets
    )


def made(pooling: str = "mean_max", states: str = "last", text: bool = True) -> AudioTextRegressor:
    torch.manual_seed(0)
    side = Side(LAYERS, WIDTH, states=states, pooling=pooling)
    model = AudioTextRegressor(side, side if text else None)
    for name, part in model.named_parameters():
        if name.endswith("logits"):
            part.data = torch.tensor([0.5, -1.0, 2.0, 0.0])
    return model


def by_hand(values: np.ndarray, pooling: str) -> np.ndarray:
    """Pooling of one row's (steps, width), said in numpy."""
    middle, largest = values.mean(axis=0), values.max(axis=0)
    return {
        "mean_max": (middle + largest) / 2,
        "mean": middle,
        "max": largest,
        "concat": np.concatenate([middle, largest]),
    }[pooling]


@pytest.mark.parametrize("pooling", POOLING_CHOICES)
@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("text", [True, False])
def test_a_padded_batch_gives_what_each_row_gives_by_hand(pooling: str, states: str, text: bool) -> None:
    model = made(pooling, states, text).eval()
    weights = np.exp([0.5, -1.0, 2.0, 0.0]) / np.exp([0.5, -1.0, 2.0, 0.0]).sum()
    first, second = (model.head[k] for k in (1, 4))
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    w1, b1, w2, b2 = (p.detach().numpy() for p in (first.weight, first.bias, second.weight, second.bias))
    rows = batch()
    expected = []
    for row in range(len(HEARD)):
        pooled = []
        for found in (rows.speech, rows.text)[: 1 + text]:
            assert found is not None
            given = found.values[row, :, : int(found.lengths[row])].numpy()
            chosen = given[-1] if states == "last" else np.tensordot(weights, given, axes=1)
            pooled.append(by_hand(chosen, pooling))
        expected.append(w2 @ np.tanh(w1 @ np.concatenate(pooled) + b1) + b2)
    with torch.no_grad():
        for given_rows in (rows, batch(filling=123.0, extra=4)):
            np.testing.assert_allclose(model(given_rows).numpy(), np.stack(expected), rtol=1e-4, atol=1e-5)
    assert model.joined == w1.shape[1] == w1.shape[0]
    assert float(np.std(expected, axis=0).min()) > 1e-3


@pytest.mark.parametrize("text", [True, False])
def test_one_batch_can_be_learnt_by_heart(text: bool) -> None:
    model = made(pooling="concat", states="weighted", text=text)
    before, after = overfits(model, Regression(DIMENSIONS), batch())
    assert before > 0.5
    assert after < 0.05


def test_every_weight_learns_and_layer_weights_have_their_own_rate() -> None:
    model = made(states="weighted").eval()
    Regression(DIMENSIONS).loss(model(batch()), batch()).backward()
    for name, part in model.named_parameters():
        # CCC is blind to nothing here, so that even the last bias is pulled at.
        assert part.grad is not None, name
        assert float(part.grad.abs().max()) > 0, name
    model._layers_rate = 30.0
    others, layers = model.parameter_groups(1e-3)
    assert [tuple(weights.shape) for weights in layers["params"]] == [(LAYERS,), (LAYERS,)]
    assert layers["lr"] == pytest.approx(0.03)
    assert len(others["params"]) == 4
    assert "lr" not in others


def test_the_layer_that_knows_gets_the_weight() -> None:
    drawn = np.random.default_rng(0)
    lengths = torch.from_numpy(drawn.integers(2, 7, 64))
    values = drawn.normal(size=(64, LAYERS, 6, WIDTH))
    values[:, 2, :, 0] += 3 * (targets := drawn.uniform(size=64))[:, None]
    given = Batch(
        tuple(map(str, range(64))),
        Sequences(torch.from_numpy(values).float(), lengths),
        targets=torch.from_numpy(targets[:, None]).float(),
    )
    torch.manual_seed(0)
    side = Side(LAYERS, WIDTH, states="weighted", pooling="mean")
    model = AudioTextRegressor(side, outputs=1, hidden=4, dropout=0.0)
    overfits(model, Regression(("arousal",)), given, steps=100)
    assert model.audio.layer_weights is not None
    weights = sorted(enumerate(model.audio.layer_weights.weights().tolist()), key=lambda pair: -pair[1])
    assert weights[0][0] == 2
    assert weights[0][1] > 2 * weights[1][1]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"Bad pooling 'mean_std', expected one of \['mean_max'"):
        Side(LAYERS, WIDTH, pooling="mean_std")
    with pytest.raises(InputError, match=r"Bad states 'first', expected one of \['last', 'weighted'\]"):
        Side(LAYERS, WIDTH, states="first")
    with pytest.raises(InputError, match="needs text, and the batch of row0 has none"):
        made()(replace(batch(), text=None))


# Speech, with or without TinyBERT; the paper's Table 1 in millions.
SIZES = [
    ("wav2vec2-large-robust", False, 165),
    ("hubert-base", False, 95),
    ("distilhubert", False, 24),
    ("wav2vec2-large-robust", True, 180),
    ("hubert-base", True, 109),
    ("distilhubert", True, 39),
]


@pytest.mark.parametrize(("name", "reads", "millions"), SIZES)
def test_models_are_as_large_as_the_papers(name: str, reads: bool, millions: int) -> None:
    def side(preset: str) -> Side:
        from transformers import AutoConfig, AutoModel

        from remelt.evaluation.encoders import presets

        found = presets()[preset]
        settings = dict(found.config)
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        config.num_hidden_layers = found.layers or config.num_hidden_layers
        # Sizes without numbers: nothing is downloaded, and nothing fills the memory.
        with torch.device("meta"):
            model = AutoModel.from_config(config)
        return Side(config.num_hidden_layers + 1, config.hidden_size, model)

    with torch.device("meta"):
        model = AudioTextRegressor(side(name), side("tinybert") if reads else None)
    assert parameters(model)[0] / 1e6 == pytest.approx(millions, rel=0.02)
