"""Publishing a folder, and publishing it again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.publishing import find_problems, parquet, publish, read_manifest, seal
from remelt.publishing.manifest import KEYS, build_manifest, write_manifest
from remelt.publishing.parquet import WriteError
from remelt.records import Drop, digest

PARQUET = [
    f"{folder}/{split}-00000-of-00001.parquet"
    for folder in ("annotations", "data", "dropped")
    for split in ("test", "train")
]


def tree(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_every_config_has_every_split(published):
    assert sorted(set(tree(published)) - {".remelt/journal.sqlite"}) == [
        "README.md",
        *PARQUET,
        "manifest.json",
    ]
    assert pq.read_metadata(published / "dropped/test-00000-of-00001.parquet").num_rows == 0


def test_the_manifest_has_its_keys_and_true_values(published, content):
    manifest = read_manifest(published)
    assert tuple(manifest) == KEYS
    assert manifest["counts"] == {
        "train": {"input": 6, "kept": 4, "dropped": 1, "quarantined": 1},
        "test": {"input": 1, "kept": 1, "dropped": 0, "quarantined": 0},
    }
    assert manifest["replies"] == {
        "total": 8, "valid": 5, "invalid": 3, "refused": 0, "error": 0,
        "input_tokens": 800, "output_tokens": 160, "cost": 0.008,
    }  # fmt: skip
    assert manifest["annotator"]["means"] == {"json_schema": 8}
    assert manifest["label_set"]["label_field"] == "elements.emotion"
    assert manifest["schema"] == {"name": "melt", "sha256": digest(content.schema), "json": content.schema}
    assert manifest["created"] == "2026-01-02T03:04:05Z"
    assert {"python", "datasets", "pyarrow"} <= set(manifest["versions"])
    assert sorted(manifest["files"]) == ["README.md", *PARQUET]
    entry = manifest["files"]["data/train-00000-of-00001.parquet"]
    assert entry["rows"] == 4
    assert entry["bytes"] == (published / "data/train-00000-of-00001.parquet").stat().st_size
    assert manifest["files"]["README.md"]["rows"] is None


def test_publishing_twice_changes_no_byte(published, content):
    before = tree(published)
    publish(published, content)
    assert tree(published) == before


def test_seal_takes_in_the_audit(published):
    (published / "audit").mkdir()
    (published / "audit" / "findings.json").write_text("{}")
    (published / "audit" / ".DS_Store").write_text("")
    assert [p.place for p in find_problems(published)] == ["audit/findings.json"]
    manifest = seal(published)
    assert manifest["files"]["audit/findings.json"]["bytes"] == 2
    assert "audit/.DS_Store" not in manifest["files"]
    assert find_problems(published) == []


def test_seal_does_not_take_in_strange_data(published):
    (published / "data" / "train-00001-of-00002.parquet").write_bytes(
        (published / "data" / "train-00000-of-00001.parquet").read_bytes()
    )
    seal(published)
    assert any("not in the manifest" in p.message for p in find_problems(published))


def test_seal_names_a_data_file_that_is_gone(published):
    (published / "data" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match=r"lacks \['data/test-00000-of-00001.parquet'\]"):
        seal(published)


def test_an_earlier_split_and_audit_are_removed_but_no_strangers(published, content):
    (published / "audit").mkdir()
    (published / "audit" / "test.csv").write_text("old")
    seal(published)
    (published / "audit" / "edited.csv").write_text("mine")
    (published / "NOTES.txt").write_text("mine")
    train_only = replace(
        content,
        splits=("train",),
        inputs={"train": 6},
        annotations=[a for a in content.annotations if a.utterance.split == "train"],
        attrition=(),
    )
    publish(published, train_only)
    left = set(tree(published))
    assert not [name for name in left if "/test-" in name]
    assert "audit/test.csv" not in left
    assert {"audit/edited.csv", "NOTES.txt", ".remelt/journal.sqlite"} <= left


def test_a_stale_name_outside_the_folder_is_left_alone(published, content, tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("keep me")
    (published / "NOTES.txt").write_text("keep me too")
    manifest = read_manifest(published)
    for name in ("../victim.txt", str(victim), "data/../../victim.txt", "NOTES.txt"):
        manifest["files"][name] = {"sha256": parquet.sha256(victim), "bytes": 7, "rows": None}
    write_manifest(published, manifest)
    publish(published, content)
    assert victim.read_text() == "keep me"
    assert (published / "NOTES.txt").read_text() == "keep me too"


def test_a_strange_shard_is_kept_and_not_part_of_the_dataset(published, content):
    name = "data/train-00000-of-00002.parquet"
    (published / name).write_bytes((published / "data/train-00000-of-00001.parquet").read_bytes())
    publish(published, content)
    assert [str(p) for p in find_problems(published)] == [f"{name}: is not in the manifest"]
    loaded = datasets.load_dataset(str(published), cache_dir=str(published.parent / "cache"))
    assert loaded["train"].num_rows == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("full", ["data/train", "dropped/test"])
def test_a_full_disk_leaves_the_earlier_build_whole(published, content, full):
    before = tree(published)
    folder, split = full.split("/")
    (published / folder / f".{split}-00000-of-00001.parquet.part").symlink_to("/dev/full")
    smaller = replace(content, notes=(), options={"other": 1})
    with pytest.raises(WriteError, match="No space left on device"):
        publish(published, smaller)
    assert tree(published) == before
    assert find_problems(published) == []


def test_large_splits_are_spread_over_files(tmp_path, content, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS_PER_SHARD", 2)
    publish(tmp_path, content)
    names = sorted(p.name for p in (tmp_path / "data").iterdir())
    assert names == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ]
    assert find_problems(tmp_path) == []
    monkeypatch.undo()
    publish(tmp_path, content)
    assert sorted(p.name for p in (tmp_path / "data").iterdir())[1:] == ["train-00000-of-00001.parquet"]
    assert find_problems(tmp_path) == []


@pytest.mark.parametrize("inputs", [{"train": 7, "test": 1}, {"train": 5, "test": 1}, {"train": 6}])
def test_counts_that_do_not_add_up_stop_the_build(tmp_path, content, inputs):
    with pytest.raises(InputError, match="do not add up"):
        publish(tmp_path / "out", replace(content, inputs=inputs))
    assert not (tmp_path / "out").exists()


def test_rows_that_are_lost_or_doubled_stop_the_build(tmp_path, content):
    first, quarantined = content.annotations[0], content.drops[0]
    cases = {
        "annotated more than once: meld/train/dia0_utt0": {"annotations": (*content.annotations, first)},
        "dropped more than once: meld/train/dia0_utt4": {"drops": (*content.drops, quarantined)},
        "not quarantined: meld/train/dia0_utt4": {"drops": content.drops[1:]},
        "kept and dropped: meld/train/dia0_utt0": {
            "drops": (*content.drops, Drop(first.utterance, "selection", ("words",), ("",)))
        },
        r"expected one of \('train',\)|\['train'\]": {"splits": ("train",)},
    }
    for message, change in cases.items():
        with pytest.raises(InputError, match=message):
            publish(tmp_path / "out", replace(content, **change))


@pytest.mark.parametrize("splits", [(), ("train", "train"), ("train/x",), ("a b",), ("all",), ("tr-ain",)])
def test_split_names_that_cannot_be_loaded_are_refused(content, splits):
    with pytest.raises(InputError, match="split"):
        replace(content, splits=splits).check()


def test_an_id_that_does_not_fit_its_split_is_refused(content):
    odd = content.annotations[0]
    request = replace(odd.request, utterance=replace(odd.utterance, id="meld/test/dia0_utt0"))
    with pytest.raises(InputError, match=r"Bad id 'meld/test/dia0_utt0', expected meld/train/"):
        replace(content, annotations=(replace(odd, request=request),)).check()


def test_unknown_costs_stay_unknown(content):
    free = tuple(
        replace(a, replies=tuple(replace(r, cost=None, input_tokens=None) for r in a.replies))
        for a in content.annotations
    )
    manifest = build_manifest(replace(content, annotations=free))
    assert manifest["replies"]["cost"] is None
    assert manifest["replies"]["input_tokens"] is None


def test_a_manifest_can_hold_half_a_character(tmp_path, content):
    text = "broken \ud83d, “quoted”, \0"
    manifest = build_manifest(replace(content, notes=(text,)))
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path)["notes"] == [text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as JSON"),
        ("[]", "expected a JSON object"),
        ("\xff", "cannot be read as JSON"),
        ('{"format": 9}', r"Bad manifest format 9, expected one of \[1\]"),
        ('{"format": 1}', "lacks the keys"),
    ],
)
def test_bad_manifests_are_named(tmp_path, text, message):
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": {"name": "melt"}}, r"manifest\.json: 'schema' lacks the keys \['sha256', 'json'\]"),
        ({"annotator": "gpt"}, "'annotator' holds str, expected a JSON object"),
        ({"files": []}, "'files' holds list"),
        (
            {"counts": {"train": {"input": 6}}},
            r"'counts\.train' lacks the keys \['kept', 'dropped', 'quarant",
        ),
    ],
)
def test_damage_inside_a_manifest_is_named(published, change, message):
    write_manifest(published, read_manifest(published) | change)
    with pytest.raises(InputError, match=message):
        read_manifest(published)


def test_a_killed_build_leaves_nothing_behind(published, content):
    (published / "data" / ".dev-00000-of-00001.parquet.part").write_bytes(b"PAR1")
    publish(published, content)
    assert not list(published.rglob("*.part"))


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match=r"is no remelt dataset: it has no manifest\.json"):
        read_manifest(tmp_path)


def test_the_manifest_is_readable_json(published):
    text = (published / "manifest.json").read_text("utf-8")
    assert json.loads(text)["recipe"] == "melt"
    assert text.startswith('{\n  "format": 1,')
