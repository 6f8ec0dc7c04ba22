"""The file that an API agent's conversation lives in, so that a killed runner loses nothing.

It lies in the agent's home, which the agent can write to: links are never followed.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from agents.drivers.api_model import Item
from agents.errors import VendorError

_ID = re.compile(r"[0-9A-Za-z_-]{1,80}")


class Conversation(msgspec.Struct):
    """What was said, in the vendor's own items, and what waits to be delivered."""

    conversation_id: str
    driver: str
    items: list[Item] = []
    waiting: list[str] = []  # the human's words that no model call has seen yet


class ConversationFile:
    """Loads and saves one conversation; saving is atomic and durable."""

    def __init__(self, home: str, conversation_id: str) -> None:
        if not _ID.fullmatch(conversation_id):
            raise VendorError("invalid", f"{conversation_id!r} is not a conversation id.")
        self.conversation_id = conversation_id
        self._home, self._name = Path(home), f"{conversation_id}.json"

    def load(self, driver: str) -> Conversation:
        """The stored conversation; raises VendorError(invalid) where none can be gone on with."""
        try:
            with self._directory() as directory:
                file = os.open(self._name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
                with os.fdopen(file, "rb") as stream:
                    found = msgspec.json.decode(stream.read(), type=Conversation)
        except (OSError, msgspec.DecodeError) as error:
            raise VendorError(
                "invalid", f"The conversation can't be resumed ({error}); start a new session."
            ) from None
        if found.driver != driver:
            raise VendorError(
                "invalid",
                f"The conversation was held through {found.driver}; resume it there or start anew.",
            )
        return found

    def save(self, conversation: Conversation) -> None:
        """Replace the file; raises VendorError(crashed) when the disk refuses."""
        temporary = f".{self._name}.{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with self._directory() as directory:
                try:
                    with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as out:
                        out.write(msgspec.json.encode(conversation))
                        out.flush()
                        os.fsync(out.fileno())
                    os.replace(temporary, self._name, src_dir_fd=directory, dst_dir_fd=directory)
                except OSError:
                    with suppress(OSError):
                        os.unlink(temporary, dir_fd=directory)
                    raise
        except OSError as error:
            raise VendorError(
                "crashed", f"The conversation can't be saved below {self._home}: {error.strerror}."
            ) from error

    @contextmanager
    def _directory(self) -> Iterator[int]:
        path = self._home / "conversations"
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield directory
        finally:
            os.close(directory)
