"""Moving an agent from the page: what it costs is shown before it is done."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.models import Account
from app.services.context import Context
from app.store import agents
from tests.app import factories as make
from tests.app.web.conftest import OURS, Soup

Post = Callable[..., Any]


@pytest.fixture
def logins(ctx: Context) -> list[Account]:
    """Three keyless endpoints and an agent on the first; the last is logged out."""
    made = [
        make.account(ctx, name, "scripted", auth="none", rank=rank)
        for rank, name in enumerate(("home", "other", "shut"))
    ]
    with ctx.db.write() as db:
        made[2].login, made[2].login_problem = "out", "It is shut."
        db.merge(made[2])
    make.agent(ctx, "maple", made[0])
    return made


@pytest.mark.usefixtures("logins")
def test_every_other_account_is_listed_with_what_the_move_means(soup: Soup) -> None:
    page = soup("/agents/maple/move?to=other")
    ways = page.select(".ways > li")
    assert [way.b.text for way in ways] == ["other", "shut"]
    assert "chosen" in ways[0]["class"]
    assert "maple goes to other at once" in ways[0].text
    assert "$0" in ways[0].select_one(".numbers").text
    assert ways[0].select_one("[name=account]")["value"] == "other"
    assert ways[0].button.has_attr("autofocus")
    assert "cannot" in ways[1]["class"]
    assert "It is shut." in ways[1].text
    assert not ways[1].select("form")


@pytest.mark.usefixtures("logins")
def test_looking_at_a_move_moves_nothing(ctx: Context, client: TestClient) -> None:
    before = account_of(ctx, "maple")
    part = client.get("/agents/maple/move", headers=OURS)
    assert part.text.startswith('<div class="sheet-body"')
    assert account_of(ctx, "maple") == before
    assert client.get("/agents/nobody/move").status_code == 404


def test_a_confirmed_move_is_made_and_said(
    ctx: Context, logins: list[Account], post: Post, soup: Soup
) -> None:
    answer = post("/agents/maple/move", account="other")
    assert answer.status_code == 200, answer.text
    assert "maple is on other." in answer.text
    assert account_of(ctx, "maple") == logins[1].id
    seats = soup("/accounts").select_one(f"#account-{logins[1].id} .seats")
    assert seats.select_one("[data-agent=maple]")
    refused = post("/agents/maple/move", account="shut")
    assert refused.status_code == 409
    assert "It is shut." in refused.text


def test_an_agents_quota_is_set_shown_and_lifted(
    ctx: Context, logins: list[Account], post: Post, soup: Soup
) -> None:
    assert logins
    assert "no quota" in soup("/agents/maple").select_one("#agent-head .today").text
    said = post("/agents/maple/quota", unit="usd", amount="10", stays="1").text
    assert "maple may use $10 a day." in said
    today = soup("/agents/maple").select_one("#agent-head .today").text
    assert "quota $10 a day" in today
    assert "stays on its account" in today
    assert soup("/agents/maple/quota").select_one("[name=amount]")["value"] == "10"
    assert "maple has no quota." in post("/agents/maple/quota", unit="usd", amount="").text
    with ctx.db.read() as db:
        agent = agents.by_name(db, "maple")
        assert agent is not None
        assert (agent.quota_unit, agent.is_movable) == ("", True)
    assert post("/agents/maple/quota", unit="usd", amount="ten").status_code == 422


def account_of(ctx: Context, name: str) -> int:
    with ctx.db.read() as db:
        agent = agents.by_name(db, name)
        assert agent is not None
        return agent.account_id
