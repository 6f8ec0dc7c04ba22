"""Tasks: bad input gets one sentence, the backlog keeps the human's order."""

import pytest

from app.errors import Conflict, Invalid, NotFound
from app.models import Repository
from app.services.context import Context
from app.services.tasks import add_task, cancel_task, move_task, start_task, stop_task
from app.store import tasks


@pytest.fixture
def served(ctx: Context) -> Context:
    with ctx.db.write() as db:
        db.add(Repository(slug="ship", path="/ship", base_branch="main"))
    return ctx


def add(ctx: Context, title: str) -> int:
    return add_task(ctx, repository=None, title=title, prompt="Do it.").id or 0


def order(ctx: Context) -> list[str]:
    with ctx.db.read() as db:
        return [task.title for task in tasks.backlog(db)]


def test_a_task_needs_a_repository(ctx: Context) -> None:
    with pytest.raises(Invalid, match="quarterdeck repository add"):
        add_task(ctx, repository=None, title="x", prompt="")


@pytest.mark.parametrize(
    ("title", "prompt", "said"),
    [("", "  \n", "empty"), ("x", "y" * 1_000_000, "put long material into a file")],
)
def test_an_unusable_prompt_is_refused(served: Context, title: str, prompt: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        add_task(served, repository=None, title=title, prompt=prompt)
    assert order(served) == []


def test_an_unknown_agent_or_repository_is_named(served: Context) -> None:
    with pytest.raises(NotFound, match="no agent 'ghost'"):
        add_task(served, repository="ship", title="x", prompt="", agent="ghost")
    with pytest.raises(NotFound, match="no repository 'boat'"):
        add_task(served, repository="boat", title="x", prompt="")


def test_the_first_line_is_the_title_where_none_is_given(served: Context) -> None:
    task = add_task(served, repository=None, title="", prompt="Fix  it\nand test it")
    assert (task.title, task.prompt) == ("Fix  it", "Fix  it\nand test it")


def test_tasks_move_before_others_and_to_the_end(served: Context) -> None:
    first, second, third = (add(served, title) for title in ("one", "two", "three"))
    move_task(served, task_id=third, before_id=first)
    assert order(served) == ["three", "one", "two"]
    move_task(served, task_id=third, before_id=second)
    assert order(served) == ["one", "three", "two"]
    move_task(served, task_id=first, before_id=None)
    assert order(served) == ["three", "two", "one"]
    with pytest.raises(NotFound, match="not in the backlog"):
        move_task(served, task_id=first, before_id=99)


def test_states_change_only_where_it_makes_sense(served: Context) -> None:
    task_id = add(served, "one")
    with pytest.raises(Conflict, match="queued"):
        start_task(served, task_id=task_id)
    assert stop_task(served, task_id=task_id).state == "draft"
    assert start_task(served, task_id=task_id).state == "queued"
    assert cancel_task(served, task_id=task_id).state == "cancelled"
    with pytest.raises(Conflict, match="cancelled"):
        stop_task(served, task_id=task_id)
    with pytest.raises(NotFound, match="no task 99"):
        cancel_task(served, task_id=99)
