"""The Throughput page: the waterfall in words, the week's hours, spending; and the balancer."""

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.models import Account, BalancerDecision
from app.models.base import utc_now
from app.services import balancer
from app.services.context import Context
from app.store import agents, balancing
from app.web.contexts import throughput
from tests.app import factories as make
from tests.app.web import week
from tests.app.web.conftest import OURS, Soup

Post = Callable[..., Any]


@pytest.fixture
def house(gallery_house: Context) -> Context:
    week.fill(gallery_house, days=1)
    return gallery_house


def words(part: BeautifulSoup) -> str:
    return " ".join(part.get_text(" ").split())


def test_an_empty_house_says_what_will_be_seen(soup: Soup) -> None:
    page = soup("/throughput")
    assert "Nothing measured yet" in words(page.select_one("#waterfall"))
    assert "Nothing was spent" in words(page.select_one("#usage"))
    assert "No budget has reset" in words(page.select_one("#expired"))
    assert "No decision yet" in words(page.select_one("#balancer"))


@pytest.mark.usefixtures("house")
def test_the_waterfall_names_who_can_mend_each_loss(soup: Soup) -> None:
    rungs = soup("/throughput").select("#waterfall .rung")
    names = [words(rung.select_one("span")) for rung in rungs]
    assert names == ["paid for", "provisioned", "demanded", "unblocked", "placed", "useful"]
    shares = [float(rung.select_one(".left")["width"]) for rung in rungs]
    assert shares[0] == 100
    assert shares == sorted(shares, reverse=True)
    for above, rung in zip(shares, rungs[1:], strict=False):
        end = float(rung.select_one(".lost")["x"]) + float(rung.select_one(".lost")["width"])
        assert end == pytest.approx(above, abs=0.2)  # what is lost begins where the rung ends
    assert words(rungs[2]).count("the backlog") == 2  # who, and what it was
    assert "you −$" in words(rungs[3])  # noqa: RUF001
    assert "/h" in words(rungs[3].select_one(".dollars"))


@pytest.mark.usefixtures("house")
def test_spending_is_told_by_what_was_chosen(soup: Soup, client: TestClient) -> None:
    page = soup("/throughput?hours=24&by=agent")
    assert page.select_one('#usage [aria-current="true"]').text == "agent"
    names = [row.text for row in page.select("#usage tbody th")]
    assert "maple" in names
    assert "outside Quarterdeck" in names
    assert "≈ $" in words(page.select_one("#usage tbody tr"))
    assert soup("/throughput?by=account&hours=1").select_one("#waterfall [aria-current]").text
    for wrong in ("?by=secret", "?hours=2"):
        assert client.get(f"/throughput{wrong}").status_code == 404


@pytest.mark.usefixtures("house")
def test_hours_tokens_and_expired_budgets_are_tables_too(soup: Soup) -> None:
    page = soup("/throughput")
    rows = page.select(".heat tbody tr")
    assert tuple(words(row.select_one("th")) for row in rows) == throughput.DAYS
    assert {len(row.select("td")) for row in rows} == {24}
    cells = page.select(".heat td")
    assert any(cell["class"] != ["unknown"] and cell.text.endswith("%") for cell in cells)
    assert "UTC" in cells[0]["title"]
    table = page.select_one("#tokens-table table")
    assert "Max 20x" in words(table.select_one("thead"))
    assert len(table.select("tbody tr")) >= 12
    assert "≈ $" in words(page.select_one("#expired h2"))


@pytest.mark.usefixtures("house")
def test_an_open_page_is_kept_fresh(app: FastAPI, client: TestClient) -> None:
    url = "/ws/page?topics=throughput:24:account,balancer"
    with client.websocket_connect(url, headers={"origin": OURS["origin"]}) as opened:
        told = opened.receive_text()
        for part in ("waterfall", "heat", "usage", "expired", "tokens-table", "balancer"):
            assert f'hx-target="#{part}"' in told
        balancer.set_mode(app.state.ctx, "off")
        app.state.bus.publish("balancer")
        again = opened.receive_text()
        assert 'hx-target="#balancer"' in again
        assert 'hx-target="#heat"' not in again


# ---- the balancer ----


def pressed(page: BeautifulSoup) -> str:
    (button,) = page.select('.mode[aria-pressed="true"]')
    return str(button["value"])


def test_the_mode_is_switched_and_automatic_ones_are_explained(
    ctx: Context, soup: Soup, post: Post
) -> None:
    page = soup("/throughput")
    assert pressed(page) == "advise"
    asked = {
        form.button["value"]: form.get("hx-confirm", "") for form in page.select(".modes form")
    }
    assert asked["off"] == asked["advise"] == ""
    assert "terms" in asked["auto_new"]
    assert "while you are away" in asked["auto_all"]
    assert "The balancer: auto, new work." in post("/balancer/mode", mode="auto_new").text
    assert pressed(soup("/throughput")) == "auto_new"
    assert post("/balancer/mode", mode="full").status_code == 422
    with ctx.db.read() as db:
        assert balancer.mode(db) == "auto_new"


@pytest.mark.usefixtures("house")
def test_a_decision_is_a_sentence_that_unfolds_to_its_numbers(soup: Soup) -> None:
    rows = soup("/throughput").select(".decisions > li")
    first = words(rows[0].select_one("summary"))
    assert first.startswith(
        "finch: Move to Max 20x: its account runs dry. Costs $0.41, saves 1.2 h."
    )
    assert {button.text.split()[0] for button in rows[0].select("button")} == {"Apply", "Dismiss"}
    scales = {words(row.select_one("th")): words(row) for row in rows[0].select("tbody tr")}
    assert len(scales) == 6
    assert any("refused until" in name for name in scales)
    assert words(rows[0].select_one(".took th")) == "Max 20x"
    assert "0.58%/h" in words(rows[0].select_one(".took"))
    by_hand = next(row for row in rows if "You moved it." in row.text)
    assert "By hand." in words(by_hand)
    assert words(by_hand.select_one("button")).startswith("Undo")


def advice(ctx: Context) -> tuple[int, Account, Account]:
    """Advice to move an idle agent to another account: (its id, from, to)."""
    home, other = (make.account(ctx, name, "scripted", auth="none") for name in ("home", "other"))
    agent = make.agent(ctx, "maple", home)
    decided = BalancerDecision(
        mode="advise",
        action="move",
        state="advised",
        reason="Move to other: why not.",
        agent_id=agent.id,
        from_account_id=home.id,
        to_account_id=other.id,
        at=utc_now(),
    )
    return make.save(ctx, decided).id or 0, home, other


def account_of(ctx: Context, name: str) -> int | None:
    with ctx.db.read() as db:
        agent = agents.by_name(db, name)
    return agent.account_id if agent else None


def state_of(ctx: Context, decision_id: int) -> str:
    with ctx.db.read() as db:
        row = balancing.get(db, decision_id)
        assert row is not None
        return row.state


def test_advice_is_dismissed_once(ctx: Context, post: Post) -> None:
    decision_id, *_ = advice(ctx)
    assert "Dismissed" in post(f"/balancer/{decision_id}/dismiss").text
    assert state_of(ctx, decision_id) == "dismissed"
    assert post(f"/balancer/{decision_id}/dismiss").status_code == 409
    assert post("/balancer/999/dismiss").status_code == 404


def test_advice_waits_in_the_inbox_and_is_applied_and_undone(
    ctx: Context, post: Post, soup: Soup
) -> None:
    decision_id, home, other = advice(ctx)
    (item,) = soup("/inbox").select("#inbox > [id^=need-advice]")
    assert "maple: Move to other: why not." in words(item)
    assert words(item.select_one("button")).startswith("Apply")

    answer = post(f"/balancer/{decision_id}/apply")
    assert "Done as advised" in answer.text
    assert 'hx-target="#inbox"' in answer.text
    assert state_of(ctx, decision_id) == "applied"
    assert account_of(ctx, "maple") == other.id
    assert not soup("/inbox").select("[id^=need-advice]")

    assert "Undone" in post(f"/balancer/{decision_id}/undo").text
    assert account_of(ctx, "maple") == home.id
    assert state_of(ctx, decision_id) == "undone"


def test_an_account_that_is_logged_out_waits_for_the_human(ctx: Context, soup: Soup) -> None:
    shut = make.account(ctx, "shut", login="out", login_problem="Its login has expired.")
    make.agent(ctx, "maple", shut)
    item = soup("/inbox").select_one(f"#need-login-{shut.id}")
    assert words(item) == "shut maple logged out Its login has expired. Its tasks wait."
