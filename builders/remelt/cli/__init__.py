"""The `remelt` command. Each module of this package that has a `register` function adds its commands."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import typer

from ..errors import Interrupted, RemeltError

app = typer.Typer(
    name="remelt",
    help="Relabel speech-emotion corpora with language models; publish, audit and regenerate the result.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from .. import __version__

        typer.echo(f"remelt {__version__}")
        raise typer.Exit


def _offline(value: bool) -> None:
    if value:
        from ..offline import go_offline

        go_offline()


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
    offline: bool = typer.Option(
        False,
        "--offline",
        callback=_offline,
        is_eager=True,
        help="No connection but to this machine itself; what would need one is refused (REMELT_OFFLINE=1).",
    ),
) -> None:
    """Relabel speech-emotion corpora with language models."""


for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    _register = getattr(importlib.import_module(f"{__name__}.{_module}"), "register", None)
    if _register is not None:
        _register(app)


def main() -> None:
    """Runs the command line.

    Exit codes: 0 done, 1 too many quarantined rows, 2 bad use or input, 3 interrupted and resumable.
    """
    try:
        app()
    except Interrupted as error:
        print(f"interrupted: {error}", file=sys.stderr)
        raise SystemExit(3) from None
    except RemeltError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
