"""A train survives a server that is killed at any moment: all land once, in order, each checked."""

import random
import subprocess
import time

import pytest

from app.git.cloning import sync
from app.git.landing import human_now
from app.models import Landing, MergeRequest
from app.services import preflight, reviews, seen
from app.services.repositories import clones_of
from app.store import batches, merge_requests, repositories
from app.store import checks as check_store
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.serving import SECONDS, Server, wait

CONFIG = '[check]\ncommand = "sleep 0.4; ! grep -rq BROKEN *.txt"\n'
LANDS = range(6)
MEDDLES = 0.15  # how often somebody else commits while the server is dead


def offered(deck: Deck) -> list[int]:
    """Six branches by a human's hand, each offered and looked at; their checks have not run."""
    (deck.repository / "quarterdeck.toml").write_text(CONFIG)
    deck.git("commit", "-qam", "A check that takes a while")
    for n in LANDS:
        deck.git("checkout", "-q", "-b", f"b{n}", "main")
        (deck.repository / f"{n}.txt").write_text(f"{n}\n")
        deck.git("add", "--all")
        deck.git("commit", "-qm", f"Write {n}.txt")
    deck.git("checkout", "-q", "main")
    with deck.ctx.db.read() as db:
        (served,) = repositories.every(db)
    heads = sync(clones_of(deck.ctx, served))
    return [offer(deck, served.id or 0, f"b{n}", heads[f"b{n}"]) for n in LANDS]


def offer(deck: Deck, repository_id: int, branch: str, head_sha: str) -> int:
    request = MergeRequest(
        repository_id=repository_id,
        title=f"Land {branch}",
        branch=branch,
        base_branch="main",
        head_sha=head_sha,
        base_sha="",
    )
    with deck.ctx.db.write() as db:
        db.add(request)
    number = request.id or 0
    preflight.preflight(deck.ctx, number)
    seen.note(deck.ctx, merge_request_id=number, head_sha=head_sha, ticked=True)
    reviews.approve(deck.ctx, merge_request_id=number, head_sha=head_sha)
    return number


def picture(deck: Deck) -> tuple[object, ...]:
    """What a step of the queue changes, as store and repository show it."""
    with deck.ctx.db.read() as db:
        trains = tuple(train.state for train in batches.open_trains(db))
        checks = tuple(row.state for row in check_store.in_flight(db))
        landings = merge_requests.landings_in(db, ("intended", "done"))
        states = tuple(sorted((row.merge_request_id, row.state) for row in landings))
    return trains, checks, states, human_now(deck.repository, "refs/heads/main")


def kill_at_each_step(deck: Deck, server: Server, dice: random.Random) -> set[str]:
    """A moment after each step that was not seen before; in which of them the train was."""
    seen_so_far: set[object] = set()
    killed_in: set[str] = set()
    deadline = time.monotonic() + SECONDS
    server.start()
    while not all_merged(deck):
        assert time.monotonic() < deadline, picture(deck)
        now = picture(deck)
        if now not in seen_so_far:
            seen_so_far.add(now)
            time.sleep(dice.choice((0.0, dice.uniform(0.0, 0.1), dice.uniform(0.0, 0.6))))
            server.kill()
            killed_in |= {str(state) for state in picture(deck)[0] + picture(deck)[1]}
            if dice.random() < MEDDLES:
                deck.git("commit", "-q", "--allow-empty", "-m", "By hand")
            server.start()
            deadline = time.monotonic() + SECONDS
    return killed_in


def all_merged(deck: Deck) -> bool:
    with deck.ctx.db.read() as db:
        return len(merge_requests.landings_in(db, ("done",))) >= len(LANDS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(10))
def test_a_killed_server_lands_each_once_and_only_what_passed(
    fleet: Deck, server: Server, seed: int
) -> None:
    numbers = offered(fleet)
    start = fleet.git("rev-parse", "main")
    killed_in = kill_at_each_step(fleet, server, random.Random(seed))
    assert killed_in >= {"checking", "running"}
    wait(lambda: not picture(fleet)[0])
    server.kill()
    with fleet.ctx.db.read() as db:
        landed = merge_requests.landings_in(db, ("done",))
        rows = [db.get_one(MergeRequest, number) for number in numbers]
    assert {row.state for row in rows} == {"merged"}
    assert sorted(row.merge_request_id for row in landed) == numbers
    the_base_is_a_serial_order(fleet, start, landed)
    each_base_of_ours_passed(fleet)


def the_base_is_a_serial_order(deck: Deck, start: str, landed: list[Landing]) -> None:
    lines = deck.git("log", "--first-parent", "--format=%H %T %P", f"{start}..main").splitlines()
    by_sha = {row.new_sha: row for row in landed}
    ours = [line.split() for line in lines if line.split()[0] in by_sha]
    assert len(lines) - len(ours) == deck.git("log", "--format=%s", "main").count("By hand")
    assert len(ours) == len(landed)
    for commit, tree, before, head in ours:
        assert before == by_sha[commit].old_sha
        assert deck.git("merge-tree", "--write-tree", before, head) == tree


def each_base_of_ours_passed(deck: Deck) -> None:
    """Every commit that the base was moved to has a check that ran on its very tree and passed."""
    log = deck.git("reflog", "show", "--format=%H %gs", "main").splitlines()
    ours = [line.split()[0] for line in log if line.endswith("quarterdeck: merge")]
    assert ours
    with deck.ctx.db.read() as db:
        passed = {c.tree_sha for c in batches.runs_started(db) if c.state == "passed"}
    assert {deck.git("rev-parse", f"{commit}^{{tree}}") for commit in ours} <= passed
    subprocess.run(["git", "fsck", "--strict"], cwd=deck.repository, check=True, timeout=60)
