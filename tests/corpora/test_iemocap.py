"""The IEMOCAP reader on a faithful miniature of the release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from typer.testing import CliRunner

from remelt import corpora
from remelt.cli import app
from remelt.corpora import iemocap
from remelt.corpora.iemocap_labels import EMOTIONS, turns
from remelt.errors import InputError
from remelt.labels import LABEL_MAPS

from ..clip_folders import write_wav

IMPRO = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
C-E2:	Neutral;	()
C-E3:	Neutral; Frustration;	()
C-E4:	Excited;	(a bit (too) quick)
C-F1:	Neutral;	(curious)
A-E3:	val 3; act 2; dom  2;	()
A-E4:	val 2; act 3; dom  ;	(mildly aggravated, attitude)
A-F1:	val 3; act 2; dom  1;	()

[27.4600 - 31.4900]	Ses01F_impro01_F005	fru	[2.0000, 3.5000, 3.5000]
C-E2:	;	()
C-E3:	Frustration; Anger;	()

[7.5712 - 10.0750]	Ses01F_impro01_M000	xxx	[2.5000, 2.0000, NaN]
C-E2:	Neutral state;	()
C-M1:	Other;	(bored)
"""
SCRIPT = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[1.0000 - 2.5000]	Ses05M_script01_1b_M001	exc	[4.0000, 4.0000, 3.0000]
C-E5:	Excited; Happiness;	()
[3.0000 - 4.0000]	Ses05M_script01_1b_F001	sad	[1.5000, 2.0000, 2.0000]
C-E5:	Sadness;	()
"""
SAID = """\
Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me, sir.
Ses01F_impro01_M000 [007.5712-010.0750]: Do you have your forms? [LAUGHTER]
M: Wow.
Ses01F_impro01_FXX0 [012.0000-012.5000]: Mm-hm.
"""
SCRIPTED = "Ses05M_script01_1b_M001 [001.0000-002.5000]: Isn\x92t it the best night?\n"
TURNS = [
    "Ses01F_impro01_F000", "Ses01F_impro01_M000", "Ses01F_impro01_F005", "Ses05M_script01_1b_M001",
    "Ses05M_script01_1b_F001",
]  # fmt: skip


def release(folder: Path, clips: str = "sentences", **labels: str) -> Path:
    """The miniature; `clips` is `sentences`, `dialog` or empty."""
    files: Mapping[str, str] = {
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": labels.get("impro", IMPRO),
        "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt": "Ses01F_impro01_F000 :Neutral",
        "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt": "resource fork",
        "Session1/dialog/transcriptions/Ses01F_impro01.txt": SAID,
        "Session5/dialog/EmoEvaluation/Ses05M_script01_1b.txt": SCRIPT,
        "Session5/dialog/transcriptions/Ses05M_script01_1b.txt": SCRIPTED,
    }
    for name, content in files.items():
        path = folder / "IEMOCAP_full_release" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("latin-1"))
    root = folder / "IEMOCAP_full_release"
    for turn in TURNS if clips == "sentences" else ():
        dialogue = turn.rpartition("_")[0]
        write_wav(root / f"Session{turn[4]}" / "sentences" / "wav" / dialogue / f"{turn}.wav", 1.25)
    if clips == "dialog":
        write_wav(root / "Session1" / "dialog" / "wav" / "Ses01F_impro01.wav", 30.0)
        write_wav(root / "Session5" / "dialog" / "wav" / "Ses05M_script01_1b.wav", 5.0)
    return folder


def test_the_turns_come_in_the_dialogues_order(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    assert [u.utterance_id for u in read.utterances] == TURNS
    assert [u.id for u in read.utterances] == [f"iemocap/train/{turn}" for turn in TURNS]
    assert [u.dialogue_id for u in read.utterances] == ["Ses01F_impro01"] * 3 + ["Ses05M_script01_1b"] * 2
    assert [u.session for u in read.utterances] == ["Session1"] * 3 + ["Session5"] * 2


def test_the_turns_own_letter_says_who_speaks(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    assert [(u.speaker, u.sex) for u in read.utterances] == [
        ("Ses01F", "female"), ("Ses01M", "male"), ("Ses01F", "female"), ("Ses05M", "male"),
        ("Ses05F", "female"),
    ]  # fmt: skip


def test_a_turn_is_read(tmp_path: Path) -> None:
    first, second, third, *_ = corpora.load(release(tmp_path)).utterances
    assert (first.label, first.start, first.end, first.split) == ("neu", 6.29, 8.236, "train")
    assert first.attributes == {"valence": 2.5, "arousal": 2.5, "dominance": 2.5}
    assert second.attributes == {"valence": 2.5, "arousal": 2.0}
    assert (first.text, second.text, third.text) == (
        "Excuse me, sir.", "Do you have your forms? [LAUGHTER]", "",
    )  # fmt: skip
    assert first.source == "IEMOCAP_full_release/Session1/dialog/EmoEvaluation/Ses01F_impro01.txt:3"
    assert "stage_direction" in second.flags
    assert "empty_text" in third.flags


def test_every_raters_own_labels_are_kept(tmp_path: Path) -> None:
    first, second, third, *_ = corpora.load(release(tmp_path)).utterances
    assert {r.rater: r.labels for r in first.ratings} == {
        "C-E2": ("neu",), "C-E3": ("neu", "fru"), "C-E4": ("exc",), "C-F1": ("neu",), "A-E3": (),
        "A-E4": (), "A-F1": (),
    }  # fmt: skip
    rated = {r.rater: dict(r.attributes) for r in first.ratings if r.attributes}
    assert rated == {
        "A-E3": {"valence": 3, "arousal": 2, "dominance": 2},
        "A-E4": {"valence": 2, "arousal": 3},
        "A-F1": {"valence": 3, "arousal": 2, "dominance": 1},
    }
    assert [r.labels for r in second.ratings] == [("neu",), ("oth",)]
    assert [r.labels for r in third.ratings] == [("fru", "ang")]
    assert json.loads(json.dumps([asdict(r) for r in first.ratings]))[1]["labels"] == ["neu", "fru"]


def test_what_is_odd_is_told(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    notes = " ".join(read.notes)
    assert "no official split" in notes
    assert "2 turns have no line in the transcriptions" in notes
    assert "1 transcribed turns have no label" in notes
    assert "1 lines of the transcriptions name no turn" in notes
    assert "5 utterances (published: 10,039)" in notes
    assert "neu 1 (1,708)" in notes


def test_words_in_latin_1_are_mended(tmp_path: Path) -> None:
    turn = corpora.load(release(tmp_path)).utterances[3]
    assert turn.words == "Isn’t it the best night?"
    assert "not_utf8" in turn.flags


def test_clips_of_single_turns(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path))
    assert all(u.clip and u.clip.endswith(f"/{u.utterance_id}.wav") for u in read.utterances)
    assert [u.clip_duration for u in read.utterances] == [1.25] * 5
    assert all(u.clip_start is None for u in read.utterances)
    assert read.defects["clip_missing"] == {"train": 0}


def test_turns_are_cut_from_dialogues_where_they_have_no_clip(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path, clips="dialog"))
    first, _, third, *_ = read.utterances
    assert first.clip == "IEMOCAP_full_release/Session1/dialog/wav/Ses01F_impro01.wav"
    assert (first.clip_start, first.clip_end, first.clip_duration) == (6.29, 8.236, 1.946)
    assert (third.clip_start, third.clip_end) == (27.46, 31.49)
    assert third.clip_duration == pytest.approx(30.0 - 27.46)
    assert "cut_past_end" in third.flags
    assert read.defects["cut_past_end"] == {"train": 1}
    assert any("5 turns have no clip of their own" in note for note in read.notes)


def test_a_missing_clip_is_flagged_and_cut_where_it_can_be(tmp_path: Path) -> None:
    folder = release(tmp_path)
    [gone] = folder.rglob("Ses01F_impro01_M000.wav")
    gone.unlink()
    read = corpora.load(folder)
    assert [u.utterance_id for u in read.utterances if "clip_missing" in u.flags] == ["Ses01F_impro01_M000"]
    write_wav(folder / "IEMOCAP_full_release" / "Session1" / "dialog" / "wav" / "Ses01F_impro01.wav", 30.0)
    turn = corpora.load(folder).utterances[1]
    assert (turn.clip_start, turn.clip_end, turn.clip_duration) == (7.571, 10.075, 2.504)
    assert "clip_missing" not in turn.flags


def test_without_clips_nothing_is_missing(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path, clips=""))
    assert "clip_missing" not in read.defects
    assert all(u.clip is None for u in read.utterances)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("[6.2901 - 8.2357] Ses01F_impro01_F000 neu", r"impro01.txt:1: bad line .*expected '\[START"),
        ("[six - 8.2]\tSes01F_impro01_F000\tneu\t[1, 1, 1]", r":1: bad time 'six', expected seconds"),
        ("[6.2 - 8.2]\tSes01_F000\tneu\t[1, 1, 1]", r":1: bad turn 'Ses01_F000', expected a name such as"),
        (
            "[6.2 - 8.2]\tSes01F_impro01_F000\tneu\t[1, 1]",
            r":1: bad means '\[1, 1\]', expected three numbers",
        ),
    ],
)
def test_a_broken_turn_is_named(tmp_path: Path, broken: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        corpora.load(release(tmp_path, impro=broken))


def test_lines_that_are_no_rating_are_counted(tmp_path: Path) -> None:
    read = corpora.load(release(tmp_path, impro=f"{IMPRO}what is this\n"))
    assert any("1 lines are neither a turn nor a rating" in note for note in read.notes)


def test_labels_that_iemocap_does_not_define(tmp_path: Path) -> None:
    odd = IMPRO.replace("\tfru\t", "\tglad\t").replace("C-E2:\tNeutral;", "C-E2:\tPensive;")
    read = corpora.load(release(tmp_path, impro=odd))
    assert [u.label for u in read.utterances if "label_unknown" in u.flags] == ["glad"]
    assert any("'pensive' (1)" in note for note in read.notes)


def test_a_turn_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Duplicate key: iemocap/train/Ses01F_impro01_F000"):
        corpora.load(release(tmp_path, impro=IMPRO + IMPRO.partition("\n\n")[2]))


def test_the_published_counts_add_up() -> None:
    """Busso et al. 2008; 5,531 in the four classes that the field uses."""
    info = iemocap.INFO
    assert sum(info.counts.values()) == info.utterances == 10_039
    assert set(info.counts) == set(info.labels)
    four = {"anger": 0, "joy": 0, "neutral": 0, "sadness": 0}
    for label, count in info.counts.items():
        common = LABEL_MAPS["iemocap"].common(label)
        if common is not None:
            four[common] += count
    assert four == {"anger": 1103, "joy": 1636, "neutral": 1708, "sadness": 1084}
    assert sum(four.values()) == 5531


def test_the_whole_corpus_is_recognised(tmp_path: Path) -> None:
    """10,039 turns with the published labels leave no note on counts."""
    labels = [label for label, count in iemocap.INFO.counts.items() for _ in range(count)]
    lines = [
        f"[{n}.0 - {n}.5]\tSes01F_impro01_F{n:05d}\t{label}\t[1, 1, 1]" for n, label in enumerate(labels)
    ]
    notes = corpora.load(release(tmp_path / "a", clips="", impro="\n".join(lines[2:]))).notes
    assert any("10,039" in note or "neu" in note for note in notes)
    folder = release(tmp_path / "b", clips="", impro="\n".join(lines))
    for other in folder.rglob("Ses05M*.txt"):
        other.unlink()
    assert not any("published" in note for note in corpora.load(folder).notes)


def test_all_words_of_the_raters_have_a_short_name() -> None:
    rated = [f"C-E{number}:\t{word.title()};\t()" for number, word in enumerate(EMOTIONS)]
    text = "\n".join(["[1 - 2]\tSes01F_impro01_F000\tneu\t[1, 1, 1]", *rated])
    found, others = turns(text, "evaluation.txt")
    assert [r.labels[0] for r in found[0].ratings] == list(EMOTIONS.values())
    assert others == 0


def test_it_is_found_by_its_layout(tmp_path: Path) -> None:
    folder = release(tmp_path)
    assert corpora.detect(folder) == "iemocap"
    assert corpora.detect(folder / "IEMOCAP_full_release") == "iemocap"
    assert corpora.detect(folder / "IEMOCAP_full_release" / "Session1") == "iemocap"
    matching = [name for name in corpora.names() if name != "table" and matches(name, folder)]
    assert matching == ["iemocap"]


def matches(name: str, folder: Path) -> bool:
    found: bool = corpora._readers()[name].matches(folder)
    return found


def invoke(*arguments: object) -> None:
    result = CliRunner().invoke(app, [*map(str, arguments), "--plain"])
    assert result.exit_code == 0, result.output


def test_inspect_and_build(tmp_path: Path) -> None:
    folder, out = release(tmp_path / "corpus", clips=""), tmp_path / "out"
    invoke("inspect", folder, "--json", tmp_path / "numbers.json")
    assert json.loads((tmp_path / "numbers.json").read_text())["total"]["utterances"] == 5
    invoke("build", "melt", "--corpus", folder, "--annotator", "mock", "--out", out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["corpus"]["name"], manifest["profile"]["name"]) == ("iemocap", "any-speaker")
    rows = parquet.read_table(out / "data").to_pylist()
    assert [row["id"].rpartition("/")[2] for row in rows] == [TURNS[0], TURNS[1], TURNS[3]]
    assert (rows[0]["session"], rows[0]["sex"], rows[0]["valence"]) == ("Session1", "female", 2.5)
    assert json.loads(rows[0]["ratings"])[1]["labels"] == ["neu", "fru"]


@pytest.mark.slow
def test_cuts_reach_the_dataset(tmp_path: Path) -> None:
    folder, out = release(tmp_path / "corpus", clips="dialog"), tmp_path / "out"
    invoke("build", "melt", "--corpus", folder, "--annotator", "mock", "--out", out)
    rows = parquet.read_table(out / "data").to_pylist()
    assert [row["audio_seconds"] for row in rows] == [1.946, 2.504, 1.5]
    assert all(row["audio"]["bytes"].startswith(b"fLaC") for row in rows)
