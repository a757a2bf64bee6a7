"""The tables that lie beside CREMA-D's clips: who the actors are, and how people judged each clip."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, bad_value
from ..records import Rating
from . import media
from .acted import LFS_POINTER
from .base import read_bytes, whole_number
from .delimited import RawTable, parse

# The tables' letter -> label.
LABELS = {"A": "ang", "D": "dis", "F": "fea", "H": "hap", "N": "neu", "S": "sad"}
# The query type -> what people were given to judge by.
MODES = {1: "voice", 2: "face", 3: "audiovisual"}
_SEXES = ("female", "male")
_QUERY = 100_000
# A part of a table is often kept under the table's name with something added.
_FILES = {
    kind: re.compile(rf"{name}(?:_.*)?\.csv", re.IGNORECASE)
    for kind, name in {
        "actors": "VideoDemographics",
        "names": "SentenceFilenames",
        "votes": "tabulatedVotes",
        "responses": "finishedResponses",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Actor:
    """An actor's sex (`female`, `male`; None for anything else) and age in years."""

    sex: str | None
    age: float


@dataclass(frozen=True)
class Tables:
    """What was read.

    Attributes:
        actors: actor -> sex and age.
        names: the recordings' names -> where each was found.
        votes: name -> `voice`, `face`, `audiovisual` -> label -> how many people chose it.
        answers: `voice`, `face`, `audiovisual` -> name -> what each person said; empty where only counts are
            known.
        files: path -> sha256.
        notes: sentences for the user.
    """

    actors: Mapping[str, Actor] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    votes: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, Sequence[Rating]]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def ratings(self, stem: str, mode: str = "voice") -> tuple[Rating, ...]:
        """Each vote of one way of judging, under the person's number, else under its place in its clip."""
        if self.answers.get(mode):
            return tuple(self.answers[mode].get(stem, ()))
        counts = self.votes.get(stem, {}).get(mode, {})
        labels = [label for label, count in counts.items() for _ in range(count)]
        return tuple(Rating(f"{mode}/{place}", (label,)) for place, label in enumerate(labels, 1))


def is_list(name: str) -> bool:
    """Whether a file's name is that of the list of names or of the votes."""
    return any(_FILES[kind].fullmatch(name) for kind in ("names", "votes", "responses"))


def check_mode(mode: str) -> None:
    """Makes sure that there is such a way of judging.

    Raises:
        InputError: there is not; the message lists the choices.
    """
    if mode not in MODES.values():
        raise InputError(bad_value("way of judging", mode, MODES.values()))


def read(folder: Path, files: Iterable[media.FoundFile]) -> Tables:
    """Reads those tables that are there.

    Args:
        folder: the corpus folder.
        files: as `media.walk` gives them.

    Raises:
        InputError: a table lacks a column or holds a value that it cannot have; the message names the row.
    """
    files = list(files)
    hashes: dict[str, str] = {}
    notes: list[str] = []
    found: dict[str, RawTable] = {}
    for kind in _COLUMNS:
        table = _table(folder, files, kind, hashes, notes)
        if table is not None:
            found[kind] = table
    actors = _actors(found["actors"]) if "actors" in found else {}
    if not actors:
        notes.append("There is no VideoDemographics.csv: without the actors' sex and age.")
    answers: dict[str, dict[str, list[Rating]]] = {}
    tallied: dict[str, dict[str, Counter[str]]] = {}
    if "responses" in found:
        answers, tallied = _responses(found["responses"], notes)
    votes = _votes(found["votes"]) if "votes" in found else tallied
    if not votes:
        notes.append("There are no tabulatedVotes.csv and finishedResponses.csv: without anybody's votes.")
    elif not answers.get("voice"):
        notes.append(
            "There is no finishedResponses.csv: ratings are the votes of tabulatedVotes.csv one by one, and "
            "their raters are numbered anew for each clip."
        )
    return Tables(actors, _names(found), votes, answers, hashes, tuple(notes))


def proper_stem(name: str) -> str:
    """A recording's name as it should be written: one of the distributed files lacks its last letter.

    >>> proper_stem("1040_ITH_SAD_X"), proper_stem("1001_IEO_SAD_HI")
    ('1040_ITH_SAD_XX', '1001_IEO_SAD_HI')
    """
    upper = name.strip().upper()
    return upper + "X" if upper.endswith("_X") else upper


_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "actors": ("ActorID", "Age", "Sex"),
    "names": ("Filename",),
    "votes": (*LABELS, "fileName"),
    "responses": ("localid", "queryType", "clipName", "respEmo", "respLevel"),
}


def _table(
    folder: Path,
    files: Iterable[media.FoundFile],
    kind: str,
    hashes: dict[str, str],
    notes: list[str],
) -> RawTable | None:
    """The table of a kind that lies nearest to the folder; None without one, or with a Git-LFS pointer."""
    paths = [file.path for file in files if _FILES[kind].fullmatch(file.name)]
    if not paths:
        return None
    path = min(paths, key=lambda p: (p.count("/"), p))
    data = read_bytes(folder / path)
    if data.startswith(LFS_POINTER):
        notes.append(f"{path} is a Git-LFS pointer, not the table (`git lfs pull` fetches it).")
        return None
    hashes[path] = hashlib.sha256(data).hexdigest()
    return parse(data, path, required=_COLUMNS[kind])


def _names(tables: Mapping[str, RawTable]) -> dict[str, str]:
    """The recordings that any table names, and where each was found first."""
    names: dict[str, str] = {}
    for kind, column in (("names", "Filename"), ("votes", "fileName"), ("responses", "clipName")):
        if kind in tables:
            place = tables[kind].columns.index(column)
            for row in tables[kind].rows:
                names.setdefault(proper_stem(row.values[place]), f"{tables[kind].name}:{row.line}")
    return names


def _actors(table: RawTable) -> dict[str, Actor]:
    actor, age, sex = table.positions(_COLUMNS["actors"])
    found = {}
    for row in table.rows:
        years = whole_number(row.values[age])
        if years is None:
            raise InputError(f"{table.name}:{row.line}: bad Age {row.values[age]!r}, expected a whole number")
        told = row.values[sex].strip().lower()
        found[row.values[actor].strip()] = Actor(told if told in _SEXES else None, float(years))
    return found


def _votes(table: RawTable) -> dict[str, dict[str, Counter[str]]]:
    """The votes by clip and way of judging, which the hundred-thousands of a row's own name say."""
    *letters, name = table.positions(_COLUMNS["votes"])
    found: dict[str, dict[str, Counter[str]]] = {}
    for row in table.rows:
        place = f"{table.name}:{row.line}"
        number = whole_number(row.values[0])
        mode = MODES.get((number or 0) // _QUERY)
        if mode is None:
            raise InputError(
                f"{place}: bad row name {row.values[0]!r}, expected 100001 and up (1 voice, 2 face, "
                "3 audio-visual in the hundred-thousands)"
            )
        stem = proper_stem(row.values[name])
        modes = found.setdefault(stem, {})
        if mode in modes:
            raise InputError(f"{place}: {stem} has votes by {mode} twice")
        modes[mode] = Counter()
        for letter, column in zip(LABELS, letters, strict=True):
            count = whole_number(row.values[column])
            if count is None:
                raise InputError(f"{place}: bad {letter} {row.values[column]!r}, expected a whole number")
            modes[mode][LABELS[letter]] = count
    return found


def _responses(
    table: RawTable, notes: list[str]
) -> tuple[dict[str, dict[str, list[Rating]]], dict[str, dict[str, Counter[str]]]]:
    """Each person's answers by way of judging, and all answers counted.

    Answers without a label or given twice are told.
    """
    person, query, clip, emotion, level = table.positions(_COLUMNS["responses"])
    answers: dict[str, dict[str, list[Rating]]] = {}
    counts: dict[str, dict[str, Counter[str]]] = {}
    seen: set[tuple[str, str, str]] = set()
    odd = 0
    for row in table.rows:
        mode = MODES.get(whole_number(row.values[query]) or 0)
        label = LABELS.get(row.values[emotion].strip().upper())
        stem = proper_stem(row.values[clip])
        key = (row.values[person], row.values[query], stem)
        if mode is None or label is None or key in seen:
            odd += 1
            continue
        seen.add(key)
        counts.setdefault(stem, {}).setdefault(mode, Counter())[label] += 1
        strength = whole_number(row.values[level])
        attributes = {} if strength is None else {"level": float(strength)}
        rating = Rating(row.values[person], (label,), attributes)
        answers.setdefault(mode, {}).setdefault(stem, []).append(rating)
    if odd:
        notes.append(f"{table.name}: {odd:,} answers were left out, without a label or given twice.")
    return answers, counts
