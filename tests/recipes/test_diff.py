"""What changed between two versions of a dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner

from remelt.cli import app
from remelt.errors import InputError
from remelt.publishing import DatasetContent, publish
from remelt.recipes.hub.diff import Edit, diff
from remelt.recipes.hub.labels_only import labels_only_folder
from remelt.records import Annotation

from ..publishing.conftest import make_annotation, make_utterance
from .small_dataset import publish_small, small_content

LABELS = ("joy", "anger", "joy", "neutral", "sadness", "joy")


def content(labels: tuple[str, ...] = LABELS, first: int = 0, **changes: Any) -> DatasetContent:
    """Rows `first`, `first + 1`, ... with these labels."""
    rows = [make_utterance("train", 0, first + n) for n in range(len(labels))]
    annotations = [make_annotation(row, label) for row, label in zip(rows, labels, strict=True)]
    values = {
        "corpus": {**small_content().corpus, "name": "meld"},
        "splits": ("train",),
        "inputs": {"train": len(rows)},
        "annotations": annotations,
        "drops": (),
        "schema": annotations[0].request.schema,
        "schema_name": "melt",
        "annotator": {"name": "openai/gpt-test", "model": "gpt-test", "endpoint": "x", "parameters": {}},
        **changes,
    }
    return replace(small_content(), **values)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("before") / "out"
    publish(out, content())
    return out


def made(tmp_path: Path, **changes: Any) -> Path:
    publish(tmp_path / "b", content(**changes))
    return tmp_path / "b"


def test_a_copy_is_the_same_and_so_is_one_of_another_day(before: Path, tmp_path: Path) -> None:
    found = diff(str(before), str(made(tmp_path, created="2027-01-01T00:00:00Z")))
    assert found.same
    assert found.told == {"created": Edit("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")}
    assert found.labels["train"].kappa() == 1.0


def test_labels_are_counted_in_a_matrix_with_kappa(before: Path, tmp_path: Path) -> None:
    new = ("joy", "joy", "neutral", "neutral", "sadness", "joy")
    found = diff(str(before), str(made(tmp_path, labels=new)))
    matrix = found.labels["train"]
    counts = {
        (a, b): int(matrix.counts[i, j])
        for i, a in enumerate(matrix.labels)
        for j, b in enumerate(matrix.labels)
        if matrix.counts[i, j]
    }
    assert counts == {
        ("joy", "joy"): 2, ("anger", "joy"): 1, ("joy", "neutral"): 1, ("neutral", "neutral"): 1,
        ("sadness", "sadness"): 1,
    }  # fmt: skip
    assert matrix.kappa() == pytest.approx(cohen_kappa_score(LABELS, new))
    assert found.relabelled == {
        "meld/train/dia0_utt1": Edit("anger", "joy"), "meld/train/dia0_utt2": Edit("joy", "neutral"),
    }  # fmt: skip
    # Whether a row changed follows from its label.
    assert found.values["changed"].count == 2
    assert not found.same


def test_rows_that_come_and_go_are_named(before: Path, tmp_path: Path) -> None:
    found = diff(str(before), str(made(tmp_path, first=2)))
    assert found.removed == {"train": ["meld/train/dia0_utt0", "meld/train/dia0_utt1"]}
    assert found.added == {"train": ["meld/train/dia0_utt6", "meld/train/dia0_utt7"]}
    assert found.labels["train"].total == 4


def reword(annotation: Annotation) -> Annotation:
    """The same answer about a row with another speaker."""
    asked = replace(annotation.request, utterance=replace(annotation.utterance, speaker="Ross"))
    return replace(
        annotation,
        request=asked,
        replies=tuple(replace(reply, request_key=asked.key) for reply in annotation.replies),
    )


def test_values_columns_models_and_licences_are_compared(before: Path, tmp_path: Path) -> None:
    annotations = [reword(a) if n == 1 else a for n, a in enumerate(content().annotations)]
    annotator = {**content().annotator, "model": "gpt-next"}
    corpus = {**content().corpus, "licence": "MIT"}
    other = made(tmp_path, annotations=annotations, annotator=annotator, corpus=corpus)
    found = diff(str(before), str(other))
    assert found.values["speaker"].count == 1
    assert found.values["speaker"].examples == {"meld/train/dia0_utt1": Edit("Joey", "Ross")}
    assert found.made["annotator.model"] == Edit("gpt-test", "gpt-next")
    assert found.made["corpus.licence"] == Edit("CC-BY-4.0", "MIT")
    assert found.card["license"] == Edit("cc-by-4.0", "mit")
    labels = labels_only_folder(before, tmp_path / "labels")
    found = diff(str(before), str(labels))
    assert found.columns["text"] == Edit("string", None)
    assert found.columns["check"] == Edit(None, "string")
    assert found.relabelled == {}


@pytest.mark.parametrize("ids", ["meld/train/dia0_utt{n}", "train/dia0_utt{n}", "dia0_utt{n}.wav"])
def test_a_table_is_compared_by_whatever_its_ids_are(before: Path, tmp_path: Path, ids: str) -> None:
    lines = ["id,llm_label", *(f"{ids.format(n=n)},{label.title()}" for n, label in enumerate(LABELS))]
    table = tmp_path / "theirs.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    found = diff(str(before), str(table), split="train")
    assert (found.added, found.removed, found.relabelled, found.moved) == ({}, {}, {}, {})
    assert "label" in found.columns
    assert found.labels["train"].total == len(LABELS)


def test_a_folder_of_parquet_files_is_a_dataset_too(before: Path, tmp_path: Path) -> None:
    shutil.copytree(before / "data", tmp_path / "plain" / "data")
    found = diff(str(before), str(tmp_path / "plain"))
    assert (found.columns, found.values, found.relabelled, found.made) == ({}, {}, {}, {})
    assert found.same


def test_what_cannot_be_compared_is_refused(before: Path, tmp_path: Path) -> None:
    other = publish_small(tmp_path / "toy")
    with pytest.raises(InputError, match="no id in common"):
        diff(str(before), str(other))
    table = tmp_path / "twice.csv"
    table.write_text("id,label\nmeld/train/dia0_utt1,joy\nmeld/train/dia0_utt1,joy\n")
    with pytest.raises(InputError, match=r"1 ids stand more than once, such as 'meld/train/dia0_utt1'"):
        diff(str(before), str(table))
    with pytest.raises(InputError, match="There is no file or folder"):
        diff(str(before), str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="Bad label column 'x'"):
        diff(str(before), str(before), after="x")


@pytest.fixture
def run() -> Callable[..., Any]:
    return lambda *call: CliRunner().invoke(app, ["diff", *map(str, call)])


def test_the_command_exits_as_diff_does(run: Callable[..., Any], before: Path, tmp_path: Path) -> None:
    same = run(before, before)
    assert same.exit_code == 0
    assert "The datasets are the same." in same.output
    other = made(tmp_path, labels=("joy",) * 6)
    different = run(before, other)
    assert different.exit_code == 1
    assert "train: 3 of 6 labels differ (50.00 %)" in different.output
    assert "anger" in different.output
    assert run(before, other, "-q").output == ""
    printed = run(before, other, "--json", "-")
    assert printed.exit_code == 1
    told = json.loads(printed.stdout)
    assert told["labels"]["train"]["changed"] == 3
    assert told["relabelled"]["meld/train/dia0_utt1"] == {"a": "anger", "b": "joy"}
    assert run(before, other, "--json", tmp_path / "d.json", "-q").exit_code == 1
    assert json.loads((tmp_path / "d.json").read_text("utf-8")) == told


def test_what_differs_inside_a_record_is_shown_and_no_line_is_broken(
    run: Callable[..., Any], before: Path, tmp_path: Path
) -> None:
    same = {"long": "x" * 200}
    first = made(tmp_path / "1", options={**same, "turns": 0})
    found = run(first, made(tmp_path / "2", options={**same, "turns": 3, "note": "y" * 85}), "--plain")
    assert "\n  options.turns: 0 -> 3\n" in found.output
    assert f"\n  options.note: nothing -> {'y' * 85}\n" in found.output
    assert "options.long" not in found.output
    many = made(tmp_path / "3", options={f"option{n}": n for n in range(40)})
    assert "options: 32 more (--json has all)" in run(first, many, "--plain").output


def test_the_label_columns_are_named_where_they_differ(
    run: Callable[..., Any], before: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("".join(["id,llm_label\n", *(f"meld/train/dia0_utt{n},joy\n" for n in range(6))]))
    found = run(before, table, "--json", tmp_path / "d.json")
    assert "Labels: column 'label' of A, 'llm_label' of B" in found.output
    told = json.loads((tmp_path / "d.json").read_text("utf-8"))
    assert told["label_columns"] == {"a": "label", "b": "llm_label"}


def test_a_pipe_gets_no_bar_of_a_download(run: Callable[..., Any], before: Path) -> None:
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars

    enable_progress_bars()
    try:
        assert run(before, before, "-q").exit_code == 0
        assert are_progress_bars_disabled()
    finally:
        enable_progress_bars()
