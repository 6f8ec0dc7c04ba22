"""The list of reviews under real hands: one-line verdicts, undo, selections, the matrix."""

import pytest
from playwright.sync_api import Page, expect

from app.models import MergeRequest
from app.models.base import utc_now
from app.services.context import Context
from app.store import merge_requests
from tests.app import factories as make
from tests.app.web import browsing, pile
from tests.app.web.pile import Offer
from tests.app.web.serving import Served

pytestmark = browsing.MARKS
DOCS = [("docs", 1, 3, 0)]


@pytest.fixture
def three(ctx: Context) -> list[MergeRequest]:
    """Three to glance at, the first of which collides with the third."""
    repo = make.repository(ctx)
    now = utc_now()
    offers = [Offer(name, f"Docs of {name}", "glance", DOCS) for name in ("ash", "birch", "cedar")]
    made = [pile.offer(ctx, repo, offer, now) for offer in offers]
    pile.scan(ctx, repo, [("ash", "cedar", "text", ("docs/docs_1.md",), "")])
    return made


@pytest.fixture
def listed(three: list[MergeRequest], served: Served, visit: Page) -> Page:
    visit.goto(f"{served.url}/reviews")
    expect(visit.locator(".requests > li").first).to_be_focused()
    assert len(three) == 3
    return visit


def state(ctx: Context, request_id: int) -> str:
    with ctx.db.read() as db:
        found = merge_requests.get(db, request_id)
    assert found is not None
    return found.state


def focused(page: Page) -> int:
    return int(page.evaluate("document.activeElement.closest('[data-request]').dataset.request"))


def test_a_rejection_is_one_line_and_can_be_taken_back(ctx: Context, listed: Page) -> None:
    first = focused(listed)
    press = listed.keyboard.press
    press("r")
    expect(listed.locator("#say-why input")).to_be_focused()
    press("Escape")
    assert focused(listed) == first
    press("r")
    listed.keyboard.type("a j k: the tutorial has it")  # keys are words here
    press("Enter")
    second = focused(listed)
    assert second != first
    expect(listed.locator("#notice")).to_contain_text(f"Rejected #{first}")
    with ctx.db.read() as db:
        kept = merge_requests.get(db, first)
    assert kept is not None
    assert (kept.state, kept.state_reason) == ("rejected", "a j k: the tutorial has it")
    press("c")
    press("Enter")  # nothing to send yet
    expect(listed.locator("#say-why")).to_be_visible()
    press("Escape")
    press("a")
    expect(listed.locator("#notice")).to_contain_text(f"Approved #{second}")
    for back in (second, first):  # the last verdict first
        press("u")
        expect(listed.locator(f".requests:not(.away) > #review-{back}")).to_be_focused()
        assert state(ctx, back) == "open"


def test_a_selection_is_for_the_commits_it_was_made_of(
    ctx: Context, three: list[MergeRequest], served: Served, listed: Page
) -> None:
    bulk = listed.locator("[data-bulk]")
    listed.keyboard.press("X")
    expect(bulk).to_have_text("Approve 3 selected a")
    expect(listed.locator("[data-union]")).to_be_visible()
    with ctx.db.write() as db:
        moved = merge_requests.get(db, three[1].id or 0)
        assert moved is not None
        moved.head_sha = make.sha()
        db.add(moved)
    served.on_loop(served.app.state.bus.publish, "reviews")
    expect(bulk).to_have_text("Approve 2 selected a")
    listed.keyboard.press("a")
    expect(listed.locator("#notice")).to_contain_text("Approved 2 of 2.")
    assert [state(ctx, request.id or 0) for request in three] == ["approved", "open", "approved"]


def test_a_cell_of_the_matrix_marks_the_two_and_says_what(listed: Page) -> None:
    listed.locator(".matrix [data-pair]").first.click()
    expect(listed.locator(".requests > .is-paired")).to_have_count(2)
    expect(listed.locator(".pairs li:focus")).to_contain_text("docs/docs_1.md")
