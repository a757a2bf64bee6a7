"""Replaying label files, published replies and journals; with MELT's own release where it is at hand."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt.annotators import AnnotatorOptions, create, replay_sources
from remelt.annotators.replay import Replay
from remelt.errors import InputError, RequestRejected
from remelt.journal import Journal
from remelt.records import Reply, Request, Utterance, digest

HEADER = ("filename", "Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "llm_label")
ROWS = (
    ("dia0_utt0.wav", "Also, I was.", "chandler", "neutral", "0", "0", "neutral"),
    ("dia0_utt3.wav", "My duties?  All right.", "ross", "surprise", "0", "3", "Frustration"),
)


def utterance(
    dialogue: int, number: int, text: str = "", speaker: str = "", split: str = "train"
) -> Utterance:
    return Utterance(
        f"meld/{split}/dia{dialogue}_utt{number}", "meld", split, dialogue, number, speaker, text
    )


def replay(spec: str | Path, *splits: str, column: str | None = None) -> Replay:
    annotator = create(f"replay:{spec}", AnnotatorOptions(splits=splits, column=column))
    assert isinstance(annotator, Replay)
    return annotator


def ask(annotator: Replay, about: Utterance, attempt: int = 0) -> Reply:
    request = Request(about, annotator.name, annotator.model, annotator.endpoint, (), {})
    reply = asyncio.run(annotator.answer(request, (), attempt))
    assert reply.request_key == request.key
    return reply


def write(path: Path, rows: Iterable[Iterable[str]], header: Iterable[str] = HEADER, **how: Any) -> Path:
    with path.open("w", newline="", encoding=how.pop("encoding", "utf-8")) as file:
        writer = csv.writer(file, **how)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.fixture(params=["in memory", "on disk"], autouse=True)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test holds for small sources and, as if they were large, for the index on disk."""
    if request.param == "on disk":
        monkeypatch.setattr(replay_sources, "LARGE_BYTES", -1)
        monkeypatch.setattr(replay_sources, "LARGE_ROWS", -1)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write(tmp_path / "labels.csv", ROWS)


# -- label files ----------------------------------------------------------------------------------


def test_label_as_in_the_file(labels: Path) -> None:
    annotator = replay(labels, "train")
    reply = ask(annotator, utterance(0, 3, "My duties? All right.", "Ross"))
    assert reply.raw == '{"label":"Frustration"}'
    assert (reply.model, reply.means, reply.failure, reply.attempt) == ("labels.csv", "replay", "", 0)
    assert (reply.created, reply.cost, reply.input_tokens) == ("", None, None)
    assert annotator.schema_hint == "label"
    assert annotator.endpoint == digest([hashlib.sha256(labels.read_bytes()).hexdigest(), "llm_label"])
    assert list(annotator.differences) == []
    assert "2 utterances with labels" in annotator.summary


def test_no_reply_for_an_id(labels: Path) -> None:
    annotator = replay(labels, "train")
    with pytest.raises(RequestRejected, match=r"^no reply for meld/train/dia9_utt9 in labels\.csv$"):
        ask(annotator, utterance(9, 9))
    with pytest.raises(RequestRejected, match=r"no reply to turn 2 for meld/train/dia0_utt0 in labels\.csv"):
        ask(annotator, utterance(0, 0), attempt=1)


def test_ids_that_were_not_asked_for(labels: Path) -> None:
    annotator = replay(labels, "train")
    assert list(annotator.unused(["meld/train/dia0_utt3", "meld/train/dia7_utt7"])) == ["train/dia0_utt0"]
    assert list(annotator.unused(["meld/test/dia0_utt0"])) == ["train/dia0_utt0", "train/dia0_utt3"]


def test_rows_with_another_text_or_speaker_are_told(labels: Path) -> None:
    annotator = replay(labels, "train")
    annotator.compare(
        [utterance(0, 3, "What do I do?", "Joey"), utterance(0, 0, "also I “was”…", "Chandler")]
    )
    annotator.compare([utterance(0, 3, "What do I do?", "Joey")])
    (found,) = annotator.differences
    assert found.fields == ("text", "speaker")
    assert str(found) == (
        "meld/train/dia0_utt3: text 'My duties?  All right.', the corpus has 'What do I do?'; "
        "speaker 'ross', the corpus has 'Joey'"
    )
    fresh = replay(labels, "train")
    ask(fresh, utterance(0, 3, "What do I do?", "Ross"))
    assert [d.fields for d in fresh.differences] == [("text",)]


@pytest.mark.parametrize("said", ["You’re café", "You€™re cafe", "youre CafÃ©", "Youre  café!"])
def test_punctuation_case_and_broken_encoding_are_no_difference(tmp_path: Path, said: str) -> None:
    rows = [("x", said, "", "", "0", "0", "joy")]
    annotator = replay(write(tmp_path / "l.csv", rows), "train")
    annotator.compare([utterance(0, 0, "You're caf\u00e9 .")])
    assert len(annotator.differences) == (said == "You€™re cafe")


def test_one_file_per_split(tmp_path: Path, labels: Path) -> None:
    test = write(tmp_path / "test.csv", [("x", "", "", "", "0", "3", "fear")])
    annotator = replay(f"train={labels},test={test}", "train", "test")
    assert ask(annotator, utterance(0, 3, split="test")).raw == '{"label":"fear"}'
    assert ask(annotator, utterance(0, 3, split="test")).model == "test.csv"
    assert ask(annotator, utterance(0, 3)).raw == '{"label":"Frustration"}'
    assert annotator.model == "labels.csv+test.csv"
    swapped = replay(f"train={test},test={labels}", "train", "test")
    assert len({annotator.endpoint, swapped.endpoint, replay(labels, "train").endpoint}) == 3
    with pytest.raises(RequestRejected, match="no reply for meld/dev"):
        ask(annotator, utterance(0, 3, split="dev"))
    with pytest.raises(InputError, match=r"no file for the splits \['test'\]"):
        replay(f"train={labels}", "train", "test")
    with pytest.raises(InputError, match="expected train=FILE,test=FILE"):
        replay(f"train={labels},{test}", "train", "test")


def test_a_file_without_splits_needs_one_split(labels: Path) -> None:
    for splits in ((), ("train", "test")):
        with pytest.raises(InputError, match=r"labels\.csv, line 2: the rows name no split .*replay:train="):
            replay(labels, *splits)


def test_splits_named_in_the_file(tmp_path: Path) -> None:
    rows = [("test", "0", "3", "joy"), ("train", "0", "3", "anger")]
    path = write(tmp_path / "l.tsv", rows, ("Split", "Dialogue ID", "utterance-id", "Label"), delimiter="\t")
    annotator = replay(path, "train", "test")
    assert ask(annotator, utterance(0, 3, split="test")).raw == '{"label":"joy"}'
    assert ask(annotator, utterance(0, 3)).raw == '{"label":"anger"}'


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (("id", "label"), ("meld/train/dia0_utt3", "joy")),
        (("id", "label"), ("train/dia0_utt3", "joy")),
        (("id", "label"), ("dia0_utt3", "joy")),
        (("filename", "label"), ("train_splits/dia0_utt3.mp4", "joy")),
        (("", "id", "Dialogue_ID", "Utterance_ID", "label"), ("17", "17", "0.0", "3.0", "joy")),
        (("Emotion", "Dialogue_ID", "Utterance_ID", "LLM_Label"), ("anger", "0", "3", "joy")),
    ],
)
def test_keys_of_many_forms(tmp_path: Path, header: tuple[str, ...], row: tuple[str, ...]) -> None:
    annotator = replay(write(tmp_path / "l.csv", [row], header), "train")
    assert ask(annotator, utterance(0, 3)).raw == '{"label":"joy"}'
    assert list(annotator.unused(["meld/train/dia0_utt3"])) == []


def test_the_label_column_can_be_named(labels: Path) -> None:
    assert ask(replay(labels, "train", column="emotion"), utterance(0, 3)).raw == '{"label":"surprise"}'
    with pytest.raises(InputError, match=r"Bad label column 'gold', expected one of \['filename'"):
        replay(labels, "train", column="gold")


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("cp1252"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace("joy", "j\0oy").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
    ],
)
def test_encodings(tmp_path: Path, encode: Any) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(encode("Dialogue_ID,Utterance_ID,Speaker,Utterance,label\n0,3,ross,It’s “me”: Œ,joy\n"))
    annotator = replay(path, "train")
    assert ask(annotator, utterance(0, 3, "It's me: œ", "Ross")).raw == '{"label":"joy"}'
    assert list(annotator.differences) == []


def test_json_lines_and_parquet(tmp_path: Path) -> None:
    rows = [{"Dialogue_ID": 0, "Utterance_ID": 3, "label": "joy\u2028"}]
    lines = tmp_path / "l.jsonl"
    lines.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n\n", encoding="utf-8")
    table = tmp_path / "l.parquet"
    pq.write_table(pa.Table.from_pylist(rows), table)
    for path in (lines, table):
        assert json.loads(ask(replay(path, "train"), utterance(0, 3)).raw)["label"].strip() == "joy"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "holds no rows"),
        ("a.csv", "Dialogue_ID,Utterance_ID,label\n", "holds no rows"),
        ("a.csv", "Dialogue_ID,label\n0,joy\n", r"has no key: .*it has \['Dialogue_ID', 'label'\]"),
        ("a.csv", "Dialogue_ID,Utterance_ID,gold\n0,1,joy\n", r"no label column .*'gold'"),
        ("a.csv", "Dialogue_ID,Utterance_ID,label\n0,,joy\n", "line 2: an empty"),
        ("a.csv", "filename,label\nfoo.wav,joy\n", "line 2: bad key 'foo.wav'"),
        ("a.csv", "Dialogue_ID,Utterance_ID,label\n0,1,joy\n0,1,fear\n", "line 3: .*twice with different"),
        ("a.csv", "Dialogue_ID,Utterance_ID,label\n0,1,joy,x\n", "line 2: more cells"),
        ("a.csv", f'Dialogue_ID,Utterance_ID,label\n0,1,"{"x" * 200_000}"\n', "line 2: not a table"),
        ("a.jsonl", '{"id": 1}\n{"id"', "line 2: not JSON"),
        ("a.jsonl", "[1, 2]", "must be a JSON object"),
        ("a.jsonl", '{"id": "a", "raw": "b", "attempt": "first"}', "line 1: not a reply"),
        ("a.parquet", "PAR1", "cannot be read as Parquet"),
        ("a.sqlite", "not a journal, though long enough to be one", "cannot be used as a remelt journal"),
        ("a.xlsx", "PK", r"Bad ending of a file to replay 'a.xlsx', expected one of \['.csv'"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        replay(tmp_path / name, "train")
    assert name in str(caught.value)


def test_missing_files_and_bare_specs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No file or folder to replay at"):
        replay(tmp_path / "none.csv", "train")
    with pytest.raises(InputError, match="is no remelt dataset"):
        replay(tmp_path, "train")
    for spec in ("replay", "replay:"):
        with pytest.raises(InputError, match="expected replay:FILE"):
            create(spec, AnnotatorOptions())


def test_rows_that_come_twice_are_told(tmp_path: Path) -> None:
    annotator = replay(write(tmp_path / "l.csv", [*ROWS, ROWS[0]]), "train")
    assert annotator.notices == [
        "l.csv: the labels are taken from the column 'llm_label'",
        "l.csv: 1 rows come twice, such as train/dia0_utt0",
    ]


# -- whole replies --------------------------------------------------------------------------------


def published(raw: str, attempt: int, status: str, identity: str = "meld/train/dia0_utt3") -> dict[str, Any]:
    return {
        "id": identity, "annotator": "openai/gpt-4o-2024-08-06", "model": "gpt-4o-2024-08-06",
        "status": status, "raw": raw, "attempt": attempt, "means": "json_schema", "finish_reason": "stop",
        "detail": "no" if status == "refused" else "", "input_tokens": 400, "output_tokens": 90,
        "cost": 0.0019, "seconds": 1.5, "created": "2026-11-02T10:00:00Z", "tries": 3,
        "speaker": "Ross", "text": "My duties?",
    }  # fmt: skip


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    (out / "annotations").mkdir(parents=True)
    rows = [published("oh", 0, "invalid"), published('{"character": "Ross"}', 1, "valid")]
    pq.write_table(pa.Table.from_pylist(rows), out / "annotations" / "train-00000-of-00001.parquet")
    rows = [published("", 0, "refused", "meld/test/dia0_utt3")]
    pq.write_table(pa.Table.from_pylist(rows), out / "annotations" / "test-00000-of-00001.parquet")
    (out / "manifest.json").write_text('{"prompt": {"name": "melt-reasoning"}}')
    return out


def test_published_replies_come_unchanged(dataset: Path) -> None:
    annotator = replay(dataset, "train", "test")
    assert ask(annotator, utterance(0, 3)).raw == "oh"
    reply = ask(annotator, utterance(0, 3, "My duties?", "Ross"), attempt=1)
    assert (reply.raw, reply.attempt, reply.means) == ('{"character": "Ross"}', 1, "json_schema")
    assert (reply.model, reply.cost, reply.seconds, reply.tries) == ("gpt-4o-2024-08-06", 0.0019, 1.5, 3)
    assert (reply.input_tokens, reply.output_tokens, reply.created) == (400, 90, "2026-11-02T10:00:00Z")
    refused = ask(annotator, utterance(0, 3, split="test"))
    assert (refused.failure, refused.detail) == ("refused", "no")
    with pytest.raises(RequestRejected, match="no reply to turn 3"):
        ask(annotator, utterance(0, 3), attempt=2)
    assert (annotator.schema_hint, annotator.prompt_hint) == (None, "melt-reasoning")
    assert (annotator.model, annotator.retires) == ("gpt-4o-2024-08-06", "2027-01-14")
    assert list(annotator.unused(["meld/train/dia0_utt3"])) == ["meld/test/dia0_utt3"]
    fresh = replay(dataset, "train")
    fresh.compare([utterance(0, 3, "My duties!", "Joey")])
    assert [d.fields for d in fresh.differences] == [("speaker",)]


def test_one_published_file_is_enough(dataset: Path, tmp_path: Path) -> None:
    file = dataset / "annotations" / "train-00000-of-00001.parquet"
    lines = tmp_path / "replies.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in pq.read_table(file).to_pylist()))
    for path in (file, lines):
        assert ask(replay(path, "train"), utterance(0, 3), attempt=1).raw == '{"character": "Ross"}'


def test_published_labels_stay_labels(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(json.dumps(published('{"label":"joy"}', 0, "valid")))
    assert replay(path).schema_hint == "label"


def test_ambiguous_replies_are_refused(tmp_path: Path) -> None:
    rows = [published("a", 0, "valid"), published("b", 0, "valid")]
    path = tmp_path / "replies.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(InputError, match="two replies of the same attempt for meld/train/dia0_utt3"):
        replay(path)
    rows[1]["annotator"] = "local/smollm2"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(InputError, match=r"several annotators, \['local/smollm2', 'openai/"):
        replay(path)


def test_labels_and_replies_do_not_mix(dataset: Path, labels: Path) -> None:
    with pytest.raises(InputError, match="mixes label files with whole replies"):
        replay(f"train={labels},test={dataset}", "train", "test")


def test_a_journal(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = out / ".remelt" / "journal.sqlite"
    request = Request(utterance(0, 3), "mock", "mock", "mock", (), {})
    replies = [Reply(request.key, request.utterance.id, n, raw, "mock", "mock") for n, raw in enumerate("ab")]
    with Journal(path) as journal:
        journal.append([(request, reply) for reply in replies])
    for spec in (path, out):
        annotator = replay(spec, "train")
        assert [ask(annotator, utterance(0, 3), n).raw for n in (0, 1)] == ["a", "b"]
    before = annotator.endpoint
    other = Request(utterance(0, 3), "mock", "mock", "mock", (), {"another": 1})
    with Journal(path) as journal:
        third = Reply(request.key, request.utterance.id, 2, "c", "mock", "mock")
        journal.append([(request, third)])
    assert replay(path).endpoint != before
    with Journal(path) as journal:
        journal.append([(other, Reply(other.key, other.utterance.id, 0, "x", "mock", "mock"))])
    with pytest.raises(InputError, match="different requests about meld/train/dia0_utt3"):
        replay(path)


def test_a_dataset_on_the_hub(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def fetch(name: str, repo_type: str, allow_patterns: list[str]) -> str:
        asked.append((name, repo_type))
        if name == "me/none":
            raise OSError("offline")
        return str(dataset)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert ask(replay("hf://me/melt", "train"), utterance(0, 3)).raw == "oh"
    assert asked == [("me/melt", "dataset")]
    with pytest.raises(InputError, match="Cannot fetch the dataset 'me/none' from the Hub: offline"):
        replay("hf://me/none")


# -- MELT's release -------------------------------------------------------------------------------


def test_melt_train_release(test_data: Path) -> None:
    path = test_data / "melt" / "meld_train.csv"
    if not path.is_file():
        pytest.skip("MELT's train labels are not there")
    with (test_data / "meld" / "train_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    corpus = [
        utterance(int(r["Dialogue_ID"]), int(r["Utterance_ID"]), r["Utterance"], r["Speaker"]) for r in rows
    ]
    annotator = replay(path, "train")
    annotator.compare(corpus)
    # In the release, one row with another utterance, four truncated texts mended by hand.
    assert [d.id.rpartition("/")[2] for d in annotator.differences] == [
        "dia404_utt15", "dia556_utt6", "dia610_utt5", "dia739_utt14", "dia849_utt3",
    ]  # fmt: skip
    assert [d.fields for d in annotator.differences][1] == ("text", "speaker")
    assert list(annotator.unused(u.id for u in corpus)) == []
    kept = set(annotator.unused([]))
    requests = [Request(u, "replay", "", "", (), {}) for u in corpus if u.id.partition("/")[2] in kept]

    async def ask_all() -> list[Reply]:
        return [await annotator.answer(request, (), 0) for request in requests]

    labels = Counter(json.loads(reply.raw)["label"] for reply in asyncio.run(ask_all()))
    # The column sums of the train change matrix.
    assert labels == {
        "anger": 464, "disgust": 473, "fear": 418, "joy": 1578, "neutral": 2519, "sadness": 363,
        "surprise": 1209,
    }  # fmt: skip
