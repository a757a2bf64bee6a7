"""The card's YAML front matter, made from the Parquet files' own features, and its offline check."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .. import resources
from .layout import CONFIGS, shard_pattern, shards

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip
_LARGEST = "1B<n<10B"
_FAMILIES = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "cc0": "cc0-1.0", "pddl-1.0": "pddl"}
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LICENSE_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")
TASKS = ("audio-classification", "text-classification")


def licence_fields(licence: str, homepage: str = "") -> dict[str, str]:
    """The Hub's `license` keys for a licence as a corpus states it.

    >>> licence_fields("GPL-3.0"), licence_fields("CC BY-NC-SA 4.0")
    ({'license': 'gpl-3.0'}, {'license': 'cc-by-nc-sa-4.0'})
    >>> licence_fields("End User Licence (MSP)", "https://example.org")["license_name"]
    'end-user-licence-msp'
    """
    if not licence.strip():
        return {"license": "unknown"}
    slug = re.sub(r"[^a-z0-9.+]+", "-", licence.casefold()).strip("-.+")
    spdx = re.sub(r"-(only|or-later)$", "", slug)
    known = hub_licences()
    for name in (spdx, _FAMILIES.get(spdx, "")):
        if name in known and name not in ("other", "unknown"):
            return {"license": name}
    fields = {"license": "other", "license_name": slug or "other"}
    if homepage.startswith(("https://", "http://")):
        fields["license_link"] = homepage
    return fields


def hub_licences() -> frozenset[str]:
    """The licence identifiers that the Hub takes (cards/hub-licences.txt)."""
    return frozenset(resources.read("cards", "hub-licences.txt").split())


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows.

    >>> size_category(7_024), size_category(999)
    ('1K<n<10K', 'n<1K')
    """
    return next((name for limit, name in _SIZES if rows < limit), _LARGEST)


def front_matter(out: Path, manifest: Mapping[str, Any], title: str) -> Any:
    """The `DatasetCardData` of a folder.

    Splits without rows are left out of their config, because `load_dataset` fails on the whole config for
    one of them; a config without any rows keeps its splits, so that its columns stay documented.

    Raises:
        InputError: a Parquet file is missing.
    """
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    files = {config: _files(out, manifest, config) for config in CONFIGS}
    infos = {config: _info(files[config]) for config in CONFIGS}
    corpus = manifest["corpus"]
    languages = _languages(corpus.get("language"))
    data = DatasetCardData(
        pretty_name=title,
        language=languages or None,
        multilinguality=["monolingual"] if len(languages) == 1 else None,
        annotations_creators=_creators(manifest),
        source_datasets=["extended"],
        size_categories=[size_category(sum(s.num_examples for s in infos["default"].splits.values()))],
        task_categories=list(TASKS),
        tags=["speech-emotion-recognition", "emotion", "llm-annotation", "remelt"],
    )
    for key, value in licence_fields(corpus.get("licence") or "", corpus.get("homepage") or "").items():
        data[key] = value
    configs = MetadataConfigs(
        {
            config: {
                "data_files": [
                    {"split": split, "path": shard_pattern(config, split, len(files[config][split]))}
                    for split in infos[config].splits
                ]
            }
            for config in CONFIGS
        }
    )
    configs.to_dataset_card_data(data)
    DatasetInfosDict(infos).to_dataset_card_data(data)
    return data


def card_problems(text: str) -> list[str]:
    """What the Hub or the datasets library would refuse in a card, found without a network.

    Checks what their own parsers check (`DatasetCard`, `MetadataConfigs`, `DatasetInfosDict`) and the closed
    lists behind licence, size, task and language; `DatasetCard.validate` asks the Hub itself.
    """
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs, known_task_ids
    from huggingface_hub import DatasetCard
    from yaml import YAMLError

    try:
        data: Any = DatasetCard(text).data
        MetadataConfigs.from_dataset_card_data(data)
        DatasetInfosDict.from_dataset_card_data(data)
    except (ValueError, TypeError, KeyError, YAMLError) as error:
        return [f"the front matter cannot be read: {error}"]
    if not len(data.to_dict()):
        return ["there is no front matter"]
    found = []
    if data.license not in hub_licences():
        found.append(f"license {data.license!r} is not on the Hub's list")
    if data.license == "other" and not _LICENSE_NAME.fullmatch(str(data.get("license_name", ""))):
        found.append(
            f"license_name {data.get('license_name')!r} must be lower case, digits, '.', '+' and '-'"
        )
    sizes = {name for _, name in _SIZES} | {_LARGEST}
    found += [
        f"size category {name!r} is unknown" for name in data.size_categories or () if name not in sizes
    ]
    found += [
        f"task {name!r} is unknown" for name in data.task_categories or () if name not in known_task_ids
    ]
    found += [
        f"language {name!r} is no ISO 639 code"
        for name in data.language or ()
        if not _LANGUAGE.fullmatch(name)
    ]
    return found


def _creators(manifest: Mapping[str, Any]) -> list[str]:
    """Machines, and people where any voted; whether they are experts or were hired is not known."""
    people = any(member["kind"] == "human" for member in manifest.get("annotators", ()))
    rated = bool(manifest.get("resolution", {}).get("ratings"))
    return ["machine-generated", *(["other"] if people or rated else [])]


def _languages(value: str | Sequence[str] | None) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return list(value or ())


def _files(out: Path, manifest: Mapping[str, Any], config: str) -> dict[str, list[Path]]:
    return {split: shards(out, manifest["files"], config, split) for split in manifest["splits"]}


def _info(files: Mapping[str, Sequence[Path]]) -> Any:
    from datasets import DatasetInfo, Features, SplitDict, SplitInfo

    counts = {split: [pq.read_metadata(path) for path in paths] for split, paths in files.items()}
    rows = {split: sum(part.num_rows for part in parts) for split, parts in counts.items()}
    listed = [split for split in files if rows[split]] or list(files)
    found = SplitDict()
    for split in listed:
        size = sum(
            part.row_group(i).total_byte_size for part in counts[split] for i in range(part.num_row_groups)
        )
        found.add(SplitInfo(name=split, num_bytes=size, num_examples=rows[split]))
    return DatasetInfo(
        features=Features.from_arrow_schema(pq.read_schema(next(iter(files.values()))[0])),
        splits=found,
        download_size=sum(path.stat().st_size for split in listed for path in files[split]),
        dataset_size=sum(split.num_bytes for split in found.values()),
    )
