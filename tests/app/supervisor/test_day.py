"""A rehearsed day, for real: thirty merge requests by agents, cleared in a browser, landed."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlmodel import col, select

from app.models import Batch, Check, MergeRequest
from app.services import agents, sessions, tasks
from app.services.access import token
from app.store import batches, merge_requests
from tests.app.supervisor import day
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.day import BAD, COLLIDING, GLANCE, READ, STUDY
from tests.app.supervisor.hands import OUT, Desk
from tests.app.supervisor.serving import Server, wait
from tests.app.web import browsing

pytestmark = [*browsing.MARKS[::2], pytest.mark.timeout(420)]
SECONDS = 120.0
SINGLY = 3  # glances that are decided one by one; the others at once
REFUSED = "Failed to load resource: the server responded with a status of 409 (Conflict)"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return day.make_repository(tmp_path / "harbour")


@pytest.fixture
def complaints() -> list[str]:
    """What the console said that is no expected refusal."""
    return []


@pytest.fixture
def page(fleet: Deck, server: Server, complaints: list[str]) -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browsing.CHROMIUM, args=browsing.ARGUMENTS
        )
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        browsing.watch(page, complaints)
        server.start()
        page.goto(f"{server.url}/?token={token(fleet.ctx.home)}")
        yield page
        chromium.close()


def test_a_day_of_thirty_is_cleared_by_keys_and_what_passed_has_landed(
    fleet: Deck, page: Page, complaints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(page, fleet)
    offer_thirty(desk)
    root = fleet.git("rev-parse", "main")
    # The human's own git holds the base for a moment: what is approved meanwhile rides together.
    held = fleet.repository / ".git/refs/heads/main.lock"
    held.touch()
    glance(desk)
    held.unlink()
    refuse_study(desk)
    page.goto(f"{desk.url}/reviews")
    look_closely(desk)
    reject_the_bad_one(desk)
    let_the_author_mend(desk)
    wait(lambda: desk.states() == {"merged": 29, "rejected": 1} and not under_way(desk), SECONDS)
    assert complaints.count(REFUSED) == len(complaints) == STUDY
    it_is_a_serial_order_of_what_was_approved_and_passed(desk, root)
    report(desk, capsys)


def offer_thirty(desk: Desk) -> None:
    """Four scripted agents do all of it, task after task; every check passes."""
    ctx = desk.deck.ctx
    for name in ("heron", "finch"):
        agents.add_agent(ctx, name=name, driver="scripted", permissions="auto")
    for each in day.work():
        tasks.add_task(ctx, repository=None, title=each.title, prompt=each.prompt)

    def is_ready() -> bool:
        with ctx.db.read() as db:
            passed = select(Check.merge_request_id).where(Check.state == "passed").distinct()
            return len(db.exec(passed).all()) == GLANCE + READ + STUDY

    wait(is_ready, SECONDS)
    assert {row.title: row.care for row in desk.requests().values()} == {
        each.title: each.care for each in day.work()
    }


def glance(desk: Desk) -> None:
    """Some by themselves, wherever they rank; the others at once."""
    page, rows = desk.page, desk.requests()
    page.goto(f"{desk.url}/reviews")
    expect(page.locator(".requests > li").first).to_be_focused()
    singly = SINGLY
    while singly:
        number = desk.focused
        if rows[number].care == "glance" and rows[number].title not in (*BAD, *COLLIDING):
            desk.press("a", "glance")
            expect(page.locator(f".requests:not(.away) > #review-{number}")).to_have_count(0)
            singly -= 1
        else:
            desk.press("j", "moves")
        assert desk.focused not in (number, 0)
    desk.press("X", "glance")
    assert not page.locator("input[data-care=study]:checked, input[data-care=read]:checked").count()
    desk.press("a", "glance")
    rest = GLANCE - SINGLY
    expect(page.locator("#notice")).to_contain_text(f"Approved {rest} of {rest}.")
    assert Counter(row.care for row in desk.undecided().values()) == {"read": READ, "study": STUDY}


def refuse_study(desk: Desk) -> None:
    """By key, and by requests that no page offers: in bulk, and one by one unseen."""
    page = desk.page
    page.locator(".requests > li:has(.care-study)").first.focus()
    desk.press("x", "refused")
    desk.press("a", "refused")
    expect(page.locator("#notice")).to_contain_text("of care study")
    studies = {n: row for n, row in desk.undecided().items() if row.care == "study"}
    many = [["pick", f"{n}:{row.head_sha}"] for n, row in studies.items()]
    assert f"Approved 0 of {STUDY}." in desk.post("/reviews/approve", many)
    for number, row in studies.items():
        said = desk.post(f"/reviews/{number}/approve", [["head_sha", row.head_sha]])
        assert "not ticked yet" in said
    assert studies.keys() <= desk.undecided().keys()


def look_closely(desk: Desk) -> None:
    """The rest on their pages, each leading to the next, while the queue lands what it can."""
    page = desk.page
    expect(page.locator(".requests > li").first).to_be_focused()
    while desk.focused not in desk.undecided():
        desk.press("j", "moves")
    desk.press("o", desk.requests()[desk.focused].care)
    while waiting := desk.undecided():
        page.wait_for_url("**/reviews/*")
        number = int(page.url.rsplit("/", 1)[1])
        if number in waiting:
            judge(desk, waiting[number])
        else:  # thrown out meanwhile: later
            page.goto(f"{desk.url}/reviews/{next(iter(waiting))}")


def judge(desk: Desk, request: MergeRequest) -> None:
    """Tick each file where it is to be studied, approve, be led to the next."""
    page, care, here = desk.page, request.care, f"/reviews/{request.id}"
    expect(page.locator(f"[data-judged='{here}']")).to_be_visible()
    if care == "study":
        for done in range(1, request.files + 1):
            desk.press("v", care)
            expect(page.locator("#review-head")).to_contain_text(f"{done} ticked")
    expect(page.locator(".to-see")).to_have_count(0)
    desk.press("a", care)
    page.wait_for_url(lambda url: not url.endswith(here))


def reject_the_bad_one(desk: Desk) -> None:
    """Of the two that take one berth the later one came back; its author was told why."""
    wait(lambda: any(OUT in row.state_reason for row in desk.titled(*BAD)), SECONDS)
    (bad,) = (row for row in desk.titled(*BAD) if OUT in row.state_reason)
    assert (bad.state, bad.approved_sha) == ("open", "")
    wait(lambda: OUT in desk.deck.journal(bad.task_id or 0))
    assert "test_each_berth_is_taken_once" in desk.deck.journal(bad.task_id or 0)
    wait(lambda: desk.deck.task(bad.task_id or 0).state == "review")  # it heard and changed nothing
    row = desk.find(bad)
    expect(row).to_contain_text("fails")
    desk.press("r", "rejected")
    desk.page.keyboard.type("Berth 10 is taken.")
    desk.press("Enter", "rejected")
    wait(lambda: desk.states()["rejected"] == 1)


def let_the_author_mend(desk: Desk) -> None:
    """The log's second entry conflicted and went back; what its author makes of it is approved."""
    wait(lambda: "conflicted" in {row.state for row in desk.titled(*COLLIDING)}, SECONDS)
    (second,) = (row for row in desk.titled(*COLLIDING) if row.state == "conflicted")
    task_id, number = second.task_id or 0, second.id or 0
    wait(lambda: "Your branch conflicts with main" in desk.deck.journal(task_id))
    wait(lambda: desk.deck.task(task_id).state == "review")
    script = json.dumps({"run": day.MEND})
    sessions.say(desk.deck.ctx, session_id=second.session_id or "", text=script)
    wait(lambda: desk.requests()[number].round == 2 and desk.deck.check(number) == "passed")
    desk.find(second)
    desk.press("a", "glance")
    wait(lambda: desk.requests()[number].state == "merged", SECONDS)


def under_way(desk: Desk) -> bool:
    with desk.deck.ctx.db.read() as db:
        return bool(batches.open_trains(db))


def it_is_a_serial_order_of_what_was_approved_and_passed(desk: Desk, root: str) -> None:
    """Told by git and by the check itself, run once more on each base that there was."""
    git = desk.deck.git
    heads = {row.head_sha: number for number, row in desk.requests().items()}
    with desk.deck.ctx.db.read() as db:
        trains = db.exec(select(Batch).where(Batch.state == "landed").order_by(col(Batch.id))).all()
        passed = set(db.exec(select(Check.tree_sha).where(Check.state == "passed")).all())
        verdicts = [row for row in merge_requests.decisions(db) if row.verb == "approve"]
    approved = {(row.subject, row.sha) for row in verdicts}
    steps = [step["commit_sha"] for train in trains for step in train.steps[: train.good]]
    landed = git("rev-list", "--first-parent", "--reverse", f"{root}..main").split()
    assert landed == steps
    numbers = []
    for sha in landed:
        before, head = git("rev-parse", f"{sha}^1", f"{sha}^2").split()
        assert git("merge-tree", "--write-tree", before, head) == git(
            "rev-parse", f"{sha}^{{tree}}"
        )
        assert (f"merge request {heads[head]}", head) in approved
        numbers.append(heads[head])
    merged = {n for n, row in desk.requests().items() if row.state == "merged"}
    assert sorted(numbers) == sorted(merged)
    for train in trains:
        last = train.steps[train.good - 1]
        assert last["tree_sha"] in passed
        assert passes(desk.deck, last["commit_sha"])


def passes(deck: Deck, sha: str) -> bool:
    place = deck.ctx.home.path.parent / f"again-{sha[:12]}"
    deck.git("clone", "--quiet", "--no-checkout", ".", str(place))
    deck.git("-C", str(place), "checkout", "--quiet", "--detach", sha)
    done = subprocess.run(day.CHECK, shell=True, cwd=place, capture_output=True, timeout=60)
    return done.returncode == 0


def report(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Keystrokes for each decision, beside the promise; the look behind each is in the ledger."""
    counts = {"glance": GLANCE + 1, "read": READ, "study": STUDY}  # one glance came twice
    each = {care: desk.pressed[care] / number for care, number in counts.items()}
    with desk.deck.ctx.db.read() as db:
        approvals = [row for row in merge_requests.decisions(db) if row.verb == "approve"]
        trains = db.exec(select(Batch.state).where(Batch.kind == "train")).all()
    words = ", ".join(f"{care} {keys:.2f} ({counts[care]})" for care, keys in each.items())
    with capsys.disabled():
        sys.stdout.write(
            f"\n30 merge requests by keyboard: keystrokes a decision: {words}; "
            f"{desk.pressed['moves']} to move past others, 0 of study in bulk; "
            f"trains: {dict(Counter(trains))}\n"
        )
    assert Counter(row.evidence["care"] for row in approvals) == counts
    for row in approvals:
        looked = row.evidence["shown"] + row.evidence["ticked"]
        assert row.evidence["care"] == "glance" or looked == row.evidence["files"] > 0
        if row.evidence["care"] == "study":
            assert row.evidence["ticked"] == row.evidence["files"]
            assert not row.detail.get("bulk")
    assert (desk.pressed["glance"] + desk.pressed["moves"]) / counts["glance"] <= 2
    assert each["read"] <= 4
