"""A corpus full of markup, from its table to the report, the review page and the exports, in a real browser.

Also what the review page's server listens on, and what it says to addresses that lead out of its folder.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
import yaml

from remelt.errors import InputError

from . import servers
from .chromium import BROWSER, chromium
from .commands import run
from .review.test_browser import enter, serving

HOSTILE = (
    "<script>window.pwned=1;alert(1)</script>",
    "</script><img src=x onerror='window.pwned=2'>",
    "\"'><svg/onload=window.pwned=3> javascript:window.pwned=4",
    "{{ 7*7 }} {% raw %} ${7*7} #{7*7} <%= 7*7 %>",
    "| a | b | `c` ``` --- *d* [e](javascript:pwned) <!-- f",
    "\u202eevil right to left\u2066 and \u200bzero\u200d width\ufeff",
    '=HYPERLINK("http://example.org","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3 @SUM(1)",
    "@import \u05e9\u05dc\u05d5\u05dd & &amp; \\ \\u003c",
)


class Mischief(servers.ChatServer):
    """Answers with markup in every field that is free."""

    async def _misbehave(self, request: Any, body: Mapping[str, Any], fault: str) -> Any:
        made = servers.completion(body, fault, self.options.seed)
        message = made["choices"][0]["message"]
        answer = json.loads(message["content"])
        words = HOSTILE[int(servers.prompt_hash(body)[0], 16) % len(HOSTILE)]
        answer["context"] = words
        for name in answer.get("elements", {}):
            if name != "emotion":
                answer["elements"][name] = words
        message["content"] = json.dumps(answer)
        return servers.web.json_response(made)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of the hostile corpus, made by the commands."""
    folder = tmp_path_factory.mktemp("injection")
    corpus = folder / "corpus"
    corpus.mkdir()
    with (corpus / "train.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["dialogue_id", "utterance_id", "speaker", "text", "label"])
        for n, text in enumerate(HOSTILE):
            table.writerow([0, n, HOSTILE[-1 - n], text, ("joy", "anger", "neutral")[n % 3]])
    out = folder / "out"
    build = ["build", "melt", "--corpus", corpus, "--profile", "every-turn", "--annotator", "openai/any"]
    with Mischief() as server:
        ran = run(
            [
                [*build, "--base-url", server.url, "--max-invalid", "99", "--out", out],
                ["verify", out],
                ["export-annotations", out, "--to", folder / "sheet.csv"],
            ]
        )
    assert ran.codes == [0, 0, 0], ran.errors
    return out


def test_the_card_keeps_its_structure(built: Path) -> None:
    card = (built / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert {"configs", "dataset_info"} <= set(front)
    body = card.split("---\n", 2)[2]
    outside = re.sub(r"^(`{3,}).*?^\1", "", body, flags=re.MULTILINE | re.DOTALL)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    assert "<script" not in outside
    assert "<img" not in outside
    assert "<svg" not in outside
    assert not re.search(r"(?<!\\)\]\(javascript:", outside)


def test_a_table_to_fill_in_says_what_the_corpus_says(built: Path) -> None:
    with (built.parent / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) > 5
    for name, row in rows.items():
        assert row["text"].replace("\ufeff", "") == HOSTILE[int(name.rpartition("utt")[2])].replace(
            "\ufeff", ""
        )


WATCH = "window.__seen = []; window.addEventListener('error', (e) => window.__seen.push(String(e.message)));"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")
async def test_nothing_of_it_runs_in_a_browser(built: Path, tmp_path: Path) -> None:
    async with serving(built, "label") as server, chromium(tmp_path / "profile") as browser:
        report = await browser.page()
        await report.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        await report.open((built / "audit" / "report.html").as_uri())
        await report.until("document.readyState === 'complete'")
        await report.evaluate(
            "document.querySelectorAll('td[data-r][data-c]').forEach((cell) => cell.click())"
        )
        page = await browser.page()
        await enter(page, server, "<b>Ann")
        seen = set()
        for n in range(3):
            seen.add(await page.evaluate("document.getElementById('text').textContent"))
            await page.key("1")
            await page.key("Enter")
            await page.until(f"!busy && $('bar').value === {n + 1}")
        assert seen <= {text.strip() for text in HOSTILE} | set(HOSTILE)
        for opened in (report, page):
            told = await opened.evaluate(
                "({ pwned: window.pwned === undefined, images: document.querySelectorAll('img').length,"
                " drawn: document.querySelectorAll('svg[onload], svg svg').length,"
                " loaded: performance.getEntriesByType('resource').map((e) => e.name),"
                " way: getComputedStyle(document.body).direction })"
            )
            assert told["pwned"] is True
            assert told["images"] == told["drawn"] == 0
            assert told["way"] == "ltr"
            origin = urlsplit(server.url).netloc
            assert [name for name in told["loaded"] if urlsplit(name).netloc not in ("", origin)] == []
            assert opened.problems == []
        # What turns a line over is shut in: it does not reach its neighbours.
        isolated = await page.evaluate(
            "['speaker', 'text'].map((id) => getComputedStyle(document.getElementById(id)).unicodeBidi)"
        )
        assert all("isolate" in way or way == "plaintext" for way in isolated), isolated


async def test_the_page_is_for_this_machine_and_has_no_other_files(built: Path) -> None:
    async with serving(built, "label") as server:
        assert server._process is not None
        listening = listening_addresses(server._process.pid)
        assert listening
        assert all(address in ("0100007F", "0" * 24 + "01000000") for address in listening)
        parts = urlsplit(server.url)
        for path in (
            "/clip/..%2f..%2fmanifest.json", "/clip/../manifest.json", "/clip/%2e%2e%2fmanifest.json",
            "/static/..%2f..%2fapp.py", "/static/../app.py", "/static/%2e%2e/app.py", "/..%2fmanifest.json",
            "/clip/%00", "//etc/passwd", "/static/..%5c..%5capp.py",
        ):  # fmt: skip
            status, body = await raw(parts.hostname or "", parts.port or 0, path, parts.netloc)
            assert status in (400, 404), (path, status)
            assert b"import " not in body
            assert b'"format"' not in body
        status, body = await raw(parts.hostname or "", parts.port or 0, "/", "evil.example.org")
        assert status == 400
        assert b"Host header" in body


async def raw(host: str, port: int, path: str, name: str) -> tuple[int, bytes]:
    """Status and body of a request whose path is sent as it is."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 120)
    writer.close()
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


def listening_addresses(process: int) -> list[str]:
    """The local addresses, as the kernel writes them, of the sockets on which a process listens."""
    folder = Path(f"/proc/{process}/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    links = {os.readlink(link) for link in folder.iterdir() if link.is_symlink()}
    found = []
    for kind in ("tcp", "tcp6"):
        path = Path(f"/proc/{process}/net/{kind}")
        for line in path.read_text().splitlines()[1:] if path.is_file() else ():
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in links:
                found.append(words[1].partition(":")[0])
    return found


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("clip", "../../etc/passwd"), ("clip", "/etc/passwd"), ("clip", "a/../../b.wav"),
        ("dialogue_id", "../../x"), ("utterance_id", "../x"), ("dialogue_id", "a/../b"),
        ("split", "../train"), ("split", "a/b"),
    ],
)  # fmt: skip
def test_a_table_whose_names_lead_out_of_the_folder_is_refused(
    tmp_path: Path, column: str, value: str
) -> None:
    from remelt.corpora import load

    row = {"dialogue_id": "0", "utterance_id": "1", "text": "Hm.", "label": "joy", "speaker": "Ann"}
    row[column] = value
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(row))
        table.writeheader()
        table.writerow(row)
    with pytest.raises(InputError, match=re.escape(repr(value))):
        load(tmp_path)
