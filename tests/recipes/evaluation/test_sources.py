"""Material from datasets, corpora, label files and augmented folds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remelt.errors import InputError
from remelt.evaluation.examples import SoundSource
from remelt.recipes.evaluation.base import NEW, OLD
from remelt.recipes.evaluation.scaling import Scaler
from remelt.recipes.evaluation.sounds import checked
from remelt.recipes.evaluation.source_rest import missing, rest_of
from remelt.recipes.evaluation.sources import Place, Wants, place_of, read
from remelt.recipes.reporting import Reporter

from ...clip_folders import fill
from .conftest import OFF_LIST, write_labels


class Told(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_a_source_names_reader_folder_and_splits(tmp_path: Path) -> None:
    assert place_of("ravdess=X@a+b") == Place("ravdess", "X", ("a", "b"))
    odd = tmp_path / "a=b@c"
    odd.mkdir()
    assert place_of(str(odd)) == Place("", str(odd), None)
    with pytest.raises(InputError, match="CORPUS=FOLDER"):
        place_of("ravdess=")


def test_a_corpus_has_its_labels_under_common_names(tmp_path: Path) -> None:
    names = [f"Actor_0{a}/03-01-0{e}-01-01-01-0{a}.wav" for a in (1, 2) for e in (2, 3, 5)]
    fill(tmp_path, names)
    found = read(f"ravdess={tmp_path}")
    assert (found.name, found.kind) == ("ravdess", "corpus")
    assert Counter(found.labels[OLD].values()) == {"joy": 2, "anger": 2}
    assert any("calm (2)" in note for note in found.notes)
    # Acted clips are no conversation, so speakers are resampled and not rows.
    assert {row.dialogue for row in found.examples} == {""}
    row = found.examples[0]
    assert (row.speaker, row.sex, row.has_sound) == ("Actor_01", "male", True)
    assert found.sounds is not None
    path = tmp_path / names[0]
    assert found.sounds.digest(row.id) == hashlib.sha256(path.read_bytes()).hexdigest()
    samples, rate = soundfile.read(path)
    assert abs(len(found.sounds.read(row.id)) - len(samples) * 16_000 / rate) <= 2
    assert found.identity == read(f"ravdess={tmp_path}").identity


def test_a_dataset_has_new_and_old_labels_and_the_turns_between(dataset: Path) -> None:
    corpus, found = read("sample@train"), read(str(dataset))
    assert found.kind == "dataset"
    assert [row.id for row in found.examples] == [row.id for row in corpus.examples]
    assert [(r.text, r.turn, r.dialogue, r.speaker) for r in found.examples] == [
        (r.text, r.turn, r.dialogue, r.speaker) for r in corpus.examples
    ]
    dropped = [row.id for row in found.examples if row.id not in found.labels[NEW]]
    assert len(dropped) >= 1
    assert len(found.labels[NEW]) + len(dropped) == len(found.examples)
    assert set(found.labels[OLD]) == set(found.labels[NEW])
    assert all(found.labels[OLD][row] == corpus.labels[OLD][row] for row in found.labels[OLD])
    changed = sum(found.labels[OLD][row] != found.labels[NEW][row] for row in found.labels[NEW])
    assert 0.2 < changed / len(found.labels[NEW]) < 0.5
    under = {row.id: row.label for row in found.under(NEW)}
    assert under[dropped[0]] is None
    with pytest.raises(InputError, match=r"newest.*\['new', 'old'\]"):
        found.under("newest")


def test_the_sound_of_a_dataset_is_that_of_its_corpus(dataset: Path) -> None:
    corpus, found = read("sample@train"), read(str(dataset))
    assert found.sounds is not None
    assert corpus.sounds is not None
    heard = [row.id for row in found.examples if row.has_sound]
    assert set(heard) == {row.id for row in corpus.examples if row.has_sound and row.id in found.labels[NEW]}
    np.testing.assert_allclose(found.sounds.read(heard[0]), corpus.sounds.read(heard[0]), atol=1 / 32768)
    assert len({found.sounds.digest(row) for row in heard}) > 1
    with pytest.raises(InputError, match="no sound of sample/none"):
        found.sounds.digest("sample/none")


def test_the_corpus_gives_what_its_dataset_does_not_have(dataset: Path) -> None:
    whole = read("sample")
    found = read(str(dataset), Wants(clips=Path("sample")))
    assert [row.id for row in found.examples] == [row.id for row in whole.examples]
    own = {row.id for row in found.examples if row.split == "train"}
    assert set(found.labels[NEW]) < own
    assert found.labels[OLD] == {
        row: label for row, label in whole.labels[OLD].items() if row not in own or row in found.labels[NEW]
    }
    there = {row.split: {r.id for r in whole.examples if r.split == row.split} for row in whole.examples}
    assert {row.split for row in found.examples} == set(there) > {"train"}
    assert all(
        f"{len(rows):,} rows of the split {name}" in found.notes[0]
        for name, rows in there.items()
        if rows - own
    )
    # Of rows that the dataset has with their sound it is the dataset's; of others the corpus's.
    assert found.sounds is not None
    assert whole.sounds is not None
    assert {r.id for r in found.examples if r.has_sound} == {r.id for r in whole.examples if r.has_sound}
    kept, other = next(iter(found.labels[NEW])), next(iter(sorted(there["dev"])))
    assert found.sounds.digest(kept) != whole.sounds.digest(kept)
    assert found.sounds.digest(other) == whole.sounds.digest(other)
    tested = read(f"{dataset}@train+dev", Wants(clips=Path("sample")))
    assert {row.split for row in tested.examples} == {"train", "dev"}


def test_turns_that_a_dataset_lost_come_back_without_a_label(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "OUT")
    shutil.rmtree(tmp_path / "OUT" / "dropped")
    path = tmp_path / "OUT" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["files"] = {name: v for name, v in manifest["files"].items() if "dropped" not in name}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    found = read(str(tmp_path / "OUT"), Wants(clips=Path("sample")))
    assert [row.id for row in found.examples] == [row.id for row in read("sample").examples]
    lost = len([row for row in found.examples if row.split == "train"]) - len(found.labels[NEW])
    assert f"{lost:,} turns between those of the dataset" in found.notes[0]


def test_a_folder_beside_a_dataset_that_is_not_its_corpus(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no folder nowhere with the corpus or its clips"):
        read(str(dataset), Wants(clips=Path("nowhere")))
    with pytest.raises(InputError, match=r"sample is not the corpus .*sample/.*such as other/train/1"):
        rest_of("sample", Path("sample"), frozenset(["other/train/1"]))
    clips = rest_of("meld", tmp_path, frozenset(["meld/train/dia0_utt0"]))
    assert (clips.rows, clips.clips) == ((), tmp_path)
    rows, told = missing(clips, [{"id": "meld/train/dia0_utt0", "split": "train"}], ("train",))
    assert rows == []
    assert f"{tmp_path} gives clips only, as no corpus can be read from it" in told


def test_labels_off_the_list_are_told_and_not_trained_on(tmp_path: Path) -> None:
    given = write_labels(tmp_path / "labels.csv")
    found = read("sample", Wants(label_files={"llm": tmp_path / "labels.csv"}))
    odd = list(given)[OFF_LIST]
    assert found.labels["llm"] == {row: label for row, label in given.items() if row != odd}
    assert any("frustration (1)" in note for note in found.notes)


def test_a_label_file_says_its_split_by_name_or_option(test_data: Path) -> None:
    table = test_data / "melt" / "meld_train.csv"
    found = read(f"{test_data / 'meld'}@train", Wants(label_files={NEW: table}))
    # Jing et al. 2025, Table 2.
    assert Counter(found.labels[NEW].values()) == {
        "anger": 464, "disgust": 473, "fear": 418, "joy": 1578, "neutral": 2519, "sadness": 363,
        "surprise": 1209,
    }  # fmt: skip


def test_a_label_file_without_a_split_is_given_one(tmp_path: Path) -> None:
    table = "Dialogue_ID,Utterance_ID,llm_label\n0,0,joy\n0,1,anger\n"
    for name in ("mine.csv", "mine_dev.csv"):
        (tmp_path / name).write_text(table, encoding="utf-8")
    found = read("sample", Wants(label_files={"by name": tmp_path / "mine_dev.csv"}))
    assert {row.split("/")[1] for row in found.labels["by name"]} == {"dev"}
    named = read("sample", Wants(label_files={"named": Path(f"train:{tmp_path / 'mine.csv'}")}))
    assert list(named.labels["named"]) == ["sample/train/dia0_utt0", "sample/train/dia0_utt1"]
    with pytest.raises(InputError, match="name no split"):
        read("sample", Wants(label_files={"none": tmp_path / "mine.csv"}))


def test_a_label_file_of_other_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,label\nother/train/dia0_utt0,joy\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"labels\.csv: no label of it .*other/train/dia0_utt0"):
        read("sample", Wants(label_files={"llm": tmp_path / "labels.csv"}))


def test_dimensions_are_scaled_and_out_of_range_is_refused() -> None:
    assert Scaler("iemocap", None)("row", {"valence": 4.0, "arousal": float("nan")}) == {"valence": 0.75}
    assert Scaler("mine", (0.0, 10.0))("row", {"arousal": 2.5}) == {"arousal": 0.25}
    with pytest.raises(InputError, match=r"labels\.csv:3: arousal 7.5 is out of range, expected 1 to 7"):
        Scaler("msp_podcast", None)("labels.csv:3", {"arousal": 7.5})
    with pytest.raises(InputError, match="Bad scale 7,1"):
        Scaler("msp_podcast", (7.0, 1.0))
    unknown = Scaler("mine", None)
    assert unknown("row", {"arousal": 2.5}) == {}
    assert "--scale" in unknown.note()


def break_clip(path: Path) -> None:
    """The clips of a folder are one file under many names."""
    path.unlink(missing_ok=True)
    path.write_bytes(b"RIFF" + path.name.encode())


class Heard:
    """Sounds that tell which of them are decoded."""

    def __init__(self, sounds: SoundSource, heard: list[str]) -> None:
        self._sounds, self._heard = sounds, heard

    def digest(self, example_id: str) -> str:
        return self._sounds.digest(example_id)

    def read(self, example_id: str) -> Any:
        self._heard.append(example_id)
        return self._sounds.read(example_id)


def test_clips_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    names = [f"Actor_01/03-01-0{e}-01-01-01-01.wav" for e in (3, 4, 5)]
    fill(tmp_path / "r", names)
    break_clip(tmp_path / "r" / names[1])
    told = Told()
    found = checked(read(f"ravdess={tmp_path / 'r'}"), tmp_path / "seen", told)
    assert [row.has_sound for row in found.examples] == [True, False, True]
    [note] = [text for text in told.notices if "cannot be read" in text]
    assert note.startswith("1 of 3 clips")
    assert found.identity != read(f"ravdess={tmp_path / 'r'}").identity
    # What can be read is known the next time, by content; what cannot is tried again.
    again = read(f"ravdess={tmp_path / 'r'}")
    assert again.sounds is not None
    heard: list[str] = []
    listened = replace(again, sounds=Heard(again.sounds, heard))
    assert checked(listened, tmp_path / "seen", Reporter()).identity == found.identity
    assert heard == [again.examples[1].id]
    for name in names:
        break_clip(tmp_path / "r" / name)
    with pytest.raises(InputError, match="None of the 3 clips"):
        checked(read(f"ravdess={tmp_path / 'r'}"), tmp_path / "seen", Reporter())


def test_augmented_folds_train_on_what_was_added(tmp_path: Path, dataset: Path) -> None:
    from remelt.recipes.augment.augment import AugmentOptions, augment

    rows = "".join(
        f"{n},Line number {n} of it.,S{n % 4},{('anger', 'joy')[n % 2]},{('train', 'dev', 'test')[n % 3]}\n"
        for n in range(18)
    )
    table = tmp_path / "mine.csv"
    table.write_text(f"id,text,speaker,label,split\n{rows}", encoding="utf-8")
    augment(AugmentOptions(str(table), (dataset,), tmp_path / "folds"))
    found = read(str(tmp_path / "folds"))
    assert (found.kind, list(found.folds)) == ("folds", ["standard"])
    assert set(found.labels) == {"human", "augmented"}
    assert {part: len(rows) for part, rows in found.folds["standard"].items() if part != "train"} == {
        "validation": 6,
        "test": 6,
    }
    assert len(found.labels["human"]) == 18 < len(found.labels["augmented"])
    for parts in found.folds.values():
        added = set(parts["train"]) - set(found.labels["human"])
        assert added == set(found.labels["augmented"]) - set(found.labels["human"])
        assert set(parts["test"]) | set(parts["validation"]) <= set(found.labels["human"])


def test_what_cannot_be_read_is_refused(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(InputError, match="no folder or file"):
        read(str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"Bad split 'dev', expected one of \['train'\]"):
        read(f"{dataset}@dev")
    with pytest.raises(InputError, match="has its own clips"):
        read("sample", Wants(clips=tmp_path))
    shutil.copytree(dataset, tmp_path / "broken")
    (tmp_path / "broken" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read(str(tmp_path / "broken"))
