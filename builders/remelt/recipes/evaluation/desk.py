"""Encoders and their features, made once in a run and kept on disk for the next one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...evaluation.examples import Example, SoundSource

if TYPE_CHECKING:
    from ...evaluation.encoders import Encoder
    from ...evaluation.features import Features
    from ..reporting import Reporter

SPEECH, TEXT = "speech", "text"


class CachedDesk:
    """See `base.Desk`.

    Args:
        folder: of the cached features.
        device: `cpu`, `cuda`, `cuda:1`; None for a GPU where there is one.
        reporter: is told how many rows are encoded.
        batch_size: rows that are encoded at once.
    """

    def __init__(self, folder: Path, device: str | None, reporter: Reporter, batch_size: int = 16) -> None:
        from ...evaluation.features import FeatureCache
        from ...hf_models import device as usable

        self.device = str(usable(device))
        self._cache = FeatureCache(folder)
        self._reporter = reporter
        self._batch_size = batch_size
        self._encoders: dict[tuple[Any, ...], Encoder] = {}
        self._remarks: dict[tuple[str, str], set[str]] = {}

    @property
    def encoders(self) -> tuple[Encoder, ...]:
        """Those that were used, for the record."""
        return tuple(self._encoders.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to rows so that they fit the encoders."""
        return tuple(f"{name}: {len(ids):,} rows: {told}" for (name, told), ids in self._remarks.items())

    def encoder(
        self, name: str, kind: str, *, layers: int | None = None, max_seconds: float | None = None
    ) -> Encoder:
        """An encoder, loaded once.

        Raises:
            InputError: there is none of that name, or it cannot be loaded.
        """
        from ...evaluation import encoders

        key = (name, kind, layers, max_seconds)
        if key not in self._encoders:
            self._reporter.stage(f"Loading {name} ({kind})")
            self._encoders[key] = encoders.create(
                name, kind, device=self.device, layers=layers, max_seconds=max_seconds
            )
        return self._encoders[key]

    def features(
        self,
        name: str,
        kind: str,
        examples: Sequence[Example],
        sounds: SoundSource | None,
        *,
        kept: str = "all",
        pooled: str | None = None,
        max_seconds: float | None = None,
    ) -> Features:
        """The cached features of examples; what is not there yet is encoded now.

        An example without words is read as an empty text.

        Raises:
            InputError: an example without sound, or sound that cannot be read.
        """
        encoder = self.encoder(name, kind, max_seconds=max_seconds)
        rows = list({row.id: row for row in examples}.values())
        if kind == SPEECH:
            keys, load = _heard(rows, sounds)
        else:
            keys, load = _read(rows)
        found = self._cache.features(
            encoder,
            keys,
            load,
            batch_size=self._batch_size,
            layers=kept,
            pooled=pooled,
            progress=lambda done, total: self._reporter.counted(done, total, f"rows encoded by {name}"),
            notice=self._reporter.notice,
        )
        for told, ids in found.remarks.items():
            self._remarks.setdefault((name, told), set()).update(ids)
        return found


def _heard(rows: Sequence[Example], sounds: SoundSource | None) -> tuple[list[tuple[str, str]], Any]:
    without = [row.id for row in rows if not row.has_sound]
    if without or sounds is None:
        raise InputError(
            f"{len(without or rows):,} of {len(rows):,} rows have no sound, such as {(without or ['all'])[0]}"
        )
    return [(row.id, sounds.digest(row.id)) for row in rows], sounds.read


def _read(rows: Sequence[Example]) -> tuple[list[tuple[str, str]], Any]:
    words = {row.id: row.text or "" for row in rows}
    keys = [
        (name, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
        for name, text in words.items()
    ]
    return keys, words.__getitem__
