"""Labels and a copy of their corpus in one dataset again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from remelt.cli import app
from remelt.errors import InputError
from remelt.labels import custom_label_set
from remelt.publishing import find_problems, read_manifest, read_voice
from remelt.publishing.reduced import write_reduced
from remelt.recipes.hub.diff import diff
from remelt.recipes.hub.join import JoinOptions, JoinResult, join
from remelt.recipes.hub.labels_only import labels_only_folder

from ..builders import write_meld
from ..hub_account import log_in
from ..hub_server import HubServer
from .votes import ROWS

LEFT_OUT = {"context", "loudness", "pitch", "rhythm_speed", "emotional_impact"}


@pytest.fixture(scope="module")
def labels(voted_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labels_only_folder(voted_out, tmp_path_factory.mktemp("labels") / "labels")


def joined(labels: Path | str, corpus: Path, out: Path, **options: object) -> JoinResult:
    return join(JoinOptions(str(labels), str(corpus), out, **options))  # type: ignore[arg-type]


def rows(out: Path, config: str = "data", split: str = "train") -> object:
    return pq.read_table(out / config / f"{split}-00000-of-00001.parquet")


def change_corpus(folder: Path, before: str, after: str) -> Path:
    path = folder / "train_sent_emo.csv"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    return folder


def test_the_columns_come_back_as_they_were(voted_out: Path, labels: Path, tmp_path: Path) -> None:
    found = joined(labels, voted_out.parent / "corpus", tmp_path / "out")
    before, after = rows(voted_out), rows(found.out)
    assert set(before.column_names) - set(after.column_names) <= LEFT_OUT
    assert after.column_names == [name for name in before.column_names if name in after.column_names]
    assert {"speaker", "text", "start", "votes", "soft_label"} <= set(after.column_names)
    assert after.equals(before.select(after.column_names))
    before, after = rows(voted_out, "dropped"), rows(found.out, "dropped")
    assert [name for name in before.column_names if not before[name].equals(after[name])] == ["details"]
    assert found.report.matches
    assert found.report.checked == found.report.labels == after_rows(found)
    assert find_problems(found.out) == []
    assert load_dataset(str(found.out), split="train").num_rows == found.report.joined


def after_rows(found: JoinResult) -> int:
    return sum(counts["kept"] for counts in found.manifest["counts"].values())


def test_what_does_not_match_is_counted_and_named(voted_out: Path, labels: Path, tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", ROWS + 2)
    change_corpus(corpus, "line number 4 of", "another line in")
    change_corpus(
        corpus,
        '"Well, this is line number 5 of train.",Monica,anger,negative,',
        '"Well, this is LINE: number 5 of train",Monica,joy,positive,',
    )
    text = (corpus / "train_sent_emo.csv").read_text("utf-8").splitlines()
    (corpus / "train_sent_emo.csv").write_text("\n".join(text[:1] + text[2:]) + "\n", encoding="utf-8")
    report = joined(labels, corpus, tmp_path / "out").report
    assert report.missing == ("meld/train/dia0_utt0",)
    assert report.different == ("meld/train/dia0_utt4",)
    assert report.relabelled == ("meld/train/dia0_utt5",)
    assert report.unlabelled == ("meld/train/dia3_utt0", "meld/train/dia3_utt1")
    assert not report.matches
    assert report.joined == report.labels - 1
    table = rows(tmp_path / "out")
    flagged = [
        i
        for i, f in zip(table["id"].to_pylist(), table["flags"].to_pylist(), strict=True)
        if "text_differs" in f
    ]
    assert flagged == ["meld/train/dia0_utt4"]
    assert find_problems(tmp_path / "out") == []
    left = joined(labels, corpus, tmp_path / "fewer", drop_different=True)
    assert "meld/train/dia0_utt4" not in rows(left.out)["id"].to_pylist()
    assert left.report.joined == report.joined - 1
    assert find_problems(left.out) == []


def test_another_corpus_is_refused(labels: Path, tmp_path: Path) -> None:
    other = change_corpus(write_meld(tmp_path / "other", ROWS), "this is line", "here stands")
    with pytest.raises(InputError, match="another corpus, it seems"):
        joined(labels, other, tmp_path / "out")
    with pytest.raises(InputError, match=r"None of the 17 ids .* such as 'meld/train/dia0_utt0'"):
        joined(labels, Path("sample"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_whole_dataset_is_joined_by_its_labels(voted_out: Path, tmp_path: Path) -> None:
    corpus = change_corpus(write_meld(tmp_path / "corpus", ROWS), "line number 4 of", "another line in")
    found = joined(voted_out, corpus, tmp_path / "out")
    assert found.report.words == {
        "meld/train/dia0_utt4": (
            "Well, this is line number 4 of train.", "Well, this is another line in train.",
        )
    }  # fmt: skip
    assert find_problems(found.out) == []


def label_table(folder: Path, text: str) -> Path:
    path = folder / "theirs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_joined_row_by_row(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", 6)
    table = label_table(
        tmp_path,
        "filename,Utterance,llm_label\ndia0_utt1.wav,Well this is line number 1 of train,Joy\n"
        'dia0_utt0.wav,Something else,neutral\ndia0_utt2.wav,"Well, this is line number 2 of train.",calm\n'
        "dia7_utt0.wav,Who?,joy\n",
    )
    found = joined(table, corpus, tmp_path / "out", split="train")
    data, dropped = rows(found.out), rows(found.out, "dropped")
    assert data["id"].to_pylist() == ["meld/train/dia0_utt1", "meld/train/dia0_utt0"]
    assert data["changed"].to_pylist() == [True, True]
    assert data["text"].to_pylist()[0] == "Well, this is line number 1 of train."
    assert dropped["id"].to_pylist() == ["meld/train/dia0_utt2"]
    assert dropped["reasons"].to_pylist() == [["label_off_list"]]
    report = found.report
    assert (report.missing, report.different) == (("train/dia7_utt0",), ("meld/train/dia0_utt0",))
    assert len(report.unlabelled) == 3
    assert find_problems(found.out) == []
    own = custom_label_set(["joy", "neutral", "calm"])
    assert len(rows(joined(table, corpus, tmp_path / "own", split="train", label_set=own).out)) == 3
    with pytest.raises(InputError, match="--split says which"):
        joined(table, corpus, tmp_path / "x")
    with pytest.raises(InputError, match="Bad label column 'emo'"):
        joined(table, corpus, tmp_path / "x", split="train", label_column="emo")
    off = label_table(tmp_path, "filename,llm_label\ndia0_utt1.wav,calm\n")
    with pytest.raises(InputError, match="no row with a label"):
        joined(off, corpus, tmp_path / "x", split="train")
    assert not (tmp_path / "x").exists()


def test_the_corpus_brings_its_sound(test_data: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "Actor_01"
    corpus.mkdir()
    names = sorted(path.name for path in (test_data / "ravdess" / "Actor_01").glob("*.wav"))[:4]
    for name in names:
        (corpus / name).symlink_to(test_data / "ravdess" / "Actor_01" / name)
    table = label_table(tmp_path, "filename,label\n" + "".join(f"{name},joy\n" for name in names))
    found = joined(table, corpus, tmp_path / "out", audio=True)
    voice = read_voice(found.out)
    assert voice is not None
    identity = rows(found.out)["id"][0].as_py()
    content = voice.audio.read(identity)
    assert content is not None
    assert content[0] == (corpus / names[0]).read_bytes()
    assert find_problems(found.out) == []
    assert "sound" in (found.out / "README.md").read_text("utf-8")


def test_the_command_tells_and_fails_only_where_it_is_asked_to(labels: Path, tmp_path: Path) -> None:
    corpus = change_corpus(write_meld(tmp_path / "corpus", ROWS), "line number 4 of", "another line in")
    call = ["join", str(labels), "--corpus", str(corpus), "--out", str(tmp_path / "out"), "--plain"]
    found = CliRunner().invoke(app, call)
    assert found.exit_code == 0
    assert "1 rows with other words" in found.output
    assert "meld/train/dia0_utt4" in found.output
    found = CliRunner().invoke(app, [*call, "--strict", "--json", "-"])
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert told["different"] == {"count": 1, "ids": ["meld/train/dia0_utt4"]}
    assert told["matches"] is False
    found = CliRunner().invoke(app, [*call, "--json", str(tmp_path / "no" / "x.json")])
    assert "there is no folder" in str(found.exception)


def test_a_strangers_labels_name_no_folder(voted_out: Path, labels: Path, tmp_path: Path) -> None:
    shutil.copytree(labels, tmp_path / "labels")
    path = tmp_path / "labels" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(manifest | {"splits": ["../../train"]}), encoding="utf-8")
    with pytest.raises(InputError, match=r"Bad split name '\.\./\.\./train'"):
        joined(tmp_path / "labels", voted_out.parent / "corpus", tmp_path / "out")
    with pytest.raises(InputError, match="Bad split name"):
        write_reduced(tmp_path / "out", manifest | {"splits": ["../../train"]}, [])
    assert not (tmp_path / "out").exists()


def test_labels_that_lack_columns_are_refused(voted_out: Path, labels: Path, tmp_path: Path) -> None:
    shutil.copytree(labels, tmp_path / "labels")
    path = tmp_path / "labels" / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["changed"]), path)
    with pytest.raises(InputError, match=r"rows of default/train lack the columns \['changed'\]"):
        joined(tmp_path / "labels", voted_out.parent / "corpus", tmp_path / "out")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        log_in(server, monkeypatch, tmp_path)
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


def test_labels_come_from_the_hub(hub: HubServer, voted_out: Path, labels: Path, tmp_path: Path) -> None:
    files = {p.relative_to(labels).as_posix(): p.read_bytes() for p in labels.rglob("*") if p.is_file()}
    hub.add("user/labels", files, private=True)
    found = joined("hub:user/labels", voted_out.parent / "corpus", tmp_path / "out")
    assert found.report.matches
    assert read_manifest(found.out)["joined"]["labels"] == "hub:user/labels"
    assert diff(str(labels), "hub:user/labels@main").same
    with pytest.raises(InputError, match="no such dataset"):
        joined("hub:user/nothing", voted_out.parent / "corpus", tmp_path / "x")
    with pytest.raises(InputError, match="no such branch"):
        joined("hub:user/labels@v9", voted_out.parent / "corpus", tmp_path / "x")
    with pytest.raises(InputError, match=r"Bad address 'hub:\.\./x/y'"):
        joined("hub:../x/y", voted_out.parent / "corpus", tmp_path / "x")


def test_melt_released_labels_fit_meld_but_for_five_rows(test_data: Path, tmp_path: Path) -> None:
    table = test_data / "melt" / "meld_train.csv"
    found = joined(table, test_data / "meld", tmp_path / "out", split="train")
    report = found.report
    # One row carries another utterance; four have words that were mended by hand.
    assert [name.rpartition("/")[2] for name in report.different] == [
        "dia404_utt15", "dia556_utt6", "dia610_utt5", "dia739_utt14", "dia849_utt3",
    ]  # fmt: skip
    assert (report.labels, report.joined, len(report.missing), len(report.relabelled)) == (7024, 7024, 0, 0)
    data = rows(found.out)
    assert sum(data["changed"].to_pylist()) == 3261


def test_the_cards_own_lines_join_by_hand(voted_out: Path, labels: Path, tmp_path: Path) -> None:
    card = (labels / "README.md").read_text("utf-8")
    corpus = voted_out.parent / "corpus"
    blocks = [part.partition("```")[0] for part in card.split("```python\n")[1:]]
    assert len(blocks) == 2
    whole = rows(voted_out)
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block.replace("PATH_OR_HUB_ID", str(labels)).replace("YOUR_COPY", str(corpus)), names)
        assert names["joined"]["id"][:] == whole["id"].to_pylist()
        assert names["joined"]["text"][:] == whole["text"].to_pylist()
        assert names["joined"]["speaker"][:] == whole["speaker"].to_pylist()
