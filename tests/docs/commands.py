"""Checks a documented `remelt` command against the command line, without running it."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

import typer

from remelt.cli import app

# Typer brings its own copy of click; its errors are found by way of the one that is public.
UsageError = typer.BadParameter.__mro__[1]
ROOT_OPTIONS = ("--offline",)


def problem(command: str) -> str:
    """Why the command line would refuse these words; empty where it takes them."""
    words = [word for word in shlex.split(command)[1:] if word not in ROOT_OPTIONS]
    try:
        leaf, context, rest = _leaf(words)
        leaf.make_context(leaf.name, rest, parent=context)
    except UsageError as error:
        return str(getattr(error, "message", "") or error)
    return ""


def unknown_option(command: str) -> str:
    """An option of a command in running text that is not there; its arguments may be left out."""
    words = [word for word in _words(command)[1:] if word not in ROOT_OPTIONS]
    try:
        leaf, context, rest = _leaf(words)
    except UsageError as error:
        return str(getattr(error, "message", "") or error)
    known = {name for option in leaf.get_params(context) for name in (*option.opts, *option.secondary_opts)}
    wanted = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    return ", ".join(word for word in wanted if word not in known)


def _words(command: str) -> list[str]:
    return re.sub(r"[\[\]|]|\.\.\.", " ", command).split()


@cache
def _command() -> Any:
    return typer.main.get_command(app)


def _leaf(words: list[str]) -> tuple[Any, Any, list[str]]:
    """The command that the words name, its context's parent, and the words that are left."""
    command: Any = _command()
    context = command.context_class(command, info_name="remelt")
    rest = list(words)
    while hasattr(command, "get_command") and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None and hasattr(command, "default"):
            rest = [command.default, *rest]
            continue
        if found is None:
            raise typer.BadParameter(f"no command {rest[0]!r}")
        command, rest = found, rest[1:]
        context = command.context_class(command, info_name=command.name, parent=context)
    return command, context, rest
