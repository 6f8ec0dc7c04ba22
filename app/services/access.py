"""The human's token: who has it, commands. Made once, kept in a file only its owner can read."""

import os
import secrets

from app.errors import HomeUnusable
from app.paths import Home

_MODE = 0o600


def token(home: Home) -> str:
    """The home's token, created on first use; HomeUnusable where it can't be kept."""
    try:
        home.ensure()
        found = _read(home) or _create(home)
    except (OSError, UnicodeDecodeError) as error:
        raise HomeUnusable(
            f"The token file {home.token} can't be used ({error}); "
            "mend its owner and mode, or set QUARTERDECK_HOME to another directory."
        ) from error
    return found


def renew(home: Home) -> str:
    """A new token; every browser and script that holds the old one must log in again."""
    home.ensure()
    home.token.unlink(missing_ok=True)
    return token(home)


def login_url(url: str, token: str) -> str:
    """The address that logs a browser in and then forgets the token."""
    return f"{url}/?token={token}"


def _read(home: Home) -> str:
    if not home.token.exists():
        return ""
    if home.token.stat().st_mode & 0o077:  # copied or restored carelessly
        home.token.chmod(_MODE)
    return home.token.read_text().strip()


def _create(home: Home) -> str:
    """Written whole under another name, then linked: two starting servers agree on one token."""
    fresh = secrets.token_urlsafe(32)
    draft = home.path / f"token.{os.getpid()}.{secrets.token_hex(4)}"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        os.write(file, fresh.encode())
    finally:
        os.close(file)
    try:
        if home.token.exists() and not home.token.read_text().strip():
            draft.replace(home.token)  # an empty file is no token
        else:
            os.link(draft, home.token)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return _read(home)
