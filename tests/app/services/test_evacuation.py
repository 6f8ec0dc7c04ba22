"""Work under way on an account that is refused, or about to be: park, wait, move, or advise to."""

from datetime import timedelta

import pytest

from app.models import Account, Agent, Session, Task
from app.models.base import utc_now
from app.services import balancer, evacuation
from app.services.context import Context
from app.services.dispatch import dispatch
from app.services.turns import settle_turns
from app.store import agents, sessions
from tests.app.services.ports import Harbour


def limited(ctx: Context, harbour: Harbour, agent: Agent, hours: float, **more: object) -> Session:
    """The agent's turn has just ended at a limit, and was settled."""
    given = {
        "pending_outcome": "limited",
        "pending_resets_at": utc_now() + timedelta(hours=hours),
        "activity": "waiting_quota",
        "state": "stopped",
    } | more
    session = harbour.at_work(agent, **given)
    settle_turns(ctx)
    return session


def cold(hours: float = 3.0) -> dict[str, object]:
    return {"last_event_at": utc_now() - timedelta(hours=hours)}


def where(ctx: Context, name: str) -> str:
    with ctx.db.read() as db:
        agent = agents.by_name(db, name)
        assert agent is not None
        return db.get_one(Account, agent.account_id).name


def test_advice_after_a_limit_says_what_a_move_saves(ctx: Context, harbour: Harbour) -> None:
    home, other = harbour.login("Home", 60, 100), harbour.login("Other", 20, 10)
    session = limited(ctx, harbour, harbour.agent("maple", home), 4.0, **cold())
    (row,) = harbour.decisions()
    assert (row.action, row.state, row.to_account_id) == ("move", "advised", other.id)
    assert row.saves_hours == pytest.approx(4.0, abs=0.1)
    assert row.session_id == session.id
    assert where(ctx, "maple") == "Home"
    before = harbour.changes()
    for _ in range(3):
        evacuation.look(ctx)
    assert harbour.changes() == before


def test_in_auto_all_it_moves_where_that_pays(ctx: Context, harbour: Harbour) -> None:
    """Not by the loop that settles turns: asking the vendor's program takes its time."""
    harbour.mode("auto_all")
    home = harbour.login("Home", 60, 100, driver="scripted")
    other = harbour.login("Other", 20, 10, driver="scripted")
    session = limited(ctx, harbour, harbour.agent("maple", home), 4.0, **cold())
    assert harbour.decisions() == []
    assert evacuation.look(ctx) == 1
    (row,) = harbour.decisions()
    assert (row.action, row.state, row.to_account_id) == ("move", "applied", other.id)
    assert (where(ctx, "maple"), harbour.row(session.task_id).state) == ("Other", "queued")
    assert evacuation.look(ctx) == 0


def test_a_pinned_agent_only_parks(ctx: Context, harbour: Harbour) -> None:
    harbour.mode("auto_all")
    home = harbour.login("Home", 60, 100)
    harbour.login("Other", 20, 10)
    limited(ctx, harbour, harbour.agent("maple", home, is_movable=False), 4.0, **cold())
    assert [(row.action, row.state) for row in harbour.decisions()] == [("park", "applied")]


def test_a_task_has_one_advice_at_a_time(ctx: Context, harbour: Harbour) -> None:
    """What was advised as it began is over when it meets its limit."""
    home = harbour.login("Home", 90, 100)
    harbour.login("Other", 20, 10)
    harbour.agent("maple", home)
    task = harbour.task()
    dispatch(ctx)
    assert [row.state for row in harbour.decisions()] == ["advised"]
    with ctx.db.write() as db:
        (session,) = sessions.of_task(db, task)
        session.state, session.wants_start = "stopped", False
        session.pending_outcome, session.activity = "limited", "waiting_quota"
        session.pending_resets_at = utc_now() + timedelta(hours=4)
        db.add(session)
    settle_turns(ctx)
    states = [(row.action, row.state) for row in harbour.decisions()]
    assert states == [("start", "expired"), ("move", "advised")]


@pytest.mark.parametrize("mode", ["advise", "auto_new", "auto_all"])
def test_a_short_stall_is_waited_for_in_place(ctx: Context, harbour: Harbour, mode: str) -> None:
    harbour.mode(mode)
    harbour.login("Other", 20, 10)
    limited(ctx, harbour, harbour.agent("maple", harbour.login("Home", 60, 100)), 0.3)
    assert [(row.action, row.state) for row in harbour.decisions()] == [("hold", "applied")]


@pytest.mark.parametrize("mode", ["off", "advise", "auto_new", "auto_all"])
def test_all_dry_everything_parks_and_nothing_piles_up(
    ctx: Context, harbour: Harbour, mode: str
) -> None:
    harbour.mode(mode)
    until = utc_now() + timedelta(hours=4)
    homes = [harbour.login(f"Max {n}", 100, 100) for n in range(3)]
    for home in homes:
        harbour.limit(home, until)
    sessions = [
        limited(ctx, harbour, harbour.agent(f"a{n}", home), 4.0) for n, home in enumerate(homes)
    ]
    assert {harbour.row(session.task_id).state for session in sessions} == {"parked"}
    rows = [] if mode == "off" else [("park", "applied")] * 3
    assert [(row.action, row.state) for row in harbour.decisions()] == rows
    before = harbour.changes()
    for _ in range(5):
        assert evacuation.look(ctx) == 0
    assert (harbour.changes(), len(harbour.decisions())) == (before, len(rows))


def test_only_accounts_of_its_family_and_world_count(ctx: Context, harbour: Harbour) -> None:
    harbour.login("Codex", 5, driver="codex")
    harbour.login("Rehearsed", 5, is_rehearsal=True)
    limited(ctx, harbour, harbour.agent("maple", harbour.login("Home", 60, 100)), 4.0, **cold())
    assert [row.action for row in harbour.decisions()] == ["park"]


def test_a_throttle_that_runs_dry_is_left_by_half_of_its_sessions(
    ctx: Context, harbour: Harbour
) -> None:
    """One advice a session, the coldest first; it is over when the throttle returns."""
    home = harbour.login("Home", 40, 99)
    harbour.login("Other", 20, 0)
    sessions = [harbour.at_work(harbour.agent(f"a{n}", home), **cold(2.0 + n)) for n in range(4)]
    assert evacuation.look(ctx) == 2
    rows = harbour.decisions(state="advised", action="move")
    assert len(rows) == 2
    assert {row.session_id for row in rows} <= {session.id for session in sessions}
    assert rows[0].until_at is not None
    before = harbour.changes()
    balancer.expire(ctx)
    assert harbour.changes() == before
    assert balancer.expire(ctx, rows[0].until_at) == 2


def test_a_healthy_account_is_left_alone(ctx: Context, harbour: Harbour) -> None:
    home = harbour.login("Home", 90, 50)
    harbour.login("Other", 1, 0)
    harbour.at_work(harbour.agent("maple", home))
    assert evacuation.look(ctx) == 0
    assert harbour.decisions() == []


def test_an_agents_own_quota_is_no_reason_to_move(ctx: Context, harbour: Harbour) -> None:
    home = harbour.login("Home", 40, 20)
    harbour.login("Other", 1, 0)
    session = harbour.at_work(harbour.agent("maple", home), state="stopped")
    with ctx.db.write() as db:
        task = db.get_one(Task, session.task_id)
        task.state, task.parked_until = "parked", utc_now() + timedelta(hours=6)
        db.add(task)
    assert evacuation.look(ctx) == 0


def test_undone_moves_are_not_made_again(ctx: Context, harbour: Harbour) -> None:
    home = harbour.login("Home", 60, 100)
    harbour.login("Other", 20, 10)
    limited(ctx, harbour, harbour.agent("maple", home), 4.0, **cold())
    balancer.dismiss(ctx, harbour.decisions()[0].id or 0)
    assert evacuation.look(ctx) == 0
    assert [row.state for row in harbour.decisions()] == ["dismissed"]
