from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remelt.errors import InputError
from remelt.recipes.reviewing.clips import ClipFinder
from remelt.recipes.reviewing.items import differing, pick, read_rows
from remelt.recipes.reviewing.review import ReviewOptions, choose_items

from ..audit.panels import Said, write_panel
from ..review.datasets import row, tone, votes, write_dataset


def ids(items: Any) -> list[str]:
    return [item.utterance_id.rpartition("/")[2] for item in items]


def test_rows_carry_words_labels_and_what_was_said_before(tmp_path: Path) -> None:
    rows = [row(n, after="joy" if n % 2 else "neutral") for n in range(14) if n not in (2, 7)]
    rows[3]["text_repaired"] = "Mended."
    dropped = [{**row(2), "split": "train"}, {**row(7), "split": "train"}]
    found = read_rows(write_dataset(tmp_path, rows, dropped=dropped))
    by_id = {item.utterance_id: item for item in found.items}
    item = by_id["s/train/dia0_utt8"]
    assert (item.first, item.second, item.split) == ("neutral", "neutral", "train")
    said = [turn.text for turn in item.context]
    assert said == ["This is line 3.", "Mended.", *(f"This is line {n}." for n in (5, 6, 7))]
    assert [turn.speaker for turn in item.context][:2] == ["Bo", "Ann"]
    assert by_id["s/train/dia1_utt0"].context == ()
    assert found.items[item.place] is item
    assert ids(differing(found)) == [
        i.utterance_id.rpartition("/")[2] for i in found.items if i.utterance_id[-1] in "13579"
    ]
    assert found.choices == ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")


def test_a_resplit_dialogue_keeps_its_turns(tmp_path: Path) -> None:
    """Every second turn is published in another split; the dialogue is the corpus's, as its ids say."""
    out = write_dataset(
        tmp_path, [row(n) for n in range(6) if not n % 2], dropped=[{**row(5), "split": "dev"}]
    )
    # Another dialogue of the same number, in the corpus's other split.
    stranger = {**row(0), "id": "s/test/dia0_utt0", "text": "Of another dialogue."}
    write_dataset(tmp_path, [row(1), row(3), stranger], split="dev")
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    for resplit in (True, False):
        changed = {**manifest, "splits": ["train", "dev"], **({"resplit": True} if resplit else {})}
        (tmp_path / "manifest.json").write_text(json.dumps(changed), encoding="utf-8")
        items = {item.utterance_id: item for item in read_rows(out).items}
        assert items["s/test/dia0_utt0"].context == ()
        said = [turn.text for turn in items["s/train/dia0_utt4"].context]
        assert said == [f"This is line {n}." for n in ("0123" if resplit else "02")]
        before = [turn.text for turn in items["s/train/dia0_utt3"].context]
        assert before[-1] == ("This is line 2." if resplit else "This is line 1.")


def test_labels_may_be_sources_of_the_votes(tmp_path: Path) -> None:
    rows = [
        row(0, votes=votes(small="Joy", big="anger")),
        row(1, votes=votes(small="fear", big="fear")),
        row(2, votes=votes(small=None, big="fear")),
        row(3, votes=votes(big="sadness")),
    ]
    out = write_dataset(tmp_path, rows)
    found = read_rows(out, ("small", "big"))
    assert [(item.first, item.second) for item in found.items][:2] == [("joy", "anger"), ("fear", "fear")]
    assert ids(differing(found)) == ["dia0_utt0"]
    assert ids(differing(read_rows(out, ("label", "big")))) == [
        "dia0_utt0",
        "dia0_utt1",
        "dia0_utt2",
        "dia0_utt3",
    ]
    with pytest.raises(
        InputError, match=r"Bad label source 'tiny', expected one of \['id'.*'big', 'small'\]"
    ):
        read_rows(out, ("tiny", "big"))


def test_disagreement_is_picked_by_the_votes(tmp_path: Path) -> None:
    ballots = [
        ("joy", "joy", "joy"),
        ("joy", "fear", "anger"),
        ("joy", "joy", "fear"),
        ("fear", "joy", "fear"),
    ]
    rows = [row(n, votes=votes(a=a, b=b, c=c)) for n, (a, b, c) in enumerate(ballots)]
    found = read_rows(write_dataset(tmp_path, rows))
    picked = ids(pick(found, "disagreement", None, 0))
    assert picked[0] == "dia0_utt1"
    assert set(picked[1:]) == {"dia0_utt2", "dia0_utt3"}
    assert ids(pick(found, "disagreement", 2, 0)) == picked[:2]
    # Without soft labels the entropy of the votes stands for confidence; an agreed row comes last.
    assert ids(pick(found, "low-confidence", None, 0))[-1] == "dia0_utt0"


def test_disagreement_without_votes_is_a_changed_label(tmp_path: Path) -> None:
    found = read_rows(
        write_dataset(tmp_path, [row(n, after="joy" if n < 3 else "neutral") for n in range(8)])
    )
    assert set(ids(pick(found, "disagreement", None, 0))) == {"dia0_utt0", "dia0_utt1", "dia0_utt2"}
    with pytest.raises(InputError, match="neither soft labels nor votes"):
        pick(found, "low-confidence", None, 0)
    with pytest.raises(InputError, match=r"Bad pick 'hardest', expected one of \['random'"):
        pick(found, "hardest", None, 0)


def test_low_confidence_is_the_lowest_peak(tmp_path: Path) -> None:
    peaks = (0.9, 0.4, 0.6, None)
    soft = [None if p is None else [p, 1 - p, 0, 0, 0, 0, 0] for p in peaks]
    found = read_rows(write_dataset(tmp_path, [row(n, soft_label=s) for n, s in enumerate(soft)]))
    # 0.4 is not the peak of (0.4, 0.6): two rows have 0.6.
    picked = ids(pick(found, "low-confidence", None, 0))
    assert set(picked[:2]) == {"dia0_utt1", "dia0_utt2"}
    assert picked[2:] == ["dia0_utt0"]


def undecided_panel(tmp_path: Path) -> Path:
    """Two models that agree on three rows, differ on two, and of which one gave no label to another."""
    joy = ("joy", "joy")
    said = [joy, ("joy", "fear"), ("fear", "fear"), ("anger", "joy"), joy, ("joy", None)]
    rows: list[tuple[str | None, Said]] = [("joy", {"a": a, "b": b}) for a, b in said]
    return write_panel(tmp_path / "panel", {"train": rows}, {"a": "model", "b": "model"})


@pytest.mark.parametrize(("how", "first"), [("disagreement", 2), ("low-confidence", 2), ("random", 0)])
def test_rows_that_got_no_label_are_asked_about(tmp_path: Path, how: str, first: int) -> None:
    rows = read_rows(undecided_panel(tmp_path))
    found = choose_items(rows, ReviewOptions(mode="label", pick=how))
    undecided = [item for item in found if item.second is None]
    assert sorted(ids(undecided)) == ["dia0_utt1", "dia0_utt3"]
    assert len(found) == (2 if how == "disagreement" else 6)
    assert {item.first for item in undecided} == {"joy"}
    assert all(item.text for item in undecided)
    if first:
        assert set(ids(found[:first])) == {"dia0_utt1", "dia0_utt3"}


def test_two_sources_are_compared_on_rows_without_a_label(tmp_path: Path) -> None:
    rows = read_rows(undecided_panel(tmp_path), ("a", "b"))
    assert {(i.first, i.second) for i in differing(rows)} == {("joy", "fear"), ("anger", "joy")}


def test_rows_without_a_label_have_their_words_and_sound(tmp_path: Path) -> None:
    known = {"stage": "resolution", "original_label": "fear", "clip": "b.wav"}
    dropped = [{**row(1), "split": "train", **known}, {**row(2), "split": "train", "stage": "selection"}]
    rows = [row(n, votes=votes(a="joy"), audio={"bytes": tone(), "path": "a.flac"}) for n in (0, 3)]
    out = write_dataset(tmp_path / "out", rows, dropped=dropped)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "b.wav").write_bytes(tone())
    (out / ".remelt").mkdir()
    (out / ".remelt" / "local.json").write_text(json.dumps({"corpus_folder": str(corpus)}), encoding="utf-8")
    found = read_rows(out)
    assert ids(found.items) == ["dia0_utt0", "dia0_utt3", "dia0_utt1"]
    assert [turn.text for turn in found.items[1].context] == [f"This is line {n}." for n in range(3)]
    assert [turn.text for turn in found.items[2].context] == ["This is line 0."]
    assert (found.items[2].first, found.items[2].second) == ("fear", None)
    finder = ClipFinder(out, found.clips)
    clip = finder(found.items[2])
    assert clip is not None
    assert clip.path == (corpus / "b.wav").resolve()
    finder.close()


def test_items_of_a_review(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, [row(n, after="joy" if n % 3 else "neutral") for n in range(30)])
    rows = read_rows(out)
    assert len(choose_items(rows, ReviewOptions())) == 20
    five = choose_items(rows, ReviewOptions(items=5, seed=1))
    assert choose_items(rows, ReviewOptions(items=9, seed=1))[:5] == five
    assert len(choose_items(rows, ReviewOptions(mode="label"))) == 30
    with pytest.raises(InputError, match=r"Bad split 'test', expected one of \['train'\]"):
        choose_items(rows, ReviewOptions(split="test"))
    same = read_rows(write_dataset(tmp_path / "same", [row(0, after="neutral")]))
    with pytest.raises(InputError, match="'label' and 'original_label' differ nowhere"):
        choose_items(same, ReviewOptions(sources=("label", "original_label")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "rank"}, "Bad mode 'rank'"),
        ({"sources": ("label", "label")}, "two different sources"),
        ({"pick": "disagreement"}, "Bad pick 'disagreement': preferences are asked"),
        ({"items": 0}, "Bad items 0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReviewOptions(**options)


def test_folders_that_are_no_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset folder"):
        read_rows(tmp_path / "none")
    (tmp_path / "t.csv").write_text("text,label,original_label\nHm,joy,fear\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"is no dataset made by remelt: Bad column 'id'"):
        read_rows(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty is no dataset made by remelt: No label table"):
        read_rows(tmp_path / "empty")


def test_sound_comes_from_the_dataset_or_the_corpus(tmp_path: Path) -> None:
    sound = {"bytes": tone(), "path": "a.flac"}
    out = write_dataset(tmp_path / "own", [row(0, audio=sound), row(1, audio=None)])
    rows = read_rows(out)
    finder = ClipFinder(out, rows.clips)
    clip = finder(rows.items[0])
    assert finder.any
    assert clip is not None
    assert (clip.path.read_bytes(), clip.kind) == (sound["bytes"], "audio/flac")
    assert finder(rows.items[0]) == clip
    assert finder(rows.items[1]) is None
    finder.close()
    assert not clip.path.exists()

    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.mp4").write_bytes(b"film")
    (tmp_path / "secret.wav").write_bytes(b"no clip of it")
    clips = ["a.mp4", "../secret.wav", "gone.wav", None]
    out = write_dataset(tmp_path / "linked", [row(n, clip=clip) for n, clip in enumerate(clips)])
    (out / ".remelt").mkdir()
    (out / ".remelt" / "local.json").write_text(
        f'{{"corpus_folder": "{corpus.as_posix()}"}}', encoding="utf-8"
    )
    rows = read_rows(out)
    finder = ClipFinder(out, rows.clips)
    found = [finder(item) for item in rows.items]
    assert found[0] is not None
    assert (found[0].path, found[0].kind) == ((corpus / "a.mp4").resolve(), "video/mp4")
    assert found[1:] == [None, None, None]
    finder.close()


def test_real_meld_has_its_context(test_data: Path, tmp_path: Path) -> None:
    """Turns of MELD's first dialogue, from the corpus's own file, in the order of the file."""
    import csv

    with (test_data / "meld" / "train_sent_emo.csv").open(encoding="utf-8", newline="") as lines:
        first = [line for line in csv.DictReader(lines) if line["Dialogue_ID"] == "0"]
    rows = [
        row(0) | {"id": f"meld/train/u{n}", "text": line["Utterance"], "speaker": line["Speaker"],
                  "dialogue_id": 0, "utterance_id": int(line["Utterance_ID"])}
        for n, line in enumerate(first)
    ]  # fmt: skip
    found = read_rows(write_dataset(tmp_path, rows[::-1]))
    last = next(item for item in found.items if item.utterance_id == f"meld/train/u{len(first) - 1}")
    assert [turn.text for turn in last.context] == [line["Utterance"] for line in first[-6:-1]]
