"""The strip, the windows, tokens over time and the heat map, from rows alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from app.models import Account, OutsideMinute, QuotaSample, UsageMinute
from app.services import gauges
from app.services.context import Context
from app.services.prices import equivalent_usd
from tests.app import factories as make
from tests.app.services.weeks import HOUR, MONDAY, lived, steady

NOW = MONDAY + 60 * HOUR + timedelta(seconds=30)  # Wednesday noon, and half a minute
MINUTE = int(NOW.timestamp()) // 60
MODEL = "claude-sonnet-4-5"


def work(ctx: Context, login: Account, name: str = "maple") -> str:
    worker = make.agent(ctx, name, login)
    repo = make.repository(ctx, f"of-{name}")
    return make.session(ctx, worker, make.task(ctx, repo), id=f"s-{name}").id


def spend(ctx: Context, login: Account, session: str, ago: int, **tokens: int) -> None:
    key = {"session_id": session, "account_id": login.id or 0}
    row = UsageMinute(**key, model=MODEL, minute=MINUTE - ago)
    for name, count in tokens.items():
        setattr(row, f"{name}_tokens", count)
    make.save(ctx, row)


def outside(ctx: Context, login: Account, ago: int, output: int) -> None:
    row = OutsideMinute(account_id=login.id or 0, model=MODEL, minute=MINUTE - ago)
    row.output_tokens = output
    make.save(ctx, row)


def strip(ctx: Context) -> gauges.Strip:
    with ctx.db.read() as db:
        return gauges.strip(db, NOW)


def test_an_empty_house_burns_nothing_and_risks_nothing(ctx: Context) -> None:
    seen = strip(ctx)
    assert (seen.usd_per_hour.usd, seen.output_per_minute, seen.parked) == (0, 0, 0)
    assert (seen.cache_read_percent, seen.expiring_usd, seen.dry) == (None, 0, None)


def test_the_burn_is_told_per_hour_and_the_cache_as_a_share(ctx: Context) -> None:
    login = make.account(ctx)
    session = work(ctx, login)
    spend(ctx, login, session, 0, output=90)
    spend(ctx, login, session, 1, output=600, input=10, cache_write=10, cache_read=80)
    spend(ctx, login, session, 15, output=400)
    spend(ctx, login, session, 16, output=10**6)  # long ago
    outside(ctx, login, 1, 10**6)  # not of the fleet
    seen = strip(ctx)
    quarter = equivalent_usd(MODEL, output=1000, fresh_input=10, cache_write=10, cache_read=80)
    assert seen.usd_per_hour.usd == pytest.approx(4 * (quarter or 0))
    assert seen.output_per_minute == pytest.approx(90 + 300)
    assert seen.cache_read_percent == pytest.approx(80)


def week(ctx: Context, login: Account, used: float, left: timedelta, **more: object) -> None:
    given = {"window_minutes": 10080, "resets_at": NOW + left, "observed_at": NOW}
    make.quota(ctx, login, "seven_day", used, **given | more)


def test_what_expires_within_a_day_is_summed_and_its_account_named(ctx: Context) -> None:
    big = make.account(ctx, "Big", week_usd=1000.0, reserve_percent=10)
    small = make.account(ctx, "Small", week_usd=50.0)
    later = make.account(ctx, "Later", week_usd=5000.0)
    week(ctx, big, 20, 24 * HOUR)  # lands at 23.3
    week(ctx, small, 60, 12 * HOUR)
    make.quota(ctx, small, "seven_day_tiny", 0, window_minutes=10080, resets_at=NOW + HOUR)
    week(ctx, later, 1, 25 * HOUR)
    seen = strip(ctx)
    expected = 10 * (90 - 20 / (6 / 7)) + 0.5 * (100 - 60 / (156 / 168))
    assert seen.expiring_usd == pytest.approx(expected, rel=0.01)
    assert (seen.expiring_account, seen.expiring_is_partial) == ("Big", False)


def test_unknown_dollars_at_risk_are_unknown_not_nothing(ctx: Context) -> None:
    week(ctx, make.account(ctx, "bare"), 20, 10 * HOUR)
    seen = strip(ctx)
    assert (seen.expiring_usd, seen.expiring_is_partial, seen.expiring_account) == (None, True, "")
    known = make.account(ctx, "known", week_usd=100.0)
    week(ctx, known, 50, 10 * HOUR)
    assert strip(ctx).expiring_usd == pytest.approx(100 - 50 / (158 / 168), rel=0.01)
    assert strip(ctx).expiring_is_partial


def test_the_first_window_to_run_dry_is_named(ctx: Context) -> None:
    slow, fast = make.account(ctx, "slow"), make.account(ctx, "fast")
    week(ctx, slow, 80, 60 * HOUR)
    make.quota(
        ctx, fast, "five_hour", 90, window_minutes=300, resets_at=NOW + HOUR, observed_at=NOW
    )
    dry = strip(ctx).dry
    assert dry is not None
    assert (dry.account, dry.kind, dry.returns_at) == ("fast", "five_hour", NOW + HOUR)
    assert dry.at < NOW + HOUR


def test_parked_tasks_are_counted_with_the_first_return(ctx: Context) -> None:
    repo = make.repository(ctx)
    make.task(ctx, repo, state="parked", parked_until=NOW + 2 * HOUR)
    make.task(ctx, repo, state="parked", parked_until=NOW + HOUR)
    make.task(ctx, repo, state="parked")
    seen = strip(ctx)
    assert (seen.parked, seen.resumes_at) == (3, NOW + HOUR)


def test_windows_come_short_first_with_their_facts(ctx: Context) -> None:
    login = make.account(ctx, week_usd=200.0)
    keyed = make.account(ctx, "key")
    week(ctx, login, 40, 84 * HOUR, observed_at=NOW - HOUR)
    make.quota(ctx, login, "five_hour", 10, window_minutes=300, resets_at=NOW - HOUR)
    make.quota(ctx, login, "requests_per_minute", 3, window_minutes=1, resets_at=NOW - HOUR)
    with ctx.db.read() as db:
        drawn = gauges.windows(db, NOW)
    assert drawn[keyed.id or 0] == []
    short, long = drawn[login.id or 0]
    assert (short.reading.kind, short.used, short.has_reset) == ("five_hour", None, True)
    assert (short.forecast.risk, short.is_budget) == ("unknown", False)
    assert (long.used, long.elapsed, long.is_stale, long.is_binding) == (40, 50, True, True)
    assert (long.capacity.source, long.capacity.usd) == ("stated", pytest.approx(200))
    assert long.forecast.lands_percent == pytest.approx(40 / (83 / 168), rel=0.01)


def test_a_forecast_follows_the_newest_reading_and_its_history(ctx: Context) -> None:
    login = make.account(ctx)
    key = login.id or 0
    samples = lived(steady(0.4), NOW, weeks=4, whole=False)
    save_samples(ctx, key, samples[:-1])
    week(ctx, login, samples[-1].used_percent, MONDAY + timedelta(weeks=1) - NOW)

    def lands(now: datetime) -> float:
        with ctx.db.read() as db:
            seen = gauges.windows(db, now)[key][0].forecast
        assert seen.basis == "hours of the week"
        return seen.lands_percent or 0.0

    assert lands(NOW) == pytest.approx(0.4 * 168, rel=0.05)
    before = lands(NOW)
    with ctx.db.write() as db:
        row = gauges.readings.reading(db, key, "seven_day")
        assert row is not None
        row.used_percent, row.observed_at = row.used_percent + 30, NOW + timedelta(minutes=10)
        db.add(row)
        db.add(QuotaSample(
            account_id=key, kind="seven_day", slot=int(row.observed_at.timestamp()) // 300,
            observed_at=row.observed_at, used_percent=row.used_percent,
        ))  # fmt: skip
    assert lands(NOW + timedelta(minutes=11)) > before + 30


def save_samples(ctx: Context, key: int, samples: list[QuotaSample]) -> None:
    rows = {row.slot: row.model_dump() | {"account_id": key} for row in samples}
    with ctx.db.write() as db:
        db.connection().execute(insert(QuotaSample), list(rows.values()))


def test_tokens_are_stacked_by_account_from_both_ledgers(ctx: Context) -> None:
    one, two = make.account(ctx, "one"), make.account(ctx, "two", rank=-1)
    make.account(ctx, "quiet")
    session = work(ctx, one)
    start = MINUTE - MINUTE % 10
    spend(ctx, one, session, MINUTE - start, output=50)
    spend(ctx, one, session, MINUTE - start + 1, output=1000)
    outside(ctx, one, MINUTE - start + 2, 500)
    outside(ctx, two, MINUTE - start + 25, 200)
    outside(ctx, two, MINUTE - start + 600, 10**6)
    with ctx.db.read() as db:
        series = gauges.tokens(db, minutes=30, bucket_minutes=10, now=NOW)
    assert series.starts[-1] == start * 60
    assert [b - a for a, b in zip(series.starts, series.starts[1:], strict=False)] == [600] * 3
    span = MINUTE - start + 1
    assert series.accounts == [
        (two.id, "two", [20, 0, 0, 0][-len(series.starts):]),
        (one.id, "one", [0, 0, 150, round(50 / span)]),
    ]  # fmt: skip


def test_the_heat_map_is_a_share_of_each_hours_capacity(ctx: Context) -> None:
    login = make.account(ctx, week_usd=168.0, created_at=NOW - timedelta(weeks=2))
    blind = make.account(ctx, "blind", created_at=NOW - timedelta(weeks=2))
    session = work(ctx, login)
    output = round(0.5 / (equivalent_usd(MODEL, output=1) or 1))
    spend(ctx, login, session, 2 * 60, output=output)  # Wednesday 10:00, of two Wednesdays
    with ctx.db.read() as db:
        grid = gauges.heat(db, NOW)
        ours = gauges.heat(db, NOW, account_id=login.id)
        unknown = gauges.heat(db, NOW, account_id=blind.id)
    assert grid == ours
    assert [len(day) for day in grid] == [24] * 7
    assert grid[2][10] == pytest.approx(0.25, rel=0.01)
    assert grid[2][9] == 0
    assert grid[6][0] == 0
    assert unknown == [[None] * 24] * 7


def test_hours_that_never_were_have_no_heat(ctx: Context) -> None:
    make.account(ctx, week_usd=168.0, created_at=NOW - 2 * HOUR)
    with ctx.db.read() as db:
        grid = gauges.heat(db, NOW)
    assert sum(cell is not None for day in grid for cell in day) == 3
    assert (grid[2][9], grid[2][10], grid[2][12]) == (None, 0, 0)


def test_a_log_of_before_the_account_counts(ctx: Context) -> None:
    login = make.account(ctx, week_usd=168.0, created_at=NOW)
    outside(ctx, login, 60 * 24 * 8, 1000)
    with ctx.db.read() as db:
        grid = gauges.heat(db, NOW)
    assert all(cell is not None for day in grid for cell in day)


def test_hours_are_utc_whatever_the_zone_of_now(ctx: Context) -> None:
    make.account(ctx, week_usd=168.0, created_at=NOW - HOUR)
    elsewhere = NOW.astimezone(datetime.now(UTC).astimezone().tzinfo)
    with ctx.db.read() as db:
        assert gauges.heat(db, elsewhere) == gauges.heat(db, NOW)


def test_a_drawing_takes_few_queries_however_many_accounts(ctx: Context) -> None:
    for n in range(8):
        login = make.account(ctx, f"account {n}")
        week(ctx, login, 10.0 + n, 80 * HOUR)
        make.quota(ctx, login, "five_hour", 3.0, window_minutes=300, resets_at=NOW + HOUR)
    strip(ctx)  # histories are read once
    asked: list[str] = []

    def listen(*given: Any) -> None:
        asked.append(given[2])

    event.listen(ctx.db.engine, "before_cursor_execute", listen)
    strip(ctx)
    assert len([query for query in asked if query.startswith("SELECT")]) <= 5
