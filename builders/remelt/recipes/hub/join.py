"""Joins published labels to the user's own copy of their corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...records import Utterance
from ..reporting import Reporter
from .labels import FileOptions, Labels, known_ids, read_labels
from .sources import PREFIX, fetched

if TYPE_CHECKING:
    import pyarrow as pa

    from ...corpora import Corpus, TableMapping
    from ...labels import LabelSet
    from ...protocols import AudioStore
    from ...publishing.columns import Columns

_SHOWN = 5


@dataclass(frozen=True)
class JoinOptions:
    """What is joined to what.

    Attributes:
        labels: a folder, a table, or `hub:USER/NAME@REVISION`.
        corpus: the user's copy, as for a build.
        out: the folder to write.
        corpus_name: a reader, or the name of a table's corpus; by default the one of the labels.
        mapping: the columns of a table corpus.
        split, label_column, id_column: how a table of labels is read (see `labels.FileOptions`).
        label_set: what a table's labels are from; None for MELT's seven.
        audio: whether the corpus's own sound files go into the column `audio`.
        drop_different: leave out rows with other words, instead of flagging them.
    """

    labels: str
    corpus: str
    out: Path
    corpus_name: str | None = None
    mapping: TableMapping | None = None
    split: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    label_set: LabelSet | None = None
    audio: bool = False
    drop_different: bool = False


@dataclass(frozen=True)
class JoinReport:
    """What matched and what did not; ids in the order of the labels, or of the corpus.

    Attributes:
        labels: rows with a label.
        joined: those in the new folder.
        checked: those whose words could be compared.
        missing: ids with a label that the corpus does not have.
        different: ids whose words are others than those that were labelled.
        relabelled: ids whose original label is another one in the corpus.
        unlabelled: ids of the corpus, in the splits of the labels, that these say nothing of.
        words: for different rows, the words that were labelled and those of the corpus, where both are known.
    """

    labels: int
    joined: int
    checked: int
    missing: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    relabelled: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def matches(self) -> bool:
        """Whether every label has its utterance, with the words and the label it had."""
        return not (self.missing or self.different or self.relabelled)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON, all ids named."""
        return {
            "labels": self.labels,
            "joined": self.joined,
            "checked": self.checked,
            "matches": self.matches,
            **{
                name: {"count": len(getattr(self, name)), "ids": list(getattr(self, name))}
                for name in ("missing", "different", "relabelled", "unlabelled")
            },
            "words": {name: {"labelled": a, "corpus": b} for name, (a, b) in self.words.items()},
        }


@dataclass(frozen=True)
class JoinResult:
    """What a join made.

    Attributes:
        out: the folder.
        manifest: its manifest.
        report: what matched.
    """

    out: Path
    manifest: Mapping[str, Any]
    report: JoinReport


def join(options: JoinOptions, reporter: Reporter | None = None) -> JoinResult:
    """Writes a dataset folder of the labels' rows with the words, speakers and times of the user's copy.

    The columns of a dataset whose labels were published come back as they were, but for those that the labels
    left out. The folder has no replies: it can be loaded, audited and verified, not rebuilt.

    Args:
        options: see `JoinOptions`.
        reporter: is told what happens.

    Raises:
        InputError: labels or corpus cannot be read, no label fits, most words are others, or `out` holds
            something else.
        Interrupted: the Hub cannot be reached, or the disk is full.
    """
    from ...labels import MELT
    from ...publishing.reduced import check_target

    reporter = reporter or Reporter()
    check_target(options.out, "joined")
    reporter.stage(f"Reading {options.labels}")
    path = fetched(options.labels)
    reporter.stage(f"Reading {options.corpus}")
    corpus = _corpus(path, options)
    wanted = FileOptions(options.label_set or MELT, options.label_column, options.id_column, options.split)
    labels = read_labels(path, corpus, wanted)
    for notice in labels.notices:
        reporter.notice(notice)
    mine = {row.id: row for row in corpus.utterances}
    report = _compare(labels, corpus, mine)
    _check(report, labels, corpus, options)
    left = set(report.different) if options.drop_different else set()
    found = {name: mine[name] for name in known_ids(labels) if name in mine and name not in left}
    report = replace(report, joined=report.joined - len(left))
    reporter.stage("Writing the dataset")
    manifest = _write(labels, corpus, found, report, options)
    return JoinResult(options.out, manifest, report)


def _corpus(path: Path, options: JoinOptions) -> Corpus:
    """The user's copy, under the name that the labels know it by."""
    from ... import corpora
    from ...publishing import read_manifest

    name = options.corpus_name
    if name is None and (path / "manifest.json").is_file() and _is_table(options):
        # A table gets any name; a corpus with a reader of its own keeps its own.
        name = str(read_manifest(path)["corpus"]["name"])
    return corpora.load(options.corpus, name=name, mapping=options.mapping)


def _is_table(options: JoinOptions) -> bool:
    from ... import corpora

    if options.mapping is not None:
        return True
    return options.corpus != "sample" and corpora.detect(options.corpus) == "table"


def _compare(labels: Labels, corpus: Corpus, mine: Mapping[str, Utterance]) -> JoinReport:
    from ...publishing.labels_only import CHECK, plain_words, text_check
    from ...publishing.surrogates import unescape

    salt = str((labels.manifest.get("check") or {}).get("salt") or "")
    missing, different, relabelled, checked = list(labels.missing), [], [], 0
    rows = 0
    for (config, _), table in labels.tables.items():
        if config != "default":
            continue
        rows += table.num_rows
        checks = table[CHECK].to_pylist() if CHECK in table.column_names else [None] * table.num_rows
        before = _names(table, "original_label")
        for name, check, label in zip(table["id"].to_pylist(), checks, before, strict=True):
            identity = unescape(name)
            row = mine.get(identity)
            if row is None:
                missing.append(identity)
                continue
            if label != row.label:
                relabelled.append(identity)
            told = labels.words.get(identity)
            if check is None and told is None:
                continue
            checked += 1
            if check is not None:
                same = text_check(salt, identity, row.words) == check
            else:
                same = plain_words(str(told)) == plain_words(row.words)
            if not same:
                different.append(identity)
    spoken = {*known_ids(labels), *labels.missing}
    return JoinReport(
        labels=rows + len(labels.missing),
        joined=rows + len(labels.missing) - len(missing),
        checked=checked,
        missing=tuple(missing),
        different=tuple(different),
        relabelled=tuple(relabelled),
        unlabelled=tuple(u.id for u in _of_splits(labels, corpus) if u.id not in spoken),
        words={name: (labels.words[name], mine[name].words) for name in different if name in labels.words},
    )


def _of_splits(labels: Labels, corpus: Corpus) -> Iterator[Utterance]:
    """The utterances of the corpus's splits that the labels are of, by their ids."""
    splits = {name.split("/", 2)[1] for name in known_ids(labels) if name.count("/") > 1}
    return (row for row in corpus.utterances if row.split in splits)


def _names(table: pa.Table, column: str) -> list[str | None]:
    from ...publishing.reduced_checks import class_names

    names = class_names(table, column)
    return [None if code is None else names[code] for code in table[column].to_pylist()]


def _check(report: JoinReport, labels: Labels, corpus: Corpus, options: JoinOptions) -> None:
    """Refuses a corpus that cannot be the one of the labels."""
    ours = corpus.utterances[0].id if corpus.utterances else "no utterance"
    if not report.labels:
        raise InputError(f"{options.labels} has no row with a label; there is nothing to join")
    if not report.joined:
        raise InputError(
            f"None of the {report.labels:,} ids of {options.labels} is in {options.corpus}, such as "
            f"{report.missing[0]!r}; the corpus has {ours!r}"
        )
    if 2 * len(report.different) > report.checked:
        raise InputError(
            f"{len(report.different):,} of {report.checked:,} rows of {options.labels} have other words in "
            f"{options.corpus}, such as {', '.join(report.different[:_SHOWN])}: another corpus, it seems"
        )


def _write(
    labels: Labels, corpus: Corpus, found: Mapping[str, Utterance], report: JoinReport, options: JoinOptions
) -> dict[str, Any]:
    from ...publishing.joined import full_schema, joined_columns, voice_of
    from ...publishing.reduced import write_reduced

    first = next(table for (config, _), table in labels.tables.items() if config == "default")
    columns = joined_columns(first, labels.manifest, found.values(), options.audio)
    sound = (full_schema(columns), _sounds(corpus, found)) if options.audio else None
    tables = list(_joined(labels, found, report.different, columns))
    manifest = _manifest(labels, corpus, tables, report, options)
    voice = voice_of(labels.manifest.get("voice"), columns)
    if voice is not None:
        manifest["voice"] = voice
    return write_reduced(options.out, manifest, tables, sound)


def _joined(
    labels: Labels, found: Mapping[str, Utterance], different: Sequence[str], columns: Columns
) -> Iterator[tuple[str, str, pa.Table]]:
    from ...publishing.joined import joined_drops, joined_table

    for (config, split), table in labels.tables.items():
        if config == "default":
            yield config, split, joined_table(table, found, different, columns)
        elif config == "dropped":
            yield config, split, joined_drops(table, found, columns)
        else:
            yield config, split, table


def _sounds(corpus: Corpus, found: Mapping[str, Utterance]) -> AudioStore:
    from ..listening.clips import SoundFiles

    files = {row.id: corpus.folder / row.clip for row in found.values() if row.clip is not None}
    there = {name: path for name, path in files.items() if path.is_file()}
    # An utterance that is a part of a longer recording has no file of its own.
    whole = [row for row in found.values() if row.clip_start is None and row.clip_end is None]
    if not any(row.id in there for row in whole):
        raise InputError(f"{corpus.folder} has no sound file for any of these rows; leave out --audio")
    return SoundFiles(whole, there, corpus.folder)


def _manifest(
    labels: Labels,
    corpus: Corpus,
    tables: Sequence[tuple[str, str, pa.Table]],
    report: JoinReport,
    options: JoinOptions,
) -> dict[str, Any]:
    before = labels.manifest
    manifest = {key: value for key, value in before.items() if key not in ("labels_only", "check", "voice")}
    own = {"licence": corpus.licence, "homepage": corpus.homepage, "citation": corpus.citation}
    manifest["corpus"] = {
        **_known(corpus.name),
        **{key: value for key, value in own.items() if value},
        **before["corpus"],
        "files": dict(corpus.files),
    }
    manifest["counts"] = {split: _counts(split, tables, before) for split in before["splits"]}
    manifest["left_out"] = {"corpus": [], "answers": before.get("left_out", {}).get("answers", [])}
    name = options.labels if options.labels.startswith(PREFIX) else Path(options.labels).name
    manifest["joined"] = {
        "labels": name,
        "published": before["files"],
        **{key: getattr(report, key) for key in ("joined", "checked")},
        **{key: len(getattr(report, key)) for key in ("missing", "different", "relabelled", "unlabelled")},
    }
    return manifest


def _known(corpus: str) -> dict[str, str]:
    """Title and language of a corpus with a reader of its own."""
    from ... import corpora

    if corpus not in corpora.names() or corpus == "table":
        return {}
    info = corpora.info(corpus)
    found = {"title": info.title, "language": info.language}
    return {key: value for key, value in found.items() if value}


def _counts(
    split: str, tables: Sequence[tuple[str, str, pa.Table]], before: Mapping[str, Any]
) -> dict[str, int]:
    from collections import Counter

    kept = sum(table.num_rows for config, of, table in tables if (config, of) == ("default", split))
    stages = Counter(
        stage
        for config, of, table in tables
        if (config, of) == ("dropped", split)
        for stage in table["stage"].to_pylist()
    )
    found = {"kept": kept, "dropped": stages["selection"], "quarantined": stages["annotation"]}
    if "unresolved" in before["counts"].get(split, {}):
        found["unresolved"] = stages["resolution"]
    return {"input": sum(found.values()), **found}
