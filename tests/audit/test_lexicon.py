"""Words about a voice are read as a person reads them, by the rules that the documentation states."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remelt.audit.lexicon import DIMENSIONS, LEVELS, RULES, content, level, version
from remelt.errors import InputError

from .phrases import phrases

CASES = list(phrases())


@pytest.mark.parametrize(("dimension", "text", "expected"), CASES, ids=lambda value: str(value))
def test_a_phrase(dimension: str, text: str, expected: str | None) -> None:
    reading = level(text, dimension)
    assert reading.level == expected, reading
    assert reading.rule in RULES
    assert bool(reading.evidence) == (reading.rule not in ("unknown", "empty")) or text == "not normal"


def test_the_phrases_cover_every_dimension_and_level() -> None:
    assert len(CASES) == len({(d, t) for d, t, _ in CASES}) >= 250
    counts = Counter((dimension, expected) for dimension, _, expected in CASES)
    assert all(counts[d, found] >= 15 for d in DIMENSIONS for found in LEVELS)
    rules = Counter(level(text, dimension).rule for dimension, text, _ in CASES)
    assert set(rules) == set(RULES) - {"empty"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("high", "named"),
        (" HIGH ", "named"),
        ("quite high", "word"),
        ("higher than usual", "compared"),
        ("a bit higher", "diminished"),
        ("moderate to high", "several"),
        ("starts low and rises", "start_end"),
        ("rising", "change"),
        ("monotone", "manner"),
        ("varied", "varying"),
        ("not high", "negated"),
        ("rising at the end", "partly"),
        ("wistful", "unknown"),
        ("  ", "empty"),
        (None, "empty"),
    ],
)
def test_the_rule_is_named(text: str | None, rule: str) -> None:
    assert level(text, "pitch").rule == rule


def test_the_same_word_can_mean_two_things() -> None:
    assert level("deep", "pitch").level == "low"
    assert level("deep", "loudness").level is None
    assert level("soft", "loudness").rule == "word"
    assert level("soft", "pitch").rule == "manner"
    assert level("high volume, slow pace", "loudness").level == "high"
    assert level("high volume, slow pace", "rhythm_speed").level == "low"
    assert level("high volume, slow pace", "pitch").level is None


@pytest.mark.parametrize(
    "text", ["LOUD", "loud.", "  loud  ", "“Loud”", "loud…", "ＬＯＵＤ", "loud\n", "*loud*"]
)
def test_case_punctuation_and_width_do_not_matter(text: str) -> None:
    assert level(text, "loudness").level == "high"


@pytest.mark.parametrize("text", ["cloud", "aloud and allowed", "alow", "highway", "slowworm", "notable"])
def test_only_whole_words_count(text: str) -> None:
    found = {level(text, d).level for d in DIMENSIONS}
    assert found <= {None, "mid"}


@pytest.mark.parametrize(
    "text", ["", "\x00", "🔊", "。", "-", "not", "than", "at the end", "(", "a" * 100_000]
)
def test_odd_texts_are_unknown_and_raise_nothing(text: str) -> None:
    assert {level(text, d).level for d in DIMENSIONS} == {None}


def test_an_unknown_dimension_is_named() -> None:
    with pytest.raises(InputError, match=r"Bad dimension 'volume', expected one of \['pitch'"):
        level("loud", "volume")


def test_the_word_list_is_sound() -> None:
    """No word stands under two levels of one dimension, and none is spelled so that it can never match."""
    found = content()
    assert version() >= 1
    for dimension in DIMENSIONS:
        own: Counter[str] = Counter()
        for part in (found["any"], found[dimension]):
            own.update(word for kind in part.values() for word in kind)
        assert [word for word, count in own.items() if count > 1] == []
    words = [w for part in ("any", *DIMENSIONS) for kind in found[part].values() for w in kind]
    words += [w for role, entries in found["grammar"].items() if role != "nouns" for w in entries]
    assert [w for w in words if not isinstance(w, str) or w != w.casefold() or "-" in w or "'" in w] == []
    roles = [set(v) for k, v in found["grammar"].items() if k not in ("nouns", "comparatives")]
    assert not [w for i, a in enumerate(roles) for b in roles[i + 1 :] for w in a & b]


@given(text=st.text(max_size=60), dimension=st.sampled_from(DIMENSIONS))
def test_any_text_gives_a_reading(text: str, dimension: str) -> None:
    reading = level(text, dimension)
    assert reading.rule in RULES
    assert (reading.level is None) == (reading.rule in ("unknown", "empty"))


WORDS = ("high", "low", "not", "than", "at", "the", "end", "starts", ",", "but", "rising", "less", "to")


@given(words=st.lists(st.sampled_from(WORDS), max_size=9), dimension=st.sampled_from(DIMENSIONS))
def test_in_any_order_of_words_case_changes_nothing(words: list[str], dimension: str) -> None:
    text = " ".join(words)
    assert level(text, dimension) == level(text.upper(), dimension)
