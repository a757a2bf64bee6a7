"""How each system is trained: as in its paper (`paper`), or small enough for a processor (`quick`).

A file `SYSTEM.yaml` has one entry per preset, each with any of `speech` and `text` (names of encoders),
`training` (fields of `TrainingOptions`) and `settings` (fields of the system's own options).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import InputError, bad_value
from ..training.options import TrainingOptions

PRESETS = ("paper", "quick")
_KEYS = ("speech", "text", "training", "settings")
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """What a preset says.

    Attributes:
        training: fields of `TrainingOptions`.
        settings: fields of the system's own options.
        speech, text: encoders; None where the system needs none.
    """

    training: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    speech: str | None = None
    text: str | None = None


def load(system: str, preset: str) -> Preset:
    """A preset of a system; a system without a file has the defaults of its options under both names.

    Raises:
        InputError: there is no such preset, or the file has keys that mean nothing.
    """
    import yaml

    path = _FOLDER / f"{system}.yaml"
    known: dict[str, Any] = dict.fromkeys(PRESETS)
    if path.is_file():
        known = yaml.safe_load(path.read_text(encoding="utf-8"))
    if preset not in known:
        raise InputError(bad_value(f"preset of {system}", preset, known))
    entry = known[preset] or {}
    for key in entry:
        if key not in _KEYS:
            raise InputError(f"{path.name}, {preset}: {bad_value('key', key, _KEYS)}")
    training = entry.get("training") or {}
    names = [one.name for one in fields(TrainingOptions)]
    for key in training:
        if key not in names:
            raise InputError(f"{path.name}, {preset}: {bad_value('training option', key, names)}")
    return Preset(training, entry.get("settings") or {}, entry.get("speech"), entry.get("text"))


def names(system: str) -> tuple[str, ...]:
    """The presets of a system."""
    import yaml

    path = _FOLDER / f"{system}.yaml"
    return tuple(yaml.safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else PRESETS
