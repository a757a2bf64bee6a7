"""Levels for utterances: which measure makes which column, and what each is compared with."""

from __future__ import annotations

from dataclasses import replace

from remelt.recipes.listening.levelling import audible, fit_levels, levels_of
from remelt.voice.bins import BinOptions

from ..builders import utterance

PEOPLE = [("Ann", "female", 30.0), ("Bob", "male", 10.0)]
UTTERANCES = [
    replace(utterance(100 * place + n), speaker=name, sex=sex)
    for place, (name, sex, _) in enumerate(PEOPLE)
    for n in range(40)
]
MEASURES: dict[str, dict[str, float | None]] = {
    u.id: {
        "f0_semitone_mean": {n: b for n, _, b in PEOPLE}[u.speaker] + int(u.utterance_id) % 100,
        "loudness_mean": float(u.utterance_id),
        "syllable_rate": -float(u.utterance_id),
    }
    for u in UTTERANCES
}


def test_pitch_is_compared_as_asked_and_the_others_with_the_corpus() -> None:
    schemes = fit_levels(UTTERANCES, MEASURES, BinOptions(pitch_by="speaker"))
    assert {name: scheme.by for name, scheme in schemes.items()} == {
        "pitch_level": "speaker", "loudness_level": "corpus", "rate_level": "corpus"
    }  # fmt: skip
    first_of_ann, first_of_bob = UTTERANCES[0], UTTERANCES[40]
    assert levels_of(first_of_ann, MEASURES[first_of_ann.id], schemes) == {
        "pitch_level": "low", "loudness_level": "low", "rate_level": "high"
    }  # fmt: skip
    assert levels_of(first_of_bob, MEASURES[first_of_bob.id], schemes) == {
        "pitch_level": "low", "loudness_level": "mid", "rate_level": "mid"
    }  # fmt: skip


def test_utterances_and_measures_may_be_missing() -> None:
    some = {u.id: MEASURES[u.id] for u in UTTERANCES[:40]} | {UTTERANCES[40].id: {"loudness_mean": None}}
    schemes = fit_levels(UTTERANCES, some, BinOptions())
    assert schemes["pitch_level"].missing == schemes["loudness_level"].missing == 40
    assert set(levels_of(UTTERANCES[40], {}, schemes).values()) == {None}
    assert sum(schemes["pitch_level"].levels["train"].values()) == len(UTTERANCES)


def test_silence_is_no_low_voice_and_moves_no_limit() -> None:
    silent = {u.id for u in UTTERANCES[:40]}
    heard = {
        key: audible(
            {**measures, **({"loudness_mean": 0.0} if key in silent else {})}, ["silent"] * (key in silent)
        )
        for key, measures in MEASURES.items()
    }
    schemes = fit_levels(UTTERANCES, heard, BinOptions())
    levels = [levels_of(u, heard[u.id], schemes)["loudness_level"] for u in UTTERANCES]
    assert levels[:40] == [None] * 40
    assert {level: levels.count(level) for level in ("low", "mid", "high")} == {
        "low": 12,
        "mid": 16,
        "high": 12,
    }
    assert any("40 rows without a value" in note for note in schemes["loudness_level"].notes)
