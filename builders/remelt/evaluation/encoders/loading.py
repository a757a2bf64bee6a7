"""Loads the transformers model that an encoder is made of: a checkpoint, or an architecture at random."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ... import hf_models
from ...errors import InputError, bad_value
from ...records import digest
from .base import Preset

# What changes the numbers an encoder gives though its weights are the same; it is part of its identity.
ENCODING = 1
# Weights that a checkpoint may lack, as no state depends on them.
_SPARE = re.compile(r"masked_spec_embed|pooler|quantizer|^adapter\.|^decoder\.|position_ids")
_SEED = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asked for; see `encoders.create`."""

    name: str
    kind: str
    preset: Preset | None
    device: str | None
    layers: int | None
    random_weights: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A model in memory.

    Attributes:
        name: of the encoder.
        model: in evaluation mode, float32, on the processor.
        folder: its files; None for random weights.
        version: hash or commit of the weights.
    """

    name: str
    model: Any
    folder: Path | None
    version: str
    notices: tuple[str, ...] = ()

    def identity(self, **settings: Any) -> str:
        """The encoder's identity: the weights, and what changes its states."""
        return digest({"version": self.version, "encoding": ENCODING, **settings})


def load(wanted: Wanted, families: Collection[str], cut: Callable[[Any, int], None]) -> Found:
    """The model that is wanted.

    Args:
        wanted: see there.
        families: the `model_type`s that can be used.
        cut: sets a configuration's number of layers.

    Raises:
        InputError: nothing of that name, another kind of model, or one that cannot be loaded.
    """
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    preset = wanted.preset
    if wanted.random_weights and preset is not None:
        settings = dict(preset.config)
        return _random(wanted, AutoConfig.for_model(settings.pop("model_type"), **settings), cut)
    if preset is not None and preset.package:
        file = hf_models.resolve(str(carried(preset)))
    else:
        file = hf_models.resolve(preset.hub if preset else wanted.name, forms=_forms(wanted.kind))
    name = preset.name if preset else file.name
    with readable(name):
        config = AutoConfig.from_pretrained(file.folder)
    if config.model_type not in families:
        raise InputError(bad_value(f"kind of {wanted.kind} model in {name}", config.model_type, families))
    keep_layers(config, wanted, name, cut)
    return Found(name, _weights(name, file.folder, config), file.folder, file.version)


def carried(preset: Preset) -> Path:
    """The folder of the weights in the package that carries them; the package is not imported.

    Raises:
        InputError: it is not installed; the message gives the install line.
    """
    spec = find_spec(preset.package)
    for place in (spec.submodule_search_locations if spec else None) or ():
        if (folder := Path(place) / "model").is_dir():
            return folder
    raise InputError(
        f"The weights of the encoder {preset.name!r} come with the package {preset.package!r}, not installed "
        f"here; run: {preset.install}"
    )


def settings_file(folder: Path) -> dict[str, Any] | None:
    """How a checkpoint's sound is to be prepared; None where it does not say.

    Raises:
        InputError: the file cannot be read.
    """
    for name, part in (("preprocessor_config.json", None), ("processor_config.json", "feature_extractor")):
        path = folder / name
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is not JSON: {error}") from error
        if part is not None:
            found = found.get(part)
        if isinstance(found, dict):
            return found
    return None


def _forms(kind: str) -> tuple[str, ...]:
    from . import named

    return (*named(kind), *hf_models.FORMS)


def keep_layers(config: Any, wanted: Wanted, name: str, cut: Callable[[Any, int], None]) -> None:
    """Sets how many transformer layers a configuration has, where that was asked for.

    Raises:
        InputError: the model has fewer.
    """
    have = int(config.num_hidden_layers)
    layers = wanted.layers or (wanted.preset.layers if wanted.preset else None)
    if layers is None:
        return
    if layers > have:
        raise InputError(f"Bad layers {layers!r} of {name}, which has {have} transformer layers")
    cut(config, layers)


def _random(wanted: Wanted, config: Any, cut: Callable[[Any, int], None]) -> Found:
    from transformers import AutoModel

    name = f"{wanted.name}-random"
    keep_layers(config, wanted, name, cut)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        model = AutoModel.from_config(config).eval()
    version = digest({"random": _SEED, "config": config.to_dict()})
    return Found(name, model, None, version, (f"The weights of {name} are random: for measurements only",))


def _weights(name: str, folder: Path, config: Any) -> Any:
    from transformers import AutoModel

    with readable(name):
        model, info = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, output_loading_info=True
        )
    if missing := sorted(key for key in info["missing_keys"] if not _SPARE.search(key)):
        # transformers would go on with random numbers in their place.
        raise InputError(f"{name} lacks {len(missing)} of its weights, such as {missing[0]}")
    return model.eval()


@contextmanager
def readable(name: str) -> Iterator[None]:
    """transformers' many errors of files as one of ours."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())[:400]
        raise InputError(f"transformers cannot load {name}: {said}") from error
