"""What the new annotator is asked: the same messages with the same parameters, or another prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...records import Request, digest
from ..requests import public_name
from .source import Asked, Source

if TYPE_CHECKING:
    from ...prompting import Prompt
    from ...protocols import Annotator, Check, Conversation
    from .options import MigrateOptions


@dataclass(frozen=True)
class NewQuestions:
    """What is asked, and how the answers are judged.

    Attributes:
        requests: one for each row of the sample, in its order.
        schema: of the answers.
        prompt: the name of the prompt; None where nothing is prompted for.
        notes: what differs from how the dataset was asked, one sentence each.
    """

    requests: tuple[Request, ...]
    schema: Mapping[str, Any]
    check: Check
    conversation: Conversation
    prompt: str | None
    notes: tuple[str, ...]


def new_questions(
    source: Source, asked: Sequence[Asked], annotator: Annotator, options: MigrateOptions
) -> NewQuestions:
    """The requests to the new annotator; nothing is asked yet.

    Raises:
        InputError: the rows have no messages and no prompt is named, or a prompt that needs the corpus.
    """
    from ... import answers, prompting

    label_only = getattr(annotator, "schema_hint", None) == "label"
    prompt = None if label_only or options.prompt is None else prompting.load(options.prompt)
    if prompt is not None and "turns" in prompt.fields:
        raise InputError(
            f"The prompt {options.prompt!r} shows previous turns, which a dataset does not hold; name one "
            "without them, or none to send the messages as they were sent"
        )
    if label_only:
        schema: Mapping[str, Any] = answers.load_schema("label", source.labels)
    else:
        schema = source.member["schema"]["json"] if prompt is None else _schema(prompt, source)
    if prompt is None and not label_only and not all(one.request.messages for one in asked):
        raise InputError(
            f"{source.out}: nothing was sent to {source.name!r} (its labels were replayed from a file, or "
            f"given by people), so {annotator.name} cannot be asked the same; name a prompt with --prompt"
        )
    repair = prompting.load_repair(schema)
    if prompt is None:
        requests = tuple(_again(one, schema, annotator, options, label_only) for one in asked)
    else:
        prompt_hash = digest([prompt.sha256, repair.sha256])
        requests = tuple(
            _prompted(one, prompt, prompt_hash, schema, source, annotator, options) for one in asked
        )
    old = source.member["prompt"]
    shown = None if label_only else prompt.name if prompt else old and old["name"]
    return NewQuestions(
        requests=requests,
        schema=schema,
        check=answers.Checker(schema, source.labels).check,
        conversation=lambda request, history: prompting.repair_turn(repair, request, history, source.labels),
        prompt=shown,
        notes=tuple(_differences(source, annotator, options, prompt, label_only)),
    )


def _schema(prompt: Prompt, source: Source) -> Mapping[str, Any]:
    from ... import answers

    return answers.load_schema(prompt.schema, source.labels)


def _again(
    one: Asked, schema: Mapping[str, Any], annotator: Annotator, options: MigrateOptions, label_only: bool
) -> Request:
    """The same question; without messages where the answers hold nothing but a label."""
    before = one.request
    return Request(
        utterance=before.utterance,
        annotator=public_name(annotator.name),
        model=annotator.model,
        endpoint=annotator.endpoint,
        messages=() if label_only else before.messages,
        schema=schema,
        parameters={} if label_only else _parameters(before, annotator, options),
        prefill="" if label_only else before.prefill,
        prompt_hash="" if label_only else before.prompt_hash,
    )


def _prompted(
    one: Asked,
    prompt: Prompt,
    prompt_hash: str,
    schema: Mapping[str, Any],
    source: Source,
    annotator: Annotator,
    options: MigrateOptions,
) -> Request:
    from ... import prompting

    messages, prefill = prompting.render(prompt, one.request.utterance, source.labels)
    return Request(
        utterance=one.request.utterance,
        annotator=public_name(annotator.name),
        model=annotator.model,
        endpoint=annotator.endpoint,
        messages=messages,
        schema=schema,
        parameters=_parameters(one.request, annotator, options),
        prefill=prefill,
        prompt_hash=prompt_hash,
    )


def _parameters(before: Request, annotator: Annotator, options: MigrateOptions) -> dict[str, Any]:
    """Those of the row's own request, with what the user says instead; how the answer is asked for is new."""
    if getattr(annotator, "unsampled", False):
        return {}
    kept = {name: value for name, value in before.parameters.items() if name != "answer_format"}
    form = options.connection.answer_format if options.connection else "auto"
    asked = {**options.parameters, "answer_format": None if form == "auto" else form}
    return {name: value for name, value in {**kept, **asked}.items() if value is not None}


def _differences(
    source: Source, annotator: Annotator, options: MigrateOptions, prompt: Prompt | None, label_only: bool
) -> list[str]:
    notes = []
    old = source.member["prompt"]
    if label_only:
        notes.append(f"{annotator.name} gives labels alone; it is shown no prompt")
        return notes
    if prompt is not None and (old is None or old["sha256"] != prompt.sha256):
        was = f"the dataset's was {old['name']!r}" if old else "the dataset had none"
        notes.append(f"The prompt is {prompt.name!r}, {was}: model and prompt change at once")
    recorded = source.member.get("parameters", {})
    for name, value in options.parameters.items():
        if recorded.get(name) != value:
            notes.append(f"{name} is {value!r}, the dataset's was {recorded.get(name)!r}")
    if getattr(annotator, "unsampled", False) and recorded:
        notes.append(f"{annotator.name} takes no temperature, seed or length")
    if form := recorded.get("answer_format"):
        notes.append(f"The dataset asked for the answer's structure by {form}")
    return notes
