"""Folds, what is added to which, and what is refused because the test set would be trained on."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from remelt import corpora
from remelt.cli import app
from remelt.errors import InputError
from remelt.recipes.augment import augment as augmentation
from remelt.recipes.augment.augment import AugmentOptions, augment, read_source
from remelt.recipes.augment.folds import make_folds, untested
from remelt.recipes.augment.leaks import refuse_leaks, same_words
from remelt.records import Utterance

from ..builders import utterance
from ..clip_folders import write_wav
from ..corpora.test_iemocap import release as iemocap
from ..corpora.test_msp_improv import release as improv


def turns(sessions: Sequence[int], each: int = 2) -> list[Utterance]:
    return [utterance(10 * s + n, session=f"Session{s}") for s in sessions for n in range(each)]


def test_each_session_tests_once_and_the_next_validates() -> None:
    rows = turns([1, 2, 3, 4, 5])
    folds = make_folds(rows)
    assert [f.name for f in folds] == ["fold1", "fold2", "fold3", "fold4", "fold5"]
    assert [f.sessions["test"] for f in folds] == [(f"Session{n}",) for n in (1, 2, 3, 4, 5)]
    assert [f.sessions["validation"] for f in folds] == [(f"Session{n}",) for n in (2, 3, 4, 5, 1)]
    for fold in folds:
        ids = [row.id for split in fold.splits.values() for row in split]
        assert sorted(ids) == sorted(row.id for row in rows)
        assert [len(fold.splits[s]) for s in ("train", "validation", "test")] == [6, 2, 2]
    assert make_folds(rows, validation="none")[0].sessions == {
        "train": ("Session2", "Session3", "Session4", "Session5"), "test": ("Session1",)
    }  # fmt: skip


def test_standard_splits_keep_their_names_but_for_validation() -> None:
    names = ("train", "development", "test1", "test2")
    [fold] = make_folds([utterance(n, split=name) for n, name in enumerate(names)])
    assert {name: len(rows) for name, rows in fold.splits.items()} == dict.fromkeys(
        ("train", "validation", "test1", "test2"), 1
    )
    assert untested([fold]) == ""
    told = untested(make_folds([utterance(0), utterance(1, split="dev")]))
    assert told.startswith("The fold 'standard' has train and validation only, and no part to test on: a ")
    assert untested(make_folds(turns([1, 2, 3]))) == ""


@pytest.mark.parametrize(
    ("rows", "options", "problem"),
    [
        (turns([1, 2]), {}, r"need 3 sessions or more \(--validation next\)"),
        (turns([1]), {"validation": "none"}, "need 2 sessions"),
        ([*turns([1]), utterance(1)], {"how": "session"}, "1 of 3 have none, such as toy/train/dia0_utt1"),
        (
            [utterance(1, split="test")],
            {"how": "standard"},
            r"no rows in a split 'train'.*in \['test'\]",
        ),
        (turns([1]), {"how": "speaker"}, "Bad folds 'speaker', expected one of"),
        (turns([1]), {"validation": "first"}, "Bad validation 'first', expected one of"),
    ],
)
def test_folds_that_cannot_be(rows: list[Utterance], options: dict[str, str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        make_folds(rows, **options)


def table(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_pseudo_labelled_rows_train_and_nothing_else(voted_out: Path, tmp_path: Path) -> None:
    corpus = improv(tmp_path / "improv")
    to = tmp_path / "more"
    made = augment(AugmentOptions(str(corpus), (voted_out,), to, validation="none"))
    assert list(made.manifest["folds"]) == ["fold1", "fold2"]
    added = {row.id for row in read_source(voted_out).rows}
    own = {u.id for u in corpora.load(corpus).utterances if u.label in ("anger", "happiness", "sadness")}
    classes = made.manifest["classes"]
    assert classes == ["anger", "joy", "sadness"]
    for name, fold in made.manifest["folds"].items():
        seen: list[str] = []
        for split, counts in fold["rows"].items():
            rows = table(to / name / f"{split}-00000-of-00001.parquet") if counts["rows"] else []
            assert len(rows) == counts["rows"]
            pseudo = {row["id"] for row in rows if row["origin"] == "pseudo"}
            assert pseudo <= added
            assert bool(pseudo) is (split == "train")
            for origin in ("human", "pseudo"):
                for place, label in enumerate(classes):
                    found = sum(r["origin"] == origin and r["label"] == place for r in rows)
                    assert found == counts.get(origin, {}).get(label, 0)
            assert {row["session"] for row in rows if row["origin"] == "human"} <= set(
                fold["sessions"][split]
            )
            seen += [row["id"] for row in rows if row["origin"] == "human"]
        assert sorted(seen) == sorted(own)
    # One row is neutral by the vote, and the corpus has no such label.
    assert made.manifest["sources"][0]["other_labels"]["neutral"] > 0
    text = (to / "manifest.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert str(tmp_path) in (to / ".remelt" / "local.json").read_text(encoding="utf-8")


def origins(to: Path, manifest: Mapping[str, Any]) -> dict[str, set[str]]:
    """Split -> who labelled its rows, in any fold: by the files, and the manifest says the same."""
    found: dict[str, set[str]] = {}
    for name, fold in manifest["folds"].items():
        for split, counts in fold["rows"].items():
            path = to / name / f"{split}-00000-of-00001.parquet"
            own = {row["origin"] for row in table(path)} if counts["rows"] else set()
            assert own == set(counts) - {"rows"}
            found.setdefault(split, set()).update(own)
    return found


def test_no_pseudo_labelled_row_validates(
    voted_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = corpora.load(iemocap(tmp_path / "iemocap", clips=""))
    rows = tuple(
        replace(u, id=f"{u.id}-{n}", session=f"Session{n + 1}") for n in range(4) for u in read.utterances
    )
    monkeypatch.setattr(corpora, "load", lambda *_, **__: replace(read, utterances=rows))
    to = tmp_path / "more"
    made = augment(AugmentOptions("iemocap", (voted_out,), to, validation="next"))
    assert [fold["sessions"]["validation"] for fold in made.manifest["folds"].values()] == [
        ["Session2"], ["Session3"], ["Session4"], ["Session1"]
    ]  # fmt: skip
    assert origins(to, made.manifest) == {
        "train": {"human", "pseudo"}, "validation": {"human"}, "test": {"human"}
    }  # fmt: skip


def test_it_loads_and_is_made_again_in_its_place(voted_out: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    corpus = iemocap(tmp_path / "iemocap")
    to = tmp_path / "more"
    arguments = ["augment", "--corpus", corpus, "--with", voted_out, "--to", to, "--plain"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--validation", "none"])
    assert result.exit_code == 0, result.output
    before = {p.relative_to(to): p.read_bytes() for p in to.glob("*/*.parquet")}
    loaded = load_dataset(str(to), "fold2", cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].features["label"].names == ["joy", "neutral", "sadness"]
    assert set(loaded["train"]["origin"]) == {"human", "pseudo"}
    assert set(loaded["test"]["origin"]) == {"human"}
    row = next(r for r in loaded["test"] if r["origin"] == "human")
    assert (corpus / row["clip"]).is_file()
    augment(AugmentOptions(str(corpus), (voted_out,), to, validation="none"))
    assert before == {p.relative_to(to): p.read_bytes() for p in to.glob("*/*.parquet")}
    made = augment(AugmentOptions(str(corpus), (voted_out,), to, folds="standard"))
    told = [note for note in made.manifest["notes"] if "no part to test on" in note]
    assert [note.rpartition(": ")[2] for note in told] == ["--folds session makes folds with one."]
    assert [p.relative_to(to).as_posix() for p in to.glob("*/*.parquet")] == [
        "standard/train-00000-of-00001.parquet"
    ]
    strange = tmp_path / "mine"
    strange.mkdir()
    (strange / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty and not made by `remelt augment`"):
        augment(AugmentOptions(str(corpus), (voted_out,), strange))


def test_the_corpus_itself_is_refused(voted_out: Path, tmp_path: Path) -> None:
    corpus = voted_out.parent / "corpus"
    with pytest.raises(InputError, match=r"labels meld, the corpus that it would be added to"):
        augment(AugmentOptions(str(corpus), (voted_out,), tmp_path / "more"))
    # Under another name the same file still is the same corpus.
    source = read_source(voted_out)
    read = corpora.load(iemocap(tmp_path / "iemocap", clips=""))
    files = {"x.csv": next(iter(source.manifest["corpus"]["files"].values()))}
    with pytest.raises(InputError, match="was made from files of iemocap"):
        refuse_leaks(replace(read, files=files), [source])
    shared = replace(read.utterances[0], id=source.rows[0].id)
    with pytest.raises(InputError, match=r"1 rows of .* have ids of iemocap, such as meld/train/dia0_utt"):
        refuse_leaks(replace(read, utterances=(shared,)), [source])
    with pytest.raises(InputError, match=r"are in .* too, such as meld/train"):
        refuse_leaks(read, [source, source])


def test_the_same_sound_under_another_name_is_refused(voted_out: Path, tmp_path: Path) -> None:
    corpus = corpora.load(iemocap(tmp_path / "iemocap"))
    source = read_source(voted_out)
    clips = tmp_path / "clips"
    write_wav(clips / "other.wav", 2.0)
    first = replace(source.rows[0], clip="other.wav")
    there = len([u for u in corpus.utterances if u.clip])
    alone = refuse_leaks(corpus, [replace(source, rows=(first,), clips=clips)])
    assert (alone.own, alone.added) == (there, {source.folder: 1})
    assert alone.notes == (
        f"The sound of 1 of the 1 clips of out was compared with {there} of the {there} of iemocap; none is "
        "the same.",
    )
    copied = corpus.utterances[0].clip
    assert copied is not None
    shutil.copy(corpus.folder / copied, clips / "copy.wav")
    rows = (first, replace(source.rows[1], clip="copy.wav"))
    with pytest.raises(InputError, match=r"1 clips of .* are clips of iemocap \(meld/train/\S+ and iemocap/"):
        refuse_leaks(corpus, [replace(source, rows=rows, clips=clips)])


def test_sound_that_is_not_there_is_not_compared(voted_out: Path, tmp_path: Path) -> None:
    corpus = corpora.load(iemocap(tmp_path / "iemocap"))
    source = read_source(voted_out)
    clips = tmp_path / "clips"
    named = tuple(replace(row, clip=f"{n}.wav") for n, row in enumerate(source.rows))
    # Both sides name clips, and first the one's and then the other's files are absent.
    told = refuse_leaks(corpus, [replace(source, rows=named, clips=clips)])
    assert told.notes == (
        f"The sound was not compared: none of the {len(named)} clips that out names is here.",
    )
    assert told.added == {source.folder: 0}
    write_wav(clips / "1.wav", 2.0)
    partly = refuse_leaks(corpus, [replace(source, rows=named, clips=clips)])
    assert partly.notes[0].startswith(f"The sound of 1 of the {len(named)} clips of out was compared with ")
    elsewhere = replace(corpus, folder=tmp_path / "gone")
    told = refuse_leaks(elsewhere, [replace(source, rows=named, clips=clips)])
    assert "clips that iemocap names is here" in told.notes[0]
    assert (told.own, told.added) == (0, {source.folder: 0})
    unnamed = tuple(replace(row, clip=None) for row in source.rows)
    assert refuse_leaks(corpus, [replace(source, rows=unnamed)]).notes == (
        "The sound was not compared: out has no clips.",
    )


def test_words_of_one_speaker_on_both_sides_are_counted(voted_out: Path) -> None:
    first, *_ = read_source(voted_out).rows
    added = [replace(first, speaker=who, text=text) for who, text in (("1001", "It's  eleven."), ("", "Hm!"))]
    said = [
        ("1001", "it's ELEVEN"),
        ("1002", "It's eleven."),
        ("", "It's eleven."),
        ("x", "hm"),
        ("1001", "No."),
    ]
    rows = [utterance(n, speaker=who, text=text) for n, (who, text) in enumerate(said)]
    assert [same_words([row], added) for row in rows] == [1, 0, 1, 1, 0]
    assert same_words(rows, added) == 3
    assert same_words([utterance(1, text="")], added) is None
    assert same_words(rows, [replace(first, text=None)]) is None


def test_the_corpus_under_other_ids_is_told(voted_out: Path, tmp_path: Path) -> None:
    """No id, file or clip is the same, but the speakers and the words are."""
    source = read_source(voted_out)
    path = tmp_path / "copy.csv"
    lines = [("id", "split", "speaker", "text", "label")]
    for n, row in enumerate(source.rows):
        lines += [
            (f"t{n}", "train", "Nobody", "Hm.", row.label),
            (f"c{n}", "test", row.speaker, row.text, row.label),
        ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    result = CliRunner().invoke(
        app, ["augment", "--corpus", str(path), "--with", str(voted_out), "--to", str(tmp_path / "more")]
    )
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "more" / "manifest.json").read_text())
    rows = len(source.rows)
    assert manifest["sources"][0]["same_words_in_test"] == rows
    assert manifest["sources"][0]["sounds_compared"] == manifest["target"]["sounds_compared"] == 0
    told = f"{rows} of the {rows} test rows have the words and the speaker of rows of out."
    assert sum(note.startswith(told) for note in manifest["notes"]) == 1
    assert told in " ".join(result.output.split())
    assert told in (tmp_path / "more" / "README.md").read_text()


def test_classes_must_be_common(voted_out: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "split", "text", "label"), ("a", "train", "Hm.", "bored")])
    with pytest.raises(InputError, match=r"have 0 class names in common"):
        augment(AugmentOptions(str(path), (voted_out,), tmp_path / "more"))
    corpus = iemocap(tmp_path / "iemocap", clips="")
    with pytest.raises(InputError, match=r"Bad class \(of iemocap\) 'fear', expected one of"):
        augment(AugmentOptions(str(corpus), (voted_out,), tmp_path / "more", labels=("fear", "joy")))
    with pytest.raises(InputError, match="Bad split 'dev', expected one of"):
        augment(AugmentOptions(str(corpus), (voted_out,), tmp_path / "more", splits=("dev",)))
    assert not (tmp_path / "more").exists()


def test_meld_as_the_corpus_that_gets_more(
    test_data: Path, voted_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = read_source(voted_out)
    other = {**source.manifest, "corpus": {"name": "other", "title": "Other", "files": {}}}
    rows = tuple(replace(row, id=row.id.replace("meld", "other"), corpus="other") for row in source.rows)
    renamed = replace(source, manifest=other, rows=rows)
    monkeypatch.setattr(augmentation, "read_source", lambda folder, splits: renamed)
    made = augment(AugmentOptions(str(test_data / "meld"), (voted_out,), tmp_path / "more"))
    [fold] = made.manifest["folds"].values()
    human = {split: counts["human"] for split, counts in fold["rows"].items()}
    assert human["train"] == {"anger": 1109, "joy": 1743, "neutral": 4710, "sadness": 683}
    assert human["validation"] == {"anger": 153, "joy": 163, "neutral": 470, "sadness": 111}
    assert human["test"] == {"anger": 345, "joy": 402, "neutral": 1256, "sadness": 208}
    assert sum(fold["rows"]["train"]["pseudo"].values()) == len(rows)
    assert origins(tmp_path / "more", made.manifest) == {
        "train": {"human", "pseudo"}, "validation": {"human"}, "test": {"human"}
    }  # fmt: skip
    assert json.loads((tmp_path / "more" / "manifest.json").read_text())["target"]["rows"] == 11_353
