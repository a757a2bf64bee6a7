"""The mock annotator: deterministic, any schema, and faults in the asked-for shares."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import jsonschema
import pytest

from remelt import answers
from remelt.annotators import AnnotatorOptions, create
from remelt.errors import InputError, RequestRejected, TransientError
from remelt.labels import MELT
from remelt.records import Reply, Request, Utterance

MANY = 2000


def ask(spec: str, schema: dict[str, Any], count: int = 1, attempt: int = 0, seed: int = 0) -> list[Reply]:
    mock = create(spec, AnnotatorOptions(seed=seed))

    async def run() -> list[Reply]:
        return [await mock.answer(make(n, schema), (), attempt) for n in range(count)]

    return asyncio.run(run())


def make(number: int, schema: dict[str, Any]) -> Request:
    utterance = Utterance(f"meld/train/dia0_utt{number}", "meld", "train", 0, number, "Ross", "Hi.")
    return Request(utterance, "mock", "mock", "mock", (), schema)


@pytest.mark.parametrize("name", ["melt", "melt-levels", "melt-reasoning", "label"])
def test_fills_the_schemas_of_the_project(name: str) -> None:
    schema = answers.load_schema(name, MELT)
    checker = answers.Checker(schema, MELT)
    for reply in ask("mock", schema, 50):
        verdict = checker.judge(reply.raw, speaker="Ross")
        assert (verdict.status, verdict.notes, verdict.flags) == ("valid", (), ())


def test_fills_any_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"const": "voice"},
            "arousal": {"type": "number", "minimum": 1, "maximum": 7},
            "year": {"type": "integer", "minimum": 1990, "maximum": 1999},
            "sure": {"type": "boolean"},
            "nothing": {"type": "null"},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2},
            "short": {"type": ["string", "null"], "maxLength": 4},
        },
        "additionalProperties": False,
    }
    schema["required"] = list(schema["properties"])  # type: ignore[call-overload]
    for reply in ask("mock", schema, 100):
        jsonschema.validate(json.loads(reply.raw), schema)


def test_depends_on_id_turn_and_seed_alone() -> None:
    schema = answers.load_schema("melt", MELT)
    spec = "mock:invalid=0.2,odd=0.2,refused=0.1"
    first = [r.raw for r in ask(spec, schema, 100)]
    assert [r.raw for r in ask(spec, schema, 100)] == first
    assert [r.raw for r in ask(spec, schema, 100, attempt=1)] != first
    assert [r.raw for r in ask(spec, schema, 100, seed=5)] != first
    assert [r.raw for r in ask(f"{spec},seed=5", schema, 100)] == [
        r.raw for r in ask(spec, schema, 100, seed=5)
    ]


def test_neutral_is_the_majority_and_every_label_occurs() -> None:
    counts = Counter(
        json.loads(r.raw)["label"] for r in ask("mock", answers.load_schema("label", MELT), MANY)
    )
    assert set(counts) == set(MELT.prompt_order)
    assert counts["Neutral"] / MANY == pytest.approx(0.5, abs=0.05)
    assert min(counts.values()) / MANY > 0.05


def test_faults_come_in_the_asked_for_shares_and_kinds() -> None:
    schema = answers.load_schema("melt", MELT)
    checker = answers.Checker(schema, MELT)
    replies = ask("mock:invalid=0.2,odd=0.3,refused=0.1", schema, MANY)
    verdicts = [checker.check(make(n, schema), reply) for n, reply in enumerate(replies)]
    counts = Counter(v.status for v in verdicts)
    assert counts["refused"] / MANY == pytest.approx(0.1, abs=0.03)
    assert counts["invalid"] / MANY == pytest.approx(0.2, abs=0.03)
    noted = Counter(x for v in verdicts if v.status == "valid" for x in (*v.notes, *v.flags))
    assert set(noted) == {"code_fence", "text_around_json", "label_case", "character_mismatch"}
    assert sum(noted.values()) / MANY == pytest.approx(0.3, abs=0.03)
    problems = " ".join(p for v in verdicts for p in v.problems)
    for words in ("Frustration", "no complete JSON", "required property", "cut off", "rather calm"):
        assert words in problems


def test_failures_that_pass_and_failures_that_stay() -> None:
    schema = answers.load_schema("label", MELT)
    mock = create("mock:transient=1", AnnotatorOptions())

    async def run() -> Reply:
        with pytest.raises(TransientError):
            await mock.answer(make(0, schema), (), 0)
        return await mock.answer(make(0, schema), (), 0)

    assert json.loads(asyncio.run(run()).raw)["label"] in MELT.prompt_order
    with pytest.raises(RequestRejected):
        ask("mock:rejected=1", schema)


def test_latency_is_waited_for() -> None:
    reply = ask("mock:latency=0.05", answers.load_schema("label", MELT))[0]
    assert 0.05 <= reply.seconds < 60
    assert (reply.cost, reply.means, reply.model) == (0.0, "mock", "mock")


def test_settings_that_change_replies_are_in_the_endpoint() -> None:
    endpoint = {
        s: create(s, AnnotatorOptions()).endpoint for s in ("mock", "mock:latency=1", "mock:invalid=0.5")
    }
    assert endpoint["mock"] == endpoint["mock:latency=1"] == "mock"
    assert endpoint["mock:invalid=0.5"] == "mock:invalid=0.5"
    assert create("mock", AnnotatorOptions(seed=3)).endpoint == "mock:seed=3"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mock:invald=0.1", r"Bad mock setting 'invald', expected one of \['invalid'"),
        ("mock:invalid", "expected invalid=NUMBER"),
        ("mock:invalid=many", "expected invalid=NUMBER"),
        ("mock:invalid=1.5", "expected 0 to 1"),
        ("mock:seed=1.5", "expected seed=NUMBER"),
        ("mock:latency=-1", "expected seconds"),
        ("mock:invalid=nan", "expected 0 to 1"),
    ],
)
def test_bad_settings(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        create(spec, AnnotatorOptions())
