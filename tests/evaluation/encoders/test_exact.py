"""A batch gives what each item gives alone, in every family of models, frozen and tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from remelt.evaluation import encoders
from remelt.evaluation.batch import Sequences

from .tiny_encoders import RATE, SPEECH, TEXT, save, save_words, sound

SIZES = (7_321, 800, 16_000, 400, 12_345, 12_345)
TEXTS = ("a b c", "", "a", "the quick brown fox", "x y z a b")
NORMALISED = {"sampling_rate": RATE, "do_normalize": True}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    made = {name: save(base / name, config, NORMALISED) for name, config in SPEECH.items()}
    return made | {name: save_words(base / name, config) for name, config in TEXT.items()}


def filled(rows: list[NDArray[Any]], junk: float) -> Sequences:
    """A batch whose rows are filled up with something that must not matter."""
    lengths = torch.tensor([len(row) for row in rows])
    values = torch.full((len(rows), int(lengths.max()) + 37), junk, dtype=torch.from_numpy(rows[0]).dtype)
    for place, row in zip(values, rows, strict=True):
        place[: len(row)] = torch.from_numpy(row)
    return Sequences(values, lengths)


def of_transformers(name: str, folder: Path, item: Any) -> torch.Tensor:
    """What transformers' own forward gives for one item that is not filled up: (layers, steps, width)."""
    from transformers import AutoModel, AutoTokenizer, WhisperFeatureExtractor

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        if name == "whisper":
            mel = WhisperFeatureExtractor(chunk_length=2)(item, sampling_rate=RATE, return_tensors="pt")
            output = model.encoder(mel["input_features"], output_hidden_states=True)
        elif name in SPEECH:
            given = torch.from_numpy((item - item.mean()) / np.sqrt(item.var() + 1e-7))[None]
            output = model(given, output_hidden_states=True)
        else:
            words = AutoTokenizer.from_pretrained(folder)(item, return_tensors="pt")
            output = model(**words, output_hidden_states=True)
    states = torch.stack([*output.hidden_states[:-1], output.last_hidden_state])[:, 0]
    return states[:, : -(-len(item) // 320)] if name == "whisper" else states


@pytest.mark.parametrize("name", [*SPEECH, *TEXT])
def test_a_batch_gives_what_transformers_gives_for_each_item_alone(
    name: str, folders: dict[str, Path]
) -> None:
    kind = "speech" if name in SPEECH else "text"
    encoder = encoders.create(str(folders[name]), kind)
    items: list[Any] = [sound(n, size) for n, size in enumerate(SIZES)] if kind == "speech" else list(TEXTS)
    found = encoder.encode(items)
    assert encoder.layers == 3
    assert encoder.width == 32
    # Tuned as frozen: dropout is off, so that numbers can be compared.
    module = encoder.tunable().eval()
    values, lengths = module(filled(encoder.inputs(items), 9 if kind == "text" else 9.0))
    for row, item in enumerate(items):
        expected = of_transformers(name, folders[name], item)
        assert expected.std() > 0.3
        steps = expected.shape[1]
        assert lengths[row] == steps
        torch.testing.assert_close(values[row, :, :steps], expected, atol=2e-5, rtol=1e-5)
        assert not values[row, :, steps:].any()
        half = expected.half().numpy()
        assert found[row].shape == half.shape
        assert found[row].dtype == np.float16
        np.testing.assert_allclose(found[row], half, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("name", ["wav2vec2-base", "hubert-normed", "whisper", "bert"])
def test_training_moves_all_but_the_front(name: str, folders: dict[str, Path]) -> None:
    kind = "speech" if name in SPEECH else "text"
    encoder = encoders.create(str(folders[name]), kind)
    items: list[Any] = (
        [sound(n, size) for n, size in enumerate(SIZES[:3])] if kind == "speech" else ["a", "b c"]
    )
    before = encoder.encode(items)
    module = encoder.tunable()
    assert module.training
    values, _ = module(filled(encoder.inputs(items), 0))
    values.square().sum().backward()
    moved = {key for key, value in module.named_parameters() if value.grad is not None and value.grad.any()}
    still = {key for key, value in module.named_parameters() if not value.requires_grad}
    assert not moved & still
    if kind == "speech":
        assert any("conv_layers" in key or "conv1" in key for key in still)
        assert any("projection" in key or "fc1" in key for key in moved)
    else:
        assert not still
        assert any("word_embeddings" in key for key in moved)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    for old, new in zip(before, encoder.encode(items), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_check_notices_a_front_that_sees_what_fills_rows_up(folders: dict[str, Path]) -> None:
    encoder = encoders.create(str(folders["wav2vec2-base"]), "speech")
    module = encoder.tunable().eval()
    rows = encoder.inputs([sound(n, size) for n, size in enumerate(SIZES[:2])])
    right, lengths = module(filled(rows, 0))
    module.states._per_row = False
    wrong, _ = module(filled(rows, 0))
    assert (right - wrong)[1, :, : lengths[1]].abs().max() > 0.01
