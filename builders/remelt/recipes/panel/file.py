"""A panel file: several annotators, each with its own settings, in YAML or TOML."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError, bad_value
from ..options import Member

_TOP = "annotators"
_ENDINGS = (".yaml", ".yml", ".toml")


def read_panel(path: Path) -> tuple[Member, ...]:
    """Reads a panel file (docs/panel.md): `annotators`, a list of entries with the fields of `Member`.

    A prompt or a replayed file is looked for from where the command runs, as on the command line.

    Raises:
        InputError: the file cannot be read, or an entry has another key or value; the message names the
            file, the entry, the key, the value and the choices.
    """
    data = _parse(path)
    if not isinstance(data, dict) or _TOP not in data:
        raise InputError(f"{path}: expected `annotators:` and a list of them")
    for key in data:
        if key != _TOP:
            raise InputError(f"{path}: {bad_value('key', key, [_TOP])}")
    entries = data[_TOP]
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: Bad annotators {entries!r}, expected a list with at least one entry")
    members = tuple(_member(f"{path}, annotator {n}", entry) for n, entry in enumerate(entries, 1))
    for number, member in enumerate(members, 1):
        for earlier, other in enumerate(members[: number - 1], 1):
            mine, theirs = (one.name or one.annotator for one in (member, other))
            if mine.casefold() == theirs.casefold():
                alike = "" if mine == theirs else f" but for capitals ({theirs!r})"
                raise InputError(
                    f"{path}, annotator {number}: the name {mine!r} is annotator {earlier}'s{alike}; give it "
                    "another `name`"
                )
    return members


def _member(place: str, entry: object) -> Member:
    if not isinstance(entry, dict):
        raise InputError(f"{place}: {entry!r} is no entry, expected keys and values like `annotator: mock`")
    named = f"{place} ({entry['name']})" if isinstance(entry.get("name"), str) else place
    for key in entry:
        if key not in _READERS:
            raise InputError(f"{named}: {bad_value('key', key, _READERS)}")
    if "annotator" not in entry:
        raise InputError(f"{named}: `annotator` is missing, such as `annotator: openai/gpt-4o`")
    values = {key: _READERS[key](f"{named}: {key}", value) for key, value in entry.items()}
    _check_use(named, values)
    return Member(**values)


def _check_use(place: str, values: Mapping[str, Any]) -> None:
    """Refuses what would have no effect."""
    from ...annotators import scheme, schemes

    spec = values["annotator"]
    if scheme(spec) not in schemes():
        forms = [str(getattr(module, "FORM", name)) for name, module in schemes().items()]
        raise InputError(f"{place}: {bad_value('annotator', spec, forms)}")
    for key, of in (("base_url", ("openai", "openai-batch")), ("label_column", ("replay",))):
        if key in values and scheme(spec) not in of:
            raise InputError(f"{place}: {key} has no effect on {spec!r}; it is for {of[0]}")


def _bad(place: str, value: object, expected: str) -> InputError:
    where, _, key = place.rpartition(": ")
    return InputError(f"{where}: Bad {key} {value!r}, expected {expected}")


def _text(place: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _bad(place, value, "a text")
    return value.strip()


def _name(place: str, value: object) -> str:
    name = _text(place, value)
    if "," in name or "=" in name:
        raise _bad(
            place, value, "one without ',' and '=', by which --vote-sources and --weight tell names apart"
        )
    return name


def _number(place: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise _bad(place, value, "a number of 0 or more")
    return float(value)


def _share(place: str, value: object) -> float:
    number = _number(place, value)
    if number > 1:
        raise _bad(place, value, "a number from 0 to 1")
    return number


def _whole(least: int | None) -> Callable[[str, object], int]:
    def read(place: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
            raise _bad(place, value, "a whole number" + ("" if least is None else f" from {least}"))
        return value

    return read


def _switch(place: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _bad(place, value, "true or false")
    return value


def _addresses(place: str, value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list) and value else [value]
    return tuple(_text(place, one) for one in given)


def _format(place: str, value: object) -> str:
    from ...annotators.base import ANSWER_FORMATS

    if value not in ANSWER_FORMATS:
        where, _, _key = place.rpartition(": ")
        raise InputError(f"{where}: {bad_value('answer_format', value, ANSWER_FORMATS)}")
    return str(value)


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    "name": _name,
    "annotator": _text,
    "prompt": _text,
    "temperature": _number,
    "top_p": _share,
    "seed": _whole(None),
    "max_tokens": _whole(1),
    "turns": _whole(0),
    "reasoning_effort": _text,
    "base_url": _addresses,
    "answer_format": _format,
    "logprobs": _switch,
    "concurrency": _whole(1),
    "label_column": _text,
}


def _parse(path: Path) -> object:
    suffix = path.suffix.lower()
    if suffix not in _ENDINGS:
        raise InputError(f"{path}: {bad_value('panel file ending', path.suffix, _ENDINGS)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read the panel file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8") from None
    if suffix == ".toml":
        try:
            toml = importlib.import_module("tomllib")
        except ModuleNotFoundError:
            raise InputError(f"{path}: TOML needs Python 3.11 or newer; write the panel as YAML") from None
        try:
            return toml.loads(text)
        except ValueError as error:
            raise InputError(f"{path} is not TOML: {error}") from None
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        told = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InputError(f"{path}{line}: not YAML ({told})") from None
