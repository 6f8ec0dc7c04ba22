"""The merge queue: approved requests are coupled to a train, its last tree is checked, it lands.

One train at a time for each repository and base; trains of different bases don't wait for each
other, since a check is only asked for here. Everything is in rows: after a crash the next step goes
on where the rows say. A train of which anything moved is void and built anew; what its trees are
known to pass is not checked again.
"""

import msgspec
from sqlmodel import Session as Orm

from app.errors import AppError, BranchVanished, GitError
from app.git import trains
from app.git.cloning import sync
from app.git.config import read_config
from app.git.landing import human_now
from app.git.names import full_ref
from app.git.repositories import inspect
from app.models import Batch, Check, MergeRequest
from app.services import bisecting, landing, throwing_out
from app.services.boarding import MOST_CARS, PASSING, Waiting, is_riding, line, platform
from app.services.checks import want
from app.services.context import Context
from app.services.refreshing import hold, refresh
from app.services.repositories import clones_of
from app.store import batches, merge_requests, repositories
from app.store import checks as check_store

__all__ = ["Waiting", "line", "step"]


def step(ctx: Context) -> None:
    """Bring every base's train as far as it goes without waiting."""
    with ctx.db.read() as db:
        approved = [r for r in merge_requests.open_ones(db) if r.state == "approved"]
        bases = {(r.repository_id, r.base_branch) for r in approved}
        bases |= {(t.repository_id, t.base_branch) for t in batches.open_trains(db)}
    for base in sorted(bases):
        try:
            _move(ctx, *base)
        except (GitError, OSError) as error:  # busy, slow, disk full: it may work the next time
            _tell_approved(ctx, *base, str(error))
        except AppError as error:
            _hold_all(ctx, *base, str(error))


def _move(ctx: Context, repository_id: int, base_branch: str) -> None:
    with ctx.db.read() as db:
        train = batches.open_train(db, repository_id, base_branch)
    riders = _riders(ctx, repository_id, base_branch, train)
    with ctx.db.read() as db:
        problem = _problem(db, train, riders) if train else ""
    problem = problem or (_base_moved(ctx, train) if train else "")
    if train is not None and train.state == "landing":
        landing.land(ctx, train.id or 0)
    elif train is not None and not problem:
        _advance(ctx, train)
    else:
        if train is not None:
            landing.end_train(ctx, train.id or 0, "void", problem)
        if riders:
            _depart(ctx, repository_id, base_branch)


def _riders(
    ctx: Context, repository_id: int, base_branch: str, train: Batch | None = None
) -> list[MergeRequest]:
    """Who may ride, in order; who can't any more goes back to the human.

    A train that looks for the one to blame throws it out itself, and tells its author.
    """
    with ctx.db.read() as db:
        there = platform(db, repository_id, base_branch)
    is_searching = train is not None and train.bad is not None
    judged = {each["merge_request_id"] for each in train.steps} if train and is_searching else set()
    for number, reason in there.goes_back.items():
        if number not in judged:
            hold(ctx, number, reason)
    return there.riders


def _problem(db: Orm, train: Batch, riders: list[MergeRequest]) -> str:
    """Why the train can't go on as it was coupled; "" where it can."""
    counts = train.good if train.culprit_id is not None else train.bad or len(train.steps)
    for each in train.steps[:counts]:
        if not is_riding(db, each):
            return f"#{each['merge_request_id']} is no longer approved as it was."
    alone = riders[0].id if riders and riders[0].is_forced else None
    is_it = train.good == 1 and [each["merge_request_id"] for each in train.steps] == [alone]
    return f"#{alone} is forced and lands ahead of it." if alone and not is_it else ""


def _base_moved(ctx: Context, train: Batch) -> str:
    """That somebody else moved the base under a train that is checked; asked at every step."""
    with ctx.db.read() as db:
        repository = repositories.get(db, train.repository_id)
    if repository is None or train.state != "checking":
        return ""
    now = human_now(clones_of(ctx, repository).human, full_ref(train.base_branch))
    return "" if now == train.base_sha else f"{train.base_branch} was moved by somebody else."


def _depart(ctx: Context, repository_id: int, base_branch: str) -> None:
    """Couple the riders on the base as it is now, and ask for the check of the whole."""
    with ctx.db.read() as db:
        repository = repositories.get(db, repository_id)
    if repository is None:
        return
    clones = clones_of(ctx, repository)
    base = sync(clones).get(base_branch)
    if base is None:
        raise BranchVanished(base_branch)
    refresh(ctx, repository_id, base_branch, base, ("approved",))
    riders = _riders(ctx, repository_id, base_branch)[:MOST_CARS]
    if not riders:
        return
    strategy = read_config(clones, base).merge
    who = inspect(clones.human, base_branch).identity
    cars = [
        trains.Car(
            merge_request_id=request.id or 0,
            head_sha=request.head_sha,
            message=f"Merge #{request.id}: {request.title}\n\n{request.summary}".strip(),
            author=who,
            at=request.decided_at or request.updated_at,
            strategy=strategy,
        )
        for request in riders
    ]
    built = trains.build(clones, base, cars)
    for left in () if built.steps else built.left:
        hold(ctx, left.merge_request_id, _nothing(base_branch, left.paths))
    train = _couple(ctx, repository_id, base_branch, built, is_forced=riders[0].is_forced)
    if train is not None:
        ctx.publish("reviews", "fleet")
        _advance(ctx, train)


def _nothing(base_branch: str, paths: tuple[str, ...]) -> str:
    if not paths:
        return f"{base_branch} has all of it already: nothing to merge."
    return f"Conflicts with {base_branch} in {', '.join(paths[:3])}."


def _couple(
    ctx: Context, repository_id: int, base_branch: str, built: trains.Train, *, is_forced: bool
) -> Batch | None:
    """Write the train down; None where it is empty or another thread was quicker."""
    if not built.steps:
        return None
    train = Batch(
        repository_id=repository_id,
        base_branch=base_branch,
        base_sha=built.base_sha,
        kind="train",
        members=[
            {"merge_request_id": each.merge_request_id, "head_sha": each.head_sha}
            for each in built.steps
        ],
        steps=[msgspec.to_builtins(each) for each in built.steps],
        left=[msgspec.to_builtins(each) for each in built.left],
        head_sha=built.steps[-1].commit_sha,
        tree_sha=built.steps[-1].tree_sha,
        state="checking",
        state_reason="Forced: it lands without a passing check." if is_forced else "",
        good=int(is_forced),
    )
    with ctx.db.write() as db:
        if batches.open_train(db, repository_id, base_branch) is not None:
            return None
        return batches.add(db, train)


def _advance(ctx: Context, train: Batch) -> None:
    """Take in what the checks say, ask for the next one, land when nothing is left to learn."""
    number, good, bad = train.id or 0, train.good, train.bad
    while (count := _next(ctx, train, good, bad)) is not None:
        check = _check(ctx, train, count)
        if check.state in check_store.IN_FLIGHT:
            return
        if check.state in ("error", "stale"):
            throwing_out.give_back(ctx, train, check)
            return
        if check.state in PASSING:
            good = count
        else:
            bad = count
        with ctx.db.write() as db:
            batches.change_state(db, number, ("checking",), "checking", good=good, bad=bad)
        ctx.publish("reviews")
    if bad == 1 and not _base_passes(ctx, train):
        return
    if bad is not None:
        throwing_out.throw_out(ctx, number)
    landing.land(ctx, number)


def _next(ctx: Context, train: Batch, good: int, bad: int | None) -> int | None:
    known = _known(ctx, train) if bad is not None else ()
    return bisecting.next_prefix(good, bad, len(train.steps), known)


def _check(ctx: Context, train: Batch, count: int) -> Check:
    """The train's newest check of its first `count` steps."""
    step = train.steps[count - 1]
    with ctx.db.read() as db:
        check = batches.check_of(db, train.id or 0, step["tree_sha"])
    return check or want(
        ctx,
        repository_id=train.repository_id,
        base_sha=train.base_sha,
        tree_sha=step["tree_sha"],
        head_sha=step["commit_sha"],
        batch_id=train.id,
    )


def _base_passes(ctx: Context, train: Batch) -> bool:
    """Whether the base alone passes, without which nobody is to blame; else the train waits for
    that answer, or ends and all stay approved."""
    with ctx.db.read() as db:
        whole = batches.check_of(db, train.id or 0, train.tree_sha)
        known = whole and check_store.of_base(
            db, train.repository_id, train.base_sha, whole.command
        )
    check = known or throwing_out.check_base(ctx, train)
    if check.state in check_store.IN_FLIGHT:
        return False
    if check.state in ("error", "stale"):
        throwing_out.give_back(ctx, train, check)
    elif check.state not in PASSING:
        why = f"{train.base_branch} fails its check by itself (check {check.id})."
        landing.end_train(ctx, train.id or 0, "failed", why)
    return check.state in PASSING


def _known(ctx: Context, train: Batch) -> set[int]:
    """Which prefixes have an answer already, by whoever's check."""
    with ctx.db.read() as db:
        whole = batches.check_of(db, train.id or 0, train.tree_sha)
        return {
            count
            for count, each in enumerate(train.steps, 1)
            if whole is not None
            and check_store.state_of_tree(db, each["tree_sha"], whole.command)
            in check_store.ANSWERS
        }


def _tell_approved(ctx: Context, repository_id: int, base_branch: str, problem: str) -> None:
    """They stay approved and are tried again; the reason is shown meanwhile."""
    with ctx.db.write() as db:
        told = [
            request.id
            for request in _approved(db, repository_id, base_branch)
            if request.state_reason != problem
            and merge_requests.change_state(
                db, request.id or 0, ("approved",), "approved", state_reason=problem
            )
        ]
    if told:
        ctx.publish("reviews", *(f"review:{number}" for number in told))


def _hold_all(ctx: Context, repository_id: int, base_branch: str, problem: str) -> None:
    """Nothing can land until the human did something."""
    with ctx.db.read() as db:
        approved = _approved(db, repository_id, base_branch)
        train = batches.open_train(db, repository_id, base_branch)
    for request in approved:
        hold(ctx, request.id or 0, problem)
    if train is not None and train.state == "checking":
        landing.end_train(ctx, train.id or 0, "void", problem)


def _approved(db: Orm, repository_id: int, base_branch: str) -> list[MergeRequest]:
    return [
        request
        for request in merge_requests.open_ones(db, repository_id)
        if (request.base_branch, request.state) == (base_branch, "approved")
    ]
