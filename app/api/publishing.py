"""Pull requests over JSON: ask for one, see how far it is."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from app.api.deps import Ctx
from app.api.errors import RESPONSES, ApiRoute
from app.api.schemas import Given, View
from app.errors import NotFound
from app.services import publishing
from app.store import merge_requests, pushes

router = APIRouter(route_class=ApiRoute, responses=RESPONSES, tags=["reviews"])


class PullWanted(Given):
    remote: str | None = Field(None, description="A remote of your repository.")


class PullView(View):
    """A branch on its way to a remote, for a pull request there."""

    state: str = Field(description="queued, running, done or failed.")
    note: str = Field(description="What stood against it, and what to do.")
    pull_url: str = Field(description="Empty until the pull request is open.")
    remote: str
    ref: str
    sha: str
    created_at: datetime
    done_at: datetime | None


@router.post(
    "/reviews/{merge_request_id}/pull", summary="Push it and open a pull request", status_code=201
)
def open_pull(ctx: Ctx, merge_request_id: int, wanted: PullWanted) -> PullView:
    publishing.open_pull(ctx, merge_request_id, wanted.remote)
    return show_pull(ctx, merge_request_id)


@router.get("/reviews/{merge_request_id}/pull", summary="How far its pull request is")
def show_pull(ctx: Ctx, merge_request_id: int) -> PullView:
    with ctx.db.read() as db:
        row = pushes.newest(db, merge_request_id)
        request = merge_requests.get(db, merge_request_id)
    if row is None or request is None:
        raise NotFound(f"No pull request was asked for merge request {merge_request_id}.")
    return PullView.model_validate({**row.model_dump(), "pull_url": request.pull_url})
