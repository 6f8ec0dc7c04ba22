"""The palette's list: pages, agents, accounts, tasks, merge requests, by a few of their letters."""

from collections.abc import Iterator

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from app.web.contexts import snapshot
from app.web.deps import Ctx
from app.web.render import NAVIGATION, fragment

router = APIRouter()
SHOWN = 12
Place = tuple[str, str, str]  # href, label, hint


@router.get("/go")
def go(ctx: Ctx, q: str = "") -> HTMLResponse:
    words = q.lower().split()
    found = [
        place
        for place in _places(snapshot.take(ctx))
        if all(word in f"{place[1]} {place[2]}".lower() for word in words)
    ]
    return HTMLResponse(fragment("_go.html", places=found[:SHOWN]))


def _places(snap: snapshot.Snapshot) -> Iterator[Place]:
    for href, label, _ in NAVIGATION:
        yield href, label, "page"
    for agent in snap.agents:
        yield f"/agents/{agent.name}", agent.name, f"agent, {snapshot.driver_label(agent.driver)}"
    for account in snap.accounts.values():
        yield f"/accounts#account-{account.id}", account.name, "account"
    for request in snap.merge_requests:
        yield f"/reviews/{request.id}", request.title, f"merge request #{request.id}"
    for task in snap.tasks.values():
        yield f"/tasks#task-{task.id}", task.title, f"task, {task.state}"
    yield "/contests", "Contests", "page"
    yield "/tasks#new", "New task", "write one"
    yield "/agents#new", "New agent", "make one"
