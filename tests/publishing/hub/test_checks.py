"""What the Hub would refuse, found before it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard

from remelt.publishing.hub import card_checks, front_matter_of, hub_problems, hub_warnings
from remelt.publishing.hub.checks import two_letter_languages


def entries(*paths: str, size: int = 1) -> dict[str, dict[str, int]]:
    return {path: {"bytes": size} for path in paths}


def test_a_published_card_passes(built: Path) -> None:
    assert list(card_checks(built)) == []


def test_the_front_matter_is_what_the_library_reads(built: Path) -> None:
    text = (built / "README.md").read_text(encoding="utf-8")
    assert front_matter_of(built) == DatasetCard(text).data.to_dict()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("language", ["xx"], "language 'xx' is no code of ISO 639-1"),
        ("annotations_creators", ["a machine"], "annotations_creators has 'a machine', expected one of"),
        ("multilinguality", ["some"], "multilinguality has 'some', expected one of"),
        ("tags", ["x" * 65], "is no text of 1 to 64 letters"),
        ("tags", ["two\nlines"], "is no text of 1 to 64 letters"),
        ("tags", [7], "tag 7 is no text"),
        ("pretty_name", None, "pretty_name is None, expected a text"),
    ],
)
def test_what_is_refused_in_a_card(published: Path, key: str, value: object, message: str) -> None:
    data = {**front_matter_of(published), key: value}
    (published / "README.md").write_text(f"---\n{yaml.safe_dump(data)}---\n\nText\n", encoding="utf-8")
    (problem,) = card_checks(published)
    assert problem.place == "README.md"
    assert message in problem.message


@pytest.mark.parametrize("text", ["", "no front matter", "---\n- a\n---\n", "---\na: [\n---\n"])
def test_a_card_without_front_matter(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text)
    assert front_matter_of(tmp_path) == {}


def test_languages() -> None:
    assert len(two_letter_languages()) == 183
    assert {"en", "de", "zh", "he"} <= two_letter_languages()
    assert all(len(code) == 2 and code.islower() for code in two_letter_languages())


def test_files_that_are_too_large_or_too_many() -> None:
    assert list(hub_problems(entries("data/a.parquet", size=50 * 10**9))) == []
    (problem,) = hub_problems(entries("data/a.parquet", size=50 * 10**9 + 1))
    assert str(problem) == "data/a.parquet: has 50,000,000,001 bytes; the Hub takes 50,000,000,000 in a file"
    many = entries(*(f"data/{n}.parquet" for n in range(10_001)))
    assert [str(found) for found in hub_problems(many)] == [
        "data: has 10,001 files; the Hub takes 10,000 in a folder"
    ]
    assert [found.place for found in hub_problems(entries("x/.git/config"))] == ["x/.git/config"]


def test_what_is_only_advised_against() -> None:
    assert list(hub_warnings(entries("a", size=20 * 10**9))) == []
    (large,) = hub_warnings(entries("a", size=20 * 10**9 + 1))
    assert large == "files of more than 20 GB are slow at the Hub: a"
    (many,) = hub_warnings(entries(*map(str, range(1_001))))
    assert "1,001 files in one commit" in many
