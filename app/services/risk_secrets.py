"""Risks by what should not be in a repository at all. What was found is named, never repeated.

Well-known shapes of keys (the same that are masked in logs), values assigned to telling names, and
files by name. No test by entropy alone: it cries at every hash.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from agents.redact import shapes_in
from app.git.diffs import FileDiff
from app.services.change import Change, Risk, added, paths_of
from app.services.sizes import kind_of

_FILES = re.compile(
    r"(^|/)(\.env(\.(?!example$|sample$|template$|dist$|test$)[^/]+)?|\.netrc|\.git-credentials"
    r"|id_(rsa|dsa|ecdsa|ed25519)|[^/]+\.(pem|p12|pfx|key|keystore|jks|kdbx|ppk))$"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_IN_ADDRESS = re.compile(
    r"[a-z][a-z0-9+]{1,20}://[^\s/:@\"'<>${}]{1,80}:(?P<value>[^\s/@\"'<>${}]{6,200})@"
)
_NAME = (
    r"(password|passwd|pwd|secret|(api|access|private|signing|encryption)[_-]?key"
    r"|(auth|access|refresh|bearer)[_-]?token)"
)
_ASSIGNED = re.compile(
    _NAME + r"[\"'\]]{0,2}\s{0,9}(=>|:=|=|:)\s{0,9}[\"'](?P<value>[^\"'\s]{10,300})[\"']",
    re.IGNORECASE,
)
_UNQUOTED = re.compile(
    _NAME + r"\s{0,9}[=:]\s{0,9}(?P<value>[^\"'\s]{10,300})\s{0,9}$", re.IGNORECASE | re.MULTILINE
)
_CONFIGURATION = re.compile(r"\.(ya?ml|env[^/]*|ini|cfg|conf|properties)$")
_NOT_MEANT = re.compile(
    r"example|sample|change.?me|placeholder|dummy|fake|your|insert|replace|redacted|secret|passw"
    r"|xxx|\*\*\*|\.\.\.|12345|abcdef|[<>{}$%]",
    re.IGNORECASE,
)
_LEAST_ENTROPY = 3.0  # bits a character: random letters and digits of 10 places have about 3.2


def keys(change: Change) -> Iterator[Risk]:
    """Keys of well-known shapes, private keys, passwords in addresses and in assignments."""
    found: dict[str, list[FileDiff]] = {}
    for file in change.files:
        for says in _told(file):
            found.setdefault(says, []).append(file)
    for says, files in found.items():
        yield Risk("secret", 100, says, paths_of(files))


def files(change: Change) -> Iterator[Risk]:
    found = [f for f in change.files if f.status != "deleted" and _FILES.search(f.path.lower())]
    if found:
        yield Risk("secret", 80, "a file that usually holds secrets", paths_of(found))


def _told(file: FileDiff) -> set[str]:
    kind = kind_of(file.path)
    if kind == "locks":
        return set()
    text = "\n".join(added(file))
    said = {f"what looks like a key ({shape}…)" for shape in shapes_in(text)}
    if _PRIVATE_KEY.search(text):
        said.add("a private key")
    if kind not in ("tests", "docs"):
        is_told = _holds(_ASSIGNED, text)
        if is_told or (_CONFIGURATION.search(file.path.lower()) and _holds(_UNQUOTED, text)):
            said.add("a password or key written into the file")
        if _holds(_IN_ADDRESS, text):
            said.add("a password in an address")
    return said


def _holds(pattern: re.Pattern[str], text: str) -> bool:
    """Whether it finds a value that is no example of one and no name."""
    values = (match["value"] for match in pattern.finditer(text))
    return any(not _NOT_MEANT.search(it) and _entropy(it) >= _LEAST_ENTROPY for it in values)


def _entropy(value: str) -> float:
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * log2(share) for share in shares)


RULES = (keys, files)
