"""`quarterdeck review`, `union` and `decisions` as a human types them, on a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services.context import Context
from tests.app.cli.test_check import Shell
from tests.app.services.desk import Desk
from tests.app.supervisor.serving import Server


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    desk = Desk(ctx, tmp_path / "ship")
    desk.offer("echo one > one.py", care="read")
    desk.offer("echo two > two.py", care="study")
    return desk


@pytest.fixture
def shell(desk: Desk) -> Iterator[Shell]:
    server = Server(desk.ctx.home.path, desk.path)
    server.start()
    yield Shell(server)
    server.kill()


def test_what_was_printed_is_seen_and_a_verdict_is_taken_back(desk: Desk, shell: Shell) -> None:
    assert "one.py not shown yet" in shell("review", "approve", "1", status=1)
    assert "+one" in shell("review", "show", "1")
    assert "is approved" in shell("review", "approve", "1", "--after", "2")
    assert desk.get(1).after == [2]
    assert "Merge request 1 is open" in shell("review", "undo", "1")
    assert "two.py not ticked yet" in shell("review", "approve", "2", status=1)
    assert "ticked" in shell("review", "tick", "2", "two.py")
    assert "shown" in shell("review", "tick", "2", "--untick")
    assert "no earlier state" in shell("review", "since", "1", status=1)
    verbs = [json.loads(line)["verb"] for line in shell("decisions").splitlines()]
    assert [verb for verb in verbs if verb in ("approve", "undo")] == ["approve", "undo"]
    assert shell("decisions", "--since", "2999-01-01") == ""


@pytest.mark.slow
def test_verdicts_answer_in_json_and_the_queue_says_why_it_waits(shell: Shell) -> None:
    shell("review", "show", "1")
    given = json.loads(shell("review", "approve", "1", "--after", "2", "--json"))
    assert (given["state"], given["after"]) == ("approved", [2])
    assert "after #2" in shell("queue")
    assert json.loads(shell("queue", "--json"))["waiting"][0]["merge_request_id"] == 1
    assert json.loads(shell("review", "undo", "1", "--json"))["after"] == []


@pytest.mark.slow
def test_a_union_is_made_read_and_approved(desk: Desk, shell: Shell) -> None:
    assert "Union 1 is building" in shell("union", "make", "1", "2")
    while "ready" not in (shown := shell("union", "show", "1")):
        assert "building" in shown
    assert "+two" in shown
    assert "#1, #2" in shell("union", "list")
    assert "not ticked" in shell("union", "approve", "1", status=1)
    shell("union", "tick", "1")
    assert "#1, #2" in shell("union", "approve", "1")
    assert {"approved", "landing", "merged"} >= set(desk.states(1, 2))
