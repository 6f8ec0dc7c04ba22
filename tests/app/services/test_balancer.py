"""The human's word on the balancer: its mode, and apply, dismiss and undo of its decisions."""

from datetime import timedelta

import pytest

from app.errors import Conflict, Invalid, NotFound
from app.models import BalancerDecision, Task
from app.models.base import utc_now
from app.services import balancer
from app.services.context import Context
from app.services.dispatch import dispatch
from app.store import balancing
from tests.app.services.ports import Harbour


def test_the_mode_is_advise_until_it_is_set(ctx: Context, published: list[str]) -> None:
    with ctx.db.read() as db:
        assert balancer.mode(db) == "advise"
    balancer.set_mode(ctx, "auto_all")
    with ctx.db.read() as db:
        assert balancer.mode(db) == "auto_all"
    assert "balancer" in published
    with pytest.raises(Invalid, match="take one of off, advise, auto_new, auto_all"):
        balancer.set_mode(ctx, "always")
    with ctx.db.write() as db:
        balancing.set_preference(db, balancer.MODE_KEY, "what an older version wrote")
    with ctx.db.read() as db:
        assert balancer.mode(db) == "advise"


def advice(ctx: Context, harbour: Harbour) -> BalancerDecision:
    """A task that waits for a dry account, while another one has room."""
    dry = harbour.login("Dry", 100)
    harbour.limit(dry, utc_now() + timedelta(hours=4))
    harbour.agent("maple", dry)
    harbour.login("Empty", 10)
    harbour.task()
    dispatch(ctx)
    return harbour.decisions()[0]


def test_advice_is_settled_once(ctx: Context, harbour: Harbour) -> None:
    row = advice(ctx, harbour)
    assert balancer.apply(ctx, row.id or 0).state == "applied"
    with pytest.raises(Conflict, match="is applied"):
        balancer.apply(ctx, row.id or 0)
    with pytest.raises(Conflict, match="applied already"):
        balancer.dismiss(ctx, row.id or 0)
    with pytest.raises(NotFound, match="no decision 99"):
        balancer.apply(ctx, 99)


def test_applied_advice_on_a_task_that_still_waits_is_taken_back(
    ctx: Context, harbour: Harbour
) -> None:
    row = balancer.apply(ctx, advice(ctx, harbour).id or 0)
    assert harbour.row(row.task_id or 0).wanted_account_id == row.to_account_id
    assert balancer.undo(ctx, row.id or 0).state == "undone"
    assert harbour.row(row.task_id or 0).wanted_account_id is None


def test_advice_ends_with_its_moment(ctx: Context, harbour: Harbour) -> None:
    row = advice(ctx, harbour)
    assert balancer.expire(ctx) == 0
    with ctx.db.write() as db:
        task = db.get_one(Task, row.task_id)
        task.state = "cancelled"
        db.add(task)
    assert balancer.expire(ctx) == 1
    (over,) = harbour.decisions()
    assert over.state == "expired"
    assert over.settled_at is not None


def test_switching_off_ends_all_advice(ctx: Context, harbour: Harbour) -> None:
    advice(ctx, harbour)
    balancer.set_mode(ctx, "off")
    assert balancer.expire(ctx) == 1


def test_what_moved_nothing_cannot_be_undone(ctx: Context, harbour: Harbour) -> None:
    harbour.mode("auto_new")
    harbour.agent("maple", harbour.login("Max", 10))
    harbour.task()
    dispatch(ctx)
    (row,) = harbour.decisions()
    with pytest.raises(Conflict, match="Nothing was moved"):
        balancer.undo(ctx, row.id or 0)


def test_undo_after_the_agent_went_on_is_refused(ctx: Context, harbour: Harbour) -> None:
    harbour.mode("auto_new")
    home = harbour.login("Home", 90)
    maple = harbour.agent("maple", home)
    harbour.login("Empty", 10)
    harbour.task()
    dispatch(ctx)
    (row,) = harbour.decisions()
    with ctx.db.write() as db:
        maple.account_id = home.id or 0
        db.merge(maple)
    with pytest.raises(Conflict, match="gone elsewhere"):
        balancer.undo(ctx, row.id or 0)


def test_decisions_come_with_what_waits_first(ctx: Context, harbour: Harbour) -> None:
    first = advice(ctx, harbour)
    harbour.agent("otter", harbour.login("Full", 99))
    harbour.task()
    balancer.set_mode(ctx, "auto_new")
    dispatch(ctx)
    with ctx.db.read() as db:
        rows = balancer.decisions(db)
    assert rows[0].id == first.id
    assert len(rows) > 1
