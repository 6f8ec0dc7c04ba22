"""Where a conversation stands: derived from the history each request carries, never stored.

Tool call ids carry the turn and step that made them, so retries, steers, resumed processes and
compacted histories all find their place again.
"""

import re
import secrets
from collections.abc import Iterable

import msgspec

_POSITION = re.compile(r"_t(\d+)s(\d+)n(\d+)_")
_INJECTED = re.compile(r"\s*<([a-zA-Z_-]+)(?: [^>]*)?>.*</\1>\s*", re.DOTALL)
_REFUSED = re.compile(
    r"rejected by (the )?user|doesn't want to proceed|was (denied|declined)|declined this"
)


class Prompt(msgspec.Struct, frozen=True):
    """What the human wrote."""

    text: str


class Answer(msgspec.Struct, frozen=True):
    """What the model answered; call_ids is empty when it ended its turn."""

    call_ids: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True):
    """What a tool gave back."""

    text: str = ""
    is_error: bool = False


class Interrupted(msgspec.Struct, frozen=True):
    """The human stopped the turn."""


class Steer(msgspec.Struct, frozen=True):
    """What the human wrote while the model worked."""

    text: str


Entry = Prompt | Answer | Result | Interrupted | Steer


class Place(msgspec.Struct, frozen=True):
    """The turn and step to play next, both from 0, and how many of its calls were made before."""

    turn: int = 0
    step: int = 0
    part: int = 0
    prompts: tuple[str, ...] = ()
    steer: str = ""
    refused: bool = False


class Conversation(msgspec.Struct, frozen=True):
    """One request, in the words both protocols share."""

    key: str
    place: Place
    directory: str
    tools: frozenset[str]
    seen_paths: frozenset[str]
    side_call: bool
    stream: bool
    model: str
    thinks: bool

    @property
    def takes_one_call(self) -> bool:
        """Whether calls of one answer run side by side: then each gets an answer of its own."""
        return "exec_command" in self.tools and "Bash" not in self.tools


def call_id(prefix: str, turn: int, step: int, index: int) -> str:
    """A new tool call id that says which step made it."""
    return f"{prefix}_t{turn}s{step}n{index}_{secrets.token_hex(8)}"


def human_text(text: str) -> Prompt | Interrupted | None:
    """What a block of user text is: a prompt, an interrupt marker, or context a client injected."""
    stripped = text.strip()
    if stripped.startswith(("[Request interrupted by user", "<turn_aborted>")):
        return Interrupted()
    if not stripped or stripped.startswith("# AGENTS.md") or _INJECTED.fullmatch(text):
        return None
    return Prompt(stripped)


def locate(history: Iterable[Entry]) -> Place:
    """The place after that history; a prompt in an unfinished turn steers it, it starts no turn."""
    turn = step = part = 0
    finished = refused = False
    prompts: list[str] = []
    steer = ""
    for entry in history:
        match entry:
            case Prompt(text) if finished or not prompts:
                turn, step = (turn + 1, 0) if finished else (turn, step)
                finished, refused, steer = False, False, ""
                prompts.append(text)
            case Prompt(text) | Steer(text):
                steer = text
            case Answer(()):
                finished = True
            case Answer(ids):
                turn, step, part = _position(ids[-1]) or (turn, step, 0)
                step, finished, refused = step + 1, False, False
            case Result(text, is_error):
                broke = text.lstrip('["').startswith("Exit code")
                refused |= (is_error and not broke) or bool(_REFUSED.search(text[:2000]))
            case Interrupted():
                finished = bool(prompts)
    return Place(turn, step, part, tuple(prompts), steer, refused)


def _position(identifier: str) -> tuple[int, int, int] | None:
    """Turn, step, and the number of the step's calls up to this one."""
    found = _POSITION.search(identifier)
    return (int(found[1]), int(found[2]), int(found[3]) + 1) if found else None
