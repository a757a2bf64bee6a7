"""The labels of a dataset without its corpus: nothing of it is left, and the folder is a dataset."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from remelt.errors import InputError
from remelt.publishing import find_problems, publish, read_annotations, read_manifest, seal
from remelt.publishing.labels_only import plain_words, text_check
from remelt.publishing.parquet import write_bytes
from remelt.recipes.hub.labels_only import labels_only_folder

from .panels import with_panel
from .voices import with_voice

# Words, speakers, answers and transcripts of these datasets.
SECRETS = ("Joey", "Ross", "How you doing", "at the bar", "no idea", "heard 1", 'Say "hi"')


@pytest.fixture(scope="module")
def built(tmp_path_factory, content):
    out = tmp_path_factory.mktemp("whole") / "out"
    publish(out, replace(content, notes=["Ross said: How you doing?"]))
    return out


@pytest.fixture(scope="module")
def labels(built, tmp_path_factory):
    return labels_only_folder(built, tmp_path_factory.mktemp("labels") / "labels")


def stored(folder: Path) -> str:
    """All values of all files as one text."""
    parts = [repr(pq.read_table(path).to_pydict()) for path in sorted(folder.rglob("*.parquet"))]
    texts = [path.read_text("utf-8") for path in folder.rglob("*") if path.suffix in (".md", ".json")]
    return "\n".join([*parts, *texts])


def test_rows_and_labels_stay_and_the_corpus_goes(built, labels):
    whole, bare = (pq.read_table(f / "data" / "train-00000-of-00001.parquet") for f in (built, labels))
    assert bare.column_names == [
        "id", "check", "label", "original_label", "changed", "character_match", "flags", "annotator",
    ]  # fmt: skip
    for name in set(bare.column_names) - {"check"}:
        assert bare[name].equals(whole[name])
    manifest = read_manifest(labels)
    assert manifest["labels_only"] is True
    assert manifest["left_out"]["answers"] == ["context", "pitch"]
    assert {"text", "speaker", "start", "clip"} <= set(manifest["left_out"]["corpus"])
    assert manifest["notes"] == []


def test_replies_are_known_by_their_hashes_alone(built, labels):
    whole, bare = (pq.read_table(f / "annotations" / "train-00000-of-00001.parquet") for f in (built, labels))
    assert bare["request_hash"].equals(whole["request_hash"])
    gone = set(whole.column_names) - set(bare.column_names)
    assert {
        "raw",
        "answer",
        "messages",
        "problems",
        "notes",
        "detail",
        "text",
        "speaker",
        "parameters",
    } <= gone
    with pytest.raises(InputError, match="without its replies"):
        list(read_annotations(labels))


def test_nothing_of_the_corpus_is_left(labels):
    text = stored(labels)
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize(("licence", "named"), [("", False), ("CC BY 4.0", True)])
def test_speakers_in_options_go_where_words_may_not_be_shared(content, tmp_path, licence, named):
    own = {"keep_speakers": ["Ann Smith"], "drop_speakers": [], "min_words": 3}
    profile = {"name": "own", "options": own}
    corpus = {**content.corpus, "name": "interviews", "licence": licence}
    made = replace(content, corpus=corpus, profile=profile, options={"keep_speakers": ["Ann Smith"]})
    publish(tmp_path / "out", made)
    labels_only_folder(tmp_path / "out", tmp_path / "labels")
    assert ("Ann Smith" in stored(tmp_path / "labels")) is named
    assert read_manifest(tmp_path / "labels")["profile"]["options"]["min_words"] == 3
    assert find_problems(tmp_path / "labels") == []


def test_it_is_a_dataset_that_verifies_and_loads(labels):
    assert find_problems(labels) == []
    assert sorted(p.name for p in labels.iterdir()) == [
        "README.md", "annotations", "data", "dropped", "manifest.json",
    ]  # fmt: skip
    rows = load_dataset(str(labels), split="train")
    assert rows.features["label"].names == read_manifest(labels)["label_set"]["labels"]
    card = (labels / "README.md").read_text("utf-8")
    assert "remelt join" in card
    assert "published under GPL-3.0" in card


def test_the_same_dataset_gives_the_same_bytes(built, labels, tmp_path):
    again = labels_only_folder(built, tmp_path / "again")
    for path in sorted(p for p in labels.rglob("*") if p.is_file()):
        assert (again / path.relative_to(labels)).read_bytes() == path.read_bytes(), path.name
    (again / "audit").mkdir()
    (again / "audit" / "old.csv").write_text("old")
    seal(again)
    labels_only_folder(built, again)
    assert not (again / "audit" / "old.csv").exists()
    assert find_problems(again) == []


def test_panels_and_voices_keep_votes_and_measures(content, tmp_path):
    publish(tmp_path / "out", with_voice(with_panel(content)))
    labels = labels_only_folder(tmp_path / "out", tmp_path / "labels")
    assert find_problems(labels) == []
    names = pq.read_schema(labels / "data" / "train-00000-of-00001.parquet").names
    assert {"votes", "soft_label", "decided_by", "audio_seconds", "voice_flags", "pitch_level"} <= set(names)
    assert not {"audio", "transcript", "transcript_source", "ratings", "text"} & set(names)
    voice = read_manifest(labels)["voice"]
    assert "transcripts" not in voice
    assert voice["bins"]["pitch_level"] == {"measure": "f0_semitone_mean"}
    assert [secret for secret in SECRETS if secret in stored(labels)] == []


def test_closed_answers_stay_and_free_ones_go(content, tmp_path):
    schema = json.loads(json.dumps(content.schema))
    schema["properties"]["elements"]["properties"]["pitch"] = {"enum": ["high", "low"]}
    annotations = [replace(a, request=replace(a.request, schema=schema)) for a in content.annotations]
    # The requests have other keys now, and so do their replies.
    annotations = [
        replace(a, replies=tuple(replace(r, request_key=a.request.key) for r in a.replies))
        for a in annotations
    ]
    publish(tmp_path / "out", replace(content, schema=schema, annotations=annotations))
    labels = labels_only_folder(tmp_path / "out", tmp_path / "labels")
    names = pq.read_schema(labels / "data" / "train-00000-of-00001.parquet").names
    assert "pitch" in names
    assert "context" not in names
    assert find_problems(labels) == []


def test_a_check_is_that_of_the_documentation(built, labels):
    salt = read_manifest(labels)["check"]["salt"]
    whole, bare = (pq.read_table(f / "data" / "train-00000-of-00001.parquet") for f in (built, labels))
    expected = [
        hashlib.sha256(f"{salt}\n{name}\n{words}".encode()).hexdigest()[:16]
        for name, words in zip(
            whole["id"].to_pylist(),
            ("how you doing", "say hi now", *["how you doing"] * (whole.num_rows - 2)),
            strict=True,
        )
    ]
    assert bare["check"].to_pylist()[:2] == expected[:2]
    assert len(set(bare["check"].to_pylist())) == bare.num_rows


def test_a_dataset_can_go_without_checks(built, tmp_path):
    labels = labels_only_folder(built, tmp_path / "labels", check=False)
    assert find_problems(labels) == []
    assert "check" not in read_manifest(labels)
    for config in ("data", "annotations"):
        names = pq.read_schema(labels / config / "train-00000-of-00001.parquet").names
        assert not {"check", "request_hash"} & set(names)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("That’s  what I SAID!", "That's what I said.", True), ("re-do", "re do", True),
        ("I can€™t", "I can’t", True), ("Nestlé", "NESTLE\u0301", True), ("Hi", "Hey", False),
        ("", "...", True),
    ],
)  # fmt: skip
def test_words_are_compared_without_what_copies_differ_in(a, b, same):
    assert (plain_words(a) == plain_words(b)) is same
    assert (text_check("ab", "x", a) == text_check("ab", "x", b)) is same


def edit_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8")) | changes
    write_bytes(json.dumps(manifest).encode(), folder / "manifest.json")


def test_what_is_wrong_is_found(built, tmp_path):
    labels = labels_only_folder(built, tmp_path / "labels")
    path = labels / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("text", table["id"]), path)
    (labels / "data" / "extra.parquet").write_bytes(path.read_bytes())
    edit_manifest(labels, counts={"train": {"input": 1, "kept": 1, "dropped": 0, "quarantined": 0}})
    found = "\n".join(str(problem) for problem in find_problems(labels))
    for words in (
        "sha256 differs", "is not in the manifest", "has columns that labels alone do not: ['text']",
        "counts of 'train' say kept 1, the files have 4", "its dataset_info is not that of the Parquet files",
    ):  # fmt: skip
        assert words in found


def test_only_a_whole_unchanged_dataset_is_taken(built, labels, tmp_path):
    with pytest.raises(InputError, match="already"):
        labels_only_folder(labels, tmp_path / "x")
    with pytest.raises(InputError, match="name another folder"):
        labels_only_folder(built, built)
    shutil.copytree(built, tmp_path / "other")
    with pytest.raises(InputError, match="holds another dataset"):
        labels_only_folder(built, tmp_path / "other")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not empty.*mine\.txt"):
        labels_only_folder(built, tmp_path / "full")
    path = next((built / "data").glob("test-*"))
    before = path.read_bytes()
    path.write_bytes(before + b"x")
    try:
        with pytest.raises(InputError, match="changed or removed after publishing"):
            labels_only_folder(built, tmp_path / "y")
    finally:
        path.write_bytes(before)
