import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt import answers
from remelt.errors import InputError
from remelt.labels import MELT, custom_label_set

from .builders import reply, request

SCHEMA = answers.load_schema("melt", MELT)
CHECKER = answers.Checker(SCHEMA, MELT)
LABEL_ONLY = answers.Checker(answers.load_schema("label", MELT), MELT)


def good(emotion: str = "Joy", **changes: Any) -> dict[str, Any]:
    answer = {
        "character": "Ross",
        "context": "He is back.",
        "elements": {
            "emotion": emotion,
            "loudness": "loud",
            "pitch": "high",
            "rhythm_speed": "fast",
            "emotional_impact": "warm",
        },
    }
    return {**answer, **changes}


GOOD = json.dumps(good())


def test_a_clean_answer() -> None:
    verdict = CHECKER.judge(GOOD, speaker="Ross")
    assert (verdict.status, verdict.label, verdict.notes, verdict.flags) == ("valid", "joy", (), ())
    assert verdict.answer == good()


@pytest.mark.parametrize(
    ("raw", "notes"),
    [
        (f"```json\n{GOOD}\n```", ("code_fence",)),
        (f"```\n{GOOD}```", ("code_fence",)),
        (f"Here you are:\n```json\n{GOOD}\n```\nAnything else?", ("code_fence", "text_around_json")),
        (f"Sure! {GOOD} Hope that helps {{}}.", ("text_around_json",)),
        (f'<think>maybe {{"a": 1}}</think>{GOOD}', ("think_block",)),
        (
            f"<think>{GOOD.replace('Joy', 'Fear')}</think>\n```json\n{GOOD}\n```",
            ("think_block", "code_fence"),
        ),
        (f'Perhaps {{"a": 1}}?\n</think>\n\nSo: {GOOD}', ("think_block", "text_around_json")),
        ("\ufeff\n" + GOOD, ()),
        (json.dumps(good("  joy")), ("label_case",)),
    ],
)
def test_what_is_tolerated_is_noted(raw: str, notes: tuple[str, ...]) -> None:
    verdict = CHECKER.judge(raw, speaker="Ross")
    assert (verdict.status, verdict.label, verdict.notes) == ("valid", "joy", notes)
    assert verdict.answer == good("Joy")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("", "empty"),
        (f"<think>It could be {GOOD}", "ends before its thoughts do"),
        (f"<think>It could be {GOOD}</think>", "nothing but thoughts"),
        (f"<think>It could be {GOOD}</think>Joy.", "no complete JSON object: Joy."),
        ("I'm sorry, I can't help with that.", "no complete JSON object"),
        (GOOD[:-3], "no complete JSON object"),
        ("[1, 2]", "no complete JSON object"),
        ('{"character": NaN}', "no complete JSON object"),
        ("<html><body>502</body></html>", "no complete JSON object"),
        (json.dumps(good("Frustration")), "'Frustration' is not one of"),
        (json.dumps(good("Joy.")), "'Joy.' is not one of"),
        (json.dumps(good("")), "is not one of"),
        (json.dumps(good(3)), "elements.emotion"),  # type: ignore[arg-type]
        (json.dumps({"character": "Ross"}), "'context' is a required property"),
        (json.dumps(good(mood="x")), "Additional properties are not allowed"),
        (json.dumps(good(context=None)), "context: None is not of type 'string'"),
        ("{" * 100_000, "no complete JSON object"),
        ('{"a":' * 5_000, "no complete JSON object"),
    ],
)
def test_what_cannot_be_used_says_why(raw: str, problem: str) -> None:
    verdict = CHECKER.judge(raw)
    assert verdict.status == "invalid"
    assert verdict.label is None
    assert problem in " ".join(verdict.problems)


def test_a_cut_off_reply_is_named_and_a_complete_one_is_kept() -> None:
    assert "cut off at the token limit" in CHECKER.judge(GOOD[:40], finish_reason="length").problems[0]
    complete = CHECKER.judge(GOOD, finish_reason="length")
    assert complete.status == "valid"
    assert complete.notes == ("finish_length",)


def test_the_prefill_is_put_before_the_reply_or_not_when_it_was_repeated() -> None:
    prefill = '{"character": "Ross", "context": "'
    rest = GOOD[len(prefill) :]
    assert CHECKER.judge(rest, prefill).answer == good()
    assert CHECKER.judge(rest, prefill).notes == ("prefill",)
    assert CHECKER.judge(GOOD, prefill).answer == good()
    assert CHECKER.judge(rest + "\n\nThat is all.", prefill).notes == ("prefill", "text_around_json")


@pytest.mark.parametrize(
    ("echoed", "speaker", "match"),
    [
        ("Ross", "Ross", True),
        ("ross geller", "Ross", True),
        ("Mr. Geller", "mr geller", True),
        ("Ross", "Monica", False),
        ("", "Ross", False),
        ("Rosslyn", "Ross", False),
    ],
)
def test_the_echoed_character_is_a_flag_never_a_reason(echoed: str, speaker: str, match: bool) -> None:
    verdict = CHECKER.judge(json.dumps(good(character=echoed)), speaker=speaker)
    assert verdict.status == "valid"
    assert verdict.flags == (() if match else ("character_mismatch",))


def test_half_a_surrogate_pair_does_not_break_the_dataset() -> None:
    verdict = CHECKER.judge(GOOD.replace("He is back.", "\\ud83d"))
    assert verdict.status == "valid"
    assert verdict.answer is not None
    assert verdict.answer["context"] == "\ufffd"


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    verdict = CHECKER.judge(text)
    assert verdict.status == "invalid"
    assert verdict.problems


@given(
    st.text(max_size=50),
    st.sampled_from(MELT.prompt_order),
    st.text(max_size=30).filter(lambda t: "{" not in t),
)
def test_an_answer_survives_its_surroundings(context: str, emotion: str, around: str) -> None:
    raw = around + json.dumps(good(emotion, context=context)) + around
    verdict = CHECKER.judge(raw)
    assert verdict.status == "valid"
    assert verdict.label == emotion.casefold()


def test_labels_are_put_into_every_schema_from_one_place() -> None:
    mine = custom_label_set(["Calm", "Loud"])
    for name in ("melt", "melt-reasoning", "label"):
        schema = answers.load_schema(name, mine)
        assert json.dumps(["Calm", "Loud"]) in json.dumps(schema)
        assert "$labels" not in json.dumps(schema)
    reasoning = list(answers.load_schema("melt-reasoning", mine)["properties"])
    assert reasoning.index("reasoning") < reasoning.index("elements")
    elements = list(answers.load_schema("melt-reasoning", mine)["properties"]["elements"]["properties"])
    assert elements[-1] == "emotion"


REASONING = answers.Checker(answers.load_schema("melt-reasoning", MELT), MELT)


def test_reasoning_that_follows_the_label_is_no_reasoning() -> None:
    voice = {"loudness": "a", "pitch": "b", "rhythm_speed": "c", "emotional_impact": "d"}
    head = {"character": "Ross", "context": "He is back."}
    label, reason = {"emotion": "Joy"}, {"reasoning": "He smiles."}
    good_order = {**head, **reason, "elements": {**voice, **label}}
    assert REASONING.judge(json.dumps(good_order)).status == "valid"
    verdict = REASONING.judge(json.dumps({**head, "elements": {**voice, **label}, **reason}))
    assert (verdict.status, verdict.label, verdict.notes) == ("invalid", None, ("label_first",))
    assert verdict.problems == ("reasoning must be written before elements.emotion, not after it",)
    verdict = REASONING.judge(json.dumps({**head, **reason, "elements": {**label, **voice}}))
    assert verdict.problems[0].startswith("elements.loudness, elements.pitch")
    assert CHECKER.judge(GOOD).status == "valid", "MELT's own prompt puts the label first"


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (["why"], "'why', but among the properties it stands after 'label'"),
        (
            ["because"],
            r"Bad name in 'x-remelt-before-label' 'because', expected one of \['first', 'note', 'why'\]",
        ),
        (["label"], "Bad name in 'x-remelt-before-label' 'label'"),
        (["note"], "lists 'note', but 'note' is not 'required'"),
        ("first", "expected a list out of"),
    ],
)
def test_a_schema_that_puts_the_label_too_early_is_refused(
    tmp_path: Path, before: object, message: str
) -> None:
    parts = {name: {"type": "string"} for name in ("first", "note", "label", "why")}
    schema = {"x-remelt-label": "label", "properties": parts, "required": ["first", "label", "why"]}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**schema, "x-remelt-before-label": ["first"]}))
    assert answers.load_schema(str(path), MELT)["x-remelt-before-label"] == ["first"]
    path.write_text(json.dumps({**schema, "x-remelt-before-label": before}))
    with pytest.raises(InputError, match=message):
        answers.load_schema(str(path), MELT)


def test_a_reply_that_is_all_reasoning_says_what_to_do() -> None:
    asked = request(0, schema=SCHEMA)
    spent = reply(asked, raw="", finish_reason="length", output_tokens=512, reasoning_tokens=512)
    verdict = CHECKER.check(asked, spent)
    assert verdict.status == "invalid"
    assert verdict.problems == ("all 512 output tokens went into reasoning; raise --max-tokens",)
    assert "empty" in CHECKER.check(asked, replace(spent, reasoning_tokens=None)).problems[0]


def test_broken_schemas_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    for text, message in (
        ("{", "not JSON"),
        ('{"type": "thing"}', "not a JSON Schema"),
        ('{"type": "object"}', "x-remelt-label"),
        ('{"x-remelt-label": "a.b", "properties": {"a": {}}}', "x-remelt-label"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            answers.load_schema(str(path), MELT)
    with pytest.raises(InputError, match="cannot be read"):
        answers.load_schema(str(tmp_path / "none.json"), MELT)
    with pytest.raises(InputError, match=r"Bad schema file 'x.json', expected one of .*melt.json"):
        answers.load_schema("x", MELT)


@pytest.mark.parametrize(
    ("raw", "finish", "problem"),
    [
        ('{"candidates": [{"label": "Anger"}, {"label": "Joy"}], "label": "Neut', "length", "was cut off"),
        ('{"candidates": [{"label": "Anger"}], "label": Joy}', "stop", "no complete JSON object"),
        ('I think {first: {"label": "Anger"}} is wrong.', "stop", "no complete JSON object"),
        ('{"label": "Joy", "label": "Anger"}', "stop", "no complete JSON object"),
        ('{"label": 1e999}', "stop", "no complete JSON object"),
        ('```json\n{"label": "Joy"}\n```\nNot this:\n```\n{"label": "Anger"}\n```', "stop", "joy, anger"),
        ('Either {"label": "Joy"} or {"label": "Anger"}.', "stop", "several answers with different labels"),
        ('{"label": ' + "[" * 500 + "]" * 500 + "}", "stop", "no complete JSON object"),
        ("[" * 5000, "stop", "no complete JSON object"),
    ],
)
def test_no_label_is_guessed(raw: str, finish: str, problem: str) -> None:
    verdict = LABEL_ONLY.judge(raw, "", finish)
    assert (verdict.status, verdict.label) == ("invalid", None)
    assert problem in verdict.problems[0]


@pytest.mark.parametrize(
    "raw",
    [
        'A template {"label": "one of the list"}, so: {"label": "Joy"}',
        'Set {a, b} and {"label": "Joy"}',
        'Twice {"label": "Joy"}, yes {"label": "Joy"}',
        'It says {"not } closed": 1} but {"label": "Joy"}',
    ],
)
def test_the_one_usable_answer_is_found(raw: str) -> None:
    assert LABEL_ONLY.judge(raw).label == "joy"
