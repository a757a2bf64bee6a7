"""GGUF files of Hub repositories: which file is meant, downloading it once, and the local cache.

What was downloaded once is used without asking the Hub again, so a run needs no network and a new commit
of the repository never changes a model unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, RemeltError
from .local_models import SUFFIX, ModelFile, fingerprint, from_path, ggufs, shard_names

if TYPE_CHECKING:
    from huggingface_hub import CachedFileInfo, CachedRepoInfo, CachedRevisionInfo

_SPEC = re.compile(r"(?P<repo>[\w][\w.-]*/[\w][\w.-]*)(?::(?P<file>[^:]+\.gguf))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubModel:
    """A Hub repository and one GGUF file in it; no file where the repository has but one."""

    repo: str
    file: str | None = None

    def __str__(self) -> str:
        return self.repo if self.file is None else f"{self.repo}:{self.file}"


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model in the Hub's cache on this machine."""

    model: HubModel
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)


def parse(text: str) -> HubModel | None:
    """Reads `OWNER/NAME` or `OWNER/NAME:FILE.gguf`; None for anything else.

    >>> parse("owner/name-GGUF:q4.gguf"), parse("models/tiny.gguf")
    (HubModel(repo='owner/name-GGUF', file='q4.gguf'), None)
    """
    match = _SPEC.fullmatch(text)
    if match is None or match["repo"].endswith(SUFFIX):
        return None
    return HubModel(match["repo"], match["file"])


def fetch(wanted: HubModel, *, fresh: bool = False) -> ModelFile:
    """The model from the cache, else downloaded into it; verified against the Hub's sha256.

    Args:
        wanted: repository and file.
        fresh: read the file even if it has not changed since it was last verified.

    Raises:
        InputError: no such repository or file, several files to choose from, no access, or no network.
    """
    here = find(wanted)
    if here is None:
        _download(wanted)
        here = find(wanted)
    if here is None:
        raise InputError(f"{wanted} was downloaded and is not in the Hub's cache; free some disk space?")
    model = from_path(here.files[0], name=str(here.model), fresh=fresh)
    for file in model.files:
        check_blob(file)
    return model


def expected(file: Path) -> str | None:
    """The sha256 under which the Hub stores a cached file; None where it does not say."""
    name = file.resolve().name
    return name if _SHA256.fullmatch(name) else None


def check_blob(file: Path) -> None:
    """Compares a cached file with what the Hub has.

    Raises:
        InputError: the file is damaged.
    """
    right = expected(file)
    if right is not None and (found := fingerprint(file)) != right:
        raise InputError(
            f"{file} is damaged: its sha256 is {found}, the Hub has {right}; remove it with "
            "`remelt models remove` and fetch it again"
        )


def cached() -> tuple[CachedModel, ...]:
    """Every GGUF model in the Hub's cache, in order of name."""
    found = {str(m.model): m for repo in _repositories() for m in _models(repo)}
    return tuple(found[name] for name in sorted(found))


def find(wanted: HubModel) -> CachedModel | None:
    """A model in the Hub's cache; None where it is not (or not wholly) there.

    Raises:
        InputError: several files are there and none is named.
    """
    here = [m for m in cached() if m.model.repo == wanted.repo]
    if wanted.file is not None:
        first = _first_part(wanted.file)
        here = [m for m in here if m.model.file == first]
    if len(here) > 1:
        raise InputError(_choose(wanted.repo, {str(m.model.file): m.size for m in here}))
    return here[0] if here else None


def remove(model: CachedModel) -> int:
    """Deletes a model's files from the Hub's cache.

    Returns:
        Bytes that were freed.

    Raises:
        InputError: a file cannot be deleted.
    """
    freed = 0
    parts = set(_parts(str(model.model.file)))
    for repo in _repositories():
        if repo.repo_id != model.model.repo:
            continue
        named = [(name, f) for revision in repo.revisions for name, f in _files(revision).items()]
        gone = [f for name, f in named if name in parts]
        kept = {f.blob_path for name, f in named if name not in parts}
        try:
            for file in gone:
                file.file_path.unlink()
            for blob in {f.blob_path for f in gone} - kept:
                # Where the file system has no links, the blob is the file that is gone already.
                freed += next(f.size_on_disk for f in gone if f.blob_path == blob)
                blob.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{error.filename} cannot be deleted: {error.strerror}") from error
    return freed


def _download(wanted: HubModel) -> None:
    import httpx2
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    try:
        sizes = _remote(wanted.repo)
        for part in _parts(_only(wanted, sizes)):
            hf_hub_download(wanted.repo, part)
    except (httpx2.HTTPError, EntryNotFoundError, HFValidationError, OSError) as error:
        raise _explained(wanted, error) from error


def _remote(repo: str) -> dict[str, int | None]:
    """The GGUF models of a repository and their sizes in bytes."""
    from huggingface_hub import HfApi

    sizes = {s.rfilename: s.size for s in HfApi().model_info(repo, files_metadata=True).siblings or ()}
    found: dict[str, int | None] = {}
    for name in ggufs(sizes):
        parts = [sizes.get(part) for part in _parts(name)]
        found[name] = None if None in parts else sum(size or 0 for size in parts)
    return found


def _only(wanted: HubModel, sizes: Mapping[str, int | None]) -> str:
    """The file to take.

    Raises:
        InputError: it is not there, or several are and none is named.
    """
    if not sizes:
        raise InputError(
            f"The Hub repository {wanted.repo} has no GGUF file; look for one whose name ends in -GGUF "
            f"(https://huggingface.co/models?library=gguf&search={wanted.repo.partition('/')[2]})"
        )
    if wanted.file is not None:
        first = _first_part(wanted.file)
        if first in sizes:
            return first
        raise InputError(f"{wanted.repo} has no file {wanted.file!r}. {_choose(wanted.repo, sizes)}")
    if len(sizes) > 1:
        raise InputError(_choose(wanted.repo, sizes))
    return next(iter(sizes))


def _choose(repo: str, sizes: Mapping[str, int | None]) -> str:
    lines = [
        f"  local/{repo}:{name}" + (f"  ({shown_size(size)})" if size else "") for name, size in sizes.items()
    ]
    return "\n".join([f"{repo} has these GGUF files; name one:", *lines])


def shown_size(size: int) -> str:
    """Bytes for people.

    >>> shown_size(98_362_432), shown_size(4_700_000_000)
    ('98 MB', '4.7 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _explained(wanted: HubModel, error: Exception) -> RemeltError:
    """What a failure of the Hub means for the user."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return InputError(
            f"The Hub repository {wanted.repo} is gated: accept its terms at "
            f"https://huggingface.co/{wanted.repo} and log in (`hf auth login`)"
        )
    if isinstance(error, RepositoryNotFoundError):
        return InputError(
            f"There is no Hub repository {wanted.repo!r}, or it is private and you are not logged in "
            "(`hf auth login`); a file on this machine is named by its path, which ends in .gguf"
        )
    if isinstance(error, HFValidationError):
        return InputError(f"Bad Hub repository {wanted.repo!r}: {error}")
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return InputError(f"{wanted.repo} has no file {wanted.file!r}")
    if isinstance(error, HfHubHTTPError):
        return InputError(f"The Hub cannot give {wanted}: {error}")
    if isinstance(error, OfflineModeIsEnabled):
        why = "HF_HUB_OFFLINE is set"
    elif isinstance(error, OSError) and error.errno is not None and error.filename:
        return InputError(f"{wanted} cannot be stored: {error.strerror} ({error.filename})")
    else:
        why = (
            f"the Hub cannot be reached: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        )
    return InputError(
        f"{wanted} is not on this machine and {why}. Fetch it where there is a network "
        f"(remelt models fetch {wanted}) or name a file: local/PATH.gguf"
    )


def _repositories() -> tuple[CachedRepoInfo, ...]:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return ()
    return tuple(repo for repo in repos if repo.repo_type == "model")


def _models(repo: CachedRepoInfo) -> Iterator[CachedModel]:
    """The models of a repository that are wholly there; the newest revision's where several have a file."""
    for revision in sorted(repo.revisions, key=lambda r: r.last_modified):
        files = {name: file.file_path for name, file in _files(revision).items()}
        for name in ggufs(files):
            parts = _parts(name)
            if all(part in files for part in parts):
                yield CachedModel(HubModel(repo.repo_id, name), tuple(files[part] for part in parts))


def _files(revision: CachedRevisionInfo) -> dict[str, CachedFileInfo]:
    """The files of a cached revision by their name in the repository."""
    return {f.file_path.relative_to(revision.snapshot_path).as_posix(): f for f in revision.files}


def _parts(name: str) -> tuple[str, ...]:
    """All parts of a file of a repository, which may lie in a folder."""
    folder, slash, base = name.rpartition("/")
    return tuple(f"{folder}{slash}{part}" for part in shard_names(base))


def _first_part(name: str) -> str:
    return _parts(name)[0]
