"""Check runs: the repository's own command on one tree, in a disposable place, to its verdict.

It runs the repository's code, so it runs boxed like a session, time-limited, and ends as a group.
"""

import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from sqlmodel import Session as Orm

from app.errors import AppError, NotFound
from app.git import disposable
from app.git.clones import Clones
from app.git.config import read_config
from app.git.landing import human_now
from app.git.names import full_ref
from app.git.tree import remove_tree
from app.models import Batch, Check, MergeRequest, Repository
from app.models.base import utc_now
from app.services import check_log
from app.services.boarding import is_base_broken
from app.services.boxed import Ended, end_leftovers, run_boxed
from app.services.check_log import log_path
from app.services.checks import again, copy_answer, drop, tell
from app.services.context import Context
from app.services.environment import is_sandboxed
from app.services.ranking import ranked
from app.services.repositories import clones_of
from app.store import checks as store
from app.store import repositories

_MISSING = (126, 127)


@dataclass(frozen=True)
class Verdict:
    """How a run ended."""

    state: str
    output_tail: str
    exit_code: int | None = None
    reruns: int = 0  # how often a tree may be tried again


def run_check(ctx: Context, check_id: int, cancelled: Event) -> None:
    """Run one queued check to its verdict; blocking. `cancelled` ends it without one: it is
    queued again, unless it was dropped."""
    with ctx.db.write() as db:
        now, is_boxed = utc_now(), is_sandboxed(ctx)
        if not store.change_state(
            db, check_id, ("queued",), "running", started_at=now, is_sandboxed=is_boxed
        ):
            return
        check = db.get_one(Check, check_id)
    tell(ctx, check)
    try:
        verdict = _run(ctx, check, cancelled)
    except (AppError, OSError) as error:
        verdict = Verdict("error", str(error))
    check_log.prune(ctx)
    if verdict is not None:
        _conclude(ctx, check_id, verdict)
    else:
        _put_back(ctx, check_id)


def give_up(ctx: Context, check_id: int, why: str) -> None:
    """A run that broke by our own fault ends as an error."""
    _conclude(ctx, check_id, Verdict("error", why))


def requeue_interrupted(ctx: Context) -> None:
    """Runs that ended with the last server run again; what they left behind is ended first."""
    with ctx.db.read() as db:
        running = [check for check in store.in_flight(db) if check.state == "running"]
    for check in running:
        end_leftovers(log_path(ctx, check))
        remove_tree(ctx.home.checks() / str(check.id))
        _put_back(ctx, check.id or 0)


def drop_unneeded(ctx: Context) -> None:
    """Whatever waits or runs for trees that nobody waits for any more is dropped."""
    with ctx.db.read() as db:
        idle = [
            check
            for check in store.in_flight(db)
            if not any(store.is_needed(db, row) for row in _group(db, check))
        ]
    for check in idle:
        with ctx.db.write() as db:
            drop(db, db.get_one(Check, check.id), "Outdated: branch or base moved.")
        tell(ctx, check)


def in_order(ctx: Context) -> list[Check]:
    """What is in flight, the most urgent first: trains, unions, then requests as they rank."""
    with ctx.db.read() as db:
        bases = _Bases(ctx)
        flights = [run for run in store.in_flight(db) if not _stands_back(db, bases, run)]
        if len(flights) < 2:
            return flights
        ranks = {each.request_id: at for at, each in enumerate(ranked(db, utc_now()))}
        urgency = {
            flight.id: min(_urgency(db, check, ranks) for check in _group(db, flight))
            for flight in flights
        }
    return sorted(flights, key=lambda flight: urgency[flight.id])


def _group(db: Orm, check: Check) -> list[Check]:
    """A run and those that share it."""
    return [check, *store.copies(db, check.id or 0)]


class _Bases:
    """Where bases are now, each looked up once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._known: dict[tuple[int, str], str] = {}

    def has_left(self, db: Orm, request: MergeRequest) -> bool:
        """Whether the base moved since the request met it: its tree is about to be another."""
        key = (request.repository_id, request.base_branch)
        if key not in self._known:
            self._known[key] = ""
            repository = db.get_one(Repository, request.repository_id)
            with suppress(AppError, OSError):  # gone, or unreadable: whoever needs it says so
                human = clones_of(self._ctx, repository).human
                self._known[key] = human_now(human, full_ref(request.base_branch))
        return self._known[key] not in ("", request.base_sha)


def _stands_back(db: Orm, bases: _Bases, run: Check) -> bool:
    """Whether it would be in vain for all who ask: they ride with the merge queue, which checks
    them together anyway, or are about to meet a base that moved."""
    if run.state == "running":
        return False
    owners = [db.get(MergeRequest, check.merge_request_id or 0) for check in _group(db, run)]
    return all(
        owner is not None and (_rides(db, owner, run) or bases.has_left(db, owner))
        for owner in owners
    )


def _rides(db: Orm, owner: MergeRequest, run: Check) -> bool:
    return (
        owner.state in ("approved", "landing")
        and not (owner.waits_for_check or owner.after or owner.is_forced)
        and not is_base_broken(db, owner, run.command)
    )


def _urgency(db: Orm, check: Check, ranks: dict[int, int]) -> tuple[int, int, int]:
    number = check.id or 0  # the older goes first among equals
    if check.batch_id is not None:
        is_train = db.get_one(Batch, check.batch_id).kind == "train"
        return (0 if is_train else 1, 0, number)
    request = db.get(MergeRequest, check.merge_request_id or 0)
    is_decided = request is not None and request.state == "approved"
    return (2 if is_decided else 3, ranks.get(check.merge_request_id or 0, len(ranks)), number)


def _run(ctx: Context, check: Check, cancelled: Event) -> Verdict | None:
    """None where it was cancelled."""
    clones = _clones(ctx, check)
    rule = read_config(clones, check.base_sha).check
    place = ctx.home.checks() / str(check.id)
    tree, home, log = place / "tree", place / "home", log_path(ctx, check)
    remove_tree(place)
    home.mkdir(mode=0o700, parents=True)
    try:
        disposable.materialise(clones, check.tree_sha, tree)
        ended = run_boxed(
            ctx,
            check.command,
            cwd=tree,
            home=home,
            log=log,
            limit_seconds=rule.timeout_seconds or ctx.settings.check_timeout_seconds,
            cancelled=cancelled,
            on_output=lambda: ctx.publish(f"check:{check.id}", "output"),
        )
    finally:
        remove_tree(place)
    return None if ended.stopped == "cancel" else _verdict(ended, log, rule.reruns)


def _verdict(ended: Ended, log: Path, reruns: int) -> Verdict:
    if ended.stopped:
        state = "timeout" if ended.stopped == "time" else "error"
        return Verdict(state, ended.output_tail, None, reruns)
    code, says = ended.exit_code or 0, ""
    if code in _MISSING:
        says = f"\n[exit {code}: a program that it names is missing here, or can't be run]"
    elif code - 128 in {*signal.Signals}:
        says = f"\n[ended by {signal.Signals(code - 128).name}]"
    with log.open("a") as file:
        file.write(says)
    return Verdict("failed" if code else "passed", ended.output_tail + says, code, reruns)


def _clones(ctx: Context, check: Check) -> Clones:
    with ctx.db.read() as db:
        repository = repositories.get(db, check.repository_id)
    if repository is None:
        raise NotFound("The repository is gone; nothing can be checked in it.")
    return clones_of(ctx, repository)


def _put_back(ctx: Context, check_id: int) -> None:
    with ctx.db.write() as db:
        store.change_state(db, check_id, ("running",), "queued", started_at=None)


def _conclude(ctx: Context, check_id: int, verdict: Verdict) -> None:
    """Store how a run ended, for all who share it; a failed one may run again by itself."""
    with ctx.db.write() as db:
        is_ours = store.change_state(
            db,
            check_id,
            ("running",),
            verdict.state,
            exit_code=verdict.exit_code,
            output_tail=verdict.output_tail,
            ended_at=utc_now(),
        )
        if not is_ours:  # dropped while it ran
            return
        check = db.get_one(Check, check_id)
        sharing = store.copies(db, check_id)
        if verdict.state in ("failed", "timeout") and check.run <= verdict.reruns:
            next_run = again(check, store.runs(db, check.tree_sha, check.command))
            db.add(next_run)
            db.flush()
            for copy in sharing:
                copy.same_as_id, copy.run = next_run.id, next_run.run
        else:
            for copy in sharing:
                copy_answer(check, copy)
        db.flush()
    tell(ctx, check, *sharing)
