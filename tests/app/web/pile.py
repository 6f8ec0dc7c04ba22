# ruff: noqa: E501 (what agents say is long and well set)
"""A pile of merge requests of mixed care, with what collides and what the queue does.

`fill` puts it into the gallery's house; `offer` makes a single one, for tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.git.diffs import FileDiff
from app.models import Batch, Check, Landing, MergeRequest, Radar, Repository
from app.models.base import utc_now
from app.services import diffs
from app.services.context import Context
from app.store import agents, merge_requests, repositories, sessions
from tests.app import factories as make

BASE = make.sha("the base")
SCHEMA = {
    "kind": "schema",
    "points": 30,
    "says": "the schema changes: alembic/0007",
    "paths": ["alembic/versions/0007_locks.py"],
}
PUBLIC = {
    "kind": "public_interface",
    "points": 20,
    "says": "resolve() lost its parameter depth",
    "paths": ["src/resolve/graph.py"],
}
ADDED = {
    "kind": "dependency_added",
    "points": 15,
    "says": "typer 0.21 comes in",
    "paths": ["pyproject.toml"],
}
REMOVED = {
    "kind": "tests_removed",
    "points": 25,
    "says": "14 tests are gone",
    "paths": ["tests/test_settings.py"],
}
SECRET = {
    "kind": "secret",
    "points": 50,
    "says": "what looks like an AWS key in line 12",
    "paths": ["deploy/env.sample"],
}


@dataclass(frozen=True)
class Offer:
    """One line of the pile; `sizes` are (kind, files, additions, deletions)."""

    agent: str
    title: str
    care: str
    sizes: Sequence[tuple[str, int, int, int]]
    check: str = "passed"
    intent: str = ""
    risks: Sequence[dict[str, Any]] = ()
    rule: str = ""
    minutes: int = 10
    tokens: int = 20_000
    state: str = "open"
    conflicts: Sequence[str] = ()
    round: int = 1
    more: dict[str, Any] = field(default_factory=dict)


PILE = (
    Offer("ash", "Parser: say which bracket was not closed", "read", [("code", 2, 18, 4), ("tests", 1, 31, 0)], intent="The error names the line where the list began.", minutes=12, tokens=14_000),
    Offer("rowan", "Fix flaky watch test", "glance", [("tests", 1, 6, 2)], intent="close() joins the poller before it frees the handle.", minutes=6, tokens=7_200),
    Offer("larch", "Docs: tutorial, part 1", "glance", [("docs", 6, 120, 44)], intent="Installation and the first list, with every command run.", minutes=120, tokens=26_000),
    Offer("elm", "Lab: weight decay on value embeddings", "glance", [("code", 1, 3, 1)], intent="val_bpb 0.9731 after 300 steps, 0.0021 better than the incumbent.", minutes=64, tokens=19_000),
    Offer("hazel", "Migrate settings to pydantic v3", "study", [("code", 9, 88, 96), ("tests", 2, 4, 210)], check="failed", intent="Settings are read by one model; the two old loaders are gone.", risks=[REMOVED, PUBLIC], rule="settings", minutes=48, tokens=71_000),
    Offer("aspen", "Lock table for concurrent resolvers", "study", [("code", 4, 212, 8), ("tests", 2, 96, 0)], intent="Two resolvers no longer write one lock file at once.", risks=[SCHEMA], rule="database schema", minutes=31, tokens=98_000, round=2),
    Offer("yarrow", "Cache the parsed configuration", "read", [("code", 3, 44, 12), ("tests", 1, 28, 0)], check="running", intent="One stat instead of one parse for each call.", minutes=9, tokens=11_000),
    Offer("willow", "Bump ruff and its rules", "read", [("code", 21, 64, 71), ("locks", 1, 1204, 988)], intent="Three new rules are on; what they found is mended.", risks=[ADDED], minutes=22, tokens=33_000),
    Offer("sorrel", "Example environment for the box", "study", [("code", 1, 22, 0)], intent="A sample of the environment that the deployment wants.", risks=[SECRET], rule="secrets", minutes=15, tokens=5_000),
    Offer("alder", "Typos in docstrings", "glance", [("docs", 11, 34, 34)], minutes=3, tokens=2_100),
    Offer("maple-2", "Say which file was not found", "glance", [("code", 1, 9, 3), ("tests", 1, 14, 0)], state="approved", minutes=80, tokens=9_000),
    Offer("juniper", "Release notes for 0.9", "glance", [("docs", 1, 58, 0)], state="approved", minutes=95, tokens=4_000),
    Offer("spruce", "Windows paths in the glob matcher", "read", [("code", 2, 71, 20), ("tests", 1, 88, 4)], state="approved", minutes=110, tokens=41_000),
    Offer("poplar", "Stream the lock file", "read", [("code", 3, 120, 60)], state="conflicted", conflicts=["src/resolve/lock.py"], minutes=130, tokens=52_000),
)  # fmt: skip


COLLISIONS = (
    ("otter", "aspen", "text", ("src/resolve/graph.py", "src/resolve/lock.py"), ""),
    ("raven", "rowan", "text", ("cli/watch.py",), ""),
    ("poplar", "base", "text", ("src/resolve/lock.py",), ""),
    ("hazel", "heron", "text", ("app/settings.py",), ""),
    ("otter", "ash", "symbol", ("src/resolve/graph.py", "src/parse/list.py"), "otter changes resolve(), ash adds a call of it in src/parse/list.py"),
    ("ash", "maple", "text", ("src/parse/list.py",), ""),
    ("hazel", "yarrow", "symbol", ("app/settings.py", "app/config.py"), "hazel removes load(), yarrow edits a line that calls it in app/config.py"),
)  # fmt: skip


def fill(ctx: Context) -> None:
    """The pile, a radar with two agents still at work, a train on its way, what landed."""
    now = utc_now()
    with ctx.db.read() as db:
        repo = repositories.every(db)[0]
    made = {each.agent: offer(ctx, repo, each, now) for each in PILE}
    scan(ctx, repo, COLLISIONS, live=("maple", "birch"))
    _queue(ctx, repo, made, now)


def offer(ctx: Context, repo: Repository, given: Offer, now: datetime) -> MergeRequest:
    """A merge request as the supervisor leaves it: assessed, checked, its diff stored."""
    account = make.account(ctx, f"account of {given.agent}")
    worker = make.agent(ctx, given.agent, account)
    began = now - timedelta(minutes=given.minutes)
    work = make.task(ctx, repo, given.title, state="review", agent_id=worker.id, started_at=began)
    seated = make.session(
        ctx, worker, work, activity="idle", created_at=began, output_tokens=given.tokens,
        model="claude-opus-4-5", last_line=given.intent,
    )  # fmt: skip
    make.usage(ctx, seated, [given.tokens // 10] * 10)
    request = make.merge_request(
        ctx,
        seated,
        work,
        **{
            "base_sha": BASE,
            "merge_base_sha": BASE,
            "tree_sha": make.sha(),
            "care": given.care,
            "care_reasons": _care_reasons(given),
            "intent": given.intent or given.title,
            "sizes": {
                k: {"files": f, "additions": a, "deletions": d} for k, f, a, d in given.sizes
            },
            "risks": list(given.risks),
            "additions": sum(size[2] for size in given.sizes),
            "deletions": sum(size[3] for size in given.sizes),
            "files": sum(size[1] for size in given.sizes),
            "state": given.state,
            "conflicts": [{"path": path, "kind": "content"} for path in given.conflicts],
            "round": given.round,
            "created_at": began,
            "updated_at": began,
            **given.more,
        },
    )
    if given.state == "approved":
        with ctx.db.write() as db:
            request.approved_sha, request.decided_at = request.head_sha, now
            db.merge(request)
    make.check(
        ctx, request, given.check, tree_sha=request.tree_sha,
        started_at=now - timedelta(seconds=95), ended_at=now - timedelta(seconds=34),
    )  # fmt: skip
    files = [file for size in given.sizes for file in _files(request, *size)]
    stored = make.stored_diff(*files, head_sha=request.head_sha, subjects=(given.title,))
    diffs.store(diffs.request_path(ctx, request.id or 0, request.head_sha), stored)
    return request


def _care_reasons(given: Offer) -> list[dict[str, Any]]:
    names = {"glance": "docs and tests", "read": "code", "study": given.rule or "protected"}
    return [{"level": given.care, "rule": names[given.care], "paths": _paths(*given.sizes[0][:2])}]


def _paths(kind: str, files: int) -> list[str]:
    place = {"code": "src/{}.py", "tests": "tests/test_{}.py", "docs": "docs/{}.md"}
    shape = place.get(kind, f"{kind}/{{}}.lock")
    return [shape.format(f"{kind}_{number}") for number in range(1, files + 1)]


def _files(request: MergeRequest, kind: str, files: int, added: int, gone: int) -> list[FileDiff]:
    """That many files; the lines are counted on the first."""
    return [
        make.file_diff(
            path,
            ["    return old"],
            ["    return new", f"    # of #{request.id}"],
            additions=added if at == 0 else 0,
            deletions=gone if at == 0 else 0,
            old_blob=f"100644:{make.sha((path, 'old'))}",
            new_blob=f"100644:{make.sha((path, request.id))}",
            is_generated=kind == "locks",
        )
        for at, path in enumerate(_paths(kind, files))
    ]


def scan(
    ctx: Context,
    repo: Repository,
    collisions: Sequence[tuple[str, str, str, Sequence[str], str]],
    live: Sequence[str] = (),
) -> None:
    """The radar's look: (one, other, kind, paths, what of a symbol) by agents' names, or "base"."""
    with ctx.db.read() as db:
        names = {agent.id: agent.name for agent in agents.every(db)}
        working = [
            one for one in sessions.latest_by_agent(db).values() if names[one.agent_id] in live
        ]
        requests = merge_requests.open_ones(db)
    members = [member("base", BASE, branch="main")]
    members += [
        member(str(row.id), row.head_sha, agent=names.get(row.agent_id, ""), title=row.title,
                branch=row.branch, merge_request_id=row.id, session_id=row.session_id)
        for row in requests
    ]  # fmt: skip
    members += [
        member(one.id, make.sha(), agent=names[one.agent_id], title=one.last_line,
                branch=one.branch, session_id=one.id)
        for one in working
    ]  # fmt: skip
    keys = {"base": "base", **{member["agent"]: member["key"] for member in members[1:]}}
    found = [
        {
            "one": keys[one],
            "other": keys[other],
            "kind": kind,
            "paths": list(paths),
            "symbols": [{"name": "", "path": paths[0], "other_path": paths[-1], "says": says}] if says else [],
        }
        for one, other, kind, paths, says in collisions
    ]  # fmt: skip
    row = Radar(
        repository_id=repo.id or 0,
        base_branch="main",
        members=members,
        collisions=found,
        uncovered={".rb": 12, ".vue": 4},
        took_ms=50.0,
    )
    with ctx.db.write() as db:
        db.merge(row)


def member(key: str, sha: str, **more: Any) -> dict[str, Any]:
    empty = {"agent": "", "title": "", "branch": "", "merge_request_id": None, "session_id": ""}
    return {"key": key, "sha": sha, **empty, **more}


def _queue(ctx: Context, repo: Repository, made: dict[str, MergeRequest], now: datetime) -> None:
    """A train of two whose check runs; one that waits; one that landed; one that was thrown out."""
    riders = [made["maple-2"], made["juniper"]]
    steps = [
        {"merge_request_id": row.id, "head_sha": row.head_sha, "commit_sha": make.sha(), "tree_sha": make.sha()}
        for row in riders
    ]  # fmt: skip
    train = make.save(
        ctx,
        Batch(
            repository_id=repo.id or 0,
            base_branch="main",
            base_sha=BASE,
            kind="train",
            members=[{"merge_request_id": row.id, "head_sha": row.head_sha} for row in riders],
            steps=steps,
            left=[{"merge_request_id": made["spruce"].id, "paths": ["src/glob.py"]}],
            head_sha=str(steps[-1]["commit_sha"]),
            tree_sha=str(steps[-1]["tree_sha"]),
            state="checking",
            created_at=now - timedelta(seconds=41),
        ),
    )
    make.save(
        ctx,
        Check(
            repository_id=repo.id or 0,
            batch_id=train.id,
            head_sha=train.head_sha,
            base_sha=BASE,
            tree_sha=train.tree_sha,
            command="make test",
            state="running",
            started_at=now - timedelta(seconds=38),
        ),
    )
    landed = offer(ctx, repo, Offer("hornbeam", "Read the lock once", "read", [("code", 1, 8, 21)], state="merged", minutes=200, more={"decided_at": now - timedelta(minutes=18)}), now)  # fmt: skip
    make.save(
        ctx,
        Landing(
            merge_request_id=landed.id or 0,
            base_branch="main",
            old_sha=make.sha(),
            new_sha=BASE,
            state="done",
            done_at=now - timedelta(minutes=14),
        ),
    )
