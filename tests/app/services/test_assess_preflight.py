"""What a preflight writes of its assessment into the row, by the rules of the base only."""

from pathlib import Path

import pytest

from app.services.context import Context
from tests.app import factories
from tests.app.services.desk import Desk


@pytest.fixture
def desk(ctx: Context, tmp_path: Path) -> Desk:
    return Desk(ctx, tmp_path / "human")


def rules(desk: Desk, text: str) -> None:
    desk.human_commits({"quarterdeck.toml": text})


def says(desk: Desk, number: int) -> list[str]:
    return [risk["says"] for risk in desk.get(number).risks]


def test_a_preflight_assesses(desk: Desk) -> None:
    number = desk.offer("mkdir docs; echo one > docs/a.md; echo 'x = 1' > a.py")
    row = desk.preflight(number)
    found = desk.get(row)
    assert found.care == "read"
    assert [(reason["level"], reason["paths"]) for reason in found.care_reasons] == [
        ("read", ["a.py"]),
        ("read", []),
        ("glance", ["docs/a.md"]),
    ]
    assert set(found.sizes) == {"code", "docs"}
    assert found.languages == {"Python": 1, "Markdown": 1}
    assert set(found.areas) == {"docs", "."}
    assert found.intent
    assert says(desk, number) == ["1 commit by Test Human"]


def test_a_branch_can_t_loosen_the_rules_for_itself(desk: Desk) -> None:
    number = desk.offer("echo '[care]\nglance = [\"**\"]' > quarterdeck.toml; echo x > a.py")
    desk.preflight(number)
    assert desk.get(number).care == "study"
    assert desk.get(number).care_reasons[0]["rule"] == "protected by quarterdeck.toml"


def test_the_base_s_rules_count_once_they_are_there(desk: Desk) -> None:
    rules(desk, '[care]\nglance = ["*.py"]\nstudy = ["money/"]\n')
    scripts, money = desk.offer("echo x > x.py"), desk.offer("mkdir money; echo x > money/a.md")
    desk.preflight(scripts), desk.preflight(money)
    assert (desk.get(money).care, desk.get(money).care_reasons[0]["rule"]) == (
        "study",
        "by quarterdeck.toml",
    )
    assert [reason["level"] for reason in desk.get(scripts).care_reasons] == ["read", "glance"]


def test_a_new_round_is_assessed_anew(desk: Desk) -> None:
    number = desk.offer("echo x > a.md")
    desk.renew(number, "echo 'x:' > Makefile")
    desk.preflight(number)
    assert desk.get(number).care == "study"
    assert "build, release or deployment" in says(desk, number)


def test_it_learns_what_is_usual_from_what_was_merged(desk: Desk) -> None:
    work = factories.task(desk.ctx, desk.repository)
    sizes = {"code": {"files": 1, "additions": 30, "deletions": 10}}
    for _ in range(5):
        factories.merge_request(desk.ctx, None, work, state="merged", care="read", sizes=sizes)
    number = desk.offer("seq 400 > a.py")
    assert "10.0 times the lines that are usual here (40)" in says(desk, number)


def test_broken_rules_ask_for_study(desk: Desk) -> None:
    rules(desk, "[care]\nstudy = 3\n")
    number = desk.offer("echo x > a.md")
    desk.preflight(number)
    found = desk.get(number)
    assert found.care == "study"
    assert found.care_reasons[0]["rule"].startswith("quarterdeck.toml line 2 [care.study]")
