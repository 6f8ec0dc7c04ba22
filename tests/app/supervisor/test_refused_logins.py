"""Real drivers whose service refuses the login in mid-run, then takes it again."""

import asyncio

import pytest

from agents.rehearsal.server import RehearsalServer
from app.services import accounts, agents, tasks
from tests.app.supervisor.conftest import Deck

KEY = "QD_TEST_LOGIN"
CASES = [
    pytest.param("openai_api", "api_key", id="key"),
    pytest.param("claude_code", "subscription", id="token", marks=pytest.mark.slow),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("driver", "auth"), CASES)
async def test_refused_work_waits_and_goes_on_when_the_login_is_mended(
    deck: Deck, monkeypatch: pytest.MonkeyPatch, driver: str, auth: str
) -> None:
    monkeypatch.setenv(KEY, "sk-ant-oat01-rehearsed")
    with RehearsalServer() as rehearsal:
        url = rehearsal.anthropic_url if driver == "claude_code" else rehearsal.openai_url
        given = {"driver": driver, "auth": auth, "secret_env": KEY, "is_rehearsal": True}
        accounts.add_account(deck.ctx, name="Login", base_url=url("401"), **given)
        agents.add_agent(deck.ctx, name="raven", driver=driver, account="Login", permissions="auto")
        made = tasks.add_task(
            deck.ctx, repository=None, title="", prompt="Say hello in a file", agent="raven"
        )
        work = made.id or 0
        task = await deck.until_task(work, "parked", seconds=60)
        assert f"${KEY}" in task.state_reason
        account = accounts.named_account(deck.ctx, "Login")
        assert (account.login, account.login_problem in task.state_reason) == ("out", True)
        await deck.until(lambda: deck.state(work) == "stopped")
        await asyncio.to_thread(accounts.set_account, deck.ctx, name="Login", base_url=url("happy"))
        await deck.until_task(work, "review", seconds=60)
    assert accounts.named_account(deck.ctx, "Login").login in ("in", "unknown")
    assert deck.request(work).files == 1
