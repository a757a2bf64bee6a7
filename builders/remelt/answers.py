"""From a raw reply to a verdict: parse the JSON, validate it, check the label and the speaker.

Code fences, thoughts and text around the JSON are tolerated and noted; a label off the list never becomes a
neighbour. Where a schema wants fields written before the label (`x-remelt-before-label`), an answer that
begins with the label is invalid: its reasoning would be made up afterwards. Where it says that the answer is
given in words (`x-remelt-answer`), the reply is searched for the one option that it names.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
from jsonschema import Draft202012Validator

from . import resources
from .errors import InputError, bad_value
from .labels import LabelSet
from .records import Reply, Request, Verdict
from .words_answers import excerpt, read_words, without_thoughts

_FENCE = re.compile(r"```[ \t]*\w*[ \t]*\n?(.*?)```", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LABELS = ["$labels"]
_LABEL_KEY = "x-remelt-label"
_BEFORE_KEY = "x-remelt-before-label"
_ANSWER_KEY = "x-remelt-answer"
_SPELLINGS_KEY = "x-remelt-spellings"
_WORDS = "words"
_MOST_STARTS = 40
_DEEPEST = 32
_MOST_PROBLEMS = 5


def load_schema(name: str, labels: LabelSet) -> dict[str, Any]:
    """An answer schema with the label set put in.

    Args:
        name: a file of `schemas/` without its ending, or a path that ends in `.json`.
        labels: replaces `["$labels"]` wherever it stands as an `enum`; a set that spells its labels otherwise
            in prompts says so in `x-remelt-spellings`.

    Raises:
        InputError: no such schema, not a JSON Schema (2020-12), no label field, a field that it wants before
            the label stands after it or need not be given, or an answer in words that is more than a label.
    """
    path = Path(name) if name.endswith(".json") else resources.find("schemas", f"{name}.json")
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
    except OSError as error:
        raise InputError(f"{path}: the schema cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: the schema is not JSON ({error})") from error
    except jsonschema.SchemaError as error:
        raise InputError(f"{path}: not a JSON Schema (2020-12): {error.message}") from error
    schema = {key: _inject(value, list(labels.prompt_order)) for key, value in schema.items()}
    if labels.spellings:
        schema[_SPELLINGS_KEY] = dict(labels.spellings)
    label_field = schema.get(_LABEL_KEY)
    if not isinstance(label_field, str) or _property(schema, label_field) is None:
        raise InputError(
            f"{path}: 'x-remelt-label' must name the label's property, such as 'elements.emotion'; "
            f"it is {label_field!r}"
        )
    _check_order(schema, label_field, path)
    kind = schema.get(_ANSWER_KEY)
    if kind is not None and (kind != _WORDS or list(schema["properties"]) != [label_field]):
        raise InputError(
            f"{path}: Bad {_ANSWER_KEY!r} {kind!r}, expected {_WORDS!r} in a schema whose one property is "
            f"the label; this one has {list(schema['properties'])!r}"
        )
    return schema


def _check_order(schema: Mapping[str, Any], label: str, path: Path) -> None:
    """Refuses a schema whose own property order, which servers follow, puts the label too early."""
    wanted = schema.get(_BEFORE_KEY, [])
    places = list(_places(schema))
    known = [name for name in places if name != label and not label.startswith(f"{name}.")]
    if not isinstance(wanted, list):
        raise InputError(f"{path}: Bad {_BEFORE_KEY!r} {wanted!r}, expected a list out of {known!r}")
    for name in wanted:
        if name not in known:
            raise InputError(f"{path}: {bad_value(f'name in {_BEFORE_KEY!r}', name, known)}")
        if places.index(name) > places.index(label):
            raise InputError(
                f"{path}: {_BEFORE_KEY!r} lists {name!r}, but among the properties it stands after "
                f"{label!r}; models write an answer in that order"
            )
        node: Any = schema
        for part in name.split("."):
            if part not in node.get("required", ()):
                raise InputError(f"{path}: {_BEFORE_KEY!r} lists {name!r}, but {part!r} is not 'required'")
            node = node["properties"][part]


def _places(schema: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted names of all properties, in the order in which they are written."""
    for name, part in schema.get("properties", {}).items():
        yield above + name
        if isinstance(part, Mapping):
            yield from _places(part, f"{above}{name}.")


def _inject(node: Any, labels: list[str]) -> Any:
    if isinstance(node, dict):
        return {k: labels if k == "enum" and v == _LABELS else _inject(v, labels) for k, v in node.items()}
    if isinstance(node, list):
        return [_inject(item, labels) for item in node]
    return node


def _property(schema: Mapping[str, Any], dotted: str) -> Any:
    node: Any = schema
    for part in dotted.split("."):
        node = node.get("properties", {}).get(part) if isinstance(node, Mapping) else None
    return node


class Checker:
    """Judges replies against one schema and one label set.

    >>> from remelt.labels import MELT
    >>> Checker(load_schema("label", MELT), MELT).judge('```json\\n{"label": "joy"}\\n```').notes
    ('code_fence', 'label_case')
    >>> Checker(load_schema("option", MELT), MELT).judge("It is joy.").label
    'joy'
    """

    def __init__(self, schema: Mapping[str, Any], labels: LabelSet) -> None:
        self._validator = Draft202012Validator(dict(schema))
        # Seventy times as fast, but its sentences are not the ones that a repair turn quotes.
        self._valid = jsonschema_rs.Draft202012Validator(dict(schema))
        self._labels = labels
        self._label_path = str(schema[_LABEL_KEY]).split(".")
        self._before = [(name, name.split(".")) for name in schema.get(_BEFORE_KEY, ())]
        self._echo = schema.get("x-remelt-echo")
        self._in_words = schema.get(_ANSWER_KEY) == _WORDS
        self._names = {*labels.prompt_order, *labels.spellings, *labels.labels}

    def check(self, request: Request, reply: Reply) -> Verdict:
        """The verdict on a reply: parsed, validated, label on the list, echoed speaker compared."""
        if reply.failure:
            return Verdict(status=reply.failure, problems=(reply.detail or f"the annotator {reply.failure}",))
        if not reply.raw.strip() and reply.finish_reason == "length" and reply.reasoning_tokens:
            spent = f"all {reply.output_tokens} output tokens went into reasoning; raise --max-tokens"
            return Verdict(status="invalid", problems=(spent,))
        prefill = request.prefill if reply.means == "prefill" else ""
        return self.judge(reply.raw, prefill, reply.finish_reason, request.utterance.speaker)

    def judge(self, raw: str, prefill: str = "", finish_reason: str = "stop", speaker: str = "") -> Verdict:
        """The verdict on a raw text (see `check`)."""
        answers, notes, problem = parse(raw, prefill)
        cut = finish_reason == "length"
        if self._in_words and not any(self._label_path[0] in answer for answer in answers):
            return self._judge_words(raw, cut)
        if not answers:
            if cut:
                problem = f"the reply was cut off at the token limit; {problem}"
            return Verdict(status="invalid", problems=(problem,), notes=notes)
        if "\\u" in raw or not raw.isascii():
            answers = [_clean(answer) for answer in answers]
        verdicts = [self._judge_one(answer, notes, speaker) for answer in answers]
        valid = [verdict for verdict in verdicts if verdict.status == "valid"]
        if len({verdict.label for verdict in valid}) > 1:
            labels = ", ".join(str(verdict.label) for verdict in valid)
            problem = f"the reply holds several answers with different labels: {labels}"
            return Verdict("invalid", valid[-1].answer, None, (problem,), notes)
        verdict = valid[-1] if valid else verdicts[-1]
        if cut and valid:
            return replace(verdict, notes=(*verdict.notes, "finish_length"))
        return verdict

    def _judge_one(self, answer: dict[str, Any], notes: tuple[str, ...], speaker: str) -> Verdict:
        answer, label, respelled = self._normalise_label(answer)
        if respelled:
            notes = (*notes, "label_case")
        if label is None or not self._valid.is_valid(answer):
            errors = sorted(
                self._validator.iter_errors(answer),
                key=lambda e: (list(map(str, e.absolute_path)), e.message),
            )
            problems = tuple(_sentence(e) for e in errors[:_MOST_PROBLEMS]) or (
                "the label is not on the list",
            )
            return Verdict(status="invalid", answer=answer, problems=problems, notes=notes)
        if late := [name for name, path in self._before if _precedes(self._label_path, path, answer)]:
            problem = f"{', '.join(late)} must be written before {'.'.join(self._label_path)}, not after it"
            return Verdict(
                status="invalid", answer=answer, problems=(problem,), notes=(*notes, "label_first")
            )
        flags: tuple[str, ...] = ()
        if self._echo and speaker and not same_speaker(str(answer.get(self._echo, "")), speaker):
            flags = ("character_mismatch",)
        return Verdict(status="valid", answer=answer, label=label, notes=notes, flags=flags)

    def _judge_words(self, raw: str, cut: bool) -> Verdict:
        """The verdict on an answer in words: it must name exactly one of the options."""
        found = read_words(raw, self._labels, self._names)
        if found.problem:
            start = "the reply was cut off at the token limit; " if cut else ""
            return Verdict("invalid", problems=(start + found.problem,), notes=found.notes)
        answer = {self._label_path[0]: self._labels.spelled(found.label)}
        notes = (*found.notes, "finish_length") if cut else found.notes
        return Verdict("valid", answer, found.label, notes=notes)

    def _normalise_label(self, answer: dict[str, Any]) -> tuple[dict[str, Any], str | None, bool]:
        node: Any = answer
        for part in self._label_path[:-1]:
            node = node.get(part) if isinstance(node, dict) else None
        value = node.get(self._label_path[-1]) if isinstance(node, dict) else None
        label = self._labels.parse(value) if isinstance(value, str) else None
        if label is None:
            return answer, None, False
        spelling = self._labels.spelled(label)
        if value == spelling:
            return answer, label, False
        answer = copy.deepcopy(answer)
        node = answer
        for part in self._label_path[:-1]:
            node = node[part]
        node[self._label_path[-1]] = spelling
        return answer, label, True


def parse(raw: str, prefill: str = "") -> tuple[list[dict[str, Any]], tuple[str, ...], str]:
    """Finds the JSON objects of a reply, outermost ones only.

    Args:
        raw: the reply's text.
        prefill: the assistant's first characters that the server was given and may not repeat.

    Returns:
        The objects in the order of the text, notes on what was tolerated, and the problem (empty when
        something was found). Nothing inside an object that is broken or not closed is an object, nor
        anything in a block of thoughts.

    >>> parse('Sure! {"label": "Joy"} Anything else?')
    ([{'label': 'Joy'}], ('text_around_json',), '')
    """
    if prefill:
        if (found := _whole(prefill + raw)) is not None:
            return [found], ("prefill",), ""
        if (found := _first(prefill + raw)) is not None:
            return [found], ("prefill", "text_around_json"), ""
    text = raw.strip().lstrip("\ufeff")
    if not text:
        return [], (), "the reply is empty"
    if (found := _whole(text)) is not None:
        return [found], (), ""
    said = without_thoughts(text)
    if said is None:
        return [], ("think_block",), f"the reply ends before its thoughts do: {excerpt(text)}"
    notes = ("think_block",) if said != text else ()
    if notes and (found := _whole(said)) is not None:
        return [found], notes, ""
    objects, around, problem = _inside(said)
    return objects, (*notes, *around), problem


def _inside(text: str) -> tuple[list[dict[str, Any]], tuple[str, ...], str]:
    """The objects in code fences or among other text; see `parse`."""
    if not text:
        return [], (), "the reply holds nothing but thoughts"
    blocks = [_whole(block.strip()) for block in _FENCE.findall(text)]
    if fenced := [block for block in blocks if block is not None]:
        around = _FENCE.sub("", text).strip()
        return fenced, ("code_fence", "text_around_json") if around else ("code_fence",), ""
    if outermost := _outermost(text):
        return outermost, ("text_around_json",), ""
    return [], (), f"the reply holds no complete JSON object: {excerpt(text)}"


def _precedes(first: list[str], second: list[str], answer: Mapping[str, Any]) -> bool:
    """Whether an answer has the one path's value before the other's; both are in it."""
    node: Any = answer
    for one, other in zip(first, second, strict=False):
        if one != other:
            keys = list(node)
            return keys.index(one) < keys.index(other)
        node = node[one]
    return False


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two values under one name nobody knows which was meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_no_twins)


def _clean(value: Any) -> Any:
    """Half of an escaped surrogate pair is no character; it becomes U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _whole(text: str) -> dict[str, Any] | None:
    return _object(text, 0, whole=True)[0]


def _first(text: str) -> dict[str, Any] | None:
    return _object(text.lstrip(), 0)[0]


def _object(text: str, place: int, whole: bool = False) -> tuple[dict[str, Any] | None, int]:
    """The JSON object at a place, and where it ends; None for no object or one that is nested too deep."""
    try:
        value, end = (_decoder.decode(text), len(text)) if whole else _decoder.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None, place
    return (value if isinstance(value, dict) and _depth(value) <= _DEEPEST else None), end


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        depth += 1
        items = [i for node in level for i in (node.values() if isinstance(node, dict) else node)]
        level = [item for item in items if isinstance(item, dict | list)]
    return depth


def _outermost(text: str) -> list[dict[str, Any]]:
    """The objects of a text that stand in no other; a broken one is passed over with all that is in it."""
    found: list[dict[str, Any]] = []
    place, starts = text.find("{"), 0
    while place != -1 and starts < _MOST_STARTS:
        starts += 1
        value, end = _object(text, place)
        if value:
            found.append(value)
        if end == place:
            end = _closing(text, place)
        place = text.find("{", end)
    return found


def _closing(text: str, place: int) -> int:
    """Behind the brace that closes the one at `place`; the text's end where none does."""
    depth, quoted, escaped = 0, False, False
    for n in range(place, len(text)):
        letter = text[n]
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "{}":
            depth += 1 if letter == "{" else -1
            if depth == 0:
                return n + 1
    return len(text)


def _sentence(error: jsonschema.ValidationError) -> str:
    path = ".".join(str(p) for p in error.absolute_path)
    return f"{path}: {excerpt(error.message)}" if path else excerpt(error.message)


def same_speaker(echoed: str, speaker: str) -> bool:
    """Whether an echoed character is the speaker: equal, or one name's words are all in the other.

    >>> same_speaker("Chandler Bing", "Chandler"), same_speaker("Monica", "Ross")
    (True, False)
    """
    a, b = (set(re.findall(r"\w+", name.casefold())) for name in (echoed, speaker))
    return bool(a and b) and (a <= b or b <= a)
