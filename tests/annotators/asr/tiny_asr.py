"""Tiny speech models with random weights, saved as transformers does, and sounds for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
LANGUAGES = ("en", "de", "ur")
ADAPTERS = ("eng", "deu", "urd-script_arabic")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sound(number: int, seconds: float = 1.0) -> NDArray[np.float32]:
    """Noise that swells, another for each number."""
    random = np.random.default_rng(number)
    size = int(seconds * RATE)
    tone = np.sin(np.arange(size) * (0.02 + 0.013 * number))
    return (0.3 * tone + 0.1 * random.standard_normal(size)).astype(np.float32)


def whisper_tokenizer(multilingual: bool = True) -> Any:
    """Whisper's special tokens behind an alphabet of bytes."""
    from tokenizers import pre_tokenizers
    from transformers import AddedToken, WhisperTokenizer

    vocabulary = {letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary["<|endoftext|>"] = len(vocabulary)
    words = WhisperTokenizer(vocab=vocabulary, merges=[])
    special = ["<|startoftranscript|>", *(f"<|{name}|>" for name in (LANGUAGES if multilingual else ("en",)))]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    special.append("<|notimestamps|>")
    words.add_special_tokens({"additional_special_tokens": special})
    # As Whisper's own tokenizer has them: known, but no special tokens.
    words.add_tokens([AddedToken(f"<|{n * 0.02:.2f}|>", special=False) for n in range(1501)])
    return words


def save_whisper(folder: Path, multilingual: bool = True, seed: int = 0) -> Path:
    """Writes a Whisper model and returns its folder."""
    import torch
    from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor
    from transformers import WhisperForConditionalGeneration as Model

    words = whisper_tokenizer(multilingual)
    token = words.convert_tokens_to_ids
    end, start = token("<|endoftext|>"), token("<|startoftranscript|>")
    config = WhisperConfig(
        vocab_size=len(words), num_mel_bins=80, d_model=32, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        max_source_positions=1500, max_target_positions=448, pad_token_id=end, bos_token_id=end,
        eos_token_id=end, decoder_start_token_id=start, init_std=0.6,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Model(config)
    values: dict[str, Any] = {
        "decoder_start_token_id": start, "eos_token_id": end, "pad_token_id": end, "bos_token_id": end,
        "no_timestamps_token_id": token("<|notimestamps|>"), "prev_sot_token_id": token("<|startofprev|>"),
        "is_multilingual": multilingual, "max_length": 24, "max_initial_timestamp_index": 50,
        # What a trained model never says in the middle of a text.
        "suppress_tokens": list(range(end + 1, token("<|notimestamps|>"))),
        "return_timestamps": False,
    }  # fmt: skip
    if multilingual:
        values["lang_to_id"] = {f"<|{name}|>": token(f"<|{name}|>") for name in LANGUAGES}
        values["task_to_id"] = {name: token(f"<|{name}|>") for name in ("transcribe", "translate")}
    model.generation_config = GenerationConfig(**values)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return folder


def save_ctc(folder: Path, adapters: bool = False, mask: bool = True, seed: int = 0) -> Path:
    """Writes a wav2vec 2.0 model: plain, or with adapters for several languages as MMS has them."""
    import torch
    from safetensors.torch import save_file
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    folder.mkdir(parents=True, exist_ok=True)
    letters = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4}
    letters |= {letter: n + 5 for n, letter in enumerate(_LETTERS)}
    shifted = {**letters, **{letter: 5 + (n + 1) % 26 for n, letter in enumerate(_LETTERS)}}
    nested: dict[str, Any] = {name: (letters if n == 0 else shifted) for n, name in enumerate(ADAPTERS)}
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps(nested if adapters else letters), encoding="utf-8")
    words = Wav2Vec2CTCTokenizer(str(vocabulary), target_lang="eng" if adapters else None)
    words.save_pretrained(folder)
    config = Wav2Vec2Config(
        vocab_size=len(letters), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
        pad_token_id=0, initializer_range=0.5, feat_extract_norm="layer" if mask else "group",
        do_stable_layer_norm=mask, adapter_attn_dim=4 if adapters else None,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Wav2Vec2ForCTC(config)
    model.save_pretrained(folder)
    for number, name in enumerate(ADAPTERS if adapters else ()):
        torch.manual_seed(100 + number)
        weights = {key: torch.randn_like(value) for key, value in model._get_adapters().items()}
        save_file(weights, folder / f"adapter.{name}.safetensors")
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=mask).save_pretrained(folder)
    return folder
