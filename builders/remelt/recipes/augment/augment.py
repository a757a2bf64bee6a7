"""Pseudo-labelled rows for the training folds of another corpus (Feng & Narayanan 2023, section 4.4).

The paper adds MELD or MSP-Podcast with voted labels to the training folds of IEMOCAP and MSP-Improv. Such a
row never validates and never tests, and nothing that tests is among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...records import Utterance
from ..listening.texts import Texts
from ..reporting import Reporter
from .folds import AUTO, NEXT, TRAIN, VALIDATION, Fold, make_folds, untested

if TYPE_CHECKING:
    from ...corpora import Corpus, TableMapping

NAME = "augment"
HUMAN, PSEUDO = "human", "pseudo"
_COLUMNS = (
    "id", "speaker", "text", "text_repaired", "duration", "label", "vote_share", "clip", "session",
    "clip_start", "clip_end",
)  # fmt: skip
_SHOWN = 3


@dataclass(frozen=True)
class AugmentOptions:
    """What `augment` needs to know.

    Attributes:
        corpus: the corpus that gets more training rows: its folder or table file.
        sources: dataset folders made by remelt whose rows are added.
        to: the folder to make.
        corpus_name, mapping: see `BuildOptions`.
        folds, validation: see `augmentation_folds.make_folds`.
        labels: the classes; None for those that the corpus and the added rows have in common.
        splits: the splits of the sources to add; None for all.
        texts: the words of the corpus's rows.
    """

    corpus: str
    sources: tuple[Path, ...]
    to: Path
    corpus_name: str | None = None
    mapping: TableMapping | None = None
    folds: str = AUTO
    validation: str = NEXT
    labels: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    texts: Texts = field(default_factory=Texts)

    def __post_init__(self) -> None:
        # From Python a path is often a plain string, and a corpus a path.
        object.__setattr__(self, "corpus", str(self.corpus))
        object.__setattr__(self, "to", Path(self.to))
        object.__setattr__(self, "sources", tuple(Path(source) for source in self.sources))
        if not self.sources:
            raise InputError("No dataset is named whose rows are added")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a fold, whoever labelled it; None where it has no such thing.

    Attributes:
        origin: `human` for the corpus's own label, `pseudo` for a source's.
        source_split: the split that it has in its own corpus or dataset.
        duration: seconds, by the time stamps, else of the clip.
        clip: path in its own corpus's folder.
        vote_share: the label's share of the votes, for pseudo-labelled rows that were voted on.
    """

    id: str
    corpus: str
    origin: str
    source_split: str
    speaker: str
    session: str | None
    text: str | None
    label: str
    duration: float | None
    clip: str | None
    clip_start: float | None
    clip_end: float | None
    vote_share: float | None = None


@dataclass(frozen=True)
class Source:
    """A dataset whose rows are added.

    Attributes:
        folder: the dataset folder.
        manifest: its manifest.
        labels: those that its rows can have.
        rows: all rows of the splits that were asked for.
        clips: the folder of its clips on this machine; None where it is not known.
    """

    folder: Path
    manifest: Mapping[str, Any]
    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    clips: Path | None


@dataclass(frozen=True)
class Augmented:
    """What `augment` made.

    Attributes:
        to: the folder.
        manifest: its manifest.json.
    """

    to: Path
    manifest: Mapping[str, Any]


def augment(options: AugmentOptions, reporter: Reporter | None = None) -> Augmented:
    """Divides a corpus into folds and adds pseudo-labelled rows to the training part of each.

    Args:
        options: see `AugmentOptions`.
        reporter: is told what happens.

    Raises:
        InputError: an option or a file that cannot be used; no class in common; or rows of the corpus
            itself among those to add: the same corpus, the same ids, or the same clips.
    """
    from .files import check_folder, write
    from .leaks import refuse_leaks, same_words

    reporter = reporter or Reporter()
    check_folder(options.to)
    corpus = _corpus(options, reporter)
    sources = [read_source(folder, options.splits) for folder in options.sources]
    compared = refuse_leaks(corpus, sources)
    classes = _classes(corpus, sources, options.labels)
    own = [u for u in corpus.utterances if u.label in classes]
    added = [row for source in sources for row in source.rows if row.label in classes]
    if not added:
        raise InputError(f"None of the rows to add has a label out of {list(classes)!r}")
    reporter.stage("Dividing into folds")
    folds = make_folds(own, options.folds, options.validation)
    test = _test_rows(folds)
    alike = [same_words(test, (r for r in s.rows if r.label in classes)) for s in sources]
    notes = [
        *compared.notes,
        *filter(None, [untested(folds)]),
        *(
            _told(source, len(test), count)
            for source, count in zip(sources, alike, strict=True)
            if test and count != 0
        ),
    ]
    for note in notes:
        reporter.notice(note)
    reporter.stage(f"Writing {options.to}")
    record = {
        "target": {**_target_record(corpus, classes, options), "sounds_compared": compared.own},
        "sources": [
            {
                **_source_record(source, classes),
                "sounds_compared": compared.added[source.folder],
                "same_words_in_test": count,
            }
            for source, count in zip(sources, alike, strict=True)
        ],
        "options": {"folds": options.folds, "validation": options.validation, **options.texts.record()},
        "notes": [*corpus.notes, *notes],
    }
    manifest = write(options.to, folds, _filled(folds, added), classes, record)
    return Augmented(options.to, manifest)


def _corpus(options: AugmentOptions, reporter: Reporter) -> Corpus:
    from ... import corpora
    from ..common_labels import common_labels

    reporter.stage(f"Reading {options.corpus}")
    corpus = corpora.load(options.corpus, name=options.corpus_name, mapping=options.mapping)
    corpus = options.texts.prepare(common_labels(corpus), reporter)
    if not any(u.label for u in corpus.utterances):
        raise InputError(f"{options.corpus} has no labels, so nothing can be trained or tested on it")
    return corpus


def read_source(folder: Path, splits: Sequence[str] | None = None) -> Source:
    """The rows of a dataset made by remelt.

    Args:
        folder: the dataset folder.
        splits: those to take; None for all.

    Raises:
        InputError: no dataset there, or no such split.
    """
    import json

    from ...publishing import read_manifest
    from ..exchange.additions import published_labels
    from ..exchange.keeping import settled

    settled(folder)
    manifest = read_manifest(folder)
    for split in splits or ():
        if split not in manifest["splits"]:
            raise InputError(f"{folder}: {bad_value('split', split, manifest['splits'])}")
    known = published_labels(folder)
    rows = [row for split in splits or manifest["splits"] for row in _rows(folder, manifest, split)]
    local = folder / ".remelt" / "local.json"
    clips = None
    if local.is_file():
        clips = Path(json.loads(local.read_text(encoding="utf-8"))["corpus_folder"])
    labels = tuple(label for label in known.labels if label not in known.reject)
    return Source(folder, manifest, labels, tuple(rows), clips if clips and clips.is_dir() else None)


def _rows(folder: Path, manifest: Mapping[str, Any], split: str) -> list[Row]:
    from ...publishing.reading import read_split
    from ...publishing.surrogates import unescape

    corpus, labels = manifest["corpus"]["name"], manifest["label_set"]["labels"]
    found = []
    for values in read_split(folder, manifest, "default", split, _COLUMNS).to_pylist():
        words = values.get("text_repaired") or values["text"]
        found.append(
            Row(
                id=unescape(values["id"]),
                corpus=corpus,
                origin=PSEUDO,
                source_split=split,
                speaker=values["speaker"],
                session=values.get("session"),
                text=words or None,
                label=labels[values["label"]],
                duration=values["duration"],
                clip=values["clip"],
                clip_start=values.get("clip_start"),
                clip_end=values.get("clip_end"),
                vote_share=values.get("vote_share"),
            )
        )
    return found


def _classes(corpus: Corpus, sources: Sequence[Source], asked: Sequence[str] | None) -> tuple[str, ...]:
    """The classes, sorted: those asked for, else those that both sides have."""
    ours = {u.label for u in corpus.utterances if u.label is not None}
    theirs = {label for source in sources for label in source.labels}
    if asked is not None:
        wanted = sorted({label.strip().casefold() for label in asked})
        for label in wanted:
            if label not in ours:
                raise InputError(bad_value(f"class (of {corpus.name})", label, sorted(ours)))
        return tuple(wanted)
    common = tuple(sorted(ours & theirs))
    if len(common) < 2:
        raise InputError(
            f"{corpus.name} ({sorted(ours)!r}) and the rows to add ({sorted(theirs)!r}) have {len(common)} "
            "class names in common; two or more are needed"
        )
    return common


def _filled(folds: Sequence[Fold], added: Sequence[Row]) -> dict[str, dict[str, list[Row]]]:
    """Fold -> split -> rows: the corpus's own, and in the training part those that are added."""
    return {
        fold.name: {
            split: [*map(_own, rows), *(added if split == TRAIN else ())]
            for split, rows in fold.splits.items()
        }
        for fold in folds
    }


def _test_rows(folds: Sequence[Fold]) -> list[Utterance]:
    """The rows that test in any fold, each once."""
    found = {
        row.id: row
        for fold in folds
        for split, rows in fold.splits.items()
        if split not in (TRAIN, VALIDATION)
        for row in rows
    }
    return list(found.values())


def _told(source: Source, tested: int, count: int | None) -> str:
    name = source.folder.resolve().name
    if count is None:
        return f"The words were not compared: the test rows or those of {name} have none."
    return (
        f"{count:,} of the {tested:,} test rows have the words and the speaker of rows of {name}. Where all "
        "speakers are given the same sentences that is to be expected; else test rows may be trained on."
    )


def _own(utterance: Utterance) -> Row:
    assert utterance.label is not None
    duration = utterance.clip_duration if utterance.duration is None else utterance.duration
    return Row(
        id=utterance.id,
        corpus=utterance.corpus,
        origin=HUMAN,
        source_split=utterance.split,
        speaker=utterance.speaker,
        session=utterance.session,
        text=utterance.words.strip() or None,
        label=utterance.label,
        duration=duration,
        clip=utterance.clip,
        clip_start=utterance.clip_start,
        clip_end=utterance.clip_end,
    )


def _target_record(corpus: Corpus, classes: Sequence[str], options: AugmentOptions) -> dict[str, Any]:
    from ... import corpora

    left = Counter(str(u.label) for u in corpus.utterances if u.label not in classes)
    info = corpora.info(corpus.name) if corpus.name in corpora.names() else None
    return {
        "corpus": corpus.name,
        "title": info.title if info else corpus.name,
        "licence": corpus.licence,
        "homepage": corpus.homepage,
        "citation": corpus.citation,
        "files": dict(corpus.files),
        "folder": corpus.folder,
        "rows": sum(u.label in classes for u in corpus.utterances),
        "other_labels": dict(sorted(left.items())),
    }


def _source_record(source: Source, classes: Sequence[str]) -> dict[str, Any]:
    manifest = source.manifest
    corpus = manifest["corpus"]
    left = Counter(row.label for row in source.rows if row.label not in classes)
    return {
        "dataset": source.folder.resolve().name,
        "recipe": manifest["recipe"],
        "created": manifest["created"],
        "annotators": [m["name"] for m in manifest.get("annotators", [manifest["annotator"]])],
        "rule": (manifest.get("resolution") or {}).get("rule"),
        "corpus": corpus["name"],
        "title": corpus.get("title") or corpus["name"],
        "licence": corpus.get("licence") or "",
        "homepage": corpus.get("homepage") or "",
        "citation": corpus.get("citation") or "",
        "folder": source.clips,
        "data": {n: f["sha256"] for n, f in manifest["files"].items() if n.startswith("data/")},
        "rows": len(source.rows) - sum(left.values()),
        "other_labels": dict(sorted(left.items())),
    }
