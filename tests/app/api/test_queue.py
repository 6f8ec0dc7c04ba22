"""The merge queue over JSON: trains as they stand, and why each approved request waits."""

from httpx import AsyncClient

from app.models import Batch, MergeRequest
from app.services.context import Context
from tests.app.house import HEAD, House


async def test_it_says_who_waits_and_what_rides(
    api: AsyncClient, ctx: Context, house: House
) -> None:
    with ctx.db.write() as db:
        request = db.get_one(MergeRequest, house.request)
        request.state, request.approved_sha, request.waits_for_check = "approved", HEAD, True
        request.tree_sha = "d" * 40
        late = MergeRequest(**request.model_dump(exclude={"id", "waits_for_check"}))
        late.after = [house.request]
        db.add(late)
    said = (await api.get("/queue")).json()
    assert said == {
        "waiting": [
            {"merge_request_id": house.request, "why": "its check has not passed yet"},
            {"merge_request_id": late.id, "why": f"after #{house.request}"},
        ],
        "trains": [],
    }
    step = {"merge_request_id": late.id, "head_sha": HEAD, "commit_sha": HEAD, "tree_sha": HEAD}
    with ctx.db.write() as db:
        db.add(
            Batch(
                repository_id=request.repository_id,
                base_branch="main",
                kind="train",
                state="checking",
                steps=[step],
                left=[{"merge_request_id": house.request, "paths": ["a"]}],
            )
        )
    said = (await api.get("/queue")).json()
    assert [each["why"] for each in said["waiting"]] == [
        "conflicts with the train ahead",
        "the train's check runs",
    ]
    (train,) = said["trains"]
    assert (train["state"], train["steps"], train["bad"]) == ("checking", [step], None)
