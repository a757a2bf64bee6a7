"""Argilla 2: records as `dataset.records.to_json`, `to_list`, `to_datasets` or its server give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, bad_value
from ..rows import cell, find
from .base import (
    CONFIDENCE_COLUMNS,
    NOTE_COLUMNS,
    REMELT_ID,
    Given,
    Item,
    Reading,
    ReadOptions,
    Sheet,
    Source,
    confidence_of,
    identity_of,
    note_of,
    question_of,
    write_json,
)

NAME = "argilla"
TITLE = "records of Argilla 2, JSON, JSON Lines or Parquet"
ORDER = 30
WRITES = ("argilla",)

STATUSES = ("submitted", "draft", "discarded")
RECORDS = "records.json"
PUBLISHED = "remelt"
_RATINGS = (1, 2, 3, 4, 5)
_RESPONSES, _SUGGESTION = ".responses", ".suggestion"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one user or model answered to one question; the status is empty where the file has none."""

    who: str
    value: Any
    status: str = ""
    score: Any = None


def recognises(source: Source) -> bool:
    """Records with responses or suggestions, or a folder that `to_disk` wrote."""
    if source.path.is_dir():
        return (source.path / RECORDS).is_file()
    if source.path.suffix.casefold() not in (".json", ".jsonl", ".ndjson", ".parquet"):
        return False
    return {"fields", "responses"} <= set(source.columns) or any(
        name.endswith((_RESPONSES, _SUGGESTION)) for name in source.columns
    )


def read(source: Source, options: ReadOptions) -> Reading:
    """The responses (`human`) and suggestions (`model`); see `base.Format.read`."""
    if source.path.is_dir():
        source = Source(source.path / RECORDS)
    givens: list[Given] = []
    left: Counter[str] = Counter()
    stated = False
    for number, record in enumerate(source.rows, 1):
        place = source.place(number)
        identity = identity_of(
            {**_mapping(record, "metadata"), **_mapping(record, "fields"), **record}, options.id_column, place
        )
        responses, suggestions = _responses(record, place), _suggestions(record)
        stated = stated or any(a.status for answers in responses.values() for a in answers)
        if options.kind != "model":
            givens += _humans(identity, responses, options, place, left)
        if options.kind != "human":
            givens += _models(identity, suggestions, options, place, left)
    notices = []
    if any(given.kind == "human" for given in givens) and not stated:
        notices.append(
            f"{source.path.name} does not say which responses were submitted (to_json leaves it out), so "
            "drafts and discarded ones may be among them; `to_list(flatten=True)` and `to_datasets()` say it"
        )
    return Reading(givens, left, notices)


def _humans(
    identity: str,
    responses: Mapping[str, Sequence[_Answer]],
    options: ReadOptions,
    place: str,
    left: Counter[str],
) -> Iterator[Given]:
    question = question_of(_choices(responses), options, place)
    if question is None:
        left["without a response"] += 1
        return
    confidences, notes = (_by_user(responses, names) for names in (CONFIDENCE_COLUMNS, NOTE_COLUMNS))
    for answer in responses[question]:
        if answer.status and answer.status not in STATUSES:
            raise InputError(f"{place}: {bad_value('status of a response', answer.status, STATUSES)}")
        if answer.status in ("draft", "discarded"):
            left[answer.status] += 1
            continue
        label = _label(answer.value)
        if not label:
            left["without a label"] += 1
            continue
        yield Given(
            identity,
            answer.who,
            "human",
            label,
            confidence_of(confidences.get(answer.who), place),
            note_of(notes.get(answer.who)),
            f"{place}, response of {answer.who or 'nobody'}",
        )


def _models(
    identity: str,
    suggestions: Mapping[str, Sequence[_Answer]],
    options: ReadOptions,
    place: str,
    left: Counter[str],
) -> Iterator[Given]:
    question = question_of(suggestions, options, place)
    for answer in suggestions[question] if question else ():
        if answer.who == PUBLISHED:
            left["suggested by remelt"] += 1
        elif label := _label(answer.value):
            score = confidence_of(answer.score, place)
            yield Given(identity, answer.who, "model", label, score, None, f"{place}, suggestion")


def _choices(responses: Mapping[str, Sequence[_Answer]]) -> list[str]:
    """The questions that may ask for the label: neither notes nor confidences."""
    others = (*CONFIDENCE_COLUMNS, *NOTE_COLUMNS)
    return [name for name in responses if find((name,), others) is None]


def _by_user(responses: Mapping[str, Sequence[_Answer]], names: Sequence[str]) -> dict[str, Any]:
    question = find(responses, names)
    return {answer.who: answer.value for answer in responses[question]} if question else {}


def _label(value: Any) -> str:
    """One label as it is; of several chosen at once all, which is on no list."""
    if isinstance(value, (list, tuple)):
        return " + ".join(map(cell, value))
    return cell(value)


def _mapping(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def _responses(record: Mapping[str, Any], place: str) -> dict[str, list[_Answer]]:
    """The responses by question, from any of the three shapes."""
    found: dict[str, list[_Answer]] = {}
    nested = record.get("responses")
    if isinstance(nested, Mapping):
        for question, answers in nested.items():
            found[question] = [
                _Answer(cell(a.get("user_id")), a.get("value"), _status(a.get("status")))
                for a in answers or ()
            ]
    elif isinstance(nested, (list, tuple)):
        for response in nested:
            who, status = cell(response.get("user_id")), _status(response.get("status"))
            for question, value in (response.get("values") or {}).items():
                given = value.get("value") if isinstance(value, Mapping) else value
                found.setdefault(question, []).append(_Answer(who, given, status))
    for column, values in record.items():
        if not column.endswith(_RESPONSES) or not values:
            continue
        users, statuses = (record.get(f"{column}.{part}") or [] for part in ("users", "status"))
        if len(users) != len(values):
            raise InputError(f"{place}: {len(values)} values in {column!r}, but {len(users)} users")
        statuses = [_status(status) for status in statuses] or [""] * len(values)
        found[column.removesuffix(_RESPONSES)] = [
            _Answer(cell(who), value, status)
            for who, value, status in zip(users, values, statuses, strict=True)
        ]
    return {question: answers for question, answers in found.items() if answers}


def _suggestions(record: Mapping[str, Any]) -> dict[str, list[_Answer]]:
    """The suggestions by question, from any of the three shapes."""
    found: dict[str, list[_Answer]] = {}
    nested = record.get("suggestions")
    if isinstance(nested, Mapping):
        pairs = [(question, s) for question, s in nested.items() if s]
    else:
        pairs = [(cell(s.get("question_name")) or "label", s) for s in nested or ()]
    for question, s in pairs:
        found.setdefault(question, []).append(
            _Answer(cell(s.get("agent")), s.get("value"), "", s.get("score"))
        )
    for column, value in record.items():
        if column.endswith(_SUGGESTION) and value is not None:
            agent, score = (record.get(f"{column}.{part}") for part in ("agent", "score"))
            found[column.removesuffix(_SUGGESTION)] = [_Answer(cell(agent), value, "", score)]
    return found


def _status(value: Any) -> str:
    return cell(getattr(value, "value", value)).casefold()


# -- writing --------------------------------------------------------------------------------------


def files(to: Path) -> list[Path]:
    """What `write` writes: the records, and the settings beside them."""
    return [to, to.with_name(f"{to.stem}.settings.json")]


def write(to: Path, sheet: Sheet, form: str) -> list[Path]:
    """Records for `dataset.records.from_json`, and beside them the settings for `rg.Settings.from_json`.

    A record has one suggestion at most: the published label. What each annotator said stands in the metadata
    (`vote_1`, `vote_2`, ...; the titles are their names), unless the sheet is blind.
    """
    names = {} if sheet.blind else {source: f"vote_{n}" for n, source in enumerate(sheet.sources, 1)}
    records = [_record(item, sheet, names) for item in sheet.items]
    main, beside = files(to)
    return [write_json(main, records), write_json(beside, _settings(sheet, names))]


def _record(item: Item, sheet: Sheet, names: Mapping[str, str]) -> dict[str, Any]:
    metadata = {REMELT_ID: item.id, "split": item.split, "speaker": item.speaker}
    if item.clip:
        metadata["clip"] = item.clip
    for vote in item.votes:
        if vote.label and vote.source in names:
            metadata[names[vote.source]] = sheet.labels.spelled(vote.label)
    suggestions = {}
    if item.label and not sheet.blind:
        sources = [vote for vote in item.votes if vote.label == item.label]
        alone = sources[0] if len(item.votes) == 1 and sources else None
        suggestions["label"] = {
            "value": sheet.labels.spelled(item.label),
            "score": alone.probabilities.get(item.label) if alone else None,
            "agent": alone.source if alone else PUBLISHED,
        }
    return {
        "id": item.id,
        "fields": {"context": "\n".join(item.context), "text": f"{item.speaker}: {item.text}"},
        "metadata": metadata,
        "suggestions": suggestions,
        "responses": {},
        "vectors": {},
    }


def _settings(sheet: Sheet, names: Mapping[str, str]) -> dict[str, Any]:
    titles = {REMELT_ID: "id", "split": "split", "speaker": "speaker", "clip": "clip"}
    titles |= {name: source for source, name in names.items()}
    labels = [{"value": name, "text": name, "description": None} for name in sheet.labels.prompt_order]
    return {
        "guidelines": (
            f"{sheet.title}: choose the label that fits what the speaker of the text expresses, given what "
            "was said before."
        ),
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "fields": [
            _field("context", "What was said before", required=False),
            _field("text", "The utterance", required=True),
        ],
        "questions": [
            _question("label", "Which label fits?", {"type": "label_selection", "options": labels}, True),
            _question(
                "confidence",
                "How sure are you? (1: a guess, 5: certain)",
                {"type": "rating", "options": [{"value": value} for value in _RATINGS]},
                False,
            ),
            _question("note", "Note", {"type": "text", "use_markdown": False}, False),
        ],
        "metadata": [
            {
                "name": name,
                "title": title,
                "settings": {"type": "terms", "values": None, "visible_for_annotators": name == "speaker"},
                "visible_for_annotators": name == "speaker",
            }
            for name, title in titles.items()
        ],
        "vectors": [],
    }


def _field(name: str, title: str, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "required": required,
        "type": "text",
        "settings": {"type": "text", "use_markdown": False},
    }


def _question(name: str, title: str, settings: Mapping[str, Any], required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "description": None,
        "required": required,
        "type": settings["type"],
        "settings": dict(settings),
    }
