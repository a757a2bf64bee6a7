"""The card of a dataset with votes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard

from remelt.publishing import DatasetContent, find_problems, publish, read_manifest
from remelt.publishing.card import render
from remelt.publishing.frontmatter import card_problems
from remelt.publishing.panelcard import authors, panel_context

from .panels import MEMBERS, with_panel
from .test_card import body, cells, parsed


@pytest.fixture(scope="module")
def panel(content: DatasetContent) -> DatasetContent:
    return with_panel(content)


@pytest.fixture(scope="module")
def out(panel: DatasetContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    publish(folder, panel)
    return folder


def test_the_annotators_stand_in_a_table(out: Path) -> None:
    text = body(out)
    head, _, *lines = cells(text, "## Annotators")
    assert head[:4] == ["annotator", "kind", "model", "asked at"]
    assert lines == [
        ["`big`", "model", "gpt-test", "`example.org`", "melt, version 1", "1.0", "4", "1"],
        ["`small`", "model", "smol", "local", "own, version 1", "0.0", "4", "2"],
        ["`ann`", "human", "ann", "a file", "–", "–", "4", "0"],
    ]
    assert "## Annotator\n" not in text
    assert "5: 4 valid, 1 invalid, 0 refused, 0 error" in text
    assert "| `big` | 2027-01-14 |" in text
    assert "| `small` | none known |" in text
    assert "| `ann` | – | 4: 4 valid, 0 invalid, 0 refused, 0 error | – | – | – |" in text
    assert "- big: once it dropped the seed" in text
    assert text.index("small: It is small.") < text.index("## Loading")


def test_the_rule_and_what_it_did_stand_in_words(out: Path) -> None:
    text = body(out)
    assert "more than 50.00 % of the votes that count. Where several labels lead, there is no label." in text
    assert cells(text, "### From votes to a label")[2:] == [["`majority`", "4"]]
    assert "1 utterances with valid answers came to no label" in text
    assert "- A note." in text
    assert cells(text, "## Where the rows went")[2:] == [
        ["`train`", "6", "3", "1", "1", "1"], ["`test`", "1", "1", "0", "0", "0"],
    ]  # fmt: skip
    flattering = text.split("so the share flatters):\n")[1]
    assert cells(f"\n#\n{flattering}", "#")[2:] == [
        ["`big`", "3", "66.67 %"], ["`small`", "3", "100.00 %"], ["`ann`", "3", "100.00 %"],
    ]  # fmt: skip


def test_every_prompt_and_schema_stands_once(out: Path) -> None:
    text = body(out)
    assert text.count("Say {x}") == 1
    assert "used by `small`. Source:" in text
    assert "Answers of `big` follow the JSON Schema `melt`" in text
    assert "Answers of `small`, `ann` follow the JSON Schema `label`" in text


def test_loading_shows_the_votes_and_the_columns_are_explained(out: Path) -> None:
    text = body(out)
    assert 'for vote in dataset["train"][0]["votes"]' in text
    assert ["`votes`", "list of source, kind, label"] in cells(text, "## Columns")
    for name in ("`votes` has", "`vote_share` the", "`vote_entropy` how", "`soft_label` the share"):
        assert name in text, name


def test_the_front_matter_says_that_people_voted(out: Path, built: Path) -> None:
    assert DatasetCard.load(out / "README.md").data.annotations_creators == ["machine-generated", "other"]
    assert DatasetCard.load(built / "README.md").data.annotations_creators == ["machine-generated"]
    assert card_problems(body(out)) == []


def test_many_annotators_are_counted_and_not_named_in_the_title(out: Path) -> None:
    assert body(out).split("\n# ")[1].startswith("MELD, relabelled by big, small and ann\n")
    manifest = read_manifest(out)
    for count, said in ((1, "big"), (2, "big and small"), (3, "big, small and ann")):
        assert authors({"annotators": manifest["annotators"][:count]}) == said
    assert authors({"annotators": manifest["annotators"] * 2}) == "6 annotators"


RULES: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "plurality",
        {"ties": "first"},
        "The label with the most votes. Where several labels lead, the earliest",
    ),
    ("weighted", {"weights": {"big": 2.0}}, "Weights (1 for all others): `big` 2.0."),
    ("soft", {"ties": "random", "seed": 3}, "one of them is drawn (seed 3)."),
    ("first", {"sources": ["ann", "big"]}, "one may be. Only these count, in this order: ann, big."),
    ("dawid_skene", {"quorum": 2}, "(Dawid and Skene 1979). 2 votes are needed for any label."),
    (
        "consistency",
        {"reference": "joy", "threshold": 0.3},
        "it says `joy`; then the second confirms it with",
    ),
    ("consistency", {"reference": "joy", "threshold": 0.3}, "a probability from 30.00 % on, and otherwise"),
    ("human", {"base": "plurality", "human": "ann"}, "2023): `ann`.\n\nThe label with the most votes."),
    ("human", {"base": "majority", "seed": 7}, "one of those who judged it, drawn from the seed 7."),
    ("majority", {"reject": ["fear"]}, "A decision for fear is no label."),
    ("majority", {"abstain": ["joy", "fear"]}, "A vote for joy or fear does not count."),
    ("|new", {}, "By the rule `\\|new`."),
)


def test_every_rule_has_its_words(out: Path) -> None:
    for rule, options, said in RULES:
        manifest = {**read_manifest(out), "resolution": {"rule": rule, "options": options}}
        assert said in render({"panel": panel_context(out, manifest)}, "panel"), rule


def test_raters_of_the_corpus_are_named(out: Path) -> None:
    manifest = read_manifest(out)
    said = "The corpus's own raters voted too"
    assert said not in body(out)
    manifest["resolution"]["ratings"] = True
    assert said in render({"panel": panel_context(out, manifest)}, "panel")


def test_a_panel_that_agrees_on_nothing_has_a_card(content: DatasetContent, tmp_path: Path) -> None:
    apart = ({"big": "joy", "small": "fear"},) * 6
    publish(tmp_path, with_panel(content, apart))
    assert "6 utterances with valid answers came to no label" in body(tmp_path)
    assert find_problems(tmp_path) == []


def test_odd_names_do_not_change_the_cards_structure(panel: DatasetContent, tmp_path: Path) -> None:
    structures = {}
    for place, value in (("plain", "plain"), ("odd", "A|B\n\n# <b>x</b> [x](javascript:y)\n```\n---\n")):
        prompt = {**MEMBERS[0]["prompt"], "name": value, "source": value, "text": value}
        member = {**MEMBERS[0], "model": value, "notices": [value], "caveat": value, "prompt": prompt}
        assert panel.panel is not None
        rule = {
            "rule": "weighted",
            "options": {"weights": {value: 1.0}, "sources": [value]},
            "notes": [value],
        }
        several = replace(panel.panel, members=(member, *MEMBERS[1:]), resolution=rule)
        publish(tmp_path / place, replace(panel, panel=several, prompt=prompt))
        text = body(tmp_path / place)
        assert card_problems(text) == []
        blocks, inlines = parsed(text.split("\n---\n", 1)[1])
        structures[place] = [token.type for token in blocks]
        # The corpus's home page is the one link.
        assert sum(t.type == "link_open" for t in inlines) == 1
        assert not {"html_block", "html_inline", "image"} & {t.type for t in (*blocks, *inlines)}
    assert structures["odd"] == structures["plain"]


def test_a_recipes_card_fills_the_blocks_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    from remelt import resources

    files = {
        "base.md.j2": "{% block summary %}base{% endblock %}|{% block own %}{% endblock %}",
        "mine.md.j2": '{% extends "base.md.j2" %}{% block own %}{{ word | code }}{% endblock %}',
    }
    monkeypatch.setattr(resources, "read", lambda kind, name: files[name] if kind == "cards" else "")
    assert render({"word": "own"}, "mine") == "base|`own`"
