"""What stands in README.md and docs/*.md: commands, Python, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from ..conftest import REPOSITORY

SHELL = ("bash", "console")
# Blocks that are read and not run.
SHOWN = ("", "yaml", "json", "text", "bibtex")
PROGRAMS = ("remelt", "pip", "python", "git", "scripts/", "export", "cp", "hf", "ray")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, and where it begins (`docs/hub.md:11`)."""

    language: str
    text: str
    place: str


@dataclass(frozen=True)
class Page:
    """A page, read once.

    Attributes:
        name: relative to the repository (`docs/hub.md`).
        anchors: what `#...` can name, as GitHub makes it from the headings.
        links: targets of links and pictures.
        inline: every `code` within a line.
    """

    name: str
    blocks: tuple[Block, ...]
    anchors: frozenset[str]
    links: tuple[str, ...]
    inline: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return (REPOSITORY / self.name).parent


def names() -> list[str]:
    """README.md and the pages of docs/, sorted."""
    return ["README.md", *sorted(path.relative_to(REPOSITORY).as_posix() for path in _docs())]


def _docs() -> Iterator[Path]:
    return (REPOSITORY / "docs").glob("*.md")


def read(name: str) -> Page:
    return parse((REPOSITORY / name).read_text(encoding="utf-8"), name)


def parse(text: str, name: str) -> Page:
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    blocks, anchors, links, inline = [], [], [], []
    for place, token in enumerate(tokens):
        if token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            blocks.append(Block(token.info.strip(), token.content, f"{name}:{line}"))
        if token.type == "heading_open":
            anchors.append(_anchor(tokens[place + 1].content))
        for child in token.children or ():
            if child.type in ("link_open", "image"):
                links.append(str(child.attrGet("href") or child.attrGet("src")))
            if child.type == "code_inline":
                inline.append(child.content)
    return Page(name, tuple(blocks), frozenset(anchors), tuple(links), tuple(inline))


def _anchor(heading: str) -> str:
    """The heading's id at GitHub: lower case, no punctuation, spaces as hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def commands(block: Block) -> list[str]:
    """The commands of a shell block: continued lines joined, comments and a console's output left out."""
    text = block.text.replace("\\\n", " ")
    lines = (line.rstrip() for line in text.splitlines())
    if block.language == "console":
        lines = (line[2:] for line in lines if line.startswith("$ "))
    found = (" ".join(_without_comment(line).split()) for line in lines)
    return [command for command in found if command]


def _without_comment(line: str) -> str:
    found = re.match(r"""(?:'[^']*'|"[^"]*"|(?<=\S)\#|[^'"#])*""", line)
    return found[0] if found else line


def looks_like_commands(block: Block) -> bool:
    """Whether a block that is only shown has a line that somebody would type."""
    first = (line.split()[0] for line in block.text.splitlines() if line and not line[0].isspace())
    return any(word == p or (p.endswith("/") and word.startswith(p)) for word in first for p in PROGRAMS)
