"""Gauges over the wire: unknown is null, accounts go by name, bounds are kept."""

import itertools
from datetime import timedelta

from httpx import AsyncClient

from app.models.base import utc_now
from app.services.context import Context
from tests.app import factories as make


async def test_the_strip_and_every_window_come_in_one_call(api: AsyncClient, ctx: Context) -> None:
    now = utc_now()
    login = make.account(ctx, "Big", week_usd=700.0)
    reset = now + timedelta(hours=12)
    make.quota(ctx, login, "seven_day", 40, window_minutes=10080, resets_at=reset)
    make.quota(ctx, login, "five_hour", 10, window_minutes=300, resets_at=now)
    seen = (await api.get("/gauges")).json()
    short, week = seen["windows"]["Big"]
    assert (short["used_percent"], short["forecast"]["risk"]) == (None, "unknown")
    assert (week["used_percent"], week["capacity_usd"], week["is_binding"]) == (40, 700, True)
    assert week["forecast"]["risk"] == "expires"
    assert seen["strip"]["expiring_account"] == "Big"
    assert 350 < seen["strip"]["expiring_usd"] < 420
    assert (seen["strip"]["dry"], seen["strip"]["usd_per_hour"]) == (None, 0)


async def test_one_that_runs_dry_is_named(api: AsyncClient, ctx: Context) -> None:
    reset = utc_now() + timedelta(hours=90)
    login = make.account(ctx, "Fast")
    make.quota(ctx, login, "seven_day", 80, window_minutes=10080, resets_at=reset)
    assert (await api.get("/gauges")).json()["strip"]["dry"]["account"] == "Fast"


async def test_tokens_come_in_buckets(api: AsyncClient) -> None:
    asked = {"minutes": 60, "bucket_minutes": 10}
    seen = (await api.get("/gauges/tokens", params=asked)).json()
    starts = seen["starts"]
    assert len(starts) in (6, 7)  # an hour touches seven tens of minutes, but for its last minute
    assert {later - earlier for earlier, later in itertools.pairwise(starts)} == {600}
    assert seen["accounts"] == []
    assert (await api.get("/gauges/tokens", params={"minutes": 0})).status_code == 422


async def test_the_heat_is_a_week_of_hours(api: AsyncClient) -> None:
    hours = (await api.get("/gauges/heat")).json()["hours"]
    assert [len(day) for day in hours] == [24] * 7
    missing = await api.get("/gauges/heat", params={"account": "nobody"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


async def test_the_waterfall_has_its_rungs(api: AsyncClient, ctx: Context) -> None:
    make.account(ctx, "Big", week_usd=168.0)
    seen = (await api.get("/gauges/waterfall", params={"hours": 2})).json()
    assert {"rungs", "measured_minutes", "left_out", "partial"} <= seen.keys()
