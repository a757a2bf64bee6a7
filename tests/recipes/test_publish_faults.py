"""Publishing where the connection breaks or the Hub refuses, and going on afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remelt.errors import InputError, Interrupted
from remelt.publishing import read_manifest
from remelt.recipes.hub.publish import Published, PublishOptions, publish_to_hub
from remelt.recipes.reporting import Reporter

from ..hub_account import held, log_in, published_bytes
from ..hub_server import HubServer
from .small_dataset import publish_small

REPO = "user/toy"
ALWAYS = 10**9


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr("remelt.publishing.find_problems", lambda out: [])
    with HubServer() as server:
        log_in(server, monkeypatch, tmp_path)
        yield server


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return publish_small(tmp_path / "out")


def publish(out: Path, reporter: Reporter | None = None, **options: Any) -> Published:
    return publish_to_hub(out, REPO, PublishOptions(**options), reporter)


def large(out: Path) -> dict[str, tuple[str, int]]:
    """sha256 and size of the files that the Hub keeps apart."""
    files = read_manifest(out)["files"]
    return {name: (e["sha256"], e["bytes"]) for name, e in files.items() if name.endswith(".parquet")}


class TestTheConnectionBreaks:
    def test_in_the_middle_of_a_file_and_the_upload_goes_on(self, hub: HubServer, out: Path) -> None:
        fault = hub.fail("PUT", "/lfs/", cut=1_000, times=2, after=1)
        assert publish(out).new_commit
        assert fault.times == 0
        assert held(hub, REPO) == published_bytes(out)
        assert hub.puts == {sha256: 1 for sha256, _ in large(out).values()}
        assert hub.received == sum(size for _, size in large(out).values()) + 2 * 1_000

    def test_for_good_and_what_was_sent_is_not_sent_again(self, hub: HubServer, out: Path) -> None:
        sha256, size = large(out)["annotations/train-00000-of-00001.parquet"]
        others = {oid: 1 for oid, _ in large(out).values() if oid != sha256}
        fault = hub.fail("PUT", sha256, cut=1_000, times=ALWAYS, until=lambda: hub.puts == others)
        with pytest.raises(Interrupted, match=r"Cannot upload to user/toy: the connection .* failed .*again"):
            publish(out)
        assert held(hub, REPO) == {}
        assert hub.puts == others
        tries, sent = ALWAYS - fault.times, hub.received
        assert tries > 1
        assert sent == sum(size for oid, size in large(out).values() if oid != sha256) + 1_000 * tries
        fault.times = 0
        assert publish(out).new_commit
        assert hub.puts == {**others, sha256: 1}
        assert hub.received == sent + size
        assert held(hub, REPO) == published_bytes(out)
        assert len(hub.repositories[REPO].history()) == 2

    def test_before_the_commit_is_made(self, hub: HubServer, out: Path) -> None:
        hub.fail("POST", "/commit/", times=2)
        assert publish(out).new_commit
        assert len(hub.repositories[REPO].history()) == 2
        assert held(hub, REPO) == published_bytes(out)

    def test_when_the_commit_is_made_and_only_its_answer_is_lost(self, hub: HubServer, out: Path) -> None:
        hub.fail("POST", "/commit/", late=True)
        found = publish(out)
        repository = hub.repositories[REPO]
        assert (found.commit, found.new_commit) == (repository.head().sha, True)
        assert len(repository.history()) == 2
        assert held(hub, REPO) == published_bytes(out)

    @pytest.mark.parametrize("path", ["/repos/create", "/branch/", "/tag/", "/settings"])
    def test_when_something_is_done_and_its_answer_is_lost(
        self, hub: HubServer, out: Path, path: str
    ) -> None:
        if path == "/settings":
            hub.add(REPO)
        fault = hub.fail("PUT" if path == "/settings" else "POST", path, late=True)
        found = publish(out, revision="next", tag="v1", private=True)
        repository = hub.repositories[REPO]
        assert fault.times == 0
        assert repository.tags == {"v1": found.commit}
        assert held(hub, REPO, "next") == published_bytes(out)
        assert repository.private

    def test_there_is_no_server(self, hub: HubServer, out: Path) -> None:
        with pytest.raises(Interrupted, match=r"token: the connection to http://127.0.0.1:1 failed"):
            publish(out, endpoint="http://127.0.0.1:1")

    def test_connections_are_forbidden(
        self, hub: HubServer, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
            publish(out)
        assert publish(out, dry_run=True).plan.exists is None
        assert hub.requests == []


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "message"),
    [
        ("GET", "whoami", 401, InputError, "Cannot use the Hugging Face token: .* token is wrong or has"),
        ("GET", "whoami", 429, Interrupted, "too much at once"),
        ("GET", "/api/datasets/", 403, InputError, "Cannot read user/toy: .* the token may not do this"),
        ("GET", "/api/datasets/", 502, Interrupted, "Cannot read user/toy: .*502.* run the same command"),
        ("POST", "create", 402, InputError, "storage is used up"),
        (
            "POST",
            "create",
            409,
            InputError,
            r"Cannot create user/toy: .* 409 \(The Hub says 409.\); something",
        ),
        ("POST", "create", 500, Interrupted, "Cannot create user/toy: .*500"),
        ("POST", "preupload", 403, InputError, "Cannot upload to user/toy: .* may not do this"),
        ("POST", "objects/batch", 413, InputError, "too large for the Hub"),
        ("POST", "objects/batch", 503, Interrupted, "Cannot upload to user/toy: .*503"),
        ("PUT", "/lfs/", 403, InputError, "Cannot upload to user/toy: .*403"),
        ("PUT", "/lfs/", 503, Interrupted, "Cannot upload to user/toy: .*503"),
        ("POST", "validate-yaml", 503, Interrupted, "503"),
        ("POST", "/commit/", 409, InputError, "another change is under way"),
        ("POST", "/commit/", 412, Interrupted, "somebody else changed the dataset"),
        ("POST", "/commit/", 413, InputError, "too large for the Hub"),
        ("POST", "/commit/", 429, Interrupted, "wait a while"),
        ("POST", "/commit/", 504, Interrupted, "504"),
    ],
)
def test_what_the_hub_says(
    hub: HubServer, out: Path, method: str, path: str, status: int, kind: type[Exception], message: str
) -> None:
    fault = hub.fail(method, path, status=status, times=ALWAYS)
    with pytest.raises(kind, match=message) as caught:
        publish(out)
    assert type(caught.value) is kind
    assert hub.token not in str(caught.value)
    if REPO in hub.repositories:
        assert held(hub, REPO) == {}
    fault.times = 0
    assert publish(out).new_commit
    assert held(hub, REPO) == published_bytes(out)
    assert set(hub.puts.values()) == {1}


@pytest.mark.parametrize(("path", "times"), [("whoami", 1), ("/api/datasets/", 2), ("create", 1)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_is_busy_is_asked_again(
    hub: HubServer, out: Path, path: str, times: int, status: int
) -> None:
    fault = hub.fail("POST" if path == "create" else "GET", path, status=status, times=times)
    assert publish(out).new_commit
    assert fault.times == 0


@pytest.mark.parametrize(("method", "path"), [("GET", "whoami"), ("POST", "validate-yaml")])
def test_a_web_page_in_between(hub: HubServer, out: Path, method: str, path: str) -> None:
    hub.fail(method, path, status=200, times=ALWAYS, body="<html>Log in to this network</html>")
    with pytest.raises(Interrupted, match="answered with something that is no JSON"):
        publish(out)


def test_a_name_under_which_something_unseen_is(hub: HubServer, out: Path) -> None:
    hub.fail("GET", "/api/datasets/", status=404, times=ALWAYS, headers={"X-Error-Code": "RepoNotFound"})
    hub.add(REPO, {"data.csv": b"a"})
    with pytest.raises(InputError, match=r"Cannot create user/toy: .* 409"):
        publish(out)
    assert set(held(hub, REPO)) == {"data.csv"}


def test_another_users_name(hub: HubServer, out: Path) -> None:
    with pytest.raises(InputError, match=r"Cannot create other/toy: .*403 .*namespace 'other'"):
        publish_to_hub(out, "other/toy")
    assert hub.repositories == {}


class Meddling(Reporter):
    """Somebody else commits while the files are uploaded."""

    def __init__(self, hub: HubServer, files: dict[str, bytes]) -> None:
        self.hub, self.files = hub, files

    def stage(self, text: str) -> None:
        if text.startswith("Uploading"):
            self.hub.repositories[REPO].put(self.files)


def test_somebody_else_commits_meanwhile(hub: HubServer, out: Path) -> None:
    meddling = Meddling(hub, {"LICENSE": b"theirs"})
    with pytest.raises(Interrupted, match="somebody else changed the dataset meanwhile"):
        publish(out, meddling)
    assert held(hub, REPO) == {"LICENSE": b"theirs"}
    # What is there now is no dataset of ours.
    with pytest.raises(InputError, match=r"1 file that is no remelt dataset \('LICENSE'\)"):
        publish(out)
    publish(out, replace=True)
    assert held(hub, REPO) == published_bytes(out)
    assert set(hub.puts.values()) == {1}
