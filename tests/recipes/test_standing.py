"""What a rule that was asked for later, and an addition, mean for the build that comes after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt.corpora import Corpus
from remelt.errors import InputError
from remelt.labels import FENG, SENTIMENT
from remelt.publishing import find_problems, read_manifest
from remelt.recipes import melt, pseudo_sentiment, transcribe_vote
from remelt.recipes.building import RecipeSpec, build_recipe
from remelt.recipes.exchange.adding import AddOptions, add_annotations
from remelt.recipes.options import RECIPE, BuildOptions
from remelt.recipes.panel.members import open_panel
from remelt.recipes.rebuild import rebuild
from remelt.recipes.reporting import Reporter
from remelt.records import Rating
from remelt.resolution import ResolutionOptions

from ..builders import write_meld
from ..panels import Told, only_publish, rows
from .small_dataset import table

ROWS = 40
PLURALITY = ResolutionOptions("plurality", ties="first")


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("building", "rebuild", "exchange.adding"):
        monkeypatch.setattr(f"remelt.recipes.{name}.finish", only_publish)


@pytest.fixture
def options(tmp_path: Path) -> BuildOptions:
    corpus = write_meld(tmp_path / "corpus", ROWS)
    return BuildOptions(str(corpus), tmp_path / "out", "mock", splits=("train",), profile="clean")


def rated(corpus: Corpus, reporter: Reporter) -> Corpus:
    said = (Rating("r1", ("joy",)), Rating("r2", ("neutral",)))
    return replace(corpus, utterances=tuple(replace(u, ratings=said) for u in corpus.utterances))


def bytes_of(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.glob("*/*.parquet"))}


def asked(out: Path, **options: Any) -> dict[str, bytes]:
    add_annotations(out, AddOptions(**options))
    return bytes_of(out)


def test_the_corpus_s_raters_are_asked_again_by_the_old_command(options: BuildOptions) -> None:
    spec = RecipeSpec("melt", prepare=rated)
    plain = bytes_of(build_recipe(spec, options).out)
    added = asked(options.out, resolution=ResolutionOptions("human"))
    assert 0 < len(rows(options.out, "data")) < ROWS
    told = Told()
    result = build_recipe(spec, options, told)
    assert bytes_of(result.out) == added
    assert result.manifest["resolution"]["rule"] == "human"
    assert any("decided by 'human', for which `remelt add-annotations" in notice for notice in told.notices)
    assert find_problems(options.out) == []
    # Nothing was taken out, so an addition later keeps the rule, too.
    assert asked(options.out) == added
    # Who asks for another rule ends it.
    chosen = build_recipe(spec, replace(options, resolution=PLURALITY)).manifest["resolution"]
    assert (chosen["rule"], "asked" in chosen) == ("plurality", False)
    assert bytes_of(build_recipe(spec, options).out) == plain


def test_the_rule_of_a_panel_holds_for_the_old_command(options: BuildOptions) -> None:
    options = replace(options, annotator=[f"mock:seed={n}" for n in range(3)])
    usual = bytes_of(melt.build(options).out)
    added = asked(options.out, resolution=PLURALITY)
    assert len(rows(options.out, "data")) == ROWS
    assert bytes_of(melt.build(options).out) == added
    assert bytes_of(melt.build(replace(options, resolution=ResolutionOptions())).out) == usual
    assert bytes_of(melt.build(options).out) == usual


def test_what_was_added_is_decided_by_the_first_until_somebody_asks(
    options: BuildOptions, tmp_path: Path
) -> None:
    plain = bytes_of(melt.build(options).out)
    file = table(tmp_path / "a.csv", [(f"meld/train/dia0_utt{n}", "fear", "ann") for n in range(5)])
    added = asked(options.out, file=file)
    manifest = melt.build(options).manifest
    assert bytes_of(options.out) == added != plain
    assert manifest["resolution"]["rule"] == "first"
    # That one annotator built it is known to a copy, which has nothing but what is published.
    copy = rebuild(options.out, tmp_path / "copy").out
    assert read_manifest(copy)["resolution"] == manifest["resolution"]
    for out in (copy, options.out):
        assert asked(out, remove=("ann",)) == plain
        assert "annotators" not in read_manifest(out)
    other = table(tmp_path / "b.csv", [(f"meld/train/dia0_utt{n}", "sadness", "ann") for n in range(5)])
    voted = asked(options.out, file=other, resolution=PLURALITY)
    assert bytes_of(melt.build(options).out) == voted
    # The rule goes with the last source.
    assert asked(options.out, remove=("ann",)) == plain
    assert bytes_of(melt.build(options).out) == plain


def test_a_dataset_that_a_panel_built_anew_does_not_stand_alone(
    options: BuildOptions, tmp_path: Path
) -> None:
    melt.build(options)
    asked(options.out, file=table(tmp_path / "a.csv", [("meld/train/dia0_utt0", "fear", "ann")]))
    melt.build(replace(options, resolution=ResolutionOptions()))
    asked(options.out, remove=("ann",))
    assert read_manifest(options.out)["resolution"]["rule"] == "majority"


@pytest.mark.parametrize(
    ("recipe", "given", "expected"),
    [
        ("melt", {}, (1.0, 512)),
        ("transcribe_vote", {}, (0.02, 64)),
        ("pseudo_sentiment", {}, (0.0, 64)),
        ("transcribe_vote", {"temperature": 1.0, "max_tokens": 512}, (1.0, 512)),
        ("pseudo_sentiment", {"temperature": None, "max_tokens": None}, (None, None)),
    ],
)
def test_a_recipe_s_own_parameters(
    options: BuildOptions, recipe: str, given: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    assert (options.temperature, options.max_tokens) == (RECIPE, RECIPE)
    options = replace(options, profile=None, **given)
    spec = melt.RECIPE
    if recipe == "transcribe_vote":
        spec, options = transcribe_vote._recipe(options, transcribe_vote.VoteOptions())
        assert spec.labels is FENG
    elif recipe == "pseudo_sentiment":
        spec, options = pseudo_sentiment._recipe(options, None)
        assert spec.labels is SENTIMENT
    [member] = open_panel(spec, options, Reporter()).members
    parameters = member.questions.requests[0].parameters
    assert (parameters.get("temperature"), parameters.get("max_tokens")) == expected


def test_a_human_where_nobody_judged_is_refused_by_add_too(options: BuildOptions) -> None:
    before = bytes_of(melt.build(options).out)
    with pytest.raises(InputError, match=r"'human' needs somebody's judgements: meld .*another rule"):
        asked(options.out, resolution=ResolutionOptions("human"))
    assert bytes_of(options.out) == before
    assert not find_problems(options.out)
