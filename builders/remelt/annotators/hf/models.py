"""Transformers models that answer: the packages that run them, and where a model is.

A model is a folder as `save_pretrained` writes it, a GGUF file, or a Hub repository (`remelt.hf_models`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ... import hf_models
from ...errors import InputError
from ...hf_models import HFModel as HFModel
from ..local_models import SUFFIX, from_path

FORMS = ("HUB_ID", "HUB_ID@REVISION", "FOLDER", "PATH.gguf")
INSTALL = "pip install torch==2.13.0 && pip install 'remelt[hf]'"

_NEEDED = ("torch", "transformers", "llguidance")
_FOR_GGUF = ("gguf", "accelerate")


def versions(needed: Sequence[str] = _NEEDED) -> dict[str, str]:
    """The installed versions of the packages that run transformers models; none of them is imported.

    Args:
        needed: which packages.

    Raises:
        InputError: one is missing; the message gives the install line.
    """
    return hf_models.versions(needed, "Models in this process", INSTALL)


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
    if not text.endswith(SUFFIX) or path.is_dir():
        return hf_models.resolve(text, f"{scheme}/", leave, FORMS)
    if not path.is_file():
        rooted = Path("/") / text
        hint = f" (an absolute path is written {scheme}/{rooted})" if rooted.is_file() else ""
        raise InputError(f"No model file at {text}{hint}")
    if missing := hf_models.absent(_FOR_GGUF):
        raise InputError(
            f"transformers reads a GGUF file ({path.name}) with {' and '.join(missing)}, not installed "
            f"here; run: pip install {' '.join(missing)}\n"
            f"(or let llama.cpp run it: --annotator local/{text})"
        )
    file = from_path(path)
    return HFModel(path.name, path.parent, path.name, file.sha256)
