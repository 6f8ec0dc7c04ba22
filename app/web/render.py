"""page() and fragment(): the only two ways from data to HTML.

Autoescape is on and nothing is marked safe by hand but the rows of `app.web.diffview`; every
string that reaches a template loses its terminal and bidirectional controls first (`app.web.ansi`).
"""

import hashlib
from functools import cache
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app import paths
from app.services.context import Context
from app.web import ansi, diffview
from app.web import format as fmt
from app.web.contexts import fleet, snapshot

NAVIGATION = (
    ("/", "Fleet", ""),
    ("/inbox", "Inbox", "needs"),
    ("/reviews", "Reviews", "to_review"),
    ("/tasks", "Tasks", "queued"),
    ("/accounts", "Accounts", ""),
    ("/throughput", "Throughput", ""),
    ("/record", "Record", ""),
    ("/agents", "Agents", ""),
)


def _finalize(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return ansi.clean(value)
    return value


@cache
def static_hash(path: str) -> str:
    """Twelve hex digits of a static file's content: its URL changes when the file does."""
    return hashlib.sha256((paths.STATIC / path).read_bytes()).hexdigest()[:12]


def static_url(path: str) -> str:
    return f"/static/{path}?v={static_hash(path)}"


def pretty(value: object) -> str:
    """A tool's argument for reading: strings as they are, the rest as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        static_url=static_url,
        state_labels=fmt.STATE_LABELS,
        driver_label=snapshot.driver_label,
        drivers=snapshot.offered,
    )
    environment.filters.update(
        ago=fmt.ago,
        until=fmt.until,
        count=fmt.count,
        usd=fmt.usd,
        clock=fmt.clock,
        left=fmt.left,
        stamp=fmt.stamp,
        plural=fmt.plural,
        reveal=ansi.reveal,
        pretty=pretty,
        pieces=diffview.pieces,
        row_count=diffview.row_count,
        file_key=diffview.key,
    )
    return environment


templates = _environment()


def fragment(template: str, **data: Any) -> str:
    """One template with one root element, as text: for a socket, or as a part of an answer."""
    return templates.get_template(template).render(**data).strip()


def _within(path: str) -> str:
    """The path that the navigation marks: unions are reviews, contests are tasks."""
    first = path.split("/")[1]
    return {"unions": "/reviews", "contests": "/tasks"}.get(first, path)


def page(
    request: Request, template: str, *, live: str = "", status: int = 200, **data: Any
) -> HTMLResponse:
    """A whole page under the strip. `live` names the regions its socket keeps fresh."""
    ctx: Context = request.app.state.ctx
    snap = data.pop("snap", None) or snapshot.take(ctx)
    html = templates.get_template(template).render(
        strip=fleet.strip(snap),
        now=snap.now,
        navigation=NAVIGATION,
        here=_within(request.url.path),
        rehearsal=ctx.settings.rehearsal,
        live=",".join(filter(None, ("strip", live))),
        **data,
    )
    return HTMLResponse(html, status_code=status)
