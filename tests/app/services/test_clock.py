"""Every millisecond of every agent is in exactly one of the seven states, whatever is told when."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlmodel import Session as Orm

from agents import events as ev
from app.models import AgentClock, AgentMinute, Session
from app.models.base import utc_now
from app.services import clock, states
from app.services.context import Context
from app.services.ingest import read_chunk, reset, store_chunks
from app.services.reindex import reindex
from app.store import agents, sessions
from app.store import clock as store
from tests.app import factories
from tests.app.house import furnish, write_journal

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MS = timedelta(milliseconds=1)


def note(ctx: Context, agent_id: int, state: str, at: datetime) -> None:
    with ctx.db.write() as db:
        clock.note(db, agent_id, state, at)


def spent(ctx: Context, agent_id: int, since: datetime, until: datetime) -> dict[str, int]:
    """Only the states in which there was time."""
    with ctx.db.read() as db:
        found = clock.seconds(db, since, until)[agent_id]
    assert set(found) == set(clock.STATES)
    return {state: milliseconds for state, milliseconds in found.items() if milliseconds}


def line(ctx: Context, agent_id: int, minutes: int, now: datetime) -> list[str]:
    with ctx.db.read() as db:
        return clock.timelines(db, minutes, now).get(agent_id, [""] * minutes)


@pytest.fixture
def maple(ctx: Context) -> int:
    return factories.agent(ctx, "maple").id or 0


def test_time_is_split_at_the_moment_of_change_across_midnight(ctx: Context, maple: int) -> None:
    note(ctx, maple, "idle", MIDNIGHT - 90 * timedelta(seconds=1))
    note(ctx, maple, "decoding", MIDNIGHT - 30 * timedelta(seconds=1) + MS)
    note(ctx, maple, "tool", MIDNIGHT + 10 * timedelta(seconds=1))
    now = MIDNIGHT + 2 * MINUTE
    assert spent(ctx, maple, MIDNIGHT - HOUR, now) == {
        "idle": 60_001,
        "decoding": 39_999,
        "tool": 110_000,
    }
    assert spent(ctx, maple, MIDNIGHT, now) == {"decoding": 10_000, "tool": 110_000}
    assert spent(ctx, maple, MIDNIGHT - MINUTE, MIDNIGHT) == {"idle": 30_001, "decoding": 29_999}
    assert line(ctx, maple, 5, now) == ["", "idle", "idle", "tool", "tool", "tool"][-5:]


def test_what_is_told_late_changes_the_state_but_no_time_that_was_counted(
    ctx: Context, maple: int
) -> None:
    note(ctx, maple, "idle", MIDNIGHT)
    note(ctx, maple, "decoding", MIDNIGHT + MINUTE)
    note(ctx, maple, "tool", MIDNIGHT + 30 * timedelta(seconds=1))
    assert spent(ctx, maple, MIDNIGHT, MIDNIGHT + 2 * MINUTE) == {"idle": 60_000, "tool": 60_000}


def test_an_agent_has_no_time_before_its_first(ctx: Context, maple: int) -> None:
    assert line(ctx, maple, 3, MIDNIGHT) == ["", "", ""]
    note(ctx, maple, "idle", MIDNIGHT)
    assert spent(ctx, maple, MIDNIGHT - HOUR, MIDNIGHT) == {}
    assert line(ctx, maple, 3, MIDNIGHT) == ["", "", "idle"]
    note(ctx, maple, "tool", MIDNIGHT + MINUTE)
    assert spent(ctx, maple, MIDNIGHT - HOUR, MIDNIGHT + HOUR) == {
        "idle": 60_000,
        "tool": 59 * 60_000,
    }


def test_a_part_of_a_minute_that_is_over_sums_to_its_length(ctx: Context, maple: int) -> None:
    note(ctx, maple, "idle", MIDNIGHT)
    note(ctx, maple, "tool", MIDNIGHT + 20 * timedelta(seconds=1))
    note(ctx, maple, "error", MIDNIGHT + 2 * MINUTE)
    found = spent(ctx, maple, MIDNIGHT + 7 * MS, MIDNIGHT + 101 * MS)
    assert sum(found.values()) == 94
    assert found == {"idle": 31, "tool": 63}


def test_an_unknown_state_is_refused(ctx: Context, maple: int) -> None:
    with pytest.raises(ValueError, match="off"):
        note(ctx, maple, "off", MIDNIGHT)


class Clocks(RuleBasedStateMachine):
    """Arbitrary tales: late, repeated, from the future, with jumps of the clock and restarts."""

    ctx: Context
    ids: list[int]

    @initialize(start=st.integers(0, 3 * 86_400_000))
    def begin(self, start: int) -> None:
        with self.ctx.db.write() as db:
            db.connection().execute(text("DELETE FROM agentminute"))
            db.connection().execute(text("DELETE FROM agentclock"))
        self.now = MIDNIGHT + start * MS
        self.first: dict[int, datetime] = {}

    def _note(self, which: int, state: str, at: datetime) -> None:
        agent_id = self.ids[which]
        note(self.ctx, agent_id, state, at)
        self.first.setdefault(agent_id, at)

    @rule(which=st.integers(0, 1), state=st.sampled_from(clock.STATES))
    def happens_now(self, which: int, state: str) -> None:
        self._note(which, state, self.now)

    @rule(
        which=st.integers(0, 1),
        state=st.sampled_from(clock.STATES),
        ago=st.integers(-200_000, 4_000_000),
    )
    def is_told_late_or_early(self, which: int, state: str, ago: int) -> None:
        self._note(which, state, self.now - ago * MS)

    @rule(ms=st.one_of(st.integers(1, 200_000), st.just(60_000), st.integers(1, 9_000_000)))
    def time_passes(self, ms: int) -> None:
        self.now += ms * MS

    @rule(ms=st.integers(1, 5_000_000))
    def the_clock_is_set_back(self, ms: int) -> None:
        self.now -= ms * MS
        clock.observe(self.ctx, self.now)
        with self.ctx.db.read() as db:
            for agent_id, found in store.every(db).items():
                assert clock.unix_ms(self.now) >= found.since_ms >= found.born_ms
                self.first.setdefault(agent_id, self.now)

    @rule()
    def is_looked_at(self) -> None:
        clock.observe(self.ctx, self.now)
        clock.observe(self.ctx, self.now)

    @rule()
    def is_pruned(self) -> None:
        clock.prune(self.ctx, self.now)

    @invariant()
    def past_minutes_are_full_and_the_sum_is_the_wall_time(self) -> None:
        if not hasattr(self, "now"):
            return
        with self.ctx.db.read() as db:
            for agent_id, found in store.every(db).items():
                for minute in {found.born_ms // 60_000, found.since_ms // 60_000 - 1}:
                    _check_minute(db, found, minute)
                _check_wall_time(db, found, clock.unix_ms(self.now))
                assert len(clock.timelines(db, 40, self.now)[agent_id]) == 40


def _check_minute(db: Orm, found: AgentClock, minute: int) -> None:
    rows = store.minutes(db, minute, minute + 1, found.agent_id)
    begin, end = max(found.born_ms, minute * 60_000), min(found.since_ms, (minute + 1) * 60_000)
    assert sum(row[3] for row in rows) == max(0, end - begin)


def _check_wall_time(db: Orm, found: AgentClock, now: int) -> None:
    spans = [(found.born_ms - 61_234, now), (now - 3_600_000, now), (now - 61_001, now - 1)]
    spans += [(found.since_ms - 17, found.since_ms + 17), (found.born_ms + 1, found.since_ms)]
    for since, until in spans:
        at = clock.seconds(db, _at(since), _at(until))[found.agent_id]
        assert all(milliseconds >= 0 for milliseconds in at.values())
        assert sum(at.values()) == max(0, until - max(since, found.born_ms))


def _at(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + ms * MS


def test_the_seven_sum_to_the_wall_time_whatever_happens(ctx: Context) -> None:
    class Ours(Clocks):
        pass

    Ours.ctx = ctx
    Ours.ids = [factories.agent(ctx, name).id or 0 for name in ("maple", "otter")]
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Ours,
        settings=checked(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@checked(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(clock.STATES), st.integers(0, 400_000)), max_size=12))
def test_told_in_order_it_is_what_a_list_of_pieces_says(
    ctx: Context, steps: list[tuple[str, int]]
) -> None:
    with ctx.db.read() as db:
        known = agents.by_name(db, "maple")
    agent_id = (known or factories.agent(ctx, "maple")).id or 0
    with ctx.db.write() as db:
        db.connection().execute(text("DELETE FROM agentminute"))
        db.connection().execute(text("DELETE FROM agentclock"))
        at, state, wanted = MIDNIGHT, "idle", dict.fromkeys(clock.STATES, 0)
        clock.note(db, agent_id, state, at)
        for following, ms in steps:
            wanted[state] += ms
            at, state = at + ms * MS, following
            clock.note(db, agent_id, state, at)
        assert clock.seconds(db, MIDNIGHT, at)[agent_id] == wanted


# -- from the house's rows --------------------------------------------------------------------


@pytest.fixture
def working(ctx: Context) -> tuple[int, Session]:
    repo = factories.repository(ctx)
    worker = factories.agent(ctx, "maple")
    work = factories.task(ctx, repo, state="running", agent_id=worker.id)
    return worker.id or 0, factories.session(ctx, worker, work, activity="idle")


def test_a_look_writes_nothing_while_nothing_changes(
    ctx: Context, working: tuple[int, Session]
) -> None:
    assert clock.observe(ctx, MIDNIGHT) == 1
    assert clock.observe(ctx, MIDNIGHT + HOUR) == 0
    assert spent(ctx, working[0], MIDNIGHT, MIDNIGHT + HOUR) == {"idle": 3_600_000}
    with ctx.db.read() as db:
        assert db.connection().scalar(text("SELECT count(*) FROM agentminute")) == 0


def test_a_disabled_agent_is_idle_unless_something_still_works_there(
    ctx: Context, working: tuple[int, Session]
) -> None:
    agent_id, session = working
    with ctx.db.write() as db:
        agent = agents.get(db, agent_id)
        assert agent is not None
        agent.is_enabled = False
        row = db.get_one(Session, session.id)
        row.activity = "tool"
    clock.observe(ctx, MIDNIGHT)
    with ctx.db.write() as db:
        db.get_one(Session, session.id).state = "stopped"
    clock.observe(ctx, MIDNIGHT + MINUTE)
    assert spent(ctx, agent_id, MIDNIGHT, MIDNIGHT + 3 * MINUTE) == {
        "tool": 60_000,
        "idle": 120_000,
    }


def test_an_older_session_that_lives_again_is_the_agents_current_one(
    ctx: Context, working: tuple[int, Session]
) -> None:
    agent_id, old = working
    with ctx.db.write() as db:
        worker = agents.get(db, agent_id)
        assert worker is not None
        db.get_one(Session, old.id).activity = "decoding"
        db.get_one(Session, old.id).created_at = MIDNIGHT
    task = factories.task(ctx, factories.repository(ctx, "other"), state="review")
    factories.session(ctx, worker, task, state="stopped", activity="error")
    with ctx.db.read() as db:
        assert states.every(db) == {agent_id: "decoding"}


def test_an_interrupted_agent_waits_for_the_human(
    ctx: Context, working: tuple[int, Session]
) -> None:
    agent_id, session = working
    with ctx.db.read() as db:
        assert states.every(db)[agent_id] == "idle"
    with ctx.db.write() as db:
        task = store.tasks_of(db, [session.task_id])[session.task_id]
        task.state_reason = "Interrupted: say how to go on, or stop it."
    with ctx.db.read() as db:
        assert states.every(db)[agent_id] == "waiting_human"


def _ingest(ctx: Context, session_id: str) -> None:
    with ctx.db.read() as db:
        session = sessions.get(db, session_id)
    assert session is not None
    store_chunks(ctx, [read_chunk(ctx, session_id, session.offset)])


def _minutes(ctx: Context) -> dict[tuple[int, int, str], int]:
    with ctx.db.read() as db:
        rows = [*store.minutes(db, 0, 1 << 40)]
        assert all(isinstance(row[3], int) for row in rows)
    return {(agent, minute, state): ms for agent, minute, state, ms in rows}


def test_a_journal_dates_its_own_changes_and_a_rebuild_counts_nothing_twice(ctx: Context) -> None:
    house = furnish(ctx)
    with ctx.db.read() as db:
        agent_id = (sessions.get(db, house.session) or Session()).agent_id
    note(ctx, agent_id, "idle", utc_now() - HOUR)
    write_journal(ctx, house.session, [ev.TurnStarted("t1")])
    _ingest(ctx, house.session)
    with ctx.db.read() as db:
        began = store.every(db)[agent_id]
        session = sessions.get(db, house.session)
    assert began.state == "decoding"
    assert session is not None
    assert _at(began.since_ms) <= session.activity_at < _at(began.since_ms + 1)
    before = _minutes(ctx)
    with ctx.db.write() as db:
        reset(db, db.get_one(Session, house.session))
    _ingest(ctx, house.session)
    reindex(ctx)
    assert _minutes(ctx) == before
    with ctx.db.read() as db:
        assert store.every(db)[agent_id] == began


def test_an_hour_without_a_server_is_what_the_journal_says(ctx: Context) -> None:
    house = furnish(ctx)
    start = utc_now() - HOUR
    told = [
        ev.TurnStarted("t1"),
        ev.PermissionRequested("r9", "execute", "Bash", "make dist"),
        ev.PermissionResolved("r9", "allow"),
        ev.TurnEnded("t1", "completed", "Done."),
    ]
    with ctx.db.write() as db:
        row = db.get_one(Session, house.session)
        row.state = "running"
        agent_id = row.agent_id
    lines = factories.records(*told, at=start)
    spaced = [
        ev.Record(seq=line.seq, at=start + n * 10 * MINUTE, event=line.event)
        for n, line in enumerate(lines, 1)
    ]
    note(ctx, agent_id, "idle", start)
    path = ctx.home.session(house.session) / "journal.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(b"".join(map(ev.encode, spaced)))
    with ctx.db.write() as db:
        reset(db, db.get_one(Session, house.session))
        db.get_one(Session, house.session).counted_seq = 0
    _ingest(ctx, house.session)
    assert spent(ctx, agent_id, start, start + HOUR) == {
        "idle": 10 * 60_000 + 20 * 60_000,
        "decoding": 20 * 60_000,
        "waiting_human": 10 * 60_000,
    }


def test_who_ended_while_nobody_looked_ended_with_its_journal(
    ctx: Context, working: tuple[int, Session]
) -> None:
    agent_id, session = working
    note(ctx, agent_id, "decoding", MIDNIGHT)
    with ctx.db.write() as db:
        row = db.get_one(Session, session.id)
        row.state, row.activity, row.last_event_at = "crashed", "error", MIDNIGHT + 5 * MINUTE
    clock.settle_absent(ctx, [session.id, "s-unknown"])
    clock.observe(ctx, MIDNIGHT + HOUR)
    assert spent(ctx, agent_id, MIDNIGHT, MIDNIGHT + HOUR) == {
        "decoding": 5 * 60_000,
        "error": 55 * 60_000,
    }


def test_a_year_asleep_is_counted_as_far_as_it_is_kept(ctx: Context, maple: int) -> None:
    note(ctx, maple, "idle", MIDNIGHT - 400 * 24 * HOUR)
    note(ctx, maple, "tool", MIDNIGHT)
    found = spent(ctx, maple, MIDNIGHT - 800 * 24 * HOUR, MIDNIGHT)
    assert found == {"idle": clock.KEEP // MS}


@pytest.mark.slow
def test_fifty_agents_are_looked_at_and_drawn_in_milliseconds(ctx: Context) -> None:
    repo, login = factories.repository(ctx), factories.account(ctx)
    for n in range(50):
        worker = factories.agent(ctx, f"agent-{n}", login)
        work = factories.task(ctx, repo, state="running", agent_id=worker.id)
        factories.session(ctx, worker, work)
    now = utc_now()
    with ctx.db.write() as db:
        for agent_id in states.every(db):
            clock.note(db, agent_id, "idle", now - HOUR)
            for n in range(120):
                at = now - HOUR + n * timedelta(seconds=30)
                clock.note(db, agent_id, ("tool", "decoding")[n % 2], at)
    clock.observe(ctx, now)
    assert _best(lambda: clock.observe(ctx, now)) < 0.050
    with ctx.db.read() as db:
        assert _best(lambda: clock.timelines(db, 40, now)) < 0.100


def _best(step: object) -> float:
    """Of ten runs; the bars here are ten times what was measured, for loaded machines."""
    assert callable(step)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def test_the_minutes_of_a_deleted_range_are_forgotten_everywhere(ctx: Context, maple: int) -> None:
    note(ctx, maple, "idle", MIDNIGHT - 40 * 24 * HOUR)
    note(ctx, maple, "tool", MIDNIGHT - 36 * 24 * HOUR)
    note(ctx, maple, "idle", MIDNIGHT - HOUR)
    clock.prune(ctx, MIDNIGHT)
    with ctx.db.read() as db:
        oldest = min(row[1] for row in store.minutes(db, 0, 1 << 40))
        assert db.get(AgentMinute, (maple, oldest, "tool")) is not None
    assert oldest == clock.unix_ms(MIDNIGHT - clock.KEEP) // 60_000
    assert sum(spent(ctx, maple, MIDNIGHT - 50 * 24 * HOUR, MIDNIGHT).values()) == clock.KEEP // MS
