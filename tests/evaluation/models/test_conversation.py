"""The stages of MERITS-L: exact whatever stands beside a dialogue, and blind to masked turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from remelt.errors import InputError
from remelt.evaluation.batch import NOT_COUNTED, Batch, Sequences
from remelt.evaluation.batches import DialogueBatches, UtteranceBatches
from remelt.evaluation.examples import Example
from remelt.evaluation.models.conversation import (
    ContextClassifier,
    ConversationOptions,
    FusionClassifier,
    MergedConversation,
    UtteranceClassifier,
    embeddings,
    layer_shares,
)
from remelt.evaluation.models.frontend import States
from remelt.evaluation.objectives import Classification

SIZES = ConversationOptions(hidden=8, gru=6, heads=2, dropout=0.3)
LABELS = ("anger", "joy", "neutral")
LENGTHS = (5, 1, 3, 4)
# What each later model reads per turn.
WIDTHS = {"text": 8, "speech": 8, "fusion": 12, "merged": 8}


def made(kind: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    builders: dict[str, Callable[[], nn.Module]] = {
        "text": lambda: ContextClassifier("text", 8, 3, SIZES),
        "speech": lambda: ContextClassifier("speech", 8, 3, SIZES),
        "fusion": lambda: FusionClassifier(3, SIZES),
        "merged": lambda: MergedConversation(8, 3, SIZES),
    }
    return builders[kind]().eval()


def dialogues(width: int, lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Words and sound of each dialogue, (turns, width)."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(turns, width, generator=generator), torch.randn(turns, width, generator=generator))
        for turns in lengths
    ]


def batch(rows: list[tuple[Tensor, Tensor]], turns: int | None = None, filling: float = 0.0) -> Batch:
    """The dialogues side by side, with labels that follow from their place."""
    longest = turns or max(len(words) for words, _ in rows)

    def filled(which: int) -> Sequences:
        values = torch.full((len(rows), longest, rows[0][0].shape[1]), filling)
        for place, row in enumerate(rows):
            values[place, : len(row[which])] = row[which]
        return Sequences(values, torch.tensor([len(row[0]) for row in rows]))

    labels = torch.full((len(rows), longest), NOT_COUNTED)
    for place, row in enumerate(rows):
        labels[place, : len(row[0])] = torch.arange(len(row[0])) % 3
    ids = tuple(f"d{place}t{turn}" for place, row in enumerate(rows) for turn in range(len(row[0])))
    return Batch(ids, filled(1), filled(0), labels)


@pytest.mark.parametrize("kind", WIDTHS)
@pytest.mark.parametrize("filling", [0.0, 1e4])
def test_filling_and_other_dialogues_change_nothing(kind: str, filling: float) -> None:
    model, rows = made(kind), dialogues(WIDTHS[kind])
    with torch.no_grad():
        together = model(batch(rows, turns=9, filling=filling))
        for place, row in enumerate(rows):
            alone = model(batch([row]))[0]
            torch.testing.assert_close(together[place, : len(row[0])], alone, rtol=1e-5, atol=1e-5)
    assert torch.isfinite(together[:, :1]).all()


@pytest.mark.parametrize("kind", WIDTHS)
def test_the_order_of_dialogues_does_not_matter(kind: str) -> None:
    model, rows = made(kind), dialogues(WIDTHS[kind])
    with torch.no_grad():
        there, back = model(batch(rows, turns=5)), model(batch(rows[::-1], turns=5)).flip(0)
    for place, length in enumerate(LENGTHS):
        torch.testing.assert_close(there[place, :length], back[place, :length], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", WIDTHS)
def test_turns_are_context_of_each_other_within_a_dialogue_only(kind: str) -> None:
    model, rows = made(kind), dialogues(WIDTHS[kind])
    changed = [(words.clone(), sound.clone()) for words, sound in rows]
    for part in changed[0]:
        part[4] += 1.0
    with torch.no_grad():
        before, after = model(batch(rows)), model(batch(changed))
    assert not torch.allclose(before[0, 0], after[0, 0])
    for place in (1, 2, 3):
        length = LENGTHS[place]
        assert torch.equal(before[place, :length], after[place, :length])


@pytest.mark.parametrize("kind", ["fusion", "merged"])
def test_each_modality_reaches_every_turn(kind: str) -> None:
    model, (row,) = made(kind), dialogues(WIDTHS[kind], (4,))
    given = batch([row])
    for found in (given.text, given.speech):
        assert found is not None
        found.values.requires_grad_()
    model(given)[0, 0].sum().backward()
    for found in (given.text, given.speech):
        assert found is not None
        assert found.values.grad is not None
        assert (found.values.grad[0].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("kind", WIDTHS)
def test_a_masked_turn_is_context_and_its_label_nothing(kind: str) -> None:
    rows = dialogues(WIDTHS[kind])
    model, objective = made(kind), Classification(LABELS)
    whole = batch(rows)
    assert whole.labels is not None
    masked = whole.labels.clone()
    masked[0, 2] = NOT_COUNTED
    given = replace(whole, labels=masked)
    output = model(given)
    output.retain_grad()
    loss = objective.loss(output, given)
    loss.backward()
    assert output.grad is not None
    assert (output.grad[0, 2] == 0).all()
    counted = masked != NOT_COUNTED
    assert (output.grad[counted].abs().sum(dim=-1) > 0).all()
    by_hand = [
        -float(output[d, t].detach().log_softmax(-1)[int(masked[d, t])])
        for d, t in torch.nonzero(counted).tolist()
    ]
    assert loss.item() == pytest.approx(float(np.mean(by_hand)), rel=1e-5)
    # Its words and sound still tell the other turns something.
    changed = [(words.clone(), sound.clone()) for words, sound in rows]
    for part in changed[0]:
        part[2] += 1.0
    again = replace(batch(changed), labels=masked)
    assert float(objective.loss(model(again), again)) != pytest.approx(loss.item(), rel=1e-4)


def utterances() -> tuple[list[Example], dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    rows = [
        Example(f"c/train/{k}", "c", "train", label=LABELS[k % 3], dialogue=f"d{k // 4}", turn=k % 4)
        for k in range(12)
    ]
    return rows, {
        row.id: random.normal(size=(3, 2 + k % 4, 6)).astype("float16") for k, row in enumerate(rows)
    }


@pytest.mark.parametrize("weighted", [True, False])
def test_stage_one_is_what_numpy_says(weighted: bool) -> None:
    rows, store = utterances()
    torch.manual_seed(0)
    model = UtteranceClassifier("speech", States(3, 6), 3, SIZES, weighted=weighted).eval()
    if model.layer_weights is not None:
        nn.init.normal_(model.layer_weights.logits)
    batches = UtteranceBatches(rows, speech=store, labels=LABELS, batch_size=5)
    found = embeddings(model, batches.ordered(), "cpu")
    assert list(found) == [row.id for row in rows]
    linear = model.project[1]
    assert isinstance(linear, nn.Linear)
    weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    shares = np.array(layer_shares(model)) if weighted else np.array([0.0, 0.0, 1.0])
    for name, states in store.items():
        layers = np.einsum("l,lsw->sw", shares, states.astype("float64"))
        pooled = layers.mean(axis=0)
        if weighted:
            pooled = (pooled - pooled.mean()) / np.sqrt(pooled.var() + 1e-5)
        expected = np.maximum(weight @ pooled + bias, 0)
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-4)


def test_embeddings_are_those_of_the_turns_and_without_dropout() -> None:
    rows, store = utterances()
    vectors = {name: states[0, 0].astype("float32") for name, states in store.items()}
    ragged = [row for row in rows if row.id not in ("c/train/3", "c/train/7", "c/train/6")]
    torch.manual_seed(0)
    model = ContextClassifier("text", 6, 3, SIZES).train()
    found = embeddings(
        model, DialogueBatches(ragged, text=vectors, labels=LABELS, batch_size=3).ordered(), "cpu"
    )
    assert model.training
    assert list(found) == [row.id for row in ragged]
    for size in (1, 2):
        again = embeddings(
            model, DialogueBatches(ragged, text=vectors, labels=LABELS, batch_size=size).compact(), "cpu"
        )
        for name, vector in found.items():
            np.testing.assert_allclose(again[name], vector, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", WIDTHS)
def test_one_dialogue_can_be_learnt_by_heart(kind: str) -> None:
    (row,) = dialogues(WIDTHS[kind], (6,))
    given, objective = batch([row]), Classification(LABELS)
    model = made(kind).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = objective.loss(model(given), given)
        loss.backward()
        optimizer.step()
    model.eval()
    assert given.labels is not None
    assert (model(given).argmax(-1) == given.labels).all()


def test_a_tuned_encoder_has_its_own_learning_rate() -> None:
    encoder = nn.Linear(4, 6)
    model = UtteranceClassifier("text", States(3, 6, encoder), 3, SIZES, weighted=False, encoder_lr=1e-5)
    groups = model.parameter_groups(1e-3)
    rates = {id(one): group["lr"] for group in groups for one in group["params"]}
    assert {rates[id(one)] for one in encoder.parameters()} == {1e-5}
    assert {rates[id(one)] for one in model.head.parameters()} == {1e-3}
    assert len(rates) == len(list(model.parameters()))
    frozen = UtteranceClassifier("text", States(3, 6), 3, SIZES, weighted=False)
    assert [group["lr"] for group in frozen.parameter_groups(1e-3)] == [1e-3]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"heads": 5}, "Bad heads for 12 features 5"),
        ({"gru": 0}, "Bad gru 0"),
        ({"dropout": 1.0}, "Bad dropout 1.0"),
    ],
)
def test_sizes_that_cannot_be(changes: dict[str, float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        replace(SIZES, **changes)


def test_a_batch_without_the_modality_is_refused() -> None:
    given = replace(batch(dialogues(12)), speech=None)
    with pytest.raises(InputError, match="needs speech"):
        made("fusion")(given)
