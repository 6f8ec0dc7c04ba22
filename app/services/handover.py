"""A session under another login: its conversation is carried along, or handed over.

Handing over ends the session and begins a new one for the same task and agent, in the same worktree
and on the same branch, which is told in a note what was done.
"""

import uuid

from sqlmodel import Session as Orm

from agents import journal
from agents.errors import AgentError
from agents.registry import driver as find_driver
from app.models import Account, Session
from app.models.base import utc_now
from app.services import diffs
from app.services.accounts import endpoint_of
from app.services.context import Context
from app.services.environment import agent_home
from app.services.handover_note import note
from app.services.ingest import journal_path
from app.services.scene import SessionScene
from app.store import accounts, sessions

__all__ = ["can_carry", "carry", "hand_over", "note"]


def can_carry(source: str, target: str) -> bool:
    """Whether a conversation may go on with the driver `target` that `source` began."""
    begun, goes_on = find_driver(source).capabilities, find_driver(target).capabilities
    is_kin = source == target or (begun.family != "" and begun.family == goes_on.family)
    return is_kin and goes_on.carries


def carry(ctx: Context, scene: SessionScene) -> bool:
    """Make the stopped conversation go on under the agent's login; False: hand it over.

    Done again after a crash, it does the same again.
    """
    session, agent, target = scene.session, scene.agent, scene.account
    if not session.conversation_id:
        return True  # nothing was said yet
    with ctx.db.read() as db:
        source = _home_of(db, session)
    if source.id == target.id and session.driver == agent.driver:
        return True
    if not can_carry(session.driver, agent.driver):
        return False
    try:
        return find_driver(agent.driver).carry(
            session.conversation_id,
            session.worktree,
            str(agent_home(ctx, agent)),
            endpoint_of(source),
            endpoint_of(target),
        )
    except (AgentError, OSError):
        return False


def hand_over(ctx: Context, scene: SessionScene) -> str:
    """End the session and begin the one that goes on with its work; returns its id.

    One transaction, so that a crash leaves either the old session or the new one.
    """
    session = scene.session
    text = note(ctx, scene)
    said = journal.messages_said(journal_path(ctx, session.id))
    with ctx.db.write() as db:
        old = db.get_one(Session, session.id)
        new = Session(
            id=f"s-{uuid.uuid4().hex[:12]}",
            agent_id=old.agent_id,
            task_id=old.task_id,
            account_id=scene.agent.account_id,
            driver=scene.agent.driver,
            model=scene.agent.model,
            worktree=old.worktree,
            branch=old.branch,
            base_sha=old.base_sha,
            handover=text,
            continues_id=old.id,
            wants_start=True,
        )
        old.state, old.ends, old.ended_at = "ended", True, utc_now()
        old.wants_start = old.wants_stop = False
        db.add_all([old, new])
        db.flush()
        _pass_on(db, old.id, new.id, said)
    if (stored := diffs.session_diff(ctx, session_id=session.id)) is not None:
        diffs.store(diffs.session_path(ctx, new.id), stored)  # till its tools did something
    ctx.publish("fleet", "tasks", f"session:{session.id}", "wake")
    return new.id


def _pass_on(db: Orm, old_id: str, new_id: str, said: set[str]) -> None:
    """What was not said yet is said in the new session; what was, is in the note."""
    for message in sessions.queued_messages(db, old_id):
        if message.id in said:
            message.state, message.delivered_at = "delivered", utc_now()
        else:
            message.session_id = new_id
        db.add(message)


def _home_of(db: Orm, session: Session) -> Account:
    """The account under which the conversation was held last."""
    paid = sessions.payers(db, session.id)
    account_id = paid[-1].account_id if paid else session.account_id
    account = accounts.get(db, account_id)
    if account is None:
        raise LookupError("a row that a foreign key names is missing")
    return account
