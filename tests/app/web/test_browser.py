"""Real pages in a real Chromium: speed, streams, keys, policy, and other people's pages."""

import time

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from agents import events as ev
from agents.events import Record
from app.models import Session
from app.services import diffs
from app.services.context import Context
from app.store import merge_requests
from tests.app import factories as make
from tests.app.web import browsing, gallery
from tests.app.web.serving import Served
from tests.app.web.test_hostile import PAYLOADS, furnish

RECORDS = 200_000
PAGES = ["/", "/inbox", "/reviews", "/reviews/2", "/tasks", "/accounts", "/accounts/1"]
PAGES += ["/throughput", "/agents", "/agents/maple", "/agents/maple/move", "/agents/maple/quota"]

pytestmark = browsing.MARKS


def until(page: Page, script: str, seconds: float = 20.0) -> None:
    """Wait for an expression to hold; the page's policy forbids Playwright's own way (eval)."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(script):
        assert time.monotonic() < deadline, script
        page.wait_for_timeout(10)


def test_no_page_breaks_its_policy_or_loads_from_elsewhere(
    gallery_house: Context, served: Served, visit: Page, complaints: list[str]
) -> None:
    assert gallery_house
    asked: list[str] = []
    visit.on("request", lambda request: asked.append(request.url))
    for path in PAGES:
        visit.goto(served.url + path)
        visit.wait_for_timeout(300)
        width = visit.evaluate("document.documentElement.scrollWidth")
        assert width <= 1440, path
    assert not complaints
    assert all(url.startswith(served.url) for url in asked)


def test_hostile_words_do_nothing(
    ctx: Context, served: Served, visit: Page, complaints: list[str]
) -> None:
    for evil in PAYLOADS:
        furnish(ctx, evil)
    asked: list[str] = []
    visit.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/reviews", "/reviews/1", "/tasks", "/agents/maple", "/accounts"):
        visit.goto(served.url + path)
        visit.wait_for_timeout(400)
        assert visit.evaluate("document.querySelectorAll('iframe, object, base, math').length") == 0
    assert not complaints
    assert all(url.startswith(served.url) for url in asked)


def test_pages_can_be_read_without_javascript(
    gallery_house: Context, browser: Browser, served: Served
) -> None:
    assert gallery_house
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.login)
    expect(page.locator("#tile-maple .what")).to_have_text(
        "Parser: accept trailing commas in lists"
    )
    page.goto(f"{served.url}/agents/maple")
    expect(page.locator("#log .call")).to_have_count(6)
    page.locator("[data-call=k4] summary").click()
    expect(page.locator("[data-call=k4] .output")).to_contain_text("1 failed, 37 passed")
    page.goto(f"{served.url}/reviews/2")
    expect(page.locator(".diff .add").first).to_be_visible()
    context.close()


# ---- the log ----


def talk(count: int, first: int = 1) -> list[Record]:
    return make.records(
        *(ev.Text(f"m{n}", f"line {n}", final=True) for n in range(first, first + count)),
        first=first,
    )


@pytest.fixture
def long_session(gallery_house: Context) -> Session:
    _, session, _ = gallery.seat(gallery_house, "birch")
    make.journal(gallery_house, session, talk(RECORDS))
    return session


def mounted(page: Page) -> list[int]:
    """Sequence numbers on the page, in its order."""
    found = page.evaluate("[...document.querySelectorAll('#log .text')].map(e => +e.dataset.seq)")
    return [int(number) for number in found]


def at_end(page: Page) -> bool:
    script = "(() => { const l = document.getElementById('log');"
    script += "return l.scrollHeight - l.scrollTop - l.clientHeight < 2; })()"
    return bool(page.evaluate(script))


def test_a_log_of_200_000_records_opens_at_its_end_and_scrolls_both_ways(
    long_session: Session, served: Served, visit: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    assert long_session
    visit.goto(f"{served.url}/agents/birch")  # once, so that the files are cached
    began = time.monotonic()
    visit.goto(f"{served.url}/agents/birch", wait_until="commit")
    expect(visit.get_by_text(f"line {RECORDS}", exact=True)).to_be_in_viewport()
    took = time.monotonic() - began
    assert at_end(visit)
    lowest, most = RECORDS, 0
    log = visit.locator("#log")
    for _ in range(12):
        before = mounted(visit)[0]
        log.evaluate("log => log.scrollTop = 300")
        until(visit, f"+document.querySelector('#log .chunk').dataset.first < {before}")
        now = mounted(visit)
        assert now == list(range(now[0], now[-1] + 1))
        lowest, most = min(lowest, now[0]), max(most, len(now))
    seen = log.evaluate("log => log.scrollTop")
    expect(visit.locator("#to-live")).to_be_visible()
    for _ in range(4):
        last = mounted(visit)[-1]
        log.evaluate("log => log.scrollTop = log.scrollHeight - log.clientHeight - 200")
        until(visit, f"+[...document.querySelectorAll('.chunk')].at(-1).dataset.last > {last}")
        now = mounted(visit)
        assert now == list(range(now[0], now[-1] + 1))
        most = max(most, len(now))
    visit.locator("#to-live").click()
    expect(visit.get_by_text(f"line {RECORDS}", exact=True)).to_be_in_viewport()
    expect(visit.locator("#to-live")).to_be_hidden()
    heap = visit.evaluate("performance.memory.usedJSHeapSize") / 1e6
    with capsys.disabled():
        print(f"\n200,000 records: end seen after {took * 1000:.0f} ms; ", end="")  # noqa: T201
        print(f"back to {lowest}, at most {most} mounted, heap {heap:.0f} MB")  # noqa: T201
    assert took < 3.0  # the promise is 1 s; this machine may be busy
    assert most <= 4600
    assert seen > 0


def test_what_is_read_stays_where_it_is_while_older_lines_come(
    long_session: Session, served: Served, visit: Page
) -> None:
    assert long_session
    visit.goto(f"{served.url}/agents/birch")
    expect(visit.get_by_text(f"line {RECORDS}", exact=True)).to_be_in_viewport()
    first = mounted(visit)[0]
    visit.locator("#log").evaluate("log => log.scrollTop = 900")
    visit.wait_for_timeout(50)
    top = "document.querySelector('[data-seq=\"%d\"]').getBoundingClientRect().top"
    mark = first + 40
    before = visit.evaluate(top % mark)
    until(visit, f"+document.querySelector('#log .chunk').dataset.first < {first}")
    visit.wait_for_timeout(300)
    assert abs(visit.evaluate(top % mark) - before) < 40


def test_a_restarted_server_loses_no_line_and_doubles_none(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    _, session, _ = gallery.seat(gallery_house, "birch")
    lines = talk(500)
    make.journal(gallery_house, session, lines[:100])
    visit.goto(f"{served.url}/agents/birch")
    expect(visit.locator("#log[data-connected]")).to_be_visible()
    for start in range(100, 500, 100):
        half = lines[start : start + 50]
        make.journal(gallery_house, session, lines[: start + 50])
        served.on_loop(served.app.state.bus.log(session.id).append, half)
        until(visit, f"document.querySelector('#log [data-seq=\"{start + 50}\"]')")
        served.stop()
        make.journal(gallery_house, session, lines[: start + 100])  # said while nobody served
        served.start()
        until(visit, f"document.querySelector('#log [data-seq=\"{start + 100}\"]')")
    assert mounted(visit) == list(range(1, 501))
    assert at_end(visit)


def test_streamed_pieces_join_and_find_their_folds(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    _, session, _ = gallery.seat(gallery_house, "maple")
    visit.goto(f"{served.url}/agents/maple")
    expect(visit.locator("#log[data-connected]")).to_be_visible()
    channel = served.app.state.bus.log(session.id)
    steps = [
        [ev.Text("m3", "st for tuples")],
        [ev.Text("m3", " too.", final=True)],
        [ev.ToolOutput("k6", "100 passed\n"), ev.ToolResult("k6", exit_code=0)],
        [ev.PermissionRequested("q9", "execute", "Bash", "make dist")],
        [ev.PermissionResolved("q9", "allow")],
    ]
    seq = 25
    for events in steps:
        fresh = make.records(*events, first=seq + 1)
        seq = fresh[-1].seq
        served.on_loop(channel.append, fresh)
    expect(visit.locator("#log .text").last).to_have_text(
        "While the whole suite runs: tuples share the rule, so the change covers them; "
        "I add a test for tuples too."
    )
    fold = visit.locator("[data-call=k6]")
    expect(fold.locator(".how")).to_have_text("ok")
    expect(fold.locator(".output")).to_contain_text("[ 61%]\n100 passed")
    expect(visit.locator("[data-ask=q9] .how")).to_have_text("allowed")
    expect(visit.locator("[data-ask=q9] button")).to_have_count(0)


def test_a_line_is_on_the_page_soon_after_it_is_known(
    gallery_house: Context, served: Served, visit: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    _, session, _ = gallery.seat(gallery_house, "maple")
    visit.goto(f"{served.url}/agents/maple")
    expect(visit.locator("#log[data-connected]")).to_be_visible()
    visit.evaluate(
        """() => { window.waits = []; new MutationObserver(() => {
            window.waits.push(Date.now() - Number(document.getElementById('log').dataset.atMs));
        }).observe(document.getElementById('log'), {attributeFilter: ['data-at-ms']}); }"""
    )
    channel = served.app.state.bus.log(session.id)
    for number in range(60):
        event = ev.Text("m9", f"piece {number} ")
        served.on_loop(channel.append, [Record(26 + number, ev.utc_now(), event)])
        visit.wait_for_timeout(30)
    until(visit, "document.getElementById('log').innerText.includes('piece 59')")
    waits = sorted(visit.evaluate("window.waits"))
    p95 = waits[int(len(waits) * 0.95)]
    with capsys.disabled():
        print(f"\nrecord to page: p50 {waits[len(waits) // 2]} ms, p95 {p95} ms")  # noqa: T201
    assert p95 < 400  # the promise is 150 ms; this machine may be busy


# ---- keys and deeds ----


@pytest.mark.usefixtures("gallery_house")
def test_everything_can_be_reached_by_keys(visit: Page) -> None:
    visit.reload()
    press = visit.keyboard.press
    press("j")
    press("j")
    expect(visit.locator("#tile-otter")).to_be_focused()
    press("k")
    press("o")
    visit.wait_for_url("**/agents/maple")
    press("n")
    expect(visit.locator(".say textarea")).to_be_focused()
    press("Escape")
    press("g")
    press("r")
    visit.wait_for_url("**/reviews")
    press("X")
    expect(visit.locator("[data-bulk]")).to_have_text("Approve 1 selected a")
    press("/")
    visit.keyboard.type("lockfile")
    expect(visit.locator("#palette-list a")).to_have_count(2)
    press("Enter")
    visit.wait_for_url("**/reviews/2")
    press("c")
    expect(visit.locator("#changes-body")).to_be_focused()
    press("Escape")
    press("?")
    expect(visit.locator("#help")).to_be_visible()
    press("Escape")
    expect(visit.locator("#help")).to_be_hidden()


def test_an_approval_by_key_is_for_the_commit_on_the_page(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    visit.goto(f"{served.url}/reviews/2")
    visit.keyboard.press("a")
    expect(visit.locator("#notice a")).to_have_attribute("href", "/reviews/2")  # on to the next
    expect(visit.locator("#notice")).to_contain_text("Approved")
    with gallery_house.db.read() as db:
        request = merge_requests.get(db, 2)
    assert request is not None
    assert request.approved_sha == request.head_sha


def test_an_answer_that_comes_after_the_live_update_is_shown(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    assert gallery_house

    def late(route: Route) -> None:
        answer = route.fetch()
        expect(visit.locator("#review-head .m-approved")).to_have_text("approved")
        route.fulfill(response=answer)

    visit.goto(f"{served.url}/reviews/2")
    visit.route("**/reviews/2/approve", late)
    visit.keyboard.press("a")  # its button is gone with the update, before the answer is there
    expect(visit.locator("#notice")).to_contain_text("Approved")


def test_what_is_written_while_an_answer_is_late_stays(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    assert gallery_house

    def late(route: Route) -> None:
        answer = route.fetch()
        words.fill("The next one")
        route.fulfill(response=answer)

    visit.goto(f"{served.url}/tasks")
    words = visit.locator("#new textarea")
    words.fill("Write the changelog")
    visit.route("**/tasks", late)
    visit.get_by_role("button", name="Add to the backlog").click()
    expect(visit.locator("#notice")).to_contain_text("backlog")
    expect(words).to_have_value("The next one")
    visit.unroute("**/tasks")
    visit.get_by_role("button", name="Add to the backlog").click()
    expect(words).to_have_value("")


def test_a_late_answer_does_not_close_the_sheet_of_another_deed(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    assert gallery_house

    def late(route: Route) -> None:
        answer = route.fetch()
        visit.keyboard.press("Escape")
        expect(visit.locator("#sheet")).to_be_hidden()
        visit.keyboard.press("m")
        expect(visit.locator("#sheet h1")).to_contain_text("Move")
        route.fulfill(response=answer)

    visit.goto(f"{served.url}/agents/maple")
    visit.keyboard.press("e")
    expect(visit.locator("#sheet")).to_be_visible()
    visit.route("**/quota", late)
    visit.locator("#sheet form[data-closes] button:not([type=button])").first.click()
    expect(visit.locator("#notice .notice")).to_have_count(1)
    expect(visit.locator("#sheet")).to_be_visible()


def test_a_refused_deed_says_why(gallery_house: Context, served: Served, visit: Page) -> None:
    assert gallery_house
    visit.goto(f"{served.url}/inbox")
    visit.keyboard.press("a")  # no runner is there to hear it
    expect(visit.locator("#notice .error")).to_contain_text("runner")
    visit.locator("#notice button").click()
    expect(visit.locator("#notice .notice")).to_have_count(0)


def test_a_task_is_written_and_moved(gallery_house: Context, served: Served, visit: Page) -> None:
    assert gallery_house
    visit.goto(f"{served.url}/tasks")
    visit.keyboard.press("n")
    visit.keyboard.type("Write the changelog")
    visit.get_by_role("button", name="Add to the backlog").click()
    rows = visit.locator("#backlog > li .title")
    expect(rows.last).to_have_text("Write the changelog")
    expect(visit.locator("#new textarea")).to_have_value("")
    visit.locator("#backlog > li").last.focus()
    visit.keyboard.press("K")
    expect(rows.nth(11)).to_have_text("Write the changelog")
    visit.locator("#backlog > li").nth(11).drag_to(visit.locator("#backlog > li").nth(0))
    expect(rows.first).to_have_text("Write the changelog")


def test_a_line_takes_a_comment(gallery_house: Context, served: Served, visit: Page) -> None:
    visit.goto(f"{served.url}/reviews/2")
    visit.locator(".diff .add td:last-child").nth(1).click()
    visit.keyboard.type("Why sorted no more?")
    visit.get_by_role("button", name="Keep comment").click()
    expect(visit.locator(".noted .comment")).to_contain_text("Why sorted no more?")
    expect(visit.locator("#review-side [data-key-open=c] .badge")).to_have_text("1 comment")
    with gallery_house.db.read() as db:
        (kept,) = merge_requests.comments(db, 2)
    assert (kept.path, kept.line, kept.side) == ("src/resolve/graph.py", 214, "new")
    visit.reload()
    expect(visit.locator(".noted .comment")).to_contain_text("Why sorted no more?")


def test_a_change_arrives_while_the_human_stays_where_they_are(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    visit.keyboard.press("j")
    expect(visit.locator("#tile-maple")).to_be_focused()
    _, session, _ = gallery.seat(gallery_house, "maple")
    with gallery_house.db.write() as db:
        session.last_line = "a fresh line"
        db.merge(session)
    served.app.state.bus.publish("fleet")
    expect(visit.locator("#tile-maple .line")).to_have_text("a fresh line")
    expect(visit.locator("#tile-maple")).to_be_focused()


def test_a_diff_that_comes_late_appears_by_itself(
    gallery_house: Context, served: Served, visit: Page
) -> None:
    visit.goto(f"{served.url}/reviews/3")
    with gallery_house.db.read() as db:
        request = merge_requests.get(db, 3)
    assert request is not None
    stored = make.stored_diff(make.file_diff("late.py", [], ["x"]), head_sha=request.head_sha)
    diffs.store(diffs.request_path(gallery_house, 3, request.head_sha), stored)
    expect(visit.locator(".file .path")).to_have_text("late.py")
