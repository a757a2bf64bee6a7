"""A canary for an API key: no command writes it anywhere, whatever a server repeats of it."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from .batch_server import BatchServer
from .commands import Ran, run
from .servers import ChatServer, prompt_hash

# It looks like no key that a pattern would know, and holds what base64 and addresses write otherwise.
KEY = "Canary+Bird/7931=xq~ZmTw"
HEADER = "Yellow+Finch/5512=kd~PfRu"
PASSWORD = "Green+Siskin5512kdPfRu"
FORMS = {
    form
    for secret in (KEY, HEADER, PASSWORD, f"me:{PASSWORD}")
    for form in (
        secret,
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        json.dumps(secret)[1:-1].replace("/", "\\/"),
    )
}
BUG = """
import remelt.annotators.openai_chat as chat
def broken(*arguments, **more):
    raise KeyError("a bug")
chat.read_reply = broken
"""


def echo(headers: Mapping[str, str]) -> str:
    """All secrets of a request in all forms, as a careless server might write them into its answer."""
    given = [headers.get("Authorization", "").partition(" ")[2], headers.get("X-Gateway-Key", "")]
    forms = [(text, quote(text, safe=""), base64.b64encode(text.encode()).decode()) for text in given if text]
    return f"got {headers.get('Authorization')} " + " ".join(form for three in forms for form in three)


class Parrot(ChatServer):
    """Repeats the headers of a request in its errors, their headers, and every third answer."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        response = await super()._handle(request)
        return self.repeat(request, response)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return self.repeat(request, await super()._models(request))

    def repeat(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        if response.prepared or not isinstance(response, web.Response):
            return response
        said = echo(request.headers)
        response.headers["X-Request"] = response.headers["WWW-Authenticate"] = said
        body: Any = json.loads(response.body or b"{}")
        if response.status >= 400:
            error = {"message": f"no: {said}", "code": said, "param": said, "request": said}
            response.text = json.dumps({"error": error})
        elif "choices" in body and int(prompt_hash(self.bodies[-1])[0], 16) % 3 == 0:
            message = body["choices"][0]["message"]
            message["content"] = f"{message['content']}\n{said}"
            body["model"] = f"any {said}"
            response.text = json.dumps(body)
        return response


class BatchParrot(BatchServer):
    """Repeats the headers of a request in every row of a batch's files."""

    async def _content(self, request: web.Request) -> web.StreamResponse:
        said = echo(request.headers)
        lines = []
        for line in (self.folder / request.match_info["id"]).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            body = (row.get("response") or {}).get("body") or {}
            if "choices" in body:
                body["choices"][0]["message"]["content"] += f"\n{said}"
            else:
                body["error"] = {"message": said, "code": said}
            lines.append(json.dumps(row))
        return web.Response(text="\n".join(lines))


def table(folder: Path, rows: int = 9) -> Path:
    """A corpus of one table."""
    folder.mkdir(parents=True)
    lines = ["dialogue_id,utterance_id,speaker,text,label"]
    lines += [
        f"{n // 3},{n % 3},Ann,This is line {n}.,{('joy', 'anger', 'neutral')[n % 3]}" for n in range(rows)
    ]
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def written(folder: Path, ran: Ran) -> Iterator[tuple[str, bytes]]:
    """Every byte that was written; what is compressed also as it was before."""
    yield "stdout", ran.output.encode()
    yield "stderr", ran.errors.encode()
    for path in folder.rglob("*"):
        yield f"the name {path}", str(path).encode()
        if path.is_file():
            content = path.read_bytes()
            yield str(path), content
            if path.suffix == ".parquet":
                yield f"{path}, read", parquet_text(path)
            elif path.suffix == ".sqlite":
                yield f"{path}, dumped", sqlite_text(path)
            elif content[:2] == b"\x1f\x8b":
                yield f"{path}, unpacked", gzip.decompress(content)


def parquet_text(path: Path) -> bytes:
    import pyarrow.parquet as pq

    found = pq.read_table(path)
    return f"{found.to_pylist()} {found.schema.metadata}".encode()


def sqlite_text(path: Path) -> bytes:
    """All cells; those that are compressed as they were before."""
    import sqlite3

    with sqlite3.connect(path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        cells = [cell for name in tables for row in db.execute(f'SELECT * FROM "{name}"') for cell in row]
    return b"\n".join(_plain(cell) for cell in cells)


def _plain(cell: Any) -> bytes:
    if not isinstance(cell, bytes):
        return str(cell).encode("utf-8", "replace")
    try:
        return zlib.decompress(cell)
    except zlib.error:
        return cell


def assert_silent(folder: Path, ran: Ran) -> None:
    places = [place for place, content in written(folder, ran) for form in FORMS if form.encode() in content]
    assert places == []


def test_no_byte_that_is_written_holds_a_key(tmp_path: Path) -> None:
    corpus, prices = table(tmp_path / "corpus"), tmp_path / "prices.yaml"
    prices.write_text("any: {input: 1, output: 2}\n", encoding="utf-8")
    work = tmp_path / "work"
    environment = {
        "OPENAI_API_KEY": KEY,
        "HF_TOKEN": KEY,
        "OPENAI_CUSTOM_HEADERS": f"X-Gateway-Key: {HEADER}",
        "HF_HOME": str(work / "hub"),
        "TMPDIR": str(tmp_path),
    }
    common = ["build", "melt", "--corpus", corpus, "--profile", "any-speaker", "--max-invalid", "99"]
    with (
        Parrot(key=KEY, faults={"500": 0.3, "429": 0.1}) as good,
        Parrot(key="another") as refusing,
        Parrot(key=KEY, model="other") as other,
        BatchParrot(key=KEY, faults={"500": 0.2}) as batches,
    ):
        where = {name: f"{s.url}" for name, s in (("good", good), ("refusing", refusing), ("other", other))}
        secret = where["good"].replace("://", f"://me:{PASSWORD}@")
        out = work / "good"
        lines: list[list[object]] = [
            ["plan", *common[1:-2], "--annotator", "openai/any", "--base-url", where["good"], "--out", out],
            [*common, "--annotator", "openai/any", "--base-url", where["good"], "--out", out],
            [*common, "--annotator", "openai/any", "--base-url", where["refusing"], "--out", work / "401"],
            [*common, "--annotator", "openai/any", "--base-url", where["other"], "--out", work / "404"],
            [*common, "--annotator", "openai/any", "--base-url", secret, "--out", work / "password"],
            [*common, "--annotator", "openai-batch/m", "--base-url", batches.url, "--out", work / "batch"],
            ["audit", out, "--no-figures"],
            ["verify", out],
            ["rebuild", out, "--out", work / "again"],
            ["publish", out, "me/it", "--dry-run", "--endpoint", "http://127.0.0.1:9"],
            ["batches", work / "batch"],
            [
                "migrate",
                out,
                "--annotator",
                "openai/new",
                "--base-url",
                where["good"],
                "--sample",
                "6",
                "--to",
                work / "m",
            ],
        ]
        ran = run(lines, environment=environment)
        print(ran.output, ran.errors)
        assert len(good.asked) > 9
        assert any("Bearer" in h["Authorization"] for h in good.headers)
        broken = run(
            [[*common, "--annotator", "openai/any", "--base-url", where["good"], "--out", work / "bug"]],
            environment=environment,
            first=BUG,
        )
    assert ran.codes[:9] == [0, 0, 2, 2, 2, 0, 0, 0, 0]
    assert broken.codes == [70]
    assert "KeyError: 'a bug'" in broken.errors
    assert "[key]" in ran.errors
    assert_silent(tmp_path, ran)
    assert_silent(tmp_path, broken)


def test_the_search_finds_a_key_wherever_it_lies(tmp_path: Path) -> None:
    import sqlite3

    quiet = Ran([], "", "")
    assert_silent(tmp_path, quiet)
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (?)", (zlib.compress(KEY.encode()),))
    assert [place for place, content in written(tmp_path, quiet) if KEY.encode() in content]
    printed = Ran([], "", base64.b64encode(HEADER.encode()).decode())
    assert [place for place, content in written(tmp_path, printed) for f in FORMS if f.encode() in content]
