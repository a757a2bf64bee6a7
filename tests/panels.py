"""Builds with several annotators against servers of their own, some of which fail half-way."""

from __future__ import annotations

import hashlib
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from aiohttp import web

import remelt.publishing
from remelt.annotators import AnnotatorOptions
from remelt.engine import EngineOptions, Stats
from remelt.journal import Journal
from remelt.publishing import DatasetContent, publish
from remelt.recipes.finishing import BuildResult
from remelt.recipes.melt import MeltOptions, build
from remelt.recipes.options import Member
from remelt.recipes.reporting import Reporter

from .server_faults import error
from .servers import ChatServer

ENGINE = EngineOptions(concurrency=4, retries=1, tries=2, wait=0.01, longest_wait=0.02)


class FailingServer(ChatServer):
    """Fails every request with a status after so many good answers, until `healed`."""

    def __init__(self, good: int, status: int = 500, **options: Any) -> None:
        super().__init__(**options)
        self.good, self.status, self.healed = good, status, False

    def _refuse(self, request: web.Request, body: Mapping[str, Any]) -> web.Response | None:
        if not self.healed and self.good <= 0:
            return error(self.status, f"The server says {self.status}.")
        self.good -= 1
        return super()._refuse(request, body)


class Told(Reporter):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.members: dict[str, str] = {}
        self.given_up: dict[str, int] = {}
        self.running: set[tuple[str, ...]] = set()

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def member(self, name: str, stats: Stats, failure: str) -> None:
        self.members[name] = failure
        self.given_up[name] = stats.given_up

    def progress(self, stats: Stats) -> None:
        self.running.add(tuple(text.partition(" ")[0] for text in stats.running))


def members(**servers: ChatServer | str) -> tuple[Member, ...]:
    """One annotator per server, `openai/NAME` called NAME, with the label's schema alone."""
    return tuple(
        Member(f"openai/{name}", name=name, base_url=(server if isinstance(server, str) else server.url,))
        for name, server in servers.items()
    )


def run(
    corpus: Path, out: Path, annotator: Any, reporter: Reporter | None = None, **changes: Any
) -> BuildResult:
    options: dict[str, Any] = {
        "splits": ("train",),
        "profile": "clean",
        "engine": ENGINE,
        "connection": AnnotatorOptions(timeout=120.0),
        **changes,
    }
    return build(MeltOptions(corpus=str(corpus), out=out, annotator=annotator, **options), reporter)


def only_publish(out: Path, content: DatasetContent, stats: Stats, reporter: Reporter) -> BuildResult:
    """The last steps of a recipe without the audit, which takes most of the time."""
    publish(out, content)
    return BuildResult(out, remelt.publishing.seal(out), None, stats)  # type: ignore[arg-type]


def closed_port() -> int:
    """A port at which nobody is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answered(server: ChatServer) -> Counter[tuple[str, int]]:
    """How often each question (prompt and turn) got an answer."""
    return Counter((a["hash"], a["turn"]) for a in server.asked if a["status"] == 200)


def journaled(out: Path) -> Counter[str]:
    """Replies in the journal by the annotator that gave them."""
    with Journal(out / ".remelt" / "journal.sqlite", read_only=True) as journal:
        query = "SELECT annotator FROM replies JOIN requests ON key = request_key"
        return Counter(name for (name,) in journal.query(query))


def rows(out: Path, config: str, split: str = "train") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted((out / config).glob(f"{split}-*.parquet")):
        found += pq.read_table(path).to_pylist()
    return found


def votes(out: Path) -> dict[str, dict[str, str]]:
    """Utterance id -> annotator -> label, as published."""
    return {r["id"]: {v["source"]: v["label"] for v in r["votes"]} for r in rows(out, "data")}


def stored(out: Path) -> set[tuple[str, str, int]]:
    """Annotator, hash of the user's message as a server logs it, and turn of every reply in the journal."""
    with Journal(out / ".remelt" / "journal.sqlite", read_only=True) as journal:
        query = (
            "SELECT annotator, content, attempt FROM replies JOIN requests ON key = request_key"
            " JOIN contents ON sha256 = json_extract(messages, '$[1][1]')"
        )
        return {
            (name, hashlib.sha256(content.encode()).hexdigest()[:16], attempt)
            for name, content, attempt in journal.query(query)
        }


def write_panel(path: Path, **servers: ChatServer) -> Path:
    """A panel file for `members`."""
    lines = [f"  - {{name: {n}, annotator: openai/{n}, base_url: '{s.url}'}}" for n, s in servers.items()]
    path.write_text("\n".join(["annotators:", *lines]) + "\n", encoding="utf-8")
    return path
