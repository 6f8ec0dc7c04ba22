"""Contests and the record as pages: side by side, picked from, and in plain words."""

from collections.abc import Callable
from typing import Any

import pytest

from app.services.context import Context
from app.store import contests, tasks
from tests.app import factories as make
from tests.app.web import judged
from tests.app.web.conftest import Soup

Post = Callable[..., Any]


@pytest.fixture
def house(ctx: Context) -> Context:
    judged.fill(ctx)
    return ctx


@pytest.mark.usefixtures("house")
def test_the_list_says_who_won_and_who_is_still_at_it(soup: Soup) -> None:
    items = soup("/contests").select("#contests > li")
    assert [item.select_one(".task-state").text for item in items] == [  # type: ignore[union-attr]
        "2 of 3 done", "cancelled", "decided",
    ]  # fmt: skip
    assert items[2].select_one("b.plus").text == "osprey"  # type: ignore[union-attr]


@pytest.mark.usefixtures("house")
def test_contenders_stand_side_by_side_with_what_each_cost(soup: Soup) -> None:
    page = soup("/contests/1")
    osprey, merlin, kite = page.select(".contender")
    assert osprey.select_one("[hx-post='/contests/1/pick']")
    assert "≈ $" in osprey.text
    assert "3 files to tick first" in merlin.text
    assert merlin.select_one(".care-study")
    assert not merlin.select_one("[hx-post]")
    assert "pytest -q" in kite.text
    files = [row.th.text for row in page.select(".files tbody tr") if row.th]
    assert files == ["db/0007.py", "src/resolve.py", "tests/test_resolve.py"]


@pytest.mark.usefixtures("house")
def test_a_contender_says_so_wherever_it_is_judged(soup: Soup) -> None:
    rows = soup("/reviews").select(".requests .badge[href]")
    assert [row["href"] for row in rows] == ["/contests/1"] * 2
    page = soup(rows[0].find_parent("li").select_one("[data-open]")["href"])  # type: ignore[union-attr,index]
    assert page.select_one("#review-head .badge[href='/contests/1']")
    assert soup("/contests/1").select_one(".nav [aria-current]")["href"] == "/tasks"  # type: ignore[index]


def test_one_is_picked_and_the_pick_taken_back(house: Context, post: Post, soup: Soup) -> None:
    fields = {
        field["name"]: field["value"]
        for field in soup("/contests/1").select(".contender:first-child form.act input")
    }
    answer = post("/contests/1/pick", **fields)
    assert answer.status_code == 200, answer.text
    assert "the others are archived" in answer.text
    page = soup("/contests/1")
    assert [card.select_one(".standing").text for card in page.select(".contender")] == [  # type: ignore[union-attr]
        "picked", "archived", "cancelled",
    ]  # fmt: skip
    assert post("/contests/1/pick", **fields).status_code == 409
    assert post("/contests/1/undo").status_code == 200
    with house.db.read() as db:
        contest = contests.get(db, 1)
    assert contest is not None
    assert contest.state == "open"
    assert post("/contests/1/cancel").status_code == 200


def test_a_task_for_several_is_a_contest(ctx: Context, post: Post) -> None:
    make.repository(ctx)
    login = make.account(ctx)
    for name, model in (("maple", "m-1"), ("otter", "m-2")):
        make.agent(ctx, name, login, model=model)
    one = post("/tasks", prompt="Alone", agent="maple", label="Docs", care="read")
    assert one.status_code == 200
    both = post("/tasks", prompt="Race", agent=["maple", "otter"])
    assert both.headers["hx-redirect"] == "/contests/1"
    models = post("/tasks", prompt="Race", models="m-1 m-2", each_model="1")
    assert models.headers["hx-redirect"] == "/contests/2"
    with ctx.db.read() as db:
        alone, *others = tasks.backlog(db)
    assert (alone.label, alone.care, alone.contest_id) == ("docs", "read", None)
    assert [task.contest_id for task in others] == [1, 1, 2, 2]


def test_the_tasks_page_offers_every_agent_and_known_kind(ctx: Context, soup: Soup) -> None:
    repo = make.repository(ctx)
    make.agent(ctx, "maple", model="m-1")
    make.task(ctx, repo, label="docs", care="read")
    page = soup("/tasks")
    assert page.select_one(".give input[name=agent][value=maple]")
    assert [option["value"] for option in page.select("datalist#labels option")] == ["docs"]
    assert [term.text for term in page.select(".term")] == [
        "kind: docs", "review: at least read",
    ]  # fmt: skip


@pytest.mark.usefixtures("house")
def test_the_record_is_a_map_with_intervals_and_plain_words(soup: Soup, post: Post) -> None:
    page = soup("/record")
    first = page.select_one(".map tbody tr")
    assert first is not None
    assert first.select_one("th").text == "claude-opus-5-5"  # type: ignore[union-attr]
    strong = first.select_one("td.is-strong")
    assert strong is not None
    assert strong.text == "22/2474\u201398 %"
    assert "A ten-year-old: css 0 of 10" in page.select(".words li")[0].text
    assert page.select("td.few")
    answer = post("/record/preference", on="1", by="label")
    assert "The dispatcher prefers models" in answer.text
    assert "The dispatcher does not prefer" in post("/record/preference", on="", by="area").text


def test_an_empty_house_teaches(soup: Soup) -> None:
    assert "No work was judged yet" in soup("/record?by=area").text
    assert "No contest yet" in soup("/contests").text


@pytest.mark.parametrize("path", ["/contests/99", "/contests/x"])
def test_there_is_no_such_contest(client: Any, path: str) -> None:
    assert client.get(path).status_code in (404, 422)


def test_an_unknown_kind_of_record_is_refused(client: Any) -> None:
    assert client.get("/record?by=mood").status_code == 422
