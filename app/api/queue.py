"""The merge queue over JSON: its trains, and why each approved request waits."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import View
from app.services import queue as services
from app.store import batches

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["reviews"])
MOST = 1000


class WaitingView(View):
    merge_request_id: int
    why: str = Field(description="A few words: its check runs, after #12, next train, …")


class TrainView(View):
    """Approved requests on top of each other, on their way to one base."""

    id: int
    repository_id: int
    base_branch: str
    base_sha: str
    steps: list[dict[str, Any]] = Field(description="Who is in, each merged onto the former.")
    left: list[dict[str, Any]] = Field(description="Who conflicts with it, and in which paths.")
    head_sha: str
    tree_sha: str
    state: str = Field(description="checking, landing, landed, failed, void.")
    state_reason: str
    good: int = Field(description="The first so many steps pass.")
    bad: int | None = Field(description="The first so many do not; null while that is unknown.")
    culprit_id: int | None = Field(description="The merge request that was thrown out.")
    created_at: datetime
    ended_at: datetime | None


class QueueView(View):
    waiting: list[WaitingView] = Field(description="Approved, not landed yet; oldest first.")
    trains: list[TrainView] = Field(description="Newest first, those under way among them.")


@router.get("/queue", summary="The merge queue: its trains, and who waits why")
def show_queue(ctx: Ctx, limit: int = 20) -> QueueView:
    with ctx.db.read() as db:
        return QueueView(
            waiting=[WaitingView.model_validate(each) for each in services.line(db)],
            trains=[
                TrainView.model_validate(train)
                for train in batches.of_queue(db, max(1, min(limit, MOST)))
            ],
        )
