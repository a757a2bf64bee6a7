import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from remelt.corpora.defects import DEFECTS
from remelt.errors import InputError
from remelt.profiles import OPTIONS, SelectionOptions, load_profile, parse, profile_names, profile_path
from remelt.selection import check_flags


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_profiles_that_come_with_remelt() -> None:
    assert {"clean", "melt-paper", "melt-release"} <= set(profile_names())
    for name in profile_names():
        options = load_profile(name)
        assert (options.name, bool(options.description)) == (name, True)
        check_flags(options, DEFECTS)
    release = load_profile("melt-release")
    assert (len(release.speakers), len(set(release.speakers)), len(set(release.exclude_ids))) == (42, 42, 28)


def test_every_option_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "profiles.md").read_text(encoding="utf-8")
    assert [option for option in OPTIONS if f"`{option}`" not in text] == []


def test_a_copied_profile_reads_the_same(tmp_path: Path) -> None:
    for name in profile_names():
        copy = write(tmp_path, profile_path(name).read_text(encoding="utf-8"))
        assert load_profile(copy) == load_profile(str(copy)) == load_profile(name)


def test_a_profile_survives_the_manifest() -> None:
    for name in profile_names():
        options = load_profile(name)
        plain = json.loads(json.dumps(options.as_dict()))
        assert parse(plain, "manifest.json", name) == options


def test_an_empty_file_takes_its_name_and_the_defaults(tmp_path: Path) -> None:
    assert load_profile(write(tmp_path, "# nothing\n")) == SelectionOptions(name="mine")


def test_a_profile_named_like_a_folder_or_a_missing_file(tmp_path: Path) -> None:
    for bad in ("melt_release", str(tmp_path), tmp_path / "no.yaml", ""):
        with pytest.raises(
            InputError, match=r"Bad profile .*'clean', .*'melt-paper', 'melt-release'.* or a YAML file"
        ):
            load_profile(bad)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_word: 3", r"mine\.yaml: Bad option 'min_word', expected one of \['name', .*'min_words'"),
        ("3: 3", r"Bad option 3, expected"),
        ("min_words: three", r"mine\.yaml: min_words: bad value 'three', expected a whole number"),
        ("min_words: 2.5", "min_words: bad value 2.5"),
        ("min_words: true", "min_words: bad value True"),
        ("min_words: -1", r"mine\.yaml: Bad min_words -1, expected a number of 0 or more"),
        ("min_duration: .nan", "Bad min_duration nan"),
        ("min_duration: .inf", "Bad min_duration inf"),
        ("min_duration: 1 s", "min_duration: bad value '1 s', expected a number of seconds"),
        ("min_duration:", "min_duration: bad value None"),
        ("speaker_rule: lead", r"Bad speaker_rule 'lead', expected one of \['any', 'named', 'list'\]"),
        ("speaker_rule: [named]", "speaker_rule: bad value"),
        ("speaker_rule: list", "speakers: a list of speakers and speaker_rule 'list' need each other"),
        ("speakers: [Ann]", "speakers: a list"),
        ("speaker_rule: list\nspeakers: [Ann]\nmin_speaker_count: 2", "min_speaker_count: not with"),
        ("keep_speakers: Ann", r"keep_speakers: bad value 'Ann', expected a list such as \[one, two\]"),
        ("keep_speakers: [No]", "keep_speakers: bad entry False, expected text; put quotes"),
        ("keep_speakers: ['']", "keep_speakers: bad entry ''"),
        ("keep_speakers: [ann]\ndrop_speakers: [Ann ]", r"both name \['ann'\]"),
        ("merge_speakers: {A: [B]}\nkeep_speakers: [A]\ndrop_speakers: [b]", r"both name \['a'\]"),
        ("merge_speakers: [A, B]", "merge_speakers: bad value"),
        ("merge_speakers: {A: B}", "merge_speakers: A: bad value 'B', expected a list"),
        ("merge_speakers: {A: [B], C: [b]}", "'b' stands for more than one name"),
        ("merge_speakers: {A: [B], B: [C]}", "'b' stands for more than one name"),
        ("merge_speakers: {A: [B], D: [a]}", "'a' stands for more than one name"),
        ("- min_words", r"mine\.yaml: expected lines such as 'min_words: 3', found list"),
        ("min_words: 3\nlabels: []\nmin_words: 4", "line 3: 'min_words' stands twice"),
        ("merge_speakers:\n  A: [B]\n  A: [C]", "line 3: 'A' stands twice"),
        ("min_words: [", r"mine\.yaml: cannot be read as YAML"),
        ("name: !!python/object/apply:os.system [id]", "cannot be read as YAML"),
        ("? [a]\n: 3", "cannot be read as YAML"),
    ],
)
def test_bad_profiles_name_file_option_and_choices(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_profile(write(tmp_path, text))
    assert "mine.yaml" in str(caught.value)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes("speakers: [Zoë]".encode("latin-1"))
    with pytest.raises(InputError, match=r"mine\.yaml: cannot be read as YAML"):
        load_profile(path)
    path.write_bytes(b"\xef\xbb\xbfmin_words: 2\r\n")
    assert load_profile(path).min_words == 2


def test_flags_that_no_reader_knows() -> None:
    with pytest.raises(
        InputError, match=r"profile x: Bad drop_flags entry 'over_30', expected one of \['over_30s'\]"
    ):
        check_flags(SelectionOptions(name="x", drop_flags=("over_30",)), {"over_30s"})


def test_every_option_can_stand_in_a_file(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "name": "all", "description": "d", "min_duration": 1, "duration_from": "clip",
        "min_clip_duration": 0.5, "min_words": 2,
        "speaker_rule": "named", "speakers": [], "min_speaker_count": 4, "speaker_count_split": "all",
        "keep_speakers": ["a"], "drop_speakers": ["b"], "merge_speakers": {"c": ["d"]}, "labels": ["joy"],
        "drop_flags": ["over_30s"], "include_ids": ["*/x"], "exclude_ids": ["y"],
    }  # fmt: skip
    assert set(values) == set(OPTIONS)
    options = load_profile(write(tmp_path, yaml.safe_dump(values)))
    assert options.as_dict() == {k: v for k, v in values.items() if k != "name"}
    assert isinstance(options.min_duration, float)
    for field in dataclasses.fields(SelectionOptions):
        changed = getattr(options, field.name) != field.default
        assert changed or field.name == "speakers", field.name
