"""The decision ledger: one row for everything that a human or the system decided."""

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from sqlmodel import Session as Orm

from app.models import BalancerDecision, Decision
from app.services.context import Context
from app.store import decisions

_PAGE = 500  # rows in one query: an export holds no transaction for long
Line = dict[str, Any]
Row = TypeVar("Row", Decision, BalancerDecision)


def record(
    db: Orm,
    verb: str,
    subject: str,
    *,
    actor: str = "human",
    sha: str = "",
    tree_sha: str = "",
    evidence: dict[str, Any] | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Note a decision in the transaction that carries it out: on what and knowing what."""
    db.add(
        Decision(
            actor=actor,
            verb=verb,
            subject=subject,
            sha=sha,
            tree_sha=tree_sha,
            evidence=evidence or {},
            detail=detail or {},
        )
    )


def export(ctx: Context, since: datetime | None = None) -> Iterator[Line]:
    """Every decision since then, the balancer's too, oldest first."""
    ours = _paged(ctx, lambda db, after: decisions.page(db, since, after, _PAGE))
    balancer = _paged(ctx, lambda db, after: decisions.balancer_page(db, since, after, _PAGE))
    lines = (map(_line, ours), map(_balancer_line, balancer))
    return heapq.merge(*lines, key=lambda line: line["at"])


def _paged(ctx: Context, page: Callable[[Orm, int], list[Row]]) -> Iterator[Row]:
    after = 0
    while True:
        with ctx.db.read() as db:
            rows = page(db, after)
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1].id or 0


def _line(row: Decision) -> Line:
    told = row.model_dump(exclude={"created_at"})
    return {"kind": "decision", "at": row.created_at, **told}


def _balancer_line(row: BalancerDecision) -> Line:
    known = {"weighed", "costs_usd", "saves_hours"}
    who = {"agent_id", "session_id", "from_account_id", "to_account_id"}
    return {
        "kind": "balancer",
        "id": row.id,
        "at": row.at,
        "actor": "human" if row.mode == "human" else "system",
        "verb": row.action,
        "subject": f"task {row.task_id}",
        "sha": "",
        "tree_sha": "",
        "evidence": row.model_dump(include=known),
        "detail": row.model_dump(include=who | {"reason", "mode", "state"}),
    }
