"""What the local Hub server keeps: dataset repositories with commits, branches, tags and large files."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAIN = "main"
# The Hub's own first commit has the rules for large files; it takes these as large whatever their size.
GIT_ATTRIBUTES = b"".join(
    f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n".encode()
    for suffix in (".parquet", ".arrow", ".bin", ".png", ".wav", ".zip")
)
LARGE = (".parquet", ".arrow", ".bin", ".png", ".wav", ".zip")
LARGE_BYTES = 10_000_000


class Conflict(Exception):
    """The branch is no longer where the commit wants it."""


class BadCommit(Exception):
    """The commit names what is not there."""


@dataclass(frozen=True)
class Blob:
    """A file as a commit has it."""

    content: bytes
    large: bool

    @property
    def oid(self) -> str:
        """What preupload calls the file's oid: sha256 for large files, git's own hash for others."""
        return self.sha256 if self.large else self.git_oid

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def git_oid(self) -> str:
        """The hash of the file, or of the pointer to it, as git has it."""
        text = self.content
        if self.large:
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
            text = f"{pointer}size {len(self.content)}\n".encode()
        return hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()


@dataclass(frozen=True)
class Commit:
    """One commit of a repository."""

    sha: str
    parent: str
    message: str
    files: Mapping[str, Blob]


@dataclass
class Repository:
    """A dataset repository.

    Attributes:
        name: `user/name`.
        private: whether only its owner reads it.
        commits: by their hash.
        branches, tags: the commit each one names.
        large: the uploaded large files, by sha256; they may be of no commit yet.
    """

    name: str
    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit(MAIN, "initial commit", {".gitattributes": Blob(GIT_ATTRIBUTES, False)})

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or a hash names."""
        sha = self.branches.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(sha)

    def head(self, branch: str = MAIN) -> Commit:
        return self.commits[self.branches[branch]]

    def history(self, revision: str = MAIN) -> list[Commit]:
        """The commits of a branch, the newest first."""
        found = []
        commit = self.resolve(revision)
        while commit is not None:
            found.append(commit)
            commit = self.commits.get(commit.parent)
        return found

    def commit(self, branch: str, message: str, files: Mapping[str, Blob]) -> Commit:
        """Puts a new commit with exactly these files on a branch."""
        parent = self.branches.get(branch, "")
        text = json.dumps([parent, message, sorted((p, b.git_oid) for p, b in files.items())])
        sha = hashlib.sha1(f"{self.name}{len(self.commits)}{text}".encode()).hexdigest()
        made = Commit(sha, parent, message, dict(files))
        self.commits[sha], self.branches[branch] = made, sha
        return made

    def put(self, files: Mapping[str, bytes], message: str = "by hand", branch: str = MAIN) -> Commit:
        """Commits files over what the branch has; for tests that want a repository with content."""
        added = {path: Blob(content, is_large(path, len(content))) for path, content in files.items()}
        return self.commit(branch, message, {**self.head(branch).files, **added})

    def apply(self, branch: str, lines: Iterable[Mapping[str, Any]]) -> Commit:
        """Commits what the lines of a commit request say.

        Raises:
            Conflict: the branch has moved on from the commit's parent.
            BadCommit: a large file was not uploaded, or a file to delete is not there.
        """
        files = dict(self.head(branch).files)
        message = ""
        for line in lines:
            key, value = line["key"], line["value"]
            path = value.get("path", "")
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit", self.branches[branch]) != self.branches[branch]:
                    raise Conflict
            elif key == "file":
                files[path] = Blob(base64.b64decode(value["content"]), False)
            elif key == "lfsFile":
                if value["oid"] not in self.large:
                    raise BadCommit(f"LFS object {value['oid']} of {path} was not uploaded")
                files[path] = Blob(self.large[value["oid"]], True)
            elif key == "deletedFile":
                if path not in files:
                    raise BadCommit("A file with this name doesn't exist")
                del files[path]
            else:
                raise BadCommit(f"unknown operation {key}")
        return self.commit(branch, message, files)

    def tree(self, commit: Commit, folder: str = "", recursive: bool = True) -> list[dict[str, Any]]:
        """The entries below a folder as the Hub lists them; empty where there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(commit.files.items()):
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                name = prefix + "/".join(parts[:depth])
                tree = hashlib.sha1(f"{commit.sha}{name}".encode()).hexdigest()
                entries[name] = {"type": "directory", "oid": tree, "size": 0, "path": name}
            if recursive or len(parts) == 1:
                entries[path] = self.entry(path, blob)
        return list(entries.values())

    def entry(self, path: str, blob: Blob) -> dict[str, Any]:
        """A file as the Hub lists it."""
        size = len(blob.content)
        found = {"type": "file", "oid": blob.git_oid, "size": size, "path": path}
        if blob.large:
            found["lfs"] = {"oid": blob.sha256, "size": size, "pointerSize": 130}
        return found

    def refs(self) -> dict[str, Any]:
        """The branches and tags as the Hub lists them."""

        def listed(kind: str, names: Mapping[str, str]) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}
                for name, sha in names.items()
            ]

        return {"branches": listed("heads", self.branches), "converts": [], "tags": listed("tags", self.tags)}


def is_large(path: str, size: int) -> bool:
    """Whether the Hub stores a file apart from git."""
    return path.endswith(LARGE) or size > LARGE_BYTES
