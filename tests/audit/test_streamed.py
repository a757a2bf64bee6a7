"""An audit of rows that come some at a time says what one of all rows together says, byte for byte."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt.audit import AuditOptions, audit, batches, run
from remelt.audit.build_info import MAX_DROPPED, read_build, read_cuts
from remelt.audit.dataset import Table, read_table
from remelt.audit.report_data import spread_rows
from remelt.audit.streamed import Streamed, open_table
from remelt.errors import InputError

from .conftest import LABELS, MakeOut

QUICK = AuditOptions(figures=False, report_rows=25)


def odd_rows(count: int, split: str, seed: int) -> list[dict[str, Any]]:
    """Rows that lack this and that, with flags, repeated speakers, lengths from time stamps."""
    rng = random.Random(seed)
    found = []
    for i in range(count):
        start = rng.choice([None, i * 1.1])
        found.append({
            "id": f"s/{split}/dia{i // 5}_utt{i % 5}",
            "speaker": rng.choice(["Ross", "Joey", "", None, "Ay <b>"]),
            "text": " ".join(["word"] * rng.randrange(22)),
            "text_repaired": rng.choice([None, "mended words"]), "season": rng.choice([None, 10, 2]),
            "start": start, "end": None if start is None else start + rng.random(),
            "original_label": rng.choice([None, *LABELS[:4]]), "label": rng.choice([None, *LABELS]),
            "flags": rng.sample(["mojibake", "one_word", "cut"], rng.randrange(3)),
            "character_match": rng.choice([None, True, False]), "context": rng.choice([None, f"at {i}"]),
        })  # fmt: skip
    return found


def odd_out(make_out: MakeOut) -> Path:
    rows = {"train": odd_rows(60, "train", 1), "test": odd_rows(13, "test", 2), "dev": []}
    stages = ("selection", "annotation", "resolution")
    dropped = [
        {"id": f"s/train/dia90_utt{i}", "split": "train", "stage": stages[i % 3],
         "reasons": ["words", "x"][: i % 3], "details": [],
         "speaker": f"P{i}", "text": "t", "start": 1.0, "end": 1.1 + i}
        for i in range(20)
    ]  # fmt: skip
    replies = [
        {"id": f"s/train/dia90_utt{i}", "status": "invalid", "raw": "no", "model": f"m{i % 2}",
         "attempt": i % 2, "problems": ["none"], "input_tokens": 7, "cost": 0.1 + i / 7}
        for i in range(20)
    ]  # fmt: skip
    return make_out(rows, dropped=dropped, replies=replies, counts={"train": {"kept": 1}})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def both(out: Path, to: Path, monkeypatch: pytest.MonkeyPatch, options: AuditOptions) -> dict[str, bytes]:
    """The files of the audit by seven rows at a time, which are those of all at once."""

    def whole(path: Path, before: Any, after: Any, order: Any, whole_with: Any) -> Table:
        return read_table(path, before, after, order)

    with monkeypatch.context() as patch:
        patch.setattr(run, "open_table", whole)
        at_once = content(audit(out, AuditOptions(**{**_fields(options), "to": to / "whole"})).folder)
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    streamed = content(audit(out, AuditOptions(**{**_fields(options), "to": to / "streamed"})).folder)
    assert streamed == at_once
    return streamed


def _fields(options: AuditOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in AuditOptions.__slots__}


def test_the_same_files_as_of_all_rows_at_once(
    make_out: MakeOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = both(odd_out(make_out), tmp_path, monkeypatch, QUICK)
    found = json.loads(files["findings.json"])
    assert (found["overall"]["rows"], found["splits"]["train"]["rows"]) == (73, 60)
    assert found["build"]["dropped"]["train"]["annotation"]["rows"] == 7
    assert found["splits"]["dev"]["mean_seconds"] is None
    assert b"of 73 rows, spread evenly over every cell" in files["report.html"]


def test_files_with_other_columns_and_a_column_of_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    parts: list[dict[str, list[Any]]] = [
        {"label": ["Joy ", "anger", None] * 5, "original_label": ["joy"] * 15, "split": ["b", "a", ""] * 5},
        {"original_label": ["fear"] * 9, "label": ["joy"] * 9, "note": ["n", None, ""] * 3,
         "duration": ["0:00:02"] * 9},
    ]  # fmt: skip
    for number, part in enumerate(parts):
        pq.write_table(pa.table(part), tmp_path / "data" / f"part{number}.parquet")
    found = json.loads(both(tmp_path, tmp_path / "to", monkeypatch, QUICK)["findings.json"])
    assert found["dataset"]["splits"] == ["a", "b", "part0", "part1"]
    assert any("spellings, such as 'Joy '" in sentence for sentence in found["caveats"])
    assert found["overall"]["mean_seconds"] == 2


def test_the_real_corpus(meld_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = AuditOptions(figures=False, report_rows=3_000)
    with monkeypatch.context() as patch:
        patch.setattr(batches, "BATCH_ROWS", 999)
        found = json.loads(both(meld_folder, tmp_path, patch, options)["findings.json"])
    assert found["overall"]["change"]["count"] == 3261


def test_only_what_needs_all_rows_is_read_at_once(make_out: MakeOut, tmp_path: Path) -> None:
    out = make_out({"train": odd_rows(9, "train", 1)})
    assert isinstance(open_table(out, whole_with=("votes",)), Streamed)
    for name, column in (("votes", pa.array([[{"source": "a"}]])), ("loudness_level", pa.array(["low"]))):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"label": ["a"], "original_label": ["b"], name: column}), path)
        assert isinstance(open_table(path, whole_with=("votes",)), Table)
    assert isinstance(open_table(tmp_path / "votes.parquet"), Streamed)


def test_no_batch_is_larger_than_asked_for(make_out: MakeOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    table = open_table(make_out({"train": odd_rows(30, "train", 1)}))
    assert [len(part) for part in table.batches()] == [7, 7, 7, 7, 2]
    assert len(table) == 30


def test_some_rows_are_those_of_the_whole_table(make_out: MakeOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 4)
    out = make_out({"train": odd_rows(30, "train", 1), "test": odd_rows(11, "test", 2)})
    whole, streamed = read_table(out), open_table(out)
    assert isinstance(streamed, Streamed)
    places = [0, 3, 4, 29, 30, 40]
    some = streamed.rows(places)
    assert some.places == places
    assert [whole.ids[i] for i in places] == some.ids
    assert [whole.texts[i] for i in places] == some.texts
    assert [whole.split[i] for i in places] == some.split
    assert whole.before[places].tolist() == some.before.tolist()
    assert {n: [v[i] for i in places] for n, v in whole.fields.items()} == some.fields
    for codes, own in zip(streamed.codes(), (whole.before, whole.after), strict=True):
        assert codes.tolist() == own.tolist()


def test_a_file_that_is_cut_off_is_named(make_out: MakeOut) -> None:
    out = make_out({"train": odd_rows(9, "train", 1)})
    path = out / "data" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"train-00000-of-00001.parquet cannot be read as Parquet"):
        audit(out, QUICK)


def test_chosen_rows_are_spread_over_each_cell() -> None:
    rng = random.Random(3)
    before, after = (np.array([rng.choice([-1, 0, 0, 0, 1, 2]) for _ in range(900)]) for _ in "ab")
    chosen = spread_rows(before.astype(np.int8), after.astype(np.int8), 120)
    assert len(chosen) <= 120
    assert chosen == sorted(set(chosen))
    cells: dict[tuple[int, int], list[int]] = {}
    for row, pair in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
        cells.setdefault(pair, []).append(row)
    most = max(len(set(rows) & set(chosen)) for rows in cells.values())
    for rows in cells.values():
        taken = sorted(set(rows) & set(chosen))
        assert len(taken) == min(most, len(rows))
        assert taken == [rows[k * len(rows) // len(taken)] for k in range(len(taken))]
    assert sum(min(most + 1, len(rows)) for rows in cells.values()) > 120


def test_of_dropped_rows_only_those_on_the_page_are_kept(make_out: MakeOut) -> None:
    count = MAX_DROPPED + 30
    dropped = [
        {"id": f"s/train/u{i}", "split": "train", "stage": "annotation" if i >= count - 40 else "selection",
         "reasons": ["words"], "details": [], "speaker": f"P{i % 3}", "text": "", "start": 0.0, "end": 0.5}
        for i in range(count)
    ]  # fmt: skip
    replies = [{"id": f"s/train/u{i}", "status": "invalid", "model": "m", "attempt": 0} for i in range(count)]
    build = read_build(make_out({"train": []}, dropped=dropped, replies=replies))
    assert build is not None
    assert (build.dropped, len(build.shown), len(build.quarantined)) == (count, MAX_DROPPED, 40)
    assert [row.id for row in build.shown[38:42]] == [f"s/train/u{i}" for i in (count - 2, count - 1, 0, 1)]
    left = build.left_out["train"]
    assert dict(left.stages) == {"selection": count - 40, "annotation": 40}
    assert (left.reasons["selection"]["words"], sum(left.seconds)) == (count - 40, count / 2)
    assert left.speakers == {"P0", "P1", "P2"}


def test_cuts_of_the_wanted_rows(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    cuts = pa.table({"id": ["a", "b", "c"], "clip_start": [1.0, 2.0, None], "clip_end": [None, 3.0, None]})
    pq.write_table(cuts, tmp_path / "annotations" / "train-00000-of-00001.parquet")
    assert read_cuts(tmp_path) == {"a": (1.0, None), "b": (2.0, 3.0)}
    assert read_cuts(tmp_path, {"b", "c"}) == {"b": (2.0, 3.0)}
