"""The conflict radar: who collides with whom, and telling an agent of it."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Given, MessageView, View
from app.services import radar as service
from app.store import radar, repositories

router = APIRouter(tags=["radar"], route_class=ApiRoute, responses=RESPONSES)


class MemberView(View):
    key: str = Field(description="`base`, a merge request's number, or a session's id.")
    sha: str = Field(description="Its commit; of a session one that holds what is uncommitted.")
    agent: str
    title: str
    branch: str
    merge_request_id: int | None
    session_id: str | None
    files: int = Field(description="That it changes; of the base 0.")


class SymbolView(View):
    name: str
    path: str = Field(description="Where it is defined.")
    other_path: str = Field(description="Where the other uses it, or changes it too.")
    says: str


class CollisionView(View):
    one: str
    other: str
    kind: str = Field(
        description="`text`: the two don't merge. `symbol`: a hint, they may not fit."
    )
    paths: list[str] = Field(description="Empty where git can't merge the two at all.")
    symbols: list[SymbolView]


class RadarView(View):
    repository: str
    base_branch: str
    members: list[MemberView]
    collisions: list[CollisionView]
    uncovered: dict[str, int] = Field(
        description="File ending: changed files whose symbols are not read."
    )
    took_ms: float
    computed_at: datetime


class TellGiven(Given):
    session_id: str


@router.get("/radar", summary="Who collides with whom: the base, open requests, running agents")
def every(ctx: Ctx, repository: str | None = None) -> list[RadarView]:
    with ctx.db.read() as db:
        slugs = {row.id: row.slug for row in repositories.every(db)}
        rows = radar.every(db)
    views = [
        RadarView.model_validate(
            {**row.model_dump(), "repository": slugs.get(row.repository_id, "")}
        )
        for _, row in sorted(rows.items())
    ]
    return [view for view in views if repository in (None, view.repository)]


@router.post("/radar/tell", summary="Tell a working session what it collides with now")
def tell(ctx: Ctx, given: TellGiven) -> MessageView:
    return MessageView.model_validate(service.tell(ctx, given.session_id))
