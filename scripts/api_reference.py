"""Writes docs/api.md: every public name of the package with its signature and docstring.

python scripts/api_reference.py            # writes docs/api.md
python scripts/api_reference.py --check    # says whether it is current; changes nothing
"""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path
from typing import Any

import remelt

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
HEAD = """# The Python interface

Made from the docstrings by `python scripts/api_reference.py`; change them, not this page. All names are in
the package itself: `import remelt; remelt.build_melt(...)`. They are loaded when they are first used.
"""


def signature(name: str, thing: Any) -> str:
    """The definition as one would write it, an argument on each line where it is long."""
    found = inspect.signature(thing)
    parameters = [
        str(p).replace("'", "") if p.default is p.empty else _with_default(p)
        for p in found.parameters.values()
    ]
    keyword = [p.kind is p.KEYWORD_ONLY for p in found.parameters.values()]
    if any(keyword):
        parameters.insert(keyword.index(True), "*")
    returned = found.return_annotation
    end = "" if returned is found.empty or inspect.isclass(thing) else f" -> {returned}"
    line = f"{name}({', '.join(parameters)}){end}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {p},\n" for p in parameters) + f"){end}"


def _with_default(parameter: inspect.Parameter) -> str:
    """A parameter whose default is written without addresses and machine paths."""
    default = parameter.default
    shown = repr(default) if isinstance(default, (str, int, float, bool, tuple, type(None))) else "..."
    return f"{parameter.name}: {parameter.annotation} = {shown}"


def docstring(thing: Any) -> str:
    """The docstring as Markdown: Google's sections as bold words, their entries as lists."""
    lines = []
    for line in (inspect.getdoc(thing) or "").splitlines():
        section = re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields):", line)
        entry = re.match(r"    (\*{0,2}[\w, .\[\]|]+?): (.*)", line)
        if section:
            lines += [f"**{section[1]}**", ""]
        elif entry:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        else:
            lines.append(f"  {line.strip()}" if line.startswith("    ") and line.strip() else line)
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name in remelt.__all__:
        thing = getattr(remelt, name)
        if isinstance(thing, str):
            continue
        where = f"`{thing.__module__}`"
        parts.append(f"## {name}\n\n{where}\n")
        if not (inspect.isclass(thing) and issubclass(thing, Exception)):
            parts.append(f"```text\n{signature(name, thing)}\n```\n")
        parts.append(f"{docstring(thing)}\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def main() -> int:
    """0 where the page is current or was written, else 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing")
    made = page()
    if parser.parse_args().check:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == made
        print(
            "docs/api.md is current" if current else "docs/api.md is old: run python scripts/api_reference.py"
        )
        return 0 if current else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
