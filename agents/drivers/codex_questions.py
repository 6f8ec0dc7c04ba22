"""What Codex asks its client: which questions reach the human, and how answers are worded.

With the approval policy "untrusted" Codex asks before every command and every patch, `ls`
included. Reading inside the worktree and editing it are what a session is for, so those two are
answered here; everything else is the human's.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.codex_items import one_line, script
from agents.drivers.codex_limits import Message
from agents.events import Decision, PermissionRequested, ToolCall

COMMAND = "item/commandExecution/requestApproval"
PATCH = "item/fileChange/requestApproval"
ACCESS = "item/permissions/requestApproval"
_DECISIONS = {"allow": "accept", "allow_always": "acceptForSession", "deny": "decline"}
_READERS = ("cat", "file", "grep", "head", "ls", "nl", "pwd", "rg", "stat", "tail", "true", "wc")
_GIT_READERS = ("diff", "log", "ls-files", "rev-parse", "show", "status")
_WRITING_OPTIONS = ("--ext-diff", "--hostname-bin", "--output", "--pre", "--textconv")
_SEPARATORS = ("&&", "||", "|", ";")
# Quoting and substitution are the shell's to understand: with any of these we ask.
_CLEVER = re.compile(r"[$`\\\n<>(){}*?\[\]!#]")


@dataclass(frozen=True)
class Question:
    """An open request of the app-server."""

    rpc_id: int | str
    method: str
    params: Message

    def result(self, decision: Decision) -> Message:
        """The JSON-RPC result that says `decision`."""
        if self.method != ACCESS:
            return {"decision": _DECISIONS[decision]}
        granted = {} if decision == "deny" else self.params["permissions"]
        return {
            "permissions": granted,
            "scope": "session" if decision == "allow_always" else "turn",
        }


Find = Callable[[str], ToolCall | None]


def asked(question: Question, find: Find) -> PermissionRequested | None:
    """The question as the human reads it, or None where the method asks no permission."""
    call = find(question.params.get("itemId", ""))
    request_id, params = str(question.rpc_id), question.params
    call_id, reason = params.get("itemId", ""), params.get("reason") or ""
    match question.method:
        case "item/commandExecution/requestApproval":
            command = script(params.get("command") or "")
            title = one_line(command) or (call.title if call else "input for a running command")
            arguments: dict[str, object] = {"command": command, "cwd": params.get("cwd") or ""}
            if network := params.get("networkApprovalContext"):
                title, arguments = f"network: {one_line(str(network))}", {"network": network}
            return PermissionRequested(
                request_id, "execute", "shell", title, arguments, call_id, reason
            )
        case "item/fileChange/requestApproval":
            title = call.title if call else "file changes"
            inputs = call.input if call else {}
            return PermissionRequested(
                request_id, "edit", "apply_patch", title, inputs, call_id, reason
            )
        case "item/permissions/requestApproval":
            title = one_line(f"more access: {params['permissions']}")
            return PermissionRequested(
                request_id,
                "other",
                "request_permissions",
                title,
                {"permissions": params["permissions"]},
                call_id,
                reason,
            )
    return None


def harmless(question: Question, find: Find, cwd: str) -> bool:
    """Whether it only reads inside the worktree, or only edits it (its git link excepted)."""
    params, root = question.params, Path(cwd).resolve()
    if params.get("reason") or params.get("grantRoot") or params.get("additionalPermissions"):
        return False
    if question.method == PATCH:
        call = find(params["itemId"])
        return call is not None and _edits_inside(call, root)
    if question.method != COMMAND or params.get("kind", "command") != "command":
        return False
    if params.get("networkApprovalContext"):
        return False
    at = Path(params.get("cwd") or cwd).resolve()
    return at.is_relative_to(root) and reads_only(script(params.get("command") or ""), root)


def reads_only(command: str, root: Path) -> bool:
    """Whether a shell command is plainly one that reads below `root`; doubt says no."""
    if not command or _CLEVER.search(command):
        return False
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return False
    simple: list[list[str]] = [[]]
    for word in words:
        if word in _SEPARATORS:
            simple.append([])
        else:
            simple[-1].append(word)
    return all(_reader(part, root) for part in simple)


def _reader(words: list[str], root: Path) -> bool:
    if not words:
        return False
    program, *arguments = words
    if program == "git":
        program, *arguments = arguments or [""]
        known = program in _GIT_READERS
    elif program == "sed":
        known = len(arguments) >= 2 and arguments[0] == "-n"
        known = known and re.fullmatch(r"\d+(,\d+)?p", arguments[1]) is not None
        arguments = arguments[2:]
        known = known and not any(word.startswith("-") for word in arguments)
    else:
        known = program in _READERS
    return known and all(_tame(word, root) for word in arguments)


def _tame(word: str, root: Path) -> bool:
    """Neither an option that writes or runs, nor a path that leaves the worktree."""
    if word.startswith("-"):
        return "/" not in word and not word.startswith(_WRITING_OPTIONS)
    if word.startswith("~") or "&" in word or ";" in word:
        return False
    return (root / word).resolve().is_relative_to(root)


def _edits_inside(call: ToolCall, root: Path) -> bool:
    changes = call.input.get("changes")
    if not isinstance(changes, list) or not changes:
        return False
    for change in changes:
        moved = change.get("moved_to")
        for path in [change["path"], *([moved] if moved else [])]:
            target = (root / path).resolve()
            if not target.is_relative_to(root):
                return False
            # The link to the git directory, and what Codex reads as its own settings.
            if {".git", ".codex"} & set(target.relative_to(root).parts):
                return False
    return True
