"""Unions over JSON: made at once, built by the supervisor, decided on one commit."""

from httpx import AsyncClient

from app.models import Batch, MergeRequest
from app.services.context import Context
from app.services.diffs import store, union_path
from tests.app import factories
from tests.app.house import HEAD, House


async def test_a_union_is_asked_for_and_decided(
    api: AsyncClient, ctx: Context, house: House
) -> None:
    with ctx.db.write() as db:
        request = db.get_one(MergeRequest, house.request)
        request.care = "glance"
        db.add(other := MergeRequest(**request.model_dump(exclude={"id"})))
    ids = [house.request, other.id]
    made = await api.post("/unions", json={"merge_request_ids": ids})
    assert (made.status_code, made.json()["state"]) == (201, "building")
    place = f"/unions/{made.json()['id']}"
    assert (await api.get(f"{place}/diff")).status_code == 404
    assert (await api.post(f"{place}/approve", json={"head_sha": ""})).status_code == 409
    store(union_path(ctx, made.json()["id"]), factories.stored_diff(head_sha=HEAD))
    with ctx.db.write() as db:  # as the supervisor leaves it
        union = db.get_one(Batch, made.json()["id"])
        union.state, union.head_sha = "ready", HEAD
        union.steps = [{"merge_request_id": each, "head_sha": HEAD} for each in ids]
    assert (await api.get(f"{place}/diff")).json()["head_sha"] == HEAD
    approved = await api.post(f"{place}/approve", json={"head_sha": HEAD})
    assert approved.json() == {"merge_request_ids": ids}
    assert [union["id"] for union in (await api.get("/unions")).json()] == [made.json()["id"]]


async def test_what_cannot_be_united_is_refused(api: AsyncClient, house: House) -> None:
    alone = await api.post("/unions", json={"merge_request_ids": [house.request]})
    assert alone.status_code == 422
    assert (await api.get("/unions/9")).status_code == 404
