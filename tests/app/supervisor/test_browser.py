"""The main job through a real browser, with the real Claude Code against the rehearsal server."""

import json
import re
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from agents import journal
from agents.rehearsal.server import RehearsalServer
from app.services import accounts, agents
from app.services.access import token
from app.services.sessions import say
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.serving import Server, wait
from tests.app.web import browsing

KEY = "QUARTERDECK_TEST_KEY"
STREAMING, RATE, STREAM_SECONDS = 6, 10, 10
P95_MS = 150

pytestmark = browsing.MARKS

# Notes when each line of the log came into the page, by its sequence number.
WATCH = """() => {
  window.seen = {};
  const note = (root) => {
    for (const element of [root, ...root.querySelectorAll("[data-seq]")]) {
      const seq = element.dataset?.seq;
      if (seq && !(seq in window.seen)) window.seen[seq] = Date.now();
    }
  };
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(
    (node) => node.nodeType === 1 && note(node)
  ))).observe(document.getElementById("log"), { childList: true, subtree: true });
}"""


@pytest.fixture
def page(fleet: Deck, server: Server) -> Iterator[Page]:
    """A logged-in page of the running server."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browsing.CHROMIUM, args=browsing.ARGUMENTS
        )
        page = browser.new_page()
        server.start()
        page.goto(f"{server.url}/?token={token(fleet.ctx.home)}")
        yield page
        browser.close()


@pytest.fixture
def claude(fleet: Deck, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An agent that is the real Claude Code; the model is rehearsed."""
    monkeypatch.setenv(KEY, "sk-ant-api03-rehearsed")
    with RehearsalServer() as rehearsal:
        accounts.add_account(
            fleet.ctx, name="Rehearsed", driver="claude_code", auth="api_key", secret_env=KEY,
            base_url=rehearsal.anthropic_url("happy"), is_rehearsal=True,
        )  # fmt: skip
        agents.add_agent(
            fleet.ctx, name="heron", driver="claude_code", account="Rehearsed", permissions="auto"
        )
        yield "heron"


def test_from_a_new_task_to_a_file_on_the_base(fleet: Deck, claude: str, page: Page) -> None:
    page.goto(f"{_base(page)}/tasks")
    page.get_by_label("What should be done").fill("Say hello in a file")
    page.locator(f"input[name=agent][value={claude}]").check()
    page.get_by_role("button", name="Add to the backlog").click()

    page.goto(f"{_base(page)}/agents/{claude}")
    expect(page.locator("#log")).to_contain_text("All done: wrote hello.txt", timeout=60_000)
    wait(lambda: fleet.task(1).state == "review")

    page.goto(f"{_base(page)}/reviews/1")
    expect(page.locator("main")).to_contain_text("hello from the rehearsal")
    expect(page.locator("main")).to_contain_text("passes", timeout=30_000)
    page.keyboard.press("a")
    wait(lambda: fleet.task(1).state == "done")
    assert fleet.git("show", "main:hello.txt") == "hello from the rehearsal"


def test_a_line_is_on_the_page_soon_after_the_journal_has_it(
    fleet: Deck, page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(STREAMING - 2):
        agents.add_agent(fleet.ctx, name=f"a-{number}", driver="scripted", permissions="auto")
    names = ["maple", "otter", *(f"a-{number}" for number in range(STREAMING - 2))]
    task_ids = [fleet.add_task(agent=name, say="Ready.") for name in names]
    wait(lambda: all(fleet.task(task_id).state == "failed" for task_id in task_ids))
    page.goto(f"{_base(page)}/agents/maple")
    expect(page.locator("#log")).to_contain_text("Ready.")
    page.evaluate(WATCH)
    script = json.dumps({"rate": RATE, "seconds": STREAM_SECONDS})
    for task_id in task_ids:
        say(fleet.ctx, session_id=fleet.session(task_id).id, text=script)
    session = fleet.session(task_ids[0])
    wait(lambda: fleet.session(task_ids[0]).turns == 2)

    path = fleet.ctx.home.session(session.id) / "journal.ndjson"
    written = {str(r.seq): 1000 * r.at.timestamp() for r in journal.records_from(path, 0, 10_000)}
    page.wait_for_function(f"() => window.seen['{max(map(int, written))}'] !== undefined")
    seen: dict[str, float] = page.evaluate("() => window.seen")
    late_ms = sorted(at - written[seq] for seq, at in seen.items() if seq in written)
    assert len(late_ms) > RATE * STREAM_SECONDS / 2
    p50, p95 = (late_ms[int(len(late_ms) * quantile)] for quantile in (0.5, 0.95))
    with capsys.disabled():
        told = f"{STREAMING} agents: p50 {p50:.0f} ms, p95 {p95:.0f} ms"
        sys.stdout.write(f"\njournal to page, {told}\n")
    assert p95 < P95_MS


def _base(page: Page) -> str:
    found = re.match(r"http://[^/]+", page.url)
    assert found is not None
    return found[0]
