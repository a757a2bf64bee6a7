"""A system's own options from text (`--set key=value`), and what two runs were asked otherwise."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from ...errors import InputError, bad_value
from ...evaluation.training.options import TrainingOptions

if TYPE_CHECKING:
    from ...evaluation.presets import Preset
    from .base import SystemInfo

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def settings_of(info: SystemInfo, preset: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    """A system's options: its defaults, the preset's values, the user's.

    Raises:
        InputError: an unknown name, or a value that cannot be.
    """
    hints = get_type_hints(info.settings)
    known = {one.name: one for one in fields(info.settings)}
    values: dict[str, Any] = {}
    for where, found in (("preset", preset), ("--set", given)):
        for name, value in found.items():
            key = name.replace("-", "_")
            if key not in known:
                raise InputError(bad_value(f"setting of {info.name} ({where})", name, known))
            values[key] = _parsed(key, value, hints[key])
            choices = known[key].metadata.get("choices")
            if choices is not None and values[key] not in tuple(choices):
                raise InputError(bad_value(f"{key} ({where})", value, choices))
    return info.settings(**values)


def training_of(preset: Mapping[str, Any], given: Mapping[str, Any]) -> TrainingOptions:
    """How models are trained: the preset, then what the user wants otherwise.

    Raises:
        InputError: an unknown name, or a value that cannot be.
    """
    hints = get_type_hints(TrainingOptions)
    values: dict[str, Any] = {}
    for name, value in {**preset, **given}.items():
        if name not in hints:
            raise InputError(bad_value("training option", name, hints))
        values[name] = _parsed(name, value, hints[name])
    return TrainingOptions(**values)


def _parsed(name: str, value: Any, hint: Any) -> Any:
    """A value of the wanted type; what is no text is checked as text too, as YAML reads `1e-4` as one."""
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        if value is None or str(value).casefold() in ("none", ""):
            if len(kinds) < len(get_args(hint)):
                return None
            raise InputError(f"Bad {name} {value!r}, expected {_named(kinds[0])}")
        return _parsed(name, value, kinds[0])
    if get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
        return tuple(_parsed(name, part, kind) for part in parts if str(part).strip())
    if hint is bool:
        word = str(value).casefold()
        if word not in _WORDS:
            raise InputError(f"Bad {name} {value!r}, expected true or false")
        return _WORDS[word]
    if hint in (int, float):
        try:
            return hint(value) if not isinstance(value, str) else hint(value.strip())
        except (TypeError, ValueError):
            raise InputError(f"Bad {name} {value!r}, expected {_named(hint)}") from None
    return value.strip() if isinstance(value, str) else value


def _named(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a value")


def described(info: SystemInfo, presets: Mapping[str, Preset]) -> list[dict[str, Any]]:
    """A system's options one by one: name, default, the presets' values, choices, what it is."""
    found = []
    for one in fields(info.settings):
        default = one.default
        if default is MISSING:
            default = one.default_factory() if one.default_factory is not MISSING else None
        found.append(
            {
                "name": one.name,
                "default": default,
                **{name: preset.settings.get(one.name, default) for name, preset in presets.items()},
                "choices": list(one.metadata.get("choices") or ()),
                "help": str(one.metadata.get("help") or ""),
            }
        )
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two nested records do not have in common, `training.lr: 0.001, now 0.0001` and the like."""
    flat, other = _flat(before), _flat(now)
    return [
        f"{name}: {flat.get(name)!r}, now {other.get(name)!r}"
        for name in dict.fromkeys((*flat, *other))
        if flat.get(name) != other.get(name)
    ]


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def plain_settings(settings: Any) -> dict[str, Any]:
    """The options as JSON has them."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(settings).items()}
