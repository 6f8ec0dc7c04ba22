"""Outcomes: how each agent's merge request ended, written down once, for the record.

Cost is what the sessions of its task used at list price, beginning after the task's last request
that had ended before and before this one did: no token is in two outcomes.
"""

from collections import Counter
from datetime import datetime
from itertools import pairwise

from sqlmodel import Session as Orm

from app.models import Agent, MergeRequest, Outcome, Task
from app.models.base import utc_now
from app.services.agents import model_of
from app.services.context import Context
from app.services.prices import equivalent
from app.store import decisions, outcomes, rounds, sessions, usage
from app.store.usage import Tokens

_AT_ONCE = 100  # of an old database there may be thousands: nobody else waits for them


class Recorder:
    """Settles after decisions only: whatever ends a request, or opens it again, is in the ledger
    by the same transaction."""

    def __init__(self) -> None:
        self._newest = -1  # decision up to which all is in the record; -1: look once at the start

    def look(self, ctx: Context) -> None:
        """One quick query where nothing was decided."""
        with ctx.db.read() as db:
            newest = decisions.newest_id(db)
        if newest != self._newest and settle(ctx) == 0:
            self._newest = newest


def settle(ctx: Context) -> int:
    """Bring the record nearer to the truth; returns how many rows changed, 0 once all is told."""
    with ctx.db.read() as db:
        due = [_outcome(db, request) for request in outcomes.unwritten(db, _AT_ONCE)]
        untrue = outcomes.untrue(db)
        turned = _reverted(outcomes.landed_reverts(db)) ^ outcomes.reverted(db)
        known = set(outcomes.of_requests(db, list(turned)))
    if not due and not untrue and not known:
        return 0
    with ctx.db.write() as db:
        for row in due:
            db.merge(row)
        outcomes.forget(db, untrue)
        for row in outcomes.of_requests(db, list(known)).values():
            row.is_reverted = not row.is_reverted
            db.add(row)
    ctx.publish("record")
    return len(due) + len(untrue) + len(known)


def tokens_of_task(
    db: Orm, task_id: int, after: datetime | None = None, until: datetime | None = None
) -> list[Tokens]:
    """What the task's sessions that began in that time used so far, by model."""
    totals: dict[str, Counter[str]] = {}
    for session in sessions.of_task(db, task_id):
        if (after and session.created_at <= after) or (until and session.created_at > until):
            continue
        for tokens in usage.of_session(db, session.id):
            sums = totals.setdefault(tokens.model, Counter())
            for name in ("output", "fresh_input", "cache_write", "cache_read"):
                sums[name] += getattr(tokens, name)
    return [Tokens(model, **sums) for model, sums in totals.items()]


def written_by(used: list[Tokens]) -> str:
    """The model that wrote most of it; "" where none did."""
    return max(used, key=lambda tokens: tokens.output).model if used else ""


def _outcome(db: Orm, request: MergeRequest) -> Outcome:
    agent = db.get_one(Agent, request.agent_id)
    session = sessions.get(db, request.session_id) if request.session_id else None
    task = db.get(Task, request.task_id) if request.task_id else None
    before = outcomes.ended_before(db, request)
    until = request.decided_at
    used = tokens_of_task(db, request.task_id, before, until) if request.task_id else []
    cost = equivalent(used)
    languages = {str(name): int(lines) for name, lines in request.languages.items()}
    return Outcome(
        merge_request_id=request.id or 0,
        repository_id=request.repository_id,
        agent_id=agent.id,
        driver=session.driver if session else agent.driver,
        model=written_by(used) or (session.model if session else "") or model_of(agent),
        label=task.label if task else "",
        language=max(languages, key=lambda name: languages[name]) if languages else "",
        area=request.areas[0] if request.areas else "",
        outcome=_ending(db, request),
        rounds=request.round,
        cost_usd=None if cost.is_partial or not used else cost.usd,
        output_tokens=sum(tokens.output for tokens in used),
        additions=request.additions,
        deletions=request.deletions,
        decided_at=request.decided_at or utc_now(),
    )


def _ending(db: Orm, request: MergeRequest) -> str:
    if request.state == "archived":
        return "not_picked"
    if request.state == "rejected":
        return "rejected"
    return "after_changes" if _was_mended(db, request) else "at_once"


def _was_mended(db: Orm, request: MergeRequest) -> bool:
    """Whether a later round came of anything but a conflict with a base that moved."""
    if request.round == 1:
        return False
    known = rounds.of_request(db, request.id or 0)
    calls = outcomes.calls(db, request)
    for before, after in pairwise(known):
        asked = [verb for verb, at in calls if before.created_at <= at < after.created_at]
        if asked[-1:] != ["send_back"]:
            return True
    return len(known) < request.round


def _reverted(reverts: list[tuple[int, int]]) -> set[int]:
    """What is taken back now: by a landed revert that was not taken back itself."""
    by: dict[int, list[int]] = {}
    for revert, of in reverts:
        by.setdefault(of, []).append(revert)

    def is_back(request_id: int) -> bool:
        return any(not is_back(revert) for revert in by.get(request_id, ()))

    return {request_id for request_id in by if is_back(request_id)}
