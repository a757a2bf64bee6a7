"""Pretrained encoders of speech and text, frozen or tuned."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ...errors import InputError, bad_value
from ..optional import package
from .base import KINDS, SPEECH, Encoder, Preset

__all__ = ["KINDS", "Encoder", "Preset", "create", "presets"]


@cache
def presets() -> Mapping[str, Preset]:
    """The papers' checkpoints and the encoders that packages carry, by name.

    >>> presets()["wav2vec2-large-robust"].layers
    12
    """
    import yaml

    data = yaml.safe_load(Path(__file__).with_name("presets.yaml").read_text(encoding="utf-8"))
    return {
        name: Preset(name=name, **{**fields, "papers": tuple(fields.get("papers", ()))})
        for name, fields in data.items()
    }


def create(
    name: str,
    kind: str,
    *,
    device: str | None = "cpu",
    layers: int | None = None,
    max_seconds: float | None = None,
    random_weights: bool = False,
) -> Encoder:
    """An encoder, loaded.

    Args:
        name: a preset, a Hub repository (`OWNER/NAME`, `OWNER/NAME@REVISION`), a folder, or for speech the
            name of classical features (`mfcc`, `egemaps`, ...).
        kind: `speech` or `text`.
        device: `cpu`, `cuda`, `cuda:1`; None for a GPU where there is one.
        layers: how many transformer layers are kept, from the first; None for the preset's, else all.
        max_seconds: sound beyond it is cut off; None for all of it.
        random_weights: a preset's architecture without its weights, for measurements; nothing is downloaded.

    Raises:
        InputError: no such encoder, device or layer, a package is missing, or the model reads sound at
            another rate than 16 kHz.
    """
    if kind not in KINDS:
        raise InputError(bad_value("kind of encoder", kind, KINDS))
    if layers is not None and layers < 1:
        raise InputError(f"Bad layers {layers!r}, expected a whole number from 1")
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"Bad max_seconds {max_seconds!r}, expected seconds above 0")
    if kind == SPEECH:
        from . import classical

        if classical.known(name):
            return classical.create(name)
    preset = presets().get(name)
    if preset is None and random_weights:
        preset = next((known for known in presets().values() if known.hub == name), None)
    if preset is not None and preset.kind != kind:
        raise InputError(bad_value(f"{kind} encoder", name, named(kind)))
    if random_weights and not (preset and preset.config):
        raise InputError(
            bad_value("encoder with random weights", name, [n for n in named(kind) if presets()[n].config])
        )
    package("torch")
    package("transformers")
    from . import speech, text
    from .loading import Wanted

    wanted = Wanted(name, kind, preset, device, layers, random_weights)
    return speech.load(wanted, max_seconds) if kind == SPEECH else text.load(wanted)


def named(kind: str) -> list[str]:
    """The presets of a kind."""
    return [name for name, preset in presets().items() if preset.kind == kind]
