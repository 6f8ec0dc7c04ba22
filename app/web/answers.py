"""What an action answers: a short notice, and every region that it may have changed."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.services.context import Context
from app.web import regions
from app.web.render import fragment, page


def done(request: Request, notice: str, *names: str) -> HTMLResponse:
    """The notice and the named regions, drawn afresh, as out-of-band parts."""
    ctx: Context = request.app.state.ctx
    said = fragment("_notice.html", level="info", text=notice)
    html = f'<hx-partial hx-target="#notice" hx-swap="innerHTML">{said}</hx-partial>'
    # The live update may have replaced the form before this answer came; htmx drops what is for
    # an element that is gone, so the answer names a place that stays.
    return HTMLResponse(
        html + regions.draw(ctx, ("strip", *names)), headers={"HX-Retarget": "#notice"}
    )


def go(url: str) -> Response:
    """Make the page go to one of our own paths."""
    return Response(status_code=204, headers={"HX-Redirect": url})


def sheet(request: Request, template: str, title: str, **data: Any) -> Response:
    """A part that the page's script shows in a dialog; a page of its own without one."""
    if request.headers.get("hx-request") == "true":
        return HTMLResponse(fragment(template, **data))
    return page(request, "sheet.html", inside=template, title=title, **data)


def refused(message: str, status: int) -> HTMLResponse:
    """A failed action: its sentence goes to the notices, whatever the form's target was."""
    html = fragment("_notice.html", level="error", text=message)
    return HTMLResponse(html, status, {"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"})
