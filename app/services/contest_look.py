"""Contests as they stand: who competes, how far each is, and what each made, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session as Orm

from app.models import Check, Contest, MergeRequest, Session, Task
from app.models.base import utc_now
from app.services import contests as services
from app.services import deciding, diffs, outcomes
from app.services.agents import model_of
from app.services.context import Context
from app.services.prices import Equivalent, equivalent
from app.store import agents, contests, repositories, sessions
from app.store import checks as check_store

_OUT = ("rejected", "withdrawn", "archived", "failed", "cancelled")
_PICKABLE = ("open", "approved")
_MOST_FILES = 40


@dataclass(frozen=True)
class Contender:
    """One of the competing tasks with its agent, and its merge request once it has one."""

    task: Task
    agent: str  # "" while nobody has it
    model: str
    session: Session | None
    request: MergeRequest | None
    check: Check | None
    cost: Equivalent
    output_tokens: int
    seconds: float | None  # at work until it was offered, or until now
    is_winner: bool
    can_pick: bool
    gate: deciding.Gate | None  # what its care still wants looked at; None where it can't be picked
    touched: dict[str, tuple[int, int]]  # added and deleted lines by path

    @property
    def state(self) -> str:
        """What it is at: of its request where it has one, else of its task."""
        return self.request.state if self.request is not None else self.task.state

    @property
    def is_out(self) -> bool:
        return self.state in _OUT


@dataclass(frozen=True)
class Side:
    """One contest, its contenders in the order they were named."""

    contest: Contest
    repository: str
    contenders: Sequence[Contender]
    files: list[str]  # that any of them touched, most touched first
    more_files: int

    @property
    def offered(self) -> int:
        return sum(each.request is not None for each in self.contenders)

    @property
    def is_over(self) -> bool:
        return self.contest.state != "open"

    @property
    def can_reopen(self) -> bool:
        winner = next((each.request for each in self.contenders if each.is_winner), None)
        return winner is not None and winner.state not in ("landing", "merged")

    def least(self, of: str) -> float | None:
        """The smallest `seconds`, `usd` or `output_tokens`; None where it tells nothing."""
        made = [each for each in self.contenders if each.request is not None]
        known = [value for each in made if (value := _value(each, of)) is not None]
        return min(known) if len(set(known)) > 1 else None


def one(ctx: Context, contest_id: int, *, with_files: bool = True) -> Side:
    """The contest as its page, the API and the CLI show it; NotFound."""
    with ctx.db.read() as db:
        contest = services.existing(db, contest_id)
        side = _side(ctx, db, contest, contests.contenders(db, [contest_id])[contest_id])
    if not with_files:
        return side
    contenders = [_with_files(ctx, each) for each in side.contenders]
    weight: dict[str, int] = {}
    for each in contenders:
        for path, (added, deleted) in each.touched.items():
            weight[path] = weight.get(path, 0) + added + deleted
    files = sorted(weight, key=lambda path: (-weight[path], path))
    return Side(
        contest,
        side.repository,
        contenders,
        sorted(files[:_MOST_FILES]),
        max(0, len(files) - _MOST_FILES),
    )


def listing(ctx: Context) -> list[Side]:
    """Open contests first, then the newest."""
    with ctx.db.read() as db:
        rows = contests.newest(db)
        tasks = contests.contenders(db, [row.id or 0 for row in rows])
        return [_side(ctx, db, row, tasks[row.id or 0]) for row in rows]


def _side(ctx: Context, db: Orm, contest: Contest, tasks: list[Task]) -> Side:
    requests = contests.requests(db, [task.id or 0 for task in tasks])
    checks = check_store.newest_of_each(db, [row.id or 0 for row in requests.values()])
    repository = repositories.get(db, contest.repository_id)
    contenders = [
        _contender(ctx, db, contest, task, requests.get(task.id or 0), checks) for task in tasks
    ]
    return Side(contest, repository.slug if repository else "", contenders, [], 0)


def _contender(
    ctx: Context,
    db: Orm,
    contest: Contest,
    task: Task,
    request: MergeRequest | None,
    checks: dict[int, Check],
) -> Contender:
    agent = agents.get(db, task.agent_id or task.wanted_agent_id or 0)
    mine = sessions.of_task(db, task.id or 0)
    used = outcomes.tokens_of_task(db, task.id or 0)
    is_open = contest.state == "open"
    can_pick = is_open and request is not None and _is_pickable(request)
    return Contender(
        task=task,
        agent=agent.name if agent else "",
        model=outcomes.written_by(used) or (model_of(agent) if agent else " or ".join(task.models)),
        session=mine[0] if mine else None,
        request=request,
        check=checks.get(request.id or 0) if request else None,
        cost=equivalent(used),
        output_tokens=sum(tokens.output for tokens in used),
        seconds=_seconds(task, request, utc_now()),
        is_winner=request is not None and request.id == contest.winner_id,
        can_pick=can_pick,
        gate=deciding.gate(ctx, db, request) if can_pick and request else None,
        touched={},
    )


def _value(contender: Contender, of: str) -> float | None:
    found = contender.cost.usd if of == "usd" else getattr(contender, of)
    return None if found is None else float(found)


def _is_pickable(request: MergeRequest) -> bool:
    return request.state in _PICKABLE and not request.conflicts


def _seconds(task: Task, request: MergeRequest | None, now: datetime) -> float | None:
    """From its start to its offer; where it is still at work to now, None where it never began."""
    if task.started_at is None:
        return None
    end = request.created_at if request is not None else task.ended_at or now
    return max(0.0, (end - task.started_at).total_seconds())


def _with_files(ctx: Context, contender: Contender) -> Contender:
    request = contender.request
    if request is None:
        return contender
    stored = diffs.changed_files(ctx, request.id or 0, request.head_sha)
    for file in stored.files if stored else ():
        contender.touched[file.path] = (file.additions, file.deletions)
    return contender
