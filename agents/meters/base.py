"""What reading a vendor's own usage logs means: records, cursors, readers.

A reader knows one vendor's lines; `agents/meters/scan.py` knows files; a ledger
(`agents/meters/ledger.py`) knows which records are the same model call. No database here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Protocol

import msgspec

# What a line may claim; beyond it is unreadable. The sum of a minute has to fit into 32 bits.
Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**26)]
_YEARS = range(2015, 2100)


class UsageRecord(msgspec.Struct, frozen=True, array_like=True):
    """The tokens of one model call, as one line of a log has them; counters do not overlap.

    Ledgers keep it encoded: new fields go to the end and have a default.
    """

    at: datetime  # UTC
    model: str  # "" where the log does not say
    session_id: str  # the vendor's
    key: str  # two records of one key are one call
    aliases: tuple[str, ...] = ()  # weaker names, see `Ledger`
    is_secondary: bool = False  # written beside the call's own conversation, maybe as a copy
    output_tokens: int = 0
    input_tokens: int = 0  # fresh: neither written to nor read from a cache
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0  # part of output_tokens
    cache_write_hour_tokens: int = 0  # part of cache_write_tokens, at the price of an hour
    cost_usd: float | None = None  # the vendor's own figure, where it gives one
    spawned_by: str = ""  # the vendor's id of the session whose sub-agent this one is

    @property
    def total_tokens(self) -> int:
        """All four counters."""
        return (
            self.output_tokens
            + self.input_tokens
            + self.cache_write_tokens
            + self.cache_read_tokens
        )


class Cursor(msgspec.Struct, frozen=True):
    """How far a file was read, and how to know it again. Plain data, to be stored by its path."""

    path: str
    device: int
    inode: int
    size: int  # bytes looked at: the file's size after its last batch, and less before
    modified_ns: int
    offset: int  # bytes read: always the start of a line
    tail: str  # digest of the last bytes before offset
    state: bytes = b""  # the reader's memory at offset


class Batch(msgspec.Struct, frozen=True):
    """Some records of one file and the cursor after them: store both in one transaction."""

    path: str
    records: list[UsageRecord]
    cursor: Cursor | None  # None: the file could not be read, keep what you have
    unreadable_lines: int = 0
    bytes_read: int = 0
    is_anew: bool = False  # first batch of a file whose known part had changed under us
    problem: str = ""


class LineReader(Protocol):
    """Reads the lines of one file in their order; remembers what later lines need."""

    def read(self, line: bytes) -> UsageRecord | None:
        """The line's record, or None. Raises msgspec.DecodeError for what is no such line."""
        ...

    def state(self) -> bytes:
        """What `LogReader.start` needs to go on from here."""
        ...


class LogReader(Protocol):
    """One vendor's logs."""

    @property
    def id(self) -> str: ...

    @property
    def rooms(self) -> Sequence[str]:
        """The directories below an account's own in which its logs are."""
        ...

    @property
    def needles(self) -> Sequence[bytes]:
        """A line without any of these bytes is of no interest and is never decoded."""
        ...

    def find(self, config_dir: Path) -> list[Path]:
        """The log files below an account's directory, originals before their copies."""
        ...

    def start(self, path: Path, state: bytes) -> LineReader:
        """A reader of one file, from its beginning (`state` empty) or from a cursor's state."""
        ...


def utc(at: datetime | None) -> datetime:
    """The time in UTC; one without a zone is taken for UTC. Raises for none, or for no real one."""
    if at is None or at.year not in _YEARS:
        raise msgspec.ValidationError("a record of usage without a time")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
