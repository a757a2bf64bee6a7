"""Where things lie in a dataset folder, and how its Parquet files are named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError

MANIFEST = "manifest.json"
CARD = "README.md"
AUDIT = "audit"
PRIVATE = ".remelt"
FOLDERS = {"default": "data", "annotations": "annotations", "dropped": "dropped"}
CONFIGS = tuple(FOLDERS)

_SPLIT = re.compile(r"\w+(\.\w+)*")


def check_splits(splits: Sequence[str]) -> None:
    """Refuses split names that `load_dataset` would refuse or misread.

    Raises:
        InputError: no split, one given twice, or a name with other characters than letters, digits,
            underscores and inner dots (`all` is reserved by the datasets library).

    >>> check_splits(["train", "test"])
    """
    if not splits:
        raise InputError("A dataset needs at least one split")
    for split in splits:
        if not _SPLIT.fullmatch(split) or split == "all":
            raise InputError(
                f"Bad split name {split!r}, expected letters, digits and underscores (not 'all')"
            )
    if len(set(splits)) != len(splits):
        raise InputError(f"Bad splits {list(splits)!r}: a split is named twice")


def split_of(identity: str) -> str:
    """The corpus's split as an utterance's id has it; empty where there is none.

    >>> split_of("msp_podcast/test1/MSP-PODCAST_0001_0008")
    'test1'
    """
    return [*identity.split("/", 2), ""][1]


def shard_path(config: str, split: str, index: int, count: int) -> str:
    """The path of one Parquet file, relative to the dataset folder.

    >>> shard_path("default", "train", 0, 1)
    'data/train-00000-of-00001.parquet'
    """
    return f"{FOLDERS[config]}/{split}-{index:05d}-of-{count:05d}.parquet"


def shards(out: Path, files: Iterable[str], config: str, split: str) -> list[Path]:
    """The Parquet files of one split, in order.

    Args:
        out: the dataset folder.
        files: what the manifest lists; whatever else lies in the folder is no part of the dataset.

    Raises:
        InputError: the manifest lists none.
    """
    name = re.compile(re.escape(f"{FOLDERS[config]}/{split}") + r"-\d{5}-of-\d{5}\.parquet")
    found = [out / file for file in sorted(files) if name.fullmatch(file)]
    if not found:
        raise InputError(f"{out / MANIFEST} lists no Parquet file of {FOLDERS[config]}/{split}")
    return found


def shard_pattern(config: str, split: str, count: int) -> str:
    """The pattern under which the card lists a split's files; left-overs of another build do not match it.

    >>> shard_pattern("default", "train", 2)
    'data/train-*-of-00002.parquet'
    """
    return f"{FOLDERS[config]}/{split}-*-of-{count:05d}.parquet"
