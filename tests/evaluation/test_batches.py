"""What is in a batch, and in which order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from remelt.errors import InputError
from remelt.evaluation.batch import NOT_COUNTED
from remelt.evaluation.batches import DialogueBatches, Dimensions, UtteranceBatches
from remelt.evaluation.examples import Example

LABELS = ("anger", "joy")


def rows(number: int, **changes: object) -> tuple[Example, ...]:
    return tuple(
        replace(Example(f"c/train/{place}", "c", "train", label=LABELS[place % 2]), **changes)  # type: ignore[arg-type]
        for place in range(number)
    )


def states(examples: tuple[Example, ...], longest: int = 60) -> dict[str, NDArray[np.float16]]:
    """Two layers; each number tells its row, layer and step, none is 0."""
    chance = np.random.default_rng(0)
    found = {}
    for place, example in enumerate(examples):
        steps = int(chance.integers(1, longest))
        row = 1 + place + np.arange(steps)[None, :, None] / 64 + np.arange(2)[:, None, None] / 4
        found[example.id] = np.broadcast_to(row, (2, steps, 3)).astype(np.float16)
    return found


def test_order_is_a_function_of_seed_and_epoch() -> None:
    examples = rows(100)
    store = states(examples)

    def order(seed: int, epoch: int) -> list[tuple[str, ...]]:
        made = UtteranceBatches(examples, store, labels=LABELS, batch_size=8, seed=seed)
        list(made.epoch(9))
        return [batch.ids for batch in made.epoch(epoch)]

    first = order(1, 1)
    assert first == order(1, 1)
    assert first != order(1, 2)
    assert first != order(2, 1)
    assert Counter(name for ids in first for name in ids) == Counter(example.id for example in examples)
    assert len(first) == 13 == len(UtteranceBatches(examples, store, labels=LABELS, batch_size=8))


def test_a_batch_is_what_the_store_has() -> None:
    examples = rows(20)
    store = states(examples)
    words = {example.id: np.arange(1, 3 + place % 4) for place, example in enumerate(examples)}
    made = UtteranceBatches(examples, store, words, LABELS, batch_size=6)
    for batches in (made.epoch(1), made.ordered(), made.compact()):
        for batch in batches:
            assert batch.speech is not None
            assert batch.text is not None
            assert batch.labels is not None
            assert batch.speech.values.dtype == torch.float32
            assert batch.text.values.dtype == batch.text.lengths.dtype == torch.int64
            for row, name in enumerate(batch.ids):
                steps = int(batch.speech.lengths[row])
                assert np.array_equal(batch.speech.values[row, :, :steps].numpy(), store[name].astype("f4"))
                assert not batch.speech.values[row, :, steps:].any()
                tokens = int(batch.text.lengths[row])
                assert batch.text.values[row, :tokens].tolist() == words[name].tolist()
                assert not batch.text.values[row, tokens:].any()
                assert batch.labels[row] == int(name.rpartition("/")[2]) % 2
    assert [name for batch in made.ordered() for name in batch.ids] == list(made.ids)
    assert made.counts == (10, 10)


def test_rows_of_similar_length_share_a_batch() -> None:
    examples = rows(400)
    store = states(examples)

    def filling(bucket: bool) -> float:
        made = UtteranceBatches(examples, store, labels=LABELS, batch_size=8, bucket=bucket)
        parts = [batch.speech for batch in made.epoch(1) if batch.speech is not None]
        real = sum(int(part.lengths.sum()) for part in parts)
        return 1 - real / sum(part.values.shape[0] * part.values.shape[2] for part in parts)

    assert filling(True) < 0.05
    assert filling(False) > 0.3
    made = UtteranceBatches(examples, store, labels=LABELS, batch_size=8)
    lengths = [int(batch.speech.lengths.max()) for batch in made.epoch(1) if batch.speech is not None]
    assert lengths != sorted(lengths), "batches come in random order"


def test_crops_are_random_places_of_long_rows_in_training_only() -> None:
    examples = rows(40)
    store = states(examples)
    made = UtteranceBatches(examples, store, labels=LABELS, batch_size=8, seed=5, crop_steps=10)

    def cut(epoch: int) -> dict[str, list[float]]:
        found = {}
        for batch in made.epoch(epoch):
            assert batch.speech is not None
            assert batch.speech.values.shape[2] <= 10
            for row, name in enumerate(batch.ids):
                found[name] = batch.speech.values[row, 1, : batch.speech.lengths[row], 0].tolist()
        return found

    first = cut(1)
    for name, values in first.items():
        whole = store[name][1, :, 0].astype("f4").tolist()
        assert len(values) == min(10, len(whole))
        assert any(whole[start : start + len(values)] == values for start in range(len(whole)))
    assert first == cut(1)
    assert first != cut(2)
    for batch in made.ordered():
        assert batch.speech is not None
        assert batch.speech.lengths.tolist() == [store[name].shape[1] for name in batch.ids]


def test_sound_is_cropped_too() -> None:
    examples = rows(3)
    sound = {example.id: np.arange(1, 101, dtype=np.float32) for example in examples}
    made = UtteranceBatches(examples, sound, labels=LABELS, batch_size=3, crop_steps=20)
    (batch,) = made.epoch(1)
    assert batch.speech is not None
    assert batch.speech.values.shape == (3, 20)
    assert (batch.speech.values.diff(dim=1) == 1).all()
    assert len({values[0].item() for values in batch.speech.values}) > 1


def test_targets_in_dimensions() -> None:
    examples = (
        *rows(1, label=None, targets={"arousal": 0.25, "valence": 1.0}),
        *(replace(row, id="c/train/x") for row in rows(1, label=None, targets={"valence": 0.5})),
    )
    made = UtteranceBatches(examples, states(examples), labels=Dimensions(("valence", "arousal")))
    (batch,) = made.ordered()
    assert batch.labels is None
    assert batch.targets is not None
    assert np.array_equal(batch.targets.numpy(), np.array([[1, 0.25], [0.5, np.nan]], "f4"), equal_nan=True)
    assert made.counts == ()


class Known(dict[str, NDArray[np.float16]]):
    """A store that counts how often it is asked."""

    def __init__(self, rows: dict[str, NDArray[np.float16]]) -> None:
        super().__init__(rows)
        self.lengths = {name: row.shape[1] for name, row in rows.items()}
        self.asked = 0

    def __getitem__(self, name: str) -> NDArray[np.float16]:
        self.asked += 1
        return super().__getitem__(name)


def test_known_lengths_need_no_reading() -> None:
    examples = rows(30)
    store = Known(states(examples))
    made = UtteranceBatches(examples, store, labels=LABELS)
    assert store.asked == 0
    assert made.identity == UtteranceBatches(examples, states(examples), labels=LABELS).identity


def test_identity_tells_what_an_epoch_gives() -> None:
    examples, store = rows(30), states(rows(30))

    def identity(**changes: object) -> str:
        arguments = {"examples": examples, "speech": store, "labels": LABELS, **changes}
        return UtteranceBatches(**arguments).identity  # type: ignore[arg-type]

    relabelled = (replace(examples[0], label="joy"), *examples[1:])
    others = {name: row + np.float16(1) for name, row in store.items()}
    changed = [
        identity(),
        identity(seed=1),
        identity(batch_size=3),
        identity(bucket=False),
        identity(crop_steps=9),
        identity(examples=examples[::-1]),
        identity(examples=relabelled),
        identity(labels=("joy", "anger")),
        identity(speech=others),
    ]
    assert len(set(changed)) == len(changed)
    assert identity() == changed[0]


@pytest.mark.parametrize(
    ("changes", "labels", "message"),
    [
        ({"label": None}, LABELS, "Row c/train/1 has no label"),
        ({"label": "fear"}, LABELS, r"Row c/train/1: Bad label 'fear', expected one of \['anger', 'joy'\]"),
        ({"id": "c/train/0"}, LABELS, "Row c/train/0 is there twice"),
        ({"id": "c/train/9"}, LABELS, "Row c/train/9 has no speech"),
        ({}, Dimensions(("arousal",)), "Row c/train/0 has no target"),
        (
            {"targets": {"arousal": 5.0}},
            Dimensions(("arousal",)),
            "Row c/train/1: bad arousal 5.0, expected a",
        ),
    ],
)
def test_a_refused_row_is_named(changes: dict[str, object], labels: tuple[str, ...], message: str) -> None:
    examples = rows(2)
    store = states(examples)
    if "targets" not in changes and isinstance(labels, Dimensions):
        examples = examples[:1]
    else:
        first = replace(examples[0], targets={"arousal": 0.5})
        examples = (first, replace(examples[1], **changes))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        UtteranceBatches(examples, store, labels=labels)


def test_input_that_does_not_fit() -> None:
    examples = rows(2)
    good = np.ones((2, 4, 3), np.float16)
    for bad, message in (
        (np.ones((2, 0, 3), np.float16), "Row c/train/1: its speech is empty"),
        (np.ones((2, 4, 5), np.float16), r"Row c/train/1: speech of shape \(2, 4, 5\), c/train/0 has"),
        (np.ones((3, 4, 3), np.float16), r"speech of shape \(3, 4, 3\)"),
        (np.ones(4, np.float32), r"Row c/train/1: speech of shape \(4,\)"),
    ):
        with pytest.raises(InputError, match=message):
            list(UtteranceBatches(examples, {"c/train/0": good, "c/train/1": bad}, labels=LABELS).ordered())
    with pytest.raises(InputError, match="need speech, text or both"):
        UtteranceBatches(examples, labels=LABELS)
    with pytest.raises(InputError, match="no rows"):
        UtteranceBatches((), {}, labels=LABELS)
    with pytest.raises(InputError, match="Bad batch_size 0"):
        UtteranceBatches(examples, {}, labels=LABELS, batch_size=0)
    with pytest.raises(InputError, match="Bad crop_steps 0"):
        UtteranceBatches(examples, {}, labels=LABELS, crop_steps=0)


def turns() -> tuple[Example, ...]:
    """Three dialogues, their turns mixed; the second is all context, a fourth row is one by itself."""
    plan = [
        ("a", 1, "joy"),
        ("b", 0, None),
        ("a", 0, None),
        ("c", 2, "anger"),
        ("c", 0, "joy"),
        ("b", 1, None),
    ]
    made = [
        Example(f"c/train/{name}{turn}", "c", "train", label=label, dialogue=name, turn=turn)
        for name, turn, label in plan
    ]
    return (*made, Example("c/train/alone", "c", "train", label="joy"))


def vectors(examples: tuple[Example, ...]) -> dict[str, NDArray[np.float32]]:
    return {example.id: np.full(4, place + 1, np.float32) for place, example in enumerate(examples)}


def test_dialogues_turn_by_turn() -> None:
    store = vectors(turns())
    made = DialogueBatches(turns(), text=store, labels=LABELS, batch_size=4)
    assert made.ids == tuple(f"c/train/{name}" for name in ("a0", "a1", "b0", "b1", "c0", "c2", "alone"))
    (batch,) = made.ordered()
    assert batch.ids == made.ids
    assert batch.text is not None
    assert batch.labels is not None
    assert batch.text.lengths.tolist() == [2, 2, 2, 1]
    assert batch.labels.tolist() == [[NOT_COUNTED, 1], [NOT_COUNTED] * 2, [1, 0], [1, NOT_COUNTED]]
    real = [batch.text.values[row, turn, 0].item() for row in range(4) for turn in range([2, 2, 2, 1][row])]
    assert real == [store[name][0] for name in made.ids]
    assert not batch.text.values[3, 1].any()
    assert made.counts == (1, 3)


def test_dialogues_that_are_all_context_are_not_trained_on() -> None:
    made = DialogueBatches(turns(), text=vectors(turns()), labels=LABELS, batch_size=2, seed=4)
    assert len(made) == len(list(made.epoch(1))) == 2
    trained = {name for batch in made.epoch(1) for name in batch.ids}
    assert trained == set(made.ids) - {"c/train/b0", "c/train/b1"}
    assert {name for batch in made.compact() for name in batch.ids} == set(made.ids)
    orders = {tuple(batch.ids for batch in made.epoch(number)) for number in range(1, 9)}
    assert len(orders) > 1
    assert orders == {tuple(batch.ids for batch in made.epoch(number)) for number in range(1, 9)}


def test_refused_dialogues() -> None:
    twice = (*turns(), replace(turns()[0], id="c/train/again"))
    with pytest.raises(InputError, match="Row c/train/again: c/train/a1 is turn 1 of a too"):
        DialogueBatches(twice, text=vectors(twice), labels=LABELS)
    with pytest.raises(InputError, match="Row c/train/a0 has no text"):
        DialogueBatches(turns(), text={}, labels=LABELS)
    with pytest.raises(InputError, match=r"Row c/train/a0: speech of shape \(2, 3\), expected one vector"):
        DialogueBatches(turns(), {turn.id: np.ones((2, 3)) for turn in turns()}, labels=LABELS)
    uneven = {**vectors(turns()), "c/train/a1": np.ones(9, np.float32)}
    with pytest.raises(InputError, match=r"Row c/train/a1: text of shape \(9,\), the dialogue's first turn"):
        list(DialogueBatches(turns(), text=uneven, labels=LABELS).ordered())
