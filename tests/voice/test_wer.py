"""Word error rate: against jiwer on 10,000 pairs, against a distance written here, and its counts."""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from remelt.errors import InputError
from remelt.voice.wer import Pair, Rate, WerOptions, WerResult, align, duration_bin, interval, score
from remelt.voice.words import original, processed

pytest.importorskip("jiwer")
PLAIN = WerOptions(resamples=0)


def distance(said: list[str], heard: list[str]) -> int:
    """Levenshtein's distance over words, row by row."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]


def misheard(text: str, rng: random.Random) -> str:
    """A text with words lost, changed, added and glued, and its case and marks gone astray."""
    heard = []
    for word in text.split():
        roll = rng.random()
        if roll < 0.06:
            continue
        heard.append(rng.choice(["uh", "the", word[::-1]]) if roll < 0.16 else word)
        if roll > 0.95:
            heard.append(rng.choice(["yeah", "you", "—"]))
    return " ".join(heard).lower() if rng.random() < 0.5 else " ".join(heard)


def random_pairs(count: int, seed: int = 0) -> list[Pair]:
    rng = random.Random(seed)
    vocabulary = ["I", "i", "don't", "Don’t", "no,", "no", "what?", "you", "know", "—", "ok!", "Ross"]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randint(0, 14))) for _ in range(count)]
    return [Pair(f"k{n}", text, misheard(text, rng)) for n, text in enumerate(texts)]


def errors(rate: Rate) -> int:
    return rate.substitutions + rate.deletions + rate.insertions


@pytest.mark.parametrize("words", [original, processed])
def test_every_pair_has_the_least_distance(words: object) -> None:
    pairs = random_pairs(800)
    counts = align(pairs, words)  # type: ignore[arg-type]
    for pair, (s, d, i, hits) in zip(pairs, counts.tolist(), strict=True):
        said, heard = words(pair.reference), words(pair.hypothesis)  # type: ignore[operator]
        assert s + d + i == distance(said, heard)
        assert (s + d + hits, s + i + hits) == (len(said), len(heard))


def test_meld_with_ten_thousand_misheard_lines_is_jiwers(test_data: Path) -> None:
    import jiwer

    with (test_data / "meld" / "train_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["Utterance"] for row in csv.DictReader(file)][:9_989]
    texts += texts[:11]
    rng = random.Random(3)
    pairs = [Pair(f"k{n}", text, misheard(text, rng)) for n, text in enumerate(texts)]
    assert len(pairs) == 10_000
    result = score(pairs, PLAIN)
    for name, words in (("original", original), ("processed", processed)):
        theirs = jiwer.process_words(
            [" ".join(words(p.reference or "")) for p in pairs],
            [" ".join(words(p.hypothesis or "")) for p in pairs],
        )
        ours = result.total[name]
        assert ours.wer == theirs.wer
        assert (ours.hits, ours.substitutions, ours.deletions, ours.insertions) == (
            theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions,
        )  # fmt: skip
    assert result.total["original"].wer > result.total["processed"].wer > 0.1  # type: ignore[operator]


def test_the_rate_is_pooled_and_no_mean_of_rates() -> None:
    pairs = [Pair("a", "one two three four", "one two three four"), Pair("b", "five", "six seven")]
    rate = score(pairs, PLAIN).total["original"]
    assert (rate.words, errors(rate), rate.wer) == (5, 2, 0.4)


def test_more_may_be_inserted_than_was_said() -> None:
    assert score([Pair("a", "no", "thank you for watching")], PLAIN).total["original"].wer == 4.0


def test_original_and_processed() -> None:
    result = score([Pair("a", "It's—don't, Ross!", "it’s don't ross")], PLAIN)
    assert result.readings == ("original", "processed")
    assert result.total["original"].wer == pytest.approx(3 / 2)
    assert result.total["processed"].wer == 0


def test_empty_and_missing_texts_are_counted_and_none_is_lost() -> None:
    pairs = [
        Pair("good", "one two", "one two"),
        Pair("silence", "three four", ""),
        Pair("invented", "", "thanks for watching"),
        Pair("both", "", " "),
        Pair("failed", "five six seven eight", None),
        Pair("unknown", None, "who knows"),
        Pair("nothing", None, None),
        Pair("absent", "nine ten", None, clip=False),
    ]
    result = score(pairs, PLAIN)
    assert result.counts == {
        "utterances": 8, "scored": 4, "no_transcript": 1, "no_clip": 1, "no_reference": 2,
        "empty_reference": 2, "empty_transcript": 2,
    }  # fmt: skip
    rate = result.total["original"]
    assert (rate.utterances, rate.words, rate.deletions, rate.insertions) == (4, 4, 2, 3)
    assert rate.wer == pytest.approx(5 / 4)
    assert result.with_failed["original"] == pytest.approx(9 / 8)
    assert [pair.key for pair in result.failed] == ["failed"]
    assert [pair.key for pair in result.unscored] == ["failed", "unknown", "nothing", "absent"]
    assert [row.pair.key for row in result.scored] == ["good", "silence", "invented", "both"]


def test_nothing_that_can_be_scored() -> None:
    result = score([Pair("a", "one", None), Pair("b", None, "two")])
    assert result.total["original"].wer is None
    assert result.with_failed["original"] == 1.0
    assert score([]).total["original"] == Rate(0, 0, 0, 0, 0, 0, None)
    assert score([Pair("a", "", "x")]).total["original"].wer is None


def grouped() -> WerResult:
    rng = random.Random(5)
    return score(
        [
            Pair(p.key, p.reference, p.hypothesis, rng.choice(["train", "test"]), rng.choice(["Ann", ""]),
                 rng.choice(["joy", "fear"]), rng.choice([0.4, 1.0, 3.0, 99.0, None]))
            for p in random_pairs(400, seed=1)
        ],
        PLAIN,
    )  # fmt: skip


def test_groups_add_up_to_the_whole() -> None:
    result = grouped()
    for groups in result.groups.values():
        for reading, total in result.total.items():
            for field in ("utterances", "words", "hits", "substitutions", "deletions", "insertions"):
                assert sum(getattr(rates[reading], field) for rates in groups.values()) == getattr(
                    total, field
                )
    assert list(result.groups["duration"]) == (
        ["under 1 s", "1 to 2 s", "2 to 4 s", "15 s or more", "unknown"]
    )
    assert list(result.groups["speaker"]) == ["Ann", "unknown"]


def test_the_worst_come_first_and_are_wrong() -> None:
    result = grouped()
    numbers = [row.errors("processed") for row in result.worst]
    assert len(numbers) == 20
    assert numbers == sorted((row.errors("processed") for row in result.scored), reverse=True)[:20]
    assert score([Pair("a", "Right.", "right")], PLAIN).worst == ()


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(0.0, "under 1 s"), (0.999, "under 1 s"), (1.0, "1 to 2 s"), (15.0, "15 s or more"),
     (float("nan"), "unknown"), (None, "unknown")],
)  # fmt: skip
def test_duration_bins(seconds: float | None, name: str) -> None:
    assert duration_bin(seconds) == name


def test_the_interval_is_the_bootstrap_written_out() -> None:
    """Utterances drawn with replacement, errors and words summed, the ratio's percentiles taken."""
    rng = np.random.default_rng(2)
    said = rng.integers(1, 20, 150)
    wrong = rng.binomial(said, 0.3)
    found = interval(wrong, said, WerOptions(resamples=4000), np.random.default_rng(0))
    drawn = [rng.integers(0, 150, 150) for _ in range(4000)]
    by_hand = np.quantile([wrong[d].sum() / said[d].sum() for d in drawn], (0.025, 0.975))
    assert found == pytest.approx(by_hand, abs=0.003)
    narrow = interval(wrong, said, WerOptions(resamples=4000, level=0.5), np.random.default_rng(0))
    assert found is not None
    assert narrow is not None
    assert found[0] < narrow[0] < wrong.sum() / said.sum() < narrow[1] < found[1]


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, options = np.random.default_rng(4), WerOptions(resamples=300)
    inside = 0
    for _ in range(200):
        said = rng.integers(1, 12, 120)
        limits = interval(rng.binomial(said, 0.25), said, options, rng)
        assert limits is not None
        inside += limits[0] <= 0.25 <= limits[1]
    assert 0.88 <= inside / 200 <= 0.99


def test_intervals_are_seeded_and_left_out_where_they_say_nothing() -> None:
    pairs = random_pairs(60)
    options = [WerOptions(seed=1), WerOptions(seed=1), WerOptions(seed=2)]
    first, same, other = (score(pairs, o).total["original"] for o in options)
    assert first == same
    assert (first.low, first.high) != (other.low, other.high)
    assert first.wer == other.wer
    assert score(pairs[:1]).total["original"].low is None
    assert score([Pair("a", "one", "one"), Pair("b", "two", "two")]).total["original"].low is None
    assert score(pairs, PLAIN).total["original"].low is None


def test_a_missing_jiwer_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(InputError, match=r"WER needs jiwer; install it with: pip install 'remelt\[voice\]'"):
        score([Pair("a", "one", "two")])


def test_samples_without_a_word_are_left_out() -> None:
    said, wrong = np.array([0, 4]), np.array([3, 1])
    limits = interval(wrong, said, WerOptions(resamples=500), np.random.default_rng(0))
    assert limits == (0.25, 1.0)
    seeds = range(20)
    one = [interval(wrong, said, WerOptions(resamples=1), np.random.default_rng(s)) for s in seeds]
    assert one == [None] * 20


def test_a_normaliser_is_a_third_reading() -> None:
    pytest.importorskip("transformers")
    pairs = [Pair("a", "I won't pay twenty-five dollars.", "i will not pay $25")]
    result = score(pairs, WerOptions(normalizer="whisper-english", resamples=0))
    assert result.readings == ("original", "processed", "whisper-english")
    assert result.total["whisper-english"].wer == 0
    assert result.total["processed"].wer != 0


@pytest.mark.parametrize("bad", [{"by": ("age",)}, {"resamples": -1}, {"level": 1.0}, {"worst": -1}])
def test_bad_options(bad: dict[str, object]) -> None:
    with pytest.raises(InputError, match="Bad"):
        WerOptions(**bad)  # type: ignore[arg-type]
