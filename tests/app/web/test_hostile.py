"""Whatever an agent or a repository says, wherever it is shown, stays text."""

import html
import json
import re

import pytest
from bs4 import BeautifulSoup
from starlette.testclient import TestClient

from agents import events as ev
from app.models import BalancerDecision, Batch, MergeRequest, Radar, Session
from app.services import diffs
from app.services.context import Context
from app.store import merge_requests
from app.web import logview, regions
from tests.app import factories as make

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus=alert(1) x="',
    "javascript:alert(1)",
    "<a href='javascript:alert(1)'>x</a>",
    "</pre></div><iframe src=//evil.example></iframe>",
    "</title><script>alert(1)</script>",
    "</template><script>alert(1)</script>",
    "<hx-partial hx-target='#notice'>x</hx-partial>",
    '<div hx-get="/go" hx-trigger="load" hx-on:load="alert(1)">',
    "<form hx-post=/reviews/1/approve hx-trigger=load>",
    "<template hx type=partial>x</template>",
    "<body hx-ws:connect=//evil.example>",
    "<style>*{display:none}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;//evil.example'>",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "<!-- --><![CDATA[<script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07",
    "\x1b[2J\x9b31m\x07\x00hidden",
    "\u202egnp.exe\u2066",
    "\ufeff<\u200bscript>",
    "<scr\x00ipt>alert(1)</script>",
    "<math><mtext></p><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "`${alert(1)}`",
    "a" * 5000,
]
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
TAGS = set(
    """html head meta title link script body a header nav button span p b i section main article
    footer svg polyline rect aside h1 h2 ul ol li div dialog input dl dt dd kbd form pre details
    summary textarea label select option template table colgroup col tbody thead tr td th time code
    small caption fieldset legend datalist hx-partial strong progress pattern text""".split()  # noqa: SIM905
)
LINKS = ("href", "src", "action", "formaction", "hx-get", "hx-post", "hx-ws:connect")
PAGES = [
    "/", "/inbox", "/reviews", "/reviews/1", "/unions/1", "/tasks", "/accounts", "/agents",
    "/agents/maple", "/agents/maple/move", "/agents/maple/quota", "/accounts/1", "/go?q=",
    "/throughput", "/throughput?by=agent", "/throughput?by=model", "/throughput?by=task",
]  # fmt: skip
REGIONS = [
    "strip", "fleet", "inbox", "tasks", "reviews", "accounts", "review:1:x", "output:1",
    "union:1:x", "agent:maple", "balancer", "throughput:24:model",
]  # fmt: skip


@pytest.fixture(params=range(0, len(PAYLOADS), 6))
def payloads(request: pytest.FixtureRequest, ctx: Context) -> list[str]:
    """A house in which every word is one of six payloads."""
    chosen = PAYLOADS[request.param : request.param + 6]
    for evil in chosen:
        furnish(ctx, evil)
    return chosen


def furnish(ctx: Context, evil: str) -> None:
    with ctx.db.read() as db:
        first = not merge_requests.open_ones(db)
    repo = make.repository(
        ctx, slug=f"r{make.sha()[:6]}", base_branch=evil, path=f"/{make.sha()}{evil}"
    )
    login = make.account(
        ctx, f"{evil}{make.sha()[:4]}", base_url=evil, config_dir=evil, secret_env=evil,
        plan=evil, models=[evil], login="out", login_problem=evil, credits=evil, identity=evil,
    )  # fmt: skip
    make.quota(ctx, login, evil, 50, source=evil, window_minutes=300)
    agent = make.agent(ctx, "maple" if first else f"a{make.sha()[:6]}", login, model=evil)
    task = make.task(
        ctx,
        repo,
        evil,
        prompt=f"{evil}\n{evil}",
        state_reason=evil,
        state="failed",
        agent_id=agent.id,
    )
    session = make.session(
        ctx, agent, task, last_line=evil, summary=evil, branch=evil, model=evil, error=evil,
        error_message=evil, is_sandboxed=False,
    )  # fmt: skip
    weighed = [{"account_id": 0, "account": evil, "running": 1, "refusal": evil}]
    decided = {"mode": "advise", "action": "move", "state": "advised", "reason": evil}
    make.save(ctx, BalancerDecision(agent_id=agent.id, weighed=weighed, **decided))
    make.usage(ctx, session, [100])
    make.permission(ctx, session, evil, name=evil, tool="other", reason=evil, request_id=evil)
    request = make.merge_request(
        ctx, session, task, title=evil, summary=evil, branch=evil, state_reason=evil,
        base_branch=evil,
        conflicts=[{"path": evil, "kind": "content"}],
        intent=evil,
        pull_url=evil,
        care="study",
        care_reasons=[{"level": "study", "rule": evil, "paths": [evil]}],
        risks=[{"kind": evil, "points": 3, "says": evil, "paths": [evil]}],
    )  # fmt: skip
    make.check(ctx, request, "failed", output_tail=evil, command=evil)
    make.comment(ctx, request, evil, path=evil, line=2)
    file = make.file_diff(evil, [evil], [evil])
    stored = make.stored_diff(file, head_sha=request.head_sha, subjects=(evil,))
    diffs.store(diffs.request_path(ctx, request.id or 0, request.head_sha), stored)
    diffs.store(diffs.session_path(ctx, session.id), stored)
    members = [{"merge_request_id": request.id, "head_sha": request.head_sha}]
    batch = Batch(repository_id=repo.id or 0, base_branch=evil, kind="union", members=members,
                  left=[{"merge_request_id": request.id, "paths": [evil]}], state_reason=evil,
                  state="ready", head_sha=request.head_sha)  # fmt: skip
    diffs.store(diffs.union_path(ctx, make.save(ctx, batch).id or 0), stored)
    make.save(ctx, radar_of(repo.id or 0, request, session, evil))
    make.journal(ctx, session, make.records(*every_event(evil)))


def radar_of(repository_id: int, request: MergeRequest, session: Session, evil: str) -> Radar:
    """Its merge request and its session's later work collide in both ways."""
    hostile = {"sha": evil, "agent": evil, "title": evil, "branch": evil, "session_id": session.id}
    members = [
        {**hostile, "key": "base", "merge_request_id": None, "session_id": ""},
        {**hostile, "key": str(request.id), "merge_request_id": request.id},
        {**hostile, "key": session.id, "merge_request_id": None},
    ]
    symbol = {"name": evil, "path": evil, "other_path": evil, "says": evil}
    hit = {"one": str(request.id), "other": session.id, "paths": [evil]}
    return Radar(
        repository_id=repository_id,
        base_branch=evil,
        members=members,
        collisions=[
            {**hit, "kind": "text", "symbols": []},
            {**hit, "kind": "symbol", "symbols": [symbol]},
            {**hit, "other": "base", "kind": "text", "symbols": []},
        ],
        uncovered={evil: 1},
    )


def every_event(evil: str) -> list[ev.Event]:
    return [
        ev.SessionStarted(evil, model=evil, version=evil),
        ev.UserMessage(evil, evil),
        ev.Text(evil, evil),
        ev.Thinking(evil, evil),
        ev.ToolCall(evil, evil, "execute", evil, {evil: evil, "nested": {"a": [evil]}}),
        ev.ToolOutput(evil, evil),
        ev.ToolResult(evil, evil, is_error=True),
        ev.ToolOutput(f"{evil}!", evil),
        ev.PermissionRequested(evil, "execute", evil, evil, reason=evil),
        ev.PermissionResolved(evil, "deny", evil),
        ev.Quota([ev.QuotaWindow(evil, 5.0)], "rejected"),
        ev.Retrying("network", evil),
        ev.Failed("auth", evil),
        ev.TurnEnded(evil, "failed", evil),
        ev.Notice(evil),
        ev.Unparsed(evil),
        ev.Exited("crashed", 1, evil),
    ]


def check(text: str, where: str) -> None:
    """Only our own elements, none with a handler, a foreign link or a control character."""
    assert not FORBIDDEN.search(text), where
    for tag in BeautifulSoup(text, "html.parser")(True):
        assert tag.name in TAGS, (where, tag.name)
        for name, value in tag.attrs.items():
            assert not name.startswith(("on", "hx-on")), (where, tag)
            if name in (
                "href",
                "src",
                "action",
                "formaction",
                "hx-get",
                "hx-post",
                "hx-ws:connect",
            ):
                assert str(value).startswith(("/", "#", "?")), (where, name, value)
                assert not str(value).startswith("//"), (where, name, value)
        if tag.name == "script":
            assert str(tag["src"]).startswith("/static/"), where
            assert not tag.string, where


def test_every_page_shows_it_as_text(payloads: list[str], client: TestClient) -> None:
    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        check(answer.text, path)
    shown = html.unescape(client.get("/tasks").text)
    for evil in payloads:
        if not FORBIDDEN.search(evil):
            assert evil in shown


def test_every_live_region_sends_it_as_text(payloads: list[str], ctx: Context) -> None:
    assert payloads
    for name in REGIONS:
        check(regions.draw(ctx, [name]), name)


@pytest.mark.parametrize("evil", PAYLOADS)
def test_every_event_is_text_in_a_frame(evil: str) -> None:
    records = make.records(*every_event(evil))
    check(logview.chunks(records, "s-1"), evil)
    for record in records:
        check(json.loads(logview.frame([record], "s-1"))["html"], evil)


def test_an_error_sentence_is_text_too(client: TestClient) -> None:
    for evil in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>"):
        answer = client.get(f"/agents/{evil}")
        assert answer.status_code == 404
        check(answer.text, evil)
