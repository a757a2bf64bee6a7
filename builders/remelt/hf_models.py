"""Transformers models on this machine: where one is, and which one it is.

A model is a folder as `save_pretrained` writes it, or a Hub repository, which is downloaded once into Hugging
Face's own cache and used from there without asking the Hub again.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError, bad_value
from .fingerprints import fingerprint
from .records import digest

FORMS = ("HUB_ID", "HUB_ID@REVISION", "FOLDER")

_GGUF = ".gguf"
_SHAPING = {".json", ".jinja", ".txt", ".model", ".safetensors", ".bin"}
_WEIGHTS = (".safetensors", ".bin")
_SAFE = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors"]
# Copies of the weights in other formats, which some repositories keep in folders.
_NOT = ["*/*", "consolidated*"]
_SPEC = re.compile(r"(?P<repo>[\w][\w.-]*/[\w][\w.-]*)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True)
class HFModel:
    """A model that is there and can be loaded.

    Attributes:
        name: as it was asked for; of a path the last part alone, because datasets are published.
        folder: where its files are.
        gguf: name of the GGUF file in the folder; empty for a transformers folder.
        version: the commit of the Hub repository, or the sha256 over the files.
    """

    name: str
    folder: Path
    gguf: str
    version: str

    @property
    def model(self) -> str:
        """The model id: the name and the beginning of the version."""
        return f"{self.name.partition('@')[0].removesuffix(_GGUF)}@{self.version[:12]}"


def versions(needed: Sequence[str], what: str, install: str) -> dict[str, str]:
    """The installed versions of packages; none of them is imported.

    Args:
        needed: which packages.
        what: who needs them, for the message.
        install: the command that installs them.

    Raises:
        InputError: one is missing; the message gives the install line.
    """
    if missing := absent(needed):
        raise InputError(
            f"{what} need {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            f"not installed; run: {install}"
        )
    return {name: importlib.metadata.version(name) for name in needed}


def absent(names: Sequence[str]) -> list[str]:
    """The packages that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def resolve(text: str, prefix: str = "", leave: Sequence[str] = (), forms: Sequence[str] = FORMS) -> HFModel:
    """The model that a specification names; a Hub model is downloaded where it is missing.

    Args:
        text: `HUB_ID`, `HUB_ID@REVISION` or a folder.
        prefix: what stands before it where the user writes it (`hf/`), for messages.
        leave: patterns of files that are not downloaded.
        forms: what it may look like, for the message.

    Raises:
        InputError: nothing of that name, not a model, or no network.
    """
    text = text.strip()
    path = Path(text).expanduser()
    if text and path.is_dir():
        return _from_folder(path, prefix)
    match = _SPEC.fullmatch(text)
    if match is None:
        raise InputError(bad_value(f"{prefix.removesuffix('/')} model".lstrip(), text, forms))
    return _from_hub(match["repo"], match["revision"], prefix, leave)


def _from_folder(folder: Path, prefix: str) -> HFModel:
    """A folder's model; its version is a hash over every file that shapes an answer."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in _SHAPING)
    if not (folder / "config.json").is_file() or not any(p.suffix in _WEIGHTS for p in files):
        hint = ""
        if prefix and (ggufs := sorted(p.name for p in folder.glob(f"*{_GGUF}"))):
            hint = f"; name its GGUF file: {prefix}{folder / ggufs[0]}"
        raise InputError(
            f"{folder} holds no transformers model: config.json and weights ({', '.join(_WEIGHTS)}) are "
            f"expected, as save_pretrained writes them{hint}"
        )
    name = folder.resolve().name
    return HFModel(name, folder, "", digest([[p.name, fingerprint(p)] for p in files]))


def _from_hub(repo: str, revision: str | None, prefix: str, leave: Sequence[str]) -> HFModel:
    import httpx2
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    def snapshot(patterns: list[str], cached: bool) -> Path | None:
        try:
            return Path(
                snapshot_download(
                    repo,
                    revision=revision,
                    allow_patterns=patterns,
                    ignore_patterns=[*_NOT, *leave],
                    local_files_only=cached,
                )
            )
        except LocalEntryNotFoundError:
            if cached:
                return None
            raise

    try:
        folder = snapshot(_SAFE, cached=True)
        if folder is None or not _complete(folder):
            folder = snapshot(_SAFE, cached=False)
        if folder is not None and not any(p.suffix in _WEIGHTS for p in folder.iterdir()):
            folder = snapshot([*_SAFE, "pytorch_model*.bin"], cached=False)
    except HFValidationError as error:
        raise InputError(f"Bad Hub repository {repo!r}: {error}") from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        said = str(error).strip().splitlines()
        raise InputError(
            f"{repo} is not on this machine (neither as a folder nor in the Hub's cache) and cannot be "
            f"downloaded: {said[0] if said else type(error).__name__}. A gated or private repository needs "
            "`hf auth login`; a model on this machine is named by its folder: "
            f"{prefix}FOLDER"
        ) from error
    if folder is None or not _complete(folder):
        raise InputError(f"The Hub repository {repo} holds no transformers model (config.json and weights)")
    name = repo if revision is None else f"{repo}@{revision}"
    return HFModel(name, folder, "", folder.name)


def _complete(folder: Path) -> bool:
    """Whether a folder of the cache holds all files that its index of weights names."""
    import json

    if not (folder / "config.json").is_file():
        return False
    for index in folder.glob("*.index.json"):
        try:
            named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError):
            return False
        return all((folder / name).is_file() for name in named)
    return any(p.suffix in _WEIGHTS for p in folder.iterdir())


def device(name: str | None) -> str:
    """The device to use: the one that is named, else a GPU where there is one, else the processor.

    Raises:
        InputError: there is no such device here.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise InputError(f"Bad device {name!r}, expected cpu, cuda or cuda:NUMBER") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"Bad device {name!r}: torch {torch.__version__} finds no CUDA here; expected one of ['cpu']"
        )
    return name
