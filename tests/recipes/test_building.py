"""One build for all recipes: what a `RecipeSpec` changes, and what people's ratings do in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remelt.corpora import Corpus
from remelt.errors import InputError
from remelt.labels import FENG, MELT
from remelt.publishing import DatasetContent, find_problems
from remelt.recipes.building import RecipeSpec, build_recipe, plan_recipe
from remelt.recipes.options import BuildOptions, Member
from remelt.recipes.rebuild import rebuild
from remelt.recipes.reporting import Reporter
from remelt.records import Rating
from remelt.resolution import ResolutionOptions

from ..builders import write_meld
from ..panels import only_publish, rows

RATERS = {0: ("joy", "joy"), 1: ("anger", "neutral"), 2: ()}


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remelt.recipes.building.finish", only_publish)
    monkeypatch.setattr("remelt.recipes.rebuild.finish", only_publish)


@pytest.fixture
def options(tmp_path: Path) -> BuildOptions:
    for split in ("train", "dev"):
        write_meld(tmp_path / "corpus", 30, split)
    return BuildOptions(str(tmp_path / "corpus"), tmp_path / "out", "mock", profile="clean")


def rated(corpus: Corpus, reporter: Reporter) -> Corpus:
    """Two people rate all but every third utterance."""
    utterances = tuple(
        replace(u, ratings=tuple(Rating(f"r{n}", (label,)) for n, label in enumerate(RATERS[place % 3])))
        for place, u in enumerate(corpus.utterances)
    )
    return replace(corpus, utterances=utterances, notes=(*corpus.notes, "Two people were asked."))


def test_a_recipe_of_ones_own(options: BuildOptions, tmp_path: Path) -> None:
    seen: list[int] = []

    def last(content: DatasetContent) -> DatasetContent:
        seen.append(len(content.annotations))
        return replace(content, notes=[*content.notes, "The last word."])

    def louder(corpus: Corpus, reporter: Reporter) -> Corpus:
        reporter.notice("Louder.")
        return replace(corpus, utterances=tuple(replace(u, text=u.text.upper()) for u in corpus.utterances))

    spec = RecipeSpec(
        "melt",
        labels=FENG,
        prompt=lambda corpus: "melt-general",
        splits=lambda corpus: ("dev",),
        prepare=louder,
        content=last,
        resolution=ResolutionOptions(reject=("other",)),
    )
    shown = plan_recipe(spec, options, show=1).prompts[0].messages[-1].content
    assert "WELL, THIS IS LINE NUMBER" in shown
    result = build_recipe(spec, options)
    assert seen == [30]
    assert result.manifest["recipe"] == "melt"
    assert result.manifest["splits"] == ["dev"]
    assert result.manifest["label_set"]["labels"] == list(FENG.labels)
    assert result.manifest["notes"][-1] == "The last word."
    # The recipe's rule holds for a single annotator too: what it rejects is dropped.
    labels = {FENG.labels[r["label"]] for r in rows(result.out, "data", "dev")}
    assert "other" not in labels
    assert len(labels) > 1
    reasons = {r["reasons"][0] for r in rows(result.out, "dropped", "dev")}
    assert reasons == {"rejected"}
    assert all(text.isupper() for text in (r["text"] for r in rows(result.out, "data", "dev")))
    other = replace(options, out=tmp_path / "out")
    with pytest.raises(InputError, match="belongs to recipe 'melt', this is 'theirs'"):
        build_recipe(RecipeSpec("theirs"), other)


def test_without_any_wishes_a_recipe_takes_all_splits_and_the_seven_labels(options: BuildOptions) -> None:
    result = build_recipe(RecipeSpec("melt"), options)
    assert result.manifest["splits"] == ["train", "dev"]
    assert result.manifest["label_set"]["labels"] == list(MELT.labels)
    assert result.manifest["prompt"]["name"] == "melt-general"


def test_a_humans_rating_has_the_last_word(options: BuildOptions, tmp_path: Path) -> None:
    spec = RecipeSpec("melt", prepare=rated)
    asked = replace(options, annotator=("mock:seed=1", "mock:seed=2"), splits=("train",))
    human = ResolutionOptions("human", base="plurality", ties="first")
    result = build_recipe(spec, replace(asked, resolution=human))
    kept = rows(result.out, "data")
    assert kept
    for row in kept:
        said = {vote["source"]: vote for vote in row["votes"]}
        assert {name for name, vote in said.items() if vote["kind"] == "human"} == {"r0", "r1"}
        rater = row["decided_by"].partition(":")[2]
        assert said[rater]["label"] == MELT.labels[row["label"]]
    lost = {r["id"]: r["reasons"] for r in rows(result.out, "dropped")}
    unrated = {f"meld/train/dia{n // 10}_utt{n % 10}" for n in range(2, 30, 3)}
    assert unrated <= lost.keys()
    assert not unrated & {row["id"] for row in kept}
    assert find_problems(result.out) == []
    twins = replace(asked, annotator=(Member("mock", "r0"), Member("mock:seed=2", "b")), resolution=human)
    with pytest.raises(InputError, match=r"Raters and annotators have the same names: \['r0'\]"):
        build_recipe(spec, twins)
    # Another rule later asks nobody again.
    voted = build_recipe(spec, replace(asked, resolution=replace(human, rule="plurality")))
    assert voted.stats.asked == 0
    assert voted.rows == 30 > len(kept)


def test_a_humans_rating_lives_on_in_a_rebuild(options: BuildOptions, tmp_path: Path) -> None:
    asked = replace(options, annotator=("mock:seed=1", "mock:seed=2"), splits=("train",))
    human = ResolutionOptions("human", base="plurality", ties="first")
    result = build_recipe(RecipeSpec("melt", prepare=rated), replace(asked, resolution=human))
    again = rebuild(result.out, tmp_path / "again")
    for config in ("data", "dropped", "annotations"):
        assert rows(again.out, config) == rows(result.out, config)
