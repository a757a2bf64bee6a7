"""Prompt files: reading, checking and rendering them.

A prompt file is Markdown with YAML front matter (`name, version, description, source, fields, schema,
prefill, turns, labels`) and sections that begin with a line `[[system]]` or `[[user]]`. Sections are Jinja2
templates; an utterance's text is inserted once and never read as a template.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import jinja2
import jinja2.meta
import yaml
from jinja2.sandbox import SandboxedEnvironment

from . import resources
from .errors import InputError, bad_value
from .labels import LABEL_SETS, LabelSet
from .records import Message, Reply, Request, Utterance, Verdict, digest

FIELDS = (
    "labels",
    "speaker",
    "utterance",
    "season",
    "episode",
    "turns",
    "corpus",
    "split",
    "dialogue_id",
    "utterance_id",
    "duration",
    "problems",
)
_FRONT_KEYS = {"name", "version", "description", "source", "fields", "schema", "prefill", "turns", "labels"}
_REQUIRED_KEYS = ("name", "version", "source", "fields")
_SECTION = re.compile(r"^\[\[(\w+)\]\][ \t]*\n", re.MULTILINE)
_REPAIR_QUOTE = 2000

_environment = SandboxedEnvironment(
    undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
)
_environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A checked prompt file.

    Attributes:
        fields: what the templates use; all of them are in `FIELDS`.
        schema: name of the answer schema in `schemas/`, without the ending; empty for the repair prompt.
        prefill: template of the assistant's first characters; empty where the prompt has none.
        turns: how many previous turns of the dialogue the prompt shows.
        labels: name of the label set that the prompt was made for; empty for any.
        sections: (role, template) in file order.
        text: the whole file.
        path: where it was read.
    """

    name: str
    version: str
    description: str
    source: str
    fields: tuple[str, ...]
    schema: str
    prefill: str
    turns: int
    sections: tuple[tuple[Literal["system", "user"], str], ...]
    text: str
    path: Path
    labels: str = ""

    @property
    def sha256(self) -> str:
        return digest(self.text)


def names() -> list[str]:
    """The names of the prompts that come with remelt (`--prompt NAME`)."""
    return sorted(p.stem for p in resources.folder("prompts").glob("*/*.md"))


def load(name: str) -> Prompt:
    """Reads a prompt by name, or from a path that ends in `.md`.

    Raises:
        InputError: no such prompt, or a file that breaks the format; the message names file, key and choices.
    """
    if name.endswith(".md"):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"No prompt file at {name}")
        return parse(path)
    found = sorted(resources.folder("prompts").glob(f"*/{name}.md")) if re.fullmatch(r"[\w.-]+", name) else []
    if not found:
        raise InputError(
            bad_value("prompt", name, names()) + ", or the path of a prompt file that ends in .md"
        )
    return parse(found[0])


def load_repair(schema: Mapping[str, Any] | None = None) -> Prompt:
    """The prompt of the repair turn.

    Args:
        schema: the answer's; one that is given in words is asked for again in words.
    """
    words = (schema or {}).get("x-remelt-answer") == "words"
    return parse(resources.find("prompts", "repair-words.md" if words else "repair.md"))


def parse(path: Path) -> Prompt:
    """Reads and checks one prompt file.

    Raises:
        InputError: see `load`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: a prompt file must be UTF-8 ({error})") from error
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    if match is None:
        raise InputError(f"{path}: a prompt file begins with YAML front matter between two lines '---'")
    try:
        front = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: the front matter is not YAML: {error}") from error
    front = _checked_front(front, path)
    sections = _sections(text[match.end() :], path)
    prompt = Prompt(
        name=str(front["name"]),
        version=str(front["version"]),
        description=str(front.get("description", "")),
        source=str(front["source"]),
        fields=tuple(front["fields"]),
        schema=str(front.get("schema") or ""),
        prefill=str(front.get("prefill") or ""),
        turns=int(front.get("turns", 0)),
        sections=sections,
        text=text,
        path=path,
        labels=str(front.get("labels") or ""),
    )
    _check_fields(prompt)
    return prompt


def _checked_front(front: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(front, Mapping):
        raise InputError(f"{path}: the front matter must be a mapping with the keys {sorted(_FRONT_KEYS)}")
    for key in front:
        if key not in _FRONT_KEYS:
            raise InputError(f"{path}: {bad_value('front matter key', key, sorted(_FRONT_KEYS))}")
    for key in _REQUIRED_KEYS:
        if key not in front:
            raise InputError(f"{path}: the front matter lacks {key!r}; it needs {list(_REQUIRED_KEYS)!r}")
    fields = front["fields"]
    if not isinstance(fields, list) or not all(isinstance(f, str) for f in fields):
        raise InputError(f"{path}: Bad fields {fields!r}, expected a list of names out of {list(FIELDS)!r}")
    turns = front.get("turns", 0)
    if not isinstance(turns, int) or turns < 0:
        raise InputError(f"{path}: Bad turns {turns!r}, expected a whole number from 0")
    if front.get("labels") and front["labels"] not in LABEL_SETS:
        raise InputError(f"{path}: {bad_value('labels', front['labels'], LABEL_SETS)}")
    return front


def _sections(body: str, path: Path) -> tuple[tuple[Literal["system", "user"], str], ...]:
    parts = _SECTION.split(body)
    if parts[0].strip():
        raise InputError(
            f"{path}: text before the first section line; sections begin with [[system]] or [[user]]"
        )
    pairs = list(zip(parts[1::2], parts[2::2], strict=True))
    for role, _ in pairs:
        if role not in ("system", "user"):
            raise InputError(f"{path}: {bad_value('section', role, ['system', 'user'])}")
    if not pairs or pairs[-1][0] != "user":
        raise InputError(f"{path}: the last section must be [[user]]")
    return tuple((cast(Literal["system", "user"], role), text.strip("\n")) for role, text in pairs)


def _check_fields(prompt: Prompt) -> None:
    used: set[str] = set()
    for template in (*(text for _, text in prompt.sections), prompt.prefill):
        try:
            used |= jinja2.meta.find_undeclared_variables(_environment.parse(template))
        except jinja2.TemplateSyntaxError as error:
            raise InputError(
                f"{prompt.path}: the template is broken at its line {error.lineno}: {error.message}"
            ) from error
    for name in (*prompt.fields, *sorted(used)):
        if name not in FIELDS:
            raise InputError(f"{prompt.path}: {bad_value('prompt field', name, FIELDS)}")
    if missing := sorted(used - set(prompt.fields)):
        raise InputError(
            f"{prompt.path}: the text uses {missing!r}, but 'fields' in the front matter lists only "
            f"{list(prompt.fields)!r}"
        )
    if unused := sorted(set(prompt.fields) - used):
        raise InputError(f"{prompt.path}: 'fields' lists {unused!r}, which the text does not use")


class Dialogues:
    """The turns before each utterance, taken from the whole corpus (also from turns that selection drops)."""

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        self._dialogues: dict[tuple[str, int | str], list[Utterance]] = {}
        self._place: dict[str, int] = {}
        for utterance in utterances:
            turns = self._dialogues.setdefault((utterance.split, utterance.dialogue_id), [])
            self._place[utterance.id] = len(turns)
            turns.append(utterance)

    def before(self, utterance: Utterance, count: int) -> Sequence[Utterance]:
        """At most `count` turns before the utterance, oldest first, in the corpus's own order."""
        turns = self._dialogues[(utterance.split, utterance.dialogue_id)]
        place = self._place[utterance.id]
        return turns[max(0, place - count) : place]


def render(
    prompt: Prompt, utterance: Utterance, labels: LabelSet, turns: Sequence[Utterance] = ()
) -> tuple[tuple[Message, ...], str]:
    """The messages and the prefill for one utterance.

    Args:
        turns: the previous turns to show, oldest first.

    Raises:
        InputError: the row lacks a field that the prompt needs.
    """
    values: dict[str, Any] = {
        "labels": ", ".join(labels.prompt_order),
        "speaker": utterance.speaker,
        "utterance": utterance.words,
        "season": utterance.season,
        "episode": utterance.episode,
        "turns": [{"speaker": t.speaker, "utterance": t.words} for t in turns],
        "corpus": utterance.corpus,
        "split": utterance.split,
        "dialogue_id": utterance.dialogue_id,
        "utterance_id": utterance.utterance_id,
        "duration": utterance.duration,
    }
    for name in prompt.fields:
        if values.get(name) is None or values[name] == "":
            raise InputError(
                f"{utterance.id} ({utterance.source}): prompt {prompt.name!r} needs the field {name!r}, "
                f"which this row does not have; prompts that come with remelt: {names()}"
            )
    try:
        return _fill(prompt, {name: values[name] for name in prompt.fields})
    except jinja2.TemplateError as error:
        raise InputError(
            f"{prompt.path}: the template cannot be filled for {utterance.id} ({utterance.source}): {error}"
        ) from error


def repair_turn(
    repair: Prompt, request: Request, history: tuple[tuple[Reply, Verdict], ...], labels: LabelSet
) -> tuple[Message, ...]:
    """The conversation to send: the request's own messages, after an unusable answer also what was wrong."""
    if not history or history[-1][0].failure:
        return request.messages
    reply, verdict = history[-1]
    problems = [p[:_REPAIR_QUOTE] for p in verdict.problems]
    turn, _ = _fill(repair, {"labels": ", ".join(labels.prompt_order), "problems": problems})
    said = (request.prefill if reply.means == "prefill" else "") + reply.raw
    return (*request.messages, Message("assistant", said[:_REPAIR_QUOTE]), *turn)


@functools.lru_cache(maxsize=64)
def _template(text: str) -> jinja2.Template:
    return _environment.from_string(text)


@functools.lru_cache(maxsize=64)
def _used(text: str) -> frozenset[str]:
    return frozenset(jinja2.meta.find_undeclared_variables(_environment.parse(text)))


@functools.lru_cache(maxsize=64)
def _same_for_all(text: str, labels: str) -> str:
    return _template(text).render({"labels": labels})


def _rendered(text: str, values: Mapping[str, Any]) -> str:
    # What is long, such as the instructions, is mostly the same for every row.
    if _used(text) <= {"labels"}:
        return _same_for_all(text, values.get("labels", ""))
    return _template(text).render(values)


def _fill(prompt: Prompt, values: Mapping[str, Any]) -> tuple[tuple[Message, ...], str]:
    messages = tuple(Message(role, _rendered(text, values).strip("\n")) for role, text in prompt.sections)
    return messages, _rendered(prompt.prefill, values)
