"""Agents can't promote themselves: a hostile session against the real server, boxed and not."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from agents import sandbox
from app.settings import Settings
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.serving import Server, wait

PROBE = Path(__file__).with_name("probe.py")
WRITE = "git commit --allow-empty -qm Start; echo x > x.txt; git add -A; git commit -qm X"
NEEDED = "write_own_worktree"


def probe(deck: Deck, server: Server) -> dict[str, bool]:
    """What of the thirteen attempts worked from inside a session of maple's."""
    offered = deck.add_task(agent="otter", run=WRITE)
    server.start()
    url = server.url
    wait(lambda: deck.task(offered).state == "review")
    request = deck.request(offered)
    given = {
        "home": str(deck.ctx.home.path),
        "human": str(deck.repository),
        "url": url,
        "server_pid": server.pid,
        "other": deck.session(offered).worktree,
        "request_id": request.id,
        "head_sha": request.head_sha,
    }
    code = shlex.quote(PROBE.read_text())
    command = f"{sys.executable} -c {code} {shlex.quote(json.dumps(given))}"
    hostile = deck.add_task(agent="maple", run=command)
    deck.bus.publish("wake")
    wait(lambda: "tool_result" in deck.journal(hostile))
    records = [json.loads(line)["event"] for line in deck.journal(hostile).splitlines()]
    output = "".join(event["text"] for event in records if event["kind"] == "tool_output")
    found: dict[str, bool] = json.loads(output.strip().splitlines()[-1])
    return found


@pytest.mark.skipif(not sandbox.available().ok, reason="bubblewrap is not installed here")
def test_a_boxed_session_promotes_itself_in_no_way(fleet: Deck, server: Server) -> None:
    worked = probe(fleet, server)
    assert worked.pop(NEEDED)
    assert [name for name, did in worked.items() if did] == []
    assert len(worked) == 13


def test_the_attempts_work_where_nothing_stops_them(
    fleet: Deck, server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe is worth something only if it succeeds without the box."""
    monkeypatch.setenv("QUARTERDECK_SANDBOX", "false")
    settings.sandbox = False
    worked = probe(fleet, server)
    succeeded = {name for name, did in worked.items() if did}
    assert len(succeeded) >= 12  # ~/.ssh need not exist
    assert {"approve_over_http", "approve_in_the_database", "move_main"} <= succeeded
