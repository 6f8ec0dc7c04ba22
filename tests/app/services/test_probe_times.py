"""When an account's vendor is asked: not without need, at once if the human wants it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.models import Account, QuotaReading, Session
from app.models.base import utc_now
from app.services import probe_times
from app.services.context import Context
from tests.app import factories as make

NOW = utc_now()
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def mine(ctx: Context, tmp_path: Path) -> Account:
    """A subscription that was asked half an hour ago, and is told nothing of since."""
    made = make.account(ctx, "mine", config_dir=str(tmp_path), login="in", probed_at=NOW - HOUR / 2)
    probe_times.note(ctx, made.id or 0, NOW - HOUR / 2, told=True, is_in=True)
    told(ctx, made, "seven_day", 10_080, NOW - HOUR / 2)
    told(ctx, made, "five_hour", 300, NOW - HOUR / 2)
    return made


def told(ctx: Context, of: Account, kind: str, minutes: int, at: datetime, **more: Any) -> None:
    given = {"account_id": of.id, "kind": kind, "used_percent": 10.0, "window_minutes": minutes}
    with ctx.db.write() as db:
        db.merge(QuotaReading(**given | {"observed_at": at} | more))


def change(ctx: Context, account: Account, **values: Any) -> None:
    with ctx.db.write() as db:
        row = db.get_one(Account, account.id)
        for name, value in values.items():
            setattr(row, name, value)
        db.add(row)


def work_on(ctx: Context, account: Account, state: str = "running") -> Session:
    worker = make.agent(ctx, f"maple-{account.id}", account)
    repository = make.repository(ctx, f"lighthouse-{account.id}")
    return make.session(ctx, worker, make.task(ctx, repository, state=state))


def due(ctx: Context, after: timedelta = timedelta(0)) -> list[int]:
    return probe_times.due(ctx, NOW + after)


def test_an_idle_account_is_left_alone(ctx: Context, mine: Account) -> None:
    assert due(ctx) == []
    make.agent(ctx, "maple", mine)
    assert due(ctx, 48 * HOUR) == []  # an agent without work spends nothing


def test_a_working_account_is_asked_for_what_its_events_did_not_tell(
    ctx: Context, mine: Account
) -> None:
    work_on(ctx, mine)
    assert due(ctx) == [mine.id]
    told(ctx, mine, "five_hour", 300, NOW)
    assert due(ctx) == [mine.id]  # the week's budget was not told for half an hour
    told(ctx, mine, "seven_day", 10_080, NOW)
    assert due(ctx) == []
    assert due(ctx, 6 * MINUTE) == [mine.id]


def test_two_probes_are_six_to_nine_minutes_apart(ctx: Context, mine: Account) -> None:
    work_on(ctx, mine)
    waits = set()
    for _ in range(30):
        probe_times.note(ctx, mine.id or 0, NOW, told=True, is_in=True)
        assert due(ctx, 5.9 * MINUTE) == []
        assert due(ctx, 9.1 * MINUTE) == [mine.id]
        waits.add(probe_times.desk(ctx).rests[mine.id or 0])
    assert len(waits) > 20  # not all of them at the same time


def test_a_meter_that_tells_nothing_is_asked_ever_more_seldom(ctx: Context, mine: Account) -> None:
    work_on(ctx, mine)
    for _ in range(20):
        probe_times.note(ctx, mine.id or 0, NOW, told=False, is_in=True)
    assert due(ctx, 90 * MINUTE) == []
    assert due(ctx, 150 * MINUTE) == [mine.id]


def test_work_that_waits_asks_the_accounts_it_could_go_to(ctx: Context, mine: Account) -> None:
    elsewhere = make.account(ctx, "other", driver="codex", login="in", probed_at=NOW)
    work = make.task(ctx, make.repository(ctx), state="queued")
    assert due(ctx) == []  # nobody could do it
    worker = make.agent(ctx, "maple", make.account(ctx, "third", login="in", probed_at=NOW))
    assert mine.id in due(ctx)  # the agent may be moved here
    assert elsewhere.id not in due(ctx)
    change(ctx, mine, is_automatic=False)
    assert mine.id not in due(ctx)
    with ctx.db.write() as db:
        worker.account_id, work.wanted_account_id = mine.id or 0, elsewhere.id
        db.merge(worker)
        db.merge(work)
    assert mine.id not in due(ctx)  # it waits for another account


def test_a_window_that_began_anew_is_asked_about_once(ctx: Context, mine: Account) -> None:
    told(ctx, mine, "five_hour", 300, NOW - HOUR / 2, resets_at=NOW - MINUTE)
    assert due(ctx) == [mine.id]
    change(ctx, mine, probed_at=NOW)  # the meter does not know that window any more
    assert due(ctx, HOUR) == []


def test_after_a_limits_reset_it_is_asked_at_once(ctx: Context, mine: Account) -> None:
    probe_times.note(ctx, mine.id or 0, NOW, told=True, is_in=True)
    change(ctx, mine, limited_until=NOW + MINUTE, probed_at=NOW)
    assert due(ctx) == []
    assert due(ctx, MINUTE) == [mine.id]
    change(ctx, mine, probed_at=NOW + MINUTE)
    assert due(ctx, 2 * MINUTE) == []


def test_keys_and_scripts_are_never_asked_by_themselves(ctx: Context) -> None:
    for driver, auth in (("openai_api", "api_key"), ("scripted", "none"), ("codex", "api_key")):
        work_on(ctx, make.account(ctx, f"{driver} {auth}", driver=driver, auth=auth))
    assert due(ctx, 48 * HOUR) == []


def test_a_new_login_is_looked_at_once(ctx: Context, tmp_path: Path) -> None:
    made = make.account(ctx, "new", config_dir=str(tmp_path))
    assert due(ctx) == [made.id]
    probe_times.note(ctx, made.id or 0, NOW, told=False, is_in=False)
    change(ctx, made, probed_at=NOW, login="in")
    assert due(ctx, 48 * HOUR) == []


def test_one_that_is_logged_out_is_looked_at_while_work_waits_for_it(
    ctx: Context, mine: Account
) -> None:
    change(ctx, mine, login="out")
    assert due(ctx) == []
    work = work_on(ctx, mine, state="parked")
    with ctx.db.write() as db:
        work.state = "stopped"
        db.merge(work)
    assert due(ctx) == [mine.id]


def test_a_restart_looks_at_what_was_logged_out(ctx: Context) -> None:
    key = make.account(
        ctx, "key", driver="openai_api", auth="api_key", login="out", probed_at=NOW - HOUR
    )
    assert due(ctx) == [key.id]  # its variable is set anew by a restart, and by nothing else
    probe_times.note(ctx, key.id or 0, NOW, told=False, is_in=False)
    assert due(ctx, 48 * HOUR) == []


def test_the_human_is_answered_first(ctx: Context, published: list[str]) -> None:
    busy = make.account(ctx, "busy", login="in", probed_at=NOW - HOUR)
    work_on(ctx, busy)
    key = make.account(ctx, "key", driver="openai_api", auth="api_key", secret_env="K")
    probe_times.ask(ctx, key.id or 0)
    probe_times.ask(ctx, 999)  # gone
    assert due(ctx) == [key.id, busy.id]
    assert "probe" in published
    probe_times.note(ctx, key.id or 0, NOW, told=False, is_in=False)
    assert due(ctx, timedelta(seconds=1)) == [busy.id]  # not faster than every two seconds


def test_a_shown_login_is_watched_for_ten_minutes(ctx: Context, mine: Account) -> None:
    start = utc_now() - NOW
    probe_times.watch(ctx, mine.id or 0)
    probe_times.desk(ctx).asked.clear()
    looked = 0
    for seconds in range(0, 1200, 5):
        after = start + timedelta(seconds=seconds)
        if mine.id in due(ctx, after):
            looked += 1
            probe_times.note(ctx, mine.id or 0, NOW + after, told=False, is_in=False)
    assert looked in (40, 41)  # every 15 seconds
    probe_times.watch(ctx, mine.id or 0)
    probe_times.note(ctx, mine.id or 0, utc_now(), told=True, is_in=True)
    assert mine.id not in probe_times.desk(ctx).watched  # it was seen


def test_a_clock_that_is_set_back_stops_nothing(ctx: Context, mine: Account) -> None:
    work_on(ctx, mine)
    probe_times.note(ctx, mine.id or 0, NOW + 48 * HOUR, told=True, is_in=True)
    told(ctx, mine, "seven_day", 10_080, NOW + 48 * HOUR)
    told(ctx, mine, "five_hour", 300, NOW + 48 * HOUR)
    change(ctx, mine, probed_at=NOW + 48 * HOUR)
    assert due(ctx) == [mine.id]
