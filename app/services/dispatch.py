"""Who does what next: waiting tasks meet free agents, on the accounts that take them.

Nothing is launched here. A session that should run is marked `wants_start`; the supervisor
launches them one after the other. Where nothing can start nothing is written.
"""

import uuid
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Agent, Session, Task
from app.models.base import utc_now
from app.services import balancer, preferring, quotas
from app.services.balance.filler import fillable
from app.services.context import Context
from app.services.ledger import record
from app.services.placing import Advice, Board, Placement, Told
from app.services.scales import weigh_accounts
from app.store import agents, balancing, sessions, tasks

_SPOKEN_TO = ("review", "failed", "running", "draft")


def dispatch(ctx: Context) -> list[str]:
    """Mark the sessions that should start now; returns their ids."""
    _requeue_spoken_to(ctx)
    with ctx.db.read() as db:
        board = plan(db, utc_now(), ctx.settings.max_sessions)
    if not board or not (board.placements or board.advice):
        return []
    started = []
    with ctx.db.write() as db:  # what was read may be over: look again, nobody else writes now
        board = plan(db, utc_now(), ctx.settings.max_sessions)
        if board is None:
            return []
        for placement in board.placements:
            if tasks.claim(db, placement.task_id, placement.agent_id):
                started.append(_start(db, placement, board))
        for advice in board.advice:
            _advise(db, advice, board)
    ctx.publish("tasks", "fleet", "accounts")
    return started


def plan(db: Orm, now: datetime, max_sessions: int) -> Board | None:
    """What would start now, and what is advised; None where nothing waits or nobody is free."""
    waiting = tasks.waiting(db)
    if not waiting:
        return None
    room = max_sessions - len(sessions.occupying(db))
    free = agents.free(db) if room > 0 else []
    over = quotas.over(db, now) if free else {}
    free = [agent for agent in free if agent.id not in over]
    if not free:
        return None
    done = tasks.states(db, {other for task in waiting for other in task.after})
    ready = [task for task in waiting if _is_ready(task, done)]
    mode = balancer.mode(db)
    scales = weigh_accounts(db, now)
    others = sum(not task.is_deferrable for task in ready)
    board = Board(
        scales=scales,
        mode=mode,
        free={agent.id or 0: agent for agent in free},
        begun=tasks.begun(db),
        moved_in=_moved_in(db, free),
        fillable=fillable(list(scales.views.values()), others, now),
        told=_told(db, now) if mode == "advise" else Told(),
        record=preferring.known(db),
    )
    board.fill(ready, room)
    return board


def _is_ready(task: tasks.Waiting, states: dict[int, str]) -> bool:
    return all(states.get(other, "done") == "done" for other in task.after)


def _moved_in(db: Orm, free: list[Agent]) -> frozenset[int]:
    """Those that the balancer, not the human, put on their account."""
    seats = balancing.last_seats(db)
    return frozenset(
        agent.id or 0
        for agent in free
        if (seat := seats.get(agent.id or 0)) is not None
        and seat.mode != "human"
        and seat.to_account_id == agent.account_id
        and seat.from_account_id != seat.to_account_id
    )


def _told(db: Orm, now: datetime) -> Told:
    """What was advised already and is not over, and what the human said no to of late."""
    waiting, refused = balancing.advised(db), balancer.refused(db, now)
    rows = [*waiting, *refused]
    return Told(
        tasks=frozenset(row.task_id for row in rows if row.task_id is not None),
        agents=frozenset(row.agent_id for row in waiting if row.agent_id is not None),
        ways=frozenset(
            (row.from_account_id, row.to_account_id) for row in rows if row.action == "start"
        ),
    )


def _start(db: Orm, placement: Placement, board: Board) -> str:
    task, agent = db.get_one(Task, placement.task_id), db.get_one(Agent, placement.agent_id)
    before = agent.account_id
    begun = sessions.resumable(db, placement.task_id)
    is_new = begun is None or begun.agent_id != agent.id
    if placement.by_record:
        task.state_reason = placement.by_record
        detail = {"agent": agent.name, "because": placement.by_record}
        record(db, "prefer", f"task {task.id}", actor="system", detail=detail)
    if is_new and agent.account_id != placement.account_id:
        agent.account_id = placement.account_id
        db.add(agent)
    session = _session_for(db, task, agent, None if is_new else begun, placement.account_id)
    if is_new and (placement.decision is not None or before != placement.account_id):
        balancer.note(
            db,
            board.scales,
            mode=board.mode if placement.decision else "human",
            action="start",
            decision=placement.decision,
            task_id=placement.task_id,
            agent_id=placement.agent_id,
            session_id=session.id,
            from_account_id=before,
            to_account_id=placement.account_id,
        )
    return session.id


def _advise(db: Orm, advice: Advice, board: Board) -> None:
    home = board.scales.views.get(advice.from_account_id)
    until = home.limited_until if home else None
    balancer.note(
        db,
        board.scales,
        mode=board.mode,
        action="start",
        state="advised",
        decision=advice.decision,
        task_id=advice.task_id,
        agent_id=advice.agent_id,
        from_account_id=advice.from_account_id,
        to_account_id=advice.to_account_id,
        saves_hours=(until - board.now) / timedelta(hours=1) if until else None,
        until_at=until,
    )


def _session_for(
    db: Orm, task: Task, agent: Agent, begun: Session | None, account_id: int
) -> Session:
    """The task's resumable session with this agent, or a new one; marked to start."""
    session = begun or Session(
        id=f"s-{uuid.uuid4().hex[:12]}",
        agent_id=agent.id or 0,
        task_id=task.id or 0,
        account_id=account_id,
        driver=agent.driver,
        model=agent.model,
    )
    session.account_id = account_id
    session.wants_start, session.wants_stop = True, False
    db.add(session)
    for rival in sessions.rivals(db, session):  # one worktree, one session at a time
        rival.wants_stop = True
        db.add(rival)
    task.started_at = task.started_at or utc_now()
    db.add(task)
    return session


def _requeue_spoken_to(ctx: Context) -> None:
    """A message to a session without a runner puts its task back into the queue."""
    with ctx.db.read() as db:
        if not tasks.spoken_to(db, _SPOKEN_TO):
            return
    with ctx.db.write() as db:
        for task in tasks.spoken_to(db, _SPOKEN_TO):
            task.state, task.state_reason = "queued", ""
            db.add(task)
    ctx.publish("tasks", "fleet")
