"""What was spent, and the import of logs, over the wire."""

from pathlib import Path

from httpx import AsyncClient

from agents.meters.specimen import write_specimen
from app.models import Account
from app.services.context import Context
from tests.app import factories as make
from tests.app.house import House


async def test_it_tells_what_was_spent(api: AsyncClient, ctx: Context, house: House) -> None:
    with ctx.db.read() as db:
        session = db.get_one(make.Session, house.session)
    make.usage(ctx, session, [5, 7])
    for by, label in (("account", "mine"), ("agent", "ada"), ("session", "s-1"), ("model", "m")):
        [row] = (await api.get("/usage", params={"by": by, "days": 1})).json()
        assert (row["label"], row["output"], row["usd"]) == (label, 12, None)
    assert len((await api.get("/usage", params={"by": "hour"})).json()) in (1, 2)
    assert (await api.get("/usage", params={"by": "moon"})).status_code == 422


async def test_it_imports_logs(api: AsyncClient, ctx: Context, tmp_path: Path) -> None:
    written = write_specimen("codex", tmp_path / "login", 100_000)
    account: Account = make.account(
        ctx, "subscription", driver="codex", config_dir=str(tmp_path / "login")
    )
    for new in (written.calls, 0):
        [done] = (await api.post("/usage/import", json={})).json()
        assert (done["account"], done["new_calls"], done["is_finished"]) == (
            account.name, new, True,
        )  # fmt: skip
    query = {"by": "account", "days": 366, "outside": True}
    [row] = (await api.get("/usage", params=query)).json()
    assert row["output"] == written.output_tokens
    assert (await api.get("/usage", params=query | {"outside": False})).json() == []


async def test_an_account_without_logs_says_so(api: AsyncClient, house: House) -> None:
    assert house.task
    [done] = (await api.post("/usage/import", json={"account": "mine"})).json()
    assert "leaves no logs" in done["problems"][0]
    assert (await api.post("/usage/import", json={"account": "nobody"})).status_code == 404
