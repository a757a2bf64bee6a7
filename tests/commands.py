"""Runs command lines of remelt in a process of its own, several in a row, as the installed command would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1] / "builders"
_LIMIT = 550
_DRIVER = """
import json, sys, traceback
import remelt.cli
{first}
for line in json.loads(sys.stdin.read()):
    sys.argv = ["remelt", *line]
    code = 0
    try:
        remelt.cli.main()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stderr.flush()
    print(f"\\n@@ {{code}} {{line[0]}}", flush=True)
"""
_DONE = re.compile(r"^@@ (\d+) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What came of some commands: exit codes in their order, and all that was printed."""

    codes: list[int]
    output: str
    errors: str


def run(
    lines: Sequence[Sequence[object]],
    *,
    environment: Mapping[str, str] | None = None,
    first: str = "",
    before: Sequence[str] = (),
) -> Ran:
    """Runs the commands one after the other.

    Args:
        lines: the words of each, without `remelt`.
        environment: variables besides this process's own.
        first: Python that is run before them, with remelt imported.
        before: a command that starts the interpreter, such as `unshare -n`.
    """
    done = subprocess.run(
        [*before, sys.executable, "-c", _DRIVER.format(first=first)],
        input=json.dumps([[str(word) for word in line] for line in lines]),
        env={**os.environ, "PYTHONPATH": str(_PACKAGE), "COLUMNS": "400", **(environment or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=_LIMIT,
        check=False,
    )
    codes = [int(code) for code, _ in _DONE.findall(done.stdout)]
    assert len(codes) == len(lines), f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return Ran(codes, done.stdout, done.stderr)
