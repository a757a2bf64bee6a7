"""Transformers models on this machine: the packages that run them, where a model is, and which one it is.

A model is a folder as `save_pretrained` writes it, a GGUF file, or a Hub repository, which is downloaded once
into Hugging Face's own cache and used from there without asking the Hub again.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, bad_value
from ...records import digest
from ..local_models import SUFFIX, fingerprint, from_path

FORMS = ("HUB_ID", "HUB_ID@REVISION", "FOLDER", "PATH.gguf")
INSTALL = "pip install torch==2.13.0 && pip install 'remelt[hf]'"

_NEEDED = ("torch", "transformers", "llguidance")
_FOR_GGUF = ("gguf", "accelerate")
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
        name: what follows `hf/` in the annotator's name; of a path the last part alone, because datasets
            are published.
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
        return f"{self.name.partition('@')[0].removesuffix(SUFFIX)}@{self.version[:12]}"


def versions(needed: Sequence[str] = _NEEDED) -> dict[str, str]:
    """The installed versions of the packages that run transformers models; none of them is imported.

    Args:
        needed: which packages.

    Raises:
        InputError: one is missing; the message gives the install line.
    """
    if missing := _missing(needed):
        raise InputError(
            f"Models in this process need {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            f"not installed; run: {INSTALL}"
        )
    return {name: importlib.metadata.version(name) for name in needed}


def _missing(names: Sequence[str]) -> list[str]:
    return [name for name in names if importlib.util.find_spec(name) is None]


def resolve(text: str, scheme: str = "hf", leave: Sequence[str] = ()) -> HFModel:
    """The model that a specification names; a Hub model is downloaded where it is missing.

    Args:
        text: what follows `hf/`: `HUB_ID`, `HUB_ID@REVISION`, a folder or a GGUF file; an absolute path
            begins with `/`.
        scheme: what stands before it in the annotator's name, for messages.
        leave: patterns of files that are not downloaded.

    Raises:
        InputError: nothing of that name, not a model, or no network.
    """
    text = text.strip()
    path = Path(text).expanduser()
    if text and path.is_dir():
        return _from_folder(path, scheme)
    if text.endswith(SUFFIX):
        if not path.is_file():
            rooted = Path("/") / text
            hint = f" (an absolute path is written {scheme}/{rooted})" if rooted.is_file() else ""
            raise InputError(f"No model file at {text}{hint}")
        if missing := _missing(_FOR_GGUF):
            raise InputError(
                f"transformers reads a GGUF file ({path.name}) with {' and '.join(missing)}, not installed "
                f"here; run: pip install {' '.join(missing)}\n"
                f"(or let llama.cpp run it: --annotator local/{text})"
            )
        file = from_path(path)
        return HFModel(path.name, path.parent, path.name, file.sha256)
    match = _SPEC.fullmatch(text)
    if match is None:
        raise InputError(bad_value(f"{scheme} model", text, FORMS))
    return _from_hub(match["repo"], match["revision"], scheme, leave)


def _from_folder(folder: Path, scheme: str) -> HFModel:
    """A folder's model; its version is a hash over every file that shapes an answer."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in _SHAPING)
    if not (folder / "config.json").is_file() or not any(p.suffix in _WEIGHTS for p in files):
        hint = ""
        if ggufs := sorted(p.name for p in folder.glob(f"*{SUFFIX}")):
            hint = f"; name its GGUF file: {scheme}/{folder / ggufs[0]}"
        raise InputError(
            f"{folder} holds no transformers model: config.json and weights ({', '.join(_WEIGHTS)}) are "
            f"expected, as save_pretrained writes them{hint}"
        )
    name = folder.resolve().name
    return HFModel(name, folder, "", digest([[p.name, fingerprint(p)] for p in files]))


def _from_hub(repo: str, revision: str | None, scheme: str, leave: Sequence[str]) -> HFModel:
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
            f"{scheme}/FOLDER"
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
