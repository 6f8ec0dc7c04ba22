"""Meters: newest wins, nothing is invented, a refusal holds, and folding again changes nothing."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from agents.events import Event, Quota, QuotaWindow, Record
from app.models import QuotaReading, QuotaSample
from app.models.base import utc_now
from app.services import quota
from app.services.context import Context
from app.services.ingest import read_chunk, store_chunks
from app.services.reindex import reindex
from app.store import accounts, sessions
from app.store import quota as readings
from app.supervisor.bus import Bus
from app.supervisor.tail import Tailer
from tests.app.house import furnish, write_journal

NOW = utc_now().replace(microsecond=0)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def login(ctx: Context) -> int:
    """The account of the furnished house."""
    furnish(ctx)
    with ctx.db.read() as db:
        account = accounts.by_name(db, "mine")
    assert account is not None
    return account.id or 0


def tell(ctx: Context, login: int, event: Quota, at: datetime = NOW) -> None:
    with ctx.db.write() as db:
        quota.store_readings(db, [(login, at, event)])


def kept(ctx: Context, login: int) -> dict[str, QuotaReading]:
    with ctx.db.read() as db:
        return {row.kind: row for row in readings.of_account(db, login)}


def five(percent: float, resets_at: datetime | None = NOW + HOUR) -> QuotaWindow:
    return QuotaWindow("five_hour", percent, 300, resets_at)


def week(percent: float) -> QuotaWindow:
    return QuotaWindow("seven_day", percent, 10080, NOW + 50 * HOUR)


def test_a_window_that_is_not_reported_keeps_its_reading_and_its_age(
    ctx: Context, login: int
) -> None:
    tell(ctx, login, Quota([five(20), week(40)], source="a"))
    tell(ctx, login, Quota([five(25)], source="b"), NOW + MINUTE)
    rows = kept(ctx, login)
    assert (rows["five_hour"].used_percent, rows["five_hour"].observed_at) == (25, NOW + MINUTE)
    assert (rows["seven_day"].used_percent, rows["seven_day"].observed_at) == (40, NOW)
    tell(ctx, login, Quota([]), NOW + 2 * MINUTE)
    assert kept(ctx, login).keys() == {"five_hour", "seven_day"}


def test_what_a_reading_leaves_out_stays_as_it_was(ctx: Context, login: int) -> None:
    tell(ctx, login, Quota([five(20)]))
    tell(ctx, login, Quota([QuotaWindow("five_hour", 30)]), NOW + MINUTE)
    row = kept(ctx, login)["five_hour"]
    assert (row.used_percent, row.window_minutes, row.resets_at) == (30, 300, NOW + HOUR)
    tell(ctx, login, Quota([QuotaWindow("five_hour", 2)]), NOW + 2 * HOUR)
    assert kept(ctx, login)["five_hour"].resets_at is None  # that reset has passed


def test_an_older_reading_changes_nothing_and_a_fall_is_believed(ctx: Context, login: int) -> None:
    tell(ctx, login, Quota([five(60)]))
    tell(ctx, login, Quota([five(90)]), NOW - MINUTE)
    assert kept(ctx, login)["five_hour"].used_percent == 60
    tell(ctx, login, Quota([five(2)]), NOW + MINUTE)
    assert kept(ctx, login)["five_hour"].used_percent == 2


def test_a_refusal_holds_until_its_window_returns(ctx: Context, login: int) -> None:
    tell(ctx, login, Quota([five(100), week(40)], "rejected"))
    tell(ctx, login, Quota([five(98), week(40)]), NOW + MINUTE)
    rows = kept(ctx, login)
    assert (rows["five_hour"].status, rows["five_hour"].used_percent) == ("rejected", 98)
    assert quota.is_refused(rows["five_hour"], NOW + 59 * MINUTE)
    assert not quota.is_refused(rows["five_hour"], NOW + HOUR)
    assert rows["seven_day"].status == "allowed"
    tell(ctx, login, Quota([five(1, NOW + 6 * HOUR)]), NOW + HOUR)
    assert kept(ctx, login)["five_hour"].status == "allowed"


def test_a_refusal_without_a_time_holds_while_it_is_fresh(ctx: Context, login: int) -> None:
    tell(ctx, login, Quota([five(80, None)], "rejected"))
    row = kept(ctx, login)["five_hour"]
    assert quota.is_refused(row, NOW + 9 * MINUTE)
    assert not quota.is_refused(row, NOW + 11 * MINUTE)


def test_nonsense_is_cut_to_size_or_left_out(ctx: Context, login: int) -> None:
    windows = [
        QuotaWindow("high", 170.0, -5),
        QuotaWindow("low", 3.0, 10**12, datetime(2026, 1, 1)),  # no zone: a meter's mistake
        QuotaWindow("nothing", float("nan")),
        QuotaWindow("below", -3.0),  # not a 0 % that nobody told
        QuotaWindow("beyond", 1e9),
    ]
    tell(ctx, login, Quota(windows))
    rows = kept(ctx, login)
    assert rows.keys() == {"high", "low"}
    assert (rows["high"].used_percent, rows["high"].window_minutes) == (100, None)
    assert (rows["low"].used_percent, rows["low"].window_minutes) == (3, None)


def test_after_a_reset_the_use_is_unknown_and_never_zero(ctx: Context, login: int) -> None:
    tell(ctx, login, Quota([five(80)]))
    row = kept(ctx, login)["five_hour"]
    assert (quota.used_percent(row, NOW), quota.elapsed_percent(row, NOW)) == (80, 80)
    later = NOW + 61 * MINUTE
    assert quota.used_percent(row, later) is None
    assert quota.elapsed_percent(row, later) is None
    assert quota.is_stale(row, later)


def test_one_sample_is_kept_for_each_five_minutes(ctx: Context, login: int) -> None:
    start = datetime.fromtimestamp(int(NOW.timestamp()) // 300 * 300, NOW.tzinfo)
    for minutes in (2, 0, 4, 5, 9):
        per_minute = QuotaWindow("requests_per_minute", 10, 1)
        tell(ctx, login, Quota([five(minutes), per_minute]), start + minutes * MINUTE)
    with ctx.db.read() as db:
        points = readings.points(db, login, "five_hour", 0)
        assert [percent for _, percent in points] == [4, 9]
        assert readings.points(db, login, "requests_per_minute", 0) == []


MOMENTS = st.integers(0, 600)
WINDOWS = st.builds(
    QuotaWindow,
    st.sampled_from(["five_hour", "seven_day"]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([None, 300, 10080, 0, -1]),
    st.none() | MOMENTS.map(lambda minutes: NOW + minutes * MINUTE),
)
TOLD = st.tuples(
    MOMENTS.map(lambda minutes: NOW + minutes * MINUTE),
    st.builds(
        Quota,
        st.lists(WINDOWS, max_size=3),
        st.sampled_from(["allowed", "warning", "rejected"]),
    ),
)


@given(st.lists(TOLD, max_size=12))
def test_a_lying_meter_is_kept_in_bounds(told: list[tuple[datetime, Quota]]) -> None:
    row: QuotaReading | None = None
    for at, event in told:
        for window in event.windows:
            if window.kind != "five_hour" or window.used_percent != window.used_percent:
                continue
            new = quota._reading(1, window, event.status, "", at)
            if row is None:
                row = new
            else:
                quota.merge(row, new)
            assert 0 <= row.used_percent <= 100
            assert quota.used_percent(row, at) in (None, row.used_percent)
            pace = quota.elapsed_percent(row, at)
            assert pace is None or 0 <= pace <= 100
            assert row.observed_at == max(row.observed_at, new.observed_at)


EVENTS: list[Event] = [
    Quota([five(30), week(10)], "warning", "meter"),
    Quota([five(100)], "rejected", "meter"),
    Quota([five(97)], "allowed", "meter"),
]


def rows(ctx: Context) -> list[object]:
    with ctx.db.read() as db:
        found = [row.model_dump() for row in readings.every(db)]
        return [*found, *readings.points(db, found[0]["account_id"], "five_hour", 0)]


def ingest(ctx: Context) -> list[Record]:
    with ctx.db.read() as db:
        session = sessions.get(db, "s-1")
    assert session is not None
    chunk = read_chunk(ctx, session.id, session.offset)
    assert store_chunks(ctx, [chunk]) == set()
    return chunk.records


def test_ingest_keeps_readings_for_the_sessions_account(ctx: Context, login: int) -> None:
    write_journal(ctx, "s-1", EVENTS)
    last = ingest(ctx)[-1]
    row = kept(ctx, login)["five_hour"]
    assert (row.used_percent, row.status, row.observed_at) == (97, "rejected", last.at)
    assert (row.source, row.resets_at) == ("meter", NOW + HOUR)


def test_reindex_tells_the_same_again(ctx: Context, login: int) -> None:
    write_journal(ctx, "s-1", EVENTS)
    ingest(ctx)
    before = rows(ctx)
    reindex(ctx)
    assert rows(ctx) == before
    with ctx.db.write() as db:  # and all of it comes back where the tables were lost
        db.connection().execute(delete(QuotaReading))
        db.connection().execute(delete(QuotaSample))
    reindex(ctx)
    assert rows(ctx) == before
    assert kept(ctx, login)["five_hour"].used_percent == 97


async def test_the_accounts_page_is_told_of_a_reading(ctx: Context, login: int) -> None:
    bus = Bus()
    bus.attach()
    write_journal(ctx, "s-1", EVENTS)
    with bus.listen({"accounts"}) as listener:
        await Tailer(ctx, bus).catch_up("s-1")
        assert await listener.changes(5) == {"accounts"}
    assert login in {row.account_id for row in kept(ctx, login).values()}
