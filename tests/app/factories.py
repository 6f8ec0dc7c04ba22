"""Small functions that make rows and journals, so that a test says only what it is about."""

import hashlib
import itertools
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import delete, insert
from sqlmodel import SQLModel, col

from agents import events as ev
from agents.events import Record
from app.git.diffs import FileDiff
from app.git.gate import Commit
from app.git.patches import Hunk, Line
from app.models import (
    Account,
    Agent,
    Check,
    Comment,
    JournalIndex,
    MergeRequest,
    Permission,
    QuotaReading,
    Radar,
    Repository,
    Session,
    Task,
    UsageMinute,
)
from app.models.base import utc_now
from app.services import diffs
from app.services.context import Context
from app.services.fold import INDEX_EVERY
from app.settings import Settings
from app.store.database import Database
from app.store.migrate import upgrade

_numbers = itertools.count(1)
SHA = "0123456789abcdef0123456789abcdef01234567"


def settings(home: Path, **more: Any) -> Settings:
    """Settings of a test's own home, reachable by the name that test clients use."""
    return Settings(home=home, **{"allowed_hosts": ["testserver"], **more})


def context(home: Path, **more: Any) -> Context:
    """A context on a fresh SQLite file with all tables; nothing listens to what it publishes."""
    ours = settings(home, **more)
    ours.state.ensure()
    upgrade(ours.database)
    db = Database(ours.database)
    return Context(settings=ours, db=db, publish=lambda *_: None)


Row = TypeVar("Row", bound=SQLModel)


def save(ctx: Context, row: Row) -> Row:
    with ctx.db.write() as db:
        db.add(row)
    return row


def sha(seed: object = None) -> str:
    """Forty hex digits, another one each time unless seeded."""
    return hashlib.sha1(repr(seed or next(_numbers)).encode()).hexdigest()


def repository(ctx: Context, slug: str = "lighthouse", **more: Any) -> Repository:
    return save(
        ctx, Repository(**{"slug": slug, "path": f"/src/{slug}", "base_branch": "main"} | more)
    )


def account(
    ctx: Context, name: str = "Max 20x", driver: str = "claude_code", **more: Any
) -> Account:
    return save(ctx, Account(**{"name": name, "driver": driver} | more))


def quota(ctx: Context, login: Account, kind: str, used_percent: float, **more: Any) -> None:
    """The newest reading of one window, read just now unless said otherwise."""
    given = {"account_id": login.id, "kind": kind, "used_percent": used_percent, "source": "test"}
    save(ctx, QuotaReading(**given | more))


def agent(ctx: Context, name: str = "maple", login: Account | None = None, **more: Any) -> Agent:
    login = login or account(ctx, f"account of {name}")
    given = {"name": name, "driver": login.driver, "account_id": login.id}
    return save(ctx, Agent(**given | more))


def task(
    ctx: Context, repo: Repository, title: str = "Accept trailing commas", **more: Any
) -> Task:
    given = {
        "repository_id": repo.id,
        "title": title,
        "prompt": f"{title}, with tests.",
        "base_branch": repo.base_branch,
        "position": float(next(_numbers)),
    }
    return save(ctx, Task(**given | more))


def session(ctx: Context, worker: Agent, work: Task, **more: Any) -> Session:
    given = {
        "id": f"s-{next(_numbers):06d}",
        "agent_id": worker.id,
        "task_id": work.id,
        "account_id": worker.account_id,
        "driver": worker.driver,
        "branch": work.branch or f"qd/{worker.name}/{work.id}",
        "state": "running",
        "activity": "decoding",
        "is_sandboxed": True,
        "started_at": utc_now(),
    }
    return save(ctx, Session(**given | more))


def permission(ctx: Context, asker: Session, title: str = "make dist", **more: Any) -> Permission:
    given = {
        "session_id": asker.id,
        "request_id": f"r{next(_numbers)}",
        "tool": "execute",
        "name": "Bash",
        "title": title,
    }
    return save(ctx, Permission(**given | more))


def merge_request(ctx: Context, author: Session | None, work: Task, **more: Any) -> MergeRequest:
    given = {
        "repository_id": work.repository_id,
        "task_id": work.id,
        "agent_id": author.agent_id if author else None,
        "session_id": author.id if author else None,
        "title": work.title,
        "branch": author.branch if author else "qd/revert/1",
        "base_branch": work.base_branch,
        "head_sha": sha(),
        "base_sha": sha(),
    }
    return save(ctx, MergeRequest(**given | more))


def check(ctx: Context, request: MergeRequest, state: str = "passed", **more: Any) -> Check:
    given = {
        "repository_id": request.repository_id,
        "merge_request_id": request.id,
        "head_sha": request.head_sha,
        "base_sha": request.base_sha,
        "tree_sha": sha(),
        "command": "make test",
        "state": state,
        "is_sandboxed": True,
    }
    return save(ctx, Check(**given | more))


def overlap(ctx: Context, one: MergeRequest, other: MergeRequest, *paths: str) -> None:
    """The radar's look at two that conflict."""
    collision = {"one": str(one.id), "other": str(other.id), "kind": "text", "paths": list(paths)}
    with ctx.db.write() as db:
        key = (one.repository_id, one.base_branch)
        row = db.get(Radar, key) or Radar(repository_id=key[0], base_branch=key[1])
        row.collisions = [*row.collisions, {**collision, "symbols": []}]
        db.add(row)


def comment(ctx: Context, request: MergeRequest, body: str = "Why?", **more: Any) -> Comment:
    given = {"merge_request_id": request.id, "head_sha": request.head_sha, "body": body}
    return save(ctx, Comment(**given | more))


def usage(ctx: Context, worker: Session, per_minute: list[int]) -> None:
    """Output tokens of the last minutes, the present one last."""
    now = int(utc_now().timestamp()) // 60
    first = now - len(per_minute) + 1
    with ctx.db.write() as db:
        for offset, tokens in enumerate(per_minute):
            row = UsageMinute(
                session_id=worker.id,
                account_id=worker.account_id,
                model=worker.model or "m",
                minute=first + offset,
            )
            row.output_tokens = tokens
            db.add(row)


def records(*events: ev.Event, first: int = 1, at: datetime | None = None) -> list[Record]:
    """Numbered and dated, a second apart."""
    start = at or utc_now() - timedelta(minutes=12)
    return [
        Record(seq=first + n, at=start + timedelta(seconds=n), event=event)
        for n, event in enumerate(events)
    ]


def journal(ctx: Context, worker: Session, lines: list[Record]) -> Path:
    """Write a session's journal with its index, as the runner and the ingest leave them."""
    path = ctx.home.session(worker.id) / "journal.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    offset, index = 0, []
    with path.open("wb") as file:
        for record in lines:
            line = ev.encode(record)
            if (record.seq - 1) % INDEX_EVERY == 0:
                index.append({"session_id": worker.id, "seq": record.seq, "offset": offset})
            offset += file.write(line)
    with ctx.db.write() as db:
        worker.seq, worker.offset, worker.event_count = lines[-1].seq, offset, len(lines)
        db.merge(worker)
        known = col(JournalIndex.session_id) == worker.id
        db.connection().execute(delete(JournalIndex).where(known))
        db.connection().execute(insert(JournalIndex), index)
    return path


def file_diff(
    path: str, before: list[str], after: list[str], start: int = 1, **more: Any
) -> FileDiff:
    """A file whose lines `before` became `after`, with one line of surroundings."""
    lines = [Line(" ", start, start, "def parse(text: str) -> list[str]:")]
    lines += [Line("-", start + n + 1, None, text) for n, text in enumerate(before)]
    lines += [Line("+", None, start + n + 1, text) for n, text in enumerate(after)]
    given = {
        "path": path,
        "old_path": path,
        "status": "modified",
        "additions": len(after),
        "deletions": len(before),
        "old_mode": "100644",
        "new_mode": "100644",
        "hunks": (Hunk("class Parser", start, start, tuple(lines)),),
    }
    return FileDiff(**given | more)


def stored_diff(
    *files: FileDiff, head_sha: str = SHA, subjects: tuple[str, ...] = ()
) -> diffs.StoredDiff:
    commits = [
        Commit(sha(), "maple", "maple@example.org", utc_now(), subject, "") for subject in subjects
    ]
    return diffs.StoredDiff(
        base_sha=sha("base"),
        head_sha=head_sha,
        computed_at=utc_now(),
        commits=commits,
        files=list(files),
    )
