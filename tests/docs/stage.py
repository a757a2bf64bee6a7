"""The folder in which a page's commands run: small corpora and datasets under the names the pages use."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import remelt
from remelt.recipes.listening.voices import VoiceOptions
from remelt.recipes.options import Member

from ..builders import write_meld
from ..clip_folders import fill, write_wav
from ..corpora.test_cremad import RESPONSES, VOTES, make
from ..corpora.test_iemocap import release as iemocap
from ..corpora.test_msp_podcast import release as podcast

ROWS = 40
PANEL = "".join(
    f"  - {{name: {name}, annotator: 'mock:seed={seed}'}}\n" for seed, name in enumerate(("a", "b", "c"))
)
MAPPING = "columns: {Utterance: text, Key: id, Emotion: label}\nlicence: CC-BY-4.0\n"


def meld(path: Path) -> None:
    write_meld(path, ROWS)
    write_meld(path, 12, "test")


def meld_with_clips(path: Path) -> None:
    for n in range(ROWS):
        write_wav(path / "train_splits" / f"dia{n // 10}_utt{n % 10}.wav", 2.5 + n / 1000)
    write_meld(path, ROWS)


def fill_in(sheet: Path) -> None:
    """Somebody labels all rows of a sheet."""
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with sheet.open("w", encoding="utf-8", newline="") as file:
        write = csv.DictWriter(file, rows[0])
        write.writeheader()
        write.writerows({**row, "label": "joy", "annotator": "ann"} for row in rows)


DEEDS = {"fill in sheet.csv": lambda folder: fill_in(folder / "sheet.csv")}


def ravdess(path: Path) -> None:
    fill(path, [f"Actor_01/03-01-0{n}-01-0{k}-01-01.wav" for n in (1, 3, 4, 5) for k in (1, 2)])


def cremad(path: Path) -> None:
    make(path, tabulatedVotes=VOTES, finishedResponses=RESPONSES)


def labels(path: Path) -> None:
    """MELT's table in miniature: labels of MELD's rows by dialogue and utterance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file)
        write.writerow(["id", "Emotion", "llm_label"])
        for n in range(ROWS):
            write.writerow([f"meld/train/dia{n // 10}_utt{n % 10}", "joy", ("joy", "fear")[n % 2]])


def table(path: Path) -> None:
    lines = [f"{n},Well this is line {n}.,Ann,{('joy', 'anger')[n % 2]},{n}.0,{n}.9" for n in range(ROWS)]
    path.write_text("\n".join(["Key,Utterance,Speaker,Emotion,start,end", *lines]) + "\n", encoding="utf-8")


def named_table(path: Path) -> None:
    """The same table under the names of the fields."""
    table(path)
    _, rows = path.read_text(encoding="utf-8").split("\n", 1)
    path.write_text(f"id,text,speaker,label,start,end\n{rows}", encoding="utf-8")


def ratings(path: Path) -> None:
    rows = [f"c{n},joy,{('joy', 'fear')[n % 2]},joy" for n in range(8)]
    path.write_text("\n".join(["id,ann,bob,cem", *rows]) + "\n", encoding="utf-8")


def votes(path: Path) -> None:
    rows = [f'{{"clip": "c{n}", "who": "{who}", "label": "joy"}}' for n in range(6) for who in "ab"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def people(path: Path) -> None:
    rows = [f"meld/train/dia0_utt{n},joy,ann" for n in range(6)]
    path.write_text("\n".join(["id,label,annotator", *rows]) + "\n", encoding="utf-8")


def wav(path: Path) -> None:
    write_wav(path, 10.0)


def _text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content, encoding="utf-8") and None


class Stage:
    """Makes things once and copies them into the folder of each page.

    Args:
        store: a folder for what was made.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.makers: dict[str, Callable[[Path], object]] = {
            "meld": meld, "meld with clips": meld_with_clips, "voiced": self.voiced,
            "ravdess": ravdess, "cremad": cremad, "iemocap": iemocap, "podcast": podcast,
            "labels": labels, "table": table, "ratings": ratings, "votes": votes, "people": people,
            "wav": wav, "dataset": self.dataset, "named table": named_table, "replayed": self.replayed,
            "panel": self.panel,
            "panel file": _text("annotators:\n" + PANEL), "mapping": _text(MAPPING),
            "prices": _text("models:\n  - {ids: [my-model], input: 0, output: 0}\n"),
        }  # fmt: skip

    def put(self, what: str, path: Path) -> None:
        made = self.store / what.replace(" ", "_")
        if not made.exists():
            made.parent.mkdir(parents=True, exist_ok=True)
            self.makers[what](made)
        path.parent.mkdir(parents=True, exist_ok=True)
        if made.is_dir():
            shutil.copytree(made, path)
        else:
            shutil.copyfile(made, path)

    def dataset(self, path: Path) -> None:
        """A dataset of one annotator."""
        self._build(path, "mock")

    def replayed(self, path: Path) -> None:
        """A dataset of labels alone, without answers in words."""
        table = self.store / "replayed.csv"
        labels(table)
        self._build(path, f"replay:{table}")

    def voiced(self, path: Path) -> None:
        """A dataset with sound and what was measured of it."""
        corpus = self.store / "clips"
        meld_with_clips(corpus)
        voice = VoiceOptions(audio="flac", acoustics="shs")
        options = remelt.BuildOptions(str(corpus), path, "mock", profile="any-speaker", limit=4, voice=voice)
        remelt.build_melt(options)

    def panel(self, path: Path) -> None:
        """A dataset of three annotators, with votes."""
        self._build(path, *(Member(f"mock:seed={n}", name) for n, name in enumerate(("a", "b", "c"))))

    def _build(self, path: Path, *annotator: str | Member) -> None:
        corpus = self.store / "meld"
        if not corpus.exists():
            meld(corpus)
        options = remelt.BuildOptions(str(corpus), path, annotator, profile="any-speaker", limit=24)
        remelt.build_melt(options)
