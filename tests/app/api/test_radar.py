"""The radar over HTTP: the stored look, and telling an agent of it."""

import httpx
import pytest

from app.models import MergeRequest, Radar, Session
from app.services.context import Context
from tests.app import factories as make
from tests.app.house import House


@pytest.fixture
def collided(ctx: Context, house: House) -> Session:
    """The house's session at work, on the radar beside a request it conflicts with."""
    with ctx.db.write() as db:
        session = db.get_one(Session, house.session)
        session.state = "running"
        request = db.get_one(MergeRequest, house.request)
        common = {"sha": make.sha(), "title": "Work", "branch": "qd/ada/1", "files": 1}
        no = {"merge_request_id": None, "session_id": None}
        members = [
            {**common, **no, "key": "base", "agent": "", "branch": "main", "files": 0},
            {**common, **no, "key": session.id, "agent": "ada", "session_id": session.id},
            {**common, **no, "key": "9", "agent": "bo", "merge_request_id": 9},
        ]
        clash = {"one": session.id, "other": "9", "kind": "text", "paths": ["a.py"], "symbols": []}
        row = Radar(repository_id=request.repository_id, base_branch="main", members=members)
        row.collisions, row.uncovered = [clash], {".c": 3}
        db.add(row)
        db.add(session)
    return session


async def test_the_stored_look_is_told(api: httpx.AsyncClient, collided: Session) -> None:
    (field,) = (await api.get("/radar")).json()
    assert (field["repository"], field["base_branch"]) == ("shop", "main")
    assert [member["key"] for member in field["members"]] == ["base", collided.id, "9"]
    assert field["collisions"][0]["paths"] == ["a.py"]
    assert field["uncovered"] == {".c": 3}
    assert (await api.get("/radar", params={"repository": "other"})).json() == []


async def test_an_agent_is_told(api: httpx.AsyncClient, collided: Session) -> None:
    told = await api.post("/radar/tell", json={"session_id": collided.id})
    assert told.status_code == 200
    assert "- conflicts with bo in a.py" in told.json()["text"]
    refused = await api.post("/radar/tell", json={"session_id": "s-none"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
