"""Where an agent could go, each way with its preview."""

from app.errors import NotFound
from app.models import Agent
from app.services import moves
from app.services.context import Context
from app.services.moves import MovePreview
from app.store import accounts, agents


def choices(ctx: Context, name: str, first: str = "") -> tuple[Agent, str, list[MovePreview]]:
    """(agent, the account it is on, previews of all others): `first`, then what can be done."""
    with ctx.db.read() as db:
        agent = agents.by_name(db, name)
        if agent is None:
            raise NotFound(f"There is no agent {name!r}; the list of agents shows them.")
        every = sorted(accounts.every(db), key=lambda row: (row.rank, row.name))
    home = next((row.name for row in every if row.id == agent.account_id), "")
    others = [row.name for row in every if row.id != agent.account_id]
    ways = [moves.preview(ctx, agent=name, account=other) for other in others]
    ways.sort(key=lambda way: (way.to_account != first, bool(way.refusal)))
    return agent, home, ways
