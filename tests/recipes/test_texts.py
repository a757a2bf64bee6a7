"""The words that a recipe works with: the corpus's own, or a recogniser's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt import corpora
from remelt.corpora import Corpus
from remelt.errors import InputError
from remelt.recipes.listening.texts import Texts, choose_texts, with_transcripts
from remelt.recipes.listening.transcripts import Transcript, write
from remelt.recipes.listening.voices import VoiceOptions
from remelt.recipes.reporting import Reporter
from remelt.records import Utterance

from ..builders import write_meld

ABOUT = {"corpus": "meld", "source": "whisper/large-v3", "model": "openai/whisper-large-v3@abc",
         "parameters": {"beam": 1}}  # fmt: skip


@pytest.fixture
def meld(tmp_path: Path) -> Corpus:
    for split in ("train", "dev"):
        write_meld(tmp_path / "meld", 4, split)
    return corpora.load(tmp_path / "meld")


def heard(out: Path, utterances: list[Utterance], texts: list[str | None], **about: Any) -> Path:
    """A folder as `remelt transcribe` leaves it."""
    rows: dict[str, list[Transcript]] = {}
    for u, text in zip(utterances, texts, strict=True):
        status = "no_clip" if text is None else "valid"
        row = Transcript(u.id, u.split, u.speaker, u.label, 1.5, u.words, text, status, "", "v3")
        rows.setdefault(u.split, []).append(row)
    write(out, rows, {**ABOUT, **about, "splits": list(rows)})
    return out


def test_the_transcript_takes_the_place_of_the_words(meld: Corpus, tmp_path: Path) -> None:
    folder = heard(tmp_path / "t", list(meld.utterances), [f" heard {n}. " for n in range(8)])
    found = with_transcripts(meld, folder)
    assert [u.words for u in found.utterances] == [f"heard {n}." for n in range(8)]
    for before, after in zip(meld.utterances, found.utterances, strict=True):
        assert replace(after, text=before.text, flags=before.flags) == before
    assert found.notes[-1] == "The words are a recogniser's: whisper/large-v3 (openai/whisper-large-v3@abc)."


def test_mended_words_and_flags_of_words_go(meld: Corpus, tmp_path: Path) -> None:
    flags = ("clip_missing", "mojibake", "non_ascii", "over_8_words_per_s", "speaker_mended", "under_1s")
    first = replace(meld.utterances[0], text="wellâ€¦", text_repaired="well…", flags=flags)
    counts = {name: {"train": 1, "dev": 0} for name in flags}
    corpus = replace(meld, utterances=(first, *meld.utterances[1:]), defects=counts)
    found = with_transcripts(corpus, heard(tmp_path / "t", list(corpus.utterances), ["well"] * 8))
    assert (found.utterances[0].words, found.utterances[0].text_repaired) == ("well", None)
    assert found.utterances[0].flags == ("clip_missing", "speaker_mended", "under_1s")
    assert sorted(found.defects) == ["clip_missing", "speaker_mended", "under_1s"]


def test_what_was_not_heard_has_no_words_and_is_told(meld: Corpus, tmp_path: Path) -> None:
    folder = heard(tmp_path / "t", list(meld.utterances[:3]), ["one", None, "  "])
    found = with_transcripts(meld, folder)
    assert [u.words for u in found.utterances] == ["one", *[""] * 7]
    assert all("empty_text" in u.flags for u in found.utterances[1:])
    told = " ".join(found.notes)
    assert "no transcripts of the splits ['dev']" in told
    for lack in ("1 of 4 utterances are not in the folder", "1 of 4 utterances have no transcript",
                 "1 of 4 utterances have an empty transcript"):  # fmt: skip
        assert lack in told


def test_transcripts_of_something_else_are_refused(meld: Corpus, tmp_path: Path) -> None:
    rows = list(meld.utterances)
    with pytest.raises(InputError, match="are of 'iemocap'"):
        with_transcripts(meld, heard(tmp_path / "a", rows, ["x"] * 8, corpus="iemocap"))
    others = [replace(u, text=f"Other words {n}") for n, u in enumerate(rows)]
    with pytest.raises(InputError, match="had other words when it was made"):
        with_transcripts(meld, heard(tmp_path / "b", others, ["x"] * 8))
    with pytest.raises(InputError, match="holds no transcripts"):
        with_transcripts(meld, tmp_path / "nowhere")


def test_text_and_transcripts_go_together(tmp_path: Path) -> None:
    voice = VoiceOptions(transcripts=tmp_path)
    # Without --text asr the transcripts are a column, as in every build.
    assert choose_texts("reference", voice) == (Texts(), voice)
    texts, left = choose_texts("asr", voice)
    assert (texts, left.transcripts) == (Texts("asr", tmp_path), None)
    with pytest.raises(InputError, match="--text asr needs --transcripts FOLDER"):
        choose_texts("asr", VoiceOptions())
    with pytest.raises(InputError, match="Bad text 'whisper', expected one of"):
        choose_texts("whisper", voice)
    with pytest.raises(InputError, match="are not used by --text reference"):
        Texts("reference", tmp_path)


def test_the_record_says_who_listened(meld: Corpus, tmp_path: Path) -> None:
    folder = heard(tmp_path / "t", list(meld.utterances), ["x"] * 8)
    assert Texts().record() == {"text": "reference"}
    record = Texts("asr", folder).record()
    assert record == {"text": "asr", "transcripts": {k: ABOUT[k] for k in ("source", "model", "parameters")}}
    assert Texts().prepare(meld, Reporter()) is meld
    assert Texts("asr", folder).prepare(meld, Reporter()).utterances[0].words == "x"
