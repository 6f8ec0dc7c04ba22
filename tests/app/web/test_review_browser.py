"""The page of one merge request in a real Chromium: keys, ticks, the way on, live output."""

import json

import pytest
from playwright.sync_api import Page, Route, expect

from app.models import Batch, MergeRequest
from app.services import deciding, diffs
from app.services.context import Context
from app.store import merge_requests
from app.web.ansi import reveal
from tests.app import factories as make
from tests.app.web import browsing, studied
from tests.app.web.serving import Served
from tests.app.web.test_hostile import PAYLOADS

pytestmark = browsing.MARKS
House = tuple[MergeRequest, MergeRequest, Batch]


@pytest.fixture
def house(ctx: Context) -> House:
    return studied.house(ctx)


def test_study_is_read_by_keys_and_leads_to_the_next(
    house: House, served: Served, visit: Page, complaints: list[str]
) -> None:
    one, other, _ = house
    visit.goto(f"{served.url}/reviews/{one.id}?view=all")
    bar = visit.locator("#files-bar")
    expect(bar.locator("[data-here]")).to_have_text("alembic/versions/0007_locks.py")
    expect(visit.locator("#review-head .looked")).to_contain_text("you saw 5 of 5 files")
    visit.keyboard.press("v")
    expect(visit.locator(".verdict .to-see")).to_have_text("3 files to tick first")
    expect(bar.locator("[data-here]")).to_have_text("src/store/locks.py")
    visit.keyboard.press("n")
    expect(bar.locator("[data-here]")).to_have_text("src/store/schema.py")
    visit.keyboard.press("p")
    for _ in range(3):
        visit.keyboard.press("v")
    expect(visit.locator(".verdict .to-see")).to_have_count(0)
    expect(visit.locator(".file-index .v-ticked")).to_have_count(5)
    visit.keyboard.press("a")
    visit.wait_for_url(f"**/reviews/{other.id}")
    expect(visit.locator("#notice a")).to_have_attribute("href", f"/reviews/{one.id}")
    assert complaints == []


def test_a_tick_by_mouse_folds_the_file_and_can_be_taken_back(
    house: House, served: Served, visit: Page
) -> None:
    visit.goto(f"{served.url}/reviews/{house[0].id}?view=all")
    file = visit.locator("#f2")
    file.locator("[data-tick]").check()
    expect(file).not_to_have_attribute("open", "")
    expect(visit.locator(".verdict .to-see")).to_have_text("3 files to tick first")
    file.locator("[data-tick]").uncheck()
    expect(file).to_have_attribute("open", "")
    expect(visit.locator(".verdict .to-see")).to_have_text("4 files to tick first")


def test_ticks_hold_however_quickly_they_are_said(
    ctx: Context, house: House, served: Served, visit: Page
) -> None:
    one = house[0]
    visit.goto(f"{served.url}/reviews/{one.id}?view=all")
    expect(visit.locator("#review-head .looked")).to_contain_text("you saw 5 of 5 files")
    held: list[Route] = []

    def hold(route: Route) -> None:
        if len(held) < 4:
            held.append(route)
        else:
            route.continue_()

    visit.route("**/ticks", hold)
    for _ in range(6):  # of the four that are left the last is said again before any answer
        visit.keyboard.press("v")
    while len(held) < 4:
        visit.wait_for_timeout(10)
    for route in held:
        route.continue_()
    expect(visit.locator(".verdict .to-see")).to_have_count(0)
    expect(visit.locator("[data-tick]:checked")).to_have_count(5)
    with ctx.db.read() as db:
        assert deciding.gate(ctx, db, merge_requests.existing(db, one.id or 0)).missing == ()


def test_the_output_of_a_check_appears_as_it_is_printed(
    ctx: Context, house: House, served: Served, visit: Page
) -> None:
    visit.goto(f"{served.url}/reviews/{house[0].id}")
    output = visit.locator("#check .output")
    expect(output).to_contain_text("test_39.py")
    log = next(ctx.home.checks().glob("*.log"))
    log.write_text(log.read_text() + "and one more line\n")
    served.app.state.bus.publish("output")
    expect(output).to_contain_text("and one more line")
    is_at_end = "el => el.scrollTop + el.clientHeight >= el.scrollHeight - 2"
    visit.wait_for_function(f"({is_at_end})(document.querySelector('#check .output'))")


def test_the_lines_on_the_page_are_the_lines_of_the_diff(
    ctx: Context, house: House, served: Served, visit: Page
) -> None:
    one = house[0]
    evil = [text for text in PAYLOADS if "\n" not in text]
    files = [
        studied.file(f"src/{at:02}.py", [f"f({text}, 1)"], [f"f({text}, 2)"])
        for at, text in enumerate(evil)
    ]
    stored = make.stored_diff(*files, head_sha=one.head_sha)
    diffs.store(diffs.request_path(ctx, one.id or 0, one.head_sha), stored)
    visit.goto(f"{served.url}/reviews/{one.id}?view=all")
    shown = visit.evaluate(
        "JSON.stringify([...document.querySelectorAll('.diff tr:not(.hunk)')]"
        ".map((row) => row.cells[2].textContent))"
    )
    lines = [line.text for file in files for hunk in file.hunks for line in hunk.lines]
    assert json.loads(shown) == [reveal(line) for line in lines]
    visit.locator("[data-filter]").fill("07")
    expect(visit.locator(".file:visible")).to_have_count(1)
    expect(visit.locator("#files-bar [data-place]")).to_have_text("1 of 1")
