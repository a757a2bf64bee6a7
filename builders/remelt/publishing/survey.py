"""Reads all of a dataset folder once, to find what cannot be read and what decides its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .apikeys import KeySearch
from .batches import PublishedRows, published_rows
from .extras import ExtraColumns, ExtrasSeen
from .layout import CONFIGS, FOLDERS
from .problem import Problem
from .reading import split_schema

RowsOf: TypeAlias = Mapping[tuple[str, str], PublishedRows]
_LOGPROBS = "label_logprobs"


@dataclass(slots=True)
class Survey:
    """What a folder's Parquet files hold.

    Attributes:
        rows: by config and split, those that can be read from beginning to end.
        schemas: by config and split, the columns, that of sound too.
        unread: what cannot be read.
        keys: by config and split, what looks like an API key.
        soft: whether any reply carries log-probabilities of the labels.
    """

    rows: dict[tuple[str, str], PublishedRows] = field(default_factory=dict)
    schemas: dict[tuple[str, str], pa.Schema] = field(default_factory=dict)
    unread: list[Problem] = field(default_factory=list)
    keys: dict[tuple[str, str], KeySearch] = field(default_factory=dict)
    soft: bool = False
    _extras: ExtrasSeen = field(default_factory=ExtrasSeen)
    _bad_extras: InputError | None = None

    def extras(self) -> ExtraColumns:
        """What only some corpora know of an utterance.

        Raises:
            InputError: attributes that are no JSON object.
        """
        if self._bad_extras is not None:
            raise self._bad_extras
        return self._extras.columns()

    def read(self, out: Path, manifest: Mapping[str, Any], config: str, split: str) -> None:
        """Reads one split of one config.

        Raises:
            InputError: it cannot be read; nothing but its columns is kept then.
        """
        self.schemas[config, split] = split_schema(out, manifest, config, split)
        rows = published_rows(out, manifest, config, split)
        keys, extras, bad, soft = KeySearch(), ExtrasSeen(), None, False
        for batch in rows.batches():
            keys.add(batch)
            soft = soft or (config == "annotations" and _has_logprobs(batch))
            if config != "default" and bad is None:
                try:
                    extras.add(batch)
                except InputError as error:
                    bad = error
        self.rows[config, split], self.keys[config, split] = rows, keys
        self.soft = self.soft or soft
        self._extras.update(extras)
        self._bad_extras = self._bad_extras or bad


def survey_of(out: Path, manifest: Mapping[str, Any]) -> Survey:
    """Reads the rows of a folder, some at a time."""
    survey = Survey()
    for config in CONFIGS:
        for split in manifest["splits"]:
            try:
                survey.read(out, manifest, config, split)
            except (InputError, pa.ArrowException) as error:
                survey.unread.append(Problem(f"{FOLDERS[config]}/{split}", str(error)))
    return survey


def _has_logprobs(replies: pa.Table) -> bool:
    if _LOGPROBS not in replies.column_names:
        return False
    return bool(pc.any(pc.not_equal(replies[_LOGPROBS], "")).as_py())
