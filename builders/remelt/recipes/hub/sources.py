"""Where a dataset is read from: a folder, a file, or the Hub (`hub:USER/NAME@REVISION`)."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import InputError

PREFIX = "hub:"
_ADDRESS = re.compile(r"hub:(?P<repository>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?")
# What a comparison or a join reads; reports and figures stay where they are.
_WANTED = ("*.parquet", "*.csv", "*.tsv", "*.jsonl", "*.json", "README.md")
_UNWANTED = ("audit/*", ".*")


def fetched(source: str | Path) -> Path:
    """The folder or file of a source; a dataset of the Hub is downloaded into the Hub's own cache first.

    The token for a private one is that of the Hub's client (`HF_TOKEN`, or `hf auth login`).

    Raises:
        InputError: there is nothing there, the address is none, or the Hub refuses to give the dataset.
        Interrupted: the Hub cannot be reached now.
    """
    text = str(source)
    if not text.startswith(PREFIX):
        path = Path(source)
        if not path.exists():
            raise InputError(f"There is no file or folder {text!r}; hub:USER/NAME is a dataset of the Hub")
        return path
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise InputError(f"Bad address {text!r}, expected hub:USER/NAME or hub:USER/NAME@REVISION")
    return _download(match["repository"], match["revision"])


def _download(repository: str, revision: str | None) -> Path:
    from huggingface_hub import constants, snapshot_download

    from ...publishing.hub.errors import hub_errors
    from ...publishing.hub.remote import no_telemetry

    where = f"hub:{repository}" + (f"@{revision}" if revision else "")
    no_telemetry()
    with hub_errors(f"Cannot read {where}", constants.ENDPOINT):
        folder = snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns=list(_WANTED),
            ignore_patterns=list(_UNWANTED),
            library_name="remelt",
        )
    path = Path(str(folder))
    if not any(path.rglob("*.*")):
        raise InputError(f"{where} holds no data")
    return path
