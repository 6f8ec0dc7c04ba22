"""A login that is lost in mid-work closes its account, whatever was probed in the meantime."""

from datetime import timedelta

from app.models.base import utc_now
from app.services import login_loss
from app.services.context import Context
from app.store import accounts, tasks
from tests.app import factories as make


def test_a_program_that_says_logged_in_meanwhile_does_not_hide_the_refusal(ctx: Context) -> None:
    """Its activity turned to error, then a probe ended, then the turn: seen under load in CI."""
    refused_at = utc_now() - timedelta(seconds=2)
    login = make.account(ctx, login="in", probed_at=refused_at + timedelta(seconds=1))
    work = make.task(ctx, make.repository(ctx), state="failed")
    make.session(
        ctx,
        make.agent(ctx, login=login),
        work,
        activity="error",
        error="auth",
        error_message="Not logged in",
        activity_at=refused_at,
    )
    assert login_loss.settle(ctx)
    with ctx.db.read() as db:
        task, account = tasks.get(db, work.id or 0), accounts.get(db, login.id or 0)
    assert task is not None
    assert account is not None
    assert (task.state, account.login) == ("parked", "out")
    assert "Not logged in" in task.state_reason
