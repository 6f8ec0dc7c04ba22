"""The decision ledger: one row for everything that a human or the system decided."""

from typing import Any

from sqlmodel import Session as Orm

from app.models import Decision


def record(
    db: Orm,
    verb: str,
    subject: str,
    *,
    actor: str = "human",
    sha: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Note a decision in the transaction that carries it out."""
    db.add(Decision(actor=actor, verb=verb, subject=subject, sha=sha, detail=detail or {}))
