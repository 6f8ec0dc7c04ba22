"""The sockets: full state first, then what changed; a log without a gap and without a double."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from agents import events as ev
from agents.events import Record
from app.models import Session
from app.services.context import Context
from app.store import sessions
from app.web import live, regions
from tests.app import factories as make
from tests.app.web import gallery
from tests.app.web.conftest import OURS

BLOCK = re.compile(r'class="r text" data-seq="(\d+)"')


@contextmanager
def socket(client: TestClient, path: str) -> Iterator[WebSocketTestSession]:
    with client.websocket_connect(path, headers={"origin": OURS["origin"]}) as opened:
        yield opened


def targets(text: str) -> set[str]:
    parsed = BeautifulSoup(text, "html.parser")
    assert all(part["hx-swap"] == "outerMorph" for part in parsed.select("hx-partial"))
    return {str(part["hx-target"]) for part in parsed.select("hx-partial")}


def change(ctx: Context, name: str, **values: Any) -> None:
    _, session, _ = gallery.seat(ctx, name)
    with ctx.db.write() as db:
        row = sessions.get(db, session.id)
        assert row is not None
        for key, value in values.items():
            setattr(row, key, value)
        db.add(row)


def test_a_page_gets_its_full_state_and_then_only_what_changed(
    gallery_house: Context, app: FastAPI, client: TestClient
) -> None:
    with socket(client, "/ws/page?topics=strip,fleet,inbox") as opened:
        assert {"#strip", "#tiles", "#inbox", "#count-needs"} <= targets(opened.receive_text())
        change(gallery_house, "maple", last_line="a new line")
        app.state.bus.publish("fleet")
        second = opened.receive_text()
        assert "#tile-maple" in targets(second)
        assert "#tiles" not in targets(second)
        assert "#tile-linden" not in targets(second)
        assert "a new line" in second


def test_many_changes_are_one_and_the_last_state_wins(
    gallery_house: Context, app: FastAPI, client: TestClient
) -> None:
    with socket(client, "/ws/page?topics=fleet") as opened:
        opened.receive_text()
        for number in range(40):
            change(gallery_house, "maple", last_line=f"line {number}")
            app.state.bus.publish("fleet")
        seen = []
        while "line 39" not in "".join(seen[-1:]):
            seen.append(opened.receive_text())
        assert len(seen) < 20


def test_a_new_agent_makes_the_grid_anew(
    gallery_house: Context, app: FastAPI, client: TestClient
) -> None:
    with socket(client, "/ws/page?topics=fleet") as opened:
        opened.receive_text()
        make.agent(gallery_house, "zephyr")
        app.state.bus.publish("fleet")
        fresh = opened.receive_text()
        assert targets(fresh) == {"#tiles"}
        assert "zephyr" in fresh


@pytest.mark.parametrize(
    "name", ["", "nothing", "review:x", "review:99999999999999", "agent:nobody", "agent:"]
)
def test_an_unknown_region_closes_the_socket(client: TestClient, name: str) -> None:
    with pytest.raises(WebSocketDisconnect) as closed, socket(client, f"/ws/page?topics={name}"):
        pass
    assert closed.value.code == 1008


@pytest.mark.usefixtures("gallery_house")
def test_what_an_action_answers_is_what_the_socket_sends(ctx: Context) -> None:
    for name in ("strip", "fleet", "inbox", "tasks", "reviews", "agent:maple"):
        drawn = regions.find(ctx, name).draw()
        assert targets(regions.draw(ctx, [name])) <= {f"#{key}" for key in drawn}
        for key, part in drawn.items():
            root = BeautifulSoup(part.html, "html.parser").find(True)
            assert root["id"] == key  # type: ignore[index]


def test_one_socket_too_many_is_turned_away(app: FastAPI, client: TestClient) -> None:
    app.state.sockets.count = live.MAX_SOCKETS
    with pytest.raises(WebSocketDisconnect) as closed, socket(client, "/ws/page?topics=strip"):
        pass
    assert closed.value.code == 1013


def test_a_message_too_long_ends_the_socket_and_none_is_obeyed(
    app: FastAPI, client: TestClient
) -> None:
    with socket(client, "/ws/page?topics=strip") as opened:
        opened.receive_text()
        opened.send_text('{"hx-post": "/tasks"}')
        opened.send_text("x" * (live.MAX_MESSAGE_BYTES + 1))
        assert opened.receive()["code"] == 1009
    assert app.state.sockets.count == 0


async def test_viewers_who_ask_together_share_one_drawing() -> None:
    drawn = []
    shared = live.Shared()

    def draw() -> regions.Parts:
        drawn.append(1)
        return {"x": regions.Part("<p>", "<p>")}

    region = regions.Region(frozenset(), draw)
    await asyncio.gather(*(shared.parts("x", region) for _ in range(20)))
    assert len(drawn) <= 2
    before = len(drawn)
    await shared.parts("x", region)
    assert len(drawn) == before + 1


# ---- the log ----


@pytest.fixture
def said(gallery_house: Context) -> tuple[Session, list[Record]]:
    """A session with 1,200 lines in its journal."""
    _, session, _ = gallery.seat(gallery_house, "birch")
    lines = make.records(*(ev.Text(f"m{n}", f"line {n}", final=True) for n in range(1, 1201)))
    make.journal(gallery_house, session, lines)
    return session, lines


def frames(opened: WebSocketTestSession) -> list[dict[str, Any]]:
    return list(json.loads(opened.receive_text()))


def numbers(opened: WebSocketTestSession, until: int) -> list[int]:
    """Sequence numbers in the order they came, up to one."""
    seen: list[int] = []
    while not seen or seen[-1] < until:
        for frame in frames(opened):
            seen += [
                int(seq) for seq in re.findall(r'class="r text" data-seq="(\d+)"', frame["html"])
            ]
            assert frame["last"] == seen[-1]
            assert frame["at_ms"] > 0
    return seen


def test_the_gap_comes_from_the_journal_and_the_rest_as_it_happens(
    said: tuple[Session, list[Record]], app: FastAPI, client: TestClient
) -> None:
    session, lines = said
    channel = app.state.bus.log(session.id)
    with socket(client, f"/ws/sessions/{session.id}/log?after=100") as opened:
        assert numbers(opened, 1200) == list(range(101, 1201))
        fresh = make.records(*(ev.Text(f"n{n}", "x") for n in range(3)), first=1201)
        # The journal was read further than the ring's first batch begins: no record comes twice.
        client.portal.call(channel.append, [*lines[-5:], fresh[0]])  # type: ignore[union-attr]
        client.portal.call(channel.append, fresh[1:])  # type: ignore[union-attr]
        assert numbers(opened, 1203) == [1201, 1202, 1203]


def test_a_ring_that_lost_the_beginning_sends_the_viewer_to_the_journal(
    said: tuple[Session, list[Record]], gallery_house: Context, app: FastAPI, client: TestClient
) -> None:
    session, lines = said
    with socket(client, f"/ws/sessions/{session.id}/log?after=1200") as opened:
        more = make.records(*(ev.Text(f"n{n}", "x") for n in range(100)), first=1201)
        make.journal(gallery_house, session, lines + more)
        client.portal.call(app.state.bus.log(session.id).append, more[60:])  # type: ignore[union-attr]
        assert numbers(opened, 1300) == list(range(1201, 1301))


def test_a_frame_is_encoded_once_for_all_viewers(
    said: tuple[Session, list[Record]], app: FastAPI, client: TestClient
) -> None:
    session, _ = said
    path = f"/ws/sessions/{session.id}/log?after=1200"
    with socket(client, path) as one, socket(client, path) as two:
        fresh = make.records(ev.Text("n", "x"), first=1201)
        channel = app.state.bus.log(session.id)
        client.portal.call(channel.append, fresh)  # type: ignore[union-attr]
        assert one.receive_text() == two.receive_text() == f"[{channel.batches[-1].frame}]"


def test_a_viewer_far_behind_starts_again_at_the_end(
    gallery_house: Context, said: tuple[Session, list[Record]], client: TestClient
) -> None:
    session, _ = said
    with gallery_house.db.write() as db:
        row = sessions.get(db, session.id)
        assert row is not None
        row.seq = live.LOG_BEHIND_RECORDS + 1001
        db.add(row)
    with socket(client, f"/ws/sessions/{session.id}/log?after=1000") as opened:
        assert json.loads(opened.receive_text()) == {"behind": True}


def test_a_session_that_is_not_there_has_no_log(client: TestClient) -> None:
    path = "/ws/sessions/s-none/log"
    with pytest.raises(WebSocketDisconnect) as closed, socket(client, path):
        pass
    assert closed.value.code == 1008
