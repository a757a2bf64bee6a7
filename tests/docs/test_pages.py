"""Links of the pages, the made page of the Python interface, the notebook, and that README stays short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import REPOSITORY
from . import pages

NOTEBOOK = REPOSITORY / "docs" / "audit-a-dataset.ipynb"
PAGES = pages.names()
RUN = """
import json, sys
known = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), known)
"""


def broken(page: pages.Page) -> list[str]:
    """Links of a page to files and headings that are not there."""
    found = []
    for link in page.links:
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.folder / file).resolve()
        if not target.exists():
            found.append(link)
        elif anchor and (target.suffix == ".md" or not file):
            other = pages.read(target.relative_to(REPOSITORY).as_posix()) if file else page
            found += [] if anchor in other.anchors else [link]
    return found


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    assert broken(pages.read(name)) == []


def test_a_broken_link_is_noticed() -> None:
    text = "# One head\n[a](none.md) [b](hub.md) [c](#one-head) [d](#two) [e](hub.md#none) ![f](no.svg)\n"
    assert broken(pages.parse(text, "docs/page.md")) == ["none.md", "#two", "hub.md#none", "no.svg"]


def test_every_page_is_in_the_index() -> None:
    index = {link.partition("#")[0] for link in pages.read("docs/index.md").links}
    assert {Path(name).name for name in PAGES} - index == {"README.md", "index.md"}


def test_readme_is_short_and_has_its_picture() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) < 200
    assert "docs/images/change-matrix.svg" in pages.read("README.md").links


def test_the_page_of_the_python_interface_is_current() -> None:
    result = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "api_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_notebook_runs_on_the_sample(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "DATASET": out}
    make = ["build", "melt", "--corpus", "sample", "--out", out, "--annotator", "mock", "--quiet"]
    from typer.testing import CliRunner

    from remelt.cli import app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remelt.audit.run._figures", lambda findings: {})
        made = CliRunner().invoke(app, [*make, "--audio", "none", "--acoustics", "none"])
    assert made.exit_code == 0, made.output
    before = (Path(out) / "manifest.json").read_bytes()
    result = subprocess.run(
        [sys.executable, "-c", RUN, str(NOTEBOOK)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "42 rows, 42 replies" in result.stdout
    assert "problems: none" in result.stdout
    assert (Path(out) / "manifest.json").read_bytes() == before


def test_the_notebook_holds_no_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    assert sum(cell["cell_type"] == "code" for cell in cells) >= 5
