"""The columns that an answer's JSON Schema stands for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..records import canonical_json

LABEL_KEY = "x-remelt-label"
ECHO_KEY = "x-remelt-echo"


@dataclass(frozen=True, slots=True)
class AnswerField:
    """One leaf of the answer and the column it goes to; `path` are the keys that lead to it."""

    column: str
    path: tuple[str, ...]

    def value(self, answer: Mapping[str, Any] | None) -> str | None:
        """The leaf's text in an answer: strings as they are, other values as JSON, None where absent."""
        found: Any = answer
        for key in self.path:
            if not isinstance(found, Mapping) or key not in found:
                return None
            found = found[key]
        if found is None or isinstance(found, str):
            return found
        return canonical_json(found)


@dataclass(frozen=True, slots=True)
class AnswerShape:
    """What a schema asks for.

    Attributes:
        fields: the leaves in schema order, without the label and the echo.
        label: dotted name of the label's leaf (schema key `x-remelt-label`); None where not named.
        echo: dotted name of the leaf that repeats the speaker (`x-remelt-echo`); None where not named.
    """

    fields: tuple[AnswerField, ...]
    label: str | None
    echo: str | None


def answer_shape(schema: Mapping[str, Any], reserved: Collection[str] = ()) -> AnswerShape:
    """Reads the leaves of a schema's properties, nested objects flattened.

    A column is called like its leaf; where two leaves share a name or the dataset has a column of that
    name (`reserved`), like its whole path joined by underscores, with `answer_` before it where even that
    is taken.

    Raises:
        InputError: the schema names a label or echo that is not among its leaves.

    >>> shape = answer_shape({"x-remelt-label": "elements.emotion", "properties": {
    ...     "context": {"type": "string"},
    ...     "elements": {"type": "object", "properties": {"emotion": {}, "pitch": {"type": "string"}}}}})
    >>> [field.column for field in shape.fields], shape.label
    (['context', 'pitch'], 'elements.emotion')
    """
    paths = list(_leaves(schema, ()))
    named = {".".join(path) for path in paths}
    label, echo = (schema.get(key) for key in (LABEL_KEY, ECHO_KEY))
    for key, name in ((LABEL_KEY, label), (ECHO_KEY, echo)):
        if name is not None and name not in named:
            raise InputError(f"Bad {key} {name!r} in the schema, expected one of {sorted(named)!r}")
    paths = [path for path in paths if ".".join(path) not in (label, echo)]
    ends = [path[-1] for path in paths]
    taken = set(reserved)
    fields = []
    for path in paths:
        column = path[-1] if ends.count(path[-1]) == 1 and path[-1] not in taken else "_".join(path)
        while column in taken:
            column = f"answer_{column}"
        taken.add(column)
        fields.append(AnswerField(column, path))
    return AnswerShape(tuple(fields), label, echo)


def _leaves(schema: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, part in schema.get("properties", {}).items():
        if isinstance(part, Mapping) and part.get("properties"):
            yield from _leaves(part, (*above, name))
        else:
            yield (*above, name)
