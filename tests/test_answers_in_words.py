"""Answers that are a word of the prompt's list instead of an object (Feng & Narayanan 2023)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt import answers, corpora, prompting
from remelt.errors import InputError
from remelt.labels import FENG, MELT, custom_label_set, words_in
from remelt.records import Verdict

from .builders import reply, request

SCHEMA = answers.load_schema("option", FENG)
CHECKER = answers.Checker(SCHEMA, FENG)


def test_the_papers_prompt_is_sent_as_far_as_answer() -> None:
    [row] = [u for u in corpora.load("sample").utterances if u.id == "sample/train/dia0_utt1"]
    [message], prefill = prompting.render(prompting.load("feng"), row, FENG)
    assert message.role == "user"
    assert message.content == (
        'What is the emotion of this utterance? "It does what to you?"\n'
        "Options: -neutral -sad -angry -happy -other ANSWER:"
    )
    assert prefill == ""


@pytest.mark.parametrize(
    ("raw", "label", "notes"),
    [
        ("sad", "sadness", ()),
        (" neutral\n", "neutral", ()),
        ("-angry", "anger", ()),
        ('"other".', "other", ()),
        ("Happy", "joy", ("label_case",)),
        ("**SAD**", "sadness", ("label_case",)),
        ("The answer is sad.", "sadness", ("text_around_word",)),
        ("ANSWER: neutral", "neutral", ("text_around_word",)),
        ("sad, very sad", "sadness", ("text_around_word",)),
        ("<think>not happy, sad or angry</think>\n\nangry", "anger", ("think_block",)),
        ("sadness", "sadness", ("label_case",)),
        ("Not a doubt. sad", "sadness", ("text_around_word",)),
        ("It is not easy to tell from these words, sad", "sadness", ("text_around_word",)),
        ("I don't think so, but it may be sad", "sadness", ("text_around_word",)),
        ("A notable, knotty answer: sad", "sadness", ("text_around_word",)),
        ("sad is what it is", "sadness", ("text_around_word",)),
        ("It is sad. That is not good.", "sadness", ("text_around_word",)),
        ('{"label": "sad"}', "sadness", ()),
        ('{"label": "Sadness"}', "sadness", ("label_case",)),
        ('```json\n{"label": "happy"}\n```', "joy", ("code_fence",)),
        ('{"emotion": "happy"}', "joy", ("text_around_word",)),
    ],
)
def test_exactly_one_option_is_the_label(raw: str, label: str, notes: tuple[str, ...]) -> None:
    verdict = CHECKER.judge(raw)
    assert (verdict.status, verdict.label, verdict.notes) == ("valid", label, notes)
    assert verdict.answer == {"label": FENG.spelled(label)}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("", "the reply is empty"),
        ("frustrated", "names none of the options ['neutral', 'sad', 'angry', 'happy', 'other']: frustrated"),
        ("unhappy", "names none of the options"),
        ("sadly", "names none of the options"),
        ("non-neutral", "names none of the options"),
        ("sad or angry", "names several options: sad, angry"),
        ("sad, not happy", "names several options: sad, happy"),
        (
            "Options: -neutral -sad -angry -happy -other",
            "names several options: neutral, sad, angry, happy, o",
        ),
        ("She is not happy.", "says what the label is not: She is not happy."),
        ("She isn’t sad", "says what the label is not"),
        ("The speaker is not really happy.", "says what the label is not"),
        ("hardly happy", "says what the label is not"),
        ("no, angry isn't it", "says what the label is not: no, angry isn't it"),
        ("Angry is not it.", "says what the label is not"),
        ("I don’t think that the speaker here is happy", "says what the label is not"),
        ("anything but  sad", "says what the label is not"),
        ("happy at first, but certainly not all happy", "says what the label is not"),
        ("<think>sad, I think", "ends before its thoughts do"),
        ("<think>sad</think>", "nothing but thoughts"),
        ('{"label": "frustrated"}', "label: 'frustrated' is not one of ['neutral', 'sad'"),
        ('{"label": "sad"} {"label": "happy"}', "several answers with different labels: sadness, joy"),
    ],
)
def test_none_or_several_options_are_no_label(raw: str, problem: str) -> None:
    verdict = CHECKER.judge(raw)
    assert (verdict.status, verdict.label) == ("invalid", None)
    assert problem in verdict.problems[0]


def test_a_cut_reply_says_so() -> None:
    assert CHECKER.judge("sad, as", finish_reason="length").notes == ("text_around_word", "finish_length")
    [problem] = CHECKER.judge("The emotion of", finish_reason="length").problems
    assert problem.startswith("the reply was cut off at the token limit; the reply names none")


@given(st.sampled_from(FENG.prompt_order), st.text(max_size=12), st.text(max_size=12))
def test_an_option_among_anything_is_found_or_refused_never_another(
    name: str, before: str, after: str
) -> None:
    verdict = CHECKER.judge(f"{before} {name} {after}")
    assert verdict.label in (FENG.parse(name), None) or words_in(before + " " + after, FENG.prompt_order)


def test_labels_of_several_words_and_of_ones_own() -> None:
    labels = custom_label_set(["Surprise", "Pleasant surprise", "Überrascht"])
    checker = answers.Checker(answers.load_schema("option", labels), labels)
    assert checker.judge("It is a pleasant  surprise!").label == "pleasant surprise"
    assert checker.judge("überrascht").label == "überrascht"
    assert checker.judge("surprise").answer == {"label": "Surprise"}
    assert answers.Checker(answers.load_schema("option", MELT), MELT).judge("joy").answer == {"label": "Joy"}


def test_a_label_set_with_its_own_spellings_reads_objects_too() -> None:
    checker = answers.Checker(answers.load_schema("label", FENG), FENG)
    assert checker.judge('{"label": "angry"}').label == "anger"
    assert checker.judge('{"label": "anger"}').answer == {"label": "angry"}
    assert SCHEMA["x-remelt-spellings"] == {"angry": "anger", "happy": "joy", "sad": "sadness"}
    assert "x-remelt-spellings" not in answers.load_schema("label", MELT)


@pytest.mark.parametrize("change", [{"x-remelt-answer": "word"}, {"properties": {"label": {}, "why": {}}}])
def test_only_a_label_can_be_given_in_words(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**SCHEMA, **change}))
    with pytest.raises(InputError, match=r"mine.json: Bad 'x-remelt-answer' 'words?', expected 'words' in"):
        answers.load_schema(str(path), FENG)


def test_the_repair_turn_asks_for_a_word() -> None:
    asked = request(0, schema=SCHEMA)
    told = ((reply(asked, raw="sad or happy"), Verdict("invalid", problems=("two of them",))),)
    *_, turn = prompting.repair_turn(prompting.load_repair(SCHEMA), asked, told, FENG)
    assert turn.content == (
        "Your answer cannot be used:\n- two of them\n"
        "Answer again with exactly one of these words and nothing else: neutral, sad, angry, happy, other"
    )
    label_schema = answers.load_schema("label", FENG)
    assert prompting.load_repair(label_schema) == prompting.load_repair()


def test_a_prompt_names_its_label_set(tmp_path: Path) -> None:
    text = prompting.load("feng").text
    path = tmp_path / "mine.md"
    path.write_text(text.replace("labels: feng", "labels: fang"))
    with pytest.raises(InputError, match=r"mine.md: Bad labels 'fang', expected one of \['melt', 'feng'"):
        prompting.load(str(path))
