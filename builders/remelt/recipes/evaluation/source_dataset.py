"""A dataset made by remelt as material: new labels, old ones, every voter's, and the turns between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...evaluation.examples import Example
from ..ordering import natural
from .base import NEW, OLD, Material
from .scaling import DIMENSIONS, SCALES, Scaler
from .source_corpus import spoken_alone
from .source_rest import Rest, missing, plain, rest_of
from .sources import CommonNames, Wants, missing_clips, wanted_splits

if TYPE_CHECKING:
    from ...evaluation.examples import SoundSource
    from ..reporting import Reporter

_VOTES, _AUDIO, _TRANSCRIPT, _HEARD_BY = "votes", "audio", "transcript", "transcript_source"
_KEPT = (
    "id", "speaker", "text", "text_repaired", "dialogue_id", "utterance_id", "label", "original_label",
    "clip", "sex", "session", "clip_start", "clip_end", _VOTES, _TRANSCRIPT, _HEARD_BY,
)  # fmt: skip
_OWN = frozenset({OLD, NEW})


def read(folder: Path, source: str, wants: Wants, reporter: Reporter) -> Material:
    """Reads the kept rows with their labels, and the dropped ones as turns without a label.

    The rows of a split without a new label at all have their old ones. So have those of splits that only the
    corpus has, where its folder is named; other rows of it that are not in the dataset are turns.

    Raises:
        InputError: files are missing or unreadable, or a value of a dimension is out of its scale.
    """
    from ...publishing import read_manifest
    from ..exchange.additions import published_labels
    from ..exchange.keeping import settled

    settled(folder)
    manifest = read_manifest(folder)
    corpus = str(manifest["corpus"]["name"])
    reporter.stage(f"Reading {source}")
    kept = [row for split in manifest["splits"] for row in _rows(folder, manifest, split)]
    rest = None if wants.clips is None else rest_of(corpus, wants.clips, frozenset(row["id"] for row in kept))
    # A dataset that was divided anew holds all that its corpus's splits would give.
    more = rest.splits if rest is not None and not manifest.get("resplit") else ()
    splits = wanted_splits(source, wants.splits, dict.fromkeys((*manifest["splits"], *more)))
    kept = [row for row in kept if row["split"] in splits]
    dropped = [] if _without_drops(manifest) else _dropped(folder, manifest, splits)
    given = published_labels(folder)
    common = CommonNames(corpus, given.reject, given.labels)
    # A split that nobody annotated can still validate and test.
    annotated = {row["split"] for row in kept}
    told = ""
    if rest is not None:
        added, told = missing(rest, [*kept, *dropped], splits if more else ())
        dropped += added
    whole = [row for row in dropped if row["split"] not in annotated]
    labels = _conditions([*kept, *whole], common)
    heard, sounds, lost = _sounds(folder, manifest, [*kept, *(dropped if more else whole)], rest)
    scaler = Scaler(corpus, wants.scale)
    examples = _in_order([*kept, *dropped], corpus, heard, scaler)
    place = wants.clips or folder
    notes = (common.note(source), told, scaler.note(), missing_clips(examples, place, lost))
    return Material(
        name=corpus,
        source=source,
        kind="dataset",
        examples=examples,
        labels=labels,
        sounds=sounds,
        transcripts=_transcripts(kept),
        notes=tuple(filter(None, notes)),
    )


def _without_drops(manifest: Mapping[str, Any]) -> bool:
    return bool(manifest.get("labels_only")) or not any(n.startswith("dropped/") for n in manifest["files"])


def _rows(folder: Path, manifest: Mapping[str, Any], split: str) -> Iterator[dict[str, Any]]:
    """The rows of a split, labels as names."""
    from datasets import ClassLabel, Features

    from ...publishing.reading import read_split, split_schema

    schema = split_schema(folder, manifest, "default", split)
    if "text" not in schema.names:
        raise InputError(
            f"{folder} has labels only and no words; `remelt join` puts them together with a copy of it"
        )
    names = {
        column: feature.names
        for column, feature in Features.from_arrow_schema(schema).items()
        if isinstance(feature, ClassLabel)
    }
    # A dimension is a column of its own.
    dimensions = [name for name in SCALES.get(str(manifest["corpus"]["name"]), ()) if name not in _KEPT]
    wanted = (*_KEPT, *dict.fromkeys((*dimensions, *DIMENSIONS)))
    columns = [column for column in wanted if column in schema.names]
    for row in read_split(folder, manifest, "default", split, columns).to_pylist():
        values = {name: _plain(value) for name, value in row.items()}
        values["attributes"] = {name: row[name] for name in columns if name not in _KEPT}
        for column in ("label", "original_label"):
            number = row.get(column)
            values[column] = names[column][number] if isinstance(number, int) and number >= 0 else None
        yield {**values, "split": split}


def _plain(value: Any) -> Any:
    from ...publishing.surrogates import unescape

    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _dropped(folder: Path, manifest: Mapping[str, Any], splits: Sequence[str]) -> list[dict[str, Any]]:
    from ...publishing.reading import read_dropped

    wanted = set(splits)
    return [plain(drop.utterance) for drop in read_dropped(folder) if drop.utterance.split in wanted]


def _conditions(rows: Sequence[Mapping[str, Any]], common: CommonNames) -> dict[str, dict[str, str]]:
    """`new`, `old` and every voter's labels, where there are any."""
    found: dict[str, dict[str, str]] = {NEW: {}, OLD: {}}
    for row in rows:
        given = {NEW: row["label"], OLD: row["original_label"]}
        given |= {
            str(vote["source"]): vote["label"]
            for vote in row.get(_VOTES) or ()
            if str(vote["source"]) not in _OWN
        }
        for condition, label in given.items():
            name = common(label)
            if name is not None:
                found.setdefault(condition, {})[row["id"]] = name
    return {condition: labels for condition, labels in found.items() if labels}


def _transcripts(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        words = (row.get(_TRANSCRIPT) or "").strip()
        if words:
            found.setdefault(str(row.get(_HEARD_BY) or "asr"), {})[row["id"]] = words
    return found


def _sounds(
    folder: Path, manifest: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], rest: Rest | None
) -> tuple[frozenset[str], SoundSource | None, list[str]]:
    """Whose sound is there, where it is read from, and whose is missing."""
    from .sounds import SharedSounds

    clips = rest.clips if rest is not None else None
    inside: frozenset[str] = frozenset()
    column: SoundSource | None = None
    if _AUDIO in (manifest.get("voice") or {}).get("columns", ()):
        inside, column = _from_column(folder, manifest)
        if clips is None:
            return inside, column, []
        rows = [row for row in rows if row["id"] not in inside]
    root = clips if clips is not None else _noted_folder(folder)
    if root is None or not any(row.get("clip") for row in rows):
        if clips is not None and column is None:
            why = f", nor can a corpus be read from it: {rest.why}" if rest is not None else ""
            raise InputError(f"{folder} names no clips, so none can be taken from {clips}{why}")
        return inside, column, []
    if not root.is_dir():
        raise InputError(f"There is no folder {root} with the corpus's clips")
    outside, sounds, lost = _from_clips(root, rows)
    if column is None or sounds is None:
        return inside | outside, column or sounds, lost
    shared = SharedSounds({**dict.fromkeys(outside, sounds), **dict.fromkeys(inside, column)})
    return inside | outside, shared, lost


def _from_column(folder: Path, manifest: Mapping[str, Any]) -> tuple[frozenset[str], SoundSource]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ...publishing.layout import shards
    from ...publishing.sounds import PublishedAudio
    from ...publishing.surrogates import unescape
    from .sounds import ColumnSounds

    heard: list[str] = []
    for split in manifest["splits"]:
        for path in shards(folder, manifest["files"], "default", split):
            # The path is there exactly where the bytes are, and is small.
            try:
                with pq.ParquetFile(path) as file:
                    rows = file.read(columns=["id", f"{_AUDIO}.path"]).to_pylist()
            except (OSError, pa.ArrowException) as error:
                raise InputError(f"{path} cannot be read as Parquet: {error}") from error
            found = (row["id"] for row in rows if (row[_AUDIO] or {}).get("path") is not None)
            heard.extend(unescape(name) for name in found)
    return frozenset(heard), ColumnSounds(PublishedAudio(folder))


def _from_clips(
    root: Path, rows: Sequence[Mapping[str, Any]]
) -> tuple[frozenset[str], SoundSource | None, list[str]]:
    from ...voice.audio import Source
    from .sounds import ClipSounds

    found: dict[str, Source] = {}
    lost = []
    base = root.resolve()
    for row in rows:
        if not row.get("clip"):
            continue
        path = (base / row["clip"]).resolve()
        if path.is_relative_to(base) and path.is_file():
            found[row["id"]] = Source(path, row.get("clip_start"), row.get("clip_end"))
        else:
            lost.append(row["id"])
    return frozenset(found), ClipSounds(found) if found else None, lost


def _noted_folder(folder: Path) -> Path | None:
    """The corpus's folder as the build noted it on this machine."""
    path = folder / ".remelt" / "local.json"
    try:
        found = Path(json.loads(path.read_text(encoding="utf-8"))["corpus_folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.is_dir() else None


def _in_order(
    rows: Sequence[Mapping[str, Any]], corpus: str, heard: frozenset[str], scaler: Scaler
) -> tuple[Example, ...]:
    """The examples as they were said: split, dialogue, turn."""
    places = {split: n for n, split in enumerate(dict.fromkeys(str(row["split"]) for row in rows))}

    def key(row: Mapping[str, Any]) -> Any:
        said = (natural(str(row["dialogue_id"])), natural(str(row["utterance_id"])))
        return places[row["split"]], _own_split(row), *said

    turns: dict[tuple[str, str], int] = {}
    found = []
    for row in sorted(rows, key=key):
        name = f"{corpus}/{_own_split(row)}/dia{row['dialogue_id']}"
        turn = turns.get((row["split"], name), 0)
        turns[row["split"], name] = turn + 1
        words = (row["text"] if row.get("text_repaired") is None else row["text_repaired"]) or ""
        found.append(
            Example(
                id=row["id"],
                corpus=corpus,
                split=row["split"],
                text=words.strip() or None,
                targets=scaler(row["id"], row.get("attributes") or {}),
                speaker=row["speaker"] or "",
                sex=row.get("sex") or "",
                session=row.get("session") or "",
                dialogue=name,
                turn=turn,
                has_sound=row["id"] in heard,
            )
        )
    return spoken_alone(found)


def _own_split(row: Mapping[str, Any]) -> str:
    """The corpus's own split, by the id: one that was divided anew has other splits."""
    parts = str(row["id"]).split("/")
    return parts[1] if len(parts) > 2 else str(row["split"])
