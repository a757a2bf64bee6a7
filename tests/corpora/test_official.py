"""What the readers of published corpora share."""

from __future__ import annotations

from pathlib import Path

import pytest

from remelt.corpora import media, official
from remelt.corpora.base import CorpusInfo, Draft
from remelt.errors import InputError

INFO = CorpusInfo("x", "X", "", "", "", "", counts={"a": 2, "b": 1}, utterances=3)


def draft(name: str, label: str = "a", split: str = "train", clip: str | None = None) -> Draft:
    return Draft(split, name, 0, "s", "words", "file:1", label=label, clip=clip)


def files(folder: Path, *names: str) -> list[media.FoundFile]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return list(media.walk(folder))


@pytest.mark.parametrize(
    ("data", "words", "utf8"),
    [
        (b"\xef\xbb\xbfIt\xe2\x80\x99s", "It’s", True),
        (b"It\x92s", "It’s", False),
        (b"It\x9ds", "It\x9ds", False),
        (b"", "", True),
    ],
)
def test_texts_in_three_encodings(data: bytes, words: str, utf8: bool) -> None:
    assert official.decode(data) == official.Text(words, utf8)


def test_the_nearest_label_file_counts(tmp_path: Path) -> None:
    found = files(tmp_path, "a/b/labels.csv", "old/LABELS.csv", "other.csv")
    assert official.nearest(tmp_path, found, ["labels.csv"]) == "old/LABELS.csv"
    assert official.nearest(tmp_path, found, ["none.csv"]) is None


def test_two_different_files_equally_near_are_refused(tmp_path: Path) -> None:
    found = files(tmp_path, "v1/labels.csv", "v2/labels.csv")
    with pytest.raises(InputError, match=r"different label files: \['v1/labels.csv', 'v2/labels.csv'\]"):
        official.nearest(tmp_path, found, ["labels.csv"])
    (tmp_path / "v2" / "labels.csv").write_text("v1/labels.csv")
    assert official.nearest(tmp_path, found, ["labels.csv"]) == "v1/labels.csv"


def test_the_preferred_format_of_a_name(tmp_path: Path) -> None:
    found = files(tmp_path, "a/x.mp4", "b/x.WAV", "c/x.flac", "c/y.mp4", "z/y.mp4", "n.txt")
    assert official.by_stem(found, (".flac", ".wav", ".mp4")) == {"x": "c/x.flac", "y": "c/y.mp4"}


def test_clips_are_attached_by_name() -> None:
    rows, notes = [draft("one"), draft("two"), draft("three", clip="cut.wav")], list[str]()
    counts = official.attach(rows, {"one": "1.wav", "more": "2.wav"}, lambda d: str(d.dialogue_id), notes)
    assert [d.clip for d in rows] == ["1.wav", None, "cut.wav"]
    assert [sorted(d.flags) for d in rows] == [[], ["clip_missing"], []]
    assert counts == {"extra_clips": {"train": 1}}
    assert notes == ["1 clips have no row in the label files: more."]


def test_without_any_clip_none_is_missing() -> None:
    rows, notes = [draft("one")], list[str]()
    assert official.attach(rows, {}, lambda d: str(d.dialogue_id), notes) is None
    assert not rows[0].flags
    assert notes == ["There are no clips: labels and text only."]


def test_counts_that_differ_are_told() -> None:
    assert official.count_note(INFO, [draft("1"), draft("2"), draft("3", "b")]) is None
    note = official.count_note(INFO, [draft("1"), draft("2", "b")])
    assert note is not None
    assert "2 utterances (published: 3), a 1 (2)" in note
    swapped = official.count_note(INFO, [draft("1"), draft("2", "b"), draft("3", "b")])
    assert swapped is not None
    assert "a 1 (2), b 2 (1)" in swapped


def test_many_texts_are_read_in_order(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number}.txt").write_text(f"words {number}")
    texts = official.read_texts(tmp_path, {str(n): f"{n}.txt" for n in range(600)})
    assert [text.words for text in texts.values()] == [f"words {n}" for n in range(600)]
