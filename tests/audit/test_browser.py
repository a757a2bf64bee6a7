"""The report in a real browser: clicks, keys and filters list the right utterances.

A copy of the page gets a script that acts as a user (its hash is added to the page's policy) and then goes to
a page of the test's own server, telling it in the address what it saw. So the browser runs in real time: its
virtual time would run out while a sound is still being decoded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from remelt.audit import AuditOptions, audit

from .voices import rows_of, tone, write_voice

BROWSER = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")

DRIVER = """
addEventListener("load", async () => {
  const seen = {};
  const cell = (r, c) => document.querySelector(`td[data-r="${r}"][data-c="${c}"]`);
  const key = (name) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const list = () => [...document.querySelectorAll("#list .words")].map((e) => e.textContent);
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  try {
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
    await wait(400);
    seen.search = { list: list(), filtered: document.getElementById("filtered").textContent };
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
  } catch (error) { seen.error = String(error); }
  seen.pwned = document.title;
  report(seen);
});
"""


def browse(page: Path, profile: Path, *options: str) -> list[str]:
    """The command that opens a page without a window."""
    assert BROWSER is not None
    return [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-sync", f"--user-data-dir={profile}", *options,
        page.as_uri(),
    ]  # fmt: skip


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


def test_the_page_as_written_runs_under_its_own_policy(report: Path, tmp_path: Path) -> None:
    command = browse(report, tmp_path / "profile", "--virtual-time-budget=5000", "--dump-dom")
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.search(r'<button type="button" id="theme"[^>]*>Theme: auto', dom)
    assert 'aria-label="before joy, after anger: 3 rows, 30.0 % of the row, 100.0 % of the column"' in dom


class Ear(BaseHTTPRequestHandler):
    """Takes what a driven page tells in the address it goes to."""

    heard: queue.Queue[str]

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        if where.path == "/seen":
            self.heard.put(unquote(where.query))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def drive(report: Path, script: str, folder: Path) -> dict[str, Any]:
    """What a script that acts as a user saw on a copy of the page."""
    heard: queue.Queue[str] = queue.Queue()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("OneEar", (Ear,), {"heard": heard})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = f"'http://127.0.0.1:{server.server_port}/seen?' + encodeURIComponent(JSON.stringify(seen))"
        script += f"\nfunction report(seen) {{ location = {told}; }}\n"
        text = report.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        text = text.replace("script-src 'sha256-", f"script-src 'sha256-{digest}' 'sha256-", 1)
        page = folder / "driven.html"
        page.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
        with subprocess.Popen(
            browse(page, folder / "profile"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as browser:
            try:
                seen: dict[str, Any] = json.loads(heard.get(timeout=120))
            finally:
                browser.terminate()
                server.shutdown()
    return seen


def test_click_keys_filters_and_theme(report: Path, tmp_path: Path) -> None:
    seen = drive(report, DRIVER, tmp_path)
    assert "error" not in seen
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
addEventListener("load", async () => {
  const seen = {};
  try {
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
      setTimeout(() => done("no answer"), 60000);
    });
    document.querySelector('#words .cell[data-d="0"][data-said="0"][data-heard="0"]').click();
    seen.cell = list();
    seen.pressed = document.querySelectorAll('#words [aria-pressed="true"]').length;
    seen.facts = [...document.querySelectorAll("#heard li:first-child dt")].map((e) => e.textContent);
  } catch (error) { seen.error = String(error); }
  report(seen);
});
"""


def test_contradicted_rows_are_listed_and_play(tmp_path: Path) -> None:
    same = {"pitch": "low", "pitch_level": "low", "loudness": None}
    rows = [
        {**row, "audio": {"bytes": tone(0.25 * (i + 1)), "path": f"{i}.flac"}}
        for i, row in enumerate(rows_of(4, voice_flags=["clipped"], transcript="heard", **same))
    ]
    rows[2]["pitch_level"] = "high"
    found = audit(write_voice(tmp_path / "out", {"train": rows}), AuditOptions(figures=False))
    seen = drive(found.folder / "report.html", LISTENER, tmp_path)
    assert "error" not in seen
    assert seen["title"] == "pitch: words and sound at opposite ends"
    assert seen["opposite"] == ["line 2"]
    assert seen["verdict"] == "(read as low; measured high)"
    assert seen["seconds"] == pytest.approx(0.75)
    assert seen["cell"] == ["line 0", "line 1", "line 3"]
    assert seen["pressed"] == 1
    assert {"pitch", "transcript", "measures", "voice flags"} <= set(seen["facts"])
