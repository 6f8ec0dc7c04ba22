"""Who clears the rehearsed day: one human, one page, one keyboard."""

from collections import Counter

from playwright.sync_api import Locator, Page, expect
from sqlmodel import select

from app.models import MergeRequest
from tests.app.supervisor.conftest import Deck

OUT = "Thrown out of the merge queue"


class Desk:
    """What the human sees and presses; each press is counted for what it decides."""

    def __init__(self, page: Page, deck: Deck) -> None:
        self.page, self.deck = page, deck
        self.url = page.url.partition("/?")[0].rstrip("/")
        self.pressed: Counter[str] = Counter()

    def press(self, key: str, what: str) -> None:
        self.page.keyboard.press(key)
        self.pressed[what] += 1

    @property
    def focused(self) -> int:
        """The merge request of the focused row; 0 where none is."""
        script = "document.activeElement.closest('[data-request]')?.dataset.request ?? 0"
        return int(self.page.evaluate(script))

    def requests(self) -> dict[int, MergeRequest]:
        with self.deck.ctx.db.read() as db:
            return {row.id or 0: row for row in db.exec(select(MergeRequest))}

    def titled(self, *titles: str) -> list[MergeRequest]:
        return [row for row in self.requests().values() if row.title in titles]

    def undecided(self) -> dict[int, MergeRequest]:
        """What waits for the human, but for what the queue has thrown out."""
        rows = self.requests().items()
        return {n: r for n, r in rows if r.state == "open" and OUT not in r.state_reason}

    def states(self) -> Counter[str]:
        """How many merge requests are in which state."""
        return Counter(row.state for row in self.requests().values())

    def find(self, request: MergeRequest) -> Locator:
        """Move to its row of the list by keys."""
        self.page.goto(f"{self.url}/reviews")
        row = self.page.locator(f".requests:not(.away) > #review-{request.id}")
        expect(row).to_be_visible()
        expect(self.page.locator(".requests > li").first).to_be_focused()
        while self.focused != request.id:
            self.press("j", "moves")
        return row

    def post(self, path: str, fields: list[list[str]]) -> str:
        """What is answered to a form that no page offers, sent as the page's own script would."""
        said: str = self.page.evaluate(
            """async ([path, fields]) => {
                const headers = { "HX-Request": "true" };
                const body = new URLSearchParams(fields);
                return (await fetch(path, { method: "POST", body, headers })).text();
            }""",
            [path, fields],
        )
        return said
