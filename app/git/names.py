"""Names: agents' branches, full ref names, paths. What is not plainly good is refused."""

import os
import re
import unicodedata

from app.errors import BranchRefused

_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_SPELLED = re.compile(rb"\\x([0-9a-f]{2})")
HEADS = "refs/heads/"


def slugify(title: str, limit: int = 40) -> str:
    """A branch or directory name part from a title: lower case, `a-z0-9-`, never empty."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug[:limit].rstrip("-") or "task"


def is_name(name: str) -> bool:
    """Whether this may name an agent, a repository's directory or a branch's last part."""
    good = _PART.fullmatch(name) is not None and len(name) <= 100
    return good and ".." not in name and not name.lower().endswith(".lock")


def branch_name(agent: str, title: str, taken: frozenset[str] = frozenset()) -> str:
    """`qd/<agent>/<slug>` for a title, numbered where it is taken."""
    require_name(agent)
    slug, number = slugify(title), 1
    branch = f"qd/{agent}/{slug}"
    while branch in taken:
        number += 1
        branch = f"qd/{agent}/{slug}-{number}"
    return branch


def require_name(name: str) -> str:
    """The name itself; raises BranchRefused where it is not plain."""
    if not is_name(name):
        raise BranchRefused(f"{name!r} is not a name: use letters, digits, dot, dash, underscore.")
    return name


def require_branch(agent: str, branch: str) -> str:
    """The last part of an agent's branch; raises BranchRefused for any other branch.

    One level below the agent's own directory only, so that no path part is the agent's to plant.
    """
    prefix = f"qd/{require_name(agent)}/"
    if not branch.startswith(prefix) or not is_name(branch.removeprefix(prefix)):
        raise BranchRefused(f"{branch!r} is not a branch of {agent}: it must be {prefix}<name>.")
    return branch.removeprefix(prefix)


def require_ref(ref: str) -> str:
    """A full `refs/heads/…` name of the human's, if git would allow it; else BranchRefused."""
    name = ref.removeprefix(HEADS)
    parts = name.split("/")
    bad = (
        not ref.startswith(HEADS)
        or _FORBIDDEN.search(name) is not None
        or name in ("", "@", "HEAD")
        or name.startswith("-")
        or name.endswith((".", "/"))
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
    if bad:
        raise BranchRefused(f"{ref!r} is not a usable branch.")
    return ref


def full_ref(branch: str) -> str:
    """`refs/heads/<branch>`, validated; takes short and full names."""
    return require_ref(branch if branch.startswith(HEADS) else HEADS + branch)


def require_path(path: str) -> str:
    """A path inside a tree: relative, no `..`, no NUL; else BranchRefused."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise BranchRefused(f"{path!r} is not a path inside the repository.")
    return path


def path_text(raw: bytes) -> str:
    r"""A path of git as text that can be stored and sent: bytes that are no UTF-8 become `\xNN`."""
    return raw.replace(b"\\x", b"\\x5cx").decode("utf-8", "backslashreplace")


def path_argument(text: str) -> str:
    """The path that `path_text` spelled, as an argument for git."""
    return os.fsdecode(_SPELLED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode()))
