"""Throughput: where the leverage of all accounts went; and the balancer, which spends it."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from app.services import balancer as balancer_service
from app.web import answers
from app.web.contexts import balancer, snapshot, throughput
from app.web.deps import Ctx
from app.web.render import page

router = APIRouter()
_REGIONS = ("balancer", "inbox", "accounts", "fleet")


@router.get("/throughput")
def index(request: Request, ctx: Ctx, hours: int = 24, by: str = "account") -> Response:
    snap = snapshot.take(ctx)
    return page(
        request,
        "throughput/index.html",
        live=f"throughput:{hours}:{by},balancer",
        snap=snap,
        view=throughput.one(ctx, hours, by, snap.now),
        balancer=balancer.panel(ctx, snap),
        spans=throughput.SPANS,
        ranges=throughput.RANGES,
    )


@router.post("/balancer/mode")
def switch(request: Request, ctx: Ctx, mode: Annotated[str, Form()]) -> Response:
    balancer_service.set_mode(ctx, mode)
    labels = {known.name: known.label for known in balancer.MODES}
    return answers.done(request, f"The balancer: {labels[mode].lower()}.", "balancer")


@router.post("/balancer/{decision_id}/apply")
def apply(request: Request, ctx: Ctx, decision_id: int) -> Response:
    balancer_service.apply(ctx, decision_id)
    return answers.done(request, "Done as advised.", *_REGIONS)


@router.post("/balancer/{decision_id}/dismiss")
def dismiss(request: Request, ctx: Ctx, decision_id: int) -> Response:
    balancer_service.dismiss(ctx, decision_id)
    return answers.done(request, "Dismissed; it is not advised again for some hours.", *_REGIONS)


@router.post("/balancer/{decision_id}/undo")
def undo(request: Request, ctx: Ctx, decision_id: int) -> Response:
    balancer_service.undo(ctx, decision_id)
    return answers.done(request, "Undone: it goes back to where it was.", *_REGIONS)
