"""The merge queue as it is drawn: trains on their way, who waits why, what ended last."""

from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sqlmodel import Session as Orm

from app.models import Batch, Check, MergeRequest
from app.services import queue as service
from app.services.context import Context
from app.store import batches, checks, merge_requests, queue_look
from app.web.contexts.snapshot import Snapshot

SHOWN, ENDED = 6, 4  # of those that wait; of those that landed or were thrown out


@dataclass(frozen=True)
class Bar:
    """A check that runs, beside how long it usually takes."""

    since: datetime
    expected: float  # seconds; 0: nothing to go by

    def elapsed(self, now: datetime) -> float:
        return max(0.0, (now - self.since).total_seconds())


@dataclass(frozen=True)
class Train:
    batch: Batch
    names: list[str]
    titles: str
    bar: Bar | None

    def says(self, now: datetime) -> str:
        """What it does now: "checks 38 s of 61 s"."""
        if self.bar is not None:
            usual = f" of {self.bar.expected:.0f} s" if self.bar.expected else ""
            return f"checks {self.bar.elapsed(now):.0f} s{usual}"
        waits = {"building": "is put together", "checking": "its check waits", "landing": "lands"}
        return waits[self.batch.state]

    @property
    def note(self) -> str:
        """How far the search for the one that fails has come; "" where nothing failed."""
        if self.batch.bad is None:
            return ""
        good = f"the first {self.batch.good} pass" if self.batch.good else "none passed yet"
        return f"The check of {self.batch.bad} together failed; {good}. Looking for the one."


@dataclass(frozen=True)
class Wait:
    request: MergeRequest
    name: str
    why: str


@dataclass(frozen=True)
class End:
    """One that landed, or was thrown out of its train."""

    request: MergeRequest
    name: str
    says: str
    at: datetime | None
    is_landed: bool


@dataclass(frozen=True)
class Queue:
    trains: list[Train]
    waiting: list[Wait]  # the first few
    more: int  # that wait behind them
    ended: list[End]
    bases: list[tuple[str, str]]  # (branch, of several repositories with its name; its commit)


def panel(ctx: Context, snap: Snapshot) -> Queue:
    names = {agent.id: agent.name for agent in snap.agents}
    with ctx.db.read() as db:
        rows = {row.id: row for row in snap.merge_requests}
        running = {row.batch_id: row for row in checks.in_flight(db) if row.state == "running"}
        under_way = batches.open_trains(db)
        trains = [_train(db, batch, running.get(batch.id), names) for batch in under_way]
        riding = {step["merge_request_id"] for batch in under_way for step in batch.steps}
        waiting = [
            Wait(request, _name(request, names), wait.why)
            for wait in service.line(db)
            if (request := rows.get(wait.merge_request_id)) and request.id not in riding
        ]
        more = max(0, len(waiting) - SHOWN)
        return Queue(trains, waiting[:SHOWN], more, _ended(db, names), _bases(snap))


def _train(db: Orm, batch: Batch, check: Check | None, names: dict[int | None, str]) -> Train:
    ids = [step["merge_request_id"] for step in batch.steps or batch.members]
    riders = [row for row in (merge_requests.get(db, number) for number in ids) if row]
    bar = None
    if check is not None and check.started_at is not None:
        took = queue_look.check_seconds(db, batch.repository_id, check.command)
        bar = Bar(check.started_at, median(took) if took else 0.0)
    titles = "; ".join(row.title for row in riders)
    return Train(batch, [_name(row, names) for row in riders], titles, bar)


def _ended(db: Orm, names: dict[int | None, str]) -> list[End]:
    """The last landings and throw-outs, newest first."""
    found: list[tuple[int, str, datetime | None, bool]] = []
    for landing in queue_look.landed(db, ENDED):
        says = f"landed on {landing.base_branch}" + (f": {landing.note}" if landing.note else "")
        found.append((landing.merge_request_id, says, landing.done_at, True))
    for batch in batches.of_queue(db, 20):
        if batch.culprit_id is not None:
            says = f"thrown out: {batch.state_reason or 'its check failed'}"
            found.append((batch.culprit_id, says, batch.ended_at, False))
    found.sort(key=lambda each: each[2].timestamp() if each[2] else 0.0, reverse=True)
    return [
        End(request, _name(request, names), says, at, is_landed)
        for number, says, at, is_landed in found[:ENDED]
        if (request := merge_requests.get(db, number))
    ]


def _bases(snap: Snapshot) -> list[tuple[str, str]]:
    """As last looked at."""
    slugs = {repository.id: f"{repository.slug} " for repository in snap.repositories}
    named = len({number for number, _ in snap.radars}) > 1
    return [
        (f"{slugs.get(number, '')}{branch}" if named else branch, row.members[0]["sha"])
        for (number, branch), row in sorted(snap.radars.items())
        if row.members
    ]


def _name(request: MergeRequest, names: dict[int | None, str]) -> str:
    return names.get(request.agent_id) or f"#{request.id}"
