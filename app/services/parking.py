"""Parking: a task whose quota is used up frees its slot, and resumes once when it returns.

After a reset an account's tasks come back one by one: the first is the probe, the others follow
five seconds apart, so that an account that is still refused stops one session only.
"""

import random
from datetime import datetime, timedelta

from sqlmodel import Session as Orm

from app.models import Session, Task
from app.models.base import utc_now
from app.services.context import Context
from app.services.fold import fruitless_turns
from app.services.quota import LONGEST_REFUSAL
from app.store import accounts, sessions, tasks

UNKNOWN_RESET = timedelta(minutes=15)  # a limit without a time: look again then
MARGIN = timedelta(seconds=2)  # clocks differ
STAGGER = timedelta(seconds=5)
SPREAD_SECONDS = (5.0, 60.0)  # after a reset, so that not all the world's clients come at once
BACK_OFF = timedelta(minutes=5)  # of a turn that the vendor's own retries could not save
LONGEST_BACK_OFF = timedelta(hours=1)
SOONEST = timedelta(seconds=30)  # of the second limit in a row, whatever reset it told


def grown(first: timedelta, times: int) -> timedelta:
    """A pause that doubles each time, up to an hour; `first` for the first time."""
    return min(first * (1 << min(max(times - 1, 0), 10)), LONGEST_BACK_OFF)


def returns_at(said: datetime | None, told_at: datetime, times: int = 1) -> datetime:
    """When to look again after a limit that was told then, for so many times in a row.

    A reset in its past says nothing; one that never comes is asked about ever more seldom.
    """
    if said is None or said <= told_at:
        return told_at + grown(UNKNOWN_RESET, times)
    soonest = told_at + (grown(SOONEST, times - 1) if times > 1 else timedelta(0))
    return max(min(said, told_at + LONGEST_REFUSAL) + MARGIN, soonest)


def spread(account_id: int, wait: timedelta) -> timedelta:
    """What an account waits beyond a reset: 5 to 60 s, always the same; of a short wait 1 %."""
    seconds = random.Random(account_id).uniform(*SPREAD_SECONDS)
    return min(timedelta(seconds=seconds), wait / 100)


def park_limited(db: Orm, session: Session, task: Task) -> datetime:
    """A limit is no failure: free the slot, come back once when the window does."""
    times, told_at = fruitless_turns(session), session.activity_at
    returns = returns_at(session.pending_resets_at, told_at, times)
    returns += spread(session.account_id, returns - told_at)
    account = accounts.get(db, session.account_id)
    if account is not None and (account.limited_until is None or account.limited_until < returns):
        account.limited_until = returns
        db.add(account)
    _take_back(db, session.account_id)
    name = account.name if account else "The account"
    reason = f"{name} has used up its window; it goes on by itself when it returns."
    park(db, session, task, returns, reason)
    return returns


def _take_back(db: Orm, account_id: int) -> None:
    """What was to begin on that account and did not yet goes back to the queue, for any other."""
    for session in sessions.wanting_start(db):
        is_unborn = session.state == "new" and not session.continues_id
        task = tasks.get(db, session.task_id)
        if session.account_id != account_id or not is_unborn or task is None:
            continue
        if task.state == "running" and not sessions.queued_messages(db, session.id):
            task.state, task.agent_id = "queued", None
            db.add(task)
            db.delete(session)


def back_off(db: Orm, session: Session, task: Task) -> None:
    """Too many requests, or the vendor is overloaded: the same work again there, ever later."""
    reason = f"{session.error_message or 'The vendor is busy.'} It is tried again by itself."
    pause = grown(BACK_OFF, fruitless_turns(session))
    park(db, session, task, utc_now() + pause, reason)


def park(db: Orm, session: Session | None, task: Task, until: datetime, reason: str) -> None:
    """Stop the runner and wait; a task that is with the human stays there."""
    if session is not None:
        session.wants_start = False
        session.wants_stop = session.state in ("starting", "running")
        db.add(session)
    if task.state in ("running", "queued"):
        task.state, task.parked_until, task.state_reason = "parked", until, reason
        db.add(task)


def unpark(ctx: Context) -> int:
    """Parked tasks whose quota has returned go back to the queue, one an account; how many."""
    now = utc_now()
    with ctx.db.read() as db:
        if not tasks.due(db, now):
            return 0
    with ctx.db.write() as db:
        released = _release(db, now)
    ctx.publish("tasks", "fleet")
    return released


def _release(db: Orm, now: datetime) -> int:
    """The first of each account is released; the others wait for it, a few seconds each."""
    released, behind = 0, dict[int | None, int]()
    for task, account_id in tasks.due(db, now):
        account = accounts.get(db, account_id) if account_id else None
        limited = account.limited_until if account else None
        place = behind.get(account_id, 0) if account_id else 0
        behind[account_id] = place + 1
        if limited is not None and limited > now:
            task.parked_until = limited + place * STAGGER
        elif place:
            task.parked_until = now + place * STAGGER
        else:
            task.state, task.state_reason, task.parked_until = "queued", "", None
            released += 1
        db.add(task)
    return released
