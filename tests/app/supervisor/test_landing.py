"""Landing after a crash at any point: never twice, never lost. The states are made, not mocked."""

from app.git import landing as git_landing
from app.git import merging
from app.git.names import full_ref
from app.git.repositories import inspect
from app.models import Landing, MergeRequest
from app.models.base import utc_now
from app.services import landing, queue
from app.services.scene import RequestScene, request_scene
from app.store import merge_requests
from tests.app.supervisor.conftest import Deck

WRITE = "printf 'hello there\\n' > greet.txt && git commit -qam 'Greet better'"


async def approved(deck: Deck) -> RequestScene:
    """An approved request whose check passed; the supervisor is stopped before it can land."""
    task_id = deck.add_task(run=WRITE)
    await deck.until_task(task_id, "review")
    request_id = deck.request(task_id).id or 0
    await deck.until(lambda: deck.check(request_id) == "passed")
    await deck.supervisor.stop()
    deck.approve(task_id)
    return request_scene(deck.ctx, request_id)


def intend(deck: Deck, scene: RequestScene) -> Landing:
    """What the merger writes down before the base moves, as if it died right after."""
    request = scene.request
    new_sha = merging.merge_commit(
        scene.clones, request.base_sha, request.head_sha, "Merge",
        inspect(scene.clones.human, "main").identity, utc_now(),
    )  # fmt: skip
    intent = Landing(
        merge_request_id=request.id or 0,
        base_branch="main",
        old_sha=request.base_sha,
        new_sha=new_sha,
    )
    with deck.ctx.db.write() as db:
        assert merge_requests.change_state(db, request.id or 0, ("approved",), "landing")
        db.add(intent)
    return intent


def state(deck: Deck, scene: RequestScene) -> str:
    with deck.ctx.db.read() as db:
        return db.get_one(MergeRequest, scene.request.id).state


def merges(deck: Deck) -> int:
    return int(deck.git("rev-list", "--count", "--merges", "main"))


async def test_a_crash_before_the_base_moved_lands_later_once(deck: Deck) -> None:
    scene = await approved(deck)
    intend(deck, scene)
    landing.recover_landings(deck.ctx)
    assert state(deck, scene) == "approved"
    assert merges(deck) == 0
    for _ in range(2):
        queue.step(deck.ctx)
    assert (state(deck, scene), merges(deck)) == ("merged", 1)


async def test_a_crash_after_the_base_moved_is_finished_not_repeated(deck: Deck) -> None:
    scene = await approved(deck)
    intent = intend(deck, scene)
    git_landing.land(scene.clones, full_ref("main"), intent.new_sha, intent.old_sha)
    for _ in range(2):  # booting twice changes nothing
        landing.recover_landings(deck.ctx)
        assert (state(deck, scene), merges(deck)) == ("merged", 1)
    queue.step(deck.ctx)
    assert merges(deck) == 1
    assert (deck.repository / "greet.txt").read_text() == "hello there\n"


async def test_a_base_moved_by_someone_else_is_met_with_a_new_merge(deck: Deck) -> None:
    scene = await approved(deck)
    intend(deck, scene)
    deck.git("commit", "--allow-empty", "-qm", "The human was quicker")
    landing.recover_landings(deck.ctx)
    queue.step(deck.ctx)
    await deck.supervisor.start()
    await deck.until(lambda: state(deck, scene) == "merged")
    assert merges(deck) == 1
    assert "The human was quicker" in deck.git("log", "--format=%s", "main")


async def test_a_dirty_checkout_is_told_and_not_touched(deck: Deck) -> None:
    scene = await approved(deck)
    (deck.repository / "greet.txt").write_text("the human is typing\n")
    queue.step(deck.ctx)
    assert (deck.repository / "greet.txt").read_text() == "the human is typing\n"
    assert deck.git("show", "main:greet.txt") == "hello there"
    with deck.ctx.db.read() as db:
        done = merge_requests.landing_of(db, scene.request.id or 0)
    assert done is not None
    assert "uncommitted changes" in done.note
