"""The database is an index of the journals: throw the folded rows away and read it all again."""

from app.services.context import Context
from app.services.ingest import read_chunk, reset, store_chunks
from app.store import sessions


def reindex(ctx: Context) -> int:
    """Rebuild every session's row from its journal; returns how many. No server may run.

    An outcome that was acted on before is not acted on again.
    """
    with ctx.db.read() as db:
        every = sessions.every(db)
    for session in every:
        with ctx.db.write() as db:
            row = db.get_one(type(session), session.id)
            waiting = row.pending_outcome
            reset(db, row)
        while (chunk := read_chunk(ctx, session.id, _cursor(ctx, session.id))).lines:
            store_chunks(ctx, [chunk])
        with ctx.db.write() as db:
            row = db.get_one(type(session), session.id)
            row.pending_outcome = waiting
            db.add(row)
    return len(every)


def _cursor(ctx: Context, session_id: str) -> int:
    with ctx.db.read() as db:
        session = sessions.get(db, session_id)
    return session.offset if session else 0
