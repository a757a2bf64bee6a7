"""Tiny pretrained-like models with random weights, saved as transformers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

RATE = 16_000
_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_SOUND = {
    **_SMALL, "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
_LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
_WORDS = {**_SMALL, "vocab_size": 60, "max_position_embeddings": 24}
SPEECH: dict[str, dict[str, Any]] = {
    "wav2vec2-base": {"model_type": "wav2vec2", **_SOUND},
    "wav2vec2-large": {"model_type": "wav2vec2", **_SOUND, **_LARGE},
    "hubert": {"model_type": "hubert", **_SOUND},
    "hubert-normed": {"model_type": "hubert", **_SOUND, "conv_pos_batch_norm": True},
    "wavlm": {"model_type": "wavlm", **_SOUND},
    "data2vec": {
        "model_type": "data2vec-audio", **_SOUND, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5,
    },
    "whisper": {
        "model_type": "whisper", "d_model": 32, "encoder_layers": 2, "decoder_layers": 1, "vocab_size": 60,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48, "max_source_positions": 100, "pad_token_id": 1, "bos_token_id": 1,
        "eos_token_id": 1, "decoder_start_token_id": 1,
    },
}  # fmt: skip
TEXT: dict[str, dict[str, Any]] = {
    "bert": {"model_type": "bert", **_WORDS},
    "roberta": {"model_type": "roberta", **_WORDS, "max_position_embeddings": 26, "type_vocab_size": 1},
    "distilbert": {
        "model_type": "distilbert", "vocab_size": 60, "max_position_embeddings": 24, "dim": 32,
        "n_layers": 2, "n_heads": 2, "hidden_dim": 48,
    },
}  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save(folder: Path, config: dict[str, Any], sound: dict[str, Any] | None = None, seed: int = 0) -> Path:
    """Writes a model with weights large enough that every part of it matters.

    Args:
        sound: what its `preprocessor_config.json` says; None for no such file.
    """
    from transformers import AutoConfig, AutoModel

    settings = dict(config)
    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "layers" in name:
                parameter.mul_(3)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
    model.save_pretrained(folder)
    if sound is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(sound), encoding="utf-8")
    return folder


def save_words(folder: Path, config: dict[str, Any], seed: int = 0) -> Path:
    """A text model with a tokenizer that knows the letters."""
    from transformers import BertTokenizer

    save(folder, config, seed=seed)
    special = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: n for n, word in enumerate([*special, *LETTERS, *(f"##{x}" for x in LETTERS)])}
    BertTokenizer(vocab=vocabulary, model_max_length=24).save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**saved, "pad_token_id": 1}), encoding="utf-8")
    return folder


def sound(number: int, samples: int) -> NDArray[np.float32]:
    """Noise that swells, another for each number, and not around zero."""
    random = np.random.default_rng(number)
    tone = np.sin(np.arange(samples) * (0.02 + 0.013 * number)) * np.linspace(0.1, 1, samples)
    return (0.3 * tone + 0.1 * random.standard_normal(samples) + 0.05).astype(np.float32)
