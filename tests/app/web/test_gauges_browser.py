"""Gauges in a real Chromium: an agent dragged onto an account, the sheet, the chart, the notice."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from app.models import Account, BalancerDecision
from app.models.base import utc_now
from app.services.context import Context
from app.store import agents
from tests.app import factories as make
from tests.app.web import browsing, week
from tests.app.web.serving import Served

pytestmark = browsing.MARKS


@pytest.fixture
def logins(ctx: Context) -> list[Account]:
    made = [
        make.account(ctx, name, "scripted", auth="none", rank=rank)
        for rank, name in enumerate(("first", "second", "third"))
    ]
    make.agent(ctx, "maple", made[0])
    return made


def account_of(ctx: Context, name: str) -> int:
    with ctx.db.read() as db:
        agent = agents.by_name(db, name)
        assert agent is not None
        return agent.account_id


def test_an_agent_is_dragged_and_the_preview_comes_first(
    ctx: Context, logins: list[Account], served: Served, visit: Page, complaints: list[str]
) -> None:
    first, second, _ = logins
    visit.goto(f"{served.url}/accounts")
    visit.locator("#seat-maple").drag_to(visit.locator(f"#account-{second.id}"))
    sheet = visit.locator("#sheet")
    expect(sheet).to_be_visible()
    expect(sheet.locator(".chosen b").first).to_have_text("second")
    expect(sheet.locator(".chosen")).to_contain_text("maple goes to second at once")
    expect(sheet.locator(".chosen button")).to_be_focused()
    assert account_of(ctx, "maple") == first.id
    visit.keyboard.press("Enter")
    expect(sheet).to_be_hidden()
    expect(visit.locator("#notice")).to_contain_text("maple is on second.")
    expect(visit.locator(f"#account-{second.id} #seat-maple")).to_be_visible()
    assert account_of(ctx, "maple") == second.id
    assert not complaints


def test_the_keyboard_moves_and_escape_leaves_all_as_it_was(
    ctx: Context, logins: list[Account], served: Served, visit: Page, complaints: list[str]
) -> None:
    visit.goto(f"{served.url}/accounts")
    visit.keyboard.press("j")
    visit.keyboard.press("m")
    sheet = visit.locator("#sheet")
    expect(sheet.locator(".ways > li")).to_have_count(2)
    visit.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    assert account_of(ctx, "maple") == logins[0].id
    visit.keyboard.press("e")
    expect(sheet.locator("[name=reserve_percent]")).to_be_visible()
    sheet.locator("[name=reserve_percent]").fill("20")
    visit.keyboard.press("Enter")
    expect(sheet).to_be_hidden()
    expect(visit.locator(f"#account-{logins[0].id}")).to_contain_text("20% kept for you")
    assert not complaints


def test_a_login_that_succeeds_is_noticed(
    ctx: Context, served: Served, visit: Page, complaints: list[str]
) -> None:
    login = make.account(ctx, login="out", login_problem="It expired.")
    visit.goto(f"{served.url}/accounts")
    expect(visit.locator(".login-box")).to_contain_text("It expired.")
    with ctx.db.write() as db:
        login.login, login.identity = "in", "ada@example.org"
        db.merge(login)
    served.on_loop(served.app.state.bus.publish, "accounts")
    expect(visit.locator("#notice")).to_contain_text("Max 20x is logged in.")
    expect(visit.locator(f"#account-{login.id}")).to_contain_text("logged in as ada@example.org")
    assert not complaints


def test_tokens_are_drawn_and_the_time_can_be_chosen(
    gallery_house: Context, served: Served, visit: Page, complaints: list[str]
) -> None:
    week.fill(gallery_house, days=1)
    visit.goto(f"{served.url}/throughput")
    expect(visit.locator("#tokens canvas")).to_be_visible()
    expect(visit.locator("#tokens-legend li").first).to_contain_text("Max 20x")
    drawn = visit.locator("#tokens").bounding_box()
    visit.get_by_role("button", name="1 h", exact=True).click()
    expect(visit.locator('[data-minutes="60"]')).to_have_attribute("aria-pressed", "true")
    visit.get_by_role("button", name="Light or dark").click()
    expect(visit.locator("#tokens canvas")).to_have_count(1)
    assert visit.locator("#tokens").bounding_box() == drawn  # nothing jumps
    visit.set_viewport_size({"width": 390, "height": 844})
    visit.wait_for_timeout(300)
    assert visit.evaluate("document.documentElement.scrollWidth") <= 390
    assert not complaints


def test_gauges_can_be_read_without_javascript(
    gallery_house: Context, browser: Browser, served: Served
) -> None:
    week.fill(gallery_house, days=1)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.login)
    page.goto(f"{served.url}/throughput")
    expect(page.locator("#waterfall .rung")).to_have_count(6)
    page.locator("#tokens-table summary").click()
    expect(page.locator("#tokens-table tbody tr").first).to_be_visible()
    page.locator(".decisions summary").first.click()
    expect(page.locator(".decisions .took").first).to_be_visible()
    page.goto(f"{served.url}/accounts")
    page.locator("#seat-maple").get_by_text("Move").click()
    expect(page.locator(".ways > li").first).to_be_visible()
    context.close()


def test_long_names_and_small_screens_break_nothing(
    ctx: Context, served: Served, visit: Page, complaints: list[str]
) -> None:
    now = utc_now()
    long = make.account(ctx, "W" * 64, identity="w" * 200, login="in", models=["m" * 100])
    for kind, minutes, used in (("five_hour", 300, 100), ("seven_day", 10080, 80)):
        make.quota(
            ctx,
            long,
            f"{kind}_{'x' * 60}" if minutes == 300 else kind,
            used,
            window_minutes=minutes,
            resets_at=now + timedelta(minutes=minutes / 2),
        )
    for number in range(12):
        make.agent(ctx, f"{'w' * 20}{number}", long)
    decided = {"mode": "advise", "action": "move", "state": "advised", "reason": "R" * 300}
    make.save(ctx, BalancerDecision(weighed=[{"account": "W" * 64}], **decided))
    for width in (1440, 1024, 390, 320):
        visit.set_viewport_size({"width": width, "height": 844})
        for path in ("/", "/accounts", "/throughput", f"/accounts/{long.id}"):
            visit.goto(served.url + path)
            wide = visit.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path, width)
    assert not complaints
