"""What commands have in common when they print or write what they found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 160


def check_json(target: Path | None) -> None:
    """Refuses a file of `--json` that cannot be written, before a command has done what cannot be undone.

    Raises:
        InputError: it is a folder, or stands in one that is not there.
    """
    if target is None or str(target) == "-":
        return
    if target.is_dir():
        raise InputError(f"Cannot write {target}: it is a folder; --json takes a file")
    if not target.parent.is_dir():
        raise InputError(f"Cannot write {target}: there is no folder {target.parent}")


def show_bars(shown: bool) -> None:
    """The progress bars of huggingface_hub, which are noise in a log."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown:
        enable_progress_bars()
    else:
        disable_progress_bars()


def put_json(target: Path | None, value: Any) -> bool:
    """Writes a value as JSON to the file of `--json`, or prints it where the file is `-`.

    Returns:
        Whether it was printed; then nothing else may be, for another program reads it.

    Raises:
        InputError: the file cannot be written.
    """
    import json

    if target is None:
        return False
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if str(target) == "-":
        typer.echo(text)
        return True
    try:
        # Corpora carry unpaired surrogates, which have no UTF-8.
        target.write_text(text + "\n", encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"Cannot write {target}: {error.strerror}") from None
    return False


def console(plain: bool = False) -> Console:
    """Where tables go. A pipe has no width, and a table cut at 80 columns would lose numbers."""
    from rich.console import Console

    kept: dict[str, Any] = {"highlight": False, "emoji": False, "markup": False}
    found = Console(no_color=plain, **kept)
    return found if found.is_terminal else Console(no_color=True, width=WIDTH, **kept)
