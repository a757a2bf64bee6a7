"""Labels given elsewhere become votes of a published dataset, and leave it again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.publishing import VoiceContent, read_manifest
from remelt.recipes.exchange import adding
from remelt.recipes.exchange.adding import AddOptions, add_annotations
from remelt.recipes.exchange.additions import stored
from remelt.recipes.exchange.keeping import SECRET
from remelt.recipes.rebuild import rebuild
from remelt.recipes.reporting import Reporter
from remelt.records import Voice
from remelt.resolution import ResolutionOptions

from .small_dataset import finish_quickly, problems, publish_small, replies, small_content, table, utterances

U = "toy/train/dia0_utt"


class Told(Reporter):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "finish", finish_quickly)
    monkeypatch.setattr("remelt.recipes.rebuild.finish", finish_quickly)
    monkeypatch.setattr("remelt.publishing.folder.write_card", lambda *_: None)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return publish_small(tmp_path / "out")


def add(out: Path, path: Path, **options: Any) -> Any:
    return add_annotations(out, AddOptions(file=path, **options)).manifest


def labels(out: Path) -> dict[str, str]:
    found = {}
    for path in sorted((out / "data").glob("*.parquet")):
        rows = pq.read_table(path)
        names = json.loads(rows.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
        found |= {row["id"]: names[row["label"]] for row in rows.to_pylist()}
    return found


def bytes_of(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.glob("*/*.parquet"))}


def test_people_vote_after_the_annotator_and_labels_stay(out: Path, tmp_path: Path) -> None:
    before = labels(out)
    rows = [
        (f"{U}0", "anger", "ann"),
        (f"{U}3", "fear", "ann"),
        (f"{U}1", "Anger", "bob"),
        (f"{U}0", "joy", "bob"),
    ]
    manifest = add(out, table(tmp_path / "people.csv", rows))
    assert manifest["resolution"]["rule"] == "first"
    assert [(m["name"], m["kind"], m.get("votes")) for m in manifest["annotators"]] == [
        ("test/model", "model", None), ("ann", "human", 2), ("bob", "human", 2),
    ]  # fmt: skip
    # The quarantined row has its first label from a person; no other label changes.
    assert labels(out) == {**before, f"{U}3": "fear"}
    assert problems(out) == []
    [votes] = [
        row["votes"]
        for row in pq.read_table(out / "data" / "train-00000-of-00001.parquet").to_pylist()
        if row["id"] == f"{U}0"
    ]
    assert [(v["source"], v["kind"], v["label"]) for v in votes] == [
        ("test/model", "model", "joy"), ("ann", "human", "anger"), ("bob", "human", "joy"),
    ]  # fmt: skip


def test_a_rule_decides_anew_and_holds_for_what_is_added_later(out: Path, tmp_path: Path) -> None:
    rows = [(f"{U}0", "anger", "ann"), (f"{U}1", "anger", "ann"), (f"{U}0", "anger", "bob")]
    manifest = add(out, table(tmp_path / "a.csv", rows), resolution=ResolutionOptions("majority"))
    assert labels(out)[f"{U}0"] == "anger"
    assert manifest["counts"]["train"]["quarantined"] == 1
    manifest = add(out, table(tmp_path / "b.csv", [(f"{U}1", "fear", "cleo")]))
    assert manifest["resolution"]["rule"] == "majority"
    assert labels(out)[f"{U}1"] == "anger"
    again = add_annotations(out, AddOptions(resolution=ResolutionOptions("majority", quorum=3))).manifest
    assert sum(c["unresolved"] for c in again["counts"].values()) == 2
    assert set(labels(out)) == {f"{U}0", f"{U}1"}
    assert problems(out) == []


def test_taking_everything_out_gives_the_published_bytes_back(out: Path, tmp_path: Path) -> None:
    before, notes = bytes_of(out), read_manifest(out)["notes"]
    add(out, table(tmp_path / "a.csv", [(f"{U}0", "anger", "ann"), (f"{U}3", "anger", "bob")]))
    assert bytes_of(out) != before
    one = add_annotations(out, AddOptions(remove=("bob",))).manifest
    assert [m["name"] for m in one["annotators"]] == ["test/model", "ann"]
    none = add_annotations(out, AddOptions(remove=("ann",))).manifest
    assert "annotators" not in none
    assert none["notes"] == notes
    assert bytes_of(out) == before
    with pytest.raises(InputError, match=r"Bad source to remove 'test/model': nothing was added"):
        add_annotations(out, AddOptions(remove=("test/model",)))


def test_the_same_source_is_added_once_unless_it_is_replaced(out: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", [(f"{U}0", "anger", "ann"), (f"{U}1", "joy", "ann")])
    add(out, path)
    with pytest.raises(InputError, match="'ann' was added before; --replace"):
        add(out, path)
    count = replies(out)
    add(out, path, replace=True)
    # The same labels from the same file are the same replies.
    assert replies(out) == count
    manifest = add(out, table(path, [(f"{U}0", "fear", "ann")]), replace=True)
    assert [m["name"] for m in manifest["annotators"]] == ["test/model", "ann"]
    [addition] = stored(out)
    assert [(a.utterance.id, a.verdict.label) for a in addition.annotations] == [(f"{U}0", "fear")]
    with pytest.raises(InputError, match="'test/model' is an annotator of the dataset; --source"):
        add(out, table(path, [(f"{U}0", "fear", "test/model")]))


def test_the_models_of_the_dataset_do_not_vote_twice(out: Path, tmp_path: Path) -> None:
    told = Told()
    path = table(
        tmp_path / "a.csv",
        [(f"{U}0", "joy", "test/model", "model"), (f"{U}1", "joy", "other", "model")],
        "id,label,annotator,kind",
    )
    manifest = add_annotations(out, AddOptions(file=path), told).manifest
    assert [(m["name"], m["kind"]) for m in manifest["annotators"]] == [
        ("test/model", "model"), ("other", "import"),
    ]  # fmt: skip
    assert any("1 labels of 'test/model' are left out" in notice for notice in told.notices)


def test_what_was_added_is_known_to_a_later_build(out: Path, tmp_path: Path) -> None:
    assert stored(tmp_path / "none") == []
    assert stored(out) == []
    rows = [(f"{U}0", "anger", "ann", 4, "hm"), (f"{U}3", "fear", "ann", "", "")]
    manifest = add(out, table(tmp_path / "a.csv", rows, "id,label,annotator,confidence,note"))
    # What people note beside a label is no column of the dataset; their replies have it.
    assert manifest["schema"]["name"] == "label"
    assert problems(out) == []
    [addition] = stored(out)
    assert addition.member["kind"] == "human"
    assert [a.verdict.answer for a in addition.annotations] == [
        {"label": "Anger", "confidence": 4.0, "note": "hm"}, {"label": "Fear"},
    ]  # fmt: skip
    # A build reads its corpus anew and asks for what belongs to its own rows.
    [some] = stored(out, utterances()[2:4])
    assert [a.utterance.id for a in some.annotations] == [f"{U}3"]
    # Without the journal, what is published tells the same; so does a rebuilt copy.
    copy = rebuild(out, tmp_path / "copy").out
    assert bytes_of(copy) == bytes_of(out)
    for folder in (copy, out):
        for name in ("additions.json", "journal.sqlite"):
            (folder / ".remelt" / name).unlink(missing_ok=True)
        [again] = stored(folder)
        assert dict(again.member) == dict(addition.member)
        assert again.annotations == addition.annotations


def test_a_dataset_that_was_downloaded(out: Path, tmp_path: Path) -> None:
    shutil.rmtree(out / ".remelt")
    path = table(tmp_path / "a.csv", [(f"{U}0", "anger", "ann")])
    before = bytes_of(out)
    with pytest.raises(InputError, match=r"came without its journal.*--out OUT2.*remelt rebuild"):
        add(out, path)
    assert bytes_of(out) == before
    result = add_annotations(out, AddOptions(file=path, to=tmp_path / "other"))
    assert result.out == tmp_path / "other"
    assert bytes_of(out) == before
    assert not (out / ".remelt").exists()
    assert [m["name"] for m in result.manifest["annotators"]] == ["test/model", "ann"]
    assert problems(tmp_path / "other") == []
    with pytest.raises(InputError, match=r"is no remelt dataset|is no published dataset"):
        add(tmp_path, path)


def test_ids_that_cannot_be_labelled_are_counted(out: Path, tmp_path: Path) -> None:
    told = Told()
    rows = [
        (f"{U}0", "joy", "ann"),
        (f"{U}4", "joy", "ann"),
        *((f"{U}{n}", "joy", "ann") for n in range(90, 97)),
    ]
    add_annotations(out, AddOptions(file=table(tmp_path / "a.csv", rows)), told)
    assert f"a.csv: 1 ids were dropped by the selection: {U}4" in told.notices
    some = ", ".join(f"{U}{n}" for n in range(90, 95))
    assert f"a.csv: 7 ids are not in the dataset: {some} and 2 more" in told.notices
    with pytest.raises(InputError, match=f"None of the 1 ids .* such as {U}99; the dataset has {U}0"):
        add(out, table(tmp_path / "b.csv", [(f"{U}99", "joy", "bob")]))
    with pytest.raises(InputError, match=r"holds no label to add \(1 without a label\)"):
        add(out, table(tmp_path / "c.csv", [(f"{U}0", "", "bob")]))


def test_ids_in_other_words(out: Path, tmp_path: Path) -> None:
    header = "Dialogue_ID,Utterance_ID,label"
    manifest = add(out, table(tmp_path / "ann.csv", [(0, 1, "joy")], header), split="train")
    assert manifest["annotators"][1]["name"] == "ann"
    with pytest.raises(InputError, match=r"line 2: the rows name no split.*--split"):
        add(out, table(tmp_path / "b.csv", [(0, 1, "joy")], header))
    with pytest.raises(InputError, match="Bad split 'dev', expected one of"):
        add(out, table(tmp_path / "b.csv", [(0, 1, "joy")], header), split="dev")
    add(out, table(tmp_path / "clips.csv", [("x2.wav", "joy"), ("clips/x1.wav", "fear")], "filename,label"))
    path = table(tmp_path / "twice.csv", [("x0.wav", "joy")], "filename,label")
    with pytest.raises(InputError, match=r"the clip 'x0\.wav' is that of several.*dia9_utt0"):
        add(out, path)


def test_labels_off_the_list(out: Path, tmp_path: Path) -> None:
    rows = [(f"{U}0", "joy", "ann"), (f"{U}1", "boredom", "ann"), (f"{U}2", "boredom", "ann")]
    path = table(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match=r"a\.csv, line 3: Bad label 'boredom', expected one of \['anger'"):
        add(out, path)
    manifest = add(out, path, skip_unknown=True)
    member = manifest["annotators"][1]
    assert member["notices"] == ["2 labels are not on the list and no votes: 'boredom' (2)"]
    assert (member["votes"], member["replies"]["invalid"]) == (1, 2)
    [addition] = stored(out)
    assert Counter(a.verdict.status for a in addition.annotations) == {"valid": 1, "invalid": 2}
    assert problems(out) == []


def test_labels_in_a_corpus_s_own_names(out: Path, tmp_path: Path) -> None:
    rows = [(f"{U}0", "HAP", "ann"), (f"{U}1", "xxx", "ann")]
    with pytest.raises(InputError, match=r"line 3: Bad label 'xxx', expected one of .*'ang'"):
        add(out, table(tmp_path / "a.csv", rows), labels_of="iemocap")
    add(out, table(tmp_path / "a.csv", rows[:1]), labels_of="iemocap")
    [addition] = stored(out)
    assert [a.verdict.label for a in addition.annotations] == ["joy"]
    with pytest.raises(InputError, match="Bad corpus of labels 'savee', expected one of"):
        add(out, table(tmp_path / "b.csv", rows), labels_of="savee")


def test_an_id_twice_names_both_rows(out: Path, tmp_path: Path) -> None:
    rows = [(f"{U}0", "joy", "ann"), (f"{U}1", "joy", "ann"), ("train/dia0_utt0", "fear", "ann")]
    with pytest.raises(InputError, match=rf"line 4: {U}0 comes twice from 'ann', first in .*line 2"):
        add(out, table(tmp_path / "a.csv", rows))


def test_all_that_were_added_before_are_named(out: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", [(f"{U}0", "joy", "ann"), (f"{U}0", "joy", "bob")])
    add(out, path)
    with pytest.raises(InputError, match=r"^'ann', 'bob' were added before; --replace"):
        add(out, path)
    with pytest.raises(InputError, match=r"'test/model': added were \['ann', 'bob'\], and the annotators"):
        add_annotations(out, AddOptions(remove=("test/model",)))


def test_a_quorum_that_cannot_be(out: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", [(f"{U}0", "joy", "ann")])
    with pytest.raises(InputError, match=r"Bad quorum 3, expected at most 2: .*'test/model', 'ann'"):
        add(out, path, resolution=ResolutionOptions(quorum=3))
    # With a human, models alone count.
    with pytest.raises(InputError, match=r"Bad quorum 2, expected at most 1: .*\['test/model'\]"):
        add(out, path, resolution=ResolutionOptions("human", quorum=2))
    add(out, path, resolution=ResolutionOptions(quorum=2))


def test_names_of_sources(out: Path, tmp_path: Path) -> None:
    told = Told()
    rows = [(f"{U}0", "joy", "7"), (f"{U}0", "joy", "ann@example.org"), (f"{U}0", "joy", "bob@example.org")]
    path = table(tmp_path / "a.csv", rows)
    options = AddOptions(file=path, sources=("bob@example.org=bob",))
    manifest = add_annotations(out, options, told).manifest
    number, address, bob = (member["name"] for member in manifest["annotators"][1:])
    assert (number, bob) == ("annotator-7", "bob")
    assert address.startswith("annotator-")
    assert any(address in notice and "--source ADDRESS=NAME" in notice for notice in told.notices)
    published = b"".join(bytes_of(out).values()) + (out / "manifest.json").read_bytes()
    assert b"@example.org" not in published
    for sources, message in {
        ("x", "y"): "Bad sources",
        ("x", "7=y"): "Bad sources",
        ("8=y",): "Bad source '8', expected one of",
        ("x",): "are both called 'x'",
    }.items():
        with pytest.raises(InputError, match=message):
            add(out, path, sources=sources, replace=True)


def test_an_address_cannot_be_found_out_by_trying(out: Path, tmp_path: Path) -> None:
    def names(file: str, *addresses: str, to: Path | None = None, at: Path = out) -> list[str]:
        rows = [(f"{U}{n}", "joy", address) for n, address in enumerate(addresses)]
        manifest = add(at, table(tmp_path / file, rows), replace=True, to=to)
        return [member["name"] for member in manifest["annotators"] if member["kind"] == "human"]

    ann, bob = names("a.csv", "ann@example.org", "bob@example.org")
    assert ann.removeprefix("annotator-") != hashlib.sha256(b"ann@example.org").hexdigest()[:8]
    # The same person in another file, and in a copy; somebody else's dataset calls them otherwise.
    assert set(names("b.csv", "Bob@example.org", "ann@example.org")) == {ann, bob}
    copy = tmp_path / "copy"
    assert set(names("b.csv", "bob@example.org", to=copy)) == {ann, bob}
    assert set(names("b.csv", "bob@example.org", at=copy)) == {ann, bob}
    assert not {ann, bob} & set(names("a.csv", "ann@example.org", at=publish_small(tmp_path / "other")))
    secret = (out / SECRET).read_bytes()
    assert len(secret) == 64
    assert not any(
        secret in path.read_bytes() for path in out.rglob("*") if path.suffix in (".parquet", ".json")
    )


def test_rows_without_a_voice_are_told() -> None:
    told, content = Told(), small_content()
    adding._tell_silent(content, told)
    heard = VoiceContent({a.utterance.id: Voice(a.utterance.id) for a in content.annotations[1:]})
    adding._tell_silent(replace(content, voice=heard), told)
    [notice] = told.notices
    assert notice.startswith(f"1 rows come in without what is heard in their clips: {U}0; the command that")


def test_a_kind_that_changes_inside_a_source(out: Path, tmp_path: Path) -> None:
    rows = [(f"{U}0", "joy", "ann", "human"), (f"{U}1", "joy", "ann", "model")]
    path = table(tmp_path / "a.csv", rows, "id,label,annotator,kind")
    with pytest.raises(InputError, match="'ann' is a person in one row and a model in another"):
        add(out, path)
    assert add(out, path, kind="model")["annotators"][1]["kind"] == "import"
