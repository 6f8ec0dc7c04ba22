"""What each page shows of a house in every state, and of an empty one."""

import pytest
from starlette.testclient import TestClient

from agents import events as ev
from app.main import create_app
from app.models import AgentClock, AgentMinute
from app.models.base import utc_now
from app.services import diffs, seen
from app.services.context import Context
from app.store import merge_requests
from app.web import regions
from app.web.render import NAVIGATION
from tests.app import factories as make
from tests.app.web import gallery
from tests.app.web.conftest import Soup

PAGES = ["/", "/inbox", "/reviews", "/tasks", "/accounts", "/throughput", "/record", "/agents"]


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_house_teaches(soup: Soup, path: str) -> None:
    page = soup(path)
    assert page.select_one("#strip .fact b").text == "$0"
    assert page.select_one("#strip .rates .fact:nth-child(2) b").text == "0"
    assert page.select(".teach, .calm"), path
    assert not page.select(".rehearsal")


@pytest.mark.parametrize("path", [*PAGES, "/reviews/1", "/agents/maple", "/agents/linden"])
@pytest.mark.usefixtures("gallery_house")
def test_every_page_has_the_strip_the_navigation_and_its_place(soup: Soup, path: str) -> None:
    page = soup(path)
    assert page.select_one("#strip .s-waiting_human").text.split()[0] == "1"
    assert len(page.select(".nav a")) == len(NAVIGATION) + 1
    here = "Fleet" if path == "/" else path.split("/")[1].title()
    assert page.select_one('.nav [aria-current="page"]').text.split()[0] == here
    ids = [tag["id"] for tag in page.select("[id]")]
    assert len(ids) == len(set(ids))


@pytest.mark.usefixtures("gallery_house")
def test_the_strip_sums_the_fleet_up(soup: Soup) -> None:
    strip = soup("/").select_one("#strip").get_text(" ", strip=True)
    assert "3 decoding 1 tool 1 you 1 quota 0 slot 2 idle 1 error 1 off" in strip
    assert "14m 2 waits, oldest" in strip
    assert "dry Max 5x until" in strip
    assert "3 queued" in strip
    assert "4 to review" in strip


@pytest.mark.usefixtures("gallery_house")
def test_a_tile_says_what_an_agent_does(soup: Soup) -> None:
    page = soup("/")
    maple = page.select_one("#tile-maple")
    assert "s-decoding" in maple["class"]
    assert maple.select_one(".what").text == "Parser: accept trailing commas in lists"
    assert maple.select_one(".line").text == "Edit src/parse/list.py +18 −4"  # noqa: RUF001
    assert maple.select_one(".who").text == "Claude Code · Max 20x"
    assert maple.select_one(".age").text == "12m"
    line = maple.select(".spark polyline")
    assert line[-1]["class"] == ["s-decoding"]
    assert sum(len(piece["points"].split()) for piece in line) == 40 + len(line) - 1
    assert not maple.select(".badge")
    assert page.select_one("#tile-otter .badge.bad").text == "unsandboxed"
    assert "returns" in page.select_one("#tile-finch .line").text
    assert page.select("#tile-heron .spark polyline")[-1]["class"] == ["s-waiting_human"]
    assert "s-off" in page.select_one("#tile-yew")["class"]


def test_a_sparkline_has_the_colours_of_its_minutes(gallery_house: Context, soup: Soup) -> None:
    maple = gallery.seat(gallery_house, "maple")[0]
    now = int(utc_now().timestamp()) // 60
    for ago, state in ((30, "tool"), (20, "waiting_human"), (10, "decoding")):
        for minute in range(now - ago, now - ago + 10):
            row = {"agent_id": maple.id, "minute": minute, "state": state, "milliseconds": 60_000}
            make.save(gallery_house, AgentMinute(**row))
    born = {"since_ms": now * 60_000, "born_ms": (now - 30) * 60_000}
    make.save(gallery_house, AgentClock(agent_id=maple.id, state="decoding", **born))
    line = soup("/").select("#tile-maple .spark polyline")
    shown = [piece["class"][0] for piece in line]
    assert shown == ["s-none", "s-tool", "s-waiting_human", "s-decoding"]
    assert len(line[1]["points"].split()) == 11  # ten minutes, and the way to the next


@pytest.mark.usefixtures("gallery_house")
def test_the_inbox_can_be_answered_in_place(soup: Soup) -> None:
    for path in ("/", "/inbox"):
        inbox = soup(path).select_one("#inbox")
        asks = inbox.select("li.s-waiting_human")
        assert [ask.select_one(".name").text for ask in asks] == ["heron", "otter"]
        assert asks[0].select_one(".command").text == "rm -rf build/ && make dist"
        form = asks[0].select_one("form")
        assert form["hx-post"].startswith("/permissions/")
        values = [button["value"] for button in form("button")]
        assert values == ["allow", "allow_always", "deny"]
        assert len(inbox.select("[id^=need-review]")) == 4
        assert "exit code 134" in inbox.select_one("[id^=need-task]").text
        assert "Max 5x" in inbox.select_one("[id^=need-account]").text


def test_the_inbox_approves_only_what_was_looked_at(gallery_house: Context, soup: Soup) -> None:
    def offered(number: int) -> tuple[bool, str]:
        item = soup("/inbox").select_one(f"#need-review-{number}")
        link = item.select_one(".to-see")
        return item.select_one("form") is not None, link.text if link else ""

    assert offered(1) == (False, "its diff is being computed")
    assert offered(2) == (False, "3 files to look at")
    assert offered(3) == (True, "")  # care glance, its check runs
    assert offered(4) == (False, "look why")  # its check failed
    with gallery_house.db.read() as db:
        request = merge_requests.get(db, 2)
    assert request is not None
    seen.note(gallery_house, merge_request_id=2, head_sha=request.head_sha)
    assert offered(2) == (True, "")


@pytest.mark.usefixtures("gallery_house")
def test_a_merge_request_shows_all_that_a_verdict_needs(soup: Soup) -> None:
    page = soup("/reviews/2")
    head = page.select_one("form[hx-post='/reviews/2/approve'] input[name=head_sha]")["value"]
    assert len(head) == 40
    assert page.select_one(".verdict h2 code").text == head[:10]
    assert "its own words, not checked" in page.select_one(".said").text
    assert page.select_one(".file summary .path").text == "src/resolve/graph.py"
    added = page.select(".diff .add td:last-child")
    assert added[0].text == "    order = self._graph.topological(wanted)"
    assert len(page.select(".commits li")) == 3
    assert "61 passed" in page.select_one(".output").text
    assert page.select_one(".before dd") is not None


def test_the_verdict_is_bound_to_the_commit_on_the_page(
    gallery_house: Context, client: TestClient
) -> None:
    page = client.get("/reviews/2").text
    with gallery_house.db.write() as db:
        request = merge_requests.get(db, 2)
        assert request is not None
        seen, request.head_sha = request.head_sha, "f" * 40
        db.add(request)
    live = regions.find(gallery_house, f"review:2:{seen}").draw()["review-side"].html
    assert seen in page
    assert "f" * 40 not in live
    assert "form" not in live
    assert "newer commits" in live


def test_a_diff_that_is_not_computed_yet_comes_later(
    gallery_house: Context, client: TestClient, soup: Soup
) -> None:
    waiting = soup("/reviews/3").select_one("#review-diff")
    assert waiting["hx-trigger"] == "every 2s"
    assert client.get(waiting["hx-get"]).status_code == 204
    seen = waiting["hx-get"].split("seen=")[1]
    stored = make.stored_diff(make.file_diff("a.py", ["x"], ["y"]), head_sha=seen)
    diffs.store(diffs.request_path(gallery_house, 3, seen), stored)
    assert "a.py" in client.get(waiting["hx-get"]).text


@pytest.mark.usefixtures("gallery_house")
def test_the_backlog_keeps_the_humans_order_and_offers_moves(soup: Soup) -> None:
    page = soup("/tasks")
    rows = page.select("#backlog > li")
    assert len(rows) == 12
    first, second = rows[0], rows[1]
    assert first.select_one("[data-key=K]").parent.select_one("[name=before]")["value"] == ""
    below = second.select_one("[data-key=J]").parent.select_one("[name=before]")["value"]
    assert below == rows[3]["data-task"]
    assert rows[-1].select_one(".task-state").text == "draft"
    assert page.select_one("#new form")["hx-post"] == "/tasks"


@pytest.mark.usefixtures("gallery_house")
def test_an_agents_page_joins_its_log(soup: Soup) -> None:
    page = soup("/agents/maple")
    log = page.select_one("#log")
    texts = [block.text for block in log.select(".text")]
    assert texts[0] == "I will look at the list rule and at how its error is made."
    failed = log.select_one("[data-call=k4]")
    assert failed.select_one(".how").text == "exit 1"
    assert failed.select_one(".output").text.count("\n") == 3
    assert log.select_one("[data-call=k6] .how").text == "running"
    assert "while it worked" in log.select(".you")[1].text
    assert page.select_one("#agent-changes .file .path").text == "src/parse/list.py"
    assert not page.select(
        "#agent-changes .file-index, #agent-changes .files"
    )  # the pane is narrow
    assert page.select_one("form.say")["hx-post"].endswith("/say")
    chunk = log.select_one(".chunk")
    assert (chunk["data-first"], chunk["data-last"]) == ("1", "25")


@pytest.mark.usefixtures("gallery_house")
def test_a_question_has_its_buttons_in_the_log_and_below(soup: Soup) -> None:
    page = soup("/agents/heron")
    ask = page.select_one("#log .ask form")
    assert ask.select_one("[name=request_id]")["value"] == "r1"
    assert page.select_one("#agent-asks form")["hx-post"] == "/permissions/1"


def test_an_older_session_is_shown_when_asked_for(
    gallery_house: Context, client: TestClient, soup: Soup
) -> None:
    agent, older, task = gallery.seat(gallery_house, "maple")
    newest = make.session(gallery_house, agent, task, activity="tool")
    assert soup("/agents/maple").select_one("#log")["data-session"] == newest.id
    page = soup(f"/agents/maple?session={older.id}")
    assert page.select_one("#log")["data-session"] == older.id
    assert "show the newest" in page.select_one("#agent-head").text
    assert client.get("/agents/otter", params={"session": older.id}).status_code == 404


def test_the_log_is_paged_both_ways(gallery_house: Context, soup: Soup) -> None:
    _, session, _ = gallery.seat(gallery_house, "birch")
    texts = [ev.Text(f"m{n}", f"line {n}", final=True) for n in range(1, 1301)]
    make.journal(gallery_house, session, make.records(*texts))
    page = soup("/agents/birch")
    chunks = page.select("#log .chunk")
    assert (chunks[0]["data-first"], chunks[-1]["data-last"]) == ("1001", "1300")
    assert page.select_one("[data-older]")["href"].endswith("before=1001")
    older = soup(f"/agents/birch/log?session={session.id}&before=1001").select(".chunk")
    assert (older[0]["data-first"], older[-1]["data-last"]) == ("501", "1000")
    newer = soup(f"/agents/birch/log?session={session.id}&after=1150").select(".chunk")
    assert (newer[0]["data-first"], newer[-1]["data-last"]) == ("1151", "1300")
    assert soup(f"/agents/birch?session={session.id}&before=1001").select_one("#log .text")


@pytest.mark.usefixtures("gallery_house")
def test_the_palette_finds_by_letters(soup: Soup) -> None:
    found = [link["href"] for link in soup("/go?q=lockf").select("a")]
    assert found == ["/reviews/2", "/tasks#task-2"]
    assert soup("/go?q=zzz").select_one(".none")
    assert soup("/go").select_one("a")["href"] == "/"


@pytest.mark.parametrize(
    "path", ["/nope", "/agents/nobody", "/reviews/999", "/agents/maple?session=s-none"]
)
def test_an_error_is_one_sentence_and_a_way_out(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert 'href="/"' in answer.text
    assert "Traceback" not in answer.text
    note = client.get(path, headers={"hx-request": "true"})
    assert note.headers["hx-retarget"] == "#notice"
    assert client.get("/api/v1/tasks/999").json()["error"]["code"] == "not_found"


def test_a_rehearsal_is_labelled_on_every_page(ctx: Context) -> None:
    ctx.settings.rehearsal = True
    app = create_app(ctx.settings, supervise=False)
    with TestClient(app) as client:
        client.get(f"/?token={app.state.token}")
        for path in PAGES:
            assert "Rehearsal." in client.get(path).text
