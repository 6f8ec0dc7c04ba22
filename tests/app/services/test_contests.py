"""Contests on rows: what is refused, what a pick closes, and that nothing is done twice."""

from typing import Any

import pytest

from app.errors import Conflict, Invalid, NotFound
from app.models import Contest, MergeRequest, Repository, Task
from app.services import contests, reviews, tasks
from app.services.context import Context
from app.services.terms import Terms
from app.store import contests as store
from app.store import merge_requests
from tests.app import factories as make
from tests.app.web import judged

OPUS, SONNET = "claude-opus-5-5", "claude-sonnet-5-5"


@pytest.fixture
def repo(ctx: Context) -> Repository:
    login = make.account(ctx)
    for name, model in (("maple", OPUS), ("otter", SONNET), ("heron", OPUS)):
        make.agent(ctx, name, login, model=model)
    make.agent(ctx, "resting", login, is_enabled=False, model="rested-1")
    return make.repository(ctx)


def rows(ctx: Context, contest: Contest) -> list[Task]:
    with ctx.db.read() as db:
        return store.contenders(db, [contest.id or 0])[contest.id or 0]


def now(ctx: Context, contest: Contest) -> Contest:
    with ctx.db.read() as db:
        return contests.existing(db, contest.id or 0)


def request_of(ctx: Context, request: MergeRequest) -> MergeRequest:
    with ctx.db.read() as db:
        found = merge_requests.get(db, request.id or 0)
    assert found is not None
    return found


def offered(ctx: Context, contest: Contest) -> list[MergeRequest]:
    """Every contender's work, ready to be picked at a glance."""
    made = []
    for task in rows(ctx, contest):
        author = make.session(ctx, make.agent(ctx, f"seat-{task.id}"), task, state="stopped")
        made.append(make.merge_request(ctx, author, task, care="glance"))
        make.check(ctx, made[-1])
    return made


def pick(ctx: Context, contest: Contest, request: MergeRequest) -> Contest:
    contest_id, request_id = contest.id or 0, request.id or 0
    return contests.pick(
        ctx, contest_id=contest_id, merge_request_id=request_id, head_sha=request.head_sha
    )


@pytest.mark.usefixtures("repo")
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "agents of a contest, or its models"),
        ({"agents": ["maple"], "models": [OPUS]}, "one of both"),
        ({"agents": ["maple", "maple"]}, "2 to 8 different"),
        ({"models": [OPUS]}, "2 to 8 different"),
        ({"models": [OPUS, "rested-1"]}, "No enabled agent has rested-1"),
        ({"agents": ["maple", "resting"]}, "resting is switched off"),
        ({"agents": ["maple", "nobody"]}, "no agent 'nobody'"),
        ({"agents": ["maple", "otter"], "terms": Terms(account="Max 20x")}, "account open"),
    ],
)
def test_what_cant_compete_is_refused_and_nothing_is_left(
    ctx: Context, given: dict[str, Any], problem: str
) -> None:
    with pytest.raises((Invalid, NotFound), match=problem):
        contests.start(ctx, title="Race", **given)
    with ctx.db.read() as db:
        assert store.newest(db) == []


@pytest.mark.usefixtures("repo")
def test_each_agent_or_each_model_gets_a_task_of_its_own(ctx: Context) -> None:
    by_agent = contests.start(
        ctx, title="Race", agents=["maple", "otter"], terms=Terms(label=" Big  Parser ")
    )
    by_model = contests.start(ctx, prompt="Race again", models=[OPUS, SONNET], draft=True)
    assert len({task.wanted_agent_id for task in rows(ctx, by_agent)}) == 2
    assert {task.label for task in rows(ctx, by_agent)} == {"big parser"}
    assert [task.models for task in rows(ctx, by_model)] == [[OPUS], [SONNET]]
    assert {task.state for task in rows(ctx, by_model)} == {"draft"}
    assert by_model.title == "Race again"


@pytest.mark.usefixtures("repo")
def test_a_pick_needs_the_head_and_a_request_of_this_contest(ctx: Context) -> None:
    contest = contests.start(ctx, title="Race", agents=["maple", "otter"])
    other = contests.start(ctx, title="Other", agents=["maple", "otter"])
    first, second = offered(ctx, contest)
    with pytest.raises(NotFound, match=f"is not of contest {other.id}"):
        pick(ctx, other, first)
    with pytest.raises(NotFound, match="There is no contest 99"):
        contests.pick(ctx, contest_id=99, merge_request_id=1, head_sha="")
    with pytest.raises(Conflict, match="new commits since you looked"):
        contests.pick(
            ctx,
            contest_id=contest.id or 0,
            merge_request_id=first.id or 0,
            head_sha=second.head_sha,
        )
    assert now(ctx, contest).state == "open"
    assert request_of(ctx, second).state == "open"


@pytest.mark.usefixtures("repo")
def test_a_pick_that_died_after_the_approval_is_finished(ctx: Context) -> None:
    contest = contests.start(ctx, title="Race", agents=["maple", "otter"])
    first, second = offered(ctx, contest)
    reviews.approve(ctx, merge_request_id=first.id or 0, head_sha=first.head_sha)
    assert now(ctx, contest).state == "open"  # here we died
    assert pick(ctx, contest, first).winner_id == first.id
    assert request_of(ctx, second).state == "archived"
    with ctx.db.read() as db:
        verbs = [row.verb for row in merge_requests.decisions(db)]
    assert verbs.count("approve") == verbs.count("pick") == verbs.count("archive") == 1


@pytest.mark.usefixtures("repo")
def test_work_that_comes_in_after_the_pick_is_archived_too(ctx: Context) -> None:
    contest = contests.start(ctx, title="Race", agents=["maple", "otter", "heron"])
    first, *_ = offered(ctx, contest)
    pick(ctx, contest, first)
    late_task = rows(ctx, contest)[2]
    author = make.session(ctx, make.agent(ctx, "late"), late_task)
    late = make.merge_request(ctx, author, late_task)
    contests.settle(ctx)
    assert request_of(ctx, late).state == "archived"
    assert request_of(ctx, late).snapshot_ref == f"refs/quarterdeck/requests/{late.id}/1"


@pytest.mark.usefixtures("repo")
def test_a_contest_nobody_is_left_in_is_closed_and_settling_again_writes_nothing(
    ctx: Context, published: list[str]
) -> None:
    contest = contests.start(ctx, title="Race", agents=["maple", "otter"])
    for task in rows(ctx, contest):
        tasks.cancel_task(ctx, task_id=task.id or 0)
    contests.settle(ctx)
    assert (now(ctx, contest).state, now(ctx, contest).reason) == (
        "cancelled", "None of its work is left.",
    )  # fmt: skip
    published.clear()
    contests.settle(ctx)
    assert published == []


@pytest.mark.usefixtures("repo")
def test_giving_up_cancels_what_is_left(ctx: Context) -> None:
    contest = contests.start(ctx, title="Race", agents=["maple", "otter"])
    first, _ = offered(ctx, contest)
    contests.cancel(ctx, contest_id=contest.id or 0)
    assert {task.state for task in rows(ctx, contest)} == {"cancelled"}
    assert request_of(ctx, first).state == "withdrawn"
    with pytest.raises(Conflict, match="cancelled already"):
        contests.cancel(ctx, contest_id=contest.id or 0)
    with pytest.raises(Conflict, match="no pick to take back"):
        contests.reopen(ctx, contest_id=contest.id or 0)


def test_what_landed_is_not_taken_back(ctx: Context, repo: Repository) -> None:
    over = judged.contest(ctx, repo, "Race")
    agent = make.agent(ctx, "winner")
    won = judged.contender(ctx, over, repo, agent, "glance", state="merged", task_state="done")
    assert won is not None
    contests.settle(ctx)
    assert (now(ctx, over).state, now(ctx, over).winner_id) == ("decided", won.id)
    with pytest.raises(Conflict, match="is merged; undo that instead"):
        contests.reopen(ctx, contest_id=over.id or 0)
