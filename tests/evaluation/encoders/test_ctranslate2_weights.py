"""Whisper encoders in CTranslate2's files: read, and refused where they are something else."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from remelt.errors import InputError
from remelt.evaluation.encoders import ctranslate2_weights
from remelt.evaluation.encoders.loading import Wanted

WANTED = Wanted("tiny", "speech", None, "cpu", None, False)
CODES = {"float32": 0, "int8": 1, "float16": 4}


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def model_bin(arrays: dict[str, NDArray[Any]], spec: str = "WhisperSpec", version: int = 6) -> bytes:
    """A file as CTranslate2 writes it."""
    parts = [struct.pack("<I", version), text(spec), struct.pack("<II", 3, len(arrays))]
    for name, array in arrays.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data = array.tobytes()
        parts += [text(name), shape, struct.pack("<BI", CODES[str(array.dtype)], len(data)), data]
    return b"".join([*parts, struct.pack("<I", 0)])


@pytest.fixture
def whisper() -> Any:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=48, max_source_positions=50
    )
    model = WhisperEncoder(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2)
    return model


def arrays(model: Any) -> dict[str, NDArray[Any]]:
    """The variables by CTranslate2's names, the decoder's among them."""
    found: dict[str, NDArray[Any]] = {"decoder/embeddings/weight": np.zeros((9, 4), np.int8)}
    found["encoder/num_heads"] = np.array(4, np.int8)
    found["encoder/position_encodings/encodings"] = model.embed_positions.weight.numpy(force=True)

    def add(name: str, module: Any, normed: bool = False) -> None:
        for part, ending in (("weight", "gamma"), ("bias", "beta")):
            value = getattr(module, part).numpy(force=True)
            found[f"encoder/{name}/{ending if normed else part}"] = value

    add("conv1", model.conv1)
    add("conv2", model.conv2)
    add("layer_norm", model.layer_norm, normed=True)
    for number, layer in enumerate(model.layers):
        place, own = f"layer_{number}", layer.self_attn
        add(f"{place}/self_attention/layer_norm", layer.self_attn_layer_norm, normed=True)
        add(f"{place}/self_attention/linear_1", own.out_proj)
        add(f"{place}/ffn/layer_norm", layer.final_layer_norm, normed=True)
        add(f"{place}/ffn/linear_0", layer.fc1)
        add(f"{place}/ffn/linear_1", layer.fc2)
        weights = [module.weight.numpy(force=True) for module in (own.q_proj, own.k_proj, own.v_proj)]
        biases = [own.q_proj.bias.numpy(force=True), np.zeros(32, "f4"), own.v_proj.bias.numpy(force=True)]
        found[f"encoder/{place}/self_attention/linear_0/weight"] = np.concatenate(weights)
        found[f"encoder/{place}/self_attention/linear_0/bias"] = np.concatenate(biases)
    return found


def test_every_weight_finds_its_place(whisper: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(model_bin(arrays(whisper)))
    read = ctranslate2_weights.encoder(ctranslate2_weights.variables(path), WANTED)
    assert read.config.encoder_attention_heads == 4
    mel = torch.randn(1, 80, 100)
    with torch.no_grad():
        torch.testing.assert_close(read(mel).last_hidden_state, whisper(mel).last_hidden_state)
    pruned = ctranslate2_weights.encoder(
        ctranslate2_weights.variables(path), Wanted("tiny", "speech", None, "cpu", 1, False)
    )
    assert len(pruned.layers) == 1
    assert torch.equal(pruned.layers[0].fc1.weight, whisper.layers[0].fc1.weight)


def test_half_precision_is_read_and_whole_numbers_are_refused(whisper: Any, tmp_path: Path) -> None:
    path, found = tmp_path / "model.bin", arrays(whisper)
    name = "encoder/layer_0/ffn/linear_0/weight"
    path.write_bytes(model_bin({**found, name: found[name].astype(np.float16)}))
    assert ctranslate2_weights.variables(path)[name].dtype == np.float16
    path.write_bytes(model_bin({**found, name: found[name].astype(np.int8)}))
    with pytest.raises(InputError, match=rf"quantised \({name}: int8\), expected float weights"):
        ctranslate2_weights.variables(path)


def test_other_files_are_refused(whisper: Any, tmp_path: Path) -> None:
    path, whole = tmp_path / "model.bin", model_bin(arrays(whisper))
    for data, message in (
        (model_bin({}, version=5), "file version 5, expected 6"),
        (model_bin({}, spec="TransformerSpec"), "a TransformerSpec of CTranslate2, expected WhisperSpec"),
        (whole[: len(whole) // 2], "no whole model file of CTranslate2: it ends in the middle of encoder/"),
        (whole[:30], "no whole model file of CTranslate2"),
        (b"", "no whole model file of CTranslate2"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=message):
            ctranslate2_weights.variables(path)
