"""What both protocols share on the wire: stream frames, error answers."""

import secrets
from typing import Literal

import msgspec


class Frame(msgspec.Struct, frozen=True):
    """One server-sent event; `weight` is the number of characters the model wrote in it."""

    data: bytes
    weight: int = 0
    told: Literal["", "start", "whole"] = ""
    """What of the call's bill is known once this is sent."""


class ErrorAnswer(msgspec.Struct, frozen=True):
    """An HTTP error: status, extra headers, JSON body."""

    status: int
    body: dict[str, object]
    headers: dict[str, str] = {}


def frame(event: dict[str, object], weight: int = 0) -> Frame:
    """The event as a server-sent event named by its type."""
    return Frame(b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), encode(event)), weight)


def encode(value: object) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(value)


def fresh_id(prefix: str) -> str:
    """A new id in the vendors' manner."""
    return f"{prefix}_{secrets.token_hex(12)}"
