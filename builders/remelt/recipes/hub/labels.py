"""Published labels in one form, wherever they come from: ready to be joined to a copy of their corpus."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, bad_value
from ...records import Utterance
from ...rows import SUFFIXES, Keys, Table, cell, file_sha256, find, read_table

if TYPE_CHECKING:
    import pyarrow as pa

    from ...corpora import Corpus
    from ...labels import LabelSet

LABEL_COLUMNS = ("llm_label", "new_label", "label", "emotion")
TEXT_COLUMNS = ("utterance", "text", "transcript")
_TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
_NEEDED = {
    "default": ("id", "label", "original_label", "changed", "character_match", "flags"),
    "annotations": ("id",),
    "dropped": ("id", "split", "stage", "reasons"),
}
_ADVICE = "the rows name no split; --split says which they are of"


@dataclass(frozen=True)
class Labels:
    """Labels of a corpus's utterances.

    Attributes:
        manifest: of a labels-only folder, or one like it.
        tables: rows by config and split, in the columns of a labels-only folder.
        words: id -> the words that were labelled, where the source has them.
        missing: ids that the corpus does not have, as far as they were looked up in reading.
        notices: what the user should know of the source.
    """

    manifest: Mapping[str, Any]
    tables: Mapping[tuple[str, str], pa.Table]
    words: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileOptions:
    """How a table of labels is read.

    Attributes:
        labels: what its labels are from.
        label_column, id_column: the columns; None to find them.
        split: the split of rows that name none.
    """

    labels: LabelSet
    label_column: str | None = None
    id_column: str | None = None
    split: str | None = None


def read_labels(path: Path, corpus: Corpus, options: FileOptions) -> Labels:
    """The labels of a dataset folder, with or without its corpus, or of a table.

    Args:
        path: a labels-only folder, any other remelt dataset, or a CSV, TSV, JSON Lines or Parquet file.
        corpus: the user's copy; a table's ids are looked up in it.
        options: how a table is read.

    Raises:
        InputError: the source cannot be read, or is of no known form.
    """
    if path.is_dir() and (path / "manifest.json").is_file():
        return _from_folder(path)
    file = _only_table(path) if path.is_dir() else path
    if file.suffix.casefold() not in SUFFIXES:
        raise InputError(bad_value("ending of a file of labels", file.name, SUFFIXES))
    table = read_table(file)
    if not table.rows:
        raise InputError(f"{file} holds no rows")
    return _from_table(table, corpus, options)


def _only_table(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("*") if path.suffix.casefold() in _TABLES)
    if len(found) != 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found[:5])
        raise InputError(
            f"{folder} is no remelt dataset, and holds {len(found)} tables{f' ({names})' if names else ''}; "
            "name a file"
        )
    return found[0]


def _from_folder(path: Path) -> Labels:
    from ...publishing import read_manifest
    from ...publishing.labels_only import labels_manifest, labels_table, left_out
    from ...publishing.layout import CONFIGS, check_splits
    from ...publishing.reading import read_split

    manifest = read_manifest(path)
    check_splits(manifest["splits"])
    places = [(config, split) for config in CONFIGS for split in manifest["splits"]]
    if manifest.get("labels_only"):
        found = {place: read_split(path, manifest, *place) for place in places}
        for (config, split), table in found.items():
            if lost := [name for name in _NEEDED[config] if name not in table.column_names]:
                raise InputError(f"{path}: the rows of {config}/{split} lack the columns {lost!r}")
        return Labels(manifest, found)
    missing = left_out(path, manifest)
    before = manifest.get("left_out", {}).get("answers", ())
    missing["answers"] += [name for name in before if name not in missing["answers"]]
    made = labels_manifest(manifest, missing, "")
    tables = {place: labels_table(path, manifest, *place, "") for place in places}
    return Labels(made, tables, _published_words(path, manifest))


def _published_words(path: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    from ...publishing.labels_only import WORDS
    from ...publishing.reading import read_split
    from ...publishing.surrogates import unescape

    found = {}
    for split in manifest["splits"]:
        table = read_split(path, manifest, "default", split, WORDS)
        if len(table.column_names) < len(WORDS):
            continue
        columns = (table[name].to_pylist() for name in WORDS)
        for identity, text, repaired in zip(*columns, strict=True):
            found[unescape(identity)] = unescape(text if repaired is None else repaired)
    return found


def _from_table(table: Table, corpus: Corpus, options: FileOptions) -> Labels:
    from ...corpora.text import mend

    columns = list(dict.fromkeys(name for row in table.rows for name in row))
    label = find(columns, (options.label_column,) if options.label_column else LABEL_COLUMNS)
    if label is None:
        wanted = options.label_column or LABEL_COLUMNS
        raise InputError(
            f"{table.path}: {bad_value('label column', wanted, columns)}; --label-column names it"
        )
    keys = Keys(table.path, columns, options.split, table.rows[0], _ADVICE, options.id_column, any_name=True)
    text = find(columns, TEXT_COLUMNS)
    known = _by_name(corpus.utterances)
    given: dict[str, tuple[Utterance, str]] = {}
    words, missing = {}, []
    for number, row in enumerate(table.rows, 1):
        key = keys.key(table.place(number), row)
        found = known.get(key)
        if found is None:
            missing.append(key)
            continue
        if found.id in given:
            raise InputError(f"{table.place(number)}: {found.id} comes twice")
        given[found.id] = (found, cell(row.get(label)))
        if text is not None:
            words[found.id] = mend(cell(row.get(text)))[0]
    if not given:
        raise InputError(
            f"None of the {len(missing):,} ids of {table.path} is one of the corpus, such as {missing[0]!r}; "
            f"it has {corpus.utterances[0].id if corpus.utterances else 'no utterance'!r}"
        )
    manifest, tables = _tables(given, table.path, corpus, options.labels)
    notice = f"{table.path.name}: the labels are taken from the column {label!r}"
    return Labels(manifest, tables, words, tuple(missing), (notice,))


def _by_name(utterances: Sequence[Utterance]) -> dict[str, Utterance]:
    """By id, by id without the corpus, and by the clip's name where only one utterance has it."""
    found: dict[str, Utterance] = {}
    clips: dict[str, list[Utterance]] = {}
    for row in utterances:
        if row.clip:
            for name in {row.clip, Path(row.clip).name, Path(row.clip).stem}:
                clips.setdefault(name, []).append(row)
    found |= {name: rows[0] for name, rows in clips.items() if len(rows) == 1}
    for row in utterances:
        found[row.id.partition("/")[2]] = row
    return found | {row.id: row for row in utterances}


def _tables(
    given: Mapping[str, tuple[Utterance, str]], path: Path, corpus: Corpus, labels: LabelSet
) -> tuple[dict[str, Any], dict[tuple[str, str], pa.Table]]:
    """What a labels-only folder of these rows would hold."""
    from ...publishing.labels_only import label_rows

    splits = [split for split in corpus.splits if any(u.split == split for u, _ in given.values())]
    tables: dict[tuple[str, str], pa.Table] = {}
    counts = {}
    status = {"valid": 0, "invalid": 0, "refused": 0, "error": 0}
    own = {u.label for u, _ in given.values() if u.label is not None}
    names = (*labels.labels, *sorted(own - set(labels.labels)))
    for split in splits:
        rows = [(u, labels.parse(said)) for u, said in given.values() if u.split == split]
        off = [u for u, label in rows if label is None]
        kept = len(rows) - len(off)
        status["valid"] += kept
        status["invalid"] += len(off)
        plain = [(u.id, label, u.label, u.flags) for u, label in rows]
        made = label_rows(plain, path.stem, split, labels.labels, names)
        tables |= {(config, split): table for config, table in made.items()}
        counts[split] = {"input": len(rows), "kept": kept, "dropped": 0, "quarantined": len(off)}
    return _manifest(path, corpus, labels, splits, counts, status), tables


def _manifest(
    path: Path,
    corpus: Corpus,
    labels: LabelSet,
    splits: Sequence[str],
    counts: Mapping[str, Any],
    status: Mapping[str, int],
) -> dict[str, Any]:
    import platform
    from datetime import datetime, timezone

    from ... import __version__, answers
    from ...records import digest

    schema = answers.load_schema("label", labels)
    return {
        "format": 1,
        "remelt_version": __version__,
        "recipe": "melt",
        "corpus": {"name": corpus.name},
        "splits": list(splits),
        "profile": {"name": "none", "options": {}},
        "label_set": {
            "name": labels.name,
            "labels": list(labels.labels),
            "prompt_order": list(labels.prompt_order),
            "label_field": "label",
        },
        "prompt": None,
        "schema": {"name": "label", "sha256": digest(schema), "json": schema},
        "annotator": {
            "name": path.stem,
            "model": path.stem,
            "endpoint": f"sha256:{file_sha256(path)}",
            "parameters": {},
            "notices": [],
            "means": {"import": sum(status.values())},
        },
        "options": {},
        "counts": dict(counts),
        "attrition": [],
        "replies": {
            "total": sum(status.values()),
            **status,
            **dict.fromkeys(("input_tokens", "output_tokens", "cost")),
        },
        "notes": [],
        "files": {},
        "versions": {"python": platform.python_version()},
        "created": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "labels_only": True,
        "left_out": {"corpus": [], "answers": []},
    }


def known_ids(labels: Labels, configs: Collection[str] = ("default", "dropped")) -> list[str]:
    """The ids of the rows of these configs, in order."""
    from ...publishing.surrogates import unescape

    return [
        unescape(name)
        for (config, _), table in labels.tables.items()
        if config in configs
        for name in table["id"].to_pylist()
    ]
