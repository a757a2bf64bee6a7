"""Whisper's encoder from a file of CTranslate2 (`model.bin`), as a transformers model.

CTranslate2's own encoder gives the last state alone; transformers' gives all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import InputError
from ...fingerprints import fingerprint
from .loading import Found, Wanted, carried, keep_layers

_VERSION = 6
_SPEC = "WhisperSpec"
_TYPES = {0: "<f4", 4: "<f2"}
_NAMES = {0: "float32", 1: "int8", 2: "int16", 3: "int32", 4: "float16", 5: "bfloat16"}


def load(wanted: Wanted) -> Found:
    """The Whisper encoder that a package carries.

    Raises:
        InputError: the package is missing, or its file is another one than expected.
    """
    preset = wanted.preset
    assert preset is not None
    path = carried(preset) / "model.bin"
    if not path.is_file():
        raise InputError(f"{path} is missing; reinstall it: {preset.install} --force-reinstall")
    return Found(preset.name, encoder(variables(path), wanted), None, fingerprint(path))


def variables(path: Path) -> dict[str, NDArray[Any]]:
    """The encoder's arrays in a `model.bin` of CTranslate2, by their names there.

    The file: version, name of the specification, its revision, number of variables; then of each variable its
    name, rank, dimensions, type and bytes. Numbers are little endian, texts begin with their length.

    Raises:
        InputError: not such a file, cut off, or its weights are quantised.
    """
    try:
        with path.open("rb") as file:
            version = _number(file, "<I")
            if version != _VERSION:
                raise InputError(f"{path} has CTranslate2's file version {version}, expected {_VERSION}")
            spec = _text(file)
            if spec != _SPEC:
                raise InputError(f"{path} holds a {spec} of CTranslate2, expected {_SPEC}")
            _number(file, "<I")
            return dict(_variables(file, path))
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is no whole model file of CTranslate2: {error}") from error


def _variables(file: IO[bytes], path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    for _ in range(_number(file, "<I")):
        name = _text(file)
        shape = [_number(file, "<I") for _ in range(_number(file, "<B"))]
        kind, size = _number(file, "<B"), _number(file, "<I")
        if not name.startswith("encoder/"):
            file.seek(size, 1)
            continue
        data = file.read(size)
        if len(data) < size:
            raise ValueError(f"it ends in the middle of {name}")
        if kind in _TYPES:
            yield name, np.frombuffer(data, _TYPES[kind]).reshape(shape)
        elif shape:
            raise InputError(
                f"{path} is quantised ({name}: {_NAMES.get(kind, kind)}), expected float weights"
            )
        else:
            yield name, np.array(int.from_bytes(data, "little", signed=True))


def encoder(found: Mapping[str, NDArray[Any]], wanted: Wanted) -> Any:
    """A `WhisperEncoder` with these weights, in evaluation mode."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    width, mels, _ = found["encoder/conv1/weight"].shape
    positions = found["encoder/position_encodings/encodings"]
    config = WhisperConfig(
        d_model=width,
        num_mel_bins=mels,
        max_source_positions=len(positions),
        encoder_layers=sum(name.endswith("/ffn/linear_0/weight") for name in found),
        encoder_attention_heads=int(found["encoder/num_heads"]),
        encoder_ffn_dim=len(found["encoder/layer_0/ffn/linear_0/bias"]),
    )
    keep_layers(config, wanted, wanted.name, _cut)
    model = WhisperEncoder(config)
    model.load_state_dict(
        {name: torch.tensor(array.astype(np.float32)) for name, array in _renamed(found, config)}
    )
    return model.eval()


def _cut(config: Any, layers: int) -> None:
    config.encoder_layers = layers


def _renamed(found: Mapping[str, NDArray[Any]], config: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """transformers' names; query, key and value are one array in CTranslate2."""

    def both(theirs: str, ours: str) -> Iterator[tuple[str, NDArray[Any]]]:
        for part, name in (("gamma", "weight"), ("beta", "bias"), ("weight", "weight"), ("bias", "bias")):
            if f"encoder/{theirs}/{part}" in found:
                yield f"{ours}.{name}", found[f"encoder/{theirs}/{part}"]

    for name in ("conv1", "conv2", "layer_norm"):
        yield from both(name, name)
    yield "embed_positions.weight", found["encoder/position_encodings/encodings"]
    for number in range(config.encoder_layers):
        theirs, ours = f"layer_{number}", f"layers.{number}"
        yield from both(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
        yield from both(f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
        yield from both(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
        yield from both(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
        yield from both(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
        weights = np.split(found[f"encoder/{theirs}/self_attention/linear_0/weight"], 3)
        biases = np.split(found[f"encoder/{theirs}/self_attention/linear_0/bias"], 3)
        for name, weight, bias in zip(("q_proj", "k_proj", "v_proj"), weights, biases, strict=True):
            yield f"{ours}.self_attn.{name}.weight", weight
            # Whisper's keys have no bias; CTranslate2 writes zeros.
            if name != "k_proj":
                yield f"{ours}.self_attn.{name}.bias", bias


def _number(file: IO[bytes], form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _text(file: IO[bytes]) -> str:
    return file.read(_number(file, "<H")).rstrip(b"\0").decode()
