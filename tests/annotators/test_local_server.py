"""How the embedded server is spoken to; the server is a stub of a few lines here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from remelt.annotators import local_server
from remelt.records import Message


async def _once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request, promises to stay, and goes away when the next one comes."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}")
    await writer.drain()
    await reader.read(1)
    writer.close()


async def test_a_server_that_lets_go_of_kept_connections_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = await asyncio.start_server(_once, "127.0.0.1", 0)
    port = stub.sockets[0].getsockname()[1]
    handle = SimpleNamespace(listening_address=f"http://127.0.0.1:{port}")
    monkeypatch.setattr(local_server, "_serve", lambda settings, key, folder: handle)
    server = local_server.Server(local_server.Settings(tmp_path / "m.gguf", "m", 1, 1, 512))
    await server.start()
    try:
        for number in range(3):
            await server.rewind((Message("system", f"Label it, way {number}."), Message("user", "Hi.")))
    finally:
        await server.close()
        stub.close()
