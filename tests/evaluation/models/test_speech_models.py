"""MELT's weighted encoder and Feng and Narayanan's cross-attention: padding, learning, gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from remelt.errors import InputError
from remelt.evaluation import pooling
from remelt.evaluation.batch import Batch, Sequences
from remelt.evaluation.models.cross_attention import AttentionOptions, CrossAttention
from remelt.evaluation.models.frontend import States
from remelt.evaluation.models.weighted_ssl import HeadOptions, WeightedSSL
from remelt.evaluation.objectives import Classification

from ..training.overfit import overfits

LAYERS, WIDTH, CLASSES = 3, 8, 4
HEARD, READ = (9, 2, 5, 1, 7, 9, 3, 4), (3, 6, 1, 2, 2, 4, 5, 1)


def sequences(lengths: tuple[int, ...], seed: int, filling: float = 0.0, extra: int = 0) -> Sequences:
    """Random states, filled up behind each row; the same rows whatever the filling."""
    drawn = np.random.default_rng(seed)
    rows = [drawn.normal(size=(LAYERS, length, WIDTH)).astype(np.float32) for length in lengths]
    values = torch.full((len(rows), LAYERS, max(lengths) + extra, WIDTH), filling)
    for place, row in enumerate(rows):
        values[place, :, : row.shape[1]] = torch.from_numpy(row)
    return Sequences(values, torch.tensor(lengths))


def batch(filling: float = 0.0, extra: int = 0) -> Batch:
    return Batch(
        ids=tuple(f"row{k}" for k in range(len(HEARD))),
        speech=sequences(HEARD, 1, filling, extra),
        text=sequences(READ, 2, filling, extra),
        labels=torch.arange(len(HEARD)) % CLASSES,
    )


def alone(whole: Batch, row: int) -> Batch:
    def cut(found: Sequences | None) -> Sequences:
        assert found is not None
        length = int(found.lengths[row])
        return Sequences(found.values[row : row + 1, :, :length], found.lengths[row : row + 1])

    return replace(whole, ids=whole.ids[row : row + 1], speech=cut(whole.speech), text=cut(whole.text))


MODELS: dict[str, Callable[[], nn.Module]] = {
    **{
        f"melt_{name}": lambda name=name: WeightedSSL(
            States(LAYERS, WIDTH), CLASSES, HeadOptions(pooling=name, width=32)
        )
        for name in pooling.POOLINGS
    },
    "melt_text": lambda: WeightedSSL(States(LAYERS, WIDTH), CLASSES, HeadOptions(width=32), "text"),
    "speech": lambda: CrossAttention(States(LAYERS, WIDTH), None, CLASSES, AttentionOptions(width=32)),
    **{
        f"speech_text_{name}": lambda name=name: CrossAttention(
            States(LAYERS, WIDTH),
            States(LAYERS, WIDTH),
            CLASSES,
            AttentionOptions(width=32, pooling=name),
        )
        for name in ("mean", "concat")
    },
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS[name]()
    with torch.no_grad():
        for part_name, part in model.named_parameters():
            if part_name.endswith("logits"):
                part.copy_(torch.tensor([0.5, -1.0, 2.0]))
    return model


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_padded_batch_gives_what_single_clips_give(name: str) -> None:
    model = made(name).eval()
    with torch.no_grad():
        together = model(batch())
        further = model(batch(filling=123.0, extra=4))
        single = torch.cat([model(alone(batch(), row)) for row in range(len(HEARD))])
    assert together.shape == (len(HEARD), CLASSES)
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(further, single, rtol=1e-4, atol=1e-5)
    # Rows differ, so that a model which ignores its input would fail.
    assert float(single.std(dim=0).min()) > 1e-4


@pytest.mark.parametrize("name", ["melt_mean", "melt_text", "speech", "speech_text_mean"])
def test_one_batch_can_be_learnt_by_heart(name: str) -> None:
    model, given = made(name), batch()
    before, after = overfits(model, Classification(("a", "b", "c", "d")), given)
    assert after < 0.1 < before
    with torch.no_grad():
        guess = model.eval()(given).argmax(dim=1)
    assert given.labels is not None
    assert guess.tolist() == given.labels.tolist()


@pytest.mark.parametrize("name", ["melt_mean", "speech_text_mean"])
def test_every_weight_learns(name: str) -> None:
    model, given = made(name).eval(), batch()
    Classification(("a", "b", "c", "d")).loss(model(given), given).backward()
    for part_name, part in model.named_parameters():
        assert part.grad is not None, part_name
        assert float(part.grad.abs().max()) > 0, part_name


def test_each_modality_sees_the_other() -> None:
    model, given = made("speech_text_mean").eval(), batch()
    assert given.text is not None
    changed = replace(given, text=Sequences(-given.text.values, given.text.lengths))
    with torch.no_grad():
        heard, steps = model.speech(given, "speech")
        before = model.speech_asks(heard, *model.text(given, "text"))
        after = model.speech_asks(heard, *model.text(changed, "text"))
    assert float((before - after).abs().max()) > 1e-3
    assert steps.tolist() == list(HEARD)


def test_a_row_without_words_gives_numbers() -> None:
    model, given = made("speech_text_mean").eval(), batch()
    assert given.text is not None
    silent = replace(given, text=Sequences(torch.zeros_like(given.text.values), torch.zeros(8).long()))
    with torch.no_grad():
        assert torch.isfinite(model(silent)).all()


def test_an_encoder_is_trained_with_the_model() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(LAYERS, WIDTH))

        def forward(self, sound: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
            states = sound.values[:, None, ::2, None] * self.scale[None, :, None, :]
            return states, (sound.lengths + 1) // 2

    model = WeightedSSL(States(LAYERS, WIDTH, Encoder()), CLASSES)
    sound = Sequences(torch.randn(2, 20, generator=torch.Generator().manual_seed(1)), torch.tensor([20, 7]))
    given = Batch(ids=("a", "b"), speech=sound, labels=torch.tensor([0, 1]))
    Classification(("a", "b", "c", "d")).loss(model(given), given).backward()
    gradients = {name: part.grad for name, part in model.named_parameters()}
    assert float(gradients["states.front.module.scale"].abs().max()) > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HeadOptions(pooling="median"), r"Bad pooling 'median'"),
        (lambda: HeadOptions(width=0), r"Bad width 0"),
        (lambda: HeadOptions(dropout=1.0), r"Bad dropout 1.0"),
        (lambda: AttentionOptions(width=30, heads=4), r"Bad width 30 for 4 heads"),
        (lambda: AttentionOptions(dropout=-0.1), r"Bad dropout -0.1"),
        (lambda: WeightedSSL(States(1, 2), 2, modality="video"), r"Bad modality 'video'"),
        (lambda: made("speech_text_mean")(replace(batch(), text=None)), r"needs text.*row0"),
        (lambda: made("melt_mean")(replace(batch(), speech=None)), r"needs speech.*row0"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
