"""Scenarios: what the scripted model says, calls and fails at. Owns the TOML format."""

import tomllib
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from agents.errors import AgentError

BUILT_IN = Path(__file__).parent / "scenarios"
FALLBACK = "echo"

FailureKind = Literal[
    "429",
    "529",
    "500",
    "503",
    "401",
    "403",
    "400_credit",
    "context",
    "overloaded",
    "limited",
    "drop",
    "drop_early",
    "sse_error",
    "stall",
    "refuse",
]


class ScenarioError(AgentError):
    """A scenario file can't be played."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Call(_Strict, frozen=True, kw_only=True, tag_field="tool"):
    escalate: bool = False
    """Ask to leave the vendor's sandbox, so that an approval is requested (Codex)."""


class Bash(_Call, frozen=True, kw_only=True, tag="bash"):
    """Run a shell command."""

    command: str


class Write(_Call, frozen=True, kw_only=True, tag="write"):
    """Write a new file."""

    path: str
    content: str


class Edit(_Call, frozen=True, kw_only=True, tag="edit"):
    """Replace whole lines of a file once."""

    path: str
    old: str
    new: str


class Read(_Call, frozen=True, kw_only=True, tag="read"):
    """Look at a file."""

    path: str


Call = Bash | Write | Edit | Read


class Usage(_Strict, frozen=True, kw_only=True):
    """Input tokens of one model call, as the vendors bill them."""

    input_tokens: int = 12
    cache_write_tokens: int = 1500
    cache_read_tokens: int = 3600


class Limits(_Strict, frozen=True, kw_only=True):
    """What the rate limit headers say; a window that is None is not reported.

    `..._tokens` is how many tokens, of all kinds, fill the window: it then climbs from its
    percentage as they are sent, refuses when it is full, and starts at 0 % after its reset.
    """

    five_hour_percent: float | None = 31
    five_hour_resets_in_seconds: int = 2 * 3600
    seven_day_percent: float | None = 41
    seven_day_resets_in_seconds: int = 4 * 86400
    five_hour_tokens: int | None = None
    seven_day_tokens: int | None = None


class Step(_Strict, frozen=True, kw_only=True):
    """One model call: what it answers, or how it fails first."""

    think: str = ""
    say: str = ""
    say_repeat: int = 1
    say_if_refused: str = ""
    """Said instead, ending the turn, when the human refused the last tool call."""
    calls: tuple[Call, ...] = ()
    output_tokens: int | None = None
    wait_seconds: float = 0
    usage: Usage | None = None
    fail: FailureKind | None = None
    fail_times: int = 0
    """How often it fails before it succeeds; 0 is always (`limited`: until its reset)."""
    retry_after_seconds: float | None = None
    reset_in_seconds: float | None = None
    stall_seconds: float = 600


class Turn(_Strict, frozen=True, kw_only=True):
    """The model calls that answer one user prompt."""

    steps: tuple[Step, ...]


class Scenario(_Strict, frozen=True, kw_only=True):
    """A scripted conversation with one agent."""

    title: str
    turns: tuple[Turn, ...] = ()
    match: tuple[str, ...] = ()
    tokens_per_second: float = 0
    usage: Usage = Usage()
    limits: Limits = Limits()


def load(path: Path) -> Scenario:
    """The scenario of that file; raises ScenarioError naming the file and the field."""
    try:
        scenario = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Scenario)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScenarioError(path, str(error)) from error
    for number, turn in enumerate(scenario.turns, 1):
        _check(path, number, turn)
    return scenario


def _check(file: Path, number: int, turn: Turn) -> None:
    if not turn.steps:
        raise ScenarioError(file, f"turn {number} has no steps")
    for index, step in enumerate(turn.steps, 1):
        where = f"turn {number}, step {index}"
        # Only a failure that never ends needs no answer after it.
        endless = step.fail is not None and not step.fail_times and step.fail != "limited"
        if not (step.say or step.calls or endless):
            raise ScenarioError(file, f"{where} neither says, calls nor fails")
        if index < len(turn.steps) and not step.calls and step.fail is None:
            raise ScenarioError(file, f"{where} calls no tool, which would end the turn early")
        for call in step.calls:
            path = PurePosixPath("" if isinstance(call, Bash) else call.path)
            if path.is_absolute() or ".." in path.parts:
                raise ScenarioError(file, f"{where}: {path} must lie in the worktree")


class Library:
    """All scenarios by name: the built-in ones and those of one more directory."""

    def __init__(self, directory: Path | None = None) -> None:
        folders = [BUILT_IN] if directory is None else [BUILT_IN, directory]
        files = [file for folder in folders for file in sorted(folder.glob("*.toml"))]
        self.scenarios = {file.stem: load(file) for file in files}

    def find(self, name: str, first_prompt: str) -> Scenario | None:
        """The named scenario; for `auto` the one with the longest match, else the fallback."""
        if name != "auto":
            return self.scenarios.get(name)
        matches = [
            (len(text), name)
            for name, scenario in self.scenarios.items()
            for text in scenario.match
            if text in first_prompt
        ]
        return self.scenarios[max(matches)[1] if matches else FALLBACK]
