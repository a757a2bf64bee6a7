"""Builds in parts: the same bytes as in memory, gone on with after any end, refused where they cannot be."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remelt import corpora
from remelt.annotators import AnnotatorOptions
from remelt.corpora import TableMapping
from remelt.engine import EngineOptions
from remelt.errors import InputError, Interrupted
from remelt.journal import FILE, Journal
from remelt.publishing.parquet import WriteError
from remelt.recipes.building import RecipeSpec, build_recipe
from remelt.recipes.finishing import BuildResult
from remelt.recipes.listening.voices import VoiceOptions
from remelt.recipes.melt import RECIPE, build, plan
from remelt.recipes.options import BuildOptions, Member
from remelt.recipes.parts import build as building
from remelt.recipes.parts import suiting
from remelt.recipes.parts.job import PartJob, PartTask
from remelt.recipes.parts.options import PartOptions
from remelt.recipes.parts.part import PartMaker
from remelt.recipes.reporting import Reporter
from remelt.resolution import ResolutionOptions

from ..servers import ChatServer
from .parts_corpus import Notes, files, findings, manifest, write_labels, write_table

TWO = (Member("mock:invalid=0.3", name="a"), Member("mock:seed=5", name="b"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("corpus") / "corpus.csv")


@pytest.fixture
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at no findings: the audit takes longer than all the rest."""
    monkeypatch.setattr("remelt.audit.audit", lambda *_: SimpleNamespace(as_dict=lambda: None))


def options(table: Path, out: Path, rows: int | None = 17, **changes: Any) -> BuildOptions:
    values: dict[str, Any] = {"annotator": "mock:invalid=0.3", "profile": "every-turn", **changes}
    return BuildOptions(str(table), out, parts=rows and PartOptions(rows=rows), **values)


def both(table: Path, folder: Path, **changes: Any) -> tuple[BuildResult, BuildResult, Notes, Notes]:
    """The same build in memory and in parts, and what was said of each."""
    whole, parts = Notes(), Notes()
    one = build(options(table, folder / "memory", None, **changes), whole)
    return one, build(options(table, folder / "parts", **changes), parts), whole, parts


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"profile": "clean"}, id="one annotator, rows dropped"),
        pytest.param(
            {"prompt": "melt-context", "turns": 3, "splits": ("test", "train"), "limit": 40},
            id="turns, limit",
        ),
        pytest.param({"annotator": TWO, "resolution": ResolutionOptions(rule="soft")}, id="votes"),
    ],
)
@pytest.mark.usefixtures("no_audit")
def test_parts_publish_what_memory_does(table: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    one, other, said, told = both(table, tmp_path, **changes)
    assert files(other.out, "data", "dropped") == files(one.out, "data", "dropped")
    assert manifest(other.out) == manifest(one.out)
    assert sorted(told.notices) == sorted(said.notices)
    same = ("rows", "done", "valid", "quarantined", "requests", "retries", "input_tokens")
    assert [other.stats.as_dict()[name] for name in same] == [one.stats.as_dict()[name] for name in same]
    assert not (other.out / ".remelt" / "parts").exists()


def test_a_replayed_file_gives_the_same_annotations_and_notes(table: Path, tmp_path: Path) -> None:
    ids = [utterance.id for utterance in corpora.load(table).utterances]
    labels = write_labels(tmp_path / "labels.csv", ids)
    one, other, said, told = both(table, tmp_path, annotator=f"replay:{labels}")
    assert files(other.out, "data", "dropped") == files(one.out, "data", "dropped")
    assert manifest(other.out) == manifest(one.out)
    assert findings(other.out) == findings(one.out)
    assert sorted(told.notices) == sorted(said.notices)
    assert any("carry another text" in note for note in told.notices)
    assert any("not asked for, such as table/train/nobody" in note for note in told.notices)


@pytest.mark.usefixtures("no_audit")
def test_labels_get_their_common_names_as_in_memory(table: Path, tmp_path: Path) -> None:
    one, other, said, told = both(table, tmp_path, mapping=TableMapping(name="msp_improv"))
    assert files(other.out, "data", "dropped") == files(one.out, "data", "dropped")
    assert manifest(other.out) == manifest(one.out)
    assert told.notices == said.notices
    assert any("happiness is joy" in note for note in told.notices)


def replies(out: Path) -> int:
    with Journal(out / ".remelt" / FILE, read_only=True) as journal:
        return journal.count()


@pytest.mark.usefixtures("no_audit")
def test_a_killed_build_goes_on_and_asks_nothing_twice(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(options(table, tmp_path / "memory", None))
    out = tmp_path / "out"
    made: list[int] = []
    usual = PartMaker.make

    def make(self: PartMaker, task: PartTask, *rest: Any) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(task.number)
        return usual(self, task, *rest)

    monkeypatch.setattr(PartMaker, "make", make)
    with pytest.raises(KeyboardInterrupt):
        build(options(table, out))
    assert made == [0, 1]
    # A part that was begun and has no summary is made again; one of another build too.
    (out / ".remelt" / "parts" / "000002").mkdir()
    (out / ".remelt" / "parts" / "000002" / "default.arrow").write_bytes(b"half")
    monkeypatch.setattr(PartMaker, "make", usual)
    told = Notes()
    result = build(options(table, out), told)
    assert any("(2 are made already)" in stage for stage in told.stages)
    assert files(out, "data", "dropped") == files(whole.out, "data", "dropped")
    assert result.stats.reused > 0
    assert result.stats.asked + replies_of(result) == whole.stats.asked
    assert replies(out) == replies(whole.out)


def replies_of(result: BuildResult) -> int:
    """Replies in the dataset that this run did not ask for."""
    return int(result.manifest["replies"]["total"]) - result.stats.replies


@pytest.mark.usefixtures("no_audit")
def test_parts_of_another_question_are_made_again(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def halt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, "publish_parts", halt)
        with pytest.raises(KeyboardInterrupt):
            build(options(table, out))
    told = Notes()
    result = build(options(table, out, temperature=0.5), told)
    assert not any("made already" in stage for stage in told.stages)
    whole = build(options(table, tmp_path / "memory", None, temperature=0.5))
    assert files(out, "data", "dropped") == files(whole.out, "data", "dropped")
    assert result.stats.asked == whole.stats.asked


@pytest.mark.usefixtures("no_audit")
def test_a_build_that_ends_before_the_merge_only_merges(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def full(*_: object) -> None:
        raise WriteError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(building, "publish_parts", full)
        with pytest.raises(WriteError):
            build(options(table, out))
    parts, usual, made = out / ".remelt" / "parts", PartMaker.make, []

    def make(self: PartMaker, task: PartTask, *rest: Any) -> Any:
        made.append(task.number)
        return usual(self, task, *rest)

    # But for parts whose rows were lost: cut off, or gone.
    spool = parts / "000001" / "annotations.arrow"
    spool.write_bytes(spool.read_bytes()[:-20])
    (parts / "000003" / "dropped.arrow").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(PartMaker, "make", make)
        result = build(options(table, out))
    assert (made, result.stats.asked) == ([1, 3], 0)
    assert result.rows > 0
    # And once more from the journal, since the parts are gone.
    before = files(out, "data", "annotations", "dropped")
    again = build(options(table, out, 30))
    assert (again.stats.asked, files(out, "data", "annotations", "dropped")) == (0, before)


@pytest.mark.usefixtures("no_audit")
def test_max_rows_and_deadline_hold_for_the_run(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    engine = EngineOptions(max_rows=25, retries=0)
    with pytest.raises(Interrupted, match="25 rows were asked, no more than --max-rows says"):
        build(options(table, out, engine=engine))
    assert replies(out) == 25
    with pytest.raises(Interrupted, match="25 rows were asked"):
        build(options(table, out, engine=engine))
    assert replies(out) == 50
    result = build(options(table, out, engine=EngineOptions(retries=0)))
    assert replies(out) == result.rows + result.quarantined


@pytest.mark.usefixtures("no_audit")
def test_a_budget_holds_for_all_parts_and_runs(table: Path, tmp_path: Path) -> None:
    """With every reply at a price: what is spent never passes the budget, and no reply is paid for twice."""
    out, prices = tmp_path / "out", tmp_path / "prices.yaml"
    prices.write_text("models: [{ids: [test], input: 100.0, output: 100.0}]", encoding="utf-8")

    def asked(server: ChatServer, out: Path, rows: int | None, budget: float | None) -> BuildOptions:
        connection = AnnotatorOptions(base_url=server.url, timeout=120.0, prices=prices)
        engine = EngineOptions(concurrency=1, retries=0, budget=budget)
        return options(
            table, out, rows, annotator="openai/test", max_tokens=100, connection=connection, engine=engine
        )

    with ChatServer() as server:
        whole = build(asked(server, tmp_path / "memory", None, None))
        cost, once = spent(whole.out), Counter(entry["hash"] for entry in server.asked)
        server.asked.clear()
        for share in (0.5, 0.5, 0.8):
            before = len(server.asked)
            with pytest.raises(Interrupted, match=rf"the budget of \${share * cost:g} is used up"):
                build(asked(server, out, 30, share * cost))
            assert 0 < spent(out) <= share * cost
            # What one part has cost counts in the next; a spent budget asks nobody.
            assert list(out.glob(".remelt/parts/*/summary.json"))
            assert (len(server.asked) > before) == (share != 0.5 or not before)
        result = build(asked(server, out, 30, 1.5 * cost))
        assert Counter(entry["hash"] for entry in server.asked) == once
    assert result.rows == whole.rows
    assert spent(out) == pytest.approx(cost)
    assert files(out, "data", "dropped") == files(whole.out, "data", "dropped")


def spent(out: Path) -> float:
    with Journal(out / ".remelt" / FILE, read_only=True) as journal:
        return journal.spent()


@pytest.mark.usefixtures("no_audit")
def test_parts_from_before_a_clip_was_lost_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = [f"u{n},train,Ann,This is line {n}.,joy,{n}.wav" for n in range(6)]
    (corpus / "all.csv").write_text("\n".join(["id,split,speaker,text,label,clip", *lines]), encoding="utf-8")
    for n in range(6):
        (corpus / f"{n}.wav").write_bytes(b"sound")
    deaf = VoiceOptions(audio="none", acoustics="none")

    def halt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, "publish_parts", halt)
        with pytest.raises(KeyboardInterrupt):
            build(options(corpus, tmp_path / "parts", 2, voice=deaf))
    (corpus / "3.wav").unlink()
    whole = build(options(corpus, tmp_path / "memory", None, voice=deaf))
    parts = build(options(corpus, tmp_path / "parts", 2, voice=deaf))
    assert files(parts.out, "data") == files(whole.out, "data")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": "sample"}, "is no table"),
        ({"resolution": ResolutionOptions(rule="dawid_skene")}, "'dawid_skene' needs the votes on all rows"),
        ({"annotator": "openai-batch/gpt-4o"}, "Batch API"),
        ({"allow_missing": True}, "--allow-missing"),
    ],
)
def test_what_needs_all_rows_is_refused(
    table: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    asked = replace(options(table, tmp_path / "out"), **changes)
    with pytest.raises(InputError, match=f"cannot be done in parts: .*{message}"):
        build(asked)
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_looks_at_all_rows_is_refused(table: Path, tmp_path: Path) -> None:
    spec = RecipeSpec("other", content=lambda content: content)
    with pytest.raises(InputError, match="the recipe 'other' looks at all rows together"):
        build_recipe(spec, options(table, tmp_path / "out"))


@pytest.mark.usefixtures("no_audit")
def test_large_tables_are_built_in_parts_where_they_can_be(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suiting, "AUTOMATIC", 60)
    told = Notes()
    parts = build(options(table, tmp_path / "parts", None), told)
    assert any("is built in parts" in note for note in told.notices)
    assert (parts.out / ".remelt" / building.STORE).is_file()
    told = Notes()
    memory = build(options(table, tmp_path / "memory", None, allow_missing=True), told)
    assert any("are held in memory, because" in note and "--allow-missing" in note for note in told.notices)
    assert not (memory.out / ".remelt" / building.STORE).exists()
    assert files(parts.out, "data") == files(memory.out, "data")


@pytest.mark.usefixtures("no_audit")
def test_a_plan_counts_part_by_part(table: Path, tmp_path: Path) -> None:
    whole = plan(options(table, tmp_path / "out", None))
    parts = plan(options(table, tmp_path / "out"))
    assert any("in parts of 17 rows" in note for note in parts.notes)
    same = ("corpus", "splits", "profile", "utterances", "rows", "answered", "rows_left", "rows_now", "free")
    assert [getattr(parts, name) for name in same] == [getattr(whole, name) for name in same]
    assert parts.prompts[0] == whole.prompts[0]
    assert not (tmp_path / "out").exists()
    built = build(options(table, tmp_path / "out"))
    after = plan(options(table, tmp_path / "out"))
    assert (after.rows_left, after.answered) == (0, built.stats.rows)


@pytest.fixture
def job(table: Path, tmp_path: Path) -> Iterator[PartJob]:
    """What a worker gets."""
    from remelt.corpora.store import CorpusStore

    (tmp_path / "out" / ".remelt").mkdir(parents=True)
    asked = RECIPE.filled(options(table, tmp_path / "out"))
    path = tmp_path / "out" / ".remelt" / building.STORE
    with CorpusStore.open(path, asked.corpus) as store:
        assert asked.parts is not None
        yield building.prepare_parts(RECIPE, asked, asked.parts, store, Reporter()).job


def test_a_job_travels_to_another_process(job: PartJob, tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(job))
    assert sent == job
    task = PartTask(0, "train", 0, 10)
    found = []
    for number, one in enumerate((job, sent)):
        shutil.rmtree(job.folder, ignore_errors=True)
        with PartMaker(one) as maker, Journal(tmp_path / f"{number}.sqlite") as journal:
            summary = maker.make(task, journal, Reporter())
        spooled = summary.spooled.as_dict()
        for name in ("first", "last"):
            # When the replies came is another second now and then.
            assert spooled["tally"]["replies"].pop(name)
        found.append((spooled, summary.counts, summary.rows, files(job.folder, "000000")))
    assert found[0][:3] == found[1][:3]
    assert found[0][2] == 10


def test_the_words_of_refused_options() -> None:
    with pytest.raises(InputError, match="Bad engine 'spark'"):
        PartOptions(engine="spark")
    with pytest.raises(InputError, match="Bad rows of a build in parts 0"):
        PartOptions(rows=0)
    with pytest.raises(InputError, match="has no effect with the local engine"):
        PartOptions(workers=2)
