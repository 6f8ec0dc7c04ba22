"""A loopback server that gives prepared answers, for what the rehearsal's scenarios do not play."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

Json = dict[str, Any]


class SseServer:
    """Gives each request the next of `answers`, and keeps the requests' bodies."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = iter(answers)
        self.requests: list[Json] = []
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        self.requests.append(json.loads(await reader.readexactly(length)))
        writer.write(next(self._answers))
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def stream(*events: Json, headers: str = "") -> bytes:
    """A whole streamed answer; it ends where the events do."""
    body = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
    return f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}\r\n{body}".encode()


def error(status: int, body: Json, headers: str = "") -> bytes:
    """An answer that refuses."""
    text = json.dumps(body)
    return (
        f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n{headers}"
        f"content-length: {len(text)}\r\n\r\n{text}"
    ).encode()


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[SseServer]:
    """A server on loopback for as long as the block lasts."""
    server = SseServer(list(answers))
    async with await asyncio.start_server(server._serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        server.url = f"http://127.0.0.1:{port}"
        yield server
