"""Masks secrets in everything that is stored: values we were given, and well-known key shapes.

Masking works on encoded lines, so that one pass covers every field; a mark holds no character
that JSON escapes, so a masked line stays the JSON it was.
"""

import re
from collections.abc import Iterable

import msgspec

MARK = b"[secret]"
MIN_VALUE_LENGTH = 8  # shorter values are words, not secrets; masking them would eat the log
_MAX_HELD = 512

_SHAPES = {
    b"sk-ant-": rb"[A-Za-z0-9_-]{16,}",
    b"sk-proj-": rb"[A-Za-z0-9_-]{16,}",
    b"sk-svcacct-": rb"[A-Za-z0-9_-]{16,}",
    b"sk-or-v1-": rb"[A-Za-z0-9]{16,}",
    b"sk-": rb"[A-Za-z0-9]{32,}",
    b"ghp_": rb"[A-Za-z0-9]{30,}",
    b"gho_": rb"[A-Za-z0-9]{30,}",
    b"ghs_": rb"[A-Za-z0-9]{30,}",
    b"ghu_": rb"[A-Za-z0-9]{30,}",
    b"ghr_": rb"[A-Za-z0-9]{30,}",
    b"github_pat_": rb"[A-Za-z0-9_]{30,}",
    b"glpat-": rb"[A-Za-z0-9_-]{20,}",
    b"hf_": rb"[A-Za-z0-9]{30,}",
    b"AKIA": rb"[0-9A-Z]{16}(?![0-9A-Z])",
    b"ASIA": rb"[0-9A-Z]{16}(?![0-9A-Z])",
    b"AIza": rb"[0-9A-Za-z_-]{35}",
    b"xoxb-": rb"[0-9A-Za-z-]{10,}",
    b"xoxp-": rb"[0-9A-Za-z-]{10,}",
    b"sk_live_": rb"[0-9A-Za-z]{20,}",
    b"rk_live_": rb"[0-9A-Za-z]{20,}",
    b"npm_": rb"[0-9A-Za-z]{36}(?![0-9A-Za-z])",
    b"pypi-AgEI": rb"[0-9A-Za-z_-]{50,}",
    b"GOCSPX-": rb"[0-9A-Za-z_-]{20,}",
    b"AGE-SECRET-KEY-1": rb"[0-9A-Z]{50,}",
}
_PEM = rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----"


def _shape(prefix: bytes, rest: bytes) -> re.Pattern[bytes]:
    """A key at the start of a word, or after an escaped line break (`\\n`) in an encoded line.

    The prefix comes first, so that the search for it is a search for plain bytes.
    """
    name = re.escape(prefix)
    return re.compile(
        name + rb"(?:(?<![A-Za-z0-9]" + name + rb")|(?<=\\[nrt]" + name + rb"))" + rest
    )


_PATTERNS = [*((k, _shape(k, v)) for k, v in _SHAPES.items()), (b"-----BEGIN ", re.compile(_PEM))]
_PREFIXES = [prefix.decode() for prefix in _SHAPES]
_UNFINISHED = re.compile("(?:" + "|".join(map(re.escape, _PREFIXES)) + r")[A-Za-z0-9_-]*\Z")


def shapes_in(text: str) -> list[str]:
    """The prefixes of what is shaped like a key in a text; documented examples do not count."""
    raw = text.encode("utf-8", "replace")
    return [
        prefix.decode()
        for prefix, pattern in _PATTERNS
        if prefix in raw
        and any(b"EXAMPLE" not in found[0] for found in pattern.finditer(raw))
        and prefix.decode() in _PREFIXES
    ]


class Redactor:
    """Masks the given secret values (8 characters or more) and anything shaped like a key."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = sorted({v for v in values if len(v) >= MIN_VALUE_LENGTH}, key=len)
        written = {form for value in self._values for form in _forms(value)}
        self._written = sorted(written, key=len, reverse=True)  # the longer of nested ones first

    def mask(self, line: bytes) -> bytes:
        """`line` with every secret replaced by `[secret]`."""
        for value in self._written:
            line = line.replace(value, MARK)
        for prefix, pattern in _PATTERNS:
            if prefix in line:
                line = pattern.sub(MARK, line)
        return line

    def text(self, text: str) -> str:
        """`mask` for text."""
        return self.mask(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def held(self, text: str) -> int:
        """How many last characters could be the beginning of a secret and should wait."""
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _MAX_HELD))
        held = len(text) - unfinished.start() if unfinished else 0
        for whole in (*self._values, *_PREFIXES):
            for length in range(min(len(whole) - 1, len(text)), held, -1):
                if text.endswith(whole[:length]):
                    held = length
                    break
        return min(held, _MAX_HELD)


def _forms(value: str) -> tuple[bytes, bytes]:
    """The value as it stands in plain text and inside a JSON string."""
    return value.encode("utf-8", "replace"), msgspec.json.encode(value)[1:-1]
