"""Soft labels through a whole build, its journal and its rebuild."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from remelt.annotators import soft_labels
from remelt.annotators.mock import Mock
from remelt.publishing import find_problems
from remelt.recipes.melt import MeltOptions, build
from remelt.recipes.rebuild import rebuild
from remelt.records import Message, Reply, Request

from ..builders import write_meld


def shares(out: Path) -> dict[str, list[float] | None]:
    table = pq.read_table(next((out / "data").glob("train-*")))
    return dict(zip(table["id"].to_pylist(), table["soft_label"].to_pylist(), strict=True))


def test_soft_labels_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Mock.answer

    async def answer(mock: Mock, request: Request, messages: tuple[Message, ...], attempt: int) -> Reply:
        """The mock's reply; rows with an even number know how sure they are."""
        reply = await plain(mock, request, messages, attempt)
        if int(request.utterance.utterance_id) % 2:
            return reply
        try:
            label = json.loads(reply.raw)["elements"]["emotion"]
        except (ValueError, KeyError):
            return reply
        return replace(reply, label_logprobs=soft_labels.as_json({"Fear": -3.0, label: -0.125}))

    monkeypatch.setattr(Mock, "answer", answer)
    corpus = write_meld(tmp_path / "corpus", 30)
    options = MeltOptions(
        corpus=str(corpus), out=tmp_path / "out", annotator="mock:invalid=0.2", splits=("train",)
    )
    build(options)
    monkeypatch.setattr(Mock, "answer", plain)
    found = shares(tmp_path / "out")
    assert {len(value) for value in found.values() if value} == {7}
    assert 5 < sum(value is None for value in found.values()) < 25
    # A second build takes all replies from the journal.
    build(replace(options, out=tmp_path / "out"))
    assert shares(tmp_path / "out") == found
    rebuild(tmp_path / "out", tmp_path / "again")
    for folder in ("data", "annotations", "dropped"):
        for path in sorted((tmp_path / "out" / folder).iterdir()):
            assert path.read_bytes() == (tmp_path / "again" / folder / path.name).read_bytes(), path.name
    assert find_problems(tmp_path / "out") == find_problems(tmp_path / "again") == []
    assert "`soft_label`" in (tmp_path / "out" / "README.md").read_text("utf-8")
