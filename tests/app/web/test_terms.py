"""A task's terms on the page: asked for with the task, shown in the backlog, changed in a sheet."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.models import Task
from app.services.context import Context
from app.store import tasks
from tests.app import factories as make
from tests.app.web.conftest import Soup

Post = Callable[..., Any]


@pytest.fixture
def first(ctx: Context) -> Task:
    repository = make.repository(ctx)
    make.account(ctx, "Max", "scripted", auth="none")
    return make.task(ctx, repository, "Lay the keel")


def last(ctx: Context) -> Task:
    with ctx.db.read() as db:
        return tasks.backlog(db)[-1]


def test_a_task_is_written_with_its_terms(
    ctx: Context, first: Task, post: Post, soup: Soup
) -> None:
    answer = post(
        "/tasks",
        prompt="Raise the mast",
        priority="5",
        deadline="2099-01-31T17:00",
        after=f"#{first.id}",
        account="Max",
        models="opus, sonnet",
        deferrable="1",
    )
    assert answer.status_code == 200, answer.text
    task = last(ctx)
    assert task.deadline_at == datetime(2099, 1, 31, 17, tzinfo=UTC)
    assert (task.priority, task.after, task.models) == (5, [first.id], ["opus", "sonnet"])
    assert (task.is_deferrable, task.may_overflow) == (True, False)
    shown = [term.text for term in soup("/tasks").select(f"#task-{task.id} .term")]
    assert shown[0] == "priority high"
    assert shown[1].startswith("due ")
    assert shown[2:] == [f"after task {first.id}", "filler", "on Max", "with opus or sonnet"]


def test_terms_are_changed_and_lifted_in_the_sheet(
    ctx: Context, first: Task, post: Post, soup: Soup
) -> None:
    post("/tasks", prompt="Raise the mast", priority="-5", account="Max", overflow="1")
    task = last(ctx)
    sheet = soup(f"/tasks/{task.id}/terms")
    assert sheet.select_one("[name=priority] [selected]").text == "low"
    assert sheet.select_one("[name=account] [selected]").text == "Max"
    assert sheet.select_one("[name=overflow]").has_attr("checked")
    answer = post(f"/tasks/{task.id}/terms", priority="0", deadline="", after=str(first.id))
    assert "are kept" in answer.text
    task = last(ctx)
    assert (task.priority, task.wanted_account_id, task.after) == (0, None, [first.id])
    assert not task.may_overflow


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"after": "the first"}, "must be a whole number"),
        ({"after": "99"}, "no task 99"),
        ({"deadline": "tomorrow"}, "write it as 2030-01-31T17:00"),
        ({"deadline": "2001-01-01T00:00"}, "is over already"),
        ({"priority": "77"}, "-9 to 9"),
    ],
)
def test_wrong_terms_are_refused_and_nothing_is_added(
    ctx: Context, first: Task, post: Post, fields: dict[str, str], said: str
) -> None:
    answer = post("/tasks", prompt="Raise the mast", **fields)
    assert answer.status_code in (404, 422)
    assert said in answer.text
    assert last(ctx).id == first.id
