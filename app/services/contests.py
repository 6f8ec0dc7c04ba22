"""Best of N: one piece of work given to several agents or models; the human picks one of them.

Each contender is an ordinary task, with its own agent, worktree, branch and merge request. Picking
is approving one merge request and archiving the others: their branches stay in snapshot refs.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlmodel import Session as Orm

from app.errors import Conflict, Invalid, NotFound
from app.git.gate import request_ref
from app.models import Contest, MergeRequest, Repository, Task
from app.models.base import utc_now
from app.services import deciding, reviews, verdicts
from app.services.agents import existing as existing_agent
from app.services.agents import model_of
from app.services.context import Context
from app.services.ledger import record
from app.services.returns import end_session
from app.services.tasks import NO_TERMS, cancel_task, checked_words, put, repository_named
from app.services.terms import Terms
from app.store import agents as agent_store
from app.store import contests, merge_requests, sessions, tasks

MOST = 8
_APPROVED = ("approved", "landing", "merged")
_OVER = ("done", "cancelled")
_picking = threading.Lock()  # two browsers: the second finds it decided


def start(
    ctx: Context,
    *,
    repository: str | None = None,
    title: str = "",
    prompt: str = "",
    base_branch: str | None = None,
    agents: Sequence[str] = (),
    models: Sequence[str] = (),
    draft: bool = False,
    terms: Terms = NO_TERMS,
) -> Contest:
    """The same task for each of these agents, or for one agent of each of these models."""
    title, prompt = checked_words(title, prompt)
    with ctx.db.write() as db:
        repo = repository_named(db, repository)
        entries = _entries(db, agents, models, terms)
        contest = Contest(repository_id=repo.id or 0, title=title, prompt=prompt)
        db.add(contest)
        db.flush()
        for agent_id, own_terms in entries:
            put(db, _task(contest, repo, base_branch, agent_id, draft=draft), own_terms)
        names = {"agents": list(agents), "models": list(models)}
        record(db, "start", f"contest {contest.id}", detail=names)
    _announce(ctx, contest.id or 0)
    return contest


def pick(
    ctx: Context, *, contest_id: int, merge_request_id: int, head_sha: str, force: bool = False
) -> Contest:
    """Approve this one, under the gate of its care; the others are archived."""
    with _picking:
        with ctx.db.read() as db:
            contest = existing(db, contest_id)
            request = _entered(db, contest_id, merge_request_id)
        if contest.state != "open":
            raise Conflict(f"The contest is {contest.state} already: {contest.reason}")
        if request.state not in _APPROVED or request.head_sha != head_sha:
            reviews.approve(ctx, merge_request_id=merge_request_id, head_sha=head_sha, force=force)
        _decide(ctx, contest_id, merge_request_id, actor="human")
    with ctx.db.read() as db:
        return existing(db, contest_id)


def cancel(ctx: Context, *, contest_id: int) -> Contest:
    """Give the whole contest up: no work of it is taken; what was made is kept."""
    with ctx.db.write() as db:
        contest = existing(db, contest_id)
        if not contests.close(db, contest_id, "cancelled", "Given up by the human."):
            raise Conflict(f"The contest is {contest.state} already.")
        running = [t.id or 0 for t in _tasks(db, contest_id) if t.state not in _OVER]
        record(db, "cancel", f"contest {contest_id}")
    for task_id in running:
        cancel_task(ctx, task_id=task_id)
    _announce(ctx, contest_id)
    with ctx.db.read() as db:
        return existing(db, contest_id)


def reopen(ctx: Context, *, contest_id: int) -> Contest:
    """Take the pick back: the winner is open again, and so are the others that were archived."""
    with ctx.db.read() as db:
        contest = existing(db, contest_id)
        requests = _requests(db, contest_id)
    winner = next((row for row in requests if row.id == contest.winner_id), None)
    if contest.state != "decided" or winner is None:
        raise Conflict(f"The contest is {contest.state}; there is no pick to take back.")
    if winner.state in ("landing", "merged"):
        raise Conflict(f"#{winner.id} is {winner.state}; undo that instead, with a revert.")
    with _picking:
        if winner.state in ("approved", "rejected"):
            verdicts.undo_verdict(ctx, merge_request_id=winner.id or 0)
        with ctx.db.write() as db:
            contests.reopen(db, contest_id)
            for request in _requests(db, contest_id):
                if request.state == "archived":
                    request.state, request.state_reason, request.decided_at = "open", "", None
                    verdicts.readmit(db, request)
                    db.add(request)
            record(db, "undo", f"contest {contest_id}", detail={"picked": winner.id})
    _announce(ctx, contest_id)
    with ctx.db.read() as db:
        return existing(db, contest_id)


def settle(ctx: Context) -> None:
    """Close contests that were decided elsewhere: one landed, none is left, or we died in a pick.

    Idempotent: nothing is written where all is settled.
    """
    with ctx.db.read() as db:
        left = contests.unsettled(db, merge_requests.MOVABLE_STATES)
        found = [(existing(db, contest_id), _tasks(db, contest_id)) for contest_id in left]
        landed = {
            contest_id: [row.id for row in _requests(db, contest_id) if row.state == "merged"]
            for contest_id in left
        }
    for contest, mine in found:
        winner = contest.winner_id or next(iter(landed[contest.id or 0]), None)
        if winner is not None:
            _decide(ctx, contest.id or 0, winner, actor="system")
        elif contest.state == "open" and all(task.state in _OVER for task in mine):
            with ctx.db.write() as db:
                contests.close(db, contest.id or 0, "cancelled", "None of its work is left.")
            _announce(ctx, contest.id or 0)


def existing(db: Orm, contest_id: int) -> Contest:
    contest = contests.get(db, contest_id)
    if contest is None:
        raise NotFound(f"There is no contest {contest_id}; `quarterdeck contest list` shows them.")
    return contest


def _entries(
    db: Orm, agents: Sequence[str], models: Sequence[str], terms: Terms
) -> list[tuple[int | None, Terms]]:
    """(wanted agent, terms) of each contender; Invalid where they can't work side by side."""
    named = list(dict.fromkeys(agents or models))
    if bool(agents) == bool(models):
        raise Invalid("Name the agents of a contest, or its models: one of both.")
    if not 2 <= len(named) <= MOST:
        raise Invalid(f"A contest is of 2 to {MOST} different agents or models.")
    if terms.account is not None:
        raise Invalid("Leave the account open: each contender works on its own agent's.")
    if models:
        _check_models(db, named)
        return [(None, replace(terms, models=(model,))) for model in named]
    entries: list[tuple[int | None, Terms]] = []
    for name in named:
        agent = existing_agent(db, name)
        if not agent.is_enabled:
            raise Invalid(f"{name} is switched off; enable it, or leave it out.")
        entries.append((agent.id, replace(terms, models=())))
    return entries


def _check_models(db: Orm, models: Collection[str]) -> None:
    known = {model_of(agent) for agent in agent_store.every(db) if agent.is_enabled}
    if missing := [model for model in models if model not in known]:
        raise Invalid(f"No enabled agent has {', '.join(missing)}: its work would wait for ever.")


def _task(
    contest: Contest, repo: Repository, base: str | None, agent_id: int | None, *, draft: bool
) -> Task:
    return Task(
        repository_id=contest.repository_id,
        title=contest.title,
        prompt=contest.prompt,
        base_branch=base or repo.base_branch,
        contest_id=contest.id,
        wanted_agent_id=agent_id,
        state="draft" if draft else "queued",
    )


def _tasks(db: Orm, contest_id: int) -> list[Task]:
    return contests.contenders(db, [contest_id])[contest_id]


def _requests(db: Orm, contest_id: int) -> list[MergeRequest]:
    """The contenders' newest merge requests, oldest first."""
    task_ids = [task.id or 0 for task in _tasks(db, contest_id)]
    return list(contests.requests(db, task_ids).values())


def _entered(db: Orm, contest_id: int, merge_request_id: int) -> MergeRequest:
    for request in _requests(db, contest_id):
        if request.id == merge_request_id:
            return request
    raise NotFound(f"Merge request {merge_request_id} is not of contest {contest_id}.")


def _decide(ctx: Context, contest_id: int, winner_id: int, *, actor: str) -> None:
    """Name the winner, close the others; done again it closes what came in late."""
    reason = f"#{winner_id} was picked."
    with ctx.db.write() as db:
        others = [
            request
            for request in _requests(db, contest_id)
            if request.id != winner_id and request.state in merge_requests.MOVABLE_STATES
        ]
        if contests.close(db, contest_id, "decided", reason, winner_id):
            detail = {"picked": winner_id, "others": [request.id for request in others]}
            record(db, "pick", f"contest {contest_id}", actor=actor, detail=detail)
        stranded = [other for request in others for other in _archive(db, request, reason)]
        winner = merge_requests.get(db, winner_id)
        _close_others(db, contest_id, winner.task_id if winner else None, reason)
    reviews.announce(ctx, winner_id, *(request.id or 0 for request in others), *stranded)
    _announce(ctx, contest_id)


def _archive(db: Orm, request: MergeRequest, reason: str) -> list[int]:
    """Close a loser, its commits kept under a ref of ours; the ids of what was to land after it."""
    request.state, request.state_reason, request.decided_at = "archived", reason, utc_now()
    request.snapshot_ref = request_ref(request.id or 0, request.round)
    deciding.void_approval(request)
    db.add(request)
    record(
        db,
        "archive",
        f"merge request {request.id}",
        actor="system",
        sha=request.head_sha,
        tree_sha=request.tree_sha,
        detail={"reason": reason},
    )
    return deciding.strand(db, request)


def _close_others(db: Orm, contest_id: int, winning_task_id: int | None, reason: str) -> None:
    """The others' tasks and sessions end; what waited for one of them waits for the winner."""
    mine = _tasks(db, contest_id)
    losers = [t for t in mine if t.id != winning_task_id]
    for task in losers:
        if task.state in _OVER:
            continue
        task.state, task.state_reason, task.ended_at = (
            "cancelled",
            f"Not picked: {reason}",
            utc_now(),
        )
        db.add(task)
        for session in sessions.of_task(db, task.id or 0):
            end_session(session)
            db.add(session)
    closed = {task.id for task in losers}
    for task in tasks.backlog(db):
        if winning_task_id is not None and closed & set(task.after):
            others = [other for other in task.after if other not in closed]
            task.after = list(dict.fromkeys([*others, winning_task_id]))
            db.add(task)


def _announce(ctx: Context, contest_id: int) -> None:
    ctx.publish("tasks", "fleet", "reviews", "inbox", f"contest:{contest_id}", "wake")
