"""What can be asked for: systems with their settings and presets, and encoders with a name. No torch here."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ...evaluation import encoders, presets
from ...evaluation.training.options import TrainingOptions
from . import systems
from .settings import described

_HERE = ("device", "threads")


def described_systems() -> list[dict[str, Any]]:
    """Each system in short."""
    return [_short(name) for name in systems.names()]


def _short(name: str) -> dict[str, Any]:
    info = systems.system(name).INFO
    return {
        "name": info.name,
        "title": info.title,
        "paper": info.paper,
        "task": info.task,
        "metric": info.metric,
        "needs": list(info.needs),
        "labels": list(info.default_labels),
    }


def described_system(name: str) -> dict[str, Any]:
    """A system with its settings and what its presets say.

    Raises:
        InputError: there is no such system.
    """
    info = systems.system(name).INFO
    known = {preset: presets.load(info.name, preset) for preset in presets.names(info.name)}
    usual = {one.name: one.default for one in fields(TrainingOptions) if one.name not in _HERE}
    return {
        **_short(name),
        "settings": described(info, known),
        "training": list(usual),
        "presets": {
            preset: {
                "speech": found.speech,
                "text": found.text,
                "training": {**usual, **found.training},
                "settings": dict(found.settings),
            }
            for preset, found in known.items()
        },
    }


def described_encoders() -> list[dict[str, Any]]:
    """The encoders that have a name here."""
    from ...evaluation.encoders import classical

    return [
        {
            "name": one.name,
            "kind": one.kind,
            "title": one.title,
            "source": one.hub or f"the package {one.package} ({one.install})",
            "layers": one.layers,
            "systems": list(one.papers),
        }
        for one in encoders.presets().values()
    ] + [
        {
            "name": name,
            "kind": "speech",
            "title": "classical features, joined with + where they have one step",
            "source": "computed from the sound",
            "layers": None,
            "systems": [],
        }
        for name in classical.NAMES
    ]
