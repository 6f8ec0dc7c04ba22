"""What the API agents' loop and a vendor's service agree on: one model call, its errors, its words.

A vendor module implements `Model`. Conversations are lists of the vendor's own items, so that what
was said goes back exactly as it came.
"""

import json
import uuid
from importlib.metadata import version
from typing import Any, Literal, Protocol

import msgspec

from agents.base import AccountReport, Availability, Endpoint, Host
from agents.errors import VendorError
from agents.events import Event, Text, Thinking

Item = dict[str, object]
Stop = Literal["end", "length", "pause"]
CUT = "The call was cut off by the length limit; nothing was run. Do less at once."
SUMMARY_CHARACTERS = 4000


class Call(msgspec.Struct, frozen=True):
    """A tool call; `problem` says why it can't be run (cut off, not JSON)."""

    call_id: str
    name: str
    input: dict[str, object]
    problem: str = ""


class Step(msgspec.Struct, frozen=True):
    """One finished model call: items for the conversation, calls to run. `raw` is its last line."""

    items: list[Item]
    calls: list[Call]
    summary: str = ""  # the end of the last text block
    stop: Stop = "end"
    raw: int | None = None


def last_words(texts: list[str]) -> str:
    """What a turn's summary shows of its last text, which may be a flood."""
    return texts[-1].strip()[-SUMMARY_CHARACTERS:] if texts else ""


class Model(Protocol):
    """One vendor's service and the shape of its conversations."""

    name: str  # of the model
    version: str  # of the vendor's client

    async def step(self, items: list[Item], instructions: str, sink: "Sink") -> Step:
        """One streamed call; words go to `sink`. Raises ModelError, or is cancelled."""

    def say(self, items: list[Item], text: str) -> None:
        """Append the human's words."""

    def reply(self, items: list[Item], text: str) -> None:
        """Append what the model had said before it was cut off."""

    def answer(self, items: list[Item], call_id: str, text: str, is_error: bool) -> None:
        """Append a tool's result."""

    def unanswered(self, items: list[Item]) -> list[str]:
        """Ids of the calls that have no result yet."""

    async def close(self) -> None:
        """Let go of connections; bounded."""


class Sink:
    """Where one model call's words go while they stream."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._open: dict[str, type[Text] | type[Thinking]] = {}
        self._prefix = uuid.uuid4().hex  # vendors' own ids repeat on some servers
        self.raw: int | None = None
        self.text = ""  # so far, all blocks of this call

    def keep(self, event: dict[str, Any]) -> dict[str, Any]:
        """Store what the vendor said, fit to be stored; what is emitted next points at it."""
        try:
            line = msgspec.json.encode(event)
        except UnicodeEncodeError:  # half an emoji, cut by a server's tokeniser
            text = json.dumps(event, ensure_ascii=False)
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            line, event = text.encode(), json.loads(text)
        self.raw = self._host.keep_raw(line)
        return event

    def emit(self, event: Event) -> None:
        self._host.emit(event, self.raw)

    def say(self, message_id: str, text: str) -> None:
        """A piece of the answer."""
        self.text += text
        self._piece(Text, message_id, text)

    def think(self, message_id: str, text: str) -> None:
        """A piece of the reasoning."""
        self._piece(Thinking, message_id, text)

    def end(self, message_id: str) -> None:
        """That message is complete."""
        if kind := self._open.pop(message_id, None):
            self.emit(kind(f"{self._prefix}-{message_id}", "", final=True))

    def end_all(self) -> None:
        """Whatever is still open is as complete as it gets."""
        for message_id in list(self._open):
            self.end(message_id)

    def _piece(self, kind: type[Text] | type[Thinking], message_id: str, text: str) -> None:
        if text:
            self._open[message_id] = kind
            self.emit(kind(f"{self._prefix}-{message_id}", text))


def arguments(text: str) -> tuple[dict[str, object], str]:
    """A call's JSON arguments, and what is wrong with them or ""."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, object]), ""
    except (ValueError, RecursionError) as error:
        return {}, f"The arguments were not a valid JSON object ({error}); nothing was run."


def secret(host: Host, default_env: str) -> str:
    """The account's key; "none" for an endpoint without one. Raises VendorError(auth)."""
    endpoint = host.spec.endpoint
    if not endpoint.secret_env and endpoint.base_url:
        return "none"
    name = endpoint.secret_env or default_env
    if key := host.environment().get(name):
        return key
    raise VendorError("auth", f"The variable {name} is not set; set it to the account's key.")


def availability(
    package: str, default_env: str, endpoint: Endpoint, env: dict[str, str]
) -> Availability:
    """Whether there is a key to use, or an endpoint that may do without."""
    name = endpoint.secret_env or default_env
    installed = version(package)
    if env.get(name) or (endpoint.base_url and not endpoint.secret_env):
        return Availability(True, version=installed)
    return Availability(False, version=installed, problem=f"Set {name} to the account's API key.")


def account_of(default_env: str, endpoint: Endpoint, env: dict[str, str]) -> AccountReport:
    """Whether a key is set; whether it still holds, only a paid call would tell."""
    name = endpoint.secret_env or ("" if endpoint.base_url else default_env)
    if name and not env.get(name):
        return AccountReport(logged_in=False, problem=f"Set {name} to the account's API key.")
    return AccountReport()
