# ruff: noqa: RUF001 (sizes are well set)
"""The list of reviews: ranked rows, sums, verdicts in bulk, the matrix, the queue, warnings."""

from typing import Any

import pytest
from bs4 import BeautifulSoup

from app.models import MergeRequest, Radar
from app.models.base import utc_now
from app.services import seen
from app.services.context import Context
from app.store import merge_requests, repositories
from app.web.contexts import radar, row_words
from tests.app import factories as make
from tests.app.web import pile
from tests.app.web.conftest import Soup
from tests.app.web.pile import Offer

CODE = [("code", 2, 40, 10)]


@pytest.fixture
def piled(gallery_house: Context) -> Context:
    pile.fill(gallery_house)
    return gallery_house


def offered(ctx: Context, *offers: Offer) -> list[MergeRequest]:
    with ctx.db.read() as db:
        repo = next(iter(repositories.every(db)), None)
    repo = repo or make.repository(ctx)
    return [pile.offer(ctx, repo, each, utc_now()) for each in offers]


def row(page: BeautifulSoup, agent: str) -> Any:
    """The row whose second line begins with that agent's name."""
    begins = f"{agent} ·"
    rows = page.select(".requests > li")
    return next(li for li in rows if li.select_one(".sub").text.startswith(begins))


def state(ctx: Context, request: MergeRequest) -> str:
    with ctx.db.read() as db:
        found = merge_requests.get(db, request.id or 0)
    assert found is not None
    return found.state


# ---- rows ----


@pytest.mark.usefixtures("piled")
def test_what_can_be_decided_now_comes_first(soup: Soup) -> None:
    page = soup("/reviews")
    turn, away = page.select(".requests")
    checks = [li.select_one(".check").text for li in turn.select(":scope > li")]
    assert checks == sorted(checks, key=["passes", "checking", "fails"].index)
    words = {li.select_one(".task-state").text for li in away.select(":scope > li")}
    assert words == {"approved", "conflicted"}
    assert "10 can land · 2 of study, 4 of read, 4 of glance" in page.select_one(".facts").text


@pytest.mark.usefixtures("piled")
def test_a_row_says_what_it_is_about(soup: Soup) -> None:
    page = soup("/reviews")
    aspen = row(page, "aspen")
    assert aspen.select_one(".care").text == "study"
    assert aspen.select_one(".intent").text.startswith("Two resolvers no longer")
    assert aspen.select_one(".badge").text == "round 2"
    assert aspen.select_one(".sub").text == "aspen · +212 −8 · tests +96"
    assert aspen.select_one(".risks").text == "schema"
    assert aspen.select_one(".with").text == "with otter"
    assert aspen.select_one(".cost").text.startswith("$")
    assert row(page, "poplar").select_one(".with").text == "with main"
    assert row(page, "larch").select_one(".sub").text == "larch · +120 −44 · docs only"


@pytest.mark.usefixtures("piled")
def test_its_place_is_explained_by_reasons_that_add_up(soup: Soup) -> None:
    for li in soup("/reviews").select(".requests > li"):
        why = li.select_one(".why")
        points = [float(each.text) for each in why.select("li > b") if each.text[0] in "+-"]
        total = float(why.select_one(".place").text.split("with ")[1].split()[0])
        assert sum(points) == pytest.approx(total, abs=len(points))
    hazel = row(soup("/reviews"), "hazel").select_one(".why").text
    assert "14 tests are gone" in hazel
    assert "resolve() lost its parameter depth" in hazel


def test_sizes_are_told_apart_by_kind() -> None:
    def words(**sizes: tuple[int, int]) -> row_words.Size:
        kinds = {
            name: {"files": 1, "additions": added, "deletions": gone}
            for name, (added, gone) in sizes.items()
        }
        return row_words.size(MergeRequest(sizes=kinds, additions=9, deletions=7))

    assert words(code=(4, 1), tests=(3, 14)) == row_words.Size(4, 1, ["tests −14"])
    assert words(docs=(9, 7)) == row_words.Size(9, 7, ["docs only"])
    assert words(tests=(5, 5), locks=(4, 2)) == row_words.Size(9, 7, ["tests and locks only"])
    assert words() == row_words.Size(9, 7, [])


def test_who_looked_is_told_what_changed_since(ctx: Context, soup: Soup) -> None:
    (request,) = offered(ctx, Offer("ash", "Parser", "read", CODE))
    assert row(soup("/reviews"), "ash").select_one(".seen") is None
    seen.note(ctx, merge_request_id=request.id or 0, head_sha=request.head_sha)
    assert row(soup("/reviews"), "ash").select_one(".seen").text == "seen"


# ---- verdicts ----


def test_the_list_approves_what_its_care_allows(ctx: Context, soup: Soup) -> None:
    glance, read, study = offered(
        ctx,
        Offer("finch", "Docs", "glance", [("docs", 1, 3, 0)]),
        Offer("ash", "Parser", "read", CODE),
        Offer("otter", "Locks", "study", CODE),
    )
    rows = {name: row(soup("/reviews"), name) for name in ("finch", "ash", "otter")}
    assert rows["finch"].select_one("form[hx-post$='/approve']")
    assert not rows["finch"].select_one("input[name=pick]").has_attr("disabled")
    for name in ("ash", "otter"):
        assert not rows[name].select_one("form[hx-post$='/approve']")
        assert rows[name].select_one("input[name=pick]").has_attr("disabled")
    assert "not shown yet" in rows["ash"]["data-hindrance"]
    for request in (read, study):
        seen.note(ctx, merge_request_id=request.id or 0, head_sha=request.head_sha, ticked=True)
    page = soup("/reviews")
    assert not row(page, "ash").select_one("input[name=pick]").has_attr("disabled")
    otter = row(page, "otter")
    assert otter.select_one("form[hx-post$='/approve']")
    assert "never approved in bulk" in otter.select_one("input[name=pick]")["title"]
    assert glance.id


def test_bulk_takes_only_what_may_be_taken_and_names_the_rest(ctx: Context, post: Any) -> None:
    made = offered(
        ctx,
        Offer("finch", "Docs", "glance", [("docs", 1, 3, 0)]),
        Offer("ash", "Parser", "read", CODE),
        Offer("otter", "Locks", "study", CODE),
        Offer("wren", "Cache", "glance", CODE, check="failed"),
    )
    study = made[2]
    seen.note(ctx, merge_request_id=study.id or 0, head_sha=study.head_sha, ticked=True)
    picks = [f"{request.id}:{request.head_sha}" for request in made]
    said = post("/reviews/approve", pick=[*picks, f"{made[0].id}:{'f' * 40}"]).text
    assert "Approved 1 of 5." in said
    assert f"#{made[1].id} is of care read" in said
    assert f"#{study.id} asks to be studied and is never approved in bulk" in said
    assert [state(ctx, request) for request in made] == ["approved", "open", "open", "open"]


def test_a_verdict_can_be_taken_back(ctx: Context, post: Any) -> None:
    (request,) = offered(ctx, Offer("finch", "Docs", "glance", [("docs", 1, 3, 0)]))
    which = f"/reviews/{request.id}"
    post(f"{which}/approve", head_sha=request.head_sha)
    assert state(ctx, request) == "approved"
    assert f"#{request.id} is open again." in post(f"{which}/undo").text
    assert state(ctx, request) == "open"


def test_conditions_come_with_the_approval(ctx: Context, post: Any) -> None:
    first, second = offered(
        ctx,
        Offer("finch", "Docs", "glance", [("docs", 1, 3, 0)]),
        Offer("wren", "More docs", "glance", [("docs", 1, 3, 0)], check="failed"),
    )
    fields = {"head_sha": second.head_sha, "after": f"#{first.id}", "when_checks_pass": "1"}
    assert post(f"/reviews/{second.id}/approve", **fields).status_code == 200
    with ctx.db.read() as db:
        kept = merge_requests.get(db, second.id or 0)
    assert kept is not None
    assert (kept.after, kept.waits_for_check) == ([first.id], True)
    fields["after"] = "the other"
    assert post(f"/reviews/{second.id}/approve", **fields).status_code == 422


# ---- who collides with whom ----


@pytest.mark.usefixtures("piled")
def test_the_matrix_has_each_collision_twice_and_in_words(soup: Soup) -> None:
    panel = soup("/reviews").select_one("#radar")
    assert len(panel.select("rect.hit")) == 2 * len(pile.COLLISIONS)
    assert len(panel.select("rect.hit.k-symbol")) == 2 * 2
    assert panel.select_one("text.live").text.startswith("maple")
    for link in panel.select("[data-pair]"):
        assert panel.select_one(link["href"].replace("#", "[id='") + "']")
    assert "poplar × main src/resolve/lock.py" in " ".join(panel.text.split())
    assert ".rb (12 files), .vue (4 files)" in panel.text


def looked(count: int, *pairs: tuple[int, int]) -> Radar:
    members = [pile.member("base", make.SHA, branch="main")]
    members += [
        pile.member(str(n), make.SHA, agent=f"agent-{n}", merge_request_id=n)
        for n in range(1, count)
    ]
    collisions = [
        {"one": str(a), "other": str(b), "kind": "text", "paths": ["x"], "symbols": []}
        for a, b in pairs
    ]
    return Radar(repository_id=1, base_branch="main", members=members, collisions=collisions)


def test_a_crowd_is_drawn_as_far_as_it_collides() -> None:
    few = radar.matrix(looked(50, (3, 40), (40, 7)))
    assert [member.key for member in few.members] == ["3", "7", "40", "base"]
    assert few.calm == 46
    assert few.has_heads


def test_fifty_that_all_collide_fit_the_panel() -> None:
    crowd = radar.matrix(looked(50, *((n, n + 1) for n in range(1, 49))))
    assert len(crowd.members) == 50
    assert crowd.width <= radar.WIDTH
    assert crowd.rise >= radar.LOWEST  # the names stay readable
    assert not crowd.has_heads
    assert max(x + crowd.cell[0] for _, x, _ in crowd.cells) <= radar.WIDTH


@pytest.mark.usefixtures("piled")
def test_both_agents_are_warned_while_they_work(soup: Soup) -> None:
    fleet = soup("/")
    maple = fleet.select_one("#tile-maple header .warned")  # beside its name: no tile grows by it
    assert maple.text == "× ash: conflicts with ash in src/parse/list.py"
    assert "conflicts with maple" in fleet.select_one("#tile-ash .warned").text
    head = soup("/agents/maple").select_one("#agent-head")
    assert head.select_one(".warned a")["href"].startswith("/reviews/")
    assert head.select_one("form[hx-post$='/tell']")
    assert not soup("/agents/linden").select(".warned")


# ---- the queue ----


@pytest.mark.usefixtures("piled")
def test_the_queue_shows_its_train_who_waits_and_what_landed(soup: Soup) -> None:
    panel = soup("/reviews").select_one("#queue")
    train = panel.select_one(".train")
    assert train.select_one(".names").text == "maple-2 + juniper"
    assert train.select_one("progress")["max"] == "61"
    assert train.select_one(".how").text.endswith("of 61 s")
    assert "spruce" in panel.text
    assert "juniper" not in panel.text.split("of 61 s")[1]
    assert "hornbeam landed on main" in " ".join(panel.select_one(".ended").text.split())


def test_a_house_without_reviews_says_what_will_be_here(soup: Soup) -> None:
    page = soup("/reviews")
    assert "Nothing to review" in page.select_one("#reviews").text
    assert "each pair is tried here" in page.select_one("#radar").text
    assert "Empty." in page.select_one("#queue").text
