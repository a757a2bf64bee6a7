"""The folder of an augmented corpus: Parquet by fold and split, a manifest whose counts add up, a card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, Interrupted

if TYPE_CHECKING:
    from ...publishing.parquet import Staged
    from .augment import Row
    from .folds import Fold

RECIPE = "augment"
MANIFEST, CARD, BUILD, LOCAL = "manifest.json", "README.md", "build.json", "local.json"
_NUMBERS = ("duration", "clip_start", "clip_end", "vote_share")
_KEPT = ".remelt"


def check_folder(to: Path) -> None:
    """Refuses a folder that holds something else; one of an earlier run is replaced.

    Raises:
        InputError: it is a file, or holds other things.
    """
    if to.exists() and not to.is_dir():
        raise InputError(f"{to} is a file; name a folder")
    if not to.is_dir() or not any(to.iterdir()):
        return
    try:
        recipe = json.loads((to / _KEPT / BUILD).read_text(encoding="utf-8")).get("recipe")
    except (OSError, ValueError, AttributeError):
        recipe = None
    if recipe != RECIPE:
        raise InputError(f"{to} is not empty and not made by `remelt augment`; name another folder")


def write(
    to: Path,
    folds: Sequence[Fold],
    rows: Mapping[str, Mapping[str, Sequence[Row]]],
    classes: Sequence[str],
    record: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the folder; the same rows give the same Parquet bytes. A split without rows has no file.

    Args:
        to: the folder.
        folds: how the corpus is divided.
        rows: fold -> split -> rows.
        classes: names of the column `label`.
        record: what the manifest says of the corpus, the sources and the options.

    Returns:
        The manifest.

    Raises:
        Interrupted: the disk is full, or the folder cannot be written.
    """
    from ...publishing.manifest import file_entry, plain
    from ...publishing.parquet import commit, stage_bytes, stage_table, write_bytes

    staged: list[Staged] = []
    paths: dict[str, dict[str, str]] = {}
    counts: dict[str, dict[str, Any]] = {}
    write_bytes(_json({"recipe": RECIPE}), to / _KEPT / BUILD)
    for fold in folds:
        counts[fold.name] = {split: _counts(found, classes) for split, found in rows[fold.name].items()}
        for split, found in rows[fold.name].items():
            if found:
                path = f"{fold.name}/{split}-00000-of-00001.parquet"
                paths.setdefault(fold.name, {})[split] = path
                staged.append(stage_table(_table(found, classes), to / path))
    commit(staged)
    _clean(to, {to / path for by_split in paths.values() for path in by_split.values()})
    private = {
        one["corpus"]: one["folder"] for one in (record["target"], *record["sources"]) if one["folder"]
    }
    manifest = {
        "recipe": RECIPE,
        "remelt_version": _version(),
        "created": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "classes": list(classes),
        **plain(_public(record)),
        "folds": {fold.name: {"sessions": plain(fold.sessions), "rows": counts[fold.name]} for fold in folds},
        "files": {path: file_entry(to / path) for by_split in paths.values() for path in by_split.values()},
    }
    # Where a corpus is kept is nobody's business but this machine's.
    local = {name: str(Path(folder).resolve()) for name, folder in private.items()}
    commit(
        [
            stage_bytes(_card(manifest, paths, classes).encode("utf-8", "replace"), to / CARD),
            stage_bytes(_json({"corpus_folders": local}), to / _KEPT / LOCAL),
            stage_bytes(_json(manifest), to / MANIFEST),
        ]
    )
    return manifest


def _counts(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, Any]:
    """Rows, and of each origin how many of each class."""
    found = Counter((row.origin, row.label) for row in rows)
    origins = dict.fromkeys(row.origin for row in rows)
    return {
        "rows": len(rows),
        **{origin: {label: found[origin, label] for label in classes} for origin in origins},
    }


def features(classes: Sequence[str]) -> Any:
    """The `datasets.Features` of every split."""
    from datasets import ClassLabel, Features, Value

    from .augment import Row

    kinds = {"label": ClassLabel(names=list(classes)), **dict.fromkeys(_NUMBERS, Value("float64"))}
    return Features({f.name: kinds.get(f.name, Value("string")) for f in fields(Row)})


def _table(rows: Sequence[Row], classes: Sequence[str]) -> Any:
    import pyarrow as pa

    from ..listening.transcripts import storable

    place = {label: n for n, label in enumerate(classes)}
    schema = features(classes).arrow_schema
    columns = {name: [storable(getattr(row, name)) for row in rows] for name in schema.names}
    columns["label"] = [place[row.label] for row in rows]
    return pa.table(columns, schema=schema)


def _clean(to: Path, wanted: set[Path]) -> None:
    """Takes out the Parquet files of an earlier run."""
    try:
        for path in to.glob("*/*.parquet"):
            if path not in wanted:
                path.unlink()
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()
    except OSError as error:
        raise Interrupted(f"Cannot clean {to}: {error.strerror}") from error


def _public(record: Mapping[str, Any]) -> dict[str, Any]:
    def shown(one: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in one.items() if name != "folder"}

    return {**record, "target": shown(record["target"]), "sources": [shown(s) for s in record["sources"]]}


def _card(manifest: Mapping[str, Any], paths: Mapping[str, Mapping[str, str]], classes: Sequence[str]) -> str:
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData
    from jinja2 import Environment, StrictUndefined

    from ... import resources
    from ...publishing.markdown import code, fence, inline, table

    data = DatasetCardData(
        license="other",
        license_name="see-the-corpora",
        task_categories=["audio-classification", "text-classification"],
        tags=["speech-emotion-recognition", "emotion", "remelt"],
    )
    MetadataConfigs(
        {
            fold: {"data_files": [{"split": split, "path": path} for split, path in by_split.items()]}
            for fold, by_split in paths.items()
        }
    ).to_dataset_card_data(data)
    DatasetInfosDict({fold: DatasetInfo(features=features(classes)) for fold in paths}).to_dataset_card_data(
        data
    )
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(inline=inline, code=code, fence=fence)
    environment.globals["table"] = table
    body = environment.from_string(resources.read("cards", "augment.md.j2")).render(manifest=manifest)
    return f"---\n{data.to_yaml()}\n---\n\n{body}\n"


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


def _version() -> str:
    from ... import __version__

    return __version__
