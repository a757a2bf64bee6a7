"""`migrate`: the sample, the questions, the numbers, and what it leaves alone."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from remelt.annotators import AnnotatorOptions
from remelt.engine import EngineOptions
from remelt.errors import InputError, Interrupted
from remelt.labels import MELT
from remelt.recipes.migrate import MigrateOptions, Migration, migrate
from remelt.recipes.migrating.compare import exact_p
from remelt.recipes.migrating.sample import allocate, draw
from servers import ChatServer

from . import migration_dataset as dataset

PRICES = "models: [{ids: [next], input: 2.0, output: 10.0, batch_input: 1.0, batch_output: 5.0}]"


# -- the sample ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_allocation_is_in_proportion_and_leaves_no_stratum_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 400, size=rng.integers(1, 12)).tolist()
    labels = [f"l{n % 4}" for n in range(len(sizes))]
    wanted = int(rng.integers(1, sum(sizes) + 10))
    drawn = allocate(sizes, wanted, labels)
    assert sum(drawn) == min(wanted, sum(sizes))
    assert all(0 <= one <= size for one, size in zip(drawn, sizes, strict=True))
    if wanted >= len(sizes):
        assert min(drawn) >= 1
    if wanted >= len(set(labels)):
        assert {label for label, one in zip(labels, drawn, strict=True) if one} == set(labels)
    quotas = [wanted * size / sum(sizes) for size in sizes]
    if wanted >= len(sizes) and min(quotas) >= 1 and wanted <= sum(sizes):
        # Hare's method: nobody is a whole row away from the share.
        assert all(abs(one - quota) < 1 for one, quota in zip(drawn, quotas, strict=True))


def test_a_larger_sample_holds_the_smaller_one() -> None:
    rows = {f"id{n}": ("train" if n % 3 else "test", "ab"[n % 2]) for n in range(200)}
    small, large = draw(rows, 20, 7), draw(rows, 60, 7)
    assert set(small.places) < set(large.places)
    assert list(small.places) == [name for name in rows if name in small.places]
    assert draw(dict(reversed(rows.items())), 20, 7).places.keys() == small.places.keys()
    assert draw(rows, 20, 8).places.keys() != small.places.keys()
    assert Counter(small.places.values()) == {n: s.drawn for n, s in enumerate(small.strata)}


# -- the numbers -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Migration:
    out = dataset.publish_rows(tmp_path_factory.mktemp("numbers") / "out")
    before = dataset.state(out)
    engine = EngineOptions(retries=0)
    options = MigrateOptions("mock:seed=3,invalid=0.1", sample=33, seed=5, engine=engine, resamples=200)
    made = migrate(out, options)
    assert dataset.state(out) == before
    return made


def table(found: Migration) -> list[dict[str, str]]:
    with (found.folder / "rows.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_what_was_asked_is_all_accounted_for(found: Migration) -> None:
    rows = table(found)
    counts = found.counts
    assert len(rows) == counts["asked"] == 33
    assert Counter(row["status"] for row in rows) == {"valid": counts["valid"], "invalid": counts["invalid"]}
    assert counts["invalid"] > 0
    assert counts["compared"] == sum(bool(row["old"] and row["new"]) for row in rows)
    # The quarantined row has no published label to be drawn by.
    assert found.sample.population == 59
    assert {s.label for s in found.sample.strata if s.drawn} == {"neutral", "joy", "anger", "sadness", "fear"}
    assert found.old.answered_by == {"model-2026-01-01": 33}
    assert (found.old.first, found.old.last) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")


def test_old_labels_are_those_of_the_dataset(found: Migration) -> None:
    for row in table(found):
        label = dataset.label_of(int(row["id"].rpartition("utt")[2])).casefold()
        assert row["old"] == row["published"] == label


def test_agreement_as_scikit_learn_has_it(found: Migration) -> None:
    pairs = [(row["old"], row["new"]) for row in table(found) if row["old"] and row["new"]]
    old, new = zip(*pairs, strict=True)
    score = found.comparison.score
    assert score.accuracy.value == pytest.approx(metrics.accuracy_score(old, new), abs=1e-6)
    assert score.kappa.value == pytest.approx(metrics.cohen_kappa_score(old, new), abs=1e-6)
    assert score.uar.value == pytest.approx(
        metrics.recall_score(old, new, labels=sorted(set(old)), average="macro", zero_division=0), abs=1e-6
    )
    assert score.f1.value == pytest.approx(metrics.f1_score(old, new, average="macro"), abs=1e-6)
    assert score.kappa.low is not None
    assert score.kappa.high is not None
    assert score.kappa.low <= score.kappa.value <= score.kappa.high
    matrix = metrics.confusion_matrix(old, new, labels=list(MELT.labels))
    assert found.comparison.matrix.counts.tolist() == matrix.tolist()
    with (found.folder / "change_matrix.csv").open(encoding="utf-8", newline="") as handle:
        head, *lines = list(csv.reader(handle))
    assert head[1:] == [line[0] for line in lines] == list(MELT.labels)
    assert [[int(cell) for cell in line[1:]] for line in lines] == matrix.tolist()
    for one in found.comparison.each:
        both = sum(pair == (one.label, one.label) for pair in pairs)
        assert (one.old, one.new) == (old.count(one.label), new.count(one.label))
        assert one.kept.rate == (both / one.old if one.old else None)
        binary = [[label == one.label for label in side] for side in (old, new)]
        assert one.specific == pytest.approx(metrics.f1_score(*binary, zero_division=0))


def test_the_whole_dataset_is_estimated_by_strata(found: Migration) -> None:
    rows = [row for row in table(found) if row["old"] and row["new"]]
    sizes: Counter[tuple[str, str]] = Counter()
    for n in range(dataset.ROWS):
        if n != 11:
            sizes["train" if n % 3 else "test", dataset.label_of(n).casefold()] += 1
    compared = Counter((row["split"], row["published"]) for row in rows)
    weights = [sizes[r["split"], r["published"]] / compared[r["split"], r["published"]] for r in rows]
    old, new = [row["old"] for row in rows], [row["new"] for row in rows]
    whole = found.comparison.whole
    assert whole is not None
    expected = {
        "accuracy": metrics.accuracy_score(old, new, sample_weight=weights),
        "kappa": metrics.cohen_kappa_score(old, new, sample_weight=weights),
        "f1": metrics.f1_score(old, new, average="macro", sample_weight=weights),
    }
    for name, value in expected.items():
        assert whole[name].value == pytest.approx(value, abs=1e-6)
    assert found.comparison.covered == pytest.approx(sum(sizes[s] for s in compared) / 59)
    # The strata are not sampled evenly: with equal weights something else would come out.
    assert whole["accuracy"].value != found.comparison.score.accuracy.value


def test_both_against_the_original_labels(found: Migration) -> None:
    rows = [row for row in table(found) if row["original"] and row["old"] and row["new"]]
    nearer = found.comparison.references["original"]
    assert list(found.comparison.references) == ["original"]
    assert nearer.old.rows == nearer.new.rows == len(rows) < found.counts["compared"]
    for side, score in (("old", nearer.old), ("new", nearer.new)):
        right, said = [row["original"] for row in rows], [row[side] for row in rows]
        assert score.accuracy.value == pytest.approx(metrics.accuracy_score(right, said), abs=1e-6)
        assert score.kappa.value == pytest.approx(metrics.cohen_kappa_score(right, said), abs=1e-6)
    only_old = sum(r["old"] == r["original"] != r["new"] for r in rows)
    only_new = sum(r["new"] == r["original"] != r["old"] for r in rows)
    assert (nearer.only_old, nearer.only_new) == (only_old, only_new)
    assert nearer.p == exact_p(only_old, only_new)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 3), (2, 9), (30, 12), (0, 40)])
def test_the_probability_is_that_of_the_binomial_test(one: int, other: int) -> None:
    from scipy.stats import binomtest

    assert exact_p(one, other) == pytest.approx(binomtest(one, one + other).pvalue)


def test_fields_with_a_list_of_values(found: Migration) -> None:
    fields = {field.name: field for field in found.comparison.fields}
    assert list(fields) == ["elements.loudness", "elements.pitch", "elements.rhythm_speed"]
    pairs = [
        (row.old_answer["elements"]["pitch"], row.new_answer["elements"]["pitch"])
        for row in found.rows
        if row.old_answer and row.new_answer
    ]
    old, new = zip(*pairs, strict=True)
    pitch = fields["elements.pitch"]
    assert pitch.same.total == len(pairs)
    assert pitch.same.rate == pytest.approx(metrics.accuracy_score(old, new))
    assert pitch.kappa == pytest.approx(metrics.cohen_kappa_score(old, new))


def test_the_file_is_what_was_returned(found: Migration) -> None:
    written = json.loads((found.folder / "migration.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(found.as_dict()))
    assert written["format"] == 1
    assert found.folder.parent == found.out / ".remelt" / "migrate"


# -- the questions, and going on -------------------------------------------------------------------


def asking(server: ChatServer, tmp_path: Path, **changes: Any) -> MigrateOptions:
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES, encoding="utf-8")
    options = MigrateOptions(
        "openai/next",
        sample=12,
        to=tmp_path / "to",
        connection=AnnotatorOptions(base_url=server.url, prices=prices),
        engine=EngineOptions(concurrency=2, retries=1),
        resamples=0,
    )
    return replace(options, **changes)


def test_the_same_is_asked_and_nothing_twice(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    with ChatServer() as server:
        options = asking(server, tmp_path)
        few = replace(options, engine=EngineOptions(concurrency=2, retries=1, max_rows=5))
        with pytest.raises(Interrupted):
            migrate(out, few)
        assert len(server.asked) == 5
        found = migrate(out, options)
        assert len(server.asked) == 12
        again = migrate(out, options)
        assert len(server.asked) == 12
        bodies = server.bodies
    assert again.as_dict() == found.as_dict()
    ids = {row.id for row in found.rows}
    sent = {
        f'"Ann said: This is line {row.utterance_id}."': 100 + int(row.utterance_id)
        for row in dataset.rows()
        if row.id in ids
    }
    assert {body["messages"][1]["content"]: body["seed"] for body in bodies} == sent
    for body in bodies:
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("next", 1.0, 99)
        assert body["messages"][0] == {"role": "system", "content": "Label it."}
        sent_schema = body["response_format"]["json_schema"]["schema"]
        assert sent_schema["properties"]["label"]["enum"] == list(MELT.prompt_order)
    assert not (out / ".remelt").exists()


def test_what_the_whole_dataset_would_cost(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    with ChatServer() as server:
        found = migrate(out, asking(server, tmp_path))
        sent = [sum(len(m["content"]) for m in body["messages"]) // 4 for body in server.bodies]
    spent, projection = found.spent, found.projection
    assert spent.input_tokens == sum(sent)
    assert spent.output_tokens is not None
    assert spent.cost == pytest.approx((2 * sum(sent) + 10 * spent.output_tokens) / 1e6, abs=2e-6)
    # All prompts are as long but for a digit, so that a row costs about the same wherever it stands.
    assert projection.rows == 60
    assert projection.list_price == pytest.approx(spent.cost * 60 / 12, rel=0.1)
    assert projection.batch_price == pytest.approx(projection.list_price / 2)
    assert projection.input_tokens == pytest.approx(sum(sent) * 60 / 12, rel=0.1)
    assert not projection.free
    assert spent.latency["p50"] > 0
    assert projection.seconds == pytest.approx(spent.seconds / 12 * 60 / 2, rel=5)


def test_a_budget_ends_it_and_the_same_call_goes_on(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    with ChatServer() as server:
        options = asking(server, tmp_path)
        engine = EngineOptions(concurrency=1, retries=0, budget=0.002)
        with pytest.raises(Interrupted, match="budget"):
            migrate(out, replace(options, engine=engine))
        before = len(server.asked)
        assert 0 < before < 12
        migrate(out, options)
        assert len(server.asked) == 12


def test_another_prompt_and_other_parameters(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label")
    prompt = tmp_path / "mine.md"
    front = "name: mine\nversion: 1\nsource: me\nfields: [labels, utterance]\nschema: label"
    asks = "[[user]]\nWhich of {{ labels }} is this: {{ utterance }}?"
    prompt.write_text(f"---\n{front}\n---\n{asks}\n", encoding="utf-8")
    with ChatServer() as server:
        options = asking(
            server, tmp_path, prompt=str(prompt), parameters={"temperature": None, "max_tokens": 7}
        )
        found = migrate(out, options)
        bodies = server.bodies
    assert all(body["messages"][0]["content"].startswith("Which of ") for body in bodies)
    assert all("temperature" not in body and body["max_tokens"] == 7 for body in bodies)
    assert found.prompt == "mine"
    assert any("the dataset had none" in note for note in found.notes)
    assert any("max_tokens is 7, the dataset's was 99" in note for note in found.notes)


def test_only_some_splits(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out")
    found = migrate(out, MigrateOptions("mock", sample=999, splits=("test",), resamples=0))
    assert {row.split for row in found.rows} == {"test"}
    assert len(found.rows) == found.sample.population < 20 + 1
    assert found.projection.rows == 60


# -- what cannot be done ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"of": "nobody"}, r"annotator 'nobody'.*test/model"),
        ({"splits": ("dev",)}, r"split 'dev'.*train"),
        ({"prompt": "melt-context"}, "previous turns"),
        ({"annotator": "nothing/x"}, "nothing"),
    ],
)
def test_refused_before_anything_is_asked(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    out = dataset.publish_rows(tmp_path / "out")
    with pytest.raises(InputError, match=words):
        migrate(out, replace(MigrateOptions("mock"), **changes))
    assert not (out / ".remelt").exists()


def test_rows_that_were_never_asked_need_a_prompt(tmp_path: Path) -> None:
    out = dataset.publish_rows(tmp_path / "out", "label", prompted=False)
    with pytest.raises(InputError, match=r"nothing was sent to 'test/model'.*--prompt"):
        migrate(out, MigrateOptions("mock"))
    assert migrate(out, MigrateOptions("mock", prompt="melt-general", resamples=0)).counts["asked"] == 59


@pytest.mark.parametrize("key", ["labels_only", "joined"])
def test_labels_alone_are_refused(tmp_path: Path, key: str) -> None:
    out = dataset.publish_rows(tmp_path / "out")
    path = out / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, key: True}), encoding="utf-8")
    with pytest.raises(InputError, match="published without its replies"):
        migrate(out, MigrateOptions("mock"))


def test_options_out_of_range() -> None:
    with pytest.raises(InputError, match="Bad sample 0"):
        MigrateOptions("mock", sample=0)
    with pytest.raises(InputError, match="resamples"):
        MigrateOptions("mock", resamples=-1)


# -- several annotators ----------------------------------------------------------------------------


def test_of_several_annotators_one_is_chosen(tmp_path: Path) -> None:
    out = dataset.publish_panel(tmp_path / "out")
    first = migrate(out, MigrateOptions("mock:seed=9", resamples=0))
    second = migrate(out, MigrateOptions("mock:seed=9", resamples=0, of="b"))
    assert (first.old.name, second.old.name) == ("a", "b")
    assert first.folder != second.folder
    assert list(first.comparison.references) == ["original", "published"]
    assert first.comparison.references["published"].old.accuracy.value == 1
    assert {row.id: row.new for row in first.rows} == {row.id: row.new for row in second.rows}
    assert {row.old for row in second.rows} == {"joy"}
