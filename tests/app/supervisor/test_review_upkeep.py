"""What happens around a review: files wiped, a repository moved, rules broken, two who decide."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.client import Client, Refused
from app.models import Batch, MergeRequest
from app.models.base import utc_now
from app.services import seen, unions
from app.store import merge_requests
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.looking import Eyes, eyes
from tests.app.supervisor.serving import Server, wait

pytestmark = pytest.mark.slow
WRITE = "printf 'hello there\\n' > greet.txt && git commit -qam 'Greet better'"
LINES = "line 1 1 hello 1 hello there"
OTHER = "echo b > b.txt; git add -A; git commit -qm B"


async def offered(deck: Deck, run: str = WRITE) -> MergeRequest:
    """A merge request whose check passed, from a while ago."""
    task_id = deck.add_task(run=run)
    await deck.until_task(task_id, "review")
    number = deck.request(task_id).id or 0
    await deck.until(lambda: deck.check(number) == "passed")
    with deck.ctx.db.write() as db:
        row = db.get_one(MergeRequest, number)
        row.updated_at = utc_now() - timedelta(minutes=5)
        db.add(row)
    return now(deck, row)


def now(deck: Deck, request: MergeRequest) -> MergeRequest:
    with deck.ctx.db.read() as db:
        return db.get_one(MergeRequest, request.id)


async def until_merged(deck: Deck, request: MergeRequest) -> None:
    await deck.until(lambda: now(deck, request).state == "merged")


def browse(seeing: Eyes, *paths: str) -> None:
    for path in ("/", "/reviews", "/tasks", "/inbox", *paths):
        seeing.page(path)


async def test_diffs_that_were_wiped_come_back(deck: Deck) -> None:
    one, two = await offered(deck), await offered(deck, OTHER)
    union_id = unions.make(deck.ctx, [one.id or 0, two.id or 0]).id

    def union() -> Batch:
        with deck.ctx.db.read() as db:
            return db.get_one(Batch, union_id)

    await deck.until(lambda: union().state == "ready")
    shutil.rmtree(deck.ctx.home.path / "diffs")
    with eyes(deck) as seeing:
        browse(seeing, f"/reviews/{one.id}", f"/unions/{union_id}")
        await deck.until(lambda: LINES in seeing.page(f"/reviews/{one.id}"))
        await deck.until(lambda: LINES in seeing.page(f"/unions/{union_id}"))
        deck.approve_request(one)
        await until_merged(deck, one)
        await deck.until(lambda: union().state == "stale")
        shutil.rmtree(deck.ctx.home.path / "diffs")
        assert "Build it again" in seeing.page(f"/unions/{union_id}")


async def test_what_is_decided_is_computed_when_asked_for(fleet: Deck, server: Server) -> None:
    """In the server's process, whose pages tell its supervisor what they miss."""
    task_id = fleet.add_task(run=WRITE)
    server.start()
    wait(lambda: fleet.task(task_id).state == "review")
    fleet.approve(task_id)
    wait(lambda: fleet.task(task_id).state == "done")
    shutil.rmtree(fleet.ctx.home.path / "diffs")
    number = fleet.request(task_id).id
    said: set[str] = set()

    def has_diff() -> bool:
        with Client(fleet.ctx.home) as client:
            try:
                return len(client.get(f"/reviews/{number}/diff")["files"]) == 1
            except Refused as refusal:
                said.add(str(refusal))
                return False

    wait(has_diff)
    assert said == {"The diff of this commit is not computed yet; try again in a moment."}


async def test_a_diff_cut_short_by_a_crash_is_computed_again(deck: Deck) -> None:
    one = await offered(deck)
    path = deck.ctx.home.path / "diffs" / f"{one.id}-{one.head_sha[:16]}.json"
    path.write_bytes(path.read_bytes()[:50])
    with eyes(deck) as seeing:
        browse(seeing)
        await deck.until(lambda: LINES in seeing.page(f"/reviews/{one.id}"))


async def test_a_repository_moved_on_disk_is_told_and_found_by_a_link(deck: Deck) -> None:
    one = await offered(deck)
    away = deck.repository.with_name("away")
    deck.repository.rename(away)
    deck.approve_request(one)
    await deck.until(lambda: "ship is gone: move it back" in now(deck, one).state_reason)
    assert now(deck, one).state == "open"
    task = await deck.until_task(deck.add_task(run=OTHER), "failed")
    assert "ship is gone" in task.state_reason
    with eyes(deck) as seeing:
        browse(seeing, f"/reviews/{one.id}")
    deck.repository.symlink_to(away)
    deck.approve_request(one)
    await until_merged(deck, one)


async def test_a_base_that_was_renamed_is_told(deck: Deck) -> None:
    one, two = await offered(deck), await offered(deck, OTHER)
    union = unions.make(deck.ctx, [one.id or 0, two.id or 0])
    deck.git("branch", "-m", "main", "trunk")
    deck.approve_request(one)
    await deck.until(lambda: "main is no longer in the repos" in now(deck, one).state_reason)
    with eyes(deck) as seeing:
        browse(seeing, f"/reviews/{one.id}", f"/unions/{union.id}")
    deck.git("branch", "-m", "trunk", "main")
    deck.approve_request(one)
    await until_merged(deck, one)


async def test_rules_broken_on_the_base_ask_for_study_until_they_are_mended(deck: Deck) -> None:
    one = await offered(deck)
    verdict = {"head_sha": one.head_sha}
    (deck.repository / "quarterdeck.toml").write_text("[check\ncommand=")
    deck.git("commit", "-qam", "Break")
    await deck.until(lambda: deck.check(one.id or 0) == "error")
    with eyes(deck) as seeing:
        assert "Expected ']' at the end of a table" in seeing.page(f"/reviews/{one.id}")
        status, answer = seeing.post(f"/reviews/{one.id}/approve", **verdict)
        assert (status, answer["error"]["code"]) == (409, "not_seen")
        seen.note(deck.ctx, merge_request_id=one.id or 0, **verdict, ticked=True)
        _, answer = seeing.post(f"/reviews/{one.id}/approve", **verdict)
        assert "check could not be run" in answer["error"]["message"]
        status, _ = seeing.post(f"/reviews/{one.id}/approve", **verdict, when_checks_pass=True)
        assert status == 200
    (deck.repository / "quarterdeck.toml").write_text("[check]\ncommand = 'true'\n")
    deck.git("commit", "-qam", "Mend")
    await until_merged(deck, one)


async def test_a_check_that_passes_only_sometimes_is_shown_as_such(deck: Deck) -> None:
    deck.ctx.settings.sandbox = False  # in its box a run can't know of another
    place = deck.ctx.home.checks() / "second"
    rule = f"command = '! mkdir {place}'\nreruns = 1\n"
    (deck.repository / "quarterdeck.toml").write_text(f"[check]\n{rule}")
    deck.git("commit", "-qam", "Flaky")
    number = (await offered(deck)).id
    with eyes(deck) as seeing:
        newest = seeing.get(f"/reviews/{number}/checks")[0]
        page = seeing.page(f"/reviews/{number}")
    runs = [(run["run"], run["state"]) for run in newest["runs"]]
    assert (newest["run"], newest["is_flaky"], runs) == (2, True, [(1, "failed"), (2, "passed")])
    assert "flaky run 2 of this tree" in page
    assert "1 failed 2 passed" in page


def test_of_many_who_decide_at_once_one_does(fleet: Deck, server: Server) -> None:
    task_id = fleet.add_task(run=WRITE)
    server.start()
    wait(lambda: fleet.task(task_id).state == "review")
    request = fleet.request(task_id)
    verdict = {"head_sha": request.head_sha}
    seen.note(fleet.ctx, merge_request_id=request.id or 0, **verdict)

    def decide(verb: str) -> str:
        with Client(fleet.ctx.home) as client:
            try:
                return str(client.post(f"/reviews/{request.id}/{verb}", **verdict)["state"])
            except Refused as refusal:
                return str(refusal)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(decide, ["approve", "reject"] * 4))
    with fleet.ctx.db.read() as db:
        verbs = [row.verb for row in merge_requests.decisions(db, f"merge request {request.id}")]
    told = {"approved": "approve", "rejected": "reject"}
    said = [told[answer] for answer in answers if answer in told]
    refused = [answer for answer in answers if answer not in told]
    assert all("already; there is nothing to decide" in answer for answer in refused)
    # an approval that nothing has landed yet may still be turned down; never the other way round
    assert said in (["reject"], ["approve"], ["approve", "reject"], ["reject", "approve"])
    assert sorted(verb for verb in verbs if verb != "land") == sorted(said)
