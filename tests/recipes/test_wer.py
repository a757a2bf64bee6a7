"""`remelt wer` on transcripts, datasets and tables: what is read, shown, written, and left alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from remelt.cli import app
from remelt.errors import InputError
from remelt.recipes.listening.wer import PUBLISHED, word_error_rate
from remelt.voice.wer import WerOptions

pytest.importorskip("jiwer")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
PLAIN = WerOptions(resamples=50)


def row(split: str, number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "id": f"meld/{split}/dia0_utt{number}", "split": split, "speaker": "Ross", "label": "joy",
        "seconds": 1.5, "reference": "Hey, you—stop!", "transcript": "hey you stop", "status": "valid",
        "detail": "", "model": "tiny.en",
    }  # fmt: skip
    return {**made, **changes}


@pytest.fixture
def transcripts(tmp_path: Path) -> Path:
    """A folder as `remelt transcribe` leaves it: dev comes before train by name, one clip failed."""
    out = tmp_path / "heard"
    (out / "transcripts").mkdir(parents=True)
    splits = {
        "dev": [row("dev", 0, transcript="hey stop", label=None)],
        "train": [
            row("train", 0),
            row("train", 1, reference="No.", transcript="thank you"),
            row("train", 2, transcript=None, status="error", detail="clip_unreadable"),
            row("train", 3, transcript=None, status="no_clip"),
            row("train", 4, reference=None),
        ],
    }
    for split, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows), out / "transcripts" / f"{split}.parquet")
    about = {"source": "whisper/tiny.en", "model": "tiny.en", "parameters": {}, "counts": {}}
    (out / "transcripts.json").write_text(json.dumps(about), encoding="utf-8")
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_transcripts_are_scored_and_written_beside_them(transcripts: Path) -> None:
    report = word_error_rate(transcripts, PLAIN)
    assert (report.kind, report.reference, report.hypothesis) == ("transcripts", "reference", "transcript")
    assert (report.corpus, report.model) == ("meld", "tiny.en")
    assert report.result.counts["no_transcript"] == 1
    assert report.result.total["processed"].wer == pytest.approx(3 / 7)
    assert list(report.result.groups["split"]) == ["train", "dev"]
    assert {p.name for p in report.files} == {"wer.json", "wer.csv", "wer_utterances.csv"}
    found = json.loads((transcripts / "wer" / "wer.json").read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(report.as_dict()))
    assert found["published"]["percent"][0] == (
        {"model": "Whisper Large V2", "original": 46.23, "processed": 37.87}
    )


def test_the_tables_hold_every_utterance_and_add_up(transcripts: Path) -> None:
    word_error_rate(transcripts, PLAIN)
    with (transcripts / "wer" / "wer_utterances.csv").open(encoding="utf-8", newline="") as file:
        utterances = list(csv.DictReader(file))
    assert [r["state"] for r in utterances] == ["scored"] * 3 + ["no_transcript", "no_clip", "no_reference"]
    with (transcripts / "wer" / "wer.csv").open(encoding="utf-8", newline="") as file:
        rates = list(csv.DictReader(file))
    every = next(r for r in rates if r["by"] == "all" and r["reading"] == "processed")
    for name in ("substitutions", "deletions", "insertions", "hits"):
        assert int(every[name]) == sum(int(r[f"processed_{name}"] or 0) for r in utterances)


def test_a_second_run_writes_the_same_bytes(transcripts: Path) -> None:
    word_error_rate(transcripts, PLAIN)
    first = files(transcripts)
    word_error_rate(transcripts, PLAIN)
    assert files(transcripts) == first


def dataset(folder: Path) -> Path:
    """A published folder with class labels, sound, and a transcript column."""
    from datasets import ClassLabel, Dataset, Features, Value

    rows = [
        {"id": f"iemocap/train/{n}", "text": "Well, no.", "transcript": t, "label": n % 2, "audio_seconds": n}
        for n, t in enumerate(["well no", "well", None, "well no no"])
    ]
    kinds = {name: Value("string") for name in ("id", "text", "transcript")}
    shape = Features(
        {**kinds, "label": ClassLabel(names=["joy", "anger"]), "audio_seconds": Value("float64")}
    )
    (folder / "data").mkdir(parents=True)
    Dataset.from_list(rows, features=shape).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    return folder


def test_a_dataset_is_scored_and_left_as_it_is(tmp_path: Path) -> None:
    out = dataset(tmp_path / "set")
    (out / "transcripts").mkdir()
    before = files(out)
    report = word_error_rate(out, PLAIN)
    assert files(out) == before
    assert (report.kind, report.files) == ("dataset", ())
    assert report.result.total["processed"].wer == pytest.approx(2 / 6)
    assert set(report.result.groups["label"]) == {"joy", "anger"}
    assert list(report.result.groups["duration"]) == ["under 1 s", "1 to 2 s", "2 to 4 s"]
    assert report.published == PUBLISHED["iemocap"]
    told = word_error_rate(out, PLAIN, to=tmp_path / "there")
    assert {p.parent for p in told.files} == {tmp_path / "there"}
    assert files(out) == before


def test_a_table_with_columns_of_other_names(tmp_path: Path) -> None:
    table = tmp_path / "heard_test.csv"
    table.write_text('said,whisper\n"one, two",one two\nthree,\n', encoding="utf-8")
    report = word_error_rate(table, PLAIN, reference="said", hypothesis="whisper")
    assert (report.kind, report.corpus, report.published, report.files) == ("table", "", (), ())
    assert report.result.total["original"].wer == pytest.approx(2 / 3)
    assert report.result.counts["empty_transcript"] == 1
    assert [r.pair.key for r in report.result.scored] == ["row 1", "row 2"]
    assert list(report.result.groups["split"]) == ["test"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            "a,b\n1,2\n",
            {},
            r"none of \['reference', 'text'\]; name the reference column, one of \['a', 'b'\]",
        ),
        ("text,b\n1,2\n", {}, "name the hypothesis column"),
        ("text,transcript\nx,y\n", {"reference": "txt"}, "Bad reference column 'txt', expected one of"),
        ("text,transcript\n", {}, "no rows to score"),
    ],
)
def test_what_cannot_be_scored_is_said(
    tmp_path: Path, content: str, options: dict[str, str], message: str
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        word_error_rate(table, PLAIN, **options)  # type: ignore[arg-type]


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"id": "x", "text": "one", "transcript": 1}\n', encoding="utf-8")
    with pytest.raises(InputError, match="column 'transcript' of x holds 1, expected text"):
        word_error_rate(table, PLAIN)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        word_error_rate(tmp_path / "none", PLAIN)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["wer", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_shows_the_rates_beside_the_published_ones(transcripts: Path) -> None:
    shown = " ".join(run(str(transcripts), "--plain", "--resamples", "50").split())
    assert (
        "3 of 6 utterances scored; 1 without a transcript; 1 without a clip; 1 without a reference." in shown
    )
    assert "processed 42.86" in shown
    assert "Whisper Large V2 on MELD, Feng & Narayanan 2023: original 46.23" in shown
    assert "counted as all deleted: original" in shown
    assert "'thank you'" in shown
    assert "By split" in shown
    assert "By speaker" not in shown  # all are Ross


def test_the_command_prints_json_alone(transcripts: Path, tmp_path: Path) -> None:
    printed = json.loads(run(str(transcripts), "--json", "-", "--by", "none"))
    assert printed["groups"] == {}
    target = tmp_path / "numbers.json"
    run(str(transcripts), "--json", str(target), "--by", "none")
    assert json.loads(target.read_text(encoding="utf-8")) == printed


def test_the_command_refuses_unknown_groups(transcripts: Path) -> None:
    result = CliRunner().invoke(app, ["wer", str(transcripts), "--by", "age"])
    assert isinstance(result.exception, InputError)
    assert "Bad group 'age'" in str(result.exception)
