"""A dataset of several annotators: its rows, its counts, and its way back to records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from scipy.stats import entropy

from remelt.errors import InputError
from remelt.labels import MELT
from remelt.publishing import DatasetContent, publish, read_annotations, read_dropped, read_manifest
from remelt.publishing.manifest import build_manifest, write_manifest
from remelt.publishing.panel import members_of
from remelt.publishing.parquet import read_table
from remelt.publishing.votes import resolutions_from_table
from remelt.records import Drop, Resolution, Vote

from .panels import LABEL_SCHEMA, MEMBERS, NAMES, SAID, annotate, with_panel

KEY = "sk-proj-0123456789abcdefghij"
DATA = "data/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def panel(content: DatasetContent) -> DatasetContent:
    return with_panel(content)


@pytest.fixture(scope="module")
def out(panel: DatasetContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published; not to be changed."""
    folder = tmp_path_factory.mktemp("panel")
    publish(folder, panel)
    return folder


def named(votes: list[dict[str, str | None]]) -> dict[str, str | None]:
    return {str(vote["source"]): vote["label"] for vote in votes}


def test_a_row_has_all_votes_and_what_they_came_to(out: Path) -> None:
    rows = pq.read_table(out / DATA).to_pylist()
    assert [row["id"][-4:] for row in rows] == ["utt0", "utt1", "utt3"]
    assert [named(row["votes"]) for row in rows] == [SAID[0], SAID[1], SAID[3]]
    assert [[vote["kind"] for vote in row["votes"]] for row in rows] == [
        ["model", "model", "human"], ["model", "model", "human"], ["model", "model"],
    ]  # fmt: skip
    assert [MELT.labels[row["label"]] for row in rows] == ["joy", "disgust", "fear"]
    assert [row["vote_share"] for row in rows] == pytest.approx([1, 2 / 3, 1], abs=1e-9)
    expected = [0, entropy([1 / 3, 2 / 3], base=2), 0]
    assert [row["vote_entropy"] for row in rows] == pytest.approx(expected, abs=1e-9)
    assert {row["decided_by"] for row in rows} == {"majority"}
    shares = dict(zip(MELT.labels, rows[1]["soft_label"], strict=True))
    assert {k: v for k, v in shares.items() if v} == pytest.approx(
        {"fear": 1 / 3, "disgust": 2 / 3}, abs=1e-9
    )
    assert [row["changed"] for row in rows] == [False, True, None]


def test_the_answer_shown_is_the_first_that_has_the_label(out: Path) -> None:
    rows = pq.read_table(out / DATA).to_pylist()
    assert [row["annotator"] for row in rows] == ["big", "small", "big"]
    # Its schema knows neither pitch nor speaker.
    assert [row["pitch"] for row in rows] == ["big's", None, "big's"]
    assert [row["character_match"] for row in rows] == [False, None, False]
    assert [row["flags"][-1:] for row in rows] == [
        ["character_mismatch"],
        ["stage_direction"],
        ["character_mismatch"],
    ]


def test_the_first_valid_answer_is_shown_where_none_has_the_label(
    panel: DatasetContent, tmp_path: Path
) -> None:
    assert panel.panel is not None
    name = panel.annotations[0].utterance.id
    found = replace(
        panel.panel.resolutions[name],
        label="surprise",
        votes=(*panel.panel.resolutions[name].votes, Vote("rater/1", "surprise", "human")),
        distribution={"joy": 0.4, "surprise": 0.6},
    )
    other = replace(panel.panel, resolutions={**panel.panel.resolutions, name: found})
    manifest = publish(tmp_path, replace(panel, panel=other))
    row = pq.read_table(tmp_path / DATA).to_pylist()[0]
    assert (row["annotator"], MELT.labels[row["label"]], row["votes"][-1]["source"]) == (
        "big",
        "surprise",
        "rater/1",
    )
    assert manifest["resolution"]["ratings"] is True


def test_a_label_of_raters_alone_shows_nobodys_answer(panel: DatasetContent, tmp_path: Path) -> None:
    assert panel.panel is not None
    quarantined = next(drop for drop in panel.drops if drop.stage == "annotation")
    name = quarantined.utterance.id
    found = replace(
        panel.panel.resolutions[name], label="joy", decided_by="majority", share=1.0, entropy=0.0, reason="",
        distribution={"joy": 1.0},
    )  # fmt: skip
    other = replace(panel.panel, resolutions={**panel.panel.resolutions, name: found})
    drops = tuple(drop for drop in panel.drops if drop is not quarantined)
    publish(tmp_path, replace(panel, panel=other, drops=drops))
    row = next(r for r in pq.read_table(tmp_path / DATA).to_pylist() if r["id"] == name)
    assert (row["annotator"], row["pitch"], row["character_match"], row["flags"]) == (None, None, None, [])


def test_columns_stand_after_those_of_a_single_annotator(built: Path, out: Path) -> None:
    single, several = (pq.read_schema(folder / DATA).names for folder in (built, out))
    assert several == [*single, "soft_label", "votes", "vote_share", "vote_entropy", "decided_by"]
    for config in ("annotations", "dropped"):
        name = f"{config}/train-00000-of-00001.parquet"
        assert pq.read_schema(built / name).names == pq.read_schema(out / name).names


def test_answer_fields_keep_their_names_without_votes(content: DatasetContent, panel: DatasetContent) -> None:
    from remelt.publishing.columns import columns_of

    schema = {"x-remelt-label": "label", "properties": {"label": {}, "votes": {}, "vote_share": {}}}
    names = {
        several: [f.column for f in columns_of([], MELT, schema, panel=several).shape.fields]
        for several in (False, True)
    }
    assert names == {False: ["votes", "vote_share"], True: ["answer_votes", "answer_vote_share"]}


def test_replies_stand_by_utterance_then_by_member(out: Path) -> None:
    rows = pq.read_table(out / "annotations/train-00000-of-00001.parquet").to_pylist()
    assert [(row["id"][-4:], row["annotator"]) for row in rows] == [
        (f"utt{n}", name) for n, said in enumerate(SAID[:5]) for name in NAMES if name in said
    ]


def test_the_dropped_rows_stand_by_stage(out: Path) -> None:
    drops = [drop for drop in read_dropped(out) if drop.utterance.split == "train"]
    assert [(drop.stage, drop.utterance.utterance_id) for drop in drops] == [
        ("selection", 5), ("annotation", 4), ("resolution", 2),
    ]  # fmt: skip
    assert drops[2].reasons == ("no_majority",)


def test_counts_name_the_unresolved_and_add_up(out: Path, panel: DatasetContent) -> None:
    counts = read_manifest(out)["counts"]
    assert counts["train"] == {"input": 6, "kept": 3, "dropped": 1, "quarantined": 1, "unresolved": 1}
    with pytest.raises(InputError, match=r"7 came in, but 3 kept, 1 dropped, 1 quarantined, 1 unresolved"):
        build_manifest(replace(panel, inputs={"train": 7, "test": 1}))


def test_the_manifest_says_who_voted_and_how(out: Path, panel: DatasetContent) -> None:
    manifest = read_manifest(out)
    assert [member["name"] for member in manifest["annotators"]] == list(NAMES)
    assert [m["replies"]["valid"] for m in manifest["annotators"]] == [4, 4, 4]
    assert [m["replies"]["total"] for m in manifest["annotators"]] == [5, 6, 4]
    assert [m["replies"]["cost"] for m in manifest["annotators"]] == [0.005, 0.006, None]
    assert [m["means"] for m in manifest["annotators"]] == [
        {"json_schema": 5},
        {"json_schema": 6},
        {"import": 4},
    ]
    assert manifest["annotator"] == {
        "name": "big", "model": "gpt-test", "endpoint": "https://example.org/v1",
        "parameters": {"temperature": 1.0}, "retires": "2027-01-14", "caveat": "",
        "notices": ["once it dropped the seed"], "means": {"json_schema": 5},
        "answered_by": {"gpt-test": 5},
        "answered": {"first": "2026-01-02T03:04:05Z", "last": "2026-01-02T03:04:05Z"},
    }  # fmt: skip
    assert manifest["resolution"] == {**panel.panel.resolution, "ratings": False}  # type: ignore[union-attr]
    assert members_of(manifest) == [dict(member) for member in MEMBERS]
    assert "annotators" not in build_manifest(replace(panel, panel=None, annotations=(), drops=(), inputs={}))


def test_each_request_comes_back_with_its_members_schema_and_model(out: Path, panel: DatasetContent) -> None:
    back = list(read_annotations(out))
    assert back == [(a.request, a.replies) for a in panel.annotations]
    assert {(r.annotator, r.model, r.schema == LABEL_SCHEMA) for r, _ in back} == {
        ("big", "gpt-test", False), ("small", "smol", True), ("ann", "ann", True),
    }  # fmt: skip
    assert {len(request.messages) for request, _ in back if request.annotator == "ann"} == {0}


def test_the_votes_come_back(out: Path, panel: DatasetContent) -> None:
    assert panel.panel is not None
    back = resolutions_from_table(read_table(out / DATA), MELT.labels, "majority")
    assert len(back) == 3
    for name, found in back.items():
        kept = panel.panel.resolutions[name]
        assert (found.votes, found.label, found.decided_by) == (kept.votes, kept.label, kept.decided_by)
        assert found.distribution == pytest.approx(kept.distribution, abs=1e-9)


def test_an_annotator_that_the_manifest_does_not_name_is_named(out: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(out, tmp_path / "out")
    manifest = read_manifest(out)
    manifest["annotators"] = manifest["annotators"][:2]
    write_manifest(tmp_path / "out", manifest)
    with pytest.raises(InputError, match=r"utt0: Bad annotator 'ann', expected one of \['big', 'small'\]"):
        list(read_annotations(tmp_path / "out"))


def test_the_same_votes_give_the_same_bytes(out: Path, panel: DatasetContent, tmp_path: Path) -> None:
    publish(tmp_path, panel)
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        assert path.read_bytes() == (tmp_path / path.relative_to(out)).read_bytes(), path.name


def test_it_loads(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    rows = load_dataset(str(out), split="train", cache_dir=str(tmp_path))
    assert named(rows[1]["votes"]) == SAID[1]
    assert rows.features["votes"].feature["kind"].dtype == "string"
    assert rows.features["label"].int2str(rows[1]["label"]) == "disgust"
    assert load_dataset(str(out), "annotations", split="train", cache_dir=str(tmp_path)).num_rows == 13
    dropped = load_dataset(str(out), "dropped", split="train", cache_dir=str(tmp_path))
    assert dropped["stage"][:] == ["selection", "annotation", "resolution"]


def changed(panel: DatasetContent, name: str, **fields: Any) -> DatasetContent:
    """The panel with another resolution of one utterance."""
    assert panel.panel is not None
    key = f"meld/train/dia0_{name}"
    found = {**panel.panel.resolutions, key: replace(panel.panel.resolutions[key], **fields)}
    return replace(panel, panel=replace(panel.panel, resolutions=found))


def without(panel: DatasetContent, name: str) -> DatasetContent:
    assert panel.panel is not None
    found = {k: r for k, r in panel.panel.resolutions.items() if not k.endswith(name)}
    return replace(panel, panel=replace(panel.panel, resolutions=found))


def with_member(panel: DatasetContent, place: int, **fields: Any) -> DatasetContent:
    assert panel.panel is not None
    members = [dict(member) for member in panel.panel.members]
    members[place] |= fields
    return replace(panel, panel=replace(panel.panel, members=members))


def refusals(panel: DatasetContent) -> dict[str, DatasetContent]:
    """What `check` says, and the content it says it of."""
    a, drops = panel.annotations, panel.drops
    first = a[0].utterance
    odd = annotate(replace(first, text="Something else."), MEMBERS[1], "joy")
    nowhere = Resolution("meld/train/dia9_utt9", None, "majority")
    assert panel.panel is not None
    more = replace(panel.panel, resolutions={**panel.panel.resolutions, nowhere.utterance_id: nowhere})
    return {
        "annotated and not resolved: meld/train/dia0_utt0": without(panel, "train/dia0_utt0"),
        "resolved and not annotated: meld/train/dia9_utt9": replace(panel, panel=more),
        "dia0_utt0: Bad resolved label 'glee'": changed(panel, "utt0", label="glee"),
        "kept and dropped: meld/train/dia0_utt2": changed(panel, "utt2", label="joy"),
        "without a label and not dropped: meld/train/dia0_utt0": changed(panel, "utt0", label=None),
        "stands under 'meld/train/dia0_utt0'": changed(panel, "utt0", utterance_id="meld/train/dia0_utt1"),
        "small stand twice, or not in the order": replace(panel, annotations=(*a[:2], a[1], *a[2:])),
        "big stand twice, or not in the order": replace(panel, annotations=(a[1], a[0], *a[2:])),
        "dia0_utt0 do not stand together": replace(panel, annotations=(*a[1:], a[0])),
        "not the same for small as for the others": replace(panel, annotations=(a[0], odd, *a[2:])),
        "1 annotators are named twice: big": with_member(panel, 1, name="big"),
        "Bad annotator 'big', expected one of": with_member(panel, 0, name="huge"),
        "Bad kind 'robot'": with_member(panel, 0, kind="robot"),
        "'big' holds what looks like an API key": with_member(panel, 0, notices=[KEY]),
        "big was asked with another schema": with_member(panel, 0, schema=MEMBERS[1]["schema"]),
        "at least one annotator": replace(panel, panel=replace(panel.panel, members=())),
        "unresolved and without a valid reply: meld/train/dia0_utt4": replace(
            panel, drops=[replace(d, stage="resolution") if d.stage == "annotation" else d for d in drops]
        ),
        "quarantined in spite of a valid reply: meld/train/dia0_utt2": replace(
            panel, drops=[replace(d, stage="annotation") if d.stage == "resolution" else d for d in drops]
        ),
        "dropped by the selection and yet annotated: meld/train/dia0_utt2": replace(
            panel, drops=[replace(d, stage="selection") for d in drops if d.stage != "annotation"]
        ),
    }  # fmt: skip


def test_what_does_not_belong_together_stops_the_build(panel: DatasetContent) -> None:
    panel.check()
    for message, content in refusals(panel).items():
        with pytest.raises(InputError) as caught:
            content.check()
        assert message in str(caught.value)


def test_members_that_were_asked_the_same_are_refused(panel: DatasetContent) -> None:
    twin = {**MEMBERS[2], "name": "twin"}
    assert panel.panel is not None
    first = panel.annotations[2]
    same = replace(first, request=replace(first.request, annotator="twin"))
    more = replace(panel.panel, members=(*MEMBERS, twin))
    content = replace(panel, panel=more, annotations=(*panel.annotations[:3], same, *panel.annotations[3:]))
    with pytest.raises(InputError, match="asked the same by two annotators: meld/train/dia0_utt0"):
        content.check()


def test_an_unresolved_row_needs_votes(content: DatasetContent) -> None:
    odd = Drop(content.drops[1].utterance, "resolution", ("tie",), ("",))
    with pytest.raises(InputError, match="unresolved without votes: meld/train/dia0_utt5"):
        replace(content, drops=(content.drops[0], odd)).check()


@pytest.mark.parametrize("shares", [{"joy": 0.5}, {"joy": 0.5, "glee": 0.5}])
def test_shares_that_are_none_stop_the_build(
    panel: DatasetContent, tmp_path: Path, shares: dict[str, float]
) -> None:
    with pytest.raises(InputError, match=r"Bad distribution .* of meld/train/dia0_utt0"):
        publish(tmp_path / "out", changed(panel, "utt0", distribution=shares))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("resolution"), "lacks the keys"),
        (lambda m: m.pop("annotators"), "lacks the keys"),
        (lambda m: m.update(annotators=[]), "'annotators' is .*, expected a list"),
        (lambda m: m["annotators"][1].pop("schema"), r"'annotators\[1\]' lacks the keys \['schema'\]"),
        (lambda m: m["annotators"][0]["schema"].pop("json"), r"'annotators\[0\]\.schema' lacks"),
        (lambda m: m["annotators"][0].update(kind="robot"), "Bad kind of annotator 'robot'"),
        (lambda m: m["annotators"][0].update(name="ann"), r"names \['ann'\] twice"),
        (lambda m: m["resolution"].pop("rule"), r"'resolution' lacks the keys \['rule'\]"),
        (lambda m: m["counts"]["test"].pop("unresolved"), r"'counts\.test' lacks the keys \['unresolved'\]"),
        (lambda m: m.update(resplit=False), "Bad resplit False"),
    ],
)
def test_damage_inside_the_manifest_is_named(out: Path, tmp_path: Path, change: Any, message: str) -> None:
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    change(manifest)
    write_manifest(tmp_path, manifest)
    with pytest.raises(InputError, match=message):
        read_manifest(tmp_path)
