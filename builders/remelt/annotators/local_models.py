"""Language model files on this machine: the known ones, where each is, and whether it is the right one.

A local model is a GGUF file: one that a Python package carries (`smollm2`), a path, or a file of a Hub
repository (`local_hub`). Its sha256 becomes part of the model id, so that replies of two files are never
mixed up.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import InputError, bad_value
from ..fingerprints import cache_folder as cache_folder
from ..fingerprints import fingerprint as fingerprint
from ..fingerprints import remembered as remembered

SUFFIX = ".gguf"
FORMS = ("PATH.gguf", "HUB_ID", "HUB_ID:FILE.gguf")

_MAGIC = b"GGUF"
_LFS_POINTER = b"version https://git-lfs"
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class Package:
    """A Python package that carries a model file."""

    distribution: str
    version: str
    module: str
    file: str

    @property
    def pip(self) -> tuple[str, ...]:
        """Arguments for pip; without its dependencies, which are for another program's plug-in."""
        return ("install", "--no-deps", f"{self.distribution}=={self.version}")


@dataclass(frozen=True, slots=True)
class LocalModelInfo:
    """A model that is known by a short name (`local_models.yaml`).

    Attributes:
        model: the model id, without the hash.
        size: bytes of the file.
        caveat: what a reader of the labels must know; shown after a build and on the card.
    """

    name: str
    title: str
    model: str
    licence: str
    homepage: str
    size: int
    sha256: str
    package: Package
    caveat: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file that is there and can be used.

    Attributes:
        name: what follows `local/` in the annotator's name; of a path the file name alone, because
            datasets are published.
        files: the GGUF file, or all parts of a split one in order.
        sha256: of the file; of a split one, over the hashes of its parts.
        info: the known model this is, whatever way it was named.
    """

    name: str
    files: tuple[Path, ...]
    sha256: str
    info: LocalModelInfo | None = None

    @property
    def model(self) -> str:
        """The model id: a name and the beginning of the file's sha256."""
        base = self.info.model if self.info else _SHARD.sub("", self.files[0].name).removesuffix(SUFFIX)
        return f"{base}@{self.sha256[:12]}"

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)


@cache
def catalogue() -> Mapping[str, LocalModelInfo]:
    """The models that are known by a short name.

    >>> catalogue()["smollm2"].licence
    'Apache-2.0'
    """
    import yaml

    data = yaml.safe_load(Path(__file__).with_name("local_models.yaml").read_text(encoding="utf-8"))
    return {m["name"]: LocalModelInfo(**{**m, "package": Package(**m["package"])}) for m in data["models"]}


def resolve(text: str) -> ModelFile:
    """The model that a specification names, verified; a Hub model is downloaded where it is missing.

    Args:
        text: what follows `local/`: a known name, `PATH.gguf`, `HUB_ID` or `HUB_ID:FILE.gguf`.

    Raises:
        InputError: nothing of that name, not installed, not a GGUF file, or not the file it should be.
    """
    from . import local_hub

    text = text.strip()
    known = catalogue()
    if text.casefold() in known:
        return installed(known[text.casefold()])
    path = Path(text).expanduser()
    hub = local_hub.parse(text)
    if text and path.is_file():
        return from_path(path)
    if path.is_dir() and (files := ggufs(p.name for p in path.iterdir())):
        raise InputError(f"{text} is a folder; name one of its files, such as local/{text}/{files[0]}")
    if hub is not None:
        return local_hub.fetch(hub)
    if text.endswith(SUFFIX):
        rooted = Path("/") / text
        hint = f" (an absolute path is written local/{rooted})" if rooted.is_file() else ""
        raise InputError(f"No model file at {text}{hint}")
    raise InputError(bad_value("local model", text, [*known, *FORMS]))


def locate(info: LocalModelInfo) -> Path | None:
    """Where a known model's file is; None where its package is not installed.

    The package is found without importing it: it is a plug-in that fails outside its own program.
    """
    spec = importlib.util.find_spec(info.package.module)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / info.package.file
        if path.is_file():
            return path
    return None


def installed(info: LocalModelInfo, *, fresh: bool = False) -> ModelFile:
    """A known model's file, verified.

    Args:
        info: the model.
        fresh: read the file even if it has not changed since it was last verified.

    Raises:
        InputError: it is not installed, or the file is another one.
    """
    path = locate(info)
    if path is None:
        raise InputError(
            f"The model {info.name!r} is not installed; run: remelt models fetch {info.name}\n"
            f"(or: {command_line([sys.executable, '-m', 'pip', *info.package.pip])})"
        )
    found = fingerprint(path, fresh=fresh)
    if found != info.sha256:
        raise InputError(
            f"{path} is not the model {info.name!r}: its sha256 is {found}, expected {info.sha256}; "
            f"reinstall it: "
            f"{command_line([sys.executable, '-m', 'pip', *info.package.pip, '--force-reinstall'])}"
        )
    return ModelFile(info.name, (path,), found, info)


def from_path(path: Path, *, name: str | None = None, fresh: bool = False) -> ModelFile:
    """The model in a file; of a split model any part may be named.

    Raises:
        InputError: not a GGUF file, or a part is missing.
    """
    files = parts(path)
    for file in files:
        check_gguf(file)
    hashes = [fingerprint(file, fresh=fresh) for file in files]
    sha256 = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    info = next((m for m in catalogue().values() if m.sha256 == sha256), None)
    return ModelFile(name or files[0].name, files, sha256, info)


def parts(path: Path) -> tuple[Path, ...]:
    """A file, or all parts of a split model (`NAME-00001-of-00003.gguf`).

    Raises:
        InputError: a part is missing.
    """
    match = _SHARD.search(path.name)
    if match is None:
        return (path,)
    files = tuple(path.with_name(name) for name in shard_names(path.name))
    if missing := [file.name for file in files if not file.is_file()]:
        raise InputError(f"{path} is one part of a split model; these parts are missing: {missing!r}")
    return files


def shard_names(name: str) -> tuple[str, ...]:
    """The names of all parts of a split model; of any other file, its own.

    >>> shard_names("q4-00002-of-00002.gguf")
    ('q4-00001-of-00002.gguf', 'q4-00002-of-00002.gguf')
    """
    match = _SHARD.search(name)
    if match is None:
        return (name,)
    return tuple(
        f"{name[: match.start()]}-{number:05d}-of-{match[2]}{SUFFIX}"
        for number in range(1, int(match[2]) + 1)
    )


def ggufs(names: Iterable[str]) -> tuple[str, ...]:
    """The models among file names: of a split one the first part, none of the image encoders (`mmproj`)."""
    wanted = []
    for name in sorted(names):
        base = name.rpartition("/")[2]
        if base.endswith(SUFFIX) and not base.startswith("mmproj") and shard_names(base)[0] == base:
            wanted.append(name)
    return tuple(wanted)


def check_gguf(path: Path) -> None:
    """Looks at the first bytes of a file.

    Raises:
        InputError: it cannot be read, or is no GGUF file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_LFS_POINTER))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if head.startswith(_LFS_POINTER):
        raise InputError(f"{path} is a Git LFS pointer, not the model; get the file itself (git lfs pull)")
    if not head.startswith(_MAGIC):
        raise InputError(
            f"{path} is not a GGUF model: it begins with {head[:4]!r}, expected {_MAGIC!r}; "
            "llama.cpp runs models in GGUF format only"
        )


def command_line(words: Sequence[str]) -> str:
    """A command as one types it."""
    import shlex

    return shlex.join(words)
