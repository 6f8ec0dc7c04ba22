"""Accounts over JSON: their rules, their meters, how to log in."""

from datetime import timedelta

import pytest
from httpx import AsyncClient

from app.models.base import utc_now
from app.services import probe_times
from app.services.context import Context
from app.store import accounts
from tests.app import factories as make


async def test_an_account_is_added_by_the_name_of_its_variable(api: AsyncClient) -> None:
    key = {"name": "key", "driver": "openai_api", "auth": "api_key", "secret_env": "MY_KEY"}
    made = await api.post("/accounts", json={**key, "daily_cap_usd": 5, "max_running": 2})
    assert (made.status_code, made.json()["secret_env"]) == (201, "MY_KEY")
    assert (made.json()["daily_cap_usd"], made.json()["max_running"]) == (5.0, 2)
    assert made.json()["is_automatic"] is True
    leaked = await api.post(
        "/accounts", json={**key, "name": "b", "secret_env": "sk-secret-1234567"}
    )
    assert leaked.status_code == 422
    assert "1234567" not in leaked.text


@pytest.mark.usefixtures("house")
async def test_an_account_shows_the_windows_its_meters_told(api: AsyncClient, ctx: Context) -> None:
    assert (await api.get("/accounts")).json()[0]["windows"] == []
    with ctx.db.read() as db:
        (mine,) = accounts.every(db)
    now = utc_now()
    later, gone = {"resets_at": now + timedelta(hours=1)}, {"resets_at": now - timedelta(hours=1)}
    make.quota(ctx, mine, "five_hour", 61.5, window_minutes=300, **later)
    make.quota(ctx, mine, "seven_day", 99.0, status="rejected", refused_until=now, **gone)
    five, week = (await api.get("/accounts/mine")).json()["windows"]
    assert (five["kind"], five["used_percent"], five["window_minutes"]) == ("five_hour", 61.5, 300)
    assert (five["is_refused"], five["is_stale"], five["source"]) == (False, False, "test")
    assert five["elapsed_percent"] == pytest.approx(80, abs=0.1)
    assert (week["used_percent"], week["elapsed_percent"]) == (None, None)
    assert week["is_refused"] is False


async def test_rules_are_changed_left_and_lifted(api: AsyncClient, ctx: Context) -> None:
    make.account(ctx, "50% / mine?", plan="max_5x", daily_cap_usd=3.0, reserve_percent=10.0)
    path = "/accounts/50%25%20%2F%20mine%3F"
    changed = await api.patch(path, json={"rank": -1, "daily_cap_usd": None, "models": ["opus"]})
    view = changed.json()
    assert (view["rank"], view["daily_cap_usd"], view["models"]) == (-1, None, ["opus"])
    assert (view["plan"], view["reserve_percent"], view["price_usd_month"]) == ("max_5x", 10.0, 100)
    refused = await api.patch(path, json={"reserve_percent": 120})
    assert refused.status_code == 422
    assert "take 0 to 95" in refused.json()["error"]["message"]
    assert (await api.patch(path, json={"login": "in"})).status_code == 422
    assert (await api.patch("/accounts/nobody", json={})).status_code == 404


async def test_a_probe_is_asked_for_and_answers_at_once(api: AsyncClient, ctx: Context) -> None:
    made = make.account(ctx, "mine", config_dir=str(ctx.home.path))
    asked = await api.post("/accounts/mine/probe")
    assert (asked.status_code, asked.json()["probed_at"]) == (200, None)
    assert probe_times.desk(ctx).asked == {made.id}
    assert (await api.post("/accounts/nobody/probe")).status_code == 404


async def test_the_login_command_is_shown_and_watched(api: AsyncClient, ctx: Context) -> None:
    made = make.account(ctx, "mine", config_dir=str(ctx.home.path))
    shown = (await api.post("/accounts/mine/login")).json()
    assert shown["command"].endswith("claude auth login")
    assert str(ctx.home.path) in shown["command"]
    assert set(probe_times.desk(ctx).watched) == {made.id}
    make.account(ctx, "key", driver="openai_api", auth="api_key", secret_env="K")
    assert (await api.post("/accounts/key/login")).status_code == 422


async def test_a_closed_account_says_why(api: AsyncClient, ctx: Context) -> None:
    make.account(ctx, "gone", config_dir=str(ctx.home.path / "gone"))
    make.account(ctx, "out", config_dir=str(ctx.home.path), login="out", login_problem="Log in.")
    gone, out = (await api.get("/accounts")).json()
    assert "is not there" in gone["closed"]
    assert (out["closed"], out["spent_today_usd"]) == ("Log in.", 0.0)
