"""The Accounts page: windows as bars, what is unknown, what was spent, kept fresh."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.models import Account, UsageMinute
from app.models.base import utc_now
from app.services import accounts as accounts_service
from app.services import probe_times
from app.services.context import Context
from app.web.contexts import windows
from tests.app import factories as make
from tests.app.web.conftest import OURS, Soup

MINUTE = timedelta(minutes=1)


@pytest.fixture
def login(ctx: Context) -> Account:
    return make.account(ctx)


def bar(page: BeautifulSoup, kind: str) -> BeautifulSoup:
    (found,) = page.select(f'.window[data-kind="{kind}"]')
    return found


def words_of(text: str) -> str:
    return " ".join(text.split())


def words(part: BeautifulSoup) -> str:
    return part.get_text(" ", strip=True)


def test_a_window_is_a_bar_with_its_pace_its_reset_and_its_age(
    ctx: Context, login: Account, soup: Soup
) -> None:
    now = utc_now()
    five = {"window_minutes": 300, "resets_at": now + 90 * MINUTE, "observed_at": now - 2 * MINUTE}
    make.quota(ctx, login, "five_hour", 61, **five)
    make.quota(ctx, login, "seven_day_large", 20, window_minutes=10080)
    page = soup("/accounts")
    assert [words(label) for label in page.select(".window .label")] == ["5 h", "week, large"]
    found = bar(page, "five_hour")
    assert "stale" not in found["class"]
    assert found.select_one(".used")["width"] == "61.0"
    assert float(found.select_one(".pace")["x"]) == pytest.approx(70, abs=0.5)
    said = words(found)
    assert "61%" in said
    assert "pace 70%" in said
    assert words(found.select_one(".read")).startswith("resets ")
    assert "in 1h" in words(found.select_one(".read"))
    assert words(found.select_one(".read")).endswith("age 2m")
    other = bar(page, "seven_day_large")
    assert "reset not reported" in words(other)
    assert not other.select(".pace")


def test_an_old_reading_is_dimmed_and_a_reset_one_is_unknown(
    ctx: Context, login: Account, soup: Soup
) -> None:
    now = utc_now()
    old = {"window_minutes": 10080, "observed_at": now - 20 * MINUTE}
    make.quota(ctx, login, "seven_day", 30, resets_at=now + timedelta(days=1), **old)
    gone = {"window_minutes": 300, "observed_at": now - 20 * MINUTE, "resets_at": now - MINUTE}
    make.quota(ctx, login, "five_hour", 95, **gone)
    make.quota(ctx, login, "requests_per_minute", 50, **gone | {"window_minutes": 1})
    page = soup("/accounts")
    assert "stale" in bar(page, "seven_day")["class"]
    assert "30%" in words(bar(page, "seven_day"))
    assert "old" in words(bar(page, "seven_day"))
    five = bar(page, "five_hour")
    assert not five.select(".used, .pace")
    assert "? reset since; not reported" in words(five)
    assert "lands" not in words(five)
    assert "0%" not in words(five)
    assert "unknown" in five.select_one("svg")["aria-label"]
    assert not page.select('.window[data-kind="requests_per_minute"]')


def test_a_refused_window_has_the_colour_of_waiting(
    ctx: Context, login: Account, soup: Soup
) -> None:
    until = utc_now() + 30 * MINUTE
    more = {"window_minutes": 300, "resets_at": until, "refused_until": until}
    make.quota(ctx, login, "five_hour", 100, status="rejected", **more)
    found = bar(soup("/accounts"), "five_hour")
    assert "s-waiting_quota" in found["class"]
    assert words(found.select_one(".state")) == "refused"


def test_what_no_meter_told_is_said(ctx: Context, login: Account, soup: Soup) -> None:
    make.account(ctx, "played", "scripted", auth="none")
    page = soup("/accounts")
    assert len(page.select("#accounts .unknown")) == 1
    assert page.select_one(f"#account-{login.id} .unknown")
    assert "%" not in page.select_one("#accounts").text


def test_tokens_and_their_price_are_summed_by_account(
    ctx: Context, login: Account, soup: Soup
) -> None:
    agent = make.agent(ctx, "maple", login)
    task = make.task(ctx, make.repository(ctx))
    session = make.session(ctx, agent, task, model="claude-sonnet-4-5")
    minute = int(time.time()) // 60
    for model, ago in (("claude-sonnet-4-5", 0), ("claude-sonnet-4-5", 3 * 1440), ("mine", 8640)):
        spent = UsageMinute(
            session_id=session.id, account_id=login.id or 0, model=model, minute=minute - ago
        )
        spent.output_tokens = 100_000
        make.save(ctx, spent)
    card = words(soup("/accounts").select_one(f"#account-{login.id} .spend"))
    assert card.startswith("Today 100k tok out, ≈ $1.50")
    assert card.endswith("7 days 300k out, ≈ $3.00 + unpriced")
    assert "≈ $3.00 + unpriced" in soup("/agents/maple").select_one("#agent-head").text
    with ctx.db.write() as db:
        session.cost_usd = 2.5
        db.merge(session)
    head = soup("/agents/maple").select_one("#agent-head .meta:not(.today)").text
    assert "$2.50" in head
    assert "≈" not in head


def test_a_price_that_nobody_knows_is_said_to_be_unknown(
    ctx: Context, login: Account, soup: Soup
) -> None:
    session = make.session(
        ctx, make.agent(ctx, "maple", login), make.task(ctx, make.repository(ctx))
    )
    make.usage(ctx, session, [500])
    assert "price unknown" in soup("/accounts").select_one(".spend").text
    meta = soup("/agents/maple").select_one("#agent-head .meta").text
    assert "price unknown" in meta
    assert "$" not in meta
    today = soup("/agents/maple").select_one("#agent-head .today").text
    assert "500 tok out, price unknown" in words_of(today)


def test_a_new_reading_comes_to_an_open_page(
    ctx: Context, login: Account, app: FastAPI, client: TestClient
) -> None:
    url = "/ws/page?topics=accounts"
    with client.websocket_connect(url, headers={"origin": OURS["origin"]}) as opened:
        assert "not reported yet" in opened.receive_text()
        make.quota(ctx, login, "five_hour", 42, window_minutes=300)
        app.state.bus.publish("accounts")
        assert 'width="42.0"' in opened.receive_text()


def test_where_a_budget_lands_is_drawn_and_said(ctx: Context, login: Account, soup: Soup) -> None:
    now = utc_now()
    half = {"window_minutes": 10080, "resets_at": now + timedelta(hours=84), "observed_at": now}
    set_rules(ctx, login, week_usd=1000.0, reserve_percent=10.0)
    make.quota(ctx, login, "seven_day", 20, **half)
    found = bar(soup("/accounts"), "seven_day")
    assert "r-expires" in found["class"]
    assert "lands 40%" in words(found.select_one(".verdict"))
    assert "$500 will expire in 3d" in words(found.select_one(".verdict"))
    assert "holds ≈ $1,000 as you say" in words(found)
    assert float(found.select_one(".landing")["x"]) == 20
    assert float(found.select_one(".landing")["width"]) == pytest.approx(20, abs=0.5)
    assert float(found.select_one(".reserve")["x"]) == 90
    whisker = found.select_one(".whisker")
    middle = float(whisker["x"]) + float(whisker["width"]) / 2
    assert middle == pytest.approx(40, abs=0.5)
    assert "10% kept for you" in found.select_one("svg")["aria-label"]


def test_a_budget_that_will_run_dry_says_when(ctx: Context, login: Account, soup: Soup) -> None:
    now = utc_now()
    half = {"window_minutes": 10080, "resets_at": now + timedelta(hours=84), "observed_at": now}
    make.quota(ctx, login, "seven_day", 80, **half)
    page = soup("/accounts")
    assert "r-dry" in bar(page, "seven_day")["class"]
    assert "runs dry" in words(bar(page, "seven_day"))
    assert float(bar(page, "seven_day").select_one(".landing")["width"]) == pytest.approx(20)
    assert words(page.select_one("#strip .dry")).endswith("Max 20x dry")


def test_the_strip_says_what_expires_and_where(ctx: Context, login: Account, soup: Soup) -> None:
    strip = soup("/").select_one("#strip")
    assert "$0 expires in 24h" in words(strip)
    assert "— runs dry" in words(strip)
    now = utc_now()
    set_rules(ctx, login, week_usd=1000.0)
    last = {"window_minutes": 10080, "resets_at": now + timedelta(hours=12), "observed_at": now}
    make.quota(ctx, login, "seven_day", 30, **last)
    said = words(soup("/").select_one("#strip .expires"))
    assert said.startswith("$6")
    assert said.endswith("expires · Max 20x")


def test_an_account_whose_driver_is_gone_is_still_shown(ctx: Context, soup: Soup) -> None:
    lost = make.account(ctx, "old", "a driver of last year", config_dir="", plan="gold")
    make.quota(ctx, lost, "seven_day", 20, window_minutes=10080)
    make.agent(ctx, "maple", lost)
    card = words(soup("/accounts").select_one(f"#account-{lost.id}"))
    assert "a driver of last year · gold" in card
    assert "Probe now" not in card
    assert "gold" in soup(f"/accounts/{lost.id}").select_one("[name=plan]")["value"]
    assert soup("/").select_one("#budgets .budget")


def test_subscriptions_are_at_a_glance_on_the_fleet_page(
    ctx: Context, login: Account, soup: Soup
) -> None:
    assert soup("/").select_one("#budgets").has_attr("hidden")
    now = utc_now()
    make.quota(ctx, login, "requests_per_minute", 5, window_minutes=1, resets_at=now + MINUTE)
    assert soup("/").select_one("#budgets").has_attr("hidden")
    make.quota(ctx, login, "five_hour", 61, window_minutes=300, resets_at=now + 60 * MINUTE)
    week = {"window_minutes": 10080, "resets_at": now + timedelta(hours=84), "observed_at": now}
    make.quota(ctx, login, "seven_day", 80, **week)
    row = soup("/").select_one("#budgets .budget")
    assert "5 h 61%" in words(row.select_one(".short"))
    assert "week 80% runs dry" in words(row.select_one(".long"))
    assert words(row).endswith("0 agents")


# ---- rules and logins ----


def set_rules(ctx: Context, account: Account, /, **rules: object) -> None:
    with ctx.db.write() as db:
        for field, value in rules.items():
            setattr(account, field, value)
        db.merge(account)


def test_an_account_is_added_with_its_rules(ctx: Context, post: Callable[..., Any]) -> None:
    answer = post(
        "/accounts",
        name="work",
        driver="anthropic_api",
        auth="api_key",
        daily_cap_usd="$25",
        models="a, b",
        by_hand="1",
        rank="3",
    )
    assert answer.headers["hx-redirect"] == "/accounts"
    account = accounts_service.named_account(ctx, "work")
    assert (account.daily_cap_usd, account.models, account.rank) == (25.0, ["a", "b"], 3)
    assert not account.is_automatic


def test_rules_are_changed_and_lifted(
    ctx: Context, login: Account, soup: Soup, post: Callable[..., Any]
) -> None:
    set_rules(ctx, login, week_usd=500.0, max_running=2)
    page = soup(f"/accounts/{login.id}")
    assert page.select_one("[name=week_usd]")["value"] == "500"
    answer = post(f"/accounts/{login.id}/rules", reserve_percent="15", max_running="3")
    assert "The rules of Max 20x are kept." in answer.text
    account = accounts_service.named_account(ctx, login.name)
    assert (account.reserve_percent, account.max_running, account.week_usd) == (15, 3, None)
    assert account.is_automatic
    wrong = post(f"/accounts/{login.id}/rules", max_running="two")
    assert wrong.status_code == 422
    assert "must be a whole number" in wrong.text
    assert accounts_service.named_account(ctx, login.name).max_running == 3


def test_a_sheet_is_a_part_for_the_script_and_a_page_without(
    client: TestClient, login: Account
) -> None:
    part = client.get(f"/accounts/{login.id}", headers=OURS)
    assert part.text.startswith('<div class="sheet-body">')
    assert "<!doctype html>" in client.get(f"/accounts/{login.id}").text
    assert client.get("/accounts/99").status_code == 404


def test_who_is_logged_out_is_told_how_to_log_in(
    ctx: Context, login: Account, soup: Soup, post: Callable[..., Any]
) -> None:
    directory = ctx.home.path / "a login"
    directory.mkdir()
    set_rules(ctx, login, login="out", login_problem="It expired.", config_dir=str(directory))
    card = soup("/accounts").select_one(f"#account-{login.id}")
    assert card["data-login"] == "out"
    assert "Logged out. It expired." in words(card)
    command = card.select_one("code.command").text
    assert f"'{directory}'" in command
    assert card.select_one("[data-copy]")["data-copy"] == command
    assert "every 15 seconds" in post(f"/accounts/{login.id}/watch").text
    assert login.id in probe_times.desk(ctx).watched
    set_rules(ctx, login, login="in", identity="ada@example.org", login_problem="")
    card = soup("/accounts").select_one(f"#account-{login.id}")
    assert "logged in as ada@example.org" in words(card)
    assert not card.select(".login-box")


def test_asking_now_asks(ctx: Context, login: Account, post: Callable[..., Any]) -> None:
    assert "Asking for Max 20x" in post(f"/accounts/{login.id}/probe").text
    assert login.id in probe_times.desk(ctx).asked


@pytest.mark.parametrize(
    ("kind", "minutes", "said"),
    [
        ("five_hour", 300, "5 h"),
        ("seven_day", 10080, "week"),
        ("seven_day_opus", 10080, "week, opus"),
        ("43200m", 43200, "30 days"),
        ("five_hour_spark", 300, "5 h, spark"),
        ("seven_day", 1440, "day"),
        ("90m", 90, "90 min"),
        ("unknown", None, "unknown"),
        ("requests_per_minute", 1, "requests per minute"),
    ],
)
def test_a_window_is_named_by_its_length(kind: str, minutes: int | None, said: str) -> None:
    assert windows.label(kind, minutes) == said
