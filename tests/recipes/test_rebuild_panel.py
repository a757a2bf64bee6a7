"""A dataset of several annotators, made again from itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import remelt.recipes.building
import remelt.recipes.rebuild
from remelt import answers
from remelt.journal import FILE, Journal
from remelt.labels import FENG, MELT, LabelSet
from remelt.publishing import DatasetContent, find_problems, publish, read_manifest
from remelt.publishing.manifest import write_manifest
from remelt.recipes.exchange.additions import stored
from remelt.recipes.finishing import BuildResult
from remelt.recipes.melt import build
from remelt.recipes.options import BuildOptions, Member
from remelt.recipes.panel.content import panel_content
from remelt.recipes.rebuild import rebuild
from remelt.recipes.resolving import rater_votes
from remelt.records import Annotation, Drop, Rating, Reply, Request, Utterance
from remelt.resolution import ResolutionOptions

from ..builders import request, utterance, write_meld

CONFIGS = ("data", "annotations", "dropped")
WORDS = ("anger", "joy", "neutral")


def finish(out: Path, content: DatasetContent, stats: Any, reporter: Any) -> BuildResult:
    """The last steps of a recipe without the audit, which takes most of the time."""
    return BuildResult(out, publish(out, content), None, stats)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remelt.recipes.rebuild, "finish", finish)
    monkeypatch.setattr(remelt.recipes.building, "finish", finish)


def member(name: str, kind: str = "model", schema: str = "label", labels: LabelSet = MELT) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "model": f"model-{name}",
        "endpoint": "test" if kind == "model" else "sha256:" + "d" * 64,
        "parameters": {"temperature": 1.0} if kind == "model" else {},
        "notices": [],
        "prompt": None,
        "schema": {"name": schema, "json": answers.load_schema(schema, labels)},
    }


def raw(label: str | None, schema: str) -> str:
    if label is None:
        return "I cannot say."
    if schema == "label":
        return json.dumps({"label": label})
    voice = dict.fromkeys(("loudness", "pitch", "rhythm_speed", "emotional_impact"), "even")
    return json.dumps({"character": "Ann", "context": "at home", "elements": {"emotion": label, **voice}})


def annotation(row: Utterance, by: dict[str, Any], label: str | None, labels: LabelSet = MELT) -> Annotation:
    schema = by["schema"]["json"]
    asked: Request = request(
        0,
        utterance=row,
        annotator=by["name"],
        model=by["model"],
        endpoint=by["endpoint"],
        schema=schema,
        parameters=by["parameters"],
        **({} if by["kind"] == "model" else {"messages": ()}),
    )
    # Each member is sure of its label in its own way.
    sure = {"a": -0.1, "b": -0.5}.get(by["name"])
    logprobs = "" if sure is None or label is None else json.dumps({label.lower(): sure, "fear": -1.0})
    reply = Reply(
        asked.key, row.id, 0, raw(label, by["schema"]["name"]), by["model"], "prompt", label_logprobs=logprobs
    )
    return Annotation(asked, (reply,), (answers.Checker(schema, labels).check(asked, reply),))


def votes_of(number: int) -> Sequence[str | None]:
    """Three answers for a row, in turn all alike, two alike, all different, and some or all unusable."""
    a, b, c = (WORDS[(number + step) % 3].title() for step in range(3))
    return ((a, a, a), (a, b, b), (a, b, c), (a, None, b), (None, None, None), (a, a, None))[number % 6]


def publish_panel(
    out: Path, options: ResolutionOptions, kinds: Sequence[str] = ("model",) * 3
) -> DatasetContent:
    """Thirty rows, three members of whom the first has a long schema, raters, a dropped row."""
    rows = [
        utterance(n, ratings=(Rating("r1", (WORDS[n % 3],)), Rating("r2", (WORDS[n % 2], "boredom"))))
        for n in range(30)
    ]
    members = [
        member(name, kind, "melt" if place == 0 else "label")
        for place, (name, kind) in enumerate(zip("abc", kinds, strict=True))
    ]
    content = DatasetContent(
        recipe="melt",
        corpus={"name": "toy", "licence": "", "homepage": "", "citation": "", "files": {}},
        splits=("train",),
        inputs={"train": 31},
        annotations=(),
        drops=(Drop(utterance(99), "selection", ("words",), ("too few",)),),
        label_set=MELT,
        schema={},
        schema_name="",
        annotator={},
        created="2026-01-01T00:00:00Z",
    )
    annotations = [
        annotation(row, by, label)
        for n, row in enumerate(rows)
        for by, label in zip(members, votes_of(n), strict=True)
    ]
    ratings = rater_votes(rows, MELT, "toy") if options.rule == "human" else None
    content = panel_content(content, members, annotations, rows, options, ratings)
    publish(out, content)
    return content


def same_files(one: Path, other: Path) -> bool:
    names = [p.relative_to(one) for config in CONFIGS for p in sorted((one / config).iterdir())]
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    "options",
    [
        ResolutionOptions(),
        ResolutionOptions("weighted", weights={"b": 2.5}, quorum=2, reject=("neutral",)),
        ResolutionOptions("soft", ties="first"),
        ResolutionOptions("consistency", sources=("b", "a"), threshold=0.3),
        ResolutionOptions("human", base="plurality", ties="first", seed=5),
    ],
    ids=lambda options: options.rule,
)
def test_it_gives_the_same_bytes(tmp_path: Path, options: ResolutionOptions) -> None:
    content = publish_panel(tmp_path / "source", options)
    result = rebuild(tmp_path / "source", tmp_path / "again")
    assert 0 < result.rows < 30
    assert content.panel is not None
    assert same_files(tmp_path / "source", result.out)
    before, after = read_manifest(tmp_path / "source"), read_manifest(result.out)
    for key in ("annotators", "annotator", "resolution", "counts", "schema", "prompt", "replies", "notes"):
        assert after[key] == before[key], key
    assert before["resolution"]["ratings"] == (options.rule == "human")
    assert find_problems(result.out) == []


def test_dawid_and_skenes_estimate_is_made_again(tmp_path: Path) -> None:
    pytest.importorskip("crowdkit")
    publish_panel(tmp_path / "source", ResolutionOptions("dawid_skene"))
    rebuild(tmp_path / "source", tmp_path / "again")
    assert same_files(tmp_path / "source", tmp_path / "again")
    assert find_problems(tmp_path / "again") == []


def test_the_votes_are_decided_and_not_copied(tmp_path: Path) -> None:
    publish_panel(tmp_path / "source", ResolutionOptions())
    manifest = read_manifest(tmp_path / "source")
    manifest["resolution"]["options"]["rule"] = "first"
    write_manifest(tmp_path / "source", manifest)
    before = read_manifest(tmp_path / "source")["counts"]["train"]
    after = rebuild(tmp_path / "source", tmp_path / "again").manifest
    # A third of each: no majority, but somebody is first. Nobody valid stays quarantined.
    assert (before["unresolved"], before["quarantined"]) == (10, 5)
    assert (after["counts"]["train"]["unresolved"], after["counts"]["train"]["quarantined"]) == (0, 5)
    assert after["resolution"]["rule"] == "first"


def test_each_reply_is_judged_by_its_own_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_panel(tmp_path / "source", ResolutionOptions())
    judged: set[tuple[str, bool]] = set()
    plain = answers.Checker.check

    def watching(self: answers.Checker, asked: Request, reply: Reply) -> Any:
        verdict = plain(self, asked, reply)
        judged.add((asked.annotator, verdict.status == "valid"))
        return verdict

    monkeypatch.setattr(answers.Checker, "check", watching)
    rebuild(tmp_path / "source", tmp_path / "again")
    assert judged == {(name, valid) for name in "abc" for valid in (True, False)}


def test_what_was_added_is_there_for_the_next_command(tmp_path: Path) -> None:
    content = publish_panel(tmp_path / "source", ResolutionOptions(), ("model", "import", "human"))
    out = rebuild(tmp_path / "source", tmp_path / "again").out
    assert same_files(tmp_path / "source", out)
    added = stored(out)
    assert [(one.member["name"], one.member["kind"]) for one in added] == [("b", "import"), ("c", "human")]
    for one in added:
        mine = [a for a in content.annotations if a.request.annotator == one.member["name"]]
        assert [(a.request, a.replies) for a in one.annotations] == [(a.request, a.replies) for a in mine]
    with Journal(out / ".remelt" / FILE, read_only=True) as journal:
        assert len(journal.replies([a.request.key for a in content.annotations])) == 90


def test_the_prompts_own_words_for_labels_are_known_again(tmp_path: Path) -> None:
    rows = [utterance(n) for n in range(3)]
    members = [member(name, labels=FENG) for name in ("a", "b")]
    said = (("sad", "sad"), ("angry", "happy"), ("other", "other"))
    content = DatasetContent(
        recipe="melt",
        corpus={"name": "toy", "licence": "", "homepage": "", "citation": "", "files": {}},
        splits=("train",),
        inputs={"train": 3},
        annotations=(),
        drops=(),
        label_set=FENG,
        schema={},
        schema_name="",
        annotator={},
    )
    found = [
        annotation(row, by, label, FENG)
        for row, labels in zip(rows, said, strict=True)
        for by, label in zip(members, labels, strict=True)
    ]
    publish(tmp_path / "source", panel_content(content, members, found, rows, ResolutionOptions()))
    result = rebuild(tmp_path / "source", tmp_path / "again")
    assert same_files(tmp_path / "source", tmp_path / "again")
    assert result.manifest["counts"]["train"] | {"dropped": 0} == {
        "input": 3, "kept": 1, "dropped": 0, "quarantined": 0, "unresolved": 2,
    }  # fmt: skip
    rows_now = pq.read_table(tmp_path / "again" / "data" / "train-00000-of-00001.parquet").to_pylist()
    assert [FENG.labels[row["label"]] for row in rows_now] == ["sadness"]


def test_a_real_build_of_three_goes_round(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", 24)
    members = [
        Member("mock:invalid=0.4", name="one"),
        Member("mock:invalid=0.4", name="two", seed=5, temperature=0.2),
        Member("mock", name="three", seed=9, prompt="melt-general"),
    ]
    options = BuildOptions(str(corpus), tmp_path / "source", members, splits=("train",))
    built = build(replace(options, limit=20))
    assert built.manifest["counts"]["train"]["unresolved"] > 0
    result = rebuild(tmp_path / "source", tmp_path / "again")
    assert same_files(tmp_path / "source", result.out)
    assert (result.out / "README.md").read_bytes() == (tmp_path / "source" / "README.md").read_bytes()
    assert find_problems(result.out) == []
    again = build(replace(options, limit=20, out=tmp_path / "again"))
    assert again.stats.asked == 0
    assert same_files(tmp_path / "source", again.out)
