"""What the real programs tell of their accounts, asked of the rehearsal server; and lying ones."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.base import AccountReport, Endpoint, LaunchSpec, Sandbox
from agents.drivers.codex import find_binary
from agents.events import Quota
from agents.registry import DRIVERS, driver
from agents.rehearsal.accounts import Account
from agents.rehearsal.counts import Tokens
from agents.rehearsal.scenario import Limits
from agents.rehearsal.server import RehearsalServer
from agents.testing import DriverCase, Stage
from tests.agents.drivers.gate import Gate
from tests.agents.drivers.logins import claude_login, codex_login

TOKEN = "sk-ant-oat01-rehearsed"
ACCOUNTS = {
    TOKEN: Account(limits=Limits(five_hour_percent=92, seven_day_percent=40)),
    "account-one": Account(limits=Limits(five_hour_percent=None, seven_day_percent=100)),
}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}


def used(report: AccountReport) -> dict[str, float]:
    assert report.quota is not None, report
    return {window.kind: window.used_percent for window in report.quota.windows}


@pytest.mark.usefixtures("claude_binary")
def test_claude_codes_login_tells_identity_plan_and_windows(
    tmp_path: Path, env: dict[str, str]
) -> None:
    account = claude_login(tmp_path / "account", TOKEN)
    with RehearsalServer(accounts=ACCOUNTS) as server, Gate(tmp_path, server.port) as gate:
        report = driver("claude_code").read_account(
            Endpoint(config_dir=str(account)), env | gate.env()
        )
        assert any(line.startswith("GET /api/oauth/usage") for line in gate.asked)
        assert server.requests == [], "no model was asked, so no token was spent"
    assert (report.logged_in, report.problem) == (True, "")
    assert report.identity == "someone@example.invalid (someone)"
    assert report.plan in {plan.id for plan in driver("claude_code").capabilities.plans}
    assert used(report) == {"five_hour": 92, "seven_day": 40}
    assert report.quota is not None
    assert report.quota.status == "warning"
    left = list(account.rglob("*.lock*")) + list((account / "sessions").iterdir())
    assert left == [], "it was ended in order"


@pytest.mark.usefixtures("claude_binary")
@pytest.mark.parametrize(
    ("kind", "tier", "plan"),
    [
        ("max", "default_claude_max_5x", "max_5x"),
        ("pro", "default_claude_ai", "pro"),
        ("team", "default_raven", "team"),
    ],
)
def test_claude_codes_plans_have_their_own_names(
    tmp_path: Path, env: dict[str, str], kind: str, tier: str, plan: str
) -> None:
    account = claude_login(tmp_path / "account", kind=kind, tier=tier)
    endpoint = Endpoint(config_dir=str(account), base_url="http://127.0.0.1:9")
    report = driver("claude_code").read_account(endpoint, env)
    assert (report.logged_in, report.plan, report.quota) == (True, plan, None)


@pytest.mark.usefixtures("claude_binary")
def test_claude_code_tells_who_is_not_logged_in(tmp_path: Path, env: dict[str, str]) -> None:
    ask = driver("claude_code").read_account
    out = ask(Endpoint(config_dir=str(tmp_path / "out")), env)
    assert (out.logged_in, out.quota) == (False, None)
    assert f"CLAUDE_CONFIG_DIR={tmp_path / 'out'} claude auth login" in out.problem
    unset = ask(Endpoint(secret_env="TOKEN"), env)
    assert unset.logged_in is False
    assert "TOKEN is not set" in unset.problem
    by_token = Endpoint(secret_env="TOKEN", config_dir=str(tmp_path / "token"))
    given = ask(by_token, env | {"TOKEN": TOKEN})
    assert given == AccountReport(logged_in=True), "such a token may not read the meter"


@pytest.mark.usefixtures("claude_binary")
def test_a_meter_that_is_not_reached_is_unknown_and_says_so(
    tmp_path: Path, env: dict[str, str]
) -> None:
    account = claude_login(tmp_path / "account")
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9"}
    report = driver("claude_code").read_account(Endpoint(config_dir=str(account)), env | nowhere)
    assert (report.logged_in, report.quota) == (True, None)
    assert "asked again" in report.problem


@pytest.mark.usefixtures("codex_binary")
def test_codexs_login_tells_identity_plan_and_windows(
    tmp_path: Path, env: dict[str, str], rehearsal: RehearsalServer
) -> None:
    home = codex_login(tmp_path / "account", rehearsal, "warn")
    report = driver("codex").read_account(Endpoint(config_dir=str(home)), env)
    assert (report.logged_in, report.problem) == (True, "")
    assert (report.identity, report.plan) == ("someone@example.invalid (account-)", "pro")
    assert report.plan in {plan.id for plan in driver("codex").capabilities.plans}
    limits = rehearsal.library.scenarios["warn"].limits
    assert used(report) == {
        "five_hour": limits.five_hour_percent,
        "seven_day": limits.seven_day_percent,
    }


def login_spec(tmp: Path, scenario: str, rehearsal: RehearsalServer) -> LaunchSpec:
    """A session of Codex on a made-up ChatGPT login."""
    home = codex_login(tmp / "account", rehearsal, scenario)
    (tmp / "home").mkdir(exist_ok=True)
    return LaunchSpec(
        session_id="test",
        driver="codex",
        cwd=str(tmp / "worktree"),
        home=str(tmp / "home"),
        binary=find_binary(dict(os.environ)),
        endpoint=Endpoint(config_dir=str(home)),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp / "home")},
        sandbox=Sandbox(),
    )


@pytest.mark.slow
@pytest.mark.usefixtures("codex_binary", "git_worktree")
async def test_a_session_and_the_meter_tell_of_one_account(tmp_path: Path) -> None:
    limits = Limits(five_hour_percent=20, five_hour_tokens=100_000, seven_day_percent=None)
    with RehearsalServer(accounts={"account-one": Account(limits=limits)}) as server:
        stage = Stage(DriverCase("codex", login_spec, secret=""), server, tmp_path)
        async with stage.session("happy") as live:
            assert (await live.turn()).outcome == "completed"
            readings = [quota.windows for quota in live.host.of(Quota)]
            output, fresh, written, read = live.tokens()
        counted = server.counted
        spec = login_spec(tmp_path, "happy", server)
        report = driver("codex").read_account(spec.endpoint, spec.env)
    climbing = [window.used_percent for (window,) in readings]
    assert climbing == sorted(set(climbing))
    assert climbing[0] == 20
    (((who, _), tokens),) = counted.items()
    assert who == "account-one"
    assert tokens == Tokens(output, fresh, written, read)
    assert used(report) == {"five_hour": int(20 + 100 * tokens.total / 100_000)}


@pytest.mark.usefixtures("codex_binary")
def test_a_weekly_window_in_the_first_slot_is_weekly(tmp_path: Path, env: dict[str, str]) -> None:
    with RehearsalServer(accounts=ACCOUNTS) as server:
        home = codex_login(tmp_path / "account", server)
        report = driver("codex").read_account(Endpoint(config_dir=str(home)), env)
    assert used(report) == {"seven_day": 100}
    assert report.quota is not None
    assert report.quota.status == "rejected"


@pytest.mark.usefixtures("codex_binary")
def test_codex_tells_who_is_not_logged_in(tmp_path: Path, env: dict[str, str]) -> None:
    ask = driver("codex").read_account
    (tmp_path / "out").mkdir()
    out = ask(Endpoint(config_dir=str(tmp_path / "out")), env)
    assert (out.logged_in, out.quota) == (False, None)
    assert f"CODEX_HOME={tmp_path / 'out'} codex login" in out.problem
    missing = ask(Endpoint(config_dir=str(tmp_path / "missing")), env)
    assert missing.logged_in is False
    assert "no directory" in missing.problem
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("name", ["claude_code", "codex", "anthropic_api", "openai_api"])
def test_a_key_has_no_meter(name: str, env: dict[str, str]) -> None:
    ask = driver(name).read_account
    endpoint = Endpoint(auth="api_key", secret_env="MY_KEY")
    assert ask(endpoint, env | {"MY_KEY": "x"}) == AccountReport()
    unset = ask(endpoint, env)
    assert unset.logged_in is False
    assert "MY_KEY" in unset.problem


LIARS: dict[str, str] = {
    "hangs": "exec sleep 100",
    "leaves_a_child": "sleep 100 & wait",
    "ignores_term": "trap '' TERM; while :; do sleep 1; done",
    "dies": "exit 3",
    "babbles": 'yes \'{"id": 2, "result": 7, "response": []}\'',
    "binary": "head -c 3000000 /dev/urandom",
    "null": "echo null; echo '{\"loggedIn\": true}'; echo '[1'; cat > /dev/null",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["claude_code", "codex"])
@pytest.mark.parametrize("lie", LIARS)
def test_a_program_that_lies_or_hangs_is_bounded(
    tmp_path: Path, name: str, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.drivers.claude_code_account.STATUS_SECONDS", 1.0)
    monkeypatch.setattr("agents.drivers.claude_code_account.METER_SECONDS", 1.0)
    monkeypatch.setattr("agents.drivers.codex_account.ANSWER_SECONDS", 1.0)
    for program in ("claude", "codex"):
        (tmp_path / program).write_text(f"#!/bin/sh\n{LIARS[lie]}\n")
        (tmp_path / program).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    began = time.monotonic()
    report = driver(name).read_account(Endpoint(config_dir=str(tmp_path)), env)
    assert time.monotonic() - began < 10
    assert report.quota is None
    assert report.problem


def test_a_program_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "claude").write_text("no program")
    (tmp_path / "claude").chmod(0o755)
    (tmp_path / "codex").write_text("no program")
    (tmp_path / "codex").chmod(0o755)
    for name in ("claude_code", "codex"):
        report = driver(name).read_account(
            Endpoint(config_dir=str(tmp_path)), {"PATH": str(tmp_path)}
        )
        assert "answer" in report.problem


@pytest.mark.parametrize("name", DRIVERS)
def test_every_driver_has_a_family(name: str) -> None:
    capabilities = driver(name).capabilities
    others = [driver(other).capabilities.family for other in DRIVERS if other != name]
    assert capabilities.family
    assert capabilities.family not in others
    carry: Callable[..., bool] = driver(name).carry
    assert carry("nothing", "/", "/nonexistent", Endpoint(), Endpoint(config_dir="/x")) is False
