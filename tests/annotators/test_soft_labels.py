"""From the tokens of a reply to the log-probability of each label."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.annotators import soft_labels
from remelt.annotators.soft_labels import Token, as_json, from_logprobs, label_names, label_place, of_reply

NAMES = ["Anger", "Disgust", "Sadness", "Joy", "Neutral", "Surprise", "Fear"]
SCHEMA: dict[str, Any] = {
    "x-remelt-label": "elements.emotion",
    "properties": {"elements": {"properties": {"emotion": {"enum": NAMES}, "pitch": {}}}},
}


def token(text: str, *others: tuple[str, float], p: float = 1.0) -> Token:
    """A token with probabilities (not logarithms) of itself and others."""
    return Token(text.encode(), tuple((t.encode(), math.log(q)) for t, q in ((text, p), *others)))


def labelled(schema: dict[str, Any], *tokens: Token) -> dict[str, float]:
    """The probabilities in a reply made of `tokens`."""
    raw = b"".join(t.text for t in tokens).decode()
    return {label: math.exp(p) for label, p in of_reply(raw, tokens, schema).items()}


HEAD = (token('{"elements":'), token(' {"pitch": "low", "em'), token('otion": "'))
TAIL = (token('"}'), token("}"))


def test_whole_labels_as_tokens() -> None:
    found = labelled(SCHEMA, *HEAD, token("Joy", ("Fear", 0.2), ("Happy", 0.1), p=0.7), *TAIL)
    assert found == pytest.approx({"joy": 0.7, "fear": 0.2})


def test_spellings_and_beginnings_count_together() -> None:
    choice = token("Joy", (" joy", 0.1), ("J", 0.05), ("Fe", 0.1), (" fear", 0.05), ("Frust", 0.1), p=0.5)
    assert labelled(SCHEMA, *HEAD, choice, *TAIL) == pytest.approx({"joy": 0.65, "fear": 0.15})


def test_the_quote_in_the_labels_token() -> None:
    head = (token('{"elements": {"emotion":'),)
    choice = token(' "Joy', (' "Fear', 0.2), ('"Joy', 0.1), (' "', 0.1), (" Fear", 0.1), p=0.5)
    assert labelled(SCHEMA, *head, choice, *TAIL) == pytest.approx({"joy": 0.6, "fear": 0.2})


def test_labels_of_several_tokens_are_told_apart_where_they_part() -> None:
    first = token("S", ("J", 0.3), ("s", 0.1), p=0.6)
    second = token("ad", ("urprise", 0.25), ("illy", 0.25), p=0.5)
    found = labelled(SCHEMA, *HEAD, first, second, token("ness"), *TAIL)
    assert found == pytest.approx({"joy": 0.3, "sadness": 0.7 * 0.5, "surprise": 0.7 * 0.25})


@pytest.mark.parametrize(
    ("ends", "rest", "expected"),
    [
        (token('"', ("ness", 0.25), p=0.75), "}", {"sad": 0.6, "sadness": 0.2}),
        (token("ness", ('"', 0.25), p=0.75), '"}', {"sad": 0.2, "sadness": 0.6}),
        (token('"}', ('",', 0.15), ("ness", 0.25), p=0.6), "", {"sad": 0.6, "sadness": 0.2}),
    ],
)
def test_a_label_that_begins_another_ends_at_its_quote(
    ends: Token, rest: str, expected: dict[str, float]
) -> None:
    schema = {"x-remelt-label": "label", "properties": {"label": {"enum": ["sad", "sadness", "joy"]}}}
    begins = token("sad", ("joy", 0.2), p=0.8)
    found = labelled(schema, token('{"label": "'), begins, ends, token(rest))
    assert found == pytest.approx({**expected, "joy": 0.2})


def test_a_shared_beginning_that_was_not_followed_is_shared_out() -> None:
    found = labelled(SCHEMA, *HEAD, token("Joy", ("S", 0.4), p=0.6), *TAIL)
    assert found == pytest.approx({"joy": 0.6, "sadness": 0.2, "surprise": 0.2})


def test_a_space_before_the_label_says_nothing_and_the_next_token_does() -> None:
    found = labelled(
        SCHEMA, *HEAD, token(" ", ("Joy", 0.4), p=0.6), token("Fear", ("Joy", 0.5), p=0.5), *TAIL
    )
    assert found == pytest.approx({"joy": 0.4 + 0.6 * 0.5, "fear": 0.6 * 0.5})


def test_what_servers_cut_off_the_text() -> None:
    choice = token("Joy", ("Fear", 0.2), p=0.8)
    tokens = (
        token("<think>"),
        token('{"a": 1}</think>'),
        token("```json\n"),
        *HEAD,
        choice,
        *TAIL,
        token("\n```"),
    )
    whole = b"".join(t.text for t in tokens).decode()
    for raw in (whole, whole.partition("```json\n")[2].removesuffix("\n```"), whole.partition("</think>")[2]):
        assert of_reply(raw, tokens, SCHEMA) == pytest.approx({"joy": math.log(0.8), "fear": math.log(0.2)})
    assert of_reply(whole.replace("low", "high"), tokens, SCHEMA) == {}


def test_prefill() -> None:
    prefill, choice = '{"character": "Ré", "elements": {"emotion": ', token('"Joy', ('"Fear', 0.2), p=0.8)
    tokens = (choice, token('", "pitch": "é"}}'))
    raw = b"".join(t.text for t in tokens).decode()
    expected = pytest.approx({"joy": math.log(0.8), "fear": math.log(0.2)})
    assert of_reply(raw, tokens, SCHEMA, prefill) == expected
    assert of_reply(raw, tokens, SCHEMA) == {}
    given = '{"elements": {"emotion": "Joy", "pitch": "'
    assert of_reply('low"}}', (token('low"}}'),), SCHEMA, given) == {}
    assert of_reply(prefill + raw, (token(prefill), *tokens), SCHEMA, prefill) == expected
    assert of_reply(prefill + raw, tokens, SCHEMA, prefill) == expected, "llama.cpp repeats the prefill"


def test_tokens_that_end_inside_a_character() -> None:
    schema = {"x-remelt-label": "label", "properties": {"label": {"enum": ["Ärger", "Ängste", "Freude"]}}}
    start, other = "Ä".encode()[:1], "Ä".encode()[1:]
    tokens = (
        token('{"a": "é", "label": "'),
        Token(start, ((start, math.log(0.6)), (b"F", math.log(0.4)))),
        Token(other, ((other, 0.0),)),
        token("r", ("n", 0.25), p=0.75),
        token('ger"}'),
    )
    raw = b"".join(t.text for t in tokens).decode()
    found = of_reply(raw, tokens, schema)
    assert {k: math.exp(v) for k, v in found.items()} == pytest.approx(
        {"ärger": 0.45, "ängste": 0.15, "freude": 0.4}
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"label": "Joy"}', 11),
        ('So {"label": "Fear"} or { {"label" :\n"joy"} ok', 38),
        ('{"x": {"label": "Joy"}, "label": 3}', None),
        ('{"label": "Happy"}', None),
        ('{"label": ["Joy"]}', None),
        ('{"why": "\\"label\\": \\"Joy\\"", "label": " Joy "', 40),
        ("{" * 500, None),
        ("", None),
    ],
)
def test_the_labels_place(text: str, place: int | None) -> None:
    found = label_place(text, ["label"], NAMES)
    assert found == place
    assert found is None or text[found:].lstrip().casefold().startswith(("joy", "fear"))


@pytest.mark.parametrize(
    "logprobs",
    [None, {}, {"content": None}, {"content": [3]}, {"content": [{"token": "a"}]}, [1], {"tokens": ["a"]},
     {"content": [{"token": "a", "logprob": True}]}, {"content": [{"bytes": [300], "logprob": -1}]}],
)  # fmt: skip
def test_what_is_no_list_of_tokens_gives_nothing(logprobs: Any) -> None:
    assert from_logprobs(logprobs, '{"elements": {"emotion": "Joy"}}', SCHEMA) == ""


def test_openai_form() -> None:
    def entry(text: str, logprob: float, *top: tuple[str, float]) -> dict[str, Any]:
        others = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in top]
        return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": others}

    content = [
        entry('{"elements": {"emotion": "', 0.0),
        entry("Joy", -0.11, ("Joy", -0.11), ("Fear", -2.5), ("Anger", -9999.0)),
        entry('"}}', 0.0, ('"}}', 0.0)),
        {"token": "<|end|>", "logprob": -0.1, "bytes": None, "top_logprobs": None},
    ]
    found = from_logprobs({"content": content}, '{"elements": {"emotion": "Joy"}}', SCHEMA)
    assert found == '{"fear":-2.5,"joy":-0.11}'
    alone = [{k: v for k, v in e.items() if k != "top_logprobs"} for e in content]
    assert json.loads(from_logprobs({"content": alone}, '{"elements": {"emotion": "Joy"}}', SCHEMA)) == {
        "joy": -0.11
    }


def test_labels_come_from_the_schema() -> None:
    assert label_names(SCHEMA) == tuple(NAMES)
    assert label_names({"x-remelt-label": "a", "properties": {"a": {"type": "string"}}}) == ()
    assert label_names({}) == ()
    assert as_json({}) == ""


@given(st.lists(st.floats(0.001, 1), min_size=7, max_size=7), st.integers(0, 6), st.integers(0, 7))
def test_shares_are_the_models_however_the_label_is_cut(weights: list[float], chosen: int, cut: int) -> None:
    """A label cut into two tokens at any place, where no two labels share the first part."""
    names, total = ["Anger", "Disgust", "Sadness", "Joy", "Neutral", "Wonder", "Fear"], sum(weights)
    schema = {"x-remelt-label": "label", "properties": {"label": {"enum": names}}}
    shares = {name: w / total for name, w in zip(names, weights, strict=True)}
    others = [(n[:cut] or n, q) for n, q in shares.items() if n != names[chosen]]
    first, rest = (names[chosen][:cut], names[chosen][cut:]) if cut else (names[chosen], "")
    found = labelled(
        schema, token('{"label": "'), token(first, *others, p=shares[names[chosen]]), token(rest + '"}')
    )
    assert found == pytest.approx({name.casefold(): q for name, q in shares.items()})


def test_nothing_of_a_server_is_needed() -> None:
    assert {name for name in vars(soft_labels) if "openai" in name} == set()
