"""Every command and every piece of Python in README.md and docs/: checked, and run where that is cheap."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from remelt.cli import app

from ..conftest import REPOSITORY
from ..hub_account import log_in
from ..hub_server import HubServer
from ..servers import ChatServer
from ..transcription_server import TranscriptionServer
from . import commands, pages, plan
from .stage import DEEDS, Stage

PAGES = pages.names()
# Options that make a command small and leave it the same; a repeated option's last value counts.
SMALL = {"build": "--limit 12 --audio none --acoustics none", "plan": "--limit 12"}


def shell(page: pages.Page) -> list[tuple[str, str]]:
    """Place and command of everything in the page's shell blocks."""
    return [(b.place, c) for b in page.blocks if b.language in pages.SHELL for c in pages.commands(b)]


def reason(command: str) -> str:
    return next((why for piece, why in plan.NOT_RUN.items() if piece in command), "")


def other_problem(command: str) -> str:
    """What is wrong with a command of another program; one that no rule knows is wrong."""
    words = shlex.split(command)
    if words[0].startswith("scripts/"):
        path = REPOSITORY / words[0]
        return "" if path.is_file() and path.stat().st_mode & 0o100 else "no such script"
    if words[0] == "python" and len(words) > 1 and words[1].startswith(("scripts/", "benchmarks/")):
        return "" if (REPOSITORY / words[1]).is_file() else "no such script"
    if words[:2] == ["pip", "install"]:
        extras = re.findall(r"\[([\w,-]+)\]", command)
        settings = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
        known = re.findall(r"^(\w+) = \[", settings.split("[project.optional-dependencies]")[1], re.M)
        return ", ".join(e for group in extras for e in group.split(",") if e not in known)
    known_lines = (
        r"export [A-Z_]+=\S+|cd \S+|git clone https://\S+|hf auth login|ray start --head"
        r"|cp \"\$\(python -c .*profile_path.*\)\" mine\.yaml|python -m keyring set \S+ \S+"
    )
    return "" if re.fullmatch(known_lines, command) else "no rule of this test knows it"


@pytest.mark.parametrize("name", PAGES)
def test_every_command_is_one_that_the_command_line_takes(name: str) -> None:
    page = pages.read(name)
    found = {}
    for place, command in shell(page):
        remelt = command.split()[0] == "remelt"
        why = commands.problem(command) if remelt else other_problem(command)
        if why:
            found[f"{place} {command}"] = why
    for block in page.blocks:
        known = block.language in (*pages.SHELL, *pages.SHOWN, "python")
        if not known or (block.language in pages.SHOWN and pages.looks_like_commands(block)):
            found[block.place] = f"a block of {block.language or 'no language'}: name it bash or console"
    for code in page.inline:
        if code.startswith("remelt ") and (why := commands.unknown_option(code)):
            found[code] = why
    assert found == {}


@pytest.mark.parametrize(
    "command",
    [
        "remelt build melt --corpus MELD --out OUT --annotater mock",
        "remelt build melt --corpus MELD",
        "remelt verifi OUT",
        "remelt verify OUT OUT2",
        "remelt build melt --corpus MELD --out OUT --limit many",
        "remelt verify",
    ],
)
def test_a_wrong_command_is_noticed(command: str) -> None:
    assert commands.problem(command)


def test_what_is_no_command_of_remelt_needs_a_rule() -> None:
    assert other_problem("curl https://example.org")
    assert other_problem("pip install '.[nothing]'") == "nothing"
    assert other_problem("scripts/none")
    assert not other_problem("pip install '.[voice,local]'")
    assert commands.unknown_option("remelt build melt --colour red") == "--colour"
    assert not commands.unknown_option("remelt publish OUT USER/NAME [--dry-run] [--private]")


def test_commands_are_found() -> None:
    text = """
```bash
# a comment
remelt a --b 'c # d' \\
    --e f   # why
```

```console
$ remelt x  # y
output
```
"""
    page = pages.parse(text, "page.md")
    assert [command for _, command in shell(page)] == ["remelt a --b 'c # d' --e f", "remelt x"]
    assert pages.looks_like_commands(pages.Block("", "remelt audit OUT\n", ""))
    assert not pages.looks_like_commands(pages.Block("", "OUT/\n  remelt of it\n", ""))


def test_the_lists_name_nothing_that_is_gone() -> None:
    read = [pages.read(name) for name in PAGES]
    told = [command for page in read for _, command in shell(page)]
    python = [block.text for page in read for block in page.blocks if block.language == "python"]
    assert [piece for piece in plan.NOT_RUN if not any(piece in command for command in told)] == []
    assert [piece for piece in plan.NOT_EXECUTED if not any(piece in text for text in python)] == []
    assert set(plan.NEEDED) <= set(PAGES)
    assert set(plan.CODES) <= set(told)


# -- running ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, no_figures: None) -> Stage:
    return Stage(tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, str]]:
    """Addresses of a chat server and of one that transcribes."""
    with ChatServer() as chat, TranscriptionServer() as ears:
        twin = chat.url.replace("127.0.0.1", "localhost")
        yield {"chat": chat.url, "twin": twin, "ears": ears.url}


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: dict[str, str], no_encodings: None
) -> Iterator[Path]:
    """An empty folder to work in, with keys and addresses of servers of the test's own."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("OPENAI_BASE_URL", places["chat"])
    with HubServer() as hub:
        log_in(hub, monkeypatch, tmp_path)
        yield work


def smaller(command: str, places: dict[str, str]) -> list[str]:
    """The words to run in the place of a documented command."""
    for pattern, instead in plan.INSTEAD:
        command = re.sub(pattern, instead.format(**places), command)
    words = shlex.split(command)[1:]
    group = words[0] if words else ""
    added = SMALL.get(group, "")
    return [*words, *shlex.split(added)]


def run_command(command: str, places: dict[str, str]) -> str:
    """Runs a command in this process; what is wrong with how it ended."""
    result = CliRunner().invoke(app, smaller(command, places))
    wanted = plan.CODES.get(command, 0)
    if result.exit_code == wanted and (result.exception is None or isinstance(result.exception, SystemExit)):
        return ""
    told = result.exception if not isinstance(result.exception, SystemExit) else result.output[-800:]
    return f"{command}: code {result.exit_code}, {told!r}"


def execute(block: pages.Block, known: dict[str, object]) -> None:
    """Runs a Python block; later blocks of a page know what earlier ones named."""
    why = next((why for piece, why in plan.NOT_EXECUTED.items() if piece in block.text), "")
    if why and ">>>" in block.text:
        return
    code = compile(block.text, block.place, "exec")
    if not why:
        exec(code, known)


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_work(name: str, folder: Path, stage: Stage, places: dict[str, str]) -> None:
    page = pages.read(name)
    for path, what in plan.NEEDED.get(name, {}).items():
        stage.put(what, folder / path)
    known: dict[str, object] = {"__name__": "page"}
    for block in page.blocks:
        if block.language == "python":
            execute(block, known)
        for command in pages.commands(block) if block.language in pages.SHELL else ():
            if command.startswith("cp "):
                subprocess.run(["bash", "-c", command.replace("python", sys.executable)], check=True)
            elif command.split()[0] == "remelt" and not reason(command):
                for begin, deed in plan.BEFORE.items():
                    if command.startswith(begin):
                        DEEDS[deed](folder)
                assert run_command(command, places) == "", block.place
