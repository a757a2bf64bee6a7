"""A corpus in a store is the corpus in memory: the same rows, flags, counts, notes, findings and errors."""

from __future__ import annotations

import csv
import json
import random
import tracemalloc
import wave
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt import prompting
from remelt.corpora import Corpus, TableMapping, load
from remelt.corpora.store import CorpusStore, most_rows, reading, suits, writing
from remelt.errors import InputError
from remelt.labels import MELT
from remelt.publishing.columns import columns_of

SPLITS = ("test", "train", "extra", "dev")
TEXTS = (
    "Yeah.", "yeah", "What do you want?", "what do YOU want", "Hey!", "", "Oh my God, no.", "It\x92s me",
    "Caf\u00e9", "(laughs)", "You know, she said so", "I am: \"here",
)  # fmt: skip
NAMES = ("Ann", "Kristen", "Kristin", "All", "Bob and Ann", "", "the waiter", "The Waiter", "Zo\u00eb")


def rows_of(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of few words, times and names, so that all that compares rows finds something."""
    chance = random.Random(seed)
    found: list[dict[str, Any]] = []
    for number in range(count):
        start = chance.choice([None, 0, 1.5, 2, 2.25, 60, 200, 3600 * chance.random()])
        length = chance.choice([None, -1, 0, 0.05, 0.4, 2, 3, 40])
        found.append(
            {
                "split": chance.choice(SPLITS),
                "dialogue_id": chance.choice([0, 1, 2, "x"]),
                "utterance_id": number if chance.random() < 0.9 else f"u{number}",
                "speaker": chance.choice(NAMES),
                "text": chance.choice(TEXTS),
                "label": chance.choice(["joy", "Anger", "anger", None, "fear"]),
                "season": chance.choice([1, 1, None, "one"]),
                "episode": chance.choice([1, 2, None]),
                "start": start,
                "end": None if start is None or length is None else start + length,
            }
        )
    # Numbers run backwards in one dialogue.
    for row in found[::7]:
        if isinstance(row["utterance_id"], int):
            row["utterance_id"] = 10_000 - row["utterance_id"]
    return found


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [{k: None if v is None else str(v) for k, v in row.items()} for row in rows]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(texts), path, row_group_size=7)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


def opened(source: Path, folder: Path, **options: Any) -> CorpusStore:
    return CorpusStore.open(folder / "store.sqlite", source, **options)


def check_same(store: CorpusStore, corpus: Corpus) -> None:
    assert tuple(store.rows()) == corpus.utterances
    assert store.splits == corpus.splits
    assert [store.count(split) for split in store.splits] == [
        sum(u.split == split for u in corpus.utterances) for split in corpus.splits
    ]
    for name in (f.name for f in fields(Corpus) if f.name != "utterances"):
        mine, theirs = getattr(store.head, name), getattr(corpus, name)
        assert mine == theirs, name
        # What is published keeps the order too.
        assert not isinstance(theirs, dict) or list(mine) == list(theirs), name


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_AT_ONCE", 11)
    monkeypatch.setattr(reading, "_AT_ONCE", 13)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_format_with_interleaved_splits(tmp_path: Path, name: str, seed: int) -> None:
    path = write(tmp_path / name, rows_of(150, seed))
    corpus = load(path)
    flags = {flag for utterance in corpus.utterances for flag in utterance.flags}
    assert flags >= {"same_line_twice", "same_text_other_label_3_words", "overlaps_earlier_split",
                     "out_of_order", "same_interval_as_previous", "speaker_variant"}  # fmt: skip
    with opened(path, tmp_path) as store:
        check_same(store, corpus)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "store.sqlite"])


def test_many_small_tables_of_chance(tmp_path: Path) -> None:
    for seed in range(25):
        path = write(tmp_path / "a.csv", rows_of(random.Random(seed).randint(1, 40), seed))
        with opened(path, tmp_path) as store:
            check_same(store, load(path))


def test_files_by_split_with_other_columns_and_a_mapping(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "split"} for row in rows_of(90)]
    folder = tmp_path / "corpus"
    write(folder / "train.csv", rows[:30])
    write(
        folder / "valid" / "lines.jsonl",
        [{k: v for k, v in r.items() if k != "speaker"} for r in rows[30:60]],
    )
    write(folder / "test.parquet", [{**row, "Emo": row["label"]} for row in rows[60:]])
    mapping = TableMapping(
        {"text": "text"}, name="mine", labels=("joy", "anger"), licence="CC0", homepage="h"
    )
    with opened(folder, tmp_path, mapping=mapping) as store:
        check_same(store, load(folder, mapping=mapping))
        assert store.splits == ("train", "validation", "test")
    named = replace(mapping, files={"b": "test.parquet", "a": "train.csv"})
    with opened(folder, tmp_path, mapping=named, name="other") as store:
        check_same(store, load(folder, mapping=named, name="other"))


@pytest.mark.parametrize("fields_left", [("id", "text"), ("id", "dialogue_id", "text", "start", "end")])
def test_ids_of_the_corpus_itself(tmp_path: Path, fields_left: tuple[str, ...]) -> None:
    rows = [{**row, "id": f"r{n}"} for n, row in enumerate(rows_of(40))]
    path = write(tmp_path / "a.jsonl", [{k: row[k] for k in fields_left} for row in rows])
    with opened(path, tmp_path) as store:
        check_same(store, load(path))


@pytest.mark.parametrize("kind", ["saved", "hub"])
def test_dataset_folders(tmp_path: Path, kind: str) -> None:
    import datasets

    features = datasets.Features(
        {"id": datasets.Value("string"), "text": datasets.Value("string"),
         "label": datasets.ClassLabel(names=["joy", "anger"])}
    )  # fmt: skip
    columns = {
        "id": [f"{n}" for n in range(30)],
        "text": ["Hey you there"] * 30,
        "label": [n % 2 for n in range(30)],
    }
    dataset = datasets.Dataset.from_dict(columns, features=features)
    folder = tmp_path / "set"
    if kind == "saved":
        datasets.DatasetDict({"test": dataset, "train": dataset}).save_to_disk(str(folder))
    else:
        (folder / "data").mkdir(parents=True)
        dataset.to_parquet(folder / "data" / "all.parquet")
        (folder / "README.md").write_text(
            "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: dev\n"
            "    path: data/all.parquet\n---\n"
        )
    with opened(folder, tmp_path, mapping=TableMapping()) as store:
        check_same(store, load(folder, mapping=TableMapping()))
        assert set(store.totals().labels) == {"joy", "anger"}


def test_repeated_ids_are_refused_in_the_same_words(tmp_path: Path) -> None:
    rows = rows_of(60)
    for copied in ([4, 9], [9, 4], [50, 2, 2, 3]):
        path = write(tmp_path / "a.csv", [*rows, *(rows[n] for n in copied)])
        with pytest.raises(InputError) as expected:
            load(path)
        with pytest.raises(InputError) as found:
            opened(path, tmp_path)
        assert str(found.value) == str(expected.value)
        assert str(found.value).startswith("Duplicate key: table/")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    "content", ["id,text\n", "id,words\n1,x\n", "id,text\n../x,y\n", "id,text\n1,2,3\n", ""]
)
def test_other_errors_are_the_same_and_leave_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as expected:
        load(tmp_path / "a.csv", mapping=TableMapping())
    with pytest.raises(InputError) as found:
        opened(tmp_path / "a.csv", tmp_path)
    assert str(found.value) == str(expected.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "corpus"
    clips = ["a.wav", "sub/b.wav", "none.wav", "", "broken.wav", "./a.wav", ".hidden.wav", "link.wav"]
    write(folder / "lines.csv", [{"id": n, "text": "Hey you", "clip": clip} for n, clip in enumerate(clips)])
    (folder / "sub").mkdir()
    for name in ("a.wav", "sub/b.wav", ".hidden.wav"):
        with wave.open(str(folder / name), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(b"\0\1" * 4000)
    (folder / "broken.wav").write_bytes(b"x")
    (folder / "link.wav").symlink_to(folder / "nowhere.wav")
    with opened(folder, tmp_path) as store:
        corpus = load(folder)
        check_same(store, corpus)
        assert [u.clip_duration for u in corpus.utterances] == [0.5, 0.5, None, None, None, 0.5, 0.5, None]
    made = count_makes(monkeypatch)
    with opened(folder, tmp_path) as store:
        check_same(store, corpus)
    assert made == []
    (folder / "none.wav").write_bytes((folder / "a.wav").read_bytes())
    with opened(folder, tmp_path) as store:
        assert made == ["store.sqlite"]
        check_same(store, load(folder))


def count_makes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []

    def make(path: Path, *rest: Any) -> None:
        made.append(path.name)
        writing.make(path, *rest)

    monkeypatch.setattr(reading, "make", make)
    return made


def test_a_store_is_made_again_only_for_other_tables_or_another_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = write(tmp_path / "a.csv", rows_of(30)), count_makes(monkeypatch)
    for changes, expected in (({}, 1), ({}, 1), ({"name": "mine"}, 2), ({"mapping": TableMapping()}, 3)):
        with opened(path, tmp_path, **changes) as store:
            check_same(store, load(path, **changes))
        assert len(made) == expected
    write(path, rows_of(31))
    with opened(path, tmp_path, mapping=TableMapping()) as store:
        assert (len(made), sum(map(store.count, store.splits))) == (4, 31)
    (tmp_path / "store.sqlite").write_bytes(b"half a store")
    with pytest.raises(InputError, match=r"Cannot open .*store\.sqlite"):
        CorpusStore.attach(tmp_path / "store.sqlite")
    with opened(path, tmp_path, mapping=TableMapping()):
        assert len(made) == 5
    with CorpusStore.attach(tmp_path / "store.sqlite") as store:
        check_same(store, load(path, mapping=TableMapping()))
    with pytest.raises(InputError, match="There is no store of a corpus"):
        CorpusStore.attach(tmp_path / "none.sqlite")


def test_parts_and_the_turns_before_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", rows_of(120))
    corpus = load(path)
    dialogues = prompting.Dialogues(corpus.utterances)
    with opened(path, tmp_path) as store:
        for splits, size, turns in (
            (store.splits, 7, 3),
            (("test", "train"), 1000, 3),
            (store.splits, 5, None),
        ):
            parts = list(store.parts(splits, size, turns))
            together = [u for part in parts for u in part.utterances]
            assert together == [u for split in splits for u in corpus.utterances if u.split == split]
            assert [part.number for part in parts] == list(range(len(parts)))
            assert all(len(part.utterances) <= size and {u.split for u in part.utterances} == {part.split}
                       for part in parts)  # fmt: skip
            for part in parts:
                near = prompting.Dialogues((*part.context, *part.utterances))
                for utterance in part.utterances:
                    assert near.before(utterance, turns or 99) == dialogues.before(utterance, turns or 99)
        assert all(part.context == () for part in store.parts(store.splits, 7, 0))
        with pytest.raises(InputError, match="Bad split 'none'"):
            store.part("none", 0, 1)
        with pytest.raises(InputError, match="Bad size of a part 0"):
            store.places(store.splits, 0)


def test_totals_and_witnesses(tmp_path: Path) -> None:
    for seed in range(4):
        path = write(tmp_path / "a.jsonl", rows_of(40, seed))
        corpus = load(path)
        with opened(path, tmp_path) as store:
            for splits in (store.splits, store.splits[:1], store.splits[1:]):
                rows = [u for u in corpus.utterances if u.split in splits]
                totals = store.totals(splits)
                labels = [u.label for u in rows if u.label is not None]
                assert totals.labels == {label: labels.count(label) for label in labels}
                assert totals.speakers == {u.speaker: sum(v.speaker == u.speaker for v in rows) for u in rows}
                assert totals.rows == {s: sum(u.split == s for u in rows) for s in splits}
                schema = {"type": "object", "properties": {}}
                assert columns_of(totals.witnesses, MELT, schema) == columns_of(rows, MELT, schema)


def test_what_suits_and_how_big_it_is(tmp_path: Path, repository: Path) -> None:
    path = write(tmp_path / "a.csv", rows_of(20))
    assert suits(path)
    assert suits(tmp_path, name="mine")
    assert not suits("sample")
    assert not suits(tmp_path, name="meld")
    assert suits(tmp_path, TableMapping(), name="meld")
    with pytest.raises(InputError, match="There is no folder or file"):
        suits(tmp_path / "none")
    for name in ("a.csv", "b.jsonl", "c.parquet"):
        assert 20 <= most_rows(write(tmp_path / name, rows_of(20))) <= 22


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_AT_ONCE", 128)

    def peak(count: int) -> int:
        path = write(tmp_path / f"{count}.csv", rows_of(count))
        tracemalloc.start()
        with opened(path, tmp_path) as store:
            assert sum(1 for _ in store.rows()) == count
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(200)
    assert peak(1800) < 1.3 * peak(600)


def test_meld_itself(test_data: Path, tmp_path: Path) -> None:
    columns = {
        "Dialogue_ID": "dialogue_id", "Utterance_ID": "utterance_id", "Speaker": "speaker",
        "Season": "season", "Sentiment": "sentiment", "Utterance": "text", "Emotion": "label",
        "Episode": "episode", "StartTime": "start", "EndTime": "end",
    }  # fmt: skip
    mapping = TableMapping(columns=columns, name="meld")
    with opened(test_data / "meld", tmp_path, mapping=mapping) as store:
        check_same(store, load(test_data / "meld", mapping=mapping))
        assert store.head.findings["same_line_pairs"] == 13
