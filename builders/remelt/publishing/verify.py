"""Checks a dataset folder against its own manifest, card and schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..records import digest
from .apikeys import keys_in_file
from .columns import Columns, features, shape_of
from .frontmatter import card_problems
from .layout import CARD, CONFIGS, FOLDERS, MANIFEST, shard_pattern, shards
from .manifest import published_files, read_manifest
from .parquet import sha256
from .problem import Problem
from .reduced import is_reduced
from .reduced_checks import reduced_problems
from .rowchecks import row_problems
from .soundchecks import voice_problems
from .survey import RowsOf, Survey, survey_of
from .voice import columns_of_record


def find_problems(out: str | Path) -> list[Problem]:
    """Checks hashes, files, row counts, schemas, labels, ids, replies, counts and the card of a folder.

    Also looks for anything like an API key, and never repeats one in full. The journal and everything else
    under a hidden name stay unread.

    Returns:
        What is wrong; empty where all is well.

    Raises:
        InputError: the folder has no manifest that can be read.
    """
    out = Path(out)
    manifest = read_manifest(out)
    if is_reduced(manifest):
        return [*manifest_problems(manifest), *reduced_problems(out, manifest)]
    problems = [*manifest_problems(manifest), *_file_problems(out, manifest)]
    survey = survey_of(out, manifest)
    wrong = list(_schema_problems(survey, manifest))
    problems += [*survey.unread, *wrong]
    if not survey.unread and not wrong:
        columns = _columns(survey, manifest)
        problems += row_problems(survey.rows, manifest, columns)
        if columns.voice is not None:
            tables = {key: found.table() for key, found in survey.rows.items() if key[0] == "default"}
            problems += voice_problems(out, tables, manifest, columns.voice)
        problems += _card_problems(out, survey, manifest)
    for (config, split), keys in survey.keys.items():
        problems += keys.problems(f"{FOLDERS[config]}/{split}")
    for path in _visible_files(out):
        if path.suffix != ".parquet":
            problems += keys_in_file(path, path.relative_to(out).as_posix())
    return problems


def manifest_problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """What contradicts itself within a manifest."""
    members = manifest.get("annotators", ())
    for part in (manifest, *members):
        of = f" of {part['name']!r}" if "name" in part else ""
        schema, prompt = part["schema"], part["prompt"]
        if digest(schema["json"]) != schema["sha256"]:
            yield Problem(MANIFEST, f"the answer schema{of} does not have its sha256")
        if prompt is not None and digest(prompt["text"]) != prompt["sha256"]:
            yield Problem(MANIFEST, f"the prompt's text{of} does not have its sha256")
    if members and any(members[0].get(key) != value for key, value in manifest["annotator"].items()):
        yield Problem(MANIFEST, "the annotator is not the first of the annotators")
    if members and manifest["schema"] not in [member["schema"] for member in members]:
        yield Problem(MANIFEST, "the answer schema is none of the annotators'")
    for split, row in manifest["counts"].items():
        parts = sum(row.get(key, 0) for key in ("kept", "dropped", "quarantined", "unresolved"))
        if row["input"] != parts:
            yield Problem(MANIFEST, f"counts of {split!r} do not add up: {row['input']} in, {parts} out")


def _file_problems(out: Path, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    for name, entry in manifest["files"].items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            yield Problem(MANIFEST, f"files names {name!r}, which is outside the folder")
        elif not (out / name).is_file():
            yield Problem(name, "is missing")
        elif (out / name).stat().st_size != entry["bytes"]:
            yield Problem(
                name, f"has {(out / name).stat().st_size} bytes, the manifest says {entry['bytes']}"
            )
        elif sha256(out / name) != entry["sha256"]:
            yield Problem(name, "is not the file of the manifest: its sha256 differs")
        elif name.endswith(".parquet") and (rows := pq.read_metadata(out / name).num_rows) != entry["rows"]:
            yield Problem(name, f"has {rows} rows, the manifest says {entry['rows']}")
    for name in published_files(out):
        if name not in manifest["files"]:
            yield Problem(name, "is not in the manifest")


def _schema_problems(survey: Survey, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    from datasets import Features

    try:
        columns = _columns(survey, manifest)
    except InputError as error:
        yield Problem(MANIFEST, str(error))
        return
    for (config, split), schema in survey.schemas.items():
        place = f"{FOLDERS[config]}/{split}"
        found = Features.from_arrow_schema(schema)
        if found.arrow_schema.types != schema.types:
            yield Problem(place, "its Arrow types are not those of its Hugging Face features")
        expected = features(config, columns)
        if list(found) != list(expected):
            yield Problem(place, f"its columns are {list(found)!r}, expected {list(expected)!r}")
            continue
        for name, feature in expected.items():
            if found[name] != feature:
                yield Problem(place, f"column {name!r} is {found[name]}, expected {feature}")


def _columns(survey: Survey, manifest: Mapping[str, Any]) -> Columns:
    """The columns as the manifest has them; what it leaves open is taken from the tables."""
    from datasets import Features

    first = next(
        (schema for (config, _), schema in survey.schemas.items() if config == "default"), pa.schema([])
    )
    data = Features.from_arrow_schema(first)
    labels = tuple(manifest["label_set"]["labels"])
    further = sorted(set(getattr(data.get("original_label"), "names", ())) - set(labels))
    # Where the data cannot be read, the replies still say which kind their ids are.
    known = [Features.from_arrow_schema(schema) for schema in survey.schemas.values()]
    integer = {
        name: next((found[name].dtype for found in known if name in found), "int64") == "int64"
        for name in ("dialogue_id", "utterance_id")
    }
    voice = columns_of_record(manifest.get("voice"))
    extras = survey.extras()
    return Columns(
        labels=labels,
        original_labels=(*labels, *further),
        integer_dialogue=integer["dialogue_id"],
        integer_utterance=integer["utterance_id"],
        shape=shape_of(manifest["schema"]["json"], extras, voice, "annotators" in manifest),
        extras=extras,
        voice=voice,
        panel="annotators" in manifest,
        soft="annotators" in manifest or survey.soft,
    )


def _card_problems(out: Path, survey: Survey, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    from datasets import Features
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCard

    path = out / CARD
    if not path.is_file():
        yield Problem(CARD, "is missing; load_dataset needs it for the configs")
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    invalid = card_problems(text)
    yield from (Problem(CARD, message) for message in invalid)
    if invalid:
        return
    data = DatasetCard(text).data
    infos = DatasetInfosDict.from_dataset_card_data(data)
    for config in CONFIGS:
        if config not in infos:
            yield Problem(CARD, f"the front matter lacks the config {config!r}")
            continue
        parquet = Features.from_arrow_schema(survey.schemas[config, manifest["splits"][0]])
        for name in sorted({*parquet, *(infos[config].features or {})}):
            said, found = (infos[config].features or {}).get(name), parquet.get(name)
            if said != found:
                yield Problem(
                    CARD, f"column {name!r} of {config!r} is {said}, the Parquet files have {found}"
                )
        yield from _split_problems(infos[config].splits or {}, config, survey.rows, manifest["splits"])
    yield from _config_problems(out, data, survey.rows, manifest)


def _split_problems(
    said: Mapping[str, Any], config: str, tables: RowsOf, splits: Sequence[str]
) -> Iterator[Problem]:
    for split in splits:
        rows = tables[config, split].num_rows
        stated = said[split].num_examples if split in said else 0
        if rows != stated:
            yield Problem(CARD, f"config {config!r} says {stated} rows in {split!r}, the files have {rows}")
    yield from (
        Problem(CARD, f"config {config!r} has the unknown split {name!r}")
        for name in said
        if name not in splits
    )


def _config_problems(out: Path, data: Any, tables: RowsOf, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    from datasets.utils.metadata import MetadataConfigs

    configs = MetadataConfigs.from_dataset_card_data(data)
    for config in CONFIGS:
        listed = configs.get(config, {}).get("data_files", [])
        said = {str(entry["split"]): entry["path"] for entry in listed}
        splits = manifest["splits"]
        expected = {
            split: shard_pattern(config, split, len(shards(out, manifest["files"], config, split)))
            for split in [split for split in splits if tables[config, split].num_rows] or splits
        }
        if said != expected:
            yield Problem(CARD, f"config {config!r} loads {said!r}, expected {expected!r}")


def _visible_files(out: Path) -> list[Path]:
    found = []
    for path in sorted(out.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(out).parts)
        if path.is_file() and not hidden:
            found.append(path)
    return found
