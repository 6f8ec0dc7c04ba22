"""The pages of one merge request and of a union: what they show, note and refuse."""

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from starlette.testclient import TestClient

from app.models import Batch, MergeRequest
from app.services import rounds, seen
from app.services.context import Context
from app.store import merge_requests
from app.web import regions
from app.web.diffview import key
from tests.app import factories as make
from tests.app.web import studied

Soup = Callable[[str], BeautifulSoup]
House = tuple[MergeRequest, MergeRequest, Batch]


@pytest.fixture
def house(ctx: Context) -> House:
    return studied.house(ctx)


def states(ctx: Context, request: MergeRequest) -> dict[str, str]:
    with ctx.db.read() as db:
        found = merge_requests.get(db, request.id or 0)
        assert found is not None
        return dict(seen.state(db, found, studied.second_files()))


def paths(page: BeautifulSoup) -> list[str]:
    return [path.text for path in page.select(".file > summary .path")]


def test_a_new_round_opens_with_what_is_new_since_the_last_look(house: House, soup: Soup) -> None:
    one = house[0]
    page = soup(f"/reviews/{one.id}")
    assert page.select_one(".tabs [aria-current]").text == "Since you looked"
    assert paths(page) == ["alembic/versions/0007_locks.py", "tests/store/test_upgrade.py"]
    assert page.select_one(".file .badge.changed").text == "changed since you looked"
    assert "2 files that did not change are still to tick" in page.select_one(".since").text
    assert "you saw 3 of 5 files · 1 changed since you looked · 1 ticked" in page.text


def test_everything_and_the_first_round_are_one_click_away(house: House, soup: Soup) -> None:
    one = house[0]
    tabs = soup(f"/reviews/{one.id}").select(".tabs a")
    assert [tab.text for tab in tabs] == ["Since you looked", "Everything", "Round 1"]
    whole, first = (soup(tab["href"]) for tab in tabs[1:])
    assert len(paths(whole)) == 5
    assert "open" not in whole.select_one(".file.v-ticked").attrs
    assert len(paths(first)) == 4
    assert "One batch, please" in first.select_one(".noted").text
    assert not first.select(".takes, [data-tick], [data-counts], #comment-form")


def test_remarks_of_earlier_rounds_stand_where_their_line_is_now(
    ctx: Context, house: House, soup: Soup
) -> None:
    one = house[0]
    with ctx.db.read() as db:
        first = rounds.of(db, one.id or 0)[0].head_sha
    place = {"path": "src/store/locks.py", "line": 42, "head_sha": first, "is_sent": True}
    make.comment(ctx, one, "Why not a default?", **place)
    page = soup(f"/reviews/{one.id}?view=all")
    assert [row.select_one("p").text for row in page.select(".noted")] == ["Why not a default?"]
    told = {
        panel.select("p")[1].text: panel.select_one("p")
        for panel in page.select("#review-more .comment")
    }
    assert told["One batch, please: the table is large."].select_one(".badge").text == "outdated"
    kept = told["Why not a default?"]
    assert kept.select_one("code").text == "src/store/locks.py:42"
    assert kept.select_one(".badge").text == "on an earlier round"


def test_files_that_tools_write_are_folded_and_come_last(house: House, soup: Soup) -> None:
    page = soup(f"/reviews/{house[0].id}?view=all")
    assert paths(page)[-1] == "uv.lock"
    assert "open" not in page.select(".file")[-1].attrs


def test_the_grounds_of_a_verdict_are_there(house: House, soup: Soup) -> None:
    one, other, _ = house
    page = soup(f"/reviews/{one.id}")
    grounds = page.select_one(".before").text
    for said in ("migrations", "changes the schema", "claim() takes one more parameter",
                 "Still to tick", "was judged"):  # fmt: skip
        assert said in grounds
    assert [link["href"] for link in page.select(".touches a")] == [f"/reviews/{other.id}"] * 2
    assert "4 files to tick first" in page.select_one(".verdict").text
    assert page.select_one("#review-side")["data-next"] == f"/reviews/{other.id}"


def test_opening_and_ticking_are_noted_by_content(
    ctx: Context, house: House, post: Callable[..., Any]
) -> None:
    one = house[0]
    where = f"/reviews/{one.id}"
    assert states(ctx, one)["tests/store/test_upgrade.py"] == "new"
    post(f"{where}/seen", head_sha=one.head_sha)
    assert set(states(ctx, one).values()) == {"shown", "ticked"}
    path = "tests/store/test_upgrade.py"
    answer = post(f"{where}/ticks", head_sha=one.head_sha, file=key(path), ticked="1")
    assert "3 files to tick first" in answer.text
    assert states(ctx, one)[path] == "ticked"
    post(f"{where}/ticks", head_sha=one.head_sha, file=key(path))
    assert states(ctx, one)[path] == "shown"


def test_a_file_that_is_not_in_the_diff_is_refused(house: House, post: Callable[..., Any]) -> None:
    one = house[0]
    for deed in ({"file": key("nope.py"), "ticked": "1"}, {"file": "zz"}):
        answer = post(f"/reviews/{one.id}/ticks", head_sha=one.head_sha, **deed)
        assert (answer.status_code, "no such file" in answer.text) == (404, True)


def test_study_is_not_approved_before_each_file_is_ticked(
    ctx: Context, house: House, post: Callable[..., Any]
) -> None:
    one = house[0]
    post(f"/reviews/{one.id}/seen", head_sha=one.head_sha)
    answer = post(f"/reviews/{one.id}/approve", head_sha=one.head_sha)
    assert (answer.status_code, "not ticked yet" in answer.text) == (409, True)
    for path in states(ctx, one):
        post(f"/reviews/{one.id}/ticks", head_sha=one.head_sha, file=key(path), ticked="1")
    assert post(f"/reviews/{one.id}/approve", head_sha=one.head_sha).status_code == 200


def test_the_check_shows_its_runs_and_its_output_as_it_grows(
    ctx: Context, house: House, soup: Soup
) -> None:
    one = house[0]
    panel = soup(f"/reviews/{one.id}").select_one("#check")
    assert "run 2 of this tree" in panel.text
    assert "1 failed" in panel.select_one(".runs").text
    assert panel.select_one(".output").text.endswith("[ 78%]\n")
    log = next(ctx.home.checks().glob("*.log"))
    log.write_bytes(log.read_bytes() + "\x1b[32m412 passed\x1b[0m ❤".encode())
    drawn = regions.find(ctx, f"output:{one.id}").draw()["check"].html
    assert "412 passed ❤" in drawn
    assert "\x1b" not in drawn


@pytest.mark.usefixtures("house")
def test_a_check_is_stopped_and_run_again(post: Callable[..., Any]) -> None:
    assert post("/checks/2/cancel").status_code == 200
    assert post("/checks/2/cancel").status_code == 409
    assert "2nd time" in post("/checks/2/rerun").text


def test_a_union_shows_whose_each_file_is(house: House, soup: Soup) -> None:
    one, other, union = house
    page = soup(f"/unions/{union.id}")
    whose = {
        file.select_one(".path").text: [link.text for link in file.select(".from a")]
        for file in page.select(".file")
    }
    assert whose["src/store/locks.py"] == [f"#{one.id}"]
    assert whose["src/jobs.py"] == [f"#{other.id}"]
    assert [row.select_one("a").text for row in page.select(".members li")] == [
        f"#{one.id}", f"#{other.id}",
    ]  # fmt: skip


def test_a_union_is_approved_under_the_care_of_each(
    ctx: Context, house: House, post: Callable[..., Any]
) -> None:
    one, other, union = house
    given = {"head_sha": union.head_sha}
    refused = post(f"/unions/{union.id}/approve", **given)
    assert refused.status_code == 409
    post(f"/unions/{union.id}/seen", **given)
    for path in states(ctx, one):
        post(f"/unions/{union.id}/ticks", file=key(path), ticked="1", **given)
    approved = post(f"/unions/{union.id}/approve", **given)
    assert f"Approved #{one.id}, #{other.id}" in approved.text
    with ctx.db.read() as db:
        found = [merge_requests.get(db, number or 0) for number in (one.id, other.id)]
    assert [request and request.state for request in found] == ["approved", "approved"]


def test_a_tick_in_a_union_can_be_taken_back(
    ctx: Context, house: House, post: Callable[..., Any]
) -> None:
    one, _, union = house
    given = {"head_sha": union.head_sha, "file": key("uv.lock")}
    post(f"/unions/{union.id}/ticks", ticked="1", **given)
    assert states(ctx, one)["uv.lock"] == "ticked"
    post(f"/unions/{union.id}/ticks", **given)
    assert states(ctx, one)["uv.lock"] == "shown"


def test_a_union_is_made_of_a_selection(house: House, post: Callable[..., Any]) -> None:
    one, other, _ = house
    picks = [f"{other.id}:{other.head_sha}", f"{one.id}:{one.head_sha}"]
    answer = post("/unions", pick=picks)
    assert answer.headers["hx-redirect"] == "/unions/2"
    assert post("/unions", pick=picks[:1]).status_code == 422
    assert post("/unions").status_code == 422


def test_a_union_that_is_not_built_or_outdated_says_so(
    ctx: Context, house: House, soup: Soup, client: TestClient
) -> None:
    one, other, union = house
    make.save(ctx, Batch(**{**union.model_dump(exclude={"id"}), "state": "building",
                            "steps": [], "head_sha": "", "tree_sha": ""}))  # fmt: skip
    assert "being built" in soup("/unions/2").text
    with ctx.db.write() as db:
        union.state, union.state_reason = "stale", f"#{other.id} has new commits."
        db.add(union)
    page = soup(f"/unions/{union.id}")
    assert "has new commits" in page.select_one(".reason").text
    again = [field["value"].split(":")[0] for field in page.select("[hx-post='/unions'] input")]
    assert again == [str(one.id), str(other.id)]
    assert client.get("/unions/99").status_code == 404
