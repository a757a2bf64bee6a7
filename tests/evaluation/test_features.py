"""The feature cache: what is encoded once, what a broken-off process leaves behind, who waits for whom."""

from __future__ import annotations

import json
import os
import pickle
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from remelt.errors import InputError, Interrupted
from remelt.evaluation.features import FeatureCache, Features

LAYERS, WIDTH = 2, 3


@dataclass
class Counting:
    """An encoder whose states are told by the item's own numbers; remembers what it was given."""

    identity: str = "one"
    name: str = "counting"
    kind: str = "speech"
    layers: int = LAYERS
    width: int = WIDTH
    notices: tuple[str, ...] = ("an encoder for tests",)
    batches: list[list[int]] = field(default_factory=list)
    fail_at: int | None = None

    def encode(self, items: Sequence[Any]) -> list[NDArray[np.float16]]:
        if self.fail_at is not None and len(self.batches) >= self.fail_at:
            raise KeyboardInterrupt
        self.batches.append([len(item) for item in items])
        return [states(item) for item in items]

    def remark(self, item: Any) -> str:
        return "long" if len(item) > 15 else ""


def states(item: NDArray[np.float32]) -> NDArray[np.float16]:
    """(layers, steps, width), another number in each place."""
    scale = np.arange(1, LAYERS + 1)[:, None, None] + np.arange(WIDTH)[None, None, :] / 8
    return (item[None, :, None] * scale).astype(np.float16)


def items(count: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Sounds of 1 to 20 samples, the first of one clip under two names."""
    random = np.random.default_rng(seed)
    made = {f"clip{n}": random.normal(size=random.integers(1, 21)).astype(np.float32) for n in range(count)}
    return {**made, "again": made["clip0"]}


def keys(found: dict[str, NDArray[np.float32]]) -> list[tuple[str, str]]:
    return [(name, str(hash(item.tobytes()))) for name, item in found.items()]


def ask(folder: Path, encoder: Counting, found: dict[str, NDArray[np.float32]], **options: Any) -> Features:
    options = {"batch_size": 4, **options}
    return FeatureCache(folder).features(encoder, keys(found), found.__getitem__, **options)  # type: ignore[arg-type]


def files(folder: Path, pooled: str | None = None) -> Path:
    """Where the cache keeps all states, or the pooled ones."""
    (found,) = (
        one for one in folder.iterdir() if json.loads((one / "about.json").read_text())["pooled"] == pooled
    )
    return found


def check(features: Features, found: dict[str, NDArray[np.float32]]) -> None:
    assert list(features) == list(found)
    for name, item in found.items():
        np.testing.assert_array_equal(features[name], states(item))
        assert features.lengths[name] == len(item)


def test_everything_is_encoded_once_and_read_back(tmp_path: Path) -> None:
    found, encoder = items(90), Counting()
    told: list[tuple[int, int]] = []
    features = ask(tmp_path, encoder, found, progress=lambda done, total: told.append((done, total)))
    check(features, found)
    assert (features.layers, features.width, len(features)) == (LAYERS, WIDTH, 91)
    assert features["clip1"].dtype == np.float16
    assert not features["clip1"].flags.writeable
    assert sum(map(len, encoder.batches)) == 90
    assert max(map(len, encoder.batches)) == 4
    assert told[-1] == (91, 91)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    long = sum(len(item) > 15 for item in found.values())
    assert features.notes() == ("an encoder for tests", f"{long} of 91: long")
    again = Counting()
    check(ask(tmp_path, again, dict(reversed(found.items()))), dict(reversed(found.items())))
    assert again.batches == []
    more = {**found, "new": np.ones(5, np.float32)}
    check(ask(tmp_path, again, more), more)
    assert again.batches == [[5]]


def test_items_of_about_the_same_length_go_together(tmp_path: Path) -> None:
    encoder = Counting()
    ask(tmp_path, encoder, items(64))
    assert [size for batch in encoder.batches for size in batch] == sorted(
        size for batch in encoder.batches for size in batch
    )


def test_another_encoder_or_another_way_to_keep_has_its_own_features(tmp_path: Path) -> None:
    found, other, last = items(6), Counting("two"), Counting()
    final = ask(tmp_path, last, found, layers="last")
    check(ask(tmp_path, Counting(), found), found)
    check(ask(tmp_path, other, found), found)
    assert [sum(map(len, e.batches)) for e in (other, last)] == [6] * 2
    for features in (final, ask(tmp_path, Counting(fail_at=0), found, layers="last")):
        for name, item in found.items():
            np.testing.assert_array_equal(features[name], states(item)[-1:])
    check(ask(tmp_path, Counting(fail_at=0), found), found)


@pytest.mark.parametrize("first", ["all", "last", "pooled", "lost"])
def test_pooled_features_cost_no_second_run_and_are_the_same_whatever_came_first(
    tmp_path: Path, first: str
) -> None:
    found, encoder = items(6), Counting()
    ask(
        tmp_path,
        encoder,
        found,
        **({"pooled": "mean"} if first == "pooled" else {"layers": first.replace("lost", "all")}),
    )
    if first == "lost":
        os.truncate(files(tmp_path, "mean_std") / "index.jsonl", 30)
    stopped = Counting(fail_at=0)
    mean = ask(tmp_path, stopped, found, pooled="mean")
    both = ask(tmp_path, stopped, found, pooled="mean_std")
    wide = ask(tmp_path, stopped, found, layers="last", pooled="mean_std")
    assert [(one.layers, one.width) for one in (mean, both, wide)] == [
        (LAYERS, WIDTH), (LAYERS, 2 * WIDTH), (1, 2 * WIDTH),
    ]  # fmt: skip
    long = sum(len(item) > 15 for item in found.values())
    for features in (mean, both, wide):
        assert features.notes()[1:] == ((f"{long} of 7: long",) if long else ())
    for name, item in found.items():
        full = states(item).astype(np.float32)
        expected = np.concatenate([full.mean(axis=1), full.std(axis=1)], axis=1).astype(np.float16)[:, None]
        np.testing.assert_array_equal(both[name], expected)
        np.testing.assert_array_equal(mean[name], expected[:, :, :WIDTH])
        np.testing.assert_array_equal(wide[name], expected[-1:])
        assert mean.lengths[name] == 1


@settings(max_examples=40)
@given(data=st.data())
def test_whatever_is_cut_off_is_encoded_again_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A process that is killed leaves a data file or an index that ends anywhere."""
    folder, found = tmp_path_factory.mktemp("cut"), items(9)
    ask(folder, Counting(), found)
    inside = files(folder)
    cut = inside / data.draw(st.sampled_from(["data.f16", "index.jsonl"]))
    size = data.draw(st.integers(0, cut.stat().st_size))
    longer = data.draw(st.booleans())
    if not longer:
        os.truncate(cut, size)
    if longer or cut.name == "index.jsonl":
        with cut.open("ab") as file:
            file.write(data.draw(st.binary(min_size=1, max_size=40)))
    whole = [
        json.loads(line) for line in (inside / "index.jsonl").read_bytes().split(b"\n")[:-1] if _good(line)
    ]
    encoder = Counting()
    check(ask(folder, encoder, found), found)
    assert sum(map(len, encoder.batches)) <= 10
    if cut.name == "index.jsonl" and size:
        assert sum(map(len, encoder.batches)) <= 9 - len(whole) + 1
    again = Counting(fail_at=0)
    check(ask(folder, again, found), found)


def _good(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), list)
    except ValueError:
        return False


def test_what_was_finished_before_a_break_is_kept(tmp_path: Path) -> None:
    found = items(150)
    # Sixteen batches are written together, or fewer where they take long.
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, Counting(fail_at=20), found)
    encoder = Counting()
    check(ask(tmp_path, encoder, found), found)
    assert sum(map(len, encoder.batches)) <= 150 - 64


def test_a_full_disk_loses_nothing_that_was_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_disk: Path
) -> None:
    """24 MB hold some of these features, not all."""
    wide = 100_000

    class Wide(Counting):
        def encode(self, items: Sequence[Any]) -> list[NDArray[np.float16]]:
            self.batches.append([len(item) for item in items])
            return [np.full((1, len(item), wide), item[0], np.float16) for item in items]

    found = {f"clip{n}": np.full(2, n, np.float32) for n in range(200)}
    with pytest.raises(Interrupted, match=r"The disk is full: .* What was encoded is kept; make room"):
        ask(small_disk, Wide(layers=1, width=wide), found, batch_size=1)
    inside = files(small_disk)
    kept = (inside / "index.jsonl").read_text().count("\n")
    assert 0 < kept < 200
    assert (inside / "data.f16").stat().st_size == kept * 2 * wide * 2
    names = [json.loads(line)[0] for line in (inside / "index.jsonl").read_text().splitlines()]
    of = {key: name for name, key in keys(found)}
    encoder = Wide(layers=1, width=wide)
    some = {of[key]: found[of[key]] for key in names}
    features = ask(small_disk, encoder, some)
    assert encoder.batches == []
    for name, item in some.items():
        assert (features[name] == item[0]).all()


def test_a_second_process_waits_and_then_shares(tmp_path: Path) -> None:
    found = items(8)
    ask(tmp_path, Counting(), found)
    inside = files(tmp_path)
    more = {**found, **{f"more{n}": np.full(n + 1, n, np.float32) for n in range(4)}}
    held = FileLock(str(inside / "lock"))
    held.acquire()
    waits, notices, second = threading.Event(), [], Counting()

    def notice(text: str) -> None:
        notices.append(text)
        waits.set()

    results: list[Features] = []
    thread = threading.Thread(target=lambda: results.append(ask(tmp_path, second, more, notice=notice)))
    thread.start()
    assert waits.wait(20)
    check(ask(tmp_path, Counting(fail_at=0), found), found)
    held.release()
    thread.join(20)
    check(results[0], more)
    assert notices == ["Another process is encoding with counting; waiting for it"]
    assert sum(map(len, second.batches)) == 4


def test_features_survive_the_way_to_another_process(tmp_path: Path) -> None:
    found = items(5)
    features = ask(tmp_path, Counting(), found)
    sent = pickle.dumps(features)
    assert len(sent) < 2_000
    check(pickle.loads(sent), found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            np.full((LAYERS, 1, WIDTH), np.nan, np.float16),
            "counting gives values that are no numbers for clip0",
        ),
        (np.zeros((LAYERS, 0, WIDTH), np.float16), r"counting gives \(2, 0, 3\) for clip0, expected"),
        (np.zeros((LAYERS, 1, 4), np.float16), r"counting gives \(2, 1, 4\) for clip0, expected"),
    ],
)
def test_bad_states_are_refused_with_their_id(
    tmp_path: Path, given: NDArray[np.float16], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Counting()
    monkeypatch.setattr(encoder, "encode", lambda items: [given for _ in items])
    with pytest.raises(InputError, match=message):
        ask(tmp_path, encoder, {"clip0": np.ones(2, np.float32)})


def test_bad_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Bad layers of features 'first', expected one of"):
        ask(tmp_path, Counting(), items(1), layers="first")
    with pytest.raises(InputError, match="Bad pooling of features 'max', expected one of"):
        ask(tmp_path, Counting(), items(1), pooled="max")
    with pytest.raises(InputError, match="Bad batch_size 0"):
        ask(tmp_path, Counting(), items(1), batch_size=0)
    assert len(ask(tmp_path, Counting(), {})) == 0
