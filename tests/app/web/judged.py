"""Work that was judged, and contests in every state: data for the record's and contests' pages."""

from datetime import timedelta

from app.models import Agent, Contest, MergeRequest, Outcome, Repository
from app.models.base import utc_now
from app.services import diffs
from app.services.context import Context
from tests.app import factories as make

# model: {label: (at once, after changes, rejected, not picked, reverted)}
ENDINGS = {
    "claude-opus-5-5": {
        "resolver": (11, 2, 1, 0, 0),
        "tests": (22, 2, 0, 1, 0),
        "docs": (9, 1, 0, 0, 0),
        "css": (1, 5, 4, 1, 1),
        "": (6, 3, 1, 0, 0),
    },
    "gpt-6-codex": {
        "resolver": (4, 5, 3, 1, 1),
        "tests": (8, 3, 2, 0, 0),
        "css": (12, 1, 0, 0, 0),
        "build": (2, 0, 0, 0, 0),
    },
    "qwen-4-coder": {"docs": (3, 1, 0, 0, 0), "tests": (1, 4, 7, 2, 0), "build": (0, 0, 0, 1, 0)},
}
NAMES = ("at_once", "after_changes", "rejected", "not_picked")
STATES = {"rejected": "rejected", "not_picked": "archived"}


def judge(
    ctx: Context,
    repo: Repository,
    agent: Agent,
    model: str,
    outcome: str = "at_once",
    **more: object,
) -> Outcome:
    """One merge request that ended, with its line of the record."""
    work = make.task(ctx, repo, "Judged work", state="done", label=str(more.get("label", "")))
    author = make.session(ctx, agent, work, state="ended", model=agent.model)
    state = STATES.get(outcome, "merged")
    request = make.merge_request(ctx, author, work, state=state, decided_at=utc_now())
    given = {
        "merge_request_id": request.id,
        "repository_id": repo.id,
        "agent_id": agent.id,
        "driver": agent.driver,
        "model": model,
        "outcome": outcome,
        "cost_usd": 0.8,
        "decided_at": request.decided_at,
    }
    return make.save(ctx, Outcome(**given | more))


def fill(ctx: Context) -> None:
    """The record of three models; a contest to pick from, one decided, one given up."""
    repo = make.repository(ctx, "beacon")
    login = make.account(ctx, "judged")
    for name, (model, labels) in zip(("tern", "plover", "oak"), ENDINGS.items(), strict=True):
        agent = make.agent(ctx, name, login, model=model)
        for label, (*counts, reverted) in labels.items():
            for outcome, count in zip(NAMES, counts, strict=True):
                for number in range(count):
                    is_back = outcome == "at_once" and number < reverted
                    where = {"label": label, "language": "python", "area": label or "src"}
                    judge(ctx, repo, agent, model, outcome, is_reverted=is_back, **where)
    _contests(ctx, repo, login.id or 0)


def contest(ctx: Context, repo: Repository, title: str, **more: object) -> Contest:
    given = {"repository_id": repo.id, "title": title, "prompt": f"{title}, with tests."}
    return make.save(ctx, Contest(**given | more))


def contender(
    ctx: Context, of: Contest, repo: Repository, agent: Agent, care: str = "", **more: object
) -> MergeRequest | None:
    """A task of the contest; with `care` it has offered its work already."""
    begun = utc_now() - timedelta(minutes=14)
    state = str(more.pop("task_state", "review" if care else "running"))
    work = make.task(
        ctx, repo, of.title, state=state, contest_id=of.id, agent_id=agent.id, started_at=begun
    )
    author = make.session(ctx, agent, work, model=agent.model, last_line="$ pytest -q  41 passed")
    make.usage(ctx, author, [int(str(more.pop("rate", 300)))] * 12)
    if not care:
        return None
    files = {"src/resolve.py": 44, "tests/test_resolve.py": 31} | dict(more.pop("also", {}))  # type: ignore[call-overload]
    listed = [make.file_diff(path, ["old"], ["new"] * count) for path, count in files.items()]
    request = make.merge_request(
        ctx,
        author,
        work,
        care=care,
        summary="The resolver walks the graph once; the recursion limit is gone.",
        additions=sum(files.values()),
        deletions=len(files),
        files=len(files),
        created_at=begun + timedelta(minutes=int(str(more.pop("minutes", 9)))),
        **more,
    )
    stored = make.stored_diff(*listed, head_sha=request.head_sha)
    diffs.store(diffs.request_path(ctx, request.id or 0, request.head_sha), stored)
    make.check(ctx, request)
    return request


def _contests(ctx: Context, repo: Repository, account_id: int) -> None:
    models = {"osprey": "claude-opus-5-5", "merlin": "gpt-5", "kite": "claude-sonnet-4-5"}
    seats = [
        make.save(ctx, Agent(name=name, driver="claude_code", account_id=account_id, model=model))
        for name, model in models.items()
    ]
    first = contest(ctx, repo, "Speed up lockfile resolution")
    risks = [{"kind": "schema", "points": 30, "says": "the schema changes", "paths": []}]
    contender(ctx, first, repo, seats[0], "glance", rate=410)
    contender(
        ctx, first, repo, seats[1], "study", rate=900, risks=risks, round=2, also={"db/0007.py": 80}
    )
    contender(ctx, first, repo, seats[2])
    over = contest(ctx, repo, "Port the tutorial", state="decided", decided_at=utc_now())
    picked = contender(ctx, over, repo, seats[0], "glance", state="merged", task_state="done")
    contender(ctx, over, repo, seats[2], "read", state="archived", task_state="cancelled")
    assert picked is not None
    with ctx.db.write() as db:
        row = db.get_one(Contest, over.id)
        row.winner_id, row.reason = picked.id, f"#{picked.id} was picked."
        db.add(row)
    left = contest(
        ctx, repo, "Try another parser", state="cancelled", reason="Given up by the human."
    )
    for seat in seats[:2]:
        contender(ctx, left, repo, seat, task_state="cancelled")
