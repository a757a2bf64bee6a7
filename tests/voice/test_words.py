"""Words of a text: nothing glued, apostrophes kept where they belong, every script left whole."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.errors import InputError
from remelt.voice.words import normalizer, original, processed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's—don't", ["it's", "don't"]),
        ("It’s—don‘t", ["it's", "don't"]),
        ("don`t don´t donʼt don＇t", ["don't"] * 4),
        ("‘Hello,’ she said. “You’re late!”", ["hello", "she", "said", "you're", "late"]),
        ("'Cause the dogs' bone...", ["cause", "the", "dogs", "bone"]),
        ("rock 'n' roll, rock'n'roll", ["rock", "n", "roll", "rock'n'roll"]),
        ("wait''what", ["wait", "what"]),
        ("''' ' ''", []),
        ("I-I-I mean,you know…right?", ["i", "i", "i", "mean", "you", "know", "right"]),
        ("snake_case e-mail@x.com", ["snake", "case", "e", "mail", "x", "com"]),
        ("3.5% of $1,000", ["3", "5", "of", "1", "000"]),
        ("ÉCOLE cafe\u0301", ["école", "café"]),
        ("Straße İstanbul", ["straße", "i̇stanbul"]),
        ("हिन्दी में बोलो।", ["हिन्दी", "में", "बोलो"]),
        ("你好，世界！", ["你好", "世界"]),
        ("co\u00adop a\u200bb \ufeffc", ["coop", "ab", "c"]),
        ("a\u00a0b\u2003c\td\ne\x1cf", ["a", "b", "c", "d", "e", "f"]),
        ("", []),
        (" - ♪ ... 🙂 ", []),
    ],
)
def test_processed(text: str, words: list[str]) -> None:
    assert processed(text) == words


@given(st.text())
def test_processed_words_are_clean_and_stay_so(text: str) -> None:
    words = processed(text)
    assert processed(" ".join(words)) == words
    for word in words:
        assert word == word.strip("'").lower()
        assert all(c == "'" or not c.isspace() for c in word)


@given(st.lists(st.text(alphabet="abcXYZ'é3", min_size=1), min_size=2), st.sampled_from('—-.,/…&"“”:;!?'))
def test_no_mark_ever_glues_two_words(words: list[str], mark: str) -> None:
    assert processed(mark.join(words)) == processed(" ".join(words))


def test_original_is_white_space_and_nothing_else() -> None:
    assert original(" Hey,\tJoey—NO!\u00a0 ") == ["Hey,", "Joey—NO!"]


def test_whispers_normalisers() -> None:
    pytest.importorskip("transformers")
    english, basic = normalizer("whisper-english"), normalizer("whisper")
    assert english is not None
    assert basic is not None
    assert english("I won't pay twenty-five [laughs] dollars, Mr. Geller") == (
        ["i", "will", "not", "pay", "$25", "mister", "geller"]
    )
    assert basic("Öfter, (hm) No!") == ["öfter", "no"]
    assert normalizer("none") is None


def test_a_missing_package_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.models.whisper", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"--normalizer whisper needs transformers; .*remelt\[hf\]"):
        normalizer("whisper")


def test_an_unknown_normaliser_lists_the_choices() -> None:
    with pytest.raises(InputError, match="Bad normalizer 'nemo', expected one of"):
        normalizer("nemo")
