"""Which rows Feng and Narayanan's systems train and test on, and that nothing added is ever tested on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remelt.errors import InputError
from remelt.recipes.evaluation.base import Material, Trial
from remelt.recipes.evaluation.utterances import extra, vote_rows
from remelt.recipes.evaluation.utterances.settings import VARIANTS, VoteSettings

from .utterances import CLASSES, Tones, corpus, relabelled, setup_of

ALONE, HUMAN, ASR = VARIANTS


def heard(material: Material, lost: int = 0) -> Material:
    """With a recogniser's words for all but the first rows."""
    words = {row.id: f"heard {row.text}" for row in material.examples[lost:]}
    return replace(material, transcripts={"whisper": words})


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Material:
    """What `augment=more` reads: rows of another corpus."""
    found = corpus("more", each=1, sessions=1)
    monkeypatch.setattr(extra, "_read", {"more": found}.__getitem__)
    return found


def test_one_session_tests_and_the_next_one_validates(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, corpus(sessions=5), VoteSettings(variants=(ALONE,)))
    trials = vote_rows.trials(setup)
    assert [trial.fold for trial in trials] == [f"Session{k}" for k in range(1, 6)]
    tested = []
    for number, trial in enumerate(trials, 1):
        (split,) = vote_rows.splits(trial, setup).values()
        parts = [{row.session for row in rows} for _, rows in split.parts()]
        assert parts[2] == {f"Session{number}"}
        assert parts[1] == {f"Session{number % 5 + 1}"}
        assert len(parts[0]) == 3
        assert not parts[0] & (parts[1] | parts[2])
        tested += [row.id for row in split.test]
    assert sorted(tested) == sorted(row.id for row in setup.material.examples)


def test_labels_train_and_the_corpus_s_own_test(tmp_path: Path) -> None:
    material = relabelled(corpus(), missing=4, name="vote")
    setup = setup_of(tmp_path, material, VoteSettings(variants=(ALONE,)), labels=("old", "vote"))
    trial = Trial("vote", ALONE, "Session3", 0)
    (split,) = vote_rows.splits(trial, setup).values()
    old, vote = material.labels["old"], material.labels["vote"]
    assert all(row.label == vote[row.id] for row in (*split.train, *split.validation))
    assert all(row.label == old[row.id] for row in split.test)
    assert any(vote[row.id] != old[row.id] for row in split.train)
    by_old = replace(setup, settings=VoteSettings(variants=(ALONE,), validate_on="reference"))
    (other,) = vote_rows.splits(trial, by_old).values()
    assert all(row.label == old[row.id] for row in other.validation)
    common = replace(setup, settings=VoteSettings(variants=(ALONE,), rows="common"))
    for name, settings in (("own", setup), ("common", common)):
        sizes = {
            condition: len(
                next(iter(vote_rows.splits(replace(trial, condition=condition), settings).values())).train
            )
            for condition in ("old", "vote")
        }
        assert (sizes["old"] > sizes["vote"]) == (name == "own"), name


def test_variants_have_their_words_on_the_same_rows(tmp_path: Path) -> None:
    material = heard(corpus(), lost=2)
    setup = setup_of(tmp_path, material, VoteSettings())
    assert vote_rows.variants(setup) == VARIANTS
    rows = {}
    for variant in VARIANTS:
        found = vote_rows.splits(Trial("old", variant, "Session1", 0), setup)
        rows[variant] = {part: [row.id for row in r] for part, r in found["folds"].parts()}
        expected = {
            ALONE: {"folds"},
            HUMAN: {"folds", "folds-asr-words"},
            ASR: {"folds", "folds-human-words"},
        }
        assert set(found) == expected[variant]
        spoken = {str(row.text).startswith("heard ") for _, r in found["folds"].parts() for row in r}
        assert spoken == {variant == ASR}
        for name, split in found.items():
            if name != "folds":
                assert {str(row.text).startswith("heard ") for row in split.test} == {variant == HUMAN}
                assert [row.id for row in split.test] == rows[variant]["test"]
    assert rows[ALONE] == rows[HUMAN] == rows[ASR]
    assert not set(rows[ALONE]["test"]) & {row.id for row in material.examples[:2]}


def test_added_rows_train_and_nothing_else(tmp_path: Path, added: Material) -> None:
    setup = setup_of(tmp_path, heard(corpus()), VoteSettings(augment="more"), tests=None)
    assert vote_rows.conditions(setup) == ("old", "old+more")
    more = {row.id for row in added.examples}
    for trial in vote_rows.trials(setup):
        for split in vote_rows.splits(trial, setup).values():
            parts = {name: {row.id for row in rows} for name, rows in split.parts()}
            assert not more & (parts["validation"] | parts["test"])
            assert (more & parts["train"]) == (more if trial.condition == "old+more" else set())


def test_a_leak_by_sound_is_refused(tmp_path: Path, added: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    material = corpus()
    known = material.sounds
    assert known is not None

    class Copied(Tones):
        """One added clip is a clip of the corpus under another name."""

        def digest(self, example_id: str) -> str:
            last = added.examples[-1].id
            return known.digest(material.examples[0].id) if example_id == last else super().digest(example_id)

    leaking = replace(added, sounds=Copied(added.labels["old"]))
    monkeypatch.setattr(extra, "_read", {"more": leaking}.__getitem__)
    setup = setup_of(tmp_path, material, VoteSettings(variants=(ALONE,), augment="more"))
    with pytest.raises(InputError, match=r"leaks: sounds in several parts: 1, .*more/train/"):
        vote_rows.trials(setup)


def test_the_corpus_itself_is_not_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material = corpus()
    monkeypatch.setattr(extra, "_read", {"again": material}.__getitem__)
    setup = setup_of(tmp_path, material, VoteSettings(variants=(ALONE,), augment="again"))
    with pytest.raises(InputError, match=r"leaks: ids in it more than once: 64"):
        vote_rows.trials(setup)


def augmented_folder(test_has_added: bool) -> Material:
    """What `remelt augment` makes of four sessions and another corpus."""
    base, more = corpus(), corpus("more", each=1, sessions=1)
    of = {k: [row.id for row in base.examples if row.session == f"Session{k}"] for k in range(1, 5)}
    added = [row.id for row in more.examples]
    fold = {"train": (*of[3], *of[4], *added), "validation": tuple(of[2]), "test": tuple(of[1])}
    if test_has_added:
        fold |= {"train": (*of[3], *of[4]), "test": (*of[1], *added)}
    both = {**base.labels["old"], **more.labels["old"]}
    return replace(
        base,
        kind="folds",
        examples=(*base.examples, *more.examples),
        labels={"human": base.labels["old"], "augmented": both},
        sounds=Tones(both),
        folds={"Session1": {name: tuple(rows) for name, rows in fold.items()}},
    )


def test_folds_of_augment_are_taken_as_they_are(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, augmented_folder(False), VoteSettings(variants=(ALONE,)))
    sizes = {}
    for trial in vote_rows.trials(setup):
        (split,) = vote_rows.splits(trial, setup).values()
        sizes[trial.condition] = tuple(len(rows) for _, rows in split.parts())
        assert all(row.corpus == "acted" for row in (*split.validation, *split.test))
    assert sizes == {"human": (32, 16, 16), "augmented": (40, 16, 16)}


@pytest.mark.parametrize(
    ("material", "settings", "message"),
    [
        (augmented_folder(True), VoteSettings(), r"8 test rows are added ones, such as more/train/"),
        (augmented_folder(False), VoteSettings(augment="more"), r"leave out --set augment"),
        (corpus(), VoteSettings(variants=(ASR,)), r"no words for the variant 'speech_text_asr'"),
        (corpus(), VoteSettings(transcripts="mms"), r"Bad transcripts 'mms'"),
        (corpus(), VoteSettings(reference="vote"), r"Bad reference 'vote'"),
        (corpus(), VoteSettings(classes=("joy", "fear")), r"Bad class 'fear'"),
        (corpus(), VoteSettings(protocol="splits"), r"Bad test split"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, material: Material, settings: VoteSettings, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        vote_rows.trials(setup_of(tmp_path, material, settings))


def test_classes_can_be_chosen(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, corpus(), VoteSettings(variants=(ALONE,), classes=("joy", "anger")))
    trial = vote_rows.trials(setup)[0]
    (split,) = vote_rows.splits(trial, setup).values()
    assert {row.label for _, rows in split.parts() for row in rows} == {"anger", "joy"}
    assert set(CLASSES) > {"anger", "joy"}
