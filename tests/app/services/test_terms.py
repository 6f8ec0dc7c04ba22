"""A task's terms: what is asked for is checked, what is left out stays."""

from datetime import datetime, timedelta

import pytest

from app.errors import Conflict, Invalid, NotFound
from app.models import Account, Repository, Task
from app.models.base import utc_now
from app.services.context import Context
from app.services.tasks import add_task, cancel_task, set_task
from app.services.terms import Terms


@pytest.fixture
def served(ctx: Context) -> Context:
    with ctx.db.write() as db:
        db.add(Repository(slug="ship", path="/ship", base_branch="main"))
        db.add(Account(name="Work", driver="scripted", auth="none"))
    return ctx


def add(ctx: Context, **terms: object) -> Task:
    given = Terms(**terms)  # type: ignore[arg-type]
    return add_task(ctx, repository=None, title="Paint", prompt="Do it.", terms=given)


def test_terms_are_kept_and_only_what_is_given_changes(served: Context) -> None:
    first = add(served)
    soon = utc_now() + timedelta(hours=3)
    task = add(
        served, priority=2, deadline_at=soon, after=(first.id,), models=("m", " m"), account="Work"
    )
    assert (task.priority, task.deadline_at, task.after) == (2, soon, [first.id])
    assert (task.models, task.is_deferrable) == (["m"], False)
    changed = set_task(served, task_id=task.id or 0, is_deferrable=True, deadline_at=None)
    assert (changed.is_deferrable, changed.deadline_at, changed.priority) == (True, None, 2)
    assert changed.wanted_account_id == task.wanted_account_id is not None


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"priority": 12}, "-9 to 9"),
        ({"deadline_at": datetime(2030, 1, 1)}, "no time zone"),
        ({"deadline_at": utc_now() - timedelta(days=1)}, "is over already"),
        ({"models": ("a\nb",)}, "no model name"),
        ({"models": tuple(f"m{n}" for n in range(51))}, "too many"),
    ],
)
def test_terms_that_cannot_be_kept_are_refused(
    served: Context, terms: dict[str, object], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        add(served, **terms)


def test_what_does_not_exist_is_named(served: Context) -> None:
    with pytest.raises(NotFound, match="no task 99"):
        add(served, after=(99,))
    with pytest.raises(NotFound, match="no account 'Home'"):
        add(served, account="Home")


def test_no_task_waits_for_itself(served: Context) -> None:
    first = add(served)
    second = add(served, after=(first.id,))
    third = add(served, after=(second.id,))
    with pytest.raises(Invalid, match="would wait for itself"):
        set_task(served, task_id=first.id or 0, after=(third.id,))
    with pytest.raises(Invalid, match="would wait for itself"):
        set_task(served, task_id=first.id or 0, after=(first.id,))


def test_a_deadline_that_has_passed_does_not_block_other_changes(served: Context) -> None:
    task = add(served)
    with served.db.write() as db:
        row = db.get_one(Task, task.id)
        row.deadline_at = utc_now() - timedelta(minutes=1)
        db.add(row)
    assert set_task(served, task_id=task.id or 0, priority=3).priority == 3


def test_a_closed_task_has_no_terms(served: Context) -> None:
    task = add(served)
    cancel_task(served, task_id=task.id or 0)
    with pytest.raises(Conflict, match="no longer matter"):
        set_task(served, task_id=task.id or 0, priority=1)
