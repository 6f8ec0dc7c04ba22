"""The seam: what a driver is, what it is given, what it may do.

A driver module owns one vendor protocol and nothing else. It imports from this package's root
only, and is found through `agents.registry` by its id.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from agents.events import Decision, Event, Quota

Permissions = Literal["ask", "auto"]  # ask the human, or let the sandbox be the guard
Auth = Literal["subscription", "api_key", "none"]


class Plan(msgspec.Struct, frozen=True):
    """A subscription plan. Vendors publish no sizes: these are priors, until we measured."""

    id: str  # what the vendor's own program calls it, in small letters
    label: str
    price_usd_month: float
    week_usd: float  # what a week of it holds, in dollars at list price
    short_usd: float  # what its five hours hold


class Capabilities(msgspec.Struct, frozen=True):
    """What a driver can do, as data for the pages; code asks these, never the driver's id."""

    label: str  # "Claude Code"
    icon: str  # two letters for the tile
    steer: bool = True  # a message sent during a turn reaches that turn
    interrupt: bool = True
    ask: bool = True  # can ask the human for permission
    quota: bool = False  # reports quota windows
    resume: bool = True
    needs_binary: bool = False
    auths: tuple[Auth, ...] = ("api_key",)
    config_dir_env: str = ""  # environment variable that names the account's directory
    config_dir: str = ""  # where the human's own login lies, "~" and all
    api_key_env: str = ""  # environment variable that holds the key, by default
    default_model: str = ""
    login_command: str = ""  # what the human types to log in, {config_dir} filled in
    docs: str = ""
    family: str = ""  # drivers of one family can carry on each other's conversations
    carries: bool = False  # `Driver.carry`: a conversation can go on under another login
    plans: tuple[Plan, ...] = ()
    has_usage_logs: bool = False  # `agents.meters` reads what it leaves in the account's directory
    cache_minutes: int = 5  # how long a prompt cache outlives the last call: with a key,
    login_cache_minutes: int = 5  # and on a subscription


class AccountReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the vendor's own program says of an account; asking costs no tokens."""

    logged_in: bool | None = None  # None: the vendor does not tell
    identity: str = ""  # e-mail or account id; "" where it is not told
    plan: str = ""  # an id of `Capabilities.plans` where it is one of these
    quota: Quota | None = None  # the windows as of now; None: there is no meter
    credits: str = ""  # credits and banked resets in a few words
    problem: str = ""  # one sentence with the way out, where something is wrong


class Availability(msgspec.Struct, frozen=True):
    """Whether a driver can start here; `problem` is one sentence with the way out."""

    ok: bool
    binary: str = ""
    version: str = ""
    problem: str = ""
    logged_in: bool | None = None  # None: not asked, or the vendor does not tell


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Which account the session spends. Secrets travel by environment variable name only."""

    auth: Auth = "subscription"
    base_url: str = ""  # "" = the vendor's own
    secret_env: str = ""  # name of the variable that holds key or token, "" = none
    config_dir: str = ""  # the account's own directory, "" = the driver's default under home


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """What the session's processes may see. Everything else is read-only or hidden."""

    read_write: list[str] = []
    read_only: list[str] = []  # re-bound read-only on top of `hidden`
    hidden: list[str] = []  # replaced by an empty directory
    env: dict[str, str] = {}  # added to the child's environment (git object directories)
    network: bool = True


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a runner needs. Stored as spec.json in the session's directory; no secrets."""

    session_id: str
    driver: str
    cwd: str  # the worktree
    home: str  # the agent's private HOME
    model: str = ""
    prompt: str = ""
    prompt_id: str = ""
    prompt_origin: Literal["task", "human", "review", "system"] = "task"
    resume: str = ""  # the vendor's conversation id
    permissions: Permissions = "ask"
    instructions: str = ""  # persona, appended to the vendor's system prompt
    binary: str = ""
    endpoint: Endpoint = Endpoint()
    env: dict[str, str] = {}  # the child's whole environment, but for the secret and the sandbox's
    sandbox: Sandbox | None = None  # None: not sandboxed, and the pages say so
    silence_seconds: float = 600.0  # a turn that says nothing for so long gets a notice


Emit = Callable[[Event, int | None], None]  # (event, offset of the raw line or None)
KeepRaw = Callable[[bytes], int]  # stores a vendor line, returns its offset


class Host(Protocol):
    """What the runner lends to a connection."""

    spec: LaunchSpec

    def emit(self, event: Event, raw: int | None = None) -> None:
        """Append an event to the journal (numbered, dated, deltas coalesced)."""

    def keep_raw(self, line: bytes) -> int:
        """Append one vendor line to vendor.ndjson; the offset goes to `emit`."""

    def command(self, argv: list[str]) -> list[str]:
        """`argv` wrapped in the session's sandbox, or unchanged where there is none."""

    def environment(self) -> dict[str, str]:
        """The child's whole environment, secret included; nothing is inherited."""

    def ended(self, exit_code: int | None, message: str = "") -> None:
        """The vendor's process is gone: the runner winds up. Callable once, from the loop."""


class Connection(Protocol):
    """One live vendor session. Every method is bounded and raises only AgentError."""

    async def start(self) -> None:
        """Bring the vendor's program up (or resume), emit SessionStarted."""

    async def say(self, text: str, message_id: str) -> bool:
        """Start a turn, or steer the running one; True where it steered."""

    async def interrupt(self) -> None:
        """Stop the turn and its tools; the session stays usable."""

    async def answer(self, request_id: str, decision: Decision, message: str = "") -> None:
        """Answer a PermissionRequested; emits PermissionResolved."""

    async def close(self) -> None:
        """End it: EOF, then TERM, then KILL on the group, each wait bounded."""


class Driver(Protocol):
    """A vendor's tool, found by id in the registry."""

    id: str
    capabilities: Capabilities

    def available(self, endpoint: Endpoint, env: dict[str, str]) -> Availability:
        """Binary found, version good, logged in according to the vendor's own status command."""

    def read_account(self, endpoint: Endpoint, env: dict[str, str]) -> AccountReport:
        """Ask the vendor's program for login, plan and meters; blocks up to 30 s, never raises."""

    def carry(
        self, conversation_id: str, cwd: str, home: str, source: Endpoint, target: Endpoint
    ) -> bool:
        """Make a stopped conversation resumable under another login; False where it cannot be."""

    def connect(self, host: Host) -> Connection:
        """A connection for this spec; nothing is started before `Connection.start`."""
