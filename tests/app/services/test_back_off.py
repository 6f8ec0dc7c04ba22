"""Pauses that grow: a vendor that stays busy, or a limit that never ends, is asked ever less."""

from datetime import UTC, datetime, timedelta

import pytest

from agents import events as ev
from app.models import Account, Session, Task
from app.models.base import utc_now
from app.services import ingest, parking
from app.services.context import Context
from app.services.fold import fruitless_turns
from app.services.reindex import reindex
from app.services.turns import settle_turns
from tests.app import factories as make
from tests.app.services.ports import Harbour

TOLD = datetime(2030, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Work:
    """A task whose journal grows turn by turn, and is settled after each."""

    def __init__(self, ctx: Context, harbour: Harbour) -> None:
        self.ctx = ctx
        login = harbour.login("Max", 20)
        self.account_id = login.id or 0
        self.session = harbour.at_work(harbour.agent("maple", login))
        self.path = ingest.journal_path(ctx, self.session.id)
        self.path.parent.mkdir(parents=True)
        self.seq = 0

    def turn(self, *told: ev.Event) -> Task:
        """One more turn, of a task that runs again; what became of the task."""
        with self.ctx.db.write() as db:
            task = db.get_one(Task, self.session.task_id)
            task.state, task.parked_until = "running", None
            db.add(task)
            offset = db.get_one(Session, self.session.id).offset
        events = (ev.TurnStarted("t"), *told)
        records = make.records(*events, first=self.seq + 1, at=utc_now())
        self.seq += len(records)
        with self.path.open("ab") as file:
            file.writelines(map(ev.encode, records))
        ingest.store_chunks(self.ctx, [ingest.read_chunk(self.ctx, self.session.id, offset)])
        assert settle_turns(self.ctx) == 1
        with self.ctx.db.read() as db:
            return db.get_one(Task, self.session.task_id)

    def pause(self, *told: ev.Event) -> float:
        """Minutes for which the turn parked its task."""
        until = self.turn(*told).parked_until
        assert until is not None
        return round((until - utc_now()) / MINUTE, 1)


@pytest.fixture
def work(ctx: Context, harbour: Harbour) -> Work:
    return Work(ctx, harbour)


def busy(error: ev.ErrorKind = "throttle") -> tuple[ev.Event, ...]:
    return ev.Failed(error, "Too many requests."), ev.TurnEnded("t", "failed", error=error)


def test_a_vendor_that_stays_busy_is_asked_ever_less(ctx: Context, work: Work) -> None:
    pauses = [work.pause(*busy()) for _ in range(6)]
    assert pauses == [5, 10, 20, 40, 60, 60]
    with ctx.db.read() as db:
        assert db.get_one(Account, work.account_id).limited_until is None
        session = db.get_one(Session, work.session.id)
        assert fruitless_turns(session) == 6
    reindex(ctx)
    with ctx.db.read() as db:
        assert fruitless_turns(db.get_one(Session, work.session.id)) == 6


def test_an_answered_call_begins_the_count_anew(work: Work) -> None:
    assert [work.pause(*busy()), work.pause(*busy("overloaded"))] == [5, 10]
    assert work.pause(ev.Usage("m", 12), *busy()) == 5
    assert work.pause(ev.Usage("m", 0, 900), *busy()) == 10  # it read, and said nothing
    work.turn(ev.TurnEnded("t", "interrupted"))
    assert work.pause(*busy()) == 5


def test_a_limit_whose_reset_is_always_just_ahead_does_not_spin(work: Work) -> None:
    pauses = []
    for _ in range(9):
        resets_at = utc_now() + timedelta(seconds=3)
        pauses.append(work.pause(ev.TurnEnded("t", "limited", resets_at=resets_at)))
    assert pauses[0] < 0.3
    assert pauses[1:] == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 60], rel=0.05, abs=0.1)


def test_a_limit_that_tells_no_time_is_asked_ever_less(work: Work) -> None:
    limited = ev.TurnEnded("t", "limited")
    assert [round(work.pause(limited)) for _ in range(4)] == [15, 30, 60, 60]


def test_a_real_reset_is_not_put_off_by_those_before() -> None:
    week = TOLD + timedelta(days=3)
    assert parking.returns_at(week, TOLD, 9) == week + parking.MARGIN


def test_an_account_waits_a_little_beyond_a_reset() -> None:
    """5 to 60 seconds, always the same, and next to nothing of a short wait."""
    hours = [parking.spread(account, timedelta(hours=5)).total_seconds() for account in range(50)]
    assert all(5 <= wait <= 60 for wait in hours)
    assert len({round(wait) for wait in hours}) > 20
    assert hours[7] == parking.spread(7, timedelta(hours=9)).total_seconds()
    assert parking.spread(7, timedelta(seconds=10)) <= timedelta(seconds=0.1)
