"""Verification: a good folder passes, and each kind of damage is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from remelt.cli import app
from remelt.errors import InputError
from remelt.publishing import DatasetContent, find_problems, publish, read_manifest, seal, write_card
from remelt.publishing.apikeys import keys_in_text
from remelt.publishing.manifest import file_entry, write_manifest
from remelt.publishing.parquet import read_table, stage_table
from remelt.records import Utterance

DATA = "data/train-00000-of-00001.parquet"
REPLIES = "annotations/train-00000-of-00001.parquet"
DROPPED = "dropped/train-00000-of-00001.parquet"


def messages(out: Path) -> str:
    return "\n".join(map(str, find_problems(out)))


def rewrite(out: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Changes a Parquet file and its hash, so that only the rows can tell."""
    stage_table(change(read_table(out / name)), out / name).commit()
    forge(out, name)
    write_card(out, read_manifest(out))
    seal(out)


def forge(out: Path, name: str) -> None:
    """Puts a changed file's hash into the manifest, as nothing but a text editor would."""
    manifest = read_manifest(out)
    manifest["files"][name] = file_entry(out / name)
    write_manifest(out, manifest)


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(values, field.type))


def edited(name: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[row] = value
        return with_column(table, name, values)

    return change


def doubled(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)]).combine_chunks()


def test_a_good_folder_has_no_problem(published):
    assert find_problems(published) == []


def test_a_downloaded_copy_is_as_good(published, tmp_path):
    copy = tmp_path / "copy"
    (copy / ".cache").mkdir(parents=True)
    (copy / ".gitattributes").write_text("*.parquet lfs")
    for path in published.rglob("*"):
        if path.is_file() and ".remelt" not in path.parts:
            (copy / path.relative_to(published)).parent.mkdir(exist_ok=True)
            (copy / path.relative_to(published)).write_bytes(path.read_bytes())
    assert find_problems(copy) == []


def test_changed_bytes_are_found(published):
    content = bytearray((published / DATA).read_bytes())
    content[len(content) // 3] ^= 1
    (published / DATA).write_bytes(content)
    assert f"{DATA}: is not the file of the manifest: its sha256 differs" in messages(published)


def test_a_cut_file_is_found(published):
    (published / DATA).write_bytes((published / DATA).read_bytes()[:-100])
    found = messages(published)
    assert re.search(rf"{DATA}: has \d+ bytes, the manifest says \d+", found)
    assert "cannot be read as Parquet" in found


@pytest.mark.parametrize("name", [DATA, "dropped/test-00000-of-00001.parquet", "README.md"])
def test_a_missing_file_is_found(published, name):
    (published / name).unlink()
    assert f"{name}: is missing" in messages(published)


def test_an_extra_file_is_found(published):
    (published / "data" / "extra.csv").write_text("id\n")
    assert messages(published) == "data/extra.csv: is not in the manifest"


def test_a_file_entry_that_leaves_the_folder_is_found(published):
    manifest = read_manifest(published)
    manifest["files"]["../manifest.json"] = {"sha256": "", "bytes": 0, "rows": None}
    write_manifest(published, manifest)
    assert "files names '../manifest.json', which is outside the folder" in messages(published)


def test_changed_label_names_in_the_card_are_found(published):
    card = published / "README.md"
    card.write_text(card.read_text("utf-8").replace("'3': joy", "'3': happiness", 1), "utf-8")
    seal(published)
    assert re.search(r"README\.md: column 'label' of 'default' is .*happiness.*joy", messages(published))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_examples: 4", "num_examples: 5", "config 'default' says 5 rows in 'train', the files have 4"),
        ("path: data/train-*-of", "path: data/tr*-*-of", "config 'default' loads"),
        ("license: gpl-3.0", "license: gpl3", "license 'gpl3' is not on the Hub's list"),
        ("- config_name: dropped", "- config_name: removed", "lacks the config 'dropped'"),
        ("---\nannotations_creators", "annotations_creators", "there is no front matter"),
    ],
)
def test_a_card_that_does_not_fit_the_files_is_found(published, old, new, message):
    card = published / "README.md"
    text = card.read_text("utf-8")
    assert old in text
    card.write_text(text.replace(old, new), "utf-8")
    seal(published)
    assert message in messages(published)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (DATA, edited("label", 0, 0), "data/train: 1 rows have another label than their last reply"),
        (DATA, edited("changed", 0, True), "data/train: 1 rows have a wrong value in 'changed'"),
        (DATA, edited("id", 0, "meld/train/dia9_utt9"), "data/train: 1 rows have no valid reply"),
        (DATA, lambda t: t.slice(1), "data/train: 1 utterances with a valid reply are missing"),
        (DATA, lambda t: t.slice(1), "counts of 'train' say kept 4, the files have 3"),
        (DATA, doubled, "data: 1 ids stand more than once: meld/train/dia0_utt0"),
        (REPLIES, lambda t: t.slice(1), "data/train: 1 rows have no valid reply in annotations"),
        (REPLIES, lambda t: t.slice(1), "replies say total 8, the files have 7"),
        (REPLIES, edited("status", 0, "invalid"), "utterances without a valid reply are missing"),
        (REPLIES, edited("messages", 0, "[]"), "does not have its hash"),
        (
            REPLIES,
            edited("schema_hash", 0, "0" * 64),
            "annotations/train: 1 schema hashes are not the manifest's",
        ),
        (REPLIES, edited("attempt", 2, 0), "annotations/train: 1 replies stand more than once"),
        (DROPPED, lambda t: t.slice(0, 1), "counts of 'train' say quarantined 1, the files have 0"),
        (DROPPED, edited("split", 0, "test"), "dropped/train: 1 rows belong to another split"),
        (DROPPED, edited("id", 0, "meld/train/dia0_utt0"), "data/train: 1 rows are also in dropped"),
    ],
)
def test_rows_that_do_not_fit_are_found(published, name, change, message):
    rewrite(published, name, change)
    assert message in messages(published)


def test_a_lost_column_and_lost_features_are_found(published):
    table = read_table(published / DATA)
    for broken in (table.drop_columns(["clip"]), table.replace_schema_metadata(None)):
        stage_table(broken, published / DATA).commit()
        forge(published, DATA)
        assert "data/train: " in messages(published)
    assert "column 'label' is Value('int64'), expected ClassLabel" in messages(published)


def test_counts_that_do_not_add_up_are_found(published):
    manifest = read_manifest(published)
    manifest["counts"]["train"]["input"] = 9
    write_manifest(published, manifest)
    assert "counts of 'train' do not add up: 9 in, 6 out" in messages(published)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["prompt"].update(text="Say it loud"), "the prompt's text does not have its sha256"),
        (lambda m: m["replies"].update(cost=9.5), "replies say cost 9.5, the files have"),
        (lambda m: m["replies"].update(input_tokens=1), "replies say input_tokens 1, the files have"),
        (lambda m: m["annotator"]["parameters"].update(temperature=0), "the annotator's parameters are"),
        (lambda m: m["attrition"][0].update(left=-4), "attrition of 'train' does not add up at the rule"),
        (lambda m: m["attrition"][1].update(in_order=1, left=4), "takes 2 rows, dropped holds 1"),
    ],
)
def test_a_manifest_that_claims_something_else_is_found(published, change, message):
    manifest = read_manifest(published)
    change(manifest)
    write_manifest(published, manifest)
    assert message in messages(published)


@pytest.mark.parametrize("name", ["recipe", "options", "attrition", "notes", "versions", "created"])
def test_a_manifest_with_an_empty_part_is_refused(published, name):
    manifest = read_manifest(published)
    manifest[name] = None
    write_manifest(published, manifest)
    with pytest.raises(InputError, match=f"{name!r} is None, expected"):
        find_problems(published)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "Something else."), ("speaker", "Nobody"), ("duration", 99.0), ("pitch", "low"),
        ("context", "x"), ("character_match", None), ("flags", ["x"]), ("annotator", "me"), ("end", 4.5),
    ],
)  # fmt: skip
def test_a_data_column_that_does_not_follow_from_the_replies_is_found(published, column, value):
    rewrite(published, DATA, edited(column, 0, value))
    assert f"data/train: 1 rows have another {column!r} than their replies" in messages(published)


def test_rows_in_another_order_are_found(published):
    rewrite(published, DATA, lambda table: table.take([1, 0, 2, 3]))
    assert "its rows or their order are not those of the replies" in messages(published)


def test_an_answer_that_is_no_json_is_found_with_its_row(published):
    rewrite(published, REPLIES, edited("answer", 0, "{"))
    assert "The published answer of meld/train/dia0_utt0 is not JSON" in messages(published)


def test_sealing_does_not_take_in_changed_rows(published):
    change = edited("text", 0, "Something else.")
    stage_table(change(read_table(published / DATA)), published / DATA).commit()
    with pytest.raises(InputError, match="were changed after publishing"):
        seal(published)
    assert "rows have another 'text' than their replies" in messages(published)


def test_a_key_behind_harmless_words_is_found(published):
    words = ["sk-learn-compatible-estimators"] * 6 + [KEY]
    rewrite(published, REPLIES, lambda table: with_column(table, "detail", words))
    assert "column 'detail' of" in messages(published)


def test_a_changed_schema_is_found(published):
    manifest = read_manifest(published)
    manifest["schema"]["json"]["title"] = "other"
    write_manifest(published, manifest)
    assert "manifest.json: the answer schema does not have its sha256" in messages(published)


KEY = "sk-proj-abcdef0123456789ABCDEF"


@pytest.mark.parametrize("name", ["audit/report.html", "NOTES.txt", "manifest.json"])
def test_an_api_key_in_a_file_is_found_and_not_repeated(published, name):
    path = published / name
    path.parent.mkdir(exist_ok=True)
    if name == "manifest.json":
        manifest = read_manifest(published)
        manifest["options"]["key"] = KEY
        write_manifest(published, manifest)
    else:
        path.write_bytes(b"\xff\xfe Authorization: Bearer " + KEY.encode())
    seal(published)
    found = messages(published)
    assert f"{name}: holds what looks like an API key (" in found
    assert KEY not in found


@pytest.mark.parametrize(("column", "value"), [("raw", f"your key is {KEY}"), ("problems", ["x", KEY])])
def test_an_api_key_in_a_row_is_found(published, column, value):
    rewrite(published, REPLIES, edited(column, 2, value))
    found = messages(published)
    assert f"column '{column}' of meld/train/dia0_utt1 holds what looks like an API key (sk-pro…)" in found
    assert KEY not in found


@pytest.mark.parametrize(
    "text",
    ["risk-averse-decision-makers-2024", "sk-learn", "ask-me-anything-about-1994-and-1995", "hf_model"],
)
def test_ordinary_words_are_no_keys(text):
    assert keys_in_text(text) == []


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no remelt dataset"):
        find_problems(tmp_path)


def test_the_command_says_what_is_wrong_and_exits_with_2(published):
    good = CliRunner().invoke(app, ["verify", str(published)])
    assert good.exit_code == 0
    assert "no problem found in 7 files with 15 rows" in good.output
    (published / "data" / "extra.csv").write_text("id\n")
    bad = CliRunner().invoke(app, ["verify", str(published)])
    assert bad.exit_code == 2
    assert "data/extra.csv: is not in the manifest" in bad.output
    assert "1 problem found" in bad.output


def test_a_lost_data_file_is_no_problem_of_the_others(tmp_path: Path, content: DatasetContent) -> None:
    def worded(row: Utterance) -> Utterance:
        return replace(row, dialogue_id="d0", utterance_id=f"u{row.utterance_id}")

    named = replace(
        content,
        annotations=tuple(
            replace(a, request=replace(a.request, utterance=worded(a.utterance))) for a in content.annotations
        ),
        drops=tuple(replace(d, utterance=worded(d.utterance)) for d in content.drops),
    )
    publish(tmp_path, named)
    assert find_problems(tmp_path) == []
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    assert "column" not in messages(tmp_path)
    assert "is missing" in messages(tmp_path)
