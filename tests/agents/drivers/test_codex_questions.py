"""What reaches the human, and what is answered without: doubt always asks."""

from pathlib import Path
from typing import Any

import pytest

from agents.drivers.codex_questions import Question, asked, harmless, reads_only
from agents.events import ToolCall

COMMAND = "item/commandExecution/requestApproval"
PATCH = "item/fileChange/requestApproval"


def patch(*paths: str) -> ToolCall:
    changes = [{"path": path, "change": "update"} for path in paths]
    return ToolCall("p", "apply_patch", "edit", ", ".join(paths), {"changes": changes})


def is_harmless(root: Path, method: str, call: ToolCall | None = None, **params: Any) -> bool:
    question = Question(1, method, {"itemId": "p", "cwd": str(root), **params})
    return harmless(question, lambda _id: call, str(root))


@pytest.mark.parametrize(
    "command",
    [
        "ls",
        "ls -la src",
        "cat README.md | head -20",
        "git status && git log --oneline -5",
        "git diff HEAD",
        "rg -n 'two words' src; wc -l src/main.py",
        "sed -n 1,200p src/main.py",
        "grep -rn needle .",
        "pwd || true",
    ],
)
def test_reading_the_worktree_needs_no_human(command: str, tmp_path: Path) -> None:
    assert reads_only(command, tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "rm -rf .",
        "ls > out",
        "ls & rm x",
        "ls; rm x",
        "ls\nrm x",
        "cat $(rm x)",
        "cat `rm x`",
        "cat <(rm x)",
        "ls ~",
        "ls $HOME",
        "cat /etc/passwd",
        "cat ../other/secret",
        "cat src/../../secret",
        "grep -f/etc/passwd x",
        "grep --file=/etc/passwd x",
        "git commit -m x",
        "git -c core.pager=evil log",
        "git diff --output=x",
        "git diff --ext-diff",
        "git",
        "rg --pre evil x",
        "sed -i s/a/b/ f",
        "sed -n 1,2p -i f",
        "sed -n '1e evil' f",
        "find . -delete",
        "X=1 ls",
        "ls | tee out",
        "ls |",
        "&& ls",
        "cat 'unclosed",
        "env",
        "python3 x.py",
    ],
)
def test_anything_else_asks(command: str, tmp_path: Path) -> None:
    assert not reads_only(command, tmp_path)


def test_a_link_out_of_the_worktree_asks(tmp_path: Path) -> None:
    root = tmp_path / "worktree"
    root.mkdir()
    (root / "link").symlink_to("/etc/passwd")
    assert not reads_only("cat link", root)
    assert not is_harmless(root, PATCH, patch("link"))


def test_a_reading_command_is_free_only_as_it_is(tmp_path: Path) -> None:
    shell = {"command": "/bin/bash -lc 'ls -l'"}
    assert is_harmless(tmp_path, COMMAND, **shell)
    assert not is_harmless(tmp_path, COMMAND, **shell, reason="wants out of the sandbox")
    assert not is_harmless(tmp_path, COMMAND, **shell, kind="writeStdin")
    assert not is_harmless(tmp_path, COMMAND, **shell, networkApprovalContext={"host": "x"})
    assert not is_harmless(tmp_path, COMMAND, **shell, additionalPermissions={"network": {}})
    assert not is_harmless(tmp_path, COMMAND, **{**shell, "cwd": "/etc"})
    assert not is_harmless(tmp_path, COMMAND)


def test_editing_the_worktree_is_free_but_not_its_git_link(tmp_path: Path) -> None:
    assert is_harmless(tmp_path, PATCH, patch("a.py", "new/b.py"))
    for path in ("/etc/hosts", "../x", ".git", "sub/.git/config", ".codex/config.toml"):
        assert not is_harmless(tmp_path, PATCH, patch("a.py", path))
    assert not is_harmless(tmp_path, PATCH, patch("a.py"), grantRoot="/")
    assert not is_harmless(tmp_path, PATCH, None), "what is not known is asked"
    moved = [{"path": "a", "moved_to": "/etc/x"}]
    assert not is_harmless(
        tmp_path, PATCH, ToolCall("p", "apply_patch", "edit", "a", {"changes": moved})
    )


def test_questions_read_as_sentences_and_answers_as_decisions() -> None:
    question = Question(7, COMMAND, {"command": "/bin/sh -c 'make  it'", "itemId": "c"})
    row = asked(question, lambda _id: None)
    assert row is not None
    assert (row.request_id, row.title, row.tool, row.call_id) == ("7", "make it", "execute", "c")
    assert question.result("allow") == {"decision": "accept"}
    assert question.result("allow_always") == {"decision": "acceptForSession"}
    assert question.result("deny") == {"decision": "decline"}
    edit = asked(Question(8, PATCH, {"itemId": "p"}), lambda _id: patch("a", "b"))
    assert edit is not None
    assert (edit.tool, edit.title) == ("edit", "a, b")


def test_more_access_is_granted_as_it_was_asked() -> None:
    wanted = {"network": {"enabled": True}}
    question = Question("x", "item/permissions/requestApproval", {"permissions": wanted})
    assert asked(question, lambda _id: None) is not None
    assert question.result("allow") == {"permissions": wanted, "scope": "turn"}
    assert question.result("allow_always") == {"permissions": wanted, "scope": "session"}
    assert question.result("deny") == {"permissions": {}, "scope": "turn"}


def test_other_requests_are_no_questions() -> None:
    for method in ("currentTime/read", "item/tool/requestUserInput", "novelty"):
        assert asked(Question(1, method, {}), lambda _id: None) is None
