"""The ledger over JSON: a page of it, and all of it as lines."""

import json
from datetime import timedelta

from httpx import AsyncClient

from app.models.base import utc_now
from app.services import ledger
from app.services.context import Context


async def test_the_export_is_one_object_a_line(api: AsyncClient, ctx: Context) -> None:
    with ctx.db.write() as db:
        for n in range(3):
            ledger.record(db, "approve", f"merge request {n}", evidence={"care": "read"})
    reply = await api.get("/decisions.jsonl")
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert [line["subject"] for line in lines] == [f"merge request {n}" for n in range(3)]
    assert lines[0]["evidence"] == {"care": "read"}
    tomorrow = (utc_now() + timedelta(days=1)).isoformat()
    assert (await api.get("/decisions.jsonl", params={"since": tomorrow})).text == ""
    naive = {"since": "2000-01-01T00:00:00"}
    assert len((await api.get("/decisions.jsonl", params=naive)).text.splitlines()) == 3
    assert (await api.get("/decisions.jsonl", params={"since": "soon"})).status_code == 422
