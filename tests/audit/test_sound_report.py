"""The report carries and plays the dataset's own sound, and shows what was measured."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from remelt.audit import AuditOptions, audio_column, audit
from remelt.audit.audio_column import AudioColumn
from remelt.audit.clips import _uri
from remelt.errors import InputError

from .voices import note_corpus, rows_of, tone, write_cuts, write_voice


def data_of(out: Path, **options: Any) -> tuple[str, dict[str, Any]]:
    found = audit(out, AuditOptions(figures=False, **options))
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert text is not None
    return page, json.loads(text.group(1))


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def sounding(count: int, split: str = "train", **more: Any) -> list[dict[str, Any]]:
    rows = rows_of(count, split, **more)
    for i, row in enumerate(rows):
        row["audio"] = {"bytes": tone(pitch=200 + 10 * i + len(split)), "path": f"{i}.flac"}
    return rows


def test_every_row_plays_its_own_sound(tmp_path: Path) -> None:
    rows = {"train": sounding(10), "test": sounding(6, "test")}
    page, data = data_of(write_voice(tmp_path, rows))
    by_id = {row["id"]: row["audio"]["bytes"] for split in rows.values() for row in split}
    assert len(data["audio"]) == 16
    for place, uri in data["audio"].items():
        assert uri.startswith("data:audio/flac;base64,")
        assert content(uri) == by_id[data["rows"]["id"][int(place)]]
    assert "16 clips are embedded" in page
    assert data["links"] == {}


def test_no_more_than_the_limit_and_what_matters_first(tmp_path: Path) -> None:
    rows = sounding(30, pitch="low", pitch_level="low", loudness=None, label=1, original_label=1)
    rows[17].update(pitch="high")
    rows[23].update(label=2)
    size = max(len(row["audio"]["bytes"]) for row in rows)
    page, data = data_of(write_voice(tmp_path, {"train": rows}), audio_bytes=3 * size)
    played = {data["rows"]["id"][int(place)] for place in data["audio"]}
    assert {rows[17]["id"], rows[23]["id"]} < played
    assert len(played) == 3
    assert "The sound of 27 further rows is not in this page" in page
    _, data = data_of(tmp_path, audio_bytes=0)
    assert data["audio"] == {}


def test_only_the_row_groups_wanted_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_voice(tmp_path, {"train": sounding(40)}, group_rows=4)
    opened: list[tuple[list[int], list[str]]] = []
    real = pq.ParquetFile.iter_batches

    def spy(self: Any, size: int, row_groups: list[int], columns: list[str]) -> Any:
        opened.append((row_groups, columns))
        return real(self, size, row_groups=row_groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    found = AudioColumn(tmp_path).read([38, 5, 6], 10**6)
    assert list(found) == [38, 5, 6]
    assert opened == [([1], ["audio.bytes"]), ([9], ["audio.bytes"])]
    opened.clear()
    monkeypatch.setattr(audio_column, "MOST_READ", 1)
    size = 4 * max(len(s) for s in found.values())
    few = AudioColumn(tmp_path).read(range(0, 40, 4), size)
    assert len(opened) <= 2
    assert list(few) == [0]


def test_rows_of_a_joined_dataset_keep_their_sound(tmp_path: Path) -> None:
    rows = sounding(9)
    one = write_voice(tmp_path / "one", {"train": rows})
    two = write_voice(tmp_path / "two", {"train": rows[4:]}, without=("audio",))
    _, data = data_of(one, against=two)
    assert data["rows"]["id"] == [row["id"] for row in rows[4:]]
    assert [content(data["audio"][str(i)]) for i in range(5)] == [r["audio"]["bytes"] for r in rows[4:]]


def test_rows_without_sound_of_their_own_fall_back_to_the_corpus(tmp_path: Path) -> None:
    rows = sounding(4, clip="a.wav")
    rows[1]["audio"] = {"bytes": None, "path": "a.wav"}
    rows[2]["audio"] = None
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.wav").write_bytes(tone(kind="WAV"))
    out = write_voice(tmp_path / "out", {"train": rows})
    _, data = data_of(out)
    assert set(data["audio"]) == {"0", "3"}
    note_corpus(out, corpus)
    _, data = data_of(out)
    assert content(data["audio"]["1"]) == content(data["audio"]["2"]) == tone(kind="WAV")


def test_a_part_of_a_recording_is_linked_at_its_place_and_never_embedded(tmp_path: Path) -> None:
    rows = rows_of(4, clip="long.wav")
    out = write_voice(tmp_path / "out", {"train": rows}, without=("audio",))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "long.wav").write_bytes(tone(kind="WAV"))
    note_corpus(out, corpus)
    ids = [row["id"] for row in rows]
    write_cuts(out, {ids[0]: (1.25, 3.5), ids[1]: (None, 2.0), ids[2]: (61.0, None), ids[3]: (None, None)})
    _, data = data_of(out)
    base = "../../corpus/long.wav"
    assert data["links"] == {"0": f"{base}#t=1.25,3.5", "1": f"{base}#t=0,2", "2": f"{base}#t=61"}
    assert set(data["audio"]) == {"3"}


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"fLaC....", "audio/flac"),
        (b"RIFF....WAVE", "audio/wav"),
        (b"OggS....", "audio/ogg"),
        (b"ID3.....", "audio/mpeg"),
        (b"\xff\xfb......", "audio/mpeg"),
        (b"\x00\x00\x00\x20ftypisom", "audio/mp4"),
    ],
)
def test_the_kind_of_sound_is_told_by_its_first_bytes(first: bytes, kind: str) -> None:
    assert _uri(first).startswith(f"data:{kind};base64,")


def test_a_column_of_that_name_that_is_no_sound(tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.table({"label": ["a"], "original_label": ["b"], "audio": ["x.wav"]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert not AudioColumn(tmp_path / "t.parquet")
    _, data = data_of(tmp_path / "t.parquet")
    assert data["audio"] == {}


def test_a_file_cut_off_is_named(tmp_path: Path) -> None:
    out = write_voice(tmp_path, {"train": sounding(3)})
    path = out / "data" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"train-00000-of-00001\.parquet cannot be read as Parquet"):
        AudioColumn(out)


def test_what_was_measured_is_shown(tmp_path: Path) -> None:
    rows = rows_of(6, transcript="line 0, heard", transcript_source="whisper")
    rows[2]["voice_flags"] = ["clipped", "silent"]
    rows[3].update(f0_semitone_mean=None, pitch_level=None)
    rows[4].update(f0_semitone_mean=float("inf"), pitch_level="loud")
    rows[5].update(f0_semitone_mean=float("nan"))
    page, data = data_of(write_voice(tmp_path, {"train": rows}))
    sound = data["sound"]
    pitch = next(d for d in sound["dimensions"] if d["name"] == "pitch")
    assert pitch["heard"] == [
        -1 if row["pitch_level"] in (None, "loud") else ["low", "mid", "high"].index(row["pitch_level"])
        for row in rows
    ]
    assert {m["name"]: m["v"] for m in sound["measures"]}["f0_semitone_mean"][3:] == [None] * 3
    flags = sound["flags"]
    assert flags["d"][flags["c"][2]] == "clipped, silent"
    fields = [field["name"] for field in data["fields"]]
    assert "transcript" in fields
    assert "pitch_level" not in fields
    assert data["rows"]["seconds"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert page.count('class="cell"') == 9 * len(sound["dimensions"])


def test_contradicted_rows_are_carried_when_not_all_are(tmp_path: Path) -> None:
    rows = rows_of(300, pitch="low", pitch_level="low", loudness=None, label=1, original_label=1)
    for i in (7, 131, 260):
        rows[i]["pitch"] = "high"
    _, data = data_of(write_voice(tmp_path, {"train": rows}), report_rows=40)
    assert {rows[i]["id"] for i in (7, 131, 260)} < set(data["rows"]["id"])
    assert len(data["rows"]["id"]) <= 40


def test_how_the_sound_was_measured_is_said(tmp_path: Path) -> None:
    out = write_voice(tmp_path, {"train": rows_of(3)})
    path = out / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["voice"] = {
        "acoustics": {"backend": "toy", "version": "1.2"},
        "transcripts": {"source": "asr/toy"},
        "notes": ["All clips have <one> peak."],
    }
    path.write_text(json.dumps(manifest), encoding="utf-8")
    page, _ = data_of(out)
    assert re.search(r"<dt>Acoustics</dt><dd[^>]*>toy 1\.2</dd>", page)
    assert re.search(r"<dt>Transcripts</dt><dd[^>]*>asr/toy</dd>", page)
    assert "All clips have &lt;one&gt; peak." in page
