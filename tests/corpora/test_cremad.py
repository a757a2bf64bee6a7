"""The reader of CREMA-D: on names, on tables in miniature, and on the real votes about ten actors."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from remelt import corpora
from remelt.corpora import cremad
from remelt.corpora.acted import Aside, Entry
from remelt.corpora.media import FoundFile
from remelt.errors import InputError
from remelt.labels import LABEL_MAPS

from ..clip_folders import fill

DEMOGRAPHICS = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","x","y"\n1002,21,"Female","x","y"\n'
VOTES = (
    '"","A","D","F","H","N","S","fileName","numResponses"\n'
    '"100001",6,1,0,0,3,0,"1001_DFA_ANG_XX",10\n'
    '"200001",1,1,0,0,0,0,"1001_DFA_ANG_XX",2\n'
    '"300001",0,0,0,0,0,5,"1001_DFA_ANG_XX",5\n'
    '"100002",0,2,0,0,2,0,"1002_IEO_DIS_LO",4\n'
)
RESPONSES = (
    '"","localid","pos","ans","ttr","queryType","clipName","respEmo","respLevel"\n'
    "1,p1,1,A_80,900,1,1001_DFA_ANG_XX,A,80\n"
    "2,p2,1,N_60,900,1,1001_DFA_ANG_XX,N,60\n"
    "3,p2,2,N_60,900,1,1001_DFA_ANG_XX,N,60\n"
    "4,p3,1,A_70,900,2,1001_DFA_ANG_XX,A,70\n"
    "5,p4,1,,900,1,1001_DFA_ANG_XX,,\n"
)


def parsed(stem: str) -> Entry | Aside:
    return cremad.parse(FoundFile(f"AudioWAV/{stem}.wav", f"{stem}.wav"))


def make(folder: Path, **tables: str) -> Path:
    """Two clips and the given tables, where the repository has them."""
    fill(folder, ["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_DIS_LO.wav"])
    for name, text in tables.items():
        path = folder / ("processedResults" if name.startswith("tabulated") else "") / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_names() -> None:
    entry = parsed("1001_IEO_SAD_HI")
    assert isinstance(entry, Entry)
    assert (entry.speaker, entry.label, entry.text) == ("1001", "sad", "It's eleven o'clock")
    assert entry.attributes == {"intensity": 3.0}
    assert not entry.mended
    unspecified = parsed("1091_WSI_NEU_XX")
    assert isinstance(unspecified, Entry)
    assert (unspecified.text, dict(unspecified.attributes)) == ("We'll stop in a couple of minutes", {})
    assert len(cremad.SENTENCES) == 12
    assert len(cremad.ACTORS) == cremad.INFO.speakers == 91


def test_the_one_distributed_name_with_a_slip(tmp_path: Path) -> None:
    found = corpora.load(fill(tmp_path / "x", ["1040_ITH_SAD_X.wav"]))
    assert found.utterances[0].id == "cremad/train/1040_ITH_SAD_XX"
    assert found.findings["mended_names"] == 1


@pytest.mark.parametrize(
    ("stem", "why"),
    [
        ("1001_ABC_ANG_XX", "Bad sentence 'ABC', expected one of ['IEO', "),
        ("1001_DFA_SUR_XX", "Bad emotion 'SUR', expected one of ['ANG', 'DIS', "),
        ("1001_DFA_ANG_ZZ", "Bad intensity 'ZZ', expected one of ['LO', 'MD', 'HI', 'XX']"),
        ("1092_DFA_ANG_XX", "Bad actor '1092', expected 1001 to 1091"),
        ("1001_DFA_ANG", "not named like 1001_DFA_ANG_XX.wav"),
    ],
)
def test_names_that_cannot_be_read(stem: str, why: str) -> None:
    aside = parsed(stem)
    assert isinstance(aside, Aside)
    assert aside.why.startswith(why)


def test_without_tables_there_are_no_votes_and_no_sex(tmp_path: Path) -> None:
    found = corpora.load(make(tmp_path / "x"))
    assert [(u.sex, u.ratings, dict(u.attributes)) for u in found.utterances] == [
        (None, (), {}),
        (None, (), {"intensity": 1.0}),
    ]
    assert "There is no VideoDemographics.csv: without the actors' sex and age." in found.notes
    assert any("without anybody's votes" in note for note in found.notes)


def test_counted_votes_become_shares_by_way_of_judging_and_voice_ratings(tmp_path: Path) -> None:
    found = corpora.load(make(tmp_path / "x", VideoDemographics=DEMOGRAPHICS, tabulatedVotes=VOTES))
    angry, disgusted = found.utterances
    assert (angry.sex, angry.attributes["age"]) == ("male", 51.0)
    assert (disgusted.sex, disgusted.attributes["age"]) == ("female", 21.0)
    assert angry.attributes["voice_votes"] == 10.0
    assert [angry.attributes[f"voice_{label}"] for label in ("ang", "dis", "neu", "sad")] == [
        0.6,
        0.1,
        0.3,
        0.0,
    ]
    assert angry.attributes["face_ang"] == 0.5
    assert angry.attributes["audiovisual_sad"] == 1.0
    assert Counter(r.labels for r in angry.ratings) == {("ang",): 6, ("dis",): 1, ("neu",): 3}
    assert [r.rater for r in angry.ratings] == [f"voice/{n}" for n in range(1, 11)]
    assert "face_votes" not in disgusted.attributes
    ways = ("voice", "face", "audiovisual")
    assert [cremad.perceived(angry, way) for way in ways] == ["ang", None, "sad"]
    assert [cremad.perceived(disgusted, way) for way in ways] == [None, None, None]
    assert set(found.files) == {"VideoDemographics.csv", "processedResults/tabulatedVotes.csv"}


def test_single_answers_name_the_listeners(tmp_path: Path) -> None:
    found = corpora.load(make(tmp_path / "x", finishedResponses=RESPONSES, tabulatedVotes=VOTES))
    angry, disgusted = found.utterances
    assert [(r.rater, r.labels, r.attributes) for r in angry.ratings] == [
        ("p1", ("ang",), {"level": 80.0}),
        ("p2", ("neu",), {"level": 60.0}),
    ]
    assert disgusted.ratings == ()
    assert angry.attributes["voice_votes"] == 10.0
    assert "finishedResponses.csv: 2 answers were left out, without a label or given twice." in found.notes
    alone = corpora.load(make(tmp_path / "y", finishedResponses=RESPONSES))
    assert alone.utterances[0].attributes["voice_ang"] == 0.5
    assert alone.utterances[0].attributes["face_votes"] == 1.0


def test_a_way_of_judging_that_does_not_exist(tmp_path: Path) -> None:
    row = corpora.load(make(tmp_path / "x")).utterances[0]
    with pytest.raises(InputError, match=r"Bad way of judging 'ears', expected one of \['voice', 'face'"):
        cremad.perceived(row, "ears")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"tabulatedVotes": VOTES.replace('"100002"', '"7"')}, r"tabulatedVotes.csv:5: bad row name '7'"),
        (
            {"tabulatedVotes": VOTES.replace("6,1,0,0,3", "six,1,0,0,3")},
            r"csv:2: bad A 'six', expected a whole",
        ),
        ({"tabulatedVotes": VOTES.replace("200001", "100009")}, "1001_DFA_ANG_XX has votes by voice twice"),
        ({"tabulatedVotes": VOTES.replace('"S"', '"T"')}, r"missing columns \['S'\]"),
        ({"VideoDemographics": DEMOGRAPHICS.replace("51", "old")}, r"csv:2: bad Age 'old', expected a whole"),
    ],
)
def test_broken_tables_are_named(tmp_path: Path, tables: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        corpora.load(make(tmp_path / "x", **tables))


def test_a_table_that_git_lfs_has_not_fetched_is_told(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    found = corpora.load(make(tmp_path / "x", finishedResponses=pointer, tabulatedVotes=VOTES))
    assert (
        "finishedResponses.csv is a Git-LFS pointer, not the table (`git lfs pull` fetches it)."
        in found.notes
    )
    assert len(found.utterances[0].ratings) == 10


def test_mp3_and_flash_copies_are_left_aside(tmp_path: Path) -> None:
    folder = make(tmp_path / "x")
    fill(folder, ["AudioMP3/1001_DFA_ANG_XX.mp3", "VideoFlash/1001_DFA_ANG_XX.flv"])
    found = corpora.load(folder)
    assert [str(u.clip).partition("/")[0] for u in found.utterances] == ["AudioWAV", "AudioWAV"]
    assert (found.findings["copies"], found.findings["other_recordings"]) == (1, 1)


def test_labels_and_counts() -> None:
    assert set(cremad.INFO.labels) == set(LABEL_MAPS["cremad"].to_common) == set(cremad.INFO.counts)
    assert sum(cremad.INFO.counts.values()) == cremad.INFO.utterances == 7442


@pytest.fixture
def real(test_data: Path) -> corpora.Corpus:
    folder = test_data / "cremad"
    if not folder.is_dir():
        pytest.skip(f"no CREMA-D tables at {folder}")
    assert corpora.detect(folder) == "cremad"
    return corpora.load(folder)


def test_the_real_tables_of_ten_actors(real: corpora.Corpus) -> None:
    assert len(real) == 807
    assert len(real.files) == 3
    assert Counter(u.label for u in real.utterances) == {
        "neu": 117, **dict.fromkeys(("ang", "dis", "fea", "hap", "sad"), 138),
    }  # fmt: skip
    assert "There are no clips: the rows are those of the tables." in real.notes
    assert {u.speaker for u in real.utterances if u.sex == "male"} == {"1001", "1005"}
    assert all(u.ratings for u in real.utterances)


def test_the_real_votes_agree_with_the_published_winner_and_agreement(
    real: corpora.Corpus, test_data: Path
) -> None:
    rows = {str(u.dialogue_id): u for u in real.utterances}
    ways = {"1": "voice", "2": "face", "3": "audiovisual"}
    checked = 0
    with (test_data / "cremad" / "tabulatedVotes_actors_1001-1010.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            utterance, way = rows[row["fileName"]], ways[row[""][0]]
            winners = row["emoVote"].split(":")
            expected = {"A": "ang", "D": "dis", "F": "fea", "H": "hap", "N": "neu", "S": "sad"}[winners[0]]
            found = cremad.perceived(utterance, way)
            assert found == (expected if len(winners) == 1 else None)
            assert utterance.attributes[f"{way}_votes"] == float(row["numResponses"])
            assert utterance.attributes[f"{way}_{expected}"] == pytest.approx(float(row["agreement"]))
            if way == "voice":
                assert len(utterance.ratings) == int(row["numResponses"])
            checked += 1
    assert checked == 2421
