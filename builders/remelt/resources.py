"""Finds the data files of `prompts/`, `schemas/` and `cards/`: in the checkout, else in the package."""

from __future__ import annotations

from pathlib import Path

from .errors import InputError, bad_value

_PACKAGE = Path(__file__).resolve().parent
KINDS = ("prompts", "schemas", "cards")


def folder(kind: str) -> Path:
    """The folder of one kind of data file.

    Raises:
        InputError: an unknown kind, or an installation without its data files.
    """
    if kind not in KINDS:
        raise InputError(bad_value("resource kind", kind, KINDS))
    root = _PACKAGE.parents[1]
    checkout = root / kind
    if _PACKAGE.parent.name == "builders" and (root / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    packaged = _PACKAGE / kind
    if not packaged.is_dir():
        raise InputError(
            f"remelt's {kind} folder is missing from the installation ({packaged}); reinstall remelt"
        )
    return packaged


def find(kind: str, name: str) -> Path:
    """The path of one data file, such as `find("schemas", "melt.json")`.

    Raises:
        InputError: there is no such file; the message lists the choices.
    """
    base = folder(kind)
    path = base / name
    if not path.is_file():
        choices = sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_file())
        raise InputError(bad_value(f"{kind[:-1]} file", name, choices))
    return path


def read(kind: str, name: str) -> str:
    """The text of one data file (UTF-8)."""
    return find(kind, name).read_text(encoding="utf-8")
