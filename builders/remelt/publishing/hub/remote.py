"""A dataset repository at the Hub: what it holds, and how a new version gets there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from httpx2 import HTTPError
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    constants,
    get_token,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

# Documented by the library, but not marked as exported.
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    hf_raise_for_status,
    http_backoff,
    validate_repo_id,
)

from ... import __version__
from ...errors import InputError
from ..layout import MANIFEST
from .errors import hub_errors, passing

MAIN = "main"
# Given by the Hub to each new repository.
ATTRIBUTES = ".gitattributes"
_TYPE = "dataset"
_TIMEOUT = 60.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Seconds between tries of what huggingface_hub itself tries only once.
WAITS = (1.0, 2.0, 4.0, 8.0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at the Hub.

    Attributes:
        size: bytes.
        git_oid: git's hash of it, or of the pointer to it where it is large.
        sha256: of its content where it is large, else empty.
    """

    size: int
    git_oid: str
    sha256: str


@dataclass(frozen=True)
class RemoteState:
    """What a branch of a dataset repository holds.

    Attributes:
        commit: the commit's hash.
        private: whether only its owner sees it; None where the Hub does not say.
        branch_exists: False where the branch would be made from `main`, whose files these are.
        files: by path.
        manifest: remelt's own; None where there is none that can be read.
        tags: the commit that each names.
        branches: the names of all.
    """

    commit: str
    private: bool | None
    branch_exists: bool
    files: Mapping[str, RemoteFile]
    manifest: Mapping[str, Any] | None
    tags: Mapping[str, str] = field(default_factory=dict)
    branches: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        return set(self.files) <= {ATTRIBUTES}


class Hub:
    """A connection to the Hub, with one dataset repository in view.

    Args:
        repo: `USER/NAME`.
        endpoint: the Hub's address; None takes HF_ENDPOINT, or huggingface.co.
        patient: whether what fails is tried again.

    Raises:
        InputError: the name or the address cannot be one.
    """

    def __init__(self, repo: str, endpoint: str | None = None, patient: bool = True) -> None:
        self.repo = repo
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        with hub_errors(f"Bad dataset name {repo!r}, expected USER/NAME", self.endpoint):
            validate_repo_id(repo)
            if repo.count("/") != 1:
                raise InputError(f"Bad dataset name {repo!r}, expected USER/NAME")
        _check_endpoint(self.endpoint)
        no_telemetry()
        self._waits = WAITS if patient else ()
        with hub_errors("Cannot get the Hugging Face token", self.endpoint):
            self._token = get_token()
        self._api = HfApi(
            endpoint=self.endpoint,
            token=self._token or False,
            library_name="remelt",
            library_version=__version__,
        )

    @property
    def has_token(self) -> bool:
        return self._token is not None

    @property
    def url(self) -> str:
        return f"{self.endpoint}/datasets/{self.repo}"

    def check_token(self) -> None:
        """Checks that there is a token, without asking the Hub.

        Raises:
            InputError: there is none.
        """
        if self._token is None:
            raise InputError(
                "No Hugging Face token: set the environment variable HF_TOKEN, or run `hf auth login`. The "
                f"token needs the right to write to {self.repo.split('/')[0]!r}"
            )

    def user(self) -> str:
        """Whose token it is.

        Raises:
            InputError: there is none, it is not known, or it may only read.
            Interrupted: the Hub cannot be reached.
        """
        self.check_token()
        with hub_errors("Cannot use the Hugging Face token", self.endpoint):
            told = self._again(lambda: self._api.whoami())
        access = told.get("auth", {}).get("accessToken", {})
        if access.get("role") == "read":
            raise InputError(
                f"The Hugging Face token of {told.get('name')!r} may only read; make one that may write "
                f"({self.endpoint}/settings/tokens)"
            )
        return str(told.get("name", ""))

    def state(self, branch: str = MAIN) -> RemoteState | None:
        """What a branch holds; None where there is no such repository, or none that can be seen.

        Raises:
            InputError: the Hub refuses.
            Interrupted: the Hub cannot be reached.
        """
        with hub_errors(f"Cannot read {self.repo}", self.endpoint):
            return self._again(lambda: self._state(branch))

    def create(self, private: bool | None) -> None:
        """Makes the repository, where there is none that can be seen.

        Raises:
            InputError: there is one that cannot be seen, or the token may not.
            Interrupted: the Hub cannot be reached.
        """
        with hub_errors(f"Cannot create {self.repo}", self.endpoint):
            try:
                self._again(lambda: self._api.create_repo(self.repo, repo_type=_TYPE, private=private))
            except HfHubHTTPError as error:
                # Its own answer may have been lost, or somebody was quicker: the next look tells.
                if error.response.status_code != 409 or self._state(MAIN) is None:
                    raise

    def create_branch(self, branch: str) -> None:
        """Makes a branch from `main`, where there is none yet."""
        with hub_errors(f"Cannot make the branch {branch!r} of {self.repo}", self.endpoint):
            self._again(
                lambda: self._api.create_branch(self.repo, branch=branch, repo_type=_TYPE, exist_ok=True)
            )

    def create_tag(self, tag: str, commit: str) -> None:
        """Gives a commit a name that stays."""
        with hub_errors(f"Cannot make the tag {tag!r} of {self.repo}", self.endpoint):
            self._again(
                lambda: self._api.create_tag(
                    self.repo, tag=tag, revision=commit, repo_type=_TYPE, exist_ok=True
                )
            )

    def set_private(self, private: bool) -> None:
        """Hides the repository, or shows it."""
        with hub_errors(f"Cannot change who sees {self.repo}", self.endpoint):
            self._again(lambda: self._api.update_repo_settings(self.repo, private=private, repo_type=_TYPE))

    def upload(
        self,
        files: Mapping[str, Path],
        deleted: Sequence[str],
        message: str,
        parent: RemoteState,
        branch: str,
        done: Callable[[RemoteState], bool],
    ) -> str:
        """Uploads files as one commit on top of a known state.

        Large files that an interrupted run has sent are not sent again: the Hub keeps them by their hash.

        Args:
            files: the local file by its path in the repository.
            deleted: paths that go.
            message: the commit's message.
            parent: what the branch held when it was compared; a branch that has moved on is not touched.
            branch: the branch, which exists.
            done: tells of a state whether it is what should come out, for an answer that was lost.

        Returns:
            The commit's hash.

        Raises:
            InputError: the Hub refuses.
            Interrupted: the connection broke, or somebody else committed.
        """
        additions = [CommitOperationAdd(name, str(path)) for name, path in sorted(files.items())]
        deletions = [CommitOperationDelete(name, is_folder=False) for name in deleted]
        with hub_errors(f"Cannot upload to {self.repo}", self.endpoint):
            self._api.preupload_lfs_files(
                self.repo, additions, repo_type=_TYPE, revision=branch, free_memory=False
            )
            try:
                made = self._again(
                    lambda: self._api.create_commit(
                        self.repo,
                        [*deletions, *additions],
                        commit_message=message,
                        repo_type=_TYPE,
                        revision=branch,
                        parent_commit=parent.commit or None,
                    )
                )
            except HfHubHTTPError as error:
                # The commit of an answer that was lost stands in the way of its own repetition.
                if error.response.status_code != 412 or not (now := self._state(branch)) or not done(now):
                    raise
                return now.commit
        return str(made.oid)

    def _state(self, branch: str) -> RemoteState | None:
        try:
            info = self._api.repo_info(self.repo, repo_type=_TYPE, timeout=_TIMEOUT)
        except RepositoryNotFoundError:
            return None
        refs = self._api.list_repo_refs(self.repo, repo_type=_TYPE)
        branches = {ref.name: ref.target_commit for ref in refs.branches}
        commit = branches.get(branch) or branches.get(MAIN) or info.sha or ""
        entries = self._api.list_repo_tree(
            self.repo, recursive=True, revision=commit or None, repo_type=_TYPE
        )
        files = {
            entry.path: RemoteFile(entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else "")
            for entry in entries
            if isinstance(entry, RepoFile)
        }
        return RemoteState(
            commit=commit,
            private=getattr(info, "private", None),
            branch_exists=branch in branches,
            files=files,
            manifest=self._manifest(commit) if MANIFEST in files else None,
            tags={ref.name: ref.target_commit for ref in refs.tags},
            branches=frozenset(branches),
        )

    def _manifest(self, commit: str) -> Mapping[str, Any] | None:
        address = f"{self.url}/resolve/{commit}/{MANIFEST}"
        headers = build_hf_headers(token=self._token or False)
        response = http_backoff(
            "GET", address, headers=headers, timeout=_TIMEOUT, max_retries=len(self._waits)
        )
        hf_raise_for_status(response)
        try:
            found = json.loads(response.content)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def _again(self, call: Callable[[], T]) -> T:
        """Calls until it works, where trying again may help."""
        for wait in (*self._waits, None):
            try:
                return call()
            except (HTTPError, RuntimeError, ValueError, OSError) as error:
                if wait is None or not passing(error):
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")


def no_telemetry() -> None:
    """Switches the usage statistics of huggingface_hub and hf_xet off, for this process.

    Else each run asks huggingface.co who is using it, whatever the endpoint, and each upload is reported.
    """
    # hf_xet reads the variable; huggingface_hub has read it when it was imported.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    constants.HF_HUB_DISABLE_TELEMETRY = True


def _check_endpoint(endpoint: str) -> None:
    """Refuses an address to which the token would travel in the clear."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"Bad endpoint {endpoint!r}, expected an address such as https://huggingface.co")
    if parts.username or parts.password:
        raise InputError("The endpoint must not hold a user or password; set HF_TOKEN instead")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InputError(f"Bad endpoint {endpoint!r}: the token would travel in the clear; use https")
