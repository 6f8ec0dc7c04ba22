"""What was spent, told by whatever the human asks for."""

from datetime import UTC, datetime, timedelta

import pytest

from app.errors import Invalid
from app.models import OutsideMinute, UsageMinute
from app.models.base import utc_now
from app.services import usage
from app.services.context import Context
from app.services.prices import Equivalent
from tests.app import factories as make

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
PRICED, UNPRICED = "claude-sonnet-4-5", "a-model-of-my-own"


def minute(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


class Ledger:
    """Two accounts, two agents, one task each; the first session moved in its middle."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        repo = make.repository(ctx)
        self.first, self.second = make.account(ctx, "first"), make.account(ctx, "second")
        self.maple = make.agent(ctx, "maple", self.first)
        self.otter = make.agent(ctx, "otter", self.second)
        self.work = [make.task(ctx, repo, title) for title in ("One", "Two")]
        self.sessions = [
            make.session(ctx, self.maple, self.work[0]),
            make.session(ctx, self.otter, self.work[1]),
        ]
        self.use(0, self.first.id, NOW, 100)
        self.use(0, self.second.id, NOW, 20)
        self.use(1, self.second.id, NOW - timedelta(hours=2), 3, UNPRICED)
        self.use(1, self.second.id, NOW - timedelta(days=9), 1000)
        self.outside(self.first.id, NOW - timedelta(minutes=1), 5)

    def use(
        self, session: int, account: int | None, at: datetime, output: int, model: str = PRICED
    ) -> None:
        row = UsageMinute(
            session_id=self.sessions[session].id,
            account_id=account,
            model=model,
            minute=minute(at),
            output_tokens=output,
            input_tokens=1,
            cache_write_tokens=2,
            cache_read_tokens=3,
        )
        make.save(self.ctx, row)

    def outside(self, account: int | None, at: datetime, output: int) -> None:
        row = OutsideMinute(
            account_id=account, model=PRICED, minute=minute(at), output_tokens=output
        )
        make.save(self.ctx, row)

    def spent(self, by: str, *, with_outside: bool = True) -> dict[str, int]:
        with self.ctx.db.read() as db:
            since, until = NOW - timedelta(days=7), NOW + timedelta(seconds=1)
            rows = usage.spent(db, by=by, since=since, until=until, with_outside=with_outside)
        return {row.label: row.output for row in rows}


@pytest.fixture
def ledger(ctx: Context) -> Ledger:
    return Ledger(ctx)


def test_every_way_of_telling_has_the_same_sum(ledger: Ledger) -> None:
    assert ledger.spent("account") == {"first": 105, "second": 23}
    assert ledger.spent("agent") == {"maple": 120, "outside Quarterdeck": 5, "otter": 3}
    assert ledger.spent("task") == {"One": 120, "outside Quarterdeck": 5, "Two": 3}
    assert ledger.spent("model") == {PRICED: 125, UNPRICED: 3}
    assert ledger.spent("hour") == {"2026-11-23 07:00": 3, "2026-11-23 09:00": 125}
    ids = [session.id for session in ledger.sessions]
    assert ledger.spent("session") == {ids[0]: 120, "outside Quarterdeck": 5, ids[1]: 3}


def test_outside_use_can_be_left_out(ledger: Ledger) -> None:
    assert ledger.spent("account", with_outside=False) == {"first": 100, "second": 23}
    with ledger.ctx.db.read() as db:
        day = {"since": NOW.replace(hour=0), "until": NOW + timedelta(minutes=1)}
        rows = usage.spent(db, by="account", with_outside=False, **day)
        today = usage.spent_today(db, NOW)
    assert today == pytest.approx({int(row.key): row.usd.usd for row in rows})


def test_an_unknown_price_is_unknown(ledger: Ledger) -> None:
    with ledger.ctx.db.read() as db:
        rows = usage.spent(db, by="model", since=NOW - timedelta(days=1), until=NOW)
        today = usage.agent_today(db, ledger.otter.id or 0, NOW)
    assert {row.label: row.usd.usd is None for row in rows} == {PRICED: False, UNPRICED: True}
    assert today == (3, Equivalent(None))
    assert [row.label for row in rows][-1] == UNPRICED


def test_an_agents_day_begins_at_midnight_utc(ledger: Ledger) -> None:
    ledger.use(0, ledger.first.id, NOW.replace(hour=0, minute=0), 7, UNPRICED)
    ledger.use(0, ledger.first.id, NOW.replace(hour=0, minute=0) - timedelta(minutes=1), 70)
    with ledger.ctx.db.read() as db:
        output, dollars = usage.agent_today(db, ledger.maple.id or 0, NOW)
    assert output == 127
    assert dollars.is_partial


def test_a_word_it_does_not_know_is_refused(ctx: Context) -> None:
    with ctx.db.read() as db, pytest.raises(Invalid, match="not by 'moon'"):
        usage.spent(db, by="moon", since=NOW, until=NOW)


def test_nothing_spent_is_an_empty_table(ctx: Context) -> None:
    with ctx.db.read() as db:
        assert usage.spent(db, by="hour", since=NOW, until=utc_now()) == []
        assert usage.spent_today(db, NOW) == {}
        assert usage.agent_today(db, 1, NOW) == (0, Equivalent(0.0))
