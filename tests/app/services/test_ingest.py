"""Who pays for what a journal tells: the account from a record on, also after a rebuild."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlmodel import select

from agents import events as ev
from agents.events import Record
from app.models import Conversation, Session, SessionAccount, UsageMinute
from app.services import ingest
from app.services.context import Context
from app.services.reindex import reindex
from app.store import sessions
from tests.app import factories as make

AT = datetime(2026, 11, 23, 9, 0, 30, tzinfo=UTC)


class Journey:
    """A session with a journal that grows, and two accounts that pay for it."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.first, self.second = make.account(ctx, "first"), make.account(ctx, "second")
        worker = make.agent(ctx, login=self.first)
        self.session = make.session(ctx, worker, make.task(ctx, make.repository(ctx)))
        self._seq = 0
        self.path = ingest.journal_path(ctx, self.session.id)
        self.path.parent.mkdir(parents=True)
        self.pay(self.first.id)

    def pay(self, account_id: int | None) -> None:
        """As launching does it, before the runner starts."""
        with self.ctx.db.write() as db:
            session = db.get_one(Session, self.session.id)
            session.account_id = account_id or 0
            db.add(session)
            sessions.charge(db, session)

    def tell(self, *told: ev.Event, at: datetime = AT) -> None:
        with self.path.open("ab") as file:
            for event in told:
                self._seq += 1
                moment = at + timedelta(seconds=self._seq)
                file.write(ev.encode(Record(seq=self._seq, at=moment, event=event)))

    def take_in(self) -> set[str]:
        with self.ctx.db.read() as db:
            offset = db.get_one(Session, self.session.id).offset
        return ingest.store_chunks(self.ctx, [ingest.read_chunk(self.ctx, self.session.id, offset)])

    def paid(self) -> dict[int, tuple[int, ...]]:
        """By account: the four counters."""
        with self.ctx.db.read() as db:
            rows = db.exec(select(UsageMinute)).all()
        found: dict[int, tuple[int, ...]] = {}
        for row in rows:
            counters = (
                row.output_tokens,
                row.input_tokens,
                row.cache_write_tokens,
                row.cache_read_tokens,
            )
            before = found.get(row.account_id, (0, 0, 0, 0))
            found[row.account_id] = tuple(map(sum, zip(before, counters, strict=True)))
        return found


def used(output: int) -> ev.Usage:
    return ev.Usage("m", output, input_tokens=1, cache_write_tokens=2, cache_read_tokens=3)


def test_a_move_changes_who_pays_from_there_on(ctx: Context) -> None:
    journey = Journey(ctx)
    journey.tell(ev.SessionStarted("one", "m"), used(10), used(5))
    journey.take_in()
    journey.pay(journey.second.id)
    journey.tell(ev.SessionStarted("two", "m"), used(7))
    journey.take_in()
    expected = {journey.first.id: (15, 2, 4, 6), journey.second.id: (7, 1, 2, 3)}
    assert journey.paid() == expected
    with ctx.db.read() as db:
        assert db.get_one(Session, journey.session.id).output_tokens == 22
        known = {row.id: row.session_id for row in db.exec(select(Conversation))}
    assert known == dict.fromkeys(("one", "two"), journey.session.id)


def test_one_chunk_may_hold_both_payers(ctx: Context) -> None:
    """The server was away while the runner died and the session moved: one read tells it all."""
    journey = Journey(ctx)
    journey.tell(ev.SessionStarted("one", "m"), used(10))
    with ctx.db.write() as db:
        row = SessionAccount(
            session_id=journey.session.id, first_seq=3, account_id=journey.second.id or 0
        )
        db.add(row)
    journey.tell(used(7))
    journey.take_in()
    assert {key: counters[0] for key, counters in journey.paid().items()} == {
        journey.first.id: 10,
        journey.second.id: 7,
    }


def test_a_rebuild_keeps_the_accounts(ctx: Context) -> None:
    journey = Journey(ctx)
    journey.tell(ev.SessionStarted("one", "m"), used(10))
    journey.take_in()
    journey.pay(journey.second.id)
    journey.tell(used(7))
    journey.take_in()
    journey.pay(journey.first.id)
    journey.tell(used(1), at=AT + timedelta(minutes=3))
    journey.take_in()
    before = journey.paid()
    for _ in range(2):
        assert reindex(ctx) == 1
        assert journey.paid() == before
    with ctx.db.write() as db:  # and out of nothing but the journal and who paid
        db.connection().execute(delete(UsageMinute))
        db.connection().execute(delete(Conversation))
    reindex(ctx)
    assert journey.paid() == before
    with ctx.db.read() as db:
        assert db.get(Conversation, "one") is not None


def test_the_same_chunk_again_changes_nothing(ctx: Context) -> None:
    journey = Journey(ctx)
    journey.tell(ev.SessionStarted("one", "m"), used(10))
    chunk = ingest.read_chunk(ctx, journey.session.id, 0)
    assert ingest.store_chunks(ctx, [chunk]) == set()
    assert ingest.store_chunks(ctx, [chunk]) == {journey.session.id}
    assert journey.paid() == {journey.first.id: (10, 1, 2, 3)}


def test_tokens_without_a_model_are_the_sessions_models(ctx: Context) -> None:
    journey = Journey(ctx)
    journey.tell(ev.SessionStarted("one", "the model"), ev.Usage("", 3))
    journey.take_in()
    with ctx.db.read() as db:
        assert [row.model for row in db.exec(select(UsageMinute))] == ["the model"]
