"""Runners' comings and goings: adopt what lives, bury what died, stop what should stop."""

import time
from datetime import timedelta

from sqlmodel import Session as Orm

from agents import launch, reaper
from app.errors import Unavailable
from app.models import Message, Session
from app.models.base import utc_now
from app.services.context import Context
from app.services.environment import is_sandboxed
from app.services.sessions import command
from app.store import moves, sessions, tasks

RETRY_SECONDS = 5.0  # between two tries to hand over one message
GIVE_UP_AFTER = timedelta(minutes=30)
_tried: dict[str, float] = {}  # message id to the time of its last failed try


def take_stock(ctx: Context) -> tuple[list[str], list[str]]:
    """On boot: (sessions whose runner lives, sessions whose runner is gone). Changes nothing."""
    with ctx.db.read() as db:
        live = sessions.live(db)
    alive = [s.id for s in live if launch.is_running(ctx.home.session(s.id))]
    return alive, [s.id for s in live if s.id not in alive]


def adopt(ctx: Context, session_id: str) -> None:
    """A runner from before the restart is ours again."""
    with ctx.db.write() as db:
        session = sessions.get(db, session_id)
        if session is not None and session.state == "starting":
            launched(session, is_sandboxed=is_sandboxed(ctx))
            db.add(session)


def launched(session: Session, *, is_sandboxed: bool) -> None:
    """A runner came up for it."""
    session.state, session.is_sandboxed = "running", is_sandboxed
    session.launches += 1
    session.started_at = session.started_at or utc_now()


def bury(ctx: Context, session_id: str) -> bool:
    """A runner is gone: sweep up its processes, settle the session's state; idempotent.

    False where it lives after all. Its journal must have been read to the end before.
    """
    directory = ctx.home.session(session_id)
    if launch.is_running(directory):
        return False
    reaper.kill_marked(session_id)
    with ctx.db.write() as db:
        session = sessions.get(db, session_id)
        if session is None or session.state not in sessions.LIVE_STATES:
            return True
        if _was_never_up(session):
            db.add(session)
            return True
        _settle(session, has_exited=(directory / "exit.json").exists())
        db.add(session)
        task = tasks.get(db, session.task_id)
        unasked = not session.wants_stop and not session.pending_outcome
        if task is not None and unasked and task.state == "running":
            task.state = "failed"
            task.state_reason = session.error_message or "The agent's program ended; resume it."
            db.add(task)
        session.wants_stop = False
    ctx.publish("fleet", "tasks", "inbox", f"session:{session_id}", "wake")
    return True


def stop_unwanted(ctx: Context) -> None:
    """Ask the runners of unwanted sessions to stop, and those that waited idle for too long."""
    with ctx.db.read() as db:
        live = sessions.live(db)
        is_enough = bool(_too_long(ctx, db, live))
    if is_enough:
        with ctx.db.write() as db:
            live = sessions.live(db)
            for session in _too_long(ctx, db, live):
                session.wants_stop = True
                db.add(session)
    unwanted = [s.id for s in live if s.wants_stop and s.state == "running"]
    for session_id in unwanted:
        try:
            command(ctx, session_id, "stop")
        except Unavailable:
            continue  # it is ending already, or gone: its burial settles it


def _too_long(ctx: Context, db: Orm, live: list[Session]) -> list[Session]:
    """Runners that wait and are not asked to stop yet: idle for long, or more than there is room.

    Of those that only wait for a verdict the oldest go first.
    """
    limit = utc_now() - timedelta(seconds=ctx.settings.idle_stop_seconds)
    running = [s for s in live if s.state == "running"]
    idle = [
        s
        for s in running
        if s.activity in ("idle", "error") and s.activity_at < limit and not s.pending_outcome
    ]
    at_work = {session.id for session in sessions.occupying(db)}
    waiting = sorted((s for s in running if s.id not in at_work), key=lambda s: s.activity_at)
    over = max(0, len(live) - ctx.settings.max_sessions)
    return [s for s in [*idle, *waiting[:over]] if not s.wants_stop]


def deliver_messages(ctx: Context) -> None:
    """Hand queued messages to live runners, each once, in order."""
    with ctx.db.read() as db:
        waiting = sessions.queued_messages(db)
        leaving = {move.agent_id for move in moves.pending(db) if move.until_at is not None}
        running = {
            s.id
            for s in sessions.live(db)
            if s.state == "running" and not s.wants_stop and s.agent_id not in leaving
        }
    stuck: set[str] = set()
    for message in waiting:
        if message.session_id not in running or message.session_id in stuck:
            continue
        if not _deliver(ctx, message):
            stuck.add(message.session_id)


def _deliver(ctx: Context, message: Message) -> bool:
    fields = {"message_id": message.id, "text": message.text, "origin": message.origin}
    if time.monotonic() - _tried.get(message.id, -RETRY_SECONDS) < RETRY_SECONDS:
        return False
    try:
        command(ctx, message.session_id, "say", **fields)
    except Unavailable as error:
        _tried[message.id] = time.monotonic()
        return _give_up(ctx, message, str(error))
    _tried.pop(message.id, None)
    with ctx.db.write() as db:
        row = db.merge(message)
        row.state, row.delivered_at = "delivered", utc_now()
        db.add(row)
        session = sessions.get(db, message.session_id)
        task = tasks.get(db, session.task_id) if session else None
        if task is not None and task.state in ("review", "failed"):
            task.state, task.state_reason = "running", ""
            db.add(task)
    ctx.publish(f"session:{message.session_id}", "tasks", "fleet")
    return True


def _give_up(ctx: Context, message: Message, why: str) -> bool:
    """Starting or gone: it stays queued, but not for ever. True where it is given up."""
    if utc_now() - message.created_at < GIVE_UP_AFTER:
        return False
    with ctx.db.write() as db:
        row = db.merge(message)
        row.state, row.error = "failed", why
        db.add(row)
    _tried.pop(message.id, None)
    ctx.publish(f"session:{message.session_id}", "inbox")
    return True


def _was_never_up(session: Session) -> bool:
    """We died while we launched it: launched again, where it is still wanted."""
    unwanted = session.wants_stop or session.ends or session.pending_outcome
    if session.state != "starting" or unwanted:
        return False
    session.state, session.wants_start = "stopped" if session.seq else "new", True
    return True


def _settle(session: Session, *, has_exited: bool) -> None:
    """The state that the journal's last words give."""
    if session.ends:
        session.state, session.ended_at = "ended", utc_now()
    elif (has_exited and session.error != "crashed") or session.wants_stop:
        session.state = "stopped"
    else:
        session.state = "crashed"
        session.error = session.error or "crashed"
        session.error_message = session.error_message or "The agent's runner died."
        session.activity, session.activity_at = "error", utc_now()
