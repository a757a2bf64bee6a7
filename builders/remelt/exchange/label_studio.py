"""Label Studio: its JSON export, its JSON-MIN export, and tasks to import with a labelling configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from ..errors import InputError
from ..records import Vote
from ..rows import cell, find
from .base import (
    CONFIDENCE_COLUMNS,
    NOTE_COLUMNS,
    REMELT_ID,
    Given,
    Item,
    Kind,
    Reading,
    ReadOptions,
    Sheet,
    Source,
    confidence_of,
    identity_of,
    note_of,
    question_of,
    write_json,
    write_text,
)

NAME = "label-studio"
TITLE = "JSON or JSON-MIN of Label Studio"
ORDER = 20
WRITES = ("label-studio",)

_ANNOTATIONS = ("annotations", "completions")
# What JSON-MIN adds to a task's data and answers.
_MIN = ("annotation_id", "annotator", "lead_time")
_MIN_FACTS = (*_MIN, "id", "created_at", "updated_at", "agreement")
_NO_CONTEXT = "(nothing was said before)"


def recognises(source: Source) -> bool:
    """Tasks with their annotations, or rows of JSON-MIN."""
    if not source.path.is_file() or source.path.suffix.casefold() not in (".json", ".jsonl", ".ndjson"):
        return False
    full = "data" in source.columns and any(name in source.columns for name in (*_ANNOTATIONS, "predictions"))
    return full or set(_MIN) <= set(source.columns)


def read(source: Source, options: ReadOptions) -> Reading:
    """The annotations (`human`) and predictions (`model`); see `base.Format.read`."""
    if set(_MIN) <= set(source.columns) and "data" not in source.columns:
        return _read_min(source, options)
    givens: list[Given] = []
    left: Counter[str] = Counter()
    for number, task in enumerate(source.rows, 1):
        place = source.place(number)
        data = task.get("data")
        if not isinstance(data, Mapping):
            raise InputError(f"{place}: a task needs an object 'data', this one has {list(task)!r}")
        identity = identity_of(data, options.id_column, place)
        if options.kind != "model":
            givens += _annotations(identity, task, options, place, left)
        if options.kind != "human":
            givens += _predictions(identity, task, options, place, left)
    return Reading(givens, left)


def _annotations(
    identity: str, task: Mapping[str, Any], options: ReadOptions, place: str, left: Counter[str]
) -> Iterator[Given]:
    key = next((name for name in _ANNOTATIONS if name in task), _ANNOTATIONS[0])
    annotations = task.get(key) or []
    if not annotations:
        left["without an annotation"] += 1
    for annotation in annotations:
        who = _person(annotation.get("completed_by"))
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            left["cancelled"] += 1
            continue
        there = f"{place}, annotation {annotation.get('id')} of {who or 'nobody'}"
        yield from _given(identity, who, "human", annotation, options, there, left)


def _predictions(
    identity: str, task: Mapping[str, Any], options: ReadOptions, place: str, left: Counter[str]
) -> Iterator[Given]:
    for prediction in task.get("predictions") or ():
        if not isinstance(prediction, Mapping):
            left["predictions without their content"] += 1
            continue
        who = cell(prediction.get("model_version"))
        yield from _given(identity, who, "model", prediction, options, f"{place}, prediction of {who}", left)


def _given(
    identity: str,
    who: str,
    kind: Kind,
    entry: Mapping[str, Any],
    options: ReadOptions,
    place: str,
    left: Counter[str],
) -> Iterator[Given]:
    """The label of one annotation or prediction; nothing where it has none."""
    results = [part for part in entry.get("result") or () if isinstance(part, Mapping)]
    chosen: dict[str, list[str]] = {}
    for part in results:
        if part.get("type") == "choices":
            values = (part.get("value") or {}).get("choices") or []
            chosen.setdefault(cell(part.get("from_name")), []).extend(map(cell, values))
    question = question_of([name for name, values in chosen.items() if values], options, place)
    if question is None:
        left["without a label"] += 1
        return
    score = _value(results, "rating", "rating", CONFIDENCE_COLUMNS)
    score = entry.get("score") if kind == "model" and score is None else score
    yield Given(
        identity,
        who,
        kind,
        " + ".join(chosen[question]),
        confidence_of(score, place),
        note_of(_value(results, "textarea", "text", NOTE_COLUMNS)),
        place,
    )


def _value(results: Sequence[Mapping[str, Any]], kind: str, field: str, names: Sequence[str]) -> Any:
    """The value of the one question of a kind, or of that with a customary name."""
    values = {
        cell(part.get("from_name")): (part.get("value") or {}).get(field)
        for part in results
        if part.get("type") == kind
    }
    name = find(values, names)
    return values[name] if name else None


def _person(value: Any) -> str:
    """Who completed an annotation: a number, or an object with a number and an address."""
    if isinstance(value, Mapping):
        return cell(value.get("id")) or cell(value.get("email"))
    return cell(value)


def _read_min(source: Source, options: ReadOptions) -> Reading:
    """JSON-MIN: a row per annotation; `id` is the task's number there, whatever the data had."""
    givens: list[Given] = []
    left: Counter[str] = Counter()
    questions = [name for name in source.columns if name not in _MIN_FACTS]
    question = find(questions, options.label_columns or ("label", "choice", "emotion"))
    if question is None:
        raise InputError(
            f"{source.path}: no question called label, choice or emotion among {questions!r}; --label-column "
            "names the one that asks for the label"
        )
    confidence, note = (find(questions, names) for names in (CONFIDENCE_COLUMNS, NOTE_COLUMNS))
    for number, row in enumerate(source.rows, 1):
        place = source.place(number)
        data = row if options.id_column else {k: v for k, v in row.items() if k != "id"}
        identity = identity_of(data, options.id_column, place)
        label = row.get(question)
        if isinstance(label, Mapping):
            label = " + ".join(map(cell, label.get("choices") or ()))
        if not cell(label):
            left["without a label"] += 1
            continue
        givens.append(
            Given(
                identity,
                _person(row.get("annotator")),
                "human",
                cell(label),
                confidence_of(row.get(confidence), place) if confidence else None,
                note_of(row.get(note)) if note else None,
                f"{place}, annotation {row.get('annotation_id')}",
            )
        )
    notices = ["JSON-MIN holds people's annotations only; the JSON export has the predictions too"]
    return Reading([g for g in givens if options.kind != "model"], left, notices)


# -- writing --------------------------------------------------------------------------------------


def files(to: Path) -> list[Path]:
    """What `write` writes: the tasks, and the configuration beside them."""
    return [to, to.with_suffix(".xml")]


def write(to: Path, sheet: Sheet, form: str) -> list[Path]:
    """Tasks to import, and beside them the labelling configuration of the project (XML)."""
    sound = bool(sheet.items) and all(item.clip for item in sheet.items)
    tasks = [_task(item, sheet, sound) for item in sheet.items]
    main, beside = files(to)
    return [write_json(main, tasks), write_text(beside, _config(sheet, sound))]


def _task(item: Item, sheet: Sheet, sound: bool) -> dict[str, Any]:
    data = {
        REMELT_ID: item.id,
        "context": "\n".join(item.context) or _NO_CONTEXT,
        "text": f"{item.speaker}: {item.text}",
        **({"audio": item.clip} if sound else {}),
    }
    if sheet.blind:
        return {"data": data}
    return {"data": data, "predictions": [_prediction(vote, sheet) for vote in item.votes if vote.label]}


def _prediction(vote: Vote, sheet: Sheet) -> dict[str, Any]:
    assert vote.label is not None
    score = vote.probabilities.get(vote.label)
    return {
        "model_version": vote.source,
        **({} if score is None else {"score": score}),
        "result": [
            {
                "from_name": "label",
                "to_name": "text",
                "type": "choices",
                "value": {"choices": [sheet.labels.spelled(vote.label)]},
            }
        ],
    }


def _config(sheet: Sheet, sound: bool) -> str:
    choices = "".join(
        f"    <Choice value={quoteattr(name)}{f' hotkey={quoteattr(str(n))}' if n < 10 else ''}/>\n"
        for n, name in enumerate(sheet.labels.prompt_order, 1)
    )
    audio = '  <Audio name="audio" value="$audio"/>\n' if sound else ""
    return (
        "<View>\n"
        f"{audio}"
        '  <Header value="What was said before"/>\n'
        '  <Text name="context" value="$context"/>\n'
        '  <Header value="Which label fits?"/>\n'
        '  <Text name="text" value="$text"/>\n'
        '  <Choices name="label" toName="text" choice="single" required="true" showInline="true">\n'
        f"{choices}"
        "  </Choices>\n"
        '  <Header value="How sure are you? (1: a guess, 5: certain)"/>\n'
        '  <Rating name="confidence" toName="text" maxRating="5"/>\n'
        '  <TextArea name="note" toName="text" rows="2" maxSubmissions="1" placeholder="Note"/>\n'
        "</View>\n"
    )
