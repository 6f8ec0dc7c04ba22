"""A realistic week on top of the gallery: budgets half spent, usage, clocks, decisions.

The accounts of the gallery become six subscriptions and keys of unequal plans, with four weeks of
samples, seven days of tokens, the agents' minutes, and what the balancer said.
"""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update
from sqlmodel import Session as Orm
from sqlmodel import col

from agents import events as ev
from app.models import (
    Account,
    Agent,
    AgentClock,
    AgentMinute,
    BalancerDecision,
    LadderMinute,
    OutsideMinute,
    QuotaEnd,
    QuotaReading,
    QuotaSample,
    Session,
    UsageMinute,
)
from app.models.base import utc_now
from app.models.quota import SAMPLE_SECONDS
from app.models.session import ACTIVITIES
from app.services import losses
from app.services.context import Context
from app.services.losses import Look, Share
from app.store import accounts, agents, repositories, sessions
from tests.app import factories as make

DAY = 24 * 60  # minutes
WEEK = 7 * DAY
_WEDNESDAY = datetime(2026, 1, 7, 16, tzinfo=UTC)
ACCOUNTS: dict[str, dict[str, Any]] = {
    "Max 20x": {"plan": "max_20x", "price_usd_month": 200.0, "reserve_percent": 10.0, "rank": 1},
    "Max 5x": {"plan": "max_5x", "price_usd_month": 100.0, "rank": 2},
    "Codex Pro": {"plan": "pro", "price_usd_month": 200.0, "week_usd": 800.0, "rank": 3},
    "Codex Plus": {
        "plan": "plus",
        "price_usd_month": 20.0,
        "rank": 4,
        "login": "out",
        "login_problem": "Its login has expired; log in again with the command below.",
    },
    "research key": {
        "is_automatic": False,
        "daily_cap_usd": 25.0,
        "models": ["claude-sonnet-5", "claude-haiku-5"],
        "rank": 5,
        "login": "unknown",
        "identity": "",
    },
    "box-2": {"max_running": 4, "rank": 6, "login": "unknown", "identity": ""},
}
# account, kind, minutes of the window, used percent, minutes to its reset, dollars it holds
WINDOWS = (
    ("Max 20x", "five_hour", 300, 61, 72, 110),
    ("Max 20x", "seven_day", WEEK, 74, 3200, 1000),
    ("Max 20x", "seven_day_opus", WEEK, 31, 3200, None),
    ("Max 5x", "five_hour", 300, 100, 72, 37),
    ("Max 5x", "seven_day", WEEK, 22, 1380, 330),
    ("Codex Pro", "five_hour", 300, 12, 241, 240),
    ("Codex Pro", "seven_day", WEEK, 48, 5300, 800),
    ("Codex Plus", "five_hour", 300, 35, 150, 25),
    ("Codex Plus", "seven_day", WEEK, 55, 5300, 80),
)
MODELS = {"claude_code": "claude-opus-4-5", "codex": "gpt-5.1-codex"}


TITLES = (
    "Tokenizer: keep byte order marks",
    "Replace the hand-written LRU cache",
    "Docs: how to write a plugin",
    "Fold constants before the second pass",
    "Drop Python 3.9",
    "Measure start-up time in the benchmark",
    "Make the index incremental",
    "Say which rule refused a commit",
)


def fill(ctx: Context, days: int = 7) -> None:
    """Give the gallery's house its week; `days` of it have tokens and clocks."""
    now = utc_now()
    dice = random.Random(7)
    past = _past(ctx, now, days)
    _talk(ctx)
    with ctx.db.write() as db:
        logins = {row.name: row for row in accounts.every(db)}
        for name, rules in ACCOUNTS.items():
            told = {
                "login": "in",
                "identity": f"ada+{name.split()[-1].lower()}@example.org",
            } | rules
            for field, value in told.items():
                setattr(logins[name], field, value)
            if logins[name].config_dir:
                place = ctx.home.path / "logins" / Path(logins[name].config_dir).name
                place.mkdir(parents=True)
                logins[name].config_dir = str(place)
            logins[name].probed_at = now - timedelta(minutes=2)
            db.add(logins[name])
        _windows(db, logins, now, dice)
        _usage(db, logins, past, now, days, dice)
        _clocks(db, now, min(days, 1) * DAY, dice)
        _ladder(db, logins, now, days, dice)
    _decisions(ctx, {name: row.id or 0 for name, row in logins.items()}, now)


def busy(minutes_ago: float) -> float:
    """How busy the house was then, 0 to 1, for a human to whom it is Wednesday at four now."""
    at = _WEDNESDAY - timedelta(minutes=minutes_ago)
    hour = at.hour + at.minute / 60
    day = math.exp(-(((hour - 14.5) / 4.2) ** 2)) + 0.35 * math.exp(-(((hour - 21) / 1.8) ** 2))
    return (0.06 + 0.94 * min(day, 1)) * (0.35 if at.weekday() >= 5 else 1.0)


def _insert(db: Orm, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        db.connection().execute(insert(table), rows)


def _windows(db: Orm, logins: dict[str, Account], now: datetime, dice: random.Random) -> None:
    for name, kind, minutes, used, left, capacity in WINDOWS:
        account_id = logins[name].id or 0
        resets_at = now + timedelta(minutes=left)
        is_full = used == 100
        age = 47 if logins[name].login == "out" else dice.choice((1, 2, 4))
        reading = QuotaReading(
            account_id=account_id,
            kind=kind,
            used_percent=used,
            window_minutes=minutes,
            resets_at=resets_at,
            observed_at=now - timedelta(minutes=age),
            source="test",
            status="rejected" if is_full else "allowed",
            refused_until=resets_at if is_full else None,
            capacity_usd=capacity if minutes == WEEK and capacity != 80 else None,
        )
        db.merge(reading)
        if minutes == WEEK and capacity:
            _history(db, reading, now, capacity, dice)


def _history(
    db: Orm, reading: QuotaReading, now: datetime, capacity: float, dice: random.Random
) -> None:
    """Four weeks of samples, half an hour apart, that end at the reading."""
    key = {"account_id": reading.account_id, "kind": reading.kind}
    step = timedelta(minutes=30)
    rows, ends = [], []
    assert reading.resets_at is not None
    for back in range(4):
        end = reading.resets_at - timedelta(weeks=back)
        at, gone = end - timedelta(weeks=1), 0.0
        path = []
        while at < min(end, now):
            gone += busy((now - at) / timedelta(minutes=1)) * dice.uniform(0.6, 1.4)
            path.append((at, gone))
            at += step
        total = reading.used_percent if back == 0 else min(100.0, dice.uniform(62, 101))
        rows += [
            {
                **key,
                "slot": int(at.timestamp()) // SAMPLE_SECONDS,
                "observed_at": at,
                "used_percent": float(round(total * part / max(gone, 1e-9))),
            }
            for at, part in path
        ]
        if back:
            ends.append(
                {**key, "ended_at": end, "used_percent": round(total), "capacity_usd": capacity}
            )
    _insert(db, QuotaSample, rows)
    _insert(db, QuotaEnd, ends)


def _past(ctx: Context, now: datetime, days: int) -> list[Session]:
    """A session before the present one for every agent that has one."""
    began = {"created_at": now - timedelta(days=days), "started_at": now - timedelta(days=days)}
    with ctx.db.read() as db:
        present = sessions.latest_by_agent(db)
        workers = [agent for agent in agents.every(db) if agent.id in present]
        repo = repositories.every(db)[0]
    seats = []
    for worker, title in zip(workers, TITLES, strict=False):
        work = make.task(ctx, repo, title, state="done", agent_id=worker.id, ended_at=now, **began)
        seats.append(make.session(ctx, worker, work, state="ended", activity="idle", **began))
    return seats


def _talk(ctx: Context) -> None:
    """Every present session has a conversation; some journals tell how much is in it."""
    with ctx.db.read() as db:
        present = sessions.latest_by_agent(db)
        names = {agent.id: agent.name for agent in agents.every(db)}
    with ctx.db.write() as db:
        for seated in present.values():
            seated.conversation_id = f"c-{seated.id}"
            db.merge(seated)
    for agent_id, tokens in ((agent_id, 40_000 + 31_000 * agent_id) for agent_id in present):
        if names[agent_id] in ("finch", "otter", "birch", "cedar"):
            model = _model(present[agent_id])
            used = ev.Usage(model, output_tokens=900, input_tokens=700, cache_read_tokens=tokens)
            make.journal(ctx, present[agent_id], make.records(used))


def _usage(
    db: Orm,
    logins: dict[str, Account],
    past: list[Session],
    now: datetime,
    days: int,
    dice: random.Random,
) -> None:
    """Tokens of the past sessions, minute by minute; and what was spent outside of ours."""
    last = int(now.timestamp()) // 60 - 41  # the last forty minutes are the gallery's
    rows, outside = [], []
    for seated in past:
        pace = dice.uniform(200, 560)
        for minute, weight in _busy_minutes(last, days * DAY, dice):
            rows.append(
                {"session_id": seated.id, "account_id": seated.account_id}
                | _tokens(_model(seated), minute, int(pace * weight), dice)
            )
    for seated in sessions.latest_by_agent(db).values():
        _price(db, seated)
    login = logins["Max 20x"]
    for minute, weight in _busy_minutes(last, days * DAY, dice):
        if weight > 0.75:
            tokens = _tokens(MODELS["claude_code"], minute, int(180 * weight), dice)
            outside.append({"account_id": login.id} | tokens)
    _insert(db, UsageMinute, rows)
    _insert(db, OutsideMinute, outside)


def _price(db: Orm, seated: Session) -> None:
    """The gallery's own minutes had output only, of a model that nobody sells."""
    output = col(UsageMinute.output_tokens)
    values = {"model": _model(seated), "input_tokens": output, "cache_write_tokens": output * 11}
    statement = update(UsageMinute).where(col(UsageMinute.session_id) == seated.id)
    db.connection().execute(statement.values(**values, cache_read_tokens=output * 330))


def _model(seated: Session) -> str:
    return MODELS.get(seated.driver, "claude-sonnet-4-5")


def _busy_minutes(last: int, count: int, dice: random.Random) -> Iterator[tuple[int, float]]:
    """(minute, weight) of the minutes in which something was said."""
    here = int(utc_now().timestamp()) // 60
    is_on, left = False, 0
    for minute in range(last - count, last):
        weight = busy(here - minute)
        if left <= 0:
            is_on, left = dice.random() < weight, dice.randint(6, 45)
        left -= 1
        if is_on and dice.random() < 0.8:
            yield minute, weight * dice.uniform(0.4, 1.5)


def _tokens(model: str, minute: int, output: int, dice: random.Random) -> dict[str, Any]:
    return {
        "model": model,
        "minute": minute,
        "output_tokens": output,
        "input_tokens": int(output * dice.uniform(0.6, 1.6)),
        "cache_write_tokens": int(output * dice.uniform(8, 14)),
        "cache_read_tokens": int(output * dice.uniform(250, 420)),
    }


def _clocks(db: Orm, now: datetime, count: int, dice: random.Random) -> None:
    """The agents' minutes of the last day: work, waits and idle hours."""
    here = int(now.timestamp()) // 60
    last = sessions.latest_by_agent(db)
    rows, clocks = [], []
    for agent in agents.every(db):
        seated = last.get(agent.id or 0)
        present = seated.activity if seated else "idle"
        since = seated.activity_at if seated else now - timedelta(minutes=count)
        since_minute = max(here - count, min(int(since.timestamp()) // 60, here - 4))
        for minute, state in _states(agent, here - count, since_minute, dice):
            row = {"agent_id": agent.id, "minute": minute, "state": state, "milliseconds": 60_000}
            rows.append(row)
        clocks.append(
            {
                "agent_id": agent.id,
                "state": present,
                "since_ms": since_minute * 60_000,
                "born_ms": (here - count) * 60_000,
            }
        )
    _insert(db, AgentMinute, rows)
    _insert(db, AgentClock, clocks)


def _states(agent: Agent, first: int, until: int, dice: random.Random) -> Iterator[tuple[int, str]]:
    state, left = "idle", 0
    for minute in range(first, until):
        if left <= 0:
            weights = (52, 22, 9, 5, 2, 9, 1) if agent.is_enabled else (0, 0, 0, 0, 0, 1, 0)
            state = dice.choices(ACTIVITIES, weights)[0]
            left = dice.randint(2, 12)
        left -= 1
        yield minute, state


def _ladder(
    db: Orm, logins: dict[str, Account], now: datetime, days: int, dice: random.Random
) -> None:
    """The rungs of every minute, as the steward looks at them."""
    here = int(now.timestamp()) // 60
    held = {name: usd / WEEK for name, _, minutes, *_, usd in WINDOWS if minutes == WEEK and usd}
    rows = []
    for minute in range(here - days * DAY, here):
        weight = busy(here - minute)
        shares = {
            logins[name].id or 0: Share(
                usd,
                reserve=usd * (logins[name].reserve_percent / 100),
                why="login" if name == "Codex Plus" and here - minute < 9 * 60 else "",
                spent=usd * weight * {"Max 5x": 0.4, "Max 20x": 1.7}.get(name, 1.2),
                reread=usd * weight * 0.04,
            )
            for name, usd in held.items()
        }
        waits = {
            "backlog": 0.55 * (1 - weight),
            "waiting_human": 0.22 * dice.uniform(0.2, 1.4),
            "error": 0.02,
            "unplaced": 0.05,
            "waiting_slot": 0.03,
            "fleet": 0.2 * weight,
        }
        look = Look(shares, waits, {logins["Max 5x"].id or 0: 0.06})
        over = {key: losses.account(counted) for key, counted in losses.tally([look]).items()}
        hourly = {name: usd * 60 for name, usd in losses.rungs(over).items()}
        rows.append({"minute": minute, **hourly, "detail": losses.encode(look)})
    _insert(db, LadderMinute, rows)


def _decisions(ctx: Context, ids: dict[str, int], now: datetime) -> None:
    """What the balancer advised and did, newest first."""
    with ctx.db.write() as db:
        names = {row.name: row.id for row in agents.every(db)}
        seats = sessions.latest_by_agent(db)
        for minutes, agent, source, target, rest in reversed(SAID):
            seated = seats.get(names[agent] or 0)
            db.add(
                BalancerDecision(
                    at=now - timedelta(minutes=minutes),
                    agent_id=names[agent],
                    task_id=seated.task_id if seated else None,
                    session_id=seated.id if seated else "",
                    from_account_id=ids.get(source),
                    to_account_id=ids.get(target),
                    weighed=_weighed(ids, target),
                    **(
                        {"mode": "advise", "state": "applied"}
                        | rest
                        | {"reason": rest["reason"].format(to=target)}
                    ),
                )
            )


_PRESSURE = "Start on {to}: the highest pressure: 0.58 % of its budget an hour."
SAID: tuple[tuple[int, str, str, str, dict[str, Any]], ...] = (
    (
        4,
        "finch",
        "Max 5x",
        "Max 20x",
        {
            "action": "move",
            "state": "advised",
            "reason": "Move to {to}: its account runs dry.",
            "costs_usd": 0.41,
            "saves_hours": 1.2,
        },
    ),
    (
        22,
        "birch",
        "",
        "Codex Pro",
        {
            "action": "start",
            "reason": _PRESSURE,
        },
    ),
    (
        41,
        "finch",
        "Max 5x",
        "",
        {"action": "park", "reason": "Park: no account can take it."},
    ),
    (
        95,
        "maple",
        "Max 5x",
        "Max 20x",
        {
            "action": "move",
            "mode": "human",
            "reason": "You moved it.",
            "costs_usd": 0.12,
            "saves_hours": 0.8,
        },
    ),
    (
        190,
        "raven",
        "",
        "Codex Plus",
        {
            "action": "start",
            "state": "dismissed",
            "reason": "Start on {to}: as good as any.",
        },
    ),
    (
        260,
        "otter",
        "Codex Plus",
        "Codex Pro",
        {
            "action": "move",
            "state": "expired",
            "reason": "Move to {to}: its account runs dry.",
            "costs_usd": 1.9,
            "saves_hours": 2.1,
        },
    ),
)


def _weighed(ids: dict[str, int], target: str) -> list[dict[str, Any]]:
    """The accounts on the scales, the chosen one with the highest pressure."""
    numbers = {
        "Max 20x": (0.0031, 160.0, 42.9, 3, ""),
        "Max 5x": (0.0241, 257.4, 0.0, 1, "refused until 15:40"),
        "Codex Pro": (0.0058, 408.0, 211.2, 2, ""),
        "Codex Plus": (0.0050, 35.2, 16.2, 1, "it is logged out"),
        "research key": (0.0, 0.0, 0.0, 1, "never automatic"),
        "box-2": (0.0, 0.0, 0.0, 0, "it is paid by use"),
    }
    return [
        {
            "account_id": ids[name],
            "account": name,
            "pressure_per_hour": pressure if name != target else max(pressure, 0.0058),
            "budget_left_dollars": budget,
            "throttle_left_dollars": throttle,
            "running": running,
            "refusal": refusal if name != target else "",
        }
        for name, (pressure, budget, throttle, running, refusal) in numbers.items()
    ]
