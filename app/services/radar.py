"""The conflict radar: who collides with whom, computed while they still work.

One pass looks at every base and what is written against it, and stores what it finds as one row
that pages read. Agents are told at the human's click.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.errors import AppError, Conflict
from app.models import Message, Radar
from app.services import ledger
from app.services.context import Context
from app.services.radar_look import Look
from app.services.radar_members import BASE, fields
from app.services.sessions import existing, say
from app.store import radar, sessions, tasks

_SHOWN = 12  # paths or symbols of one warning that are named
_END = (
    "Nobody asks you to stop. Where your task allows it, keep your change out of these places or "
    "make it small there, and fit what others change. Your branch is merged after theirs or before."
)


@dataclass(frozen=True)
class Warned:
    """One other that this one collides with. Paths and symbols are hostile text."""

    other_key: str
    other_agent: str  # of the base: its branch
    kind: str  # text | symbol
    paths: list[str]
    says: str


def refresh(ctx: Context) -> None:
    """Look at every base; store and tell where something differs from the last look."""
    for field in fields(ctx):
        look = _look(field.clones.directory, field.base_branch)
        try:
            found = look.renew(field)
        except AppError as error:  # a repository or branch that is gone harms no other
            look.complain(field, str(error))
            continue
        if found is not None:
            with ctx.db.write() as db:
                db.merge(found)
            look.keep()
            ctx.publish("reviews", "fleet", "radar")


@cache
def _look(directory: Path, base_branch: str) -> Look:
    del directory, base_branch  # one for each
    return Look()


def warnings(row: Radar | None, key: str) -> list[Warned]:
    """With whom the member of that key collides; conflicts before hints, the base first."""
    members = {member["key"]: member for member in row.members} if row else {}
    found = []
    for each in radar.collisions_of(row, key):
        other = members.get(each["other"])
        if other is not None:
            who = other["branch"] if other["key"] == BASE else other["agent"] or other["title"]
            says = _says(each["kind"], who, each["paths"], [s["says"] for s in each["symbols"]])
            found.append(Warned(other["key"], who, each["kind"], each["paths"], says))
    return sorted(found, key=lambda w: (w.kind != "text", w.other_key != BASE))


def keys_of(row: Radar | None, session_id: str) -> list[str]:
    """The members that are this session's work: as offered, as it goes on, or both."""
    return [m["key"] for m in (row.members if row else []) if m["session_id"] == session_id]


def warnings_of_session(row: Radar | None, session_id: str) -> list[Warned]:
    """The warnings of a session, each once."""
    return list(
        {w.says: w for key in keys_of(row, session_id) for w in warnings(row, key)}.values()
    )


def tell(ctx: Context, session_id: str) -> Message:
    """Send a working session what it collides with now; the same warning is sent once.

    Conflict where it does not work, or where there is nothing to tell.
    """
    with ctx.db.read() as db:
        session = existing(db, session_id)
        task = tasks.get(db, session.task_id)
        row = radar.get(db, task.repository_id, task.base_branch) if task else None
    if session.state not in sessions.LIVE_STATES:
        raise Conflict("This session does not run now; tell it when it works again.")
    found = warnings_of_session(row, session_id)
    if not found:
        raise Conflict("It collides with nobody now; there is nothing to tell.")
    lines = ["Other work that is under way touches what you are changing:", ""]
    text = "\n".join([*lines, *(f"- {each.says}" for each in found), "", _END])
    digest = hashlib.sha256(f"{session_id}\n{text}".encode()).hexdigest()[:32]
    message = say(ctx, session_id=session_id, text=text, origin="system", message_id=digest)
    with ctx.db.write() as db:
        others = [each.other_key for each in found]
        ledger.record(db, "tell", f"session {session_id}", detail={"collides_with": others})
    return message


def _says(kind: str, who: str, paths: list[str], symbols: list[str]) -> str:
    if kind == "symbol":
        return _listed(symbols, "; ")
    if not paths:
        return f"conflicts with {who}: git can't merge the two"
    return f"conflicts with {who} in {_listed(paths, ', ')}"


def _listed(parts: list[str], between: str) -> str:
    """In one line, whatever the names hold."""
    plain = ["".join(c if c.isprintable() else "?" for c in part) for part in parts[:_SHOWN]]
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return between.join(plain) + more
