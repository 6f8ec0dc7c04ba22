"""Cuts a client's connection, which no ASGI message can ask for."""

import socket
import struct

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

_RESET = struct.pack("ii", 1, 0)


async def cut(server: uvicorn.Server, request: Request, *, reset: bool) -> Response:
    """Close the request's connection, with a TCP reset or in order; the response goes nowhere."""
    for protocol in list(server.server_state.connections):
        transport = getattr(protocol, "transport", None)
        if transport is None or getattr(protocol, "client", None) != request.scope["client"]:
            continue
        if reset:
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        else:
            transport.close()
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()
