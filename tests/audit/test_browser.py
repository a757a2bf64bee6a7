"""The report in a real browser: clicks, keys and filters list the right utterances."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from remelt.audit import AuditOptions, audit

from ..chromium import BROWSER, chromium
from .voices import rows_of, tone, write_voice

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")

DRIVER = """
async () => {
  const seen = {};
  const cell = (r, c) => document.querySelector(`td[data-r="${r}"][data-c="${c}"]`);
  const key = (name) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const list = () => [...document.querySelectorAll("#list .words")].map((e) => e.textContent);
  cell(3, 0).click();
  seen.click = { title: document.getElementById("list-title").textContent, list: list(),
    fields: [...document.querySelectorAll("#list li:first-child dd")].map((e) => e.textContent),
    selected: cell(3, 0).getAttribute("aria-selected"), label: cell(3, 0).getAttribute("aria-label") };
  cell(0, 0).focus();
  for (const name of ["Down", "Down", "Down", "Right", "Right", "Right"]) key(`Arrow${name}`);
  seen.focused = [document.activeElement.dataset.r, document.activeElement.dataset.c];
  key("Enter");
  seen.enter = { list: list(), focus: document.activeElement.id };
  key("Escape");
  seen.escape = [document.activeElement.dataset.r, document.activeElement.dataset.c];
  document.querySelector('[name=mode][value=row]').click();
  seen.percent = cell(3, 0).textContent;
  const query = document.getElementById("query");
  query.value = "Seven"; query.dispatchEvent(new Event("input"));
  const filtered = () => document.getElementById("filtered").textContent;
  while (!filtered()) await new Promise((done) => setTimeout(done, 10));
  seen.search = { list: list(), filtered: filtered() };
  document.getElementById("reset").click();
  const split = document.getElementById("split");
  split.value = "1"; split.dispatchEvent(new Event("change"));
  const tiles = document.querySelectorAll(".tiles:not([hidden])").length;
  seen.split = { cell: cell(3, 3).textContent, tiles };
  document.querySelector("button.reason").click();
  seen.dropped = document.getElementById("dropped").textContent;
  document.getElementById("theme").click();
  document.getElementById("theme").click();
  seen.theme = document.documentElement.dataset.theme;
  seen.pwned = document.title;
  return seen;
}
"""


@pytest.fixture
def report(make_out) -> Path:
    numbers = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    rows = [
        {"id": f"s/train/dia0_utt{i}", "speaker": "Ann", "text": f"line {word} </script><b>&",
         "original_label": "joy", "label": "joy" if i % 3 else "anger", "duration": 2.0,
         "context": f"scene {i}", "pitch": "high"}
        for i, word in enumerate(numbers)
    ]  # fmt: skip
    test = [{**rows[1], "id": "s/test/dia0_utt0", "text": "only test line"}]
    dropped = [{"id": "s/train/x", "split": "train", "stage": "annotation", "reasons": ["invalid_answer"],
                "details": ["off the list"], "text": "Hm", "speaker": "Bo"}]  # fmt: skip
    replies = [
        {
            "id": "s/train/x",
            "status": "invalid",
            "attempt": 0,
            "raw": "<i>frustration</i>",
            "problems": ["bad"],
        }
    ]
    found = audit(
        make_out({"train": rows, "test": test}, dropped=dropped, replies=replies),
        AuditOptions(figures=False),
    )
    return found.folder / "report.html"


async def drive(report: Path, script: str, folder: Path) -> dict[str, Any]:
    """What a script that acts as a user saw on the page as written, under the page's own policy."""
    async with chromium(folder / "profile") as browser:
        page = await browser.page()
        await page.open(report.as_uri())
        await page.until("document.readyState === 'complete'")
        seen: dict[str, Any] = await page.evaluate(f"({script})()")
        assert page.problems == []
    return seen


async def test_the_page_as_written_runs_under_its_own_policy(report: Path, tmp_path: Path) -> None:
    dom = (await drive(report, "() => ({ html: document.documentElement.outerHTML })", tmp_path))["html"]
    assert re.search(r'<button type="button" id="theme"[^>]*>Theme: auto', dom)
    assert 'aria-label="before joy, after anger: 3 rows, 30.0 % of the row, 100.0 % of the column"' in dom


async def test_click_keys_filters_and_theme(report: Path, tmp_path: Path) -> None:
    seen = await drive(report, DRIVER, tmp_path)
    assert seen["pwned"] == "Audit: melt on sample"
    tail = " </script><b>&"
    assert seen["click"]["title"] == "joy → anger"
    assert seen["click"]["list"] == [f"line {n}{tail}" for n in ("one", "four", "seven")]
    assert seen["click"]["fields"] == ["scene 0", "high"]
    assert seen["click"]["selected"] == "true"
    assert seen["focused"] == ["3", "3"]
    assert seen["enter"]["focus"] == "list-title"
    assert len(seen["enter"]["list"]) == 7
    assert seen["escape"] == ["3", "3"]
    assert seen["percent"] == "30.0"
    assert seen["search"]["list"] == []
    assert seen["search"]["filtered"] == "Filtered: 1 row, 100.00 % changed."
    assert seen["split"] == {"cell": "1", "tiles": 1}
    assert "Reply 1: invalid<i>frustration</i>bad" in seen["dropped"]
    assert seen["theme"] == "dark"


LISTENER = """
async () => {
  const seen = {};
  document.querySelector("#words .opposite").click();
  seen.title = document.getElementById("heard-title").textContent;
  const list = () => [...document.querySelectorAll("#heard .words")].map((e) => e.textContent);
  seen.opposite = list();
  seen.verdict = document.querySelector("#heard .opposite-ends").textContent;
  const player = document.querySelector("#heard audio");
  seen.seconds = await new Promise((done) => {
    player.addEventListener("loadedmetadata", () => done(player.duration));
    player.addEventListener("error", () => done(player.error.message));
    player.preload = "metadata";
    player.load();
  });
  document.querySelector('#words .cell[data-d="0"][data-said="0"][data-heard="0"]').click();
  seen.cell = list();
  seen.pressed = document.querySelectorAll('#words [aria-pressed="true"]').length;
  seen.facts = [...document.querySelectorAll("#heard li:first-child dt")].map((e) => e.textContent);
  return seen;
}
"""


async def test_contradicted_rows_are_listed_and_play(tmp_path: Path) -> None:
    same = {"pitch": "low", "pitch_level": "low", "loudness": None}
    rows = [
        {**row, "audio": {"bytes": tone(0.25 * (i + 1)), "path": f"{i}.flac"}}
        for i, row in enumerate(rows_of(4, voice_flags=["clipped"], transcript="heard", **same))
    ]
    rows[2]["pitch_level"] = "high"
    found = audit(write_voice(tmp_path / "out", {"train": rows}), AuditOptions(figures=False))
    seen = await drive(found.folder / "report.html", LISTENER, tmp_path)
    assert seen["title"] == "pitch: words and sound at opposite ends"
    assert seen["opposite"] == ["line 2"]
    assert seen["verdict"] == "(read as low; measured high)"
    assert seen["seconds"] == pytest.approx(0.75)
    assert seen["cell"] == ["line 0", "line 1", "line 3"]
    assert seen["pressed"] == 1
    assert {"pitch", "transcript", "measures", "voice flags"} <= set(seen["facts"])
