"""Too many requests, with real runners: the same work again in place, ever later, and once."""

from datetime import datetime, timedelta

from app.models import Account, BalancerDecision, Task
from app.models.base import utc_now
from app.services import balancer
from app.store import balancing
from tests.app.supervisor.conftest import Deck

WRITE = "echo x > x.txt; git add -A; git commit -qm X"
THROTTLED: list[dict[str, object]] = [
    {"kind": "failed", "error": "throttle", "message": "Too many requests (HTTP 429)."},
    {"kind": "turn_ended", "turn_id": "t", "outcome": "failed", "error": "throttle"},
]


def come(deck: Deck, task_id: int) -> None:
    """As if the pause were over."""
    with deck.ctx.db.write() as db:
        task = db.get_one(Task, task_id)
        assert task.state == "parked"
        task.parked_until = utc_now()
        db.add(task)


def decisions(deck: Deck) -> list[BalancerDecision]:
    with deck.ctx.db.read() as db:
        return balancing.newest(db, 100)


async def test_a_throttled_task_waits_in_place_and_goes_on_by_itself(deck: Deck) -> None:
    """The account stays open, nobody moves, the slot is free, and nothing is done twice."""
    balancer.set_mode(deck.ctx, "auto_all")
    task_id = deck.add_task(agent="maple", run=WRITE, events=THROTTLED, hang=True)
    parked = await deck.until_task(task_id, "parked")
    assert minutes(parked.parked_until) == 5
    assert parked.state_reason == "Too many requests (HTTP 429). It is tried again by itself."
    other = deck.add_task(agent="otter", run=WRITE.replace("x.txt", "y.txt"))
    await deck.until_task(other, "review")
    with deck.ctx.db.read() as db:
        account = db.get_one(Account, deck.session(task_id).account_id)
    assert account.limited_until is None
    assert [row for row in decisions(deck) if row.action in ("move", "park")] == []
    assert deck.session(task_id).launches == 1
    come(deck, task_id)
    await deck.until_task(task_id, "review")
    assert deck.session(task_id).launches == 2
    assert deck.request(task_id).files == 1


def minutes(until: datetime | None) -> int:
    assert until is not None
    return round((until - utc_now()) / timedelta(minutes=1))
