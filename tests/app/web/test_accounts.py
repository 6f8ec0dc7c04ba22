"""The Accounts page: windows as bars, what is unknown, what was spent, kept fresh."""

import time
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.models import Account, UsageMinute
from app.models.base import utc_now
from app.services.context import Context
from app.web.contexts import accounts
from tests.app import factories as make
from tests.app.web.conftest import OURS, Soup

MINUTE = timedelta(minutes=1)


@pytest.fixture
def login(ctx: Context) -> Account:
    return make.account(ctx)


def bar(page: BeautifulSoup, kind: str) -> BeautifulSoup:
    (found,) = page.select(f'.window[data-kind="{kind}"]')
    return found


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
    assert "5 h 61% pace 70%, resets" in words(found)
    assert "in 1h" in words(found)
    assert words(found.select_one(".read")) == "age 2m"
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
    assert len(page.select(".unknown")) == 1
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
    assert card.startswith("Today 100k tok out, 100k in all, ≈ $1.50")
    assert card.endswith("7 days 300k out, ≈ $3.00 + unpriced")
    assert "≈ $3.00 + unpriced" in soup("/agents/maple").select_one("#agent-head").text
    with ctx.db.write() as db:
        session.cost_usd = 2.5
        db.merge(session)
    head = soup("/agents/maple").select_one("#agent-head").text
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


def test_a_new_reading_comes_to_an_open_page(
    ctx: Context, login: Account, app: FastAPI, client: TestClient
) -> None:
    url = "/ws/page?topics=accounts"
    with client.websocket_connect(url, headers={"origin": OURS["origin"]}) as opened:
        assert "not reported yet" in opened.receive_text()
        make.quota(ctx, login, "five_hour", 42, window_minutes=300)
        app.state.bus.publish("accounts")
        assert 'width="42.0"' in opened.receive_text()


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
    assert accounts.label(kind, minutes) == said
