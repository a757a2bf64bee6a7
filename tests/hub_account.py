"""A user of the local Hub server within the test's own process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hub_server import HubServer


def log_in(hub: HubServer, patch: pytest.MonkeyPatch, folder: Path, token: str | None = None) -> None:
    """Lets huggingface_hub use this server, with its token or another one, and never wait between tries.

    Args:
        folder: where a login would be kept; none is there.
        token: empty for nobody.
    """
    from huggingface_hub import constants

    given = hub.token if token is None else token
    patch.setattr(constants, "ENDPOINT", hub.url)
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    # Put back to what it was after the test; publishing switches it off itself.
    patch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    patch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    patch.setattr("huggingface_hub.utils._detect_agent._registry", None)
    patch.setattr(constants, "AGENT_HARNESSES_PATH", str(folder / "no-registry"))
    patch.setattr(constants, "HF_TOKEN_PATH", str(folder / "no-login"))
    patch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    patch.delenv("HF_OIDC_RESOURCE", raising=False)
    patch.setenv("HF_TOKEN", given) if given else patch.delenv("HF_TOKEN", raising=False)
    patch.setattr("time.sleep", lambda seconds: None)


def held(hub: HubServer, name: str, revision: str = "main") -> Mapping[str, bytes]:
    """What a revision of a repository holds, without the Hub's own file."""
    commit = hub.repositories[name].resolve(revision)
    assert commit is not None
    return {path: blob.content for path, blob in commit.files.items() if path != ".gitattributes"}


def published_bytes(out: Path) -> dict[str, bytes]:
    """What a dataset folder publishes: what its manifest names, and the manifest."""
    import json

    names = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    return {name: (out / name).read_bytes() for name in [*names, "manifest.json"]}
