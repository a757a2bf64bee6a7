"""Prices, context sizes and retirement dates of hosted models (`known_models.yaml`).

What is listed nowhere is unknown, never guessed; a file of one's own (`--prices`) goes before the list.
"""

from __future__ import annotations

import datetime
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value

_LONG_PROMPT = 1024
"""Tokens from which on OpenAI's servers keep a prompt in their cache."""
_TOP_KEYS = ("checked", "models", "sources")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One hosted model.

    Attributes:
        input, output: US dollars per million tokens.
        cached_input: the same for tokens of the prompt that come from the server's cache.
        cache_write: the same for tokens of a prompt that are put there; None for the price of the input.
        batch_input, batch_output: the same through the Batch API; None where that price is not known.
        context: tokens of prompt and reply together for which these prices hold; None where not known.
        most_output: tokens of a reply at most; None where not known.
        reasoning: whether it thinks before it answers, which is paid for as output.
        encoding: tiktoken's name of its encoding; None where not known.
        retires: ISO date on which its maker switches it off; None where none is announced.
        checked: ISO date on which the figures were looked up; empty where it is not told.
    """

    id: str
    input: float
    output: float
    cached_input: float
    cache_write: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None
    context: int | None = None
    most_output: int | None = None
    reasoning: bool = False
    encoding: str | None = None
    retires: str | None = None
    checked: str = ""

    def cost(
        self, input_tokens: int, output_tokens: int, cached_tokens: int = 0, batch: bool = False
    ) -> float:
        """US dollars of one request.

        Servers do not all tell how much of a long prompt they put into their cache; where that has a price
        of its own, all of the prompt that did not come from there is charged at it.

        Args:
            input_tokens: all tokens of the prompt, those from the server's cache included.
            output_tokens: tokens of the reply, those of its thinking included.
            cached_tokens: how many of the prompt's tokens came from the cache; a batch gives no discount
                for them beyond its own.
            batch: whether the request went through the Batch API; the list price where its own is not known.

        >>> model = find("gpt-4o-2024-08-06")
        >>> round(model.cost(400, 100), 6), round(model.cost(400, 100, batch=True), 6)
        (0.002, 0.001)
        """
        fresh, cached, output = self._rates(batch, input_tokens >= _LONG_PROMPT)
        paid = (input_tokens - cached_tokens) * fresh + cached_tokens * cached + output_tokens * output
        return paid / 1e6

    def most(self, input_tokens: int, output_tokens: int, batch: bool = False) -> float:
        """US dollars that so many tokens cost at most, whatever the server's cache does."""
        fresh, cached, output = self._rates(batch, input_tokens >= _LONG_PROMPT)
        return (input_tokens * max(fresh, cached) + output_tokens * output) / 1e6

    def _rates(self, batch: bool, long: bool) -> tuple[float, float, float]:
        fresh, cached, output = self.input, self.cached_input, self.output
        if batch and self.batch_input is not None and self.batch_output is not None:
            fresh = cached = self.batch_input
            output = self.batch_output
        if long and self.cache_write is not None and self.input > 0:
            fresh *= max(1.0, self.cache_write / self.input)
        return fresh, cached, output


def find(model: str, prices: Path | None = None) -> KnownModel | None:
    """A model by its exact id; None where nothing is known of it.

    Args:
        model: the model id.
        prices: a file of the same form as `known_models.yaml`, which goes before it.

    Raises:
        InputError: the file cannot be used; the message names file, entry, field and choices.

    >>> find("gpt-4o-2024-08-06").retires, find("my-own-model")
    ('2027-01-14', None)
    """
    own = read_models(prices).get(model) if prices is not None else None
    return own or known_models().get(model)


@cache
def known_models() -> Mapping[str, KnownModel]:
    """Every known model by its id."""
    return read_models(Path(__file__).with_name("known_models.yaml"))


def read_models(path: Path) -> Mapping[str, KnownModel]:
    """Reads a file of models: YAML or, from Python 3.11 on, TOML.

    Raises:
        InputError: see `find`.
    """
    data = _parse(path)
    entries = data.get("models") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise InputError(f"{path}: Bad models, expected a list of entries with 'ids', 'input' and 'output'")
    for key in data:
        if key not in _TOP_KEYS:
            raise InputError(f"{path}: {bad_value('key', key, _TOP_KEYS)}")
    checked = _date(data.get("checked", ""), f"{path}: checked")
    found: dict[str, KnownModel] = {}
    for number, entry in enumerate(entries, 1):
        for model in _models(entry, f"{path}: entry {number}", checked):
            if model.id in found:
                raise InputError(f"{path}: entry {number}: model {model.id!r} stands there twice")
            found[model.id] = model
    return found


def _models(entry: Any, place: str, checked: str) -> list[KnownModel]:
    if not isinstance(entry, Mapping):
        raise InputError(f"{place}: Bad model {entry!r}, expected a mapping with 'ids', 'input' and 'output'")
    ids = entry.get("ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(i, str) and i for i in ids):
        raise InputError(f"{place}: Bad ids {ids!r}, expected a list of model ids")
    place = f"{place} ({', '.join(ids)})"
    choices = ["ids", *_CHECKS]
    for key in entry:
        if key not in choices:
            raise InputError(f"{place}: {bad_value('field', key, choices)}")
    for key in ("input", "output"):
        if key not in entry:
            raise InputError(f"{place}: the field {key!r} is missing (US dollars per million tokens)")
    if ("batch_input" in entry) != ("batch_output" in entry):
        raise InputError(f"{place}: batch_input and batch_output come together")
    values = {key: _CHECKS[key](value, f"{place}: {key}") for key, value in entry.items() if key != "ids"}
    values = {"checked": checked, "cached_input": values["input"], **values}
    return [KnownModel(id=model, **values) for model in ids]


def _price(value: Any, place: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise InputError(f"{place}: Bad price {value!r}, expected US dollars per million tokens from 0")
    return float(value)


def _count(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{place}: Bad number of tokens {value!r}, expected a whole number from 1")
    return value


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{place}: {bad_value('value', value, ['true', 'false'])}")
    return value


def _date(value: Any, place: str) -> str:
    text = str(value)
    try:
        return datetime.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise InputError(f"{place}: Bad date {text!r}, expected one like '2027-01-14'") from None


def _encoding(value: Any, place: str) -> str:
    from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

    choices = sorted({*MODEL_TO_ENCODING.values(), *MODEL_PREFIX_TO_ENCODING.values()})
    if value not in choices:
        raise InputError(f"{place}: {bad_value('encoding', value, choices)}")
    return str(value)


_BY_KIND: Mapping[str, Callable[[Any, str], Any]] = {
    "float": _price,
    "int": _count,
    "bool": _flag,
}
_BY_NAME: Mapping[str, Callable[[Any, str], Any]] = {
    "retires": _date,
    "checked": _date,
    "encoding": _encoding,
}
_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    field.name: _BY_NAME.get(field.name) or _BY_KIND[str(field.type).split(" ")[0]]
    for field in fields(KnownModel)
    if field.name != "id"
}


def _parse(path: Path) -> Any:
    import yaml

    suffix = path.suffix.casefold()
    if suffix not in (".yaml", ".yml", ".toml"):
        raise InputError(bad_value("prices file ending", path.suffix, [".yaml", ".yml", ".toml"]))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read the prices file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: a prices file must be UTF-8 ({error})") from error
    try:
        if suffix != ".toml":
            return yaml.safe_load(text)
        return importlib.import_module("tomllib").loads(text)
    except ModuleNotFoundError:
        raise InputError(f"{path}: TOML needs Python 3.11 or newer; use YAML (.yaml) here") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: the prices file cannot be read: {error}") from error
