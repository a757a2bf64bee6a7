"""The licence guard: what of a dataset reaches the Hub."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from remelt.errors import InputError
from remelt.publishing import publish as write
from remelt.publishing import seal, write_card
from remelt.recipes.hub import guard as guarding
from remelt.recipes.hub.guard import guard
from remelt.recipes.hub.labels_only import labels_only_folder
from remelt.recipes.hub.publish import Published, PublishOptions, publish_to_hub

from ..hub_account import held, log_in, published_bytes
from ..hub_server import HubServer
from .small_dataset import publish_small, small_content

REPO = "user/toy"
WORDS = "This is line"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        log_in(server, monkeypatch, tmp_path)
        yield server


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A dataset whose corpus states no licence."""
    content = small_content()
    out = tmp_path / "closed"
    write_card(out, write(out, replace(content, corpus={**content.corpus, "licence": ""})))
    seal(out)
    return out


def publish(out: Path, labels_only: bool | None = None) -> Published:
    return publish_to_hub(out, REPO, PublishOptions(labels_only=labels_only))


def texts(files: Mapping[str, bytes]) -> str:
    """All that can be read in some files, also in compressed columns."""
    told = []
    for name, content in files.items():
        if name.endswith(".parquet"):
            told.append(json.dumps(pq.read_table(io.BytesIO(content)).to_pylist(), default=str))
        else:
            told.append(content.decode())
    return "\n".join(told)


def manifest_of(licence: str, **more: Any) -> dict[str, Any]:
    return {"corpus": {"name": "toy", "licence": licence}, "files": {}, **more}


def test_a_closed_corpus_gives_its_labels_and_ids(hub: HubServer, closed: Path) -> None:
    assert WORDS in texts(published_bytes(closed))
    found = publish(closed)
    there = held(hub, REPO)
    assert found.plan.guarded.labels_only
    assert WORDS not in texts(there)
    rows = pq.read_table(io.BytesIO(there["data/train-00000-of-00001.parquet"]))
    ours = pq.read_table(closed / "data" / "train-00000-of-00001.parquet")
    assert rows["id"].to_pylist() == ours["id"].to_pylist()
    assert rows["label"].to_pylist() == ours["label"].to_pylist()
    assert json.loads(there["manifest.json"])["labels_only"] is True
    assert found.as_dict()["licence"] == "labels and ids only: no licence is stated"
    # The same labels again are the same bytes.
    assert publish(closed).new_commit is False


def test_all_of_it_where_it_is_asked_for(hub: HubServer, closed: Path) -> None:
    found = publish(closed, labels_only=False)
    warning = "published in full although its words may not be shared: no licence is stated"
    assert found.plan.warnings == (warning,)
    assert held(hub, REPO) == published_bytes(closed)
    # The labels come after it, and the words stay in the history.
    found = publish(closed)
    assert "they stay in its history" in found.plan.warnings[0]
    assert WORDS not in texts(held(hub, REPO))
    assert len(hub.repositories[REPO].history()) == 3


def test_labels_of_a_free_corpus_where_they_are_asked_for(hub: HubServer, tmp_path: Path) -> None:
    out = publish_small(tmp_path / "out")
    assert not publish(out).plan.guarded.labels_only
    found = publish(out, labels_only=True)
    assert found.plan.guarded.labels_only
    assert WORDS not in texts(held(hub, REPO))


def test_a_folder_of_labels_is_published_as_it_is(hub: HubServer, closed: Path, tmp_path: Path) -> None:
    labels = labels_only_folder(closed, tmp_path / "labels")
    found = publish(labels)
    assert held(hub, REPO) == published_bytes(labels)
    assert found.plan.guarded.labels_only
    assert publish(closed).new_commit is False
    with pytest.raises(InputError, match="has labels only; publish the dataset they were taken from"):
        publish(labels, labels_only=False)


def test_a_joined_dataset_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="publish the labels that it was joined from"):
        guard(tmp_path, manifest_of("", joined=True), None)
    assert not guard(tmp_path, manifest_of("MIT", joined=True), None).labels_only


def test_sound_that_may_not_be_shared(tmp_path: Path) -> None:
    found = guard(tmp_path, manifest_of("GPL-3.0", voice={"audio": "flac"}), None)
    assert (found.labels_only, found.reduce) == (True, True)
    assert found.warnings == ("the text could be published, too: build without sound (--audio none)",)
    for free in (manifest_of("GPL-3.0", voice={"audio": "none"}), manifest_of("GPL-3.0")):
        assert guard(tmp_path, free, None).labels_only is False
    full = guard(tmp_path, manifest_of("GPL-3.0", voice={"audio": "flac"}), False)
    assert full.warnings[0].startswith("published in full although its sound may not be shared")


@pytest.mark.parametrize("before", [0, 5, 11, 16, 40])
def test_clips_in_the_report_are_found_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(guarding, "_CHUNK", 16)
    (tmp_path / "audit").mkdir()
    report = tmp_path / "audit" / "report.html"
    manifest = manifest_of("GPL-3.0") | {"files": {"audit/report.html": {}}}
    report.write_bytes(b"x" * before + b"data:image/png;base64,data:audi")
    assert guard(tmp_path, manifest, None).labels_only is False
    report.write_bytes(b"x" * before + b"data:audio/flac;base64,AAAA")
    with pytest.raises(InputError, match=r"plays clips, .* `remelt audit .* --no-audio`"):
        guard(tmp_path, manifest, None)
    assert guard(tmp_path, manifest, True).reduce
