"""Whole transcription runs: every row accounted for, nothing heard twice, a changed clip heard again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from typer.testing import CliRunner

from remelt.annotators.asr import AsrOptions
from remelt.cli import app
from remelt.errors import AnnotatorError, InputError, Interrupted
from remelt.journal import Journal
from remelt.recipes.listening import transcribe as recipe
from remelt.recipes.listening import transcripts
from remelt.recipes.listening.transcribe import TranscribeOptions, TranscribeResult, transcribe
from remelt.recipes.workspace import workspace

from .. import bad_audio
from ..builders import utterance, write_meld
from ..transcription_server import TranscriptionServer, heard

ROWS = 12


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def tone(number: int, seconds: float = 0.5) -> Any:
    """16-bit samples at 16 kHz, which come through unchanged; another pitch for each number."""
    size = int(16_000 * seconds)
    return np.round(9000 * np.sin(np.arange(size) * (0.03 + 0.005 * number))).astype(np.int16)


def write_corpus(folder: Path, rows: int = ROWS) -> Path:
    """A table with a clip for each row but the last, in two splits."""
    (folder / "clips").mkdir(parents=True)
    lines = ["id,split,speaker,text,label,clip"]
    for number in range(rows):
        split = "train" if number < rows // 2 else "test"
        clip = f"clips/{number}.wav" if number < rows - 1 else ""
        if clip:
            soundfile.write(folder / clip, tone(number), 16_000, subtype="PCM_16")
        lines.append(f"u{number},{split},{('Ann', 'Bob')[number % 2]},Line {number}.,joy,{clip}")
    (folder / "all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus")


def run(corpus: Path, out: Path, server: TranscriptionServer, **changes: Any) -> TranscribeResult:
    hearing = {"base_url": server.url, "timeout": 120.0, **changes.pop("hearing", {})}
    named = {"corpus_name": "toy", **changes}
    return transcribe(
        TranscribeOptions(str(corpus), out, "openai-asr/tiny", hearing=AsrOptions(**hearing), **named)
    )


def files(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((out / "transcripts").iterdir())}


def test_every_row_is_written_with_what_was_heard(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer() as server:
        result = run(corpus, tmp_path / "out", server)
    info, rows = transcripts.read(tmp_path / "out")
    assert [row.id for row in rows] == [f"toy/{'train' if n < 6 else 'test'}/u{n}" for n in range(ROWS)]
    for number, row in enumerate(rows[:-1]):
        assert row.transcript == f"The {heard(tone(number))}."
        assert (row.status, row.detail, row.seconds, row.label) == ("valid", "", 0.5, "joy")
        assert (row.reference, row.model) == (f"Line {number}.", "tiny")
        assert row.speaker == ("Ann", "Bob")[number % 2]
    assert (rows[-1].transcript, rows[-1].status, rows[-1].model) == (None, "no_clip", "")
    assert info["counts"] == {
        "train": {
            "utterances": 6, "transcribed": 6, "empty": 0, "failed": 0, "no_clip": 0, "not_asked": 0,
        },
        "test": {"utterances": 6, "transcribed": 5, "empty": 0, "failed": 0, "no_clip": 1, "not_asked": 0},
    }  # fmt: skip
    assert (info["source"], info["model"], info["corpus"]) == ("openai-asr/tiny", "tiny", "toy")
    assert info["parameters"] == {"task": "transcribe", "temperature": 0.0}
    assert info["run"]["audio_seconds"] == 5.5
    assert info == result.info
    schema = pq.read_schema(tmp_path / "out" / "transcripts" / "test.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "id": "string", "split": "string", "speaker": "string", "label": "string", "seconds": "double",
        "reference": "string", "transcript": "string", "status": "string", "detail": "string",
        "model": "string",
    }  # fmt: skip


def test_nothing_is_heard_twice_and_the_files_stay_the_same(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer() as server:
        first = run(corpus, tmp_path / "out", server)
        before, seen = files(tmp_path / "out"), len(server.asked)
        again = run(corpus, tmp_path / "out", server)
        assert len(server.asked) == seen == ROWS - 1
    assert files(tmp_path / "out") == before
    assert again.stats.reused == ROWS - 1
    assert again.info["run"] == first.info["run"]
    with Journal(tmp_path / "out" / ".remelt" / "journal.sqlite", read_only=True) as journal:
        replies = list(journal.all_replies())
    assert {reply.means for reply in replies} == {"asr"}
    assert sorted(reply.raw for reply in replies) == sorted(f"The {heard(tone(n))}." for n in range(ROWS - 1))


def test_a_changed_clip_or_parameter_is_heard_again(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer() as server:
        run(corpus, tmp_path / "out", server)
        seen = len(server.asked)
        soundfile.write(corpus / "clips" / "3.wav", tone(50), 16_000, subtype="PCM_16")
        result = run(corpus, tmp_path / "out", server)
        assert [asked["clip"] for asked in server.asked[seen:]] == [heard(tone(50))]
        assert result.rows["train"][3].transcript == f"The {heard(tone(50))}."
        run(corpus, tmp_path / "out", server, hearing={"language": "de"})
        assert len(server.asked) == seen + 1 + ROWS - 1


def test_a_cut_is_part_of_the_question(tmp_path: Path) -> None:
    def request(**changes: Any) -> Any:
        spoken = utterance(1, clip="a.wav", **changes)
        return recipe._request(recipe._Clip(spoken, "ab" * 32, 1.0), _Stub())  # type: ignore[arg-type]

    whole, cut, other = request(), request(clip_start=0.25, clip_end=0.5), request(clip_start=0.25)
    assert len({whole.key, cut.key, other.key}) == 3
    assert json.loads(cut.messages[0].content) == {"audio": {"sha256": "ab" * 32, "start": 0.25, "end": 0.5}}
    soundfile.write(tmp_path / "a.wav", tone(0), 16_000, subtype="PCM_16")
    seconds: list[float] = []
    load = recipe._loader(tmp_path, seconds)
    samples = load(utterance(1, clip="a.wav", clip_start=0.25, clip_end=0.375))
    assert np.array_equal(np.round(samples * 32768), tone(0)[4000:6000])
    assert seconds == [0.125]


class _Stub:
    name, model, endpoint, parameters = "openai-asr/tiny", "tiny", "local", {"beam": 1}


def test_clips_that_cannot_be_decoded_keep_their_rows(corpus: Path, tmp_path: Path) -> None:
    (corpus / "clips" / "1.wav").write_bytes(b"")
    (corpus / "clips" / "2.wav").write_text("no sound at all, only text\n" * 50)
    with TranscriptionServer() as server:
        result = run(corpus, tmp_path / "out", server)
        assert len(server.asked) == ROWS - 3
        rows = result.rows["train"]
        assert [row.status for row in rows] == ["valid", "error", "error", "valid", "valid", "valid"]
        assert [row.transcript for row in rows[1:3]] == [None, None]
        assert rows[1].detail == "clip_empty: clips/1.wav: the file has 0 bytes"
        assert rows[2].detail == "clip_is_text: clips/2.wav: the file is text, not sound"
        assert result.info["failed"] == [
            {"id": f"toy/train/u{n}", "status": "error", "reason": rows[n].detail} for n in (1, 2)
        ]
        # What failed is tried again, and is no run to tell of.
        again = run(corpus, tmp_path / "out", server)
        assert (again.stats.asked, again.info["run"]) == (2, result.info["run"])
        # Mended, the clip is heard by the next run.
        soundfile.write(corpus / "clips" / "1.wav", tone(1), 16_000, subtype="PCM_16")
        mended = run(corpus, tmp_path / "out", server)
    assert mended.info["counts"]["train"]["failed"] == 1


def test_no_kind_of_bad_file_stops_a_run(tmp_path: Path) -> None:
    pytest.importorskip("av")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = ["id,split,speaker,text,clip"]
    kinds = bad_audio.KINDS[:36]
    for number, bad in enumerate(kinds):
        name = f"{number}_{bad.name}"
        if bad.make is not None:
            (corpus / name).write_bytes(bad.make())
        lines.append(f"u{number},train,Ann,Line {number}.,{name}")
    (corpus / "all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with TranscriptionServer() as server:
        counts = run(corpus, tmp_path / "out", server).info["counts"]["train"]
        assert counts["transcribed"] == len(server.asked) > 5
    assert counts["failed"] > 10
    assert counts["no_clip"] == 1
    assert counts["transcribed"] + counts["failed"] + counts["no_clip"] == counts["utterances"] == len(kinds)


LOOK = """
import sys
from pathlib import Path
from remelt import corpora
from remelt.recipes.listening import transcribe
corpus = corpora.load(sys.argv[1])
for clip in transcribe._look(corpus.folder, corpus.utterances)[:2]:
    print(clip.problem)
"""


def test_a_pipe_is_not_waited_for(corpus: Path) -> None:
    (corpus / "clips" / "1.wav").unlink()
    os.mkfifo(corpus / "clips" / "1.wav")
    # Threads that wait for a pipe can only be ended with their process.
    command = [sys.executable, "-c", LOOK, str(corpus)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    assert said.splitlines() == ["", "clip_unreadable: clips/1.wav: not a regular file"]


def test_silence_is_an_answer(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer(answer={"text": "  "}) as server:
        result = run(corpus, tmp_path / "out", server)
        seen = len(server.asked)
        run(corpus, tmp_path / "out", server)
        assert len(server.asked) == seen
    assert {(r.transcript, r.status, r.detail) for r in result.rows["train"]} == {("", "valid", "no words")}
    assert result.info["counts"]["train"]["empty"] == 6


def test_failures_of_the_server_are_tried_again(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer(faults={"500": 1, "429": 2}) as server:
        result = run(corpus, tmp_path / "out", server, retries=2)
    assert result.info["counts"]["test"]["transcribed"] == 5
    assert result.info["run"]["rate_limited"] == result.info["run"]["failed_tries"] == ROWS - 1
    with TranscriptionServer(faults={"400:no speech found": 1}) as server:
        refused = run(corpus, tmp_path / "other", server)
    assert {row.detail[-15:] for row in refused.rows["train"]} == {"no speech found"}
    assert refused.info["counts"]["train"]["failed"] == 6


def test_a_hopeless_server_ends_the_run(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer(key="sk-right-right") as server, pytest.raises(AnnotatorError, match="API key"):
        run(corpus, tmp_path / "out", server)
    with TranscriptionServer(faults={"500": 99}) as server, pytest.raises(Interrupted, match="rows in a row"):
        run(
            write_corpus(tmp_path / "many", 30),
            tmp_path / "o2",
            server,
            retries=0,
            hearing={"concurrency": 1},
        )


def test_limit_and_splits(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer() as server:
        run(corpus, tmp_path / "out", server, limit=2)
        info, rows = transcripts.read(tmp_path / "out")
        assert len(rows) == 2
        assert [counts["not_asked"] for counts in info["counts"].values()] == [4, 6]
        run(corpus, tmp_path / "out", server, splits=("test",))
        assert list(files(tmp_path / "out")) == ["test.parquet"]
        assert len(server.asked) == 7
        for splits, words in ((("dev",), "Bad split 'dev', .* has"), ((), "No split is named")):
            with pytest.raises(InputError, match=words):
                run(corpus, tmp_path / "out", server, splits=splits)


def test_a_folder_of_something_else_is_refused(corpus: Path, tmp_path: Path) -> None:
    with TranscriptionServer() as server:
        strange = tmp_path / "strange"
        strange.mkdir()
        (strange / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match="is not empty and not a remelt dataset"):
            run(corpus, strange, server)
        with workspace(tmp_path / "melt", "melt", "toy"):
            pass
        with pytest.raises(InputError, match="belongs to recipe 'melt', this is 'transcribe'"):
            run(corpus, tmp_path / "melt", server)
        run(corpus, tmp_path / "out", server, limit=1)
        with pytest.raises(InputError, match="belongs to corpus 'toy', this is 'other'"):
            run(corpus, tmp_path / "out", server, corpus_name="other")
        with workspace(tmp_path / "out", "transcribe", "toy"), pytest.raises(InputError, match="Another"):
            run(corpus, tmp_path / "out", server)


def test_a_corpus_without_clips(tmp_path: Path) -> None:
    with TranscriptionServer() as server:
        with pytest.raises(InputError, match=r"has no clips .*nothing to transcribe"):
            run(write_meld(tmp_path / "meld", 3), tmp_path / "out", server, corpus_name=None)
        assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="Bad limit 0"):
        TranscribeOptions("sample", tmp_path, "openai-asr/m", limit=0)
    assert server.asked == []


def test_the_corpus_language_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "ravdess"
    folder.mkdir()
    soundfile.write(folder / "03-01-05-01-02-01-02.wav", tone(1), 16_000, subtype="PCM_16")
    with TranscriptionServer() as server:
        result = run(folder, tmp_path / "out", server, corpus_name=None)
        run(folder, tmp_path / "out", server, corpus_name=None, hearing={"language": "auto"})
    assert [asked["form"].get("language") for asked in server.asked] == ["en", None]
    (row,) = result.rows["train"]
    assert (row.id, row.label) == ("ravdess/train/03-01-05-01-02-01-02", "angry")
    assert row.reference == "Dogs are sitting by the door"


def test_the_command(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (corpus / "clips" / "1.wav").write_bytes(b"")
    with TranscriptionServer() as server:
        command = ["transcribe", str(corpus), "--asr", "openai-asr/tiny", "--out", str(out), "--plain"]
        command += ["--name", "toy"]
        result = CliRunner().invoke(app, [*command, "--base-url", server.url, "--upload", "wav"])
        refused = CliRunner().invoke(app, [*command, "--base-url", server.url, "--beam", "5"])
    assert result.exit_code == 0, result.output
    assert {asked["filename"] for asked in server.asked} == {"clip.wav"}
    lines = result.stdout.splitlines()
    assert lines[0] == "train    5 of 6 transcribed, 1 failed"
    assert lines[1] == "test     5 of 6 transcribed, 1 without a clip"
    assert any(line.startswith("Failed   toy/train/u1: clip_empty") for line in lines)
    assert lines[-1] == f"Next     remelt wer {out}"
    assert isinstance(refused.exception, InputError)
    assert "no effect on 'openai-asr/tiny'" in str(refused.exception)


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no transcripts"):
        transcripts.read(tmp_path)
    (tmp_path / "transcripts.json").write_text("{}")
    with pytest.raises(InputError, match="names no splits"):
        transcripts.read(tmp_path)
    (tmp_path / "transcripts.json").write_text('{"splits": ["train"]}')
    with pytest.raises(InputError, match=r"train\.parquet cannot be read"):
        transcripts.read(tmp_path)
