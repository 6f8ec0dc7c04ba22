"""The parts of pages that stay fresh: which topics touch them, and how each is drawn.

A region is drawn by the template that its page includes, so that a route, an action's answer and
the socket can't differ. It yields parts by element id; only parts that changed travel.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.errors import NotFound
from app.models.base import utc_now
from app.services.context import Context
from app.web.contexts import (
    accounts,
    agents,
    balancer,
    check,
    contests,
    fleet,
    inbox,
    queue,
    radar,
    record,
    review,
    reviews,
    snapshot,
    tasks,
    throughput,
    unions,
)
from app.web.render import fragment


@dataclass(frozen=True)
class Part:
    """One element's HTML. It travels when its `mark` changes; it need not where `inside` does."""

    html: str
    mark: str
    inside: str = ""


Parts = dict[str, Part]  # by element id
_EVERYTHING = frozenset({"fleet", "inbox", "tasks", "reviews", "accounts"})


@dataclass(frozen=True)
class Region:
    """`topics` of the bus that make it worth drawing again."""

    topics: frozenset[str]
    draw: Callable[[], Parts]


def find(ctx: Context, name: str) -> Region:
    """The region of that name ("fleet", "review:12:SHA", "agent:maple"); NotFound for any other."""
    kind, _, key = name.partition(":")
    if kind == "review":
        return _review_region(ctx, key)
    if kind == "union":
        return _union_region(ctx, key)
    if kind == "output":
        return _output_region(ctx, key)
    if kind == "contest":
        contest_id = _number(key)
        return Region(frozenset({"fleet", "tasks", "reviews"}), lambda: _contest(ctx, contest_id))
    if kind == "record":
        return Region(frozenset({"record"}), lambda: _record(ctx, key))
    if kind == "agent" and key:
        return _agent_region(ctx, key)
    if kind == "throughput":
        return _throughput_region(ctx, key)
    if name in _SIMPLE:
        topics, draw = _SIMPLE[name]
        return Region(topics, lambda: draw(snapshot.take(ctx), ctx))
    raise NotFound(f"There is no part of a page called {name!r}.")


def draw(ctx: Context, names: Iterable[str]) -> str:
    """Out-of-band parts of several regions, for the answer to an action."""
    return "".join(wrap(parts) for name in names for parts in [find(ctx, name).draw()])


def wrap(parts: Parts) -> str:
    """Each part as an htmx partial that morphs the element of its id."""
    return "".join(
        f'<hx-partial hx-target="#{key}" hx-swap="outerMorph">{part.html}</hx-partial>'
        for key, part in parts.items()
        if part.inside not in parts
    )


def _part(template: str, **data: Any) -> Part:
    html = fragment(template, **data)
    return Part(html, html)


def _strip(snap: snapshot.Snapshot, _: Context) -> Parts:
    strip = fleet.strip(snap)
    return {
        "strip": _part("_strip.html", strip=strip, now=snap.now),
        **{
            f"count-{key}": _part("_count.html", key=key, strip=strip)
            for key in ("needs", "to_review", "queued")
        },
    }


def _fleet(snap: snapshot.Snapshot, _: Context) -> Parts:
    tiles = fleet.tiles(snap)
    names = " ".join(tile.name for tile in tiles)
    grid = Part(fragment("fleet/_tiles.html", tiles=tiles, now=snap.now), names)
    each = {f"tile-{tile.name}": _tile(tile, snap) for tile in tiles}
    budgets = _part("fleet/_budgets.html", budgets=fleet.budgets(snap), now=snap.now)
    return {"budgets": budgets, "tiles": grid, **each}


def _tile(tile: fleet.Tile, snap: snapshot.Snapshot) -> Part:
    html = fragment("fleet/_tile.html", tile=tile, now=snap.now)
    return Part(html, html, inside="tiles")


def _inbox(snap: snapshot.Snapshot, ctx: Context) -> Parts:
    return {"inbox": _part("inbox/_list.html", inbox=inbox.listing(ctx, snap), now=snap.now)}


def _tasks(snap: snapshot.Snapshot, ctx: Context) -> Parts:
    data = tasks.listing(ctx, snap)
    return {
        "backlog": _part("tasks/_backlog.html", tasks=data, now=snap.now),
        "done": _part("tasks/_done.html", tasks=data, now=snap.now),
    }


def _reviews(snap: snapshot.Snapshot, ctx: Context) -> Parts:
    data, line = reviews.listing(ctx, snap), queue.panel(ctx, snap)
    return {
        "reviews": _part("reviews/_list.html", reviews=data, now=snap.now),
        "radar": _part("reviews/_matrix.html", matrices=radar.matrices(snap), now=snap.now),
        "queue": _part("reviews/_queue.html", queue=line, now=snap.now),
    }


def _accounts(snap: snapshot.Snapshot, ctx: Context) -> Parts:
    cards = accounts.listing(ctx, snap)
    return {"accounts": _part("accounts/_list.html", cards=cards, now=snap.now)}


def _balancer(snap: snapshot.Snapshot, ctx: Context) -> Parts:
    panel = balancer.panel(ctx, snap)
    return {"balancer": _part("throughput/_balancer.html", balancer=panel, now=snap.now)}


def _throughput_region(ctx: Context, key: str) -> Region:
    """`key` is "24:account": the hours that are looked back at, and what spending is told by."""
    hours, _, by = key.partition(":")
    if hours not in {str(span) for span, _ in throughput.SPANS} or by not in throughput.BYS:
        raise NotFound(f"There is no view of the throughput called {key[:40]!r}.")
    return Region(frozenset({"accounts"}), lambda: _throughput(ctx, int(hours), by))


def _throughput(ctx: Context, hours: int, by: str) -> Parts:
    now = utc_now()
    shared = {"view": throughput.one(ctx, hours, by, now), "now": now, "spans": throughput.SPANS}
    names = ("waterfall", "heat", "usage", "expired")
    parts = {name: _part(f"throughput/_{name}.html", **shared) for name in names}
    return parts | {"tokens-table": _part("throughput/_tokens.html", **shared)}


def _contest(ctx: Context, contest_id: int) -> Parts:
    side = contests.one(ctx, contest_id)
    return {"contest": _part("contests/_side.html", side=side, now=utc_now())}


def _contests(snap: snapshot.Snapshot, ctx: Context) -> Parts:
    sides = contests.listing(ctx)
    return {"contests": _part("contests/_list.html", sides=sides, now=snap.now)}


def _record(ctx: Context, by: str) -> Parts:
    return {"record": _part("record/_map.html", record=record.one(ctx, by))}


def _review_region(ctx: Context, key: str) -> Region:
    """`key` is "12:SHA": the commit that the page shows, which a verdict is bound to."""
    number, _, seen = key.partition(":")
    request_id = _number(number)
    topics = frozenset({f"review:{request_id}", "reviews"})
    return Region(topics, lambda: _review(ctx, request_id, seen))


def _review(ctx: Context, merge_request_id: int, seen: str) -> Parts:
    data = review.one(ctx, merge_request_id)
    shared = {"review": data, "seen": seen, "now": utc_now()}
    return {
        "review-head": _part("reviews/_head.html", **shared),
        "review-side": _part("reviews/_side.html", **shared),
        "review-more": _part("reviews/_more.html", **shared),
    }


def _union_region(ctx: Context, key: str) -> Region:
    """`key` is "3:SHA": the union and the tree that the page shows."""
    number, _, seen = key.partition(":")
    batch_id = _number(number)
    return Region(frozenset({"reviews"}), lambda: _union(ctx, batch_id, seen))


def _union(ctx: Context, batch_id: int, seen: str) -> Parts:
    shared = {"union": unions.one(ctx, batch_id), "seen": seen, "now": utc_now()}
    return {
        "union-head": _part("unions/_head.html", **shared),
        "union-side": _part("unions/_side.html", **shared),
    }


def _output_region(ctx: Context, key: str) -> Region:
    """`key` is "12", or "union-3": whose newest check is shown, with its output as it grows."""
    of_union, number = key.startswith("union-"), _number(key.removeprefix("union-"))
    look = check.of_batch if of_union else check.of_request
    return Region(frozenset({"output", "reviews"}), lambda: _output(ctx, look, number))


def _output(ctx: Context, look: Callable[[Context, int], check.Checked], number: int) -> Parts:
    return {"check": _part("reviews/_check.html", checked=look(ctx, number), now=utc_now())}


def _number(text: str) -> int:
    if not text.isdigit() or len(text) > 12:
        raise NotFound(f"There is no merge request {text[:20]!r}.")
    return int(text)


def _agent_region(ctx: Context, key: str) -> Region:
    name, _, session_id = key.partition(":")
    view = agents.head(ctx, name, session_id or None)
    topics = {"fleet", "inbox"} | ({f"session:{view.session.id}"} if view.session else set())
    return Region(frozenset(topics), lambda: _agent(ctx, name, session_id or None))


def _agent(ctx: Context, name: str, session_id: str | None) -> Parts:
    view = agents.full(ctx, name, session_id)
    now = utc_now()
    return {
        "agent-head": _part("agents/_head.html", view=view, now=now),
        "agent-asks": _part("agents/_asks.html", view=view, now=now),
        "agent-changes": _part("agents/_changes.html", view=view, now=now),
    }


_SIMPLE: dict[str, tuple[frozenset[str], Callable[[snapshot.Snapshot, Context], Parts]]] = {
    "strip": (_EVERYTHING, _strip),
    "fleet": (frozenset({"fleet", "tasks", "accounts"}), _fleet),
    "inbox": (_EVERYTHING, _inbox),
    "tasks": (frozenset({"tasks", "reviews", "fleet"}), _tasks),
    "reviews": (frozenset({"reviews"}), _reviews),
    "contests": (frozenset({"tasks", "reviews"}), _contests),
    "accounts": (frozenset({"accounts", "inbox", "fleet"}), _accounts),
    "balancer": (frozenset({"balancer", "accounts", "fleet"}), _balancer),
}
