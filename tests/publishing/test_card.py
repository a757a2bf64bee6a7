"""The dataset card: its front matter and what it says."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from datasets import Features
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from remelt.publishing import publish, write_card
from remelt.publishing.card import indented_json
from remelt.publishing.frontmatter import card_problems, hub_licences, licence_fields, size_category
from remelt.publishing.markdown import code, fence, inline, link, table


def body(out) -> str:
    return (out / "README.md").read_text("utf-8")


def cells(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    section = text.split(f"\n{heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_front_matter_is_made_from_the_features(published):
    data = DatasetCard.load(published / "README.md").data
    assert data.license == "gpl-3.0"
    assert data.language == ["en"]
    assert data.size_categories == ["n<1K"]
    assert data.annotations_creators == ["machine-generated"]
    assert data.task_categories == ["audio-classification", "text-classification"]
    infos = DatasetInfosDict.from_dataset_card_data(data)
    assert set(infos) == {"default", "annotations", "dropped"}
    assert isinstance(infos["default"].features, Features)
    assert infos["default"].features["label"].names[3] == "joy"
    assert infos["default"].splits["train"].num_examples == 4
    assert list(infos["dropped"].splits) == ["train"]
    assert card_problems(body(published)) == []


def test_the_card_says_what_was_done(published):
    text = body(published)
    for said in (
        "MELD", "GPL-3.0", "openai/gpt-test", "2027-01-14", "US\\$ 0.0080", "800 in, 160 out", "Say {x}",
        "poria2019meld", "jing2025melt", "remelt rebuild", "27 words were cut.", "min_duration",
        "1 of 6 utterances (16.67 %)", "1 of 5 kept rows (20.00 %",
    ):  # fmt: skip
        assert said in text, said
    assert cells(text, "## Where the rows went")[2:] == [
        ["`train`", "6", "4", "1", "1"],
        ["`test`", "1", "1", "0", "0"],
    ]


def test_the_change_matrix_is_right(published):
    text = body(published)
    head, _, *lines = cells(text, "### train")
    assert head == ["", "anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise", "all"]
    assert lines == [
        ["anger", "0", "1", "0", "0", "0", "0", "0", "1"],
        ["joy", "0", "0", "0", "1", "1", "0", "0", "2"],
        ["*none*", "0", "0", "1", "0", "0", "0", "0", "1"],
        ["**all**", "0", "1", "1", "1", "1", "0", "0", "4"],
    ]
    assert "Changed: 2 of 3 (66.67 %)" in text
    assert cells(text, "### test")[2][0] == "frustration"


def test_the_audit_comes_onto_the_card(published, content):
    assert "audit/report.html" not in body(published)
    scope = {
        "compared": 3,
        "change": {"rate": 2 / 3, "low": 0.2077, "high": 0.9385},
        "kappa": None,
        "entropy": {"before": 0.9183, "after": 1.58496},
    }
    findings = {
        "splits": {"train": scope, "test": scope | {"compared": 0}},
        "overall": scope | {"kappa": 0.25},
        "files": ["change_matrix_all.png", "findings.json"],
        "caveats": ["Little data | care.", "27 words were cut."],
    }
    write_card(published, publish(published, content), findings)
    text = body(published)
    assert "audit/report.html" in text
    assert "](audit/change_matrix_all.png)" in text
    assert cells(text, "### Agreement")[2:] == [
        ["train", "3", "66.67 %", "20.77 % to 93.85 %", "–", "0.918", "1.585"],
        ["all", "3", "66.67 %", "20.77 % to 93.85 %", "0.250", "0.918", "1.585"],
    ]
    assert "- Little data \\| care." in text
    assert text.count("27 words were cut.") == 1


def test_defects_of_the_corpus_are_listed_by_split(tmp_path, content):
    defects = {
        "one_word": {"train": 1193, "test": 309, "dev": 138},
        "no_letters": {"train": 0, "test": 0, "dev": 1},
    }
    publish(tmp_path, replace(content, corpus={**content.corpus, "defects": defects}))
    found = cells(body(tmp_path).split("Defects that the reader found")[1], "")
    assert found[0] == ["defect", "train", "test"]
    assert found[2:] == [["one_word", "1,193", "309"]]


def test_a_caveat_stands_first(tmp_path, content):
    annotator = {**content.annotator, "caveat": "This model is a toy."}
    publish(tmp_path, replace(content, annotator=annotator))
    assert body(tmp_path).index("This model is a toy.") < body(tmp_path).index("## Loading")


def test_a_card_without_prompt_prices_or_language(tmp_path, content):
    corpus = {"name": "own", "licence": "ask the authors", "homepage": "", "citation": "", "files": {}}
    rows = [
        replace(a, request=replace(a.request, utterance=replace(a.utterance, label=None)))
        for a in content.annotations
    ]
    annotator = {**content.annotator, "retires": None, "notices": ["no | pipes"], "parameters": {}}
    bare = replace(
        content, corpus=corpus, prompt=None, annotator=annotator, annotations=rows, attrition=(), notes=()
    )
    publish(tmp_path, bare)
    text, data = body(tmp_path), DatasetCard.load(tmp_path / "README.md").data
    assert (data.license, data.get("license_name"), data.get("license_link")) == (
        "other",
        "ask-the-authors",
        None,
    )
    assert data.language is None
    assert "no original labels to compare" in text
    assert "none known" in text
    assert "taken over from an earlier annotation" in text
    assert "no \\| pipes" in text


def with_text(content, value: str):
    """The content with one text wherever text from outside can stand."""
    prompt = {**content.prompt, "name": value, "source": value, "text": value}
    rows = [
        replace(a, request=replace(a.request, utterance=replace(a.utterance, flags=(value,))))
        for a in content.annotations
    ]
    drops = [replace(d, reasons=(value,)) for d in content.drops]
    corpus = {**content.corpus, "title": value, "homepage": "javascript:y", "files": {value: value}}
    annotator = {**content.annotator, "notices": [value], "caveat": value, "parameters": {value: value}}
    return replace(
        content,
        prompt=prompt,
        annotations=rows,
        drops=drops,
        corpus=corpus,
        annotator=annotator,
        notes=(value,),
    )


def test_odd_names_and_prompts_do_not_change_the_cards_structure(tmp_path, content):
    odd = (
        'A|B\n\n---\n# <script>alert(1)</script> [x](javascript:y) ![i](i) `"\n`````\n---\nlicense: x\n\ud83d'
    )
    structures = {}
    for name, value in (("plain", "plain"), ("odd", odd)):
        publish(tmp_path / name, with_text(content, value))
        text = body(tmp_path / name)
        assert card_problems(text) == []
        assert DatasetCard(text).data.license == "gpl-3.0"
        blocks, inlines = parsed(text.split("\n---\n", 1)[1])
        structures[name] = [token.type for token in blocks]
        assert not {"html_block", "html_inline", "image", "link_open"} & {t.type for t in (*blocks, *inlines)}
    assert structures["odd"] == structures["plain"]
    assert structures["plain"].count("table_open") == 10
    shown = "".join(token.content for token in inlines if token.type == "text")
    assert "A|B --- # <script>alert(1)</script> [x](javascript:y)" in shown


def parsed(text: str) -> tuple[list[Token], list[Token]]:
    blocks = MarkdownIt("commonmark").enable("table").parse(text)
    return blocks, [child for token in blocks for child in token.children or ()]


awkward = st.text(st.characters(exclude_categories=()) | st.sampled_from("|\\`\n*_<>[]~-"), max_size=30)


@settings(deadline=None)
@given(awkward)
def test_inline_text_stays_in_one_cell(value):
    made = inline(value)
    made.encode("utf-8")
    assert not re.search(r"(?<!\\)(\\\\)*\|", made)
    assert not re.search(r"[\n\r<>]", made)


@given(awkward)
def test_a_code_span_ends_where_it_began(value):
    made = code(value)
    assert "\n" not in made
    if made:
        ticks = re.match(r"`+", made)[0]
        inner = made[len(ticks) : -len(ticks)]
        assert made.endswith(ticks)
        assert ticks not in re.findall(r"`+", inner)


@given(awkward)
def test_a_fence_ends_where_it_began(value):
    first, *inner, last = fence(value).split("\n")
    assert first == last
    assert not any(line.strip().startswith(last) for line in inner)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_indented_json_is_the_same_json(value):
    assert json.loads(indented_json(value)) == value


def test_lists_of_names_stay_on_one_line():
    assert (
        indented_json({"a": {"b": ["x", "y"]}, "c": []})
        == '{\n  "a": {\n    "b": ["x", "y"]\n  },\n  "c": []\n}'
    )


def test_tables_have_as_many_cells_in_every_line():
    text = table(["a", "b|c"], [["x|y", 1000], [code("`|"), 2]])
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()] == [3, 3, 3, 3]
    assert text.splitlines()[1] == "|---|---:|"
    assert link("a", "https://e.org/x y") == "a"


@pytest.mark.parametrize(
    ("licence", "identifier"),
    [
        ("GPL-3.0", "gpl-3.0"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("Apache-2.0", "apache-2.0"),
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
        ("ODbL", "odbl"),
        ("ODbL-1.0", "odbl"),
        ("CC0", "cc0-1.0"),
        ("", "unknown"),
        ("Other", "other"),
        ("research only", "other"),
    ],
)
def test_licences_become_the_hubs_identifiers(licence, identifier):
    fields = licence_fields(licence, "https://example.org")
    assert fields["license"] == identifier
    assert identifier in hub_licences()
    assert ("license_name" in fields) == (identifier == "other")


def test_sizes():
    assert [size_category(n) for n in (0, 999, 1000, 7024, 10_000, 999_999, 10**9)] == [
        "n<1K", "n<1K", "1K<n<10K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1B<n<10B",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("front", "problem"),
    [
        ("license: nonsense", "license 'nonsense' is not on the Hub's list"),
        ("license: other\nlicense_name: My Own", "license_name 'My Own'"),
        ("license: mit\nlanguage:\n- English", "language 'English'"),
        ("license: mit\nsize_categories:\n- big", "size category 'big'"),
        ("license: mit\ntask_categories:\n- emotion", "task 'emotion'"),
        ("license: [", "cannot be read"),
        ("configs: 3\nlicense: mit", "cannot be read"),
        (
            "license: mit\nconfigs:\n- config_name: default\n  data_files:\n  - split: a b\n    path: x",
            "cannot be read",
        ),
    ],
)
def test_bad_front_matter_is_found_offline(front, problem):
    found = card_problems(f"---\n{front}\n---\n# Card\n")
    assert len(found) == 1
    assert problem in found[0]


def test_a_card_without_front_matter_is_found():
    assert card_problems("# Card\n") == ["there is no front matter"]
