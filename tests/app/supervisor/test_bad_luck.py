"""Bad input and bad luck in the main job: one sentence with the way out, and nothing is lost."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from agents import control
from app.errors import Conflict, RepositoryRefused
from app.models import Task
from app.services import accounts, agents, repositories, reviews, sessions, tasks
from app.services.context import Context
from app.store import merge_requests
from tests.app.supervisor.conftest import Deck, make_repository

WRITE = "echo x > x.txt; git add -A; git commit -qm X"


async def test_spaces_and_umlauts_are_no_obstacle(deck: Deck, tmp_path: Path) -> None:
    """And the set-up command runs, and the untracked files that it needs are copied."""
    path = make_repository(tmp_path / "mein schönes Schiff")
    (path / ".env").write_text("SECRET=1\n")
    (path / ".gitignore").write_text(".env\nmade.txt\n")
    rules = 'copy = [".env"]\n[setup]\ncommand = "cp .env made.txt"\n'
    (path / "quarterdeck.toml").write_text(rules)
    deck.git("-C", str(path), "add", "-A")
    deck.git("-C", str(path), "commit", "-qm", "Set up")
    repository = repositories.add_repository(deck.ctx, path=str(path))
    prompt = json.dumps({"run": "cat made.txt > naïve.txt; git add -A; git commit -qm Größe"})
    task = tasks.add_task(deck.ctx, repository=repository.slug, title="", prompt=prompt)
    await deck.until_task(task.id or 0, "review")
    deck.approve(task.id or 0)
    await deck.until_task(task.id or 0, "done")
    assert (path / "naïve.txt").read_text() == "SECRET=1\n"


async def test_a_setup_that_fails_says_so_on_the_task(deck: Deck) -> None:
    (deck.repository / "quarterdeck.toml").write_text('[setup]\ncommand = "echo no disk; exit 3"\n')
    deck.git("commit", "-qam", "Set up")
    task = await deck.until_task(deck.add_task(run=WRITE), "failed")
    assert "`echo no disk; exit 3` failed (no disk)" in task.state_reason


async def test_a_key_that_is_not_set_is_named(deck: Deck) -> None:
    accounts.add_account(
        deck.ctx, name="Key", driver="openai_api", auth="api_key", secret_env="QD_NO_SUCH_KEY"
    )
    agents.add_agent(deck.ctx, name="raven", driver="openai_api", account="Key")
    task = await deck.until_task(deck.add_task(agent="raven", say="x"), "failed")
    assert "$QD_NO_SUCH_KEY, which is not set" in task.state_reason


async def test_a_base_that_vanished_is_named(deck: Deck) -> None:
    deck.git("branch", "next")
    task_id = deck.add_task(run=WRITE)
    tasks.stop_task(deck.ctx, task_id=task_id)
    with deck.ctx.db.write() as db:
        row = db.get_one(Task, task_id)
        row.base_branch = "next"
        db.add(row)
    await deck.until(lambda: deck.state(task_id) in ("", "stopped"))
    deck.git("branch", "-D", "next")
    tasks.start_task(deck.ctx, task_id=task_id)
    task = await deck.until_task(task_id, "failed")
    assert "next is no longer in the repository" in task.state_reason


async def test_a_worktree_deleted_under_a_session_comes_back(deck: Deck) -> None:
    task_id = deck.add_task(run=WRITE, hang=True)
    await deck.until(lambda: "tool_result" in deck.journal(task_id))
    tasks.stop_task(deck.ctx, task_id=task_id)
    await deck.until(lambda: deck.state(task_id) == "stopped")
    shutil.rmtree(deck.session(task_id).worktree)
    tasks.start_task(deck.ctx, task_id=task_id)
    await deck.until_task(task_id, "review")
    assert deck.request(task_id).files == 1


async def test_a_program_that_dies_fails_its_task_and_frees_its_agent(deck: Deck) -> None:
    task_id = deck.add_task(agent="maple", crash=True)
    task = await deck.until_task(task_id, "failed")
    assert "crash" in task.state_reason
    await deck.until(lambda: deck.state(task_id) == "crashed")
    await deck.until_task(deck.add_task(agent="maple", run=WRITE), "review")


async def test_of_two_browsers_that_decide_one_is_told(deck: Deck) -> None:
    task_id = deck.add_task(run=WRITE)
    await deck.until_task(task_id, "review")
    request = deck.request(task_id)
    seen = {"merge_request_id": request.id or 0, "head_sha": request.head_sha}
    reviews.reject(deck.ctx, **seen)  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="rejected already"):
        reviews.approve(deck.ctx, **seen)  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="session is over"):
        sessions.say(deck.ctx, session_id=deck.session(task_id).id, text="Wait!")


async def test_a_branch_moved_after_the_approval_voids_it(deck: Deck) -> None:
    """The human approved one commit; another one must not land in its place."""
    task_id = deck.add_task(run=WRITE)
    await deck.until_task(task_id, "review")
    request_id = deck.request(task_id).id or 0
    await deck.until(lambda: deck.check(request_id) == "passed")
    script = json.dumps({"run": "echo y > y.txt; git add -A; git commit -qm Y"})
    sessions.say(deck.ctx, session_id=deck.session(task_id).id, text=script)
    await deck.until(lambda: deck.request(task_id).round == 2)
    with deck.ctx.db.read() as db:
        request = merge_requests.get(db, request_id)
    assert request is not None
    assert (request.state, request.approved_sha) == ("open", "")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "not a git repository"),
        (lambda path: subprocess.run(["git", "init", "-q", path], check=True), "no commit yet"),
        (lambda path: path.write_text(""), "not a directory"),
    ],
)
def test_what_is_no_repository_is_refused(
    ctx: Context, tmp_path: Path, make: object, said: str
) -> None:
    path = tmp_path / "place"
    make(path)  # type: ignore[operator]
    with pytest.raises(RepositoryRefused, match=said):
        repositories.add_repository(ctx, path=str(path))


async def test_a_program_that_just_ends_leaves_no_task_running(deck: Deck) -> None:
    """The runner is asked to stop behind the supervisor's back, in the middle of a turn."""
    task_id = deck.add_task(run=WRITE, hang=True)
    await deck.until(lambda: "tool_result" in deck.journal(task_id))
    directory = deck.ctx.home.session(deck.session(task_id).id)
    await control.request(directory, "stop")
    task = await deck.until_task(task_id, "failed")
    assert "ended; resume it" in task.state_reason
    sessions.say(deck.ctx, session_id=deck.session(task_id).id, text="Go on.")
    await deck.until_task(task_id, "review")
