# ruff: noqa: E501, RUF001, PLR0915 (what agents say is long and well set)
"""A house in every state, made of rows and journals, to look at and to test pages with.

    python -m tests.app.web.gallery --port 8490

serves it without a supervisor and prints the address with its token.
"""

import argparse
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from agents import events as ev
from app.models import Agent, Session, Task
from app.models.base import utc_now
from app.services import diffs
from app.services.context import Context
from app.store import agents, sessions, tasks
from tests.app import factories as make
from tests.app.web import judged, pile, week

# Of the requests below, by their agent: care, its rule, risks.
CARE: dict[str, tuple[str, str, list[dict[str, object]]]] = {
    "raven": ("read", "code", [pile.ADDED]),
    "otter": ("read", "code", [pile.SCHEMA, pile.PUBLIC]),
    "birch": ("glance", "docs and tests", []),
    "cedar": ("glance", "by quarterdeck.toml", []),
    "heron": ("study", "settings", [pile.REMOVED]),
}
WAVE = [3, 5, 9, 14, 22, 31, 38, 41, 37, 30, 26, 29, 35, 44, 52, 49, 40, 33, 28, 31]


def fill(ctx: Context) -> None:
    """Eight agents in all states, a backlog, merge requests, permissions, a parked account."""
    now = utc_now()
    repo = make.repository(ctx)
    big = make.account(ctx, "Max 20x", config_dir="/home/ada/.claude-20x")
    small = make.account(ctx, "Max 5x", config_dir="/home/ada/.claude-5x")
    codex = make.account(ctx, "Codex Pro", "codex", config_dir="/home/ada/.codex")
    plus = make.account(ctx, "Codex Plus", "codex", config_dir="/home/ada/.codex-plus")
    key = make.account(
        ctx, "research key", "anthropic_api", auth="api_key", secret_env="ANTHROPIC_API_KEY"
    )
    box = make.account(ctx, "box-2", "openai_api", auth="none", base_url="http://box-2:8000/v1")
    for login, kind, minutes, used, left, read in (
        (big, "five_hour", 300, 61, 72, 2),
        (big, "seven_day", 10080, 74, 3200, 2),
        (big, "seven_day_opus", 10080, 31, 3200, 2),
        (small, "five_hour", 300, 100, 72, 40),
        (small, "seven_day", 10080, 22, 1920, 40),
        (codex, "five_hour", 300, 12, -3, 19),
        (codex, "seven_day", 10080, 48, 5300, 19),
        (key, "requests_per_minute", 1, 8, 1, 0),
    ):
        make.quota(
            ctx,
            login,
            kind,
            used,
            window_minutes=minutes,
            resets_at=now + timedelta(minutes=left),
            observed_at=now - timedelta(minutes=read),
            status="rejected" if used == 100 else "allowed",
            refused_until=now + timedelta(minutes=left) if used == 100 else None,
        )
    with ctx.db.write() as db:
        small.limited_until = now + timedelta(hours=1, minutes=12)
        db.merge(small)

    def worker(
        name: str, login: object, title: str, activity: str, minutes: int, rate: int, **more: object
    ) -> tuple[Agent, Task, Session]:
        agent = make.agent(ctx, name, login)  # type: ignore[arg-type]
        task_state = str(more.pop("task_state", "running"))
        work = make.task(
            ctx,
            repo,
            title,
            state=task_state,
            agent_id=agent.id,
            started_at=now - timedelta(minutes=minutes),
            branch=f"qd/{name}/{title.split()[0].lower().strip(':')}",
            **{key: more.pop(key) for key in ("parked_until", "state_reason") if key in more},
        )
        seated = make.session(
            ctx,
            agent,
            work,
            activity=activity,
            created_at=now - timedelta(minutes=minutes),
            started_at=now - timedelta(minutes=minutes),
            output_tokens=minutes * max(rate, 90),
            **more,
        )
        series = [int(value * max(rate, 60) / 40) for value in WAVE + WAVE[::-1]]
        if activity not in ("decoding", "tool"):
            series[-12:] = [0] * 12
        else:
            series[-2:] = [rate, rate // 2]
        make.usage(ctx, seated, series)
        return agent, work, seated

    maple = worker(
        "maple",
        big,
        "Parser: accept trailing commas in lists",
        "decoding",
        12,
        412,
        last_line="Edit src/parse/list.py +18 −4",
        model="claude-opus-5-5",
    )
    otter = worker(
        "otter",
        codex,
        "Speed up lockfile resolution",
        "tool",
        31,
        96,
        last_line="$ pytest -q tests/resolve  214 passed, 3 running",
        is_sandboxed=False,
    )
    heron = worker(
        "heron",
        big,
        "Migrate settings to pydantic v3",
        "waiting_human",
        48,
        0,
        last_line="Asks: run “rm -rf build/ && make dist”?",
        activity_at=now - timedelta(minutes=14),
    )
    birch = worker(
        "birch",
        codex,
        "Flaky test in test_watch.py",
        "decoding",
        6,
        288,
        last_line="The race is between close() and the poller; I will join the thread first.",
    )
    worker(
        "finch",
        small,
        "Docs: rewrite the tutorial",
        "waiting_quota",
        124,
        0,
        state="stopped",
        task_state="parked",
        parked_until=now + timedelta(hours=1, minutes=12),
        state_reason="The five hour window is used up.",
        activity_at=now - timedelta(minutes=40),
    )
    cedar = worker(
        "cedar",
        key,
        "Value embeddings: weight decay",
        "decoding",
        70,
        133,
        last_line="val_bpb 0.9731 after 300 steps, 0.0021 better than the incumbent",
    )
    raven = worker(
        "raven",
        plus,
        "Port the command line to typer",
        "idle",
        19,
        0,
        task_state="review",
        last_line="Ported all nine verbs; help texts are unchanged.",
    )
    worker(
        "wren",
        key,
        "Rename the cache directory",
        "error",
        22,
        0,
        state="crashed",
        task_state="failed",
        state_reason="The vendor’s program ended with exit code 134 three times; look at its log, then try again.",
        error="crashed",
        error_message="The vendor’s program ended with exit code 134.",
        last_line="claude: out of memory (exit 134)",
    )
    make.agent(ctx, "linden", box)
    make.agent(ctx, "yew", plus, is_enabled=False)

    make.permission(
        ctx,
        heron[2],
        "rm -rf build/ && make dist",
        created_at=now - timedelta(minutes=14),
        reason="The release archive has to be built from a clean tree.",
    )
    make.permission(
        ctx,
        otter[2],
        "curl -fsSL https://example.org/lock.json -o fixtures/lock.json",
        created_at=now - timedelta(minutes=3),
    )

    requests = [
        (
            raven,
            240,
            301,
            12,
            "passed",
            [],
            "Ported the command line to typer.\n\nAll nine verbs keep their names and exit codes; the help texts were compared with the old ones and are unchanged. I removed the hand-written completion script, since typer ships one. 61 tests pass.",
        ),
        (
            otter,
            412,
            188,
            6,
            "passed",
            [],
            "depth is now the graph’s own; the recursion limit goes away. 214 tests pass, 2.8× faster on the large fixture.",
        ),
        (birch, 6, 2, 1, "running", [], "close() joins the poller before it frees the handle."),
        (cedar, 3, 1, 1, "failed", [], "Weight decay on value embeddings."),
        (
            heron,
            88,
            96,
            9,
            "passed",
            [{"path": "app/settings.py", "kind": "content"}],
            "Settings moved to pydantic v3.",
        ),
    ]
    made = []
    for (worked, work, seated), plus_, minus, files, state, conflicts, said in requests:
        care, rule, risks = CARE[worked.name]
        code = {"files": files, "additions": plus_, "deletions": minus}
        request = make.merge_request(
            ctx,
            seated,
            work,
            additions=plus_,
            deletions=minus,
            files=files,
            conflicts=conflicts,
            summary=said,
            intent=said.split(". ")[0],
            care=care,
            care_reasons=[{"level": care, "rule": rule, "paths": ["src/resolve/graph.py"]}],
            risks=risks,
            sizes={"code": code, "tests": {"files": 1, "additions": 31, "deletions": 0}},
            state="conflicted" if conflicts else "open",
            created_at=now - timedelta(minutes=4 * files),
            updated_at=now - timedelta(minutes=3 * files),
        )
        tail = (
            "tests/test_embed.py F\nE   assert 0.9731 < 0.9700\n1 failed, 60 passed in 41.2s\n"
            if state == "failed"
            else "61 passed in 38.4s\n"
        )
        make.check(
            ctx,
            request,
            state,
            output_tail=tail,
            exit_code={"failed": 1, "passed": 0}.get(state),
            ended_at=None if state == "running" else now - timedelta(minutes=2),
        )
        made.append(request)
    paths = ("src/resolve/graph.py", "app/settings.py")
    pile.scan(ctx, repo, [("otter", "heron", "text", paths, "")])
    diff = make.stored_diff(
        make.file_diff(
            "src/resolve/graph.py",
            ["    for name in sorted(wanted):", "        self._walk(name, depth=0)"],
            [
                "    order = self._graph.topological(wanted)",
                "    for name in order:",
                "        self._walk(name)",
                "    return self._lock",
                "",
                "def topological(self, roots: Iterable[str]) -> list[str]:",
                '    """Names in dependency order, ties by name; raises Cycle with the path."""',
            ],
            start=212,
            additions=118,
            deletions=64,
        ),
        make.file_diff("src/resolve/lock.py", ["RECURSION = 2000"], [], start=9),
        make.file_diff(
            "tests/resolve/test_graph.py",
            [],
            [
                "def test_it_orders_ties_by_name() -> None:",
                '    assert order("b", "a") == ["a", "b"]',
            ],
            status="added",
            additions=96,
        ),
        head_sha=made[1].head_sha,
        subjects=(
            "resolve: walk in topological order",
            "resolve: drop the recursion limit",
            "tests: ties, cycles, the large fixture",
        ),
    )
    diffs.store(diffs.request_path(ctx, made[1].id or 0, made[1].head_sha), diff)
    diffs.store(
        diffs.session_path(ctx, maple[2].id),
        make.stored_diff(
            make.file_diff(
                "src/parse/list.py",
                ["    if token.kind != COMMA:", "        break"],
                [
                    "    if token.kind != COMMA:",
                    "        return items",
                    "    if self.peek().kind == CLOSE:  # a trailing comma",
                    "        return items",
                ],
                start=88,
                additions=18,
                deletions=4,
            ),
            make.file_diff(
                "tests/parse/test_list.py",
                [],
                [
                    "def test_it_accepts_a_trailing_comma() -> None:",
                    '    assert parse("[1, 2,]") == [1, 2]',
                ],
                start=40,
                additions=31,
            ),
            subjects=("parse: accept a trailing comma in lists",),
        ),
    )
    diffs.store(
        diffs.session_path(ctx, heron[2].id),
        make.stored_diff(make.file_diff("app/settings.py", ["a"], ["b"])),
    )
    merged = make.task(
        ctx,
        repo,
        "Read the version from one place",
        state="done",
        ended_at=now - timedelta(hours=3),
        agent_id=maple[0].id,
    )
    make.merge_request(
        ctx,
        None,
        merged,
        title=merged.title,
        agent_id=maple[0].id,
        state="merged",
        additions=14,
        deletions=22,
        files=3,
        decided_at=now - timedelta(hours=3),
    )
    make.merge_request(
        ctx,
        None,
        merged,
        title="Vendor the tokenizer",
        agent_id=cedar[0].id,
        state="rejected",
        state_reason="Too large to keep; use the package.",
        additions=9120,
        deletions=0,
        files=41,
        decided_at=now - timedelta(hours=5),
    )
    for title in (
        "Cache the parsed configuration",
        "Say which file was not found",
        "Windows paths in the glob matcher",
    ):
        make.task(ctx, repo, title)
    make.task(
        ctx,
        repo,
        "Rewrite the scheduler",
        state="draft",
        prompt="Think first: write down what it must guarantee, then propose.\n\nNo code yet.",
    )
    make.journal(ctx, maple[2], make.records(*_conversation()))
    make.journal(ctx, heron[2], make.records(*_asking()))


def seat(ctx: Context, name: str) -> tuple[Agent, Session, Task]:
    """An agent of the house with its newest session and that one's task."""
    with ctx.db.read() as db:
        agent = agents.by_name(db, name)
        assert agent is not None
        session = sessions.of_agent(db, agent.id or 0)[0]
        task = tasks.get(db, session.task_id)
        assert task is not None
        return agent, session, task


def _conversation() -> list[ev.Event]:
    return [
        ev.SessionStarted("c-1", model="claude-opus-5-5", version="2.1.330"),
        ev.UserMessage(
            "u1",
            "Parser: accept trailing commas in lists\n\nAccept `[1, 2,]` everywhere a list is allowed, with tests. Keep the error message for `[,]`.",
            origin="task",
        ),
        ev.TurnStarted("t1"),
        ev.Thinking(
            "m1",
            "The list rule lives in src/parse/list.py. The loop breaks at the first token that is no comma; a trailing comma makes it try to parse an item and fail on the bracket.",
        ),
        ev.Text("m1", "I will look at the list rule "),
        ev.Text("m1", "and at how its error is made.", final=True),
        ev.ToolCall("k1", "Read", "read", "src/parse/list.py"),
        ev.ToolResult(
            "k1",
            "86  while True:\n87      items.append(self.item())\n88      if token.kind != COMMA:\n89          break\n",
        ),
        ev.ToolCall(
            "k2",
            "Grep",
            "search",
            "expected an item",
            {"pattern": "expected an item", "path": "tests"},
        ),
        ev.ToolResult("k2", "tests/parse/test_list.py:31\ntests/parse/test_errors.py:12\n"),
        ev.ToolCall(
            "k3",
            "Edit",
            "edit",
            "src/parse/list.py",
            {
                "old_string": "        break",
                "new_string": "        return items\n    if self.peek().kind == CLOSE:  # a trailing comma\n        return items",
            },
        ),
        ev.ToolResult("k3"),
        ev.ToolCall("k4", "Bash", "execute", "pytest -q tests/parse"),
        ev.ToolOutput("k4", "................................F.....\n"),
        ev.ToolOutput(
            "k4",
            "FAILED tests/parse/test_errors.py::test_it_names_the_bracket\n1 failed, 37 passed in 0.41s\n",
        ),
        ev.ToolResult("k4", is_error=True, exit_code=1),
        ev.Usage(
            "claude-opus-4-5", output_tokens=1200, input_tokens=900, cache_read_tokens=182_000
        ),
        ev.Text(
            "m2",
            "One error test depends on the old position: `[,]` is now reported at the comma, not at the bracket. The task says to keep that message, so I check for an empty list before the trailing comma.",
            final=True,
        ),
        ev.UserMessage("u2", "Also accept it in tuples, please.", steered=True),
        ev.ToolCall(
            "k5",
            "Edit",
            "edit",
            "src/parse/list.py",
            {"old_string": "if self.peek()", "new_string": "if items and self.peek()"},
        ),
        ev.ToolResult("k5"),
        ev.Retrying(
            "overloaded", "The service is busy.", attempt=1, max_attempts=10, delay_seconds=4
        ),
        ev.ToolCall("k6", "Bash", "execute", "pytest -q"),
        ev.ToolOutput(
            "k6", "............................................................  [ 61%]\n"
        ),
        ev.Text(
            "m3",
            "While the whole suite runs: tuples share the rule, so the change covers them; I add a te",
        ),
    ]


def _asking() -> list[ev.Event]:
    return [
        ev.SessionStarted("c-2", model="claude-opus-5-5"),
        ev.UserMessage("u1", "Migrate settings to pydantic v3.", origin="task"),
        ev.Text(
            "m1",
            "The archive has to be built from a clean tree, so I remove build/ first.",
            final=True,
        ),
        ev.ToolCall("k1", "Bash", "execute", "rm -rf build/ && make dist"),
        ev.PermissionRequested(
            "r1",
            "execute",
            "Bash",
            "rm -rf build/ && make dist",
            call_id="k1",
            reason="The release archive has to be built from a clean tree.",
        ),
    ]


def main() -> None:
    import uvicorn

    from app.main import create_app

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8490)
    parser.add_argument("--empty", action="store_true", help="a house with nothing in it")
    parser.add_argument("--rehearsal", action="store_true")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="gallery"))
    ctx = make.context(home, port=given.port, rehearsal=given.rehearsal)
    if not given.empty:
        fill(ctx)
        pile.fill(ctx)
        week.fill(ctx)
        judged.fill(ctx)
    ctx.db.close()
    app = create_app(ctx.settings, supervise=False)
    sys.stdout.write(f"http://127.0.0.1:{given.port}/?token={app.state.token}\n")
    sys.stdout.flush()
    uvicorn.run(
        app,
        port=given.port,
        log_level="warning",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
