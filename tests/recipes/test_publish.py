"""Publishing at the Hub: what is sent, what is not, and what is there afterwards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remelt.errors import InputError
from remelt.journal import OutLock
from remelt.publishing import publish as publish_content
from remelt.publishing import seal
from remelt.recipes.hub.publish import Published, PublishOptions, PublishPlan, load_lines, publish_to_hub
from remelt.recipes.reporting import Reporter

from ..hub_account import held, log_in, published_bytes
from ..hub_server import HubServer
from .small_dataset import publish_small, small_content

REPO = "user/toy"
WRITING = ("POST", "PUT", "DELETE")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        log_in(server, monkeypatch, tmp_path)
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset is known to be whole, which takes a while to find."""
    monkeypatch.setattr("remelt.publishing.find_problems", lambda out: [])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return publish_small(tmp_path / "out")


class Notices(Reporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, text: str) -> None:
        self.said.append(text)


def publish(out: Path, reporter: Reporter | None = None, **options: Any) -> Published:
    return publish_to_hub(out, REPO, PublishOptions(**options), reporter)


def with_audit(out: Path, **files: str) -> None:
    """Puts files into the folder of the audit, and nothing else."""
    (out / "audit").mkdir(exist_ok=True)
    for path in (out / "audit").iterdir():
        path.unlink()
    for name, text in files.items():
        (out / "audit" / f"{name}.csv").write_text(text)
    seal(out)


def changes(found: Published) -> dict[str, str]:
    """What became of each file, but for those that stayed."""
    return {change.path: change.change for change in found.plan.changes if change.change != "same"}


def writes(hub: HubServer) -> list[str]:
    return [one.path for one in hub.requests if one.method in WRITING]


def test_the_hub_has_the_files_of_the_manifest_and_no_others(hub: HubServer, out: Path) -> None:
    (out / "notes.txt").write_text("for myself")
    (out / "data" / ".train-00000-of-00001.parquet.part").write_bytes(b"unfinished")
    assert (out / ".remelt" / "journal.sqlite").is_file()
    found = publish(out)
    repository = hub.repositories[REPO]
    assert held(hub, REPO) == published_bytes(out)
    assert found.plan.left_here == ("data/.train-00000-of-00001.parquet.part", "notes.txt")
    messages = [commit.message for commit in repository.history()]
    assert messages == ["toy, recipe melt: 4 rows (remelt 0.1.0)", "initial commit"]
    assert (found.commit, found.new_commit) == (repository.head().sha, True)
    assert not repository.private


def test_nobody_is_told_who_publishes(hub: HubServer, out: Path) -> None:
    publish(out)
    assert hub.count("GET", "agent-harnesses") == 0
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_the_same_again_makes_no_commit_and_sends_nothing(hub: HubServer, out: Path) -> None:
    first = publish(out)
    asked, sent = len(writes(hub)), hub.received
    second = publish(out)
    assert (second.commit, second.new_commit) == (first.commit, False)
    assert len(writes(hub)) == asked
    assert hub.received == sent
    assert changes(second) == {}
    assert len(hub.repositories[REPO].history()) == 2


def test_a_new_version_sends_what_changed_and_deletes_what_it_lacks(hub: HubServer, out: Path) -> None:
    with_audit(out, old="a", kept="b")
    publish(out)
    hub.repositories[REPO].put({"LICENSE": b"of somebody else", "audit/by_hand.csv": b"c"})
    sent = dict(hub.puts)
    with_audit(out, kept="bb", new="d")
    found = publish(out)
    assert changes(found) == {
        "audit/kept.csv": "changed",
        "audit/new.csv": "new",
        "audit/old.csv": "deleted",
        "manifest.json": "changed",
    }
    others = {"LICENSE": b"of somebody else", "audit/by_hand.csv": b"c"}
    assert held(hub, REPO) == published_bytes(out) | others
    assert hub.puts == sent
    assert len(hub.repositories[REPO].history()) == 4


@pytest.mark.parametrize("there", [{"data.csv": b"a,b"}, {"manifest.json": b"not JSON"}, "another corpus"])
def test_another_dataset_is_not_written_over(hub: HubServer, out: Path, there: Any) -> None:
    if there == "another corpus":
        there = {"manifest.json": b'{"recipe": "melt", "corpus": {"name": "other"}, "files": {"x": {}}}'}
    hub.add(REPO, there)
    with pytest.raises(InputError, match=r"holds .*(1 file that is no remelt|corpus 'other').*--replace"):
        publish(out)
    assert set(held(hub, REPO)) == set(there)
    assert writes(hub) == []
    found = publish(out, replace=True)
    assert held(hub, REPO) == published_bytes(out)
    assert {path for path, change in changes(found).items() if change == "deleted"} == set(there) - {
        "manifest.json"
    }


def test_an_empty_repository_is_filled(hub: HubServer, out: Path) -> None:
    hub.add(REPO, private=True)
    assert publish(out).notes == ()
    assert held(hub, REPO) == published_bytes(out)
    assert hub.repositories[REPO].private


def test_a_branch_and_a_tag(hub: HubServer, out: Path) -> None:
    found = publish(out, revision="trial/1", tag="v1.0")
    repository = hub.repositories[REPO]
    assert held(hub, REPO) == {}
    assert held(hub, REPO, "trial/1") == published_bytes(out)
    assert repository.tags == {"v1.0": found.commit} == {"v1.0": repository.branches["trial/1"]}
    assert publish(out, revision="trial/1", tag="v1.0").new_commit is False
    assert found.plan.branch == "trial/1"


def test_a_tag_does_not_move(hub: HubServer, out: Path) -> None:
    first = publish(out, tag="v1.0")
    with_audit(out, new="d")
    asked = len(writes(hub))
    with pytest.raises(InputError, match=r"tag 'v1.0' of user/toy names the commit .* choose another tag"):
        publish(out, tag="v1.0")
    assert len(writes(hub)) == asked
    assert hub.repositories[REPO].tags == {"v1.0": first.commit}


@pytest.mark.parametrize("name", ["a..b", "-x", "a b", "a.lock", "x/", "", "0" * 40, "refs/pr/1"])
def test_names_that_git_does_not_take(out: Path, name: str) -> None:
    for options in (PublishOptions(revision=name), PublishOptions(tag=name)):
        with pytest.raises(InputError, match=re.escape(repr(name))):
            publish_to_hub(out, REPO, options)


def test_a_branch_and_a_tag_have_different_names(hub: HubServer, out: Path) -> None:
    publish(out, revision="trial", tag="v1.0")
    asked = len(writes(hub))
    for options, message in (
        ({"revision": "v1.0"}, "'v1.0' is a tag of user/toy"),
        ({"tag": "trial"}, "'trial' is a branch of user/toy"),
        ({"tag": "main"}, "Bad name of a tag 'main'"),
        ({"tag": "next", "revision": "next"}, "Bad name of a tag 'next'"),
    ):
        with pytest.raises(InputError, match=message):
            publish(out, **options)
    assert len(writes(hub)) == asked


@pytest.mark.parametrize("name", ["toy", "a/b/c", "user/a--b", "user/", "user/toy.git", "user/o y"])
def test_names_that_the_hub_does_not_take(hub: HubServer, out: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"Bad dataset name {re.escape(repr(name))}, expected USER/NAME"):
        publish_to_hub(out, name)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("http://hub.example.org", "in the clear"),
        ("https://me:secret@hub.example.org", "must not hold"),
        ("hub.example.org", "expected an address"),
    ],
)
def test_addresses_that_would_give_the_token_away(out: Path, endpoint: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        publish(out, endpoint=endpoint)
    assert "secret" not in str(caught.value)


def test_who_sees_it(hub: HubServer, out: Path) -> None:
    assert publish(out, private=True).plan.private is True
    repository = hub.repositories[REPO]
    assert repository.private
    assert publish(out).plan.private is True
    assert repository.private
    assert "the repository was private and is public now" in publish(out, private=False).notes
    assert not repository.private
    with_audit(out, new="d")
    hub.requests.clear()
    assert "the repository was public and is private now" in publish(out, private=True).notes
    assert repository.private
    # It is hidden before anything more is sent.
    assert [path.split("/")[-1] for path in writes(hub)][:2] == ["settings", "main"]


class TestBeforeAnythingIsSent:
    @pytest.fixture
    def quick(self) -> None:
        """Everything is looked at."""

    def test_a_whole_folder(self, hub: HubServer, out: Path) -> None:
        assert publish(out).new_commit

    def test_a_folder_with_problems(self, hub: HubServer, out: Path) -> None:
        (out / "README.md").write_text((out / "README.md").read_text() + "changed")
        with pytest.raises(InputError, match=r"has problems and is not published:\n +README.md: has \d+"):
            publish(out)
        assert hub.requests == []

    def test_what_looks_like_a_key(self, hub: HubServer, out: Path) -> None:
        with_audit(out, told="hf_" + "a1" * 15)
        with pytest.raises(InputError, match=r"audit/told.csv: holds what looks like an API key \(hf_a1a…\)"):
            publish(out)
        assert hub.requests == []

    def test_what_the_hub_would_refuse(self, hub: HubServer, out: Path) -> None:
        card = (out / "README.md").read_text().replace("- remelt\n", f"- {'x' * 65}\n", 1)
        (out / "README.md").write_text(card)
        seal(out)
        with pytest.raises(InputError, match=r"README\.md: tag 'x+' is no text of 1 to 64 letters"):
            publish(out)
        assert hub.requests == []

    def test_somebody_builds_in_the_folder(self, hub: HubServer, out: Path) -> None:
        with OutLock(out), pytest.raises(InputError, match="Another remelt process"):
            publish(out)
        assert hub.requests == []

    def test_no_folder(self, hub: HubServer, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is no folder"):
            publish(tmp_path / "nothing")

    def test_nobody_is_logged_in(
        self, hub: HubServer, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log_in(hub, monkeypatch, tmp_path, token="")
        with pytest.raises(InputError, match="No Hugging Face token: set the environment variable HF_TOKEN"):
            publish(out)
        assert hub.requests == []

    def test_a_token_that_may_only_read(self, hub: HubServer, out: Path) -> None:
        hub.role = "read"
        with pytest.raises(InputError, match="token of 'user' may only read"):
            publish(out)
        assert writes(hub) == []

    def test_the_user_says_no(self, hub: HubServer, out: Path) -> None:
        seen: list[PublishPlan] = []

        def approve(plan: PublishPlan) -> bool:
            seen.append(plan)
            return False

        found = publish_to_hub(out, REPO, approve=approve)
        assert (found.commit, found.plan) == ("", seen[0])
        assert writes(hub) == []
        assert (seen[0].exists, seen[0].base) == (False, "")
        assert seen[0].sent == sum(map(len, published_bytes(out).values()))


class TestDryRun:
    def test_it_compares_and_sends_nothing(self, hub: HubServer, out: Path) -> None:
        with_audit(out, old="a")
        base = publish(out).commit
        with_audit(out, new="d")
        asked = len(writes(hub))
        found = publish(out, dry_run=True, tag="v1", private=True, message="x")
        assert changes(found) == {
            "audit/new.csv": "new",
            "audit/old.csv": "deleted",
            "manifest.json": "changed",
        }
        assert (found.plan.exists, found.plan.base, found.commit) == (True, base, "")
        assert len(writes(hub)) == asked
        assert hub.repositories[REPO].tags == {}

    def test_it_needs_no_token(
        self, hub: HubServer, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log_in(hub, monkeypatch, tmp_path, token="")
        notices = Notices()
        found = publish(out, notices, dry_run=True)
        assert found.plan.exists is False
        assert notices.said == ["Without a token user/toy may also be private and not seen"]

    def test_it_says_where_the_hub_cannot_be_read(self, hub: HubServer, out: Path) -> None:
        hub.fail("GET", "/api/datasets", status=503, times=99)
        notices = Notices()
        found = publish(out, notices, dry_run=True)
        assert found.plan.exists is None
        assert {file["change"] for file in found.as_dict()["files"]} == {None}
        assert notices.said[0].startswith("The Hub could not be read, so nothing was compared.")
        assert len(hub.requests) == 1

    def test_it_refuses_what_would_be_refused(self, hub: HubServer, out: Path) -> None:
        hub.add(REPO, {"data.csv": b"a,b"})
        with pytest.raises(InputError, match="holds 1 file that is no remelt dataset"):
            publish(out, dry_run=True)


def test_the_lines_that_load_it(hub: HubServer, out: Path) -> None:
    found = publish(out)
    assert load_lines(found.plan, found.commit) == [
        'load_dataset("user/toy")',
        'load_dataset("user/toy", "annotations")',
        'load_dataset("user/toy", "dropped")',
        f'load_dataset("user/toy", revision="{found.commit}")',
    ]
    told = publish(out, revision="next", dry_run=True).as_dict()
    assert told["load"][1] == 'load_dataset("user/toy", "annotations", revision="next")'
    assert (told["repo"], told["branch"], told["commit"]) == ("user/toy", "next", None)


def test_no_line_loads_a_configuration_without_rows(hub: HubServer, tmp_path: Path) -> None:
    bare = replace(small_content(), annotations=(), drops=(), inputs={"train": 0, "test": 0})
    publish_content(tmp_path / "bare", bare)
    found = publish(tmp_path / "bare", dry_run=True).plan
    assert found.configs == {}
    assert any("cannot be loaded" in warning for warning in found.warnings)
