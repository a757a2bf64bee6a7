"""The words that a recipe works with: the corpus's own, or what a recogniser heard (`remelt transcribe`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ..reporting import Reporter
from . import transcripts
from .clips import Transcripts, read_transcripts

if TYPE_CHECKING:
    from ...corpora import Corpus
    from ...records import Utterance
    from .voices import VoiceOptions

REFERENCE, ASR = "reference", "asr"
TEXTS = (REFERENCE, ASR)
EMPTY = "empty_text"
_FAMILIES = ("text", "encoding", "repeats")
# These flags depend on the words though their families do not, and the other way about.
_OF_WORDS = frozenset({"over_6_words_per_s", "over_8_words_per_s"})
_NOT_OF_WORDS = frozenset({"speaker_mended"})


@dataclass(frozen=True, slots=True)
class Texts:
    """Which words are annotated.

    Attributes:
        text: `reference` for the corpus's own words, `asr` for what a recogniser heard.
        transcripts: the folder made by `remelt transcribe`, for `asr`.
    """

    text: str = REFERENCE
    transcripts: Path | None = None

    def __post_init__(self) -> None:
        if self.text not in TEXTS:
            raise InputError(bad_value("text", self.text, TEXTS))
        if self.transcripts is not None:
            # From Python a path is often a plain string.
            object.__setattr__(self, "transcripts", Path(self.transcripts))
        if (self.text == ASR) != (self.transcripts is not None):
            raise InputError(
                "--text asr needs --transcripts FOLDER, made by `remelt transcribe`"
                if self.text == ASR
                else f"The transcripts in {self.transcripts} are not used by --text {self.text}"
            )

    def prepare(self, corpus: Corpus, reporter: Reporter) -> Corpus:
        """The corpus with the chosen words; for `RecipeSpec.prepare`."""
        if self.transcripts is None:
            return corpus
        reporter.stage(f"Reading the transcripts in {self.transcripts}")
        return with_transcripts(corpus, self.transcripts)

    def record(self) -> dict[str, Any]:
        """What the manifest's options say of the words: `text`, and `transcripts` where they are asr.

        Raises:
            InputError: the folder holds no transcripts.
        """
        if self.transcripts is None:
            return {"text": self.text}
        info = transcripts.read_info(self.transcripts)
        about = {name: info[name] for name in ("source", "model", "parameters") if name in info}
        return {"text": self.text, "transcripts": about}


def choose_texts(text: str, voice: VoiceOptions) -> tuple[Texts, VoiceOptions]:
    """What `--text` and `--transcripts` mean together.

    With `--text asr` the transcripts are the words to annotate; else they join the dataset as a column, as
    in every build.

    Returns:
        The words to annotate, and what is left to take from the clips.

    Raises:
        InputError: an unknown text, or asr without transcripts.
    """
    if text != ASR:
        return Texts(text), voice
    return Texts(text, voice.transcripts), replace(voice, transcripts=None)


def with_transcripts(corpus: Corpus, folder: Path) -> Corpus:
    """The corpus with a recogniser's words in place of its own.

    An utterance without a transcript (no clip, the recogniser failed, nothing was heard) has no words
    afterwards, and is dropped by the selection as `empty_text`. Flags and counts of
    defects of the corpus's own words are taken away, as they say nothing of the new ones.

    Args:
        corpus: as it was read.
        folder: made by `remelt transcribe` from the same corpus.

    Returns:
        With notes on rows whose words have changed since, or that have no transcript.

    Raises:
        InputError: no transcripts there, or they are of another corpus or of none of these utterances.
    """
    heard = read_transcripts(folder)
    notes = _notes(corpus, heard, folder)
    utterances = tuple(_heard(u, heard.texts.get(u.id)) for u in corpus.utterances)
    defects = {name: counts for name, counts in corpus.defects.items() if not _of_words(name)}
    return replace(corpus, utterances=utterances, defects=defects, notes=(*corpus.notes, *notes))


def _notes(corpus: Corpus, heard: Transcripts, folder: Path) -> list[str]:
    changed = heard.check(corpus.utterances, folder)
    notes = [f"The words are a recogniser's: {_source(heard.info)}.", *([changed] if changed else [])]
    covered = {u.split for u in corpus.utterances if u.id in heard.texts}
    if absent := [split for split in corpus.splits if split not in covered]:
        notes.append(f"{folder} has no transcripts of the splits {absent!r}: they have no words.")
    counts = Counter(_lack(heard.texts, u) for u in corpus.utterances if u.split in covered)
    for lack, what in (
        ("absent", "utterances are not in the folder of transcripts"),
        ("failed", "utterances have no transcript: no clip, or the recogniser gave no answer"),
        ("empty", "utterances have an empty transcript: the recogniser heard no words"),
    ):
        if counts[lack]:
            notes.append(f"{counts[lack]:,} of {counts.total():,} {what}.")
    return notes


def _lack(texts: Mapping[str, str | None], utterance: Utterance) -> str:
    if utterance.id not in texts:
        return "absent"
    text = texts[utterance.id]
    return "failed" if text is None else "" if text.strip() else "empty"


def _source(info: Mapping[str, Any]) -> str:
    source, model = str(info.get("source") or "not stated"), str(info.get("model") or "")
    return f"{source} ({model})" if model and model != source else source


def _heard(utterance: Utterance, transcript: str | None) -> Utterance:
    words = (transcript or "").strip()
    flags = {flag for flag in utterance.flags if not _of_words(flag)} | (set() if words else {EMPTY})
    return replace(utterance, text=words, text_repaired=None, flags=tuple(sorted(flags)))


def _of_words(defect: str) -> bool:
    """Whether a defect is one of the corpus's words."""
    from ...corpora.defects import DEFECTS

    known = DEFECTS.get(defect)
    of_family = known is not None and known.family in _FAMILIES and defect not in _NOT_OF_WORDS
    return of_family or defect in _OF_WORDS
