"""What vendors may put into their words: NUL, names without end, times without a zone."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlmodel import select

from agents import events as ev
from agents.base import AccountReport
from app.models import Account, Conversation, Permission, QuotaReading, Session, UsageMinute
from app.models.base import utc_now
from app.services import ingest, probing
from app.services.context import Context
from app.settings import Settings
from app.store.database import Database
from app.store.migrate import upgrade
from tests.app import factories as make
from tests.test_migrations import throw_away_postgres

NUL = "\0"
BACKSLASHES = "C:\\u0000 and \\\\u0000"  # text that only looks like one
RESETS_AT = datetime(2026, 11, 27, 9, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, ctx: Context) -> Iterator[Context]:
    if request.param == "sqlite":
        yield ctx
        return
    with (
        tempfile.TemporaryDirectory(prefix="qd-pg-", ignore_cleanup_errors=True) as short,
        throw_away_postgres(Path(short)) as url,
    ):
        settings = Settings(home=ctx.home.path, database_url=url)
        upgrade(settings.database)
        database = Database(settings.database)
        yield Context(settings, database, lambda *_: None)
        database.close()


def take_in(ctx: Context, *told: ev.Event) -> Session:
    """A session whose journal says these things."""
    work = make.task(ctx, make.repository(ctx))
    session = make.session(ctx, make.agent(ctx), work, model="")
    path = ingest.journal_path(ctx, session.id)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(map(ev.encode, make.records(*told))))
    assert ingest.store_chunks(ctx, [ingest.read_chunk(ctx, session.id, 0)]) == set()
    with ctx.db.read() as db:
        return db.get_one(Session, session.id)


def test_nul_breaks_no_ingest(store: Context) -> None:
    session = take_in(
        store,
        ev.SessionStarted(f"conversation{NUL}", f"mo{NUL}del"),
        ev.TurnStarted("t"),
        ev.Text("m", f"Look {NUL}here: {BACKSLASHES}", final=True),
        ev.Usage(f"mo{NUL}del", 3),
        ev.Usage("model", 4),
        ev.Quota([ev.QuotaWindow(f"seven{NUL}_day", 40, 10080)], source=f"me{NUL}ter"),
        ev.Failed("invalid", f"No{NUL}."),
        ev.TurnEnded("t", "failed", f"The {NUL}end."),
    )
    assert (session.conversation_id, session.model) == ("conversation", "model")
    assert (session.last_line, session.error_message) == ("No.", "No.")
    assert session.summary == "The end."
    with store.db.read() as db:
        [minute] = db.exec(select(UsageMinute)).all()
        assert (minute.model, minute.output_tokens) == ("model", 7)
        [reading] = db.exec(select(QuotaReading)).all()
        assert (reading.kind, reading.source) == ("seven_day", "meter")
        assert [row.id for row in db.exec(select(Conversation))] == ["conversation"]


def test_nul_breaks_no_question(store: Context) -> None:
    asks = ev.PermissionRequested(f"q{NUL}", "execute", f"b{NUL}", f"rm {NUL}", {"x": NUL}, "", NUL)
    take_in(store, ev.TurnStarted("t"), asks)
    with store.db.read() as db:
        [asked] = db.exec(select(Permission)).all()
    assert (asked.request_id, asked.title, asked.input) == ("q", "rm ", {"x": ""})
    assert (asked.name, asked.reason) == ("b", "")


def test_what_only_looks_like_nul_is_kept(ctx: Context) -> None:
    session = take_in(ctx, ev.Text("m", BACKSLASHES + NUL, final=True))
    assert session.last_line == BACKSLASHES


def test_a_probes_words_are_kept_without_nul(store: Context) -> None:
    account = make.account(store)
    quota = ev.Quota([ev.QuotaWindow(f"five{NUL}_hour", 12, 300), ev.QuotaWindow("x" * 5000, 1)])
    report = AccountReport(
        logged_in=True, identity=f"a{NUL}@b", plan=f"odd{NUL}", credits=f"1{NUL}2", quota=quota
    )
    probing.store(store, account.id or 0, report, utc_now())
    with store.db.read() as db:
        row = db.get_one(Account, account.id)
        assert (row.identity, row.plan, row.credits) == ("a@b", "odd", "12")
        kinds = {reading.kind for reading in db.exec(select(QuotaReading))}
        assert kinds == {"five_hour", "x" * 100}


def test_names_without_end_are_cut(store: Context) -> None:
    endless = "".join(chr(97 + n * n * 7 % 23) for n in range(30_000))  # too long for an index
    session = take_in(
        store, ev.SessionStarted(endless, endless), ev.Usage(endless, 3), ev.Usage(endless, 4)
    )
    assert session.conversation_id == endless  # only the vendor knows what it means
    with store.db.read() as db:
        minutes = db.exec(select(UsageMinute)).all()  # one, or two where a minute ended between
        assert {len(minute.model) for minute in minutes} == {200}
        assert sum(minute.output_tokens for minute in minutes) == 7
        assert db.exec(select(Conversation)).all() == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (RESETS_AT, RESETS_AT),
        (RESETS_AT.replace(tzinfo=None), RESETS_AT),
        (RESETS_AT.astimezone(timezone(timedelta(hours=5, minutes=45))), RESETS_AT),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), None),
        (None, None),
    ],
    ids=["utc", "no zone", "Kathmandu", "beyond the calendar", "unsaid"],
)
def test_a_reset_is_a_time_in_utc(
    ctx: Context, said: datetime | None, kept: datetime | None
) -> None:
    session = take_in(ctx, ev.TurnStarted("t"), ev.TurnEnded("t", "limited", resets_at=said))
    assert session.pending_resets_at == kept
