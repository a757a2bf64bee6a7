"""Verification of a dataset with votes: a good folder passes, and each kind of damage is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.publishing import DatasetContent, check_replies, find_problems, publish, read_manifest
from remelt.publishing.columns import Columns, columns_of
from remelt.publishing.layout import CONFIGS
from remelt.publishing.manifest import write_manifest
from remelt.publishing.reading import read_split
from remelt.publishing.rowchecks import row_problems
from remelt.publishing.verify import manifest_problems
from remelt.records import Rating, Vote

from .panels import SAID, with_panel
from .test_verify import edited, messages, rewrite
from .voices import with_voice

DATA, REPLIES, DROPPED = CONFIGS


@pytest.fixture(scope="module")
def source(content: DatasetContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panel")
    publish(folder, with_panel(content))
    return folder


@pytest.fixture
def out(source: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(source, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(scope="module")
def tables(source: Path) -> dict[tuple[str, str], pa.Table]:
    manifest = read_manifest(source)
    return {(c, s): read_split(source, manifest, c, s) for c in CONFIGS for s in manifest["splits"]}


@pytest.fixture(scope="module")
def columns(content: DatasetContent) -> Columns:
    panel = with_panel(content)
    return columns_of(panel.utterances(), panel.label_set, panel.schema, panel=True)


def test_a_good_folder_has_no_problem(source: Path) -> None:
    assert find_problems(source) == []
    check_replies(source)


def vote(source: str, label: str | None, kind: str = "model") -> dict[str, str | None]:
    return {"source": source, "kind": kind, "label": label}


ANN = vote("ann", "joy", "human")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            DATA,
            edited("votes", 0, [vote("big", "fear"), vote("small", "joy"), ANN]),
            "other votes than their replies",
        ),
        (
            DATA,
            edited("votes", 0, [vote("big", "joy"), vote("small", "joy")]),
            "other votes than their replies",
        ),
        (DATA, edited("votes", 2, [vote("big", "fear")]), "other votes than their replies"),
        (
            DATA,
            edited("votes", 0, [vote("big", "joy"), vote("small", "joy"), {**ANN, "kind": "model"}]),
            "other votes than their replies",
        ),
        (
            DATA,
            edited(
                "votes", 0, [vote("big", "joy"), vote("small", "joy"), ANN, vote("rater/1", "joy", "human")]
            ),
            "votes of others than annotators and raters",
        ),
        (DATA, edited("vote_share", 1, 0.5), "another vote_share than their votes"),
        (DATA, edited("vote_share", 1, None), "another vote_share than their votes"),
        (DATA, edited("vote_entropy", 1, 0.5), "another vote_entropy than their soft label"),
        (DATA, edited("soft_label", 1, [0, 1, 0, 0, 0, 0, 0]), "another soft label than their votes"),
        (DATA, edited("soft_label", 0, [0, 0, 0, 0.9, 0, 0, 0]), "a soft label that does not add up to 1"),
        (DATA, edited("label", 1, 2), "another label than the rule gives"),
        (DATA, edited("label", 1, 0), "a label that nothing speaks for"),
        (DATA, edited("label", 1, 0), "a wrong value in 'changed'"),
        (DATA, edited("annotator", 1, "big"), "1 rows have another 'annotator' than their replies"),
        (DATA, edited("pitch", 0, "low"), "1 rows have another 'pitch' than their replies"),
        (
            DATA,
            edited("character_match", 1, True),
            "1 rows have another 'character_match' than their replies",
        ),
        (
            DATA,
            lambda t: t.slice(1),
            "annotated utterances without a label are missing: meld/train/dia0_utt0",
        ),
        (DATA, lambda t: t.take([1, 0, 2]), "its rows or their order are not those of the replies"),
        (DATA, edited("id", 0, "meld/train/dia9_utt9"), "rows have no reply in annotations"),
        (REPLIES, edited("annotator", 0, "small"), "does not have its hash"),
        (REPLIES, edited("annotator", 0, "nobody"), "Bad annotator 'nobody'"),
        (REPLIES, edited("label", 0, "fear"), "other votes than their replies"),
        (REPLIES, edited("schema_hash", 1, "0" * 64), "1 schema hashes are not the manifest's"),
        (REPLIES, edited("means", 1, "prompt"), "means of 'small' are"),
        (REPLIES, lambda t: t.slice(1), "replies of 'big' say total 5, the files have 4"),
        (
            DROPPED,
            edited("stage", 2, "annotation"),
            "quarantined rows have a valid reply: meld/train/dia0_utt2",
        ),
        (
            DROPPED,
            edited("stage", 1, "resolution"),
            "unresolved rows have no valid reply: meld/train/dia0_utt4",
        ),
        (DROPPED, edited("stage", 1, "resolution"), "counts of 'train' say unresolved 1, the files have 2"),
        (
            DROPPED,
            lambda t: t.slice(0, 2),
            "annotated utterances without a label are missing: meld/train/dia0_utt2",
        ),
    ],
)
def test_rows_that_do_not_fit_are_found(
    source: Path, tables: Any, columns: Columns, name: str, change: Callable[..., Any], message: str
) -> None:
    other = {**tables, (name, "train"): change(tables[name, "train"])}
    found = "\n".join(map(str, row_problems(other, read_manifest(source), columns)))
    assert message in found, found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["annotators"][1]["prompt"].update(text="x"),
            "the prompt's text of 'small' does not have its",
        ),
        (
            lambda m: m["annotators"][1]["schema"]["json"].update(title="x"),
            "answer schema of 'small' does not have",
        ),
        (
            lambda m: m["annotators"][1]["parameters"].update(temperature=1),
            "the annotator 'small''s parameters are",
        ),
        (lambda m: m["annotators"][0]["replies"].update(cost=9.0), "replies of 'big' say cost 9.0"),
        (
            lambda m: m["annotators"][0].update(model="gpt-9"),
            "the annotator is not the first of the annotators",
        ),
        (lambda m: m["annotators"].reverse(), "the annotator is not the first of the annotators"),
        (lambda m: m["annotators"][2].update(kind="import"), "other votes than their replies"),
        (lambda m: m["schema"].update(name="other"), "the answer schema is none of the annotators'"),
        (lambda m: m["counts"]["train"].update(unresolved=2), "counts of 'train' do not add up: 6 in, 7 out"),
        (lambda m: m["resolution"]["options"].update(reject=["fear"]), "another label than the rule gives"),
        (lambda m: m["resolution"]["options"].update(sources=["big"]), "another soft label than their votes"),
        (
            lambda m: m["resolution"]["options"].update(abstain=["fear"]),
            "another soft label than their votes",
        ),
        (lambda m: m["resolution"].update(rule="first"), "another label than the rule gives"),
    ],
)
def test_a_manifest_that_claims_something_else_is_found(
    source: Path, tables: Any, columns: Columns, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    manifest = read_manifest(source)
    change(manifest)
    found = [*manifest_problems(manifest), *row_problems(tables, manifest, columns)]
    assert message in "\n".join(map(str, found))


def test_damage_is_found_in_the_folder(out: Path) -> None:
    rewrite(out, "data/train-00000-of-00001.parquet", edited("vote_share", 1, 0.5))
    manifest = read_manifest(out)
    manifest["annotators"][1]["prompt"]["text"] = "x"
    write_manifest(out, manifest)
    assert len(find_problems(out)) == 2
    assert "data/train: 1 rows have another vote_share than their votes" in messages(out)


def test_a_members_changed_schema_stops_a_rebuild(out: Path) -> None:
    manifest = read_manifest(out)
    manifest["annotators"][1]["schema"]["json"]["title"] = "x"
    write_manifest(out, manifest)
    with pytest.raises(InputError, match="schema of small'] were changed"):
        check_replies(out)


@pytest.mark.parametrize(("rule", "options"), [("weighted", {"weights": {"big": 3.0}}), ("first", {})])
def test_votes_are_counted_as_the_rule_counts_them(
    content: DatasetContent, tmp_path: Path, rule: str, options: dict[str, Any]
) -> None:
    """Row 1 (fear, disgust, disgust): big alone outweighs or precedes the other two."""
    panel = with_panel(content)
    assert panel.panel is not None
    name = "meld/train/dia0_utt1"
    shares = {"fear": 0.6, "disgust": 0.4} if rule != "first" else {"fear": 1 / 3, "disgust": 2 / 3}
    entropy = 0.970950594 if rule != "first" else 0.918295834
    found = replace(
        panel.panel.resolutions[name],
        label="fear",
        share=shares["fear"],
        entropy=entropy,
        distribution=shares,
    )
    record = {"rule": rule, "options": options, "info": {}, "notes": []}
    wrong = replace(panel, panel=replace(panel.panel, resolution=record))
    right = replace(wrong, panel=replace(wrong.panel, resolutions={**panel.panel.resolutions, name: found}))  # type: ignore[type-var]
    publish(tmp_path / "right", right)
    publish(tmp_path / "wrong", wrong)
    assert find_problems(tmp_path / "right") == []
    assert find_problems(tmp_path / "wrong") != []


def test_the_corpuss_raters_may_vote_where_there_are_ratings(content: DatasetContent, tmp_path: Path) -> None:
    panel = with_panel(content)
    rated = {
        a.utterance.id: replace(a.utterance, ratings=(Rating("rater/1", ("joy",)),))
        for a in panel.annotations
    }
    assert panel.panel is not None
    votes = {
        name: replace(found, votes=(*found.votes, Vote("rater/1", None, "human")))
        for name, found in panel.panel.resolutions.items()
    }
    publish(
        tmp_path,
        replace(
            panel,
            annotations=[
                replace(a, request=replace(a.request, utterance=rated[a.utterance.id]))
                for a in panel.annotations
            ],
            drops=[replace(d, utterance=rated.get(d.utterance.id, d.utterance)) for d in panel.drops],
            panel=replace(panel.panel, resolutions=votes),
        ),
    )
    assert len(SAID) == len(votes)
    assert find_problems(tmp_path) == []
    assert read_manifest(tmp_path)["resolution"]["ratings"] is True


def test_rows_that_nobody_was_asked_about_do_not_disturb_the_attrition(
    content: DatasetContent, tmp_path: Path
) -> None:
    panel = with_panel(content)
    gone = panel.annotations[-1].utterance.id
    assert panel.panel is not None
    left = {name: found for name, found in panel.panel.resolutions.items() if name != gone}
    missing = replace(
        panel.drops[0], utterance=panel.annotations[-1].utterance, reasons=("not_asked",), details=("",)
    )
    publish(
        tmp_path,
        replace(
            panel,
            annotations=[a for a in panel.annotations if a.utterance.id != gone],
            drops=(*panel.drops, missing),
            panel=replace(panel.panel, resolutions=left),
        ),
    )
    assert find_problems(tmp_path) == []
    assert read_manifest(tmp_path)["counts"]["test"] == {
        "input": 1, "kept": 0, "dropped": 1, "quarantined": 0, "unresolved": 0,
    }  # fmt: skip


def test_votes_and_a_voice_stand_side_by_side(content: DatasetContent, tmp_path: Path) -> None:
    names = publish(tmp_path, with_voice(with_panel(content)))["voice"]["columns"]
    found = pq.read_schema(tmp_path / "data/train-00000-of-00001.parquet").names
    assert found[-len(names) - 1 :] == ["decided_by", *names]
    assert find_problems(tmp_path) == []
