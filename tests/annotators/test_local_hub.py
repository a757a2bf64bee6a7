"""Models of the Hub: a made-up cache and a made-up Hub, no network."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import errors

from remelt.annotators import local_hub
from remelt.annotators.local_hub import CachedModel, HubModel, cached, fetch, find, parse, remove
from remelt.annotators.local_models import resolve
from remelt.errors import InputError

REPO = "some-one/Tiny-GGUF"
SHARDS = ("big/q8-00001-of-00002.gguf", "big/q8-00002-of-00002.gguf")


def content(name: str) -> bytes:
    return b"GGUF" + name.encode()


class Hub:
    """A Hub with one repository; downloads go into a cache folder laid out like the real one."""

    def __init__(self, cache: Path, names: tuple[str, ...] = ()) -> None:
        self.cache, self.names = cache, names
        self.error: Exception | None = None
        self.asked: list[str] = []

    def model_info(self, repo: str, **_: Any) -> Any:
        self.asked.append(repo)
        if self.error is not None:
            raise self.error
        files = [SimpleNamespace(rfilename=n, size=len(content(n))) for n in self.names]
        return SimpleNamespace(siblings=files)

    def download(self, repo: str, name: str, revision: str = "a" * 40) -> str:
        self.asked.append(f"{repo}:{name}")
        folder = self.cache / f"models--{repo.replace('/', '--')}"
        blob = folder / "blobs" / hashlib.sha256(content(name)).hexdigest()
        link = folder / "snapshots" / revision / name
        for path in (blob, link, folder / "refs" / "main"):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content(name))
        link.unlink(missing_ok=True)
        link.symlink_to(blob)
        (folder / "refs" / "main").write_text(revision)
        return str(link)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hub, scan = Hub(tmp_path / "hub"), huggingface_hub.scan_cache_dir
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda: scan(hub.cache))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.download)
    return hub


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (REPO, HubModel(REPO)),
        (f"{REPO}:q4.gguf", HubModel(REPO, "q4.gguf")),
        (f"{REPO}:big/q4.gguf", HubModel(REPO, "big/q4.gguf")),
        ("models/tiny.gguf", None),
        ("smollm2", None),
        ("a/b/c", None),
        (f"{REPO}:q4.bin", None),
        ("/abs/olute", None),
        ("../up", None),
    ],
)
def test_parse(text: str, expected: HubModel | None) -> None:
    assert parse(text) == expected


def test_the_only_model_is_downloaded_once(hub: Hub) -> None:
    hub.names = ("README.md", "q4.gguf", "mmproj-q4.gguf")
    model = resolve(REPO)
    sha = hashlib.sha256(content("q4.gguf")).hexdigest()
    assert (model.name, model.sha256, model.model) == (f"{REPO}:q4.gguf", sha, f"q4@{sha[:12]}")
    assert hub.asked == [REPO, f"{REPO}:q4.gguf"]
    hub.error = AssertionError("the Hub was asked again")
    assert resolve(REPO) == resolve(f"{REPO}:q4.gguf") == model


def test_several_models_are_listed(hub: Hub) -> None:
    hub.names = ("q4.gguf", "q8.gguf", *SHARDS)
    with pytest.raises(InputError) as caught:
        fetch(HubModel(REPO))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{REPO} has these GGUF files; name one:"
    assert [line.split()[0] for line in lines[1:]] == [
        f"local/{REPO}:{SHARDS[0]}",
        f"local/{REPO}:q4.gguf",
        f"local/{REPO}:q8.gguf",
    ]


def test_a_named_model_among_several(hub: Hub) -> None:
    hub.names = ("q4.gguf", "q8.gguf")
    assert fetch(HubModel(REPO, "q8.gguf")).name == f"{REPO}:q8.gguf"
    assert hub.asked[1:] == [f"{REPO}:q8.gguf"]


def test_a_file_that_is_not_there(hub: Hub) -> None:
    hub.names = ("q4.gguf",)
    with pytest.raises(InputError, match=r"has no file 'q5\.gguf'(.|\n)*local/some-one/Tiny-GGUF:q4\.gguf"):
        fetch(HubModel(REPO, "q5.gguf"))


def test_a_repository_without_gguf(hub: Hub) -> None:
    hub.names = ("model.safetensors",)
    with pytest.raises(InputError, match="has no GGUF file; look for one whose name ends in -GGUF"):
        fetch(HubModel(REPO))


@pytest.mark.parametrize("name", SHARDS)
def test_all_parts_of_a_split_model_are_fetched(hub: Hub, name: str) -> None:
    hub.names = SHARDS
    model = fetch(HubModel(REPO, name))
    assert hub.asked[1:] == [f"{REPO}:{part}" for part in SHARDS]
    assert model.name == f"{REPO}:{SHARDS[0]}"
    assert len(model.files) == 2


def test_an_interrupted_split_download_is_not_taken_for_the_model(hub: Hub) -> None:
    hub.names = SHARDS
    hub.download(REPO, SHARDS[0])
    assert find(HubModel(REPO)) is None
    assert len(fetch(HubModel(REPO)).files) == 2


def test_a_damaged_file_is_refused(hub: Hub) -> None:
    hub.names = ("q4.gguf",)
    path = Path(fetch(HubModel(REPO)).files[0])
    path.resolve().write_bytes(b"GGUF damaged")
    with pytest.raises(InputError, match="is damaged: its sha256 is"):
        fetch(HubModel(REPO))


def _response(status: int) -> httpx2.Response:
    return httpx2.Response(status, request=httpx2.Request("GET", "https://huggingface.co/api/models/x"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.RepositoryNotFoundError("404", response=_response(404)), "There is no Hub repository"),
        (errors.GatedRepoError("403", response=_response(403)), "is gated: accept its terms at https"),
        (errors.HfHubHTTPError("500 oops", response=_response(500)), "The Hub cannot give .*oops"),
        (errors.OfflineModeIsEnabled("offline"), "not on this machine and HF_HUB_OFFLINE is set"),
        (httpx2.ConnectError("no route"), "not on this machine and the Hub cannot be reached: no route"),
        (httpx2.ReadTimeout(""), "the Hub cannot be reached: ReadTimeout"),
        (errors.LocalEntryNotFoundError("check your connection"), "the Hub cannot be reached"),
        (errors.RemoteEntryNotFoundError("404", response=_response(404)), "has no file"),
        (errors.HFValidationError("too long"), "Bad Hub repository 'some-one/Tiny-GGUF': too long"),
        (OSError(errno.ENOSPC, "No space left on device", "/hub/x"), "cannot be stored: No space left"),
    ],
)
def test_what_goes_wrong_is_said_plainly(hub: Hub, error: Exception, message: str) -> None:
    hub.error = error
    with pytest.raises(InputError, match=message) as caught:
        fetch(HubModel(REPO))
    assert REPO in str(caught.value)


def test_nothing_is_cached(hub: Hub) -> None:
    assert cached() == ()
    assert find(HubModel(REPO)) is None


def test_the_cache_is_listed_by_name_and_the_newest_copy_counts(hub: Hub) -> None:
    hub.download("b/other", "x.gguf")
    hub.download(REPO, "notes.txt")
    hub.download(REPO, "q4.gguf", revision="b" * 40)
    hub.download("a/first", "y.gguf")
    assert [str(m.model) for m in cached()] == ["a/first:y.gguf", "b/other:x.gguf", f"{REPO}:q4.gguf"]


def test_two_cached_models_and_none_named(hub: Hub) -> None:
    hub.download(REPO, "q4.gguf")
    hub.download(REPO, "q8.gguf")
    with pytest.raises(InputError, match="name one"):
        fetch(HubModel(REPO))
    assert hub.asked == [f"{REPO}:q4.gguf", f"{REPO}:q8.gguf"]


def test_remove_takes_one_model_and_leaves_the_others(hub: Hub) -> None:
    for name in ("q4.gguf", "q8.gguf", *SHARDS):
        hub.download(REPO, name)
    hub.download("b/other", "q4.gguf")
    before = {str(m.model): m for m in cached()}
    assert remove(before[f"{REPO}:q4.gguf"]) == len(content("q4.gguf"))
    assert remove(before[f"{REPO}:{SHARDS[0]}"]) == sum(len(content(n)) for n in SHARDS)
    assert [str(m.model) for m in cached()] == ["b/other:q4.gguf", f"{REPO}:q8.gguf"]
    blobs = hub.cache / "models--some-one--Tiny-GGUF" / "blobs"
    assert [b.name for b in blobs.iterdir()] == [hashlib.sha256(content("q8.gguf")).hexdigest()]


def test_remove_takes_every_revision(hub: Hub) -> None:
    hub.download(REPO, "q4.gguf", revision="a" * 40)
    hub.download(REPO, "q4.gguf", revision="b" * 40)
    model = find(HubModel(REPO))
    assert isinstance(model, CachedModel)
    remove(model)
    assert cached() == ()
    assert not list(hub.cache.rglob("*.gguf"))


def test_sizes_for_people() -> None:
    assert local_hub.shown_size(1_500_000_000) == "1.5 GB"
