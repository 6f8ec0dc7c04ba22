"""What agents may offer: nothing of it breaks a page, the API or the way to the base."""

import os
from typing import Any

import pytest

from app.services import sessions
from tests.app.supervisor.conftest import Deck
from tests.app.supervisor.looking import Eyes, eyes

pytestmark = pytest.mark.slow
COMMIT = "; git add -A; git commit -qm X"
ODD = (
    b"caf\xe9.txt",
    b"caf\\xe9.txt",
    b"a\nb\tc",
    b"<img src=x onerror=alert(1)>",
    "a\u202etxt.exe".encode(),
    b"-rf",
    b":(top)*",
    b"\x1b[31mred",
    'it\'s "q" & $(x) 🚀'.encode(),
)


def writing(name: bytes, words: str = "hi") -> str:
    """A shell command that writes a file of that very name."""
    octal = "".join(f"\\{byte:03o}" for byte in name)
    return f"n=$(printf '{octal}.'); echo {words} > \"./${{n%.}}\""


def look(deck: Deck, seeing: Eyes, task_id: int) -> tuple[str, Any]:
    """Its page and its diff; the pages that list it are fine too."""
    number = deck.request(task_id).id
    for path in ("/", "/reviews", "/tasks", "/inbox", f"/reviews/{number}?view=all"):
        seeing.page(path)
    seeing.get("/reviews")
    return seeing.page(f"/reviews/{number}"), seeing.get(f"/reviews/{number}/diff")


async def test_any_name_that_git_takes_is_shown_read_and_landed(deck: Deck) -> None:
    task_id = deck.add_task(run="; ".join(map(writing, ODD)) + COMMIT)
    await deck.until_task(task_id, "review")
    with eyes(deck) as seeing:
        page, diff = look(deck, seeing, task_id)
        assert "<img" not in seeing.raw(f"/reviews/{deck.request(task_id).id}").split("<main")[1]
    assert r"caf\xe9.txt" in page
    assert r"caf\x5cxe9.txt" in page
    assert len({file["path"] for file in diff["files"]}) == len(ODD)
    assert {len(file["hunks"]) for file in diff["files"]} == {1}
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    landed = {os.fsencode(path.name) for path in deck.repository.iterdir()}
    assert set(ODD) < landed


async def test_a_conflict_in_a_file_whose_name_is_no_text_is_told(deck: Deck) -> None:
    ids = [deck.add_task(run=writing(ODD[0], words) + COMMIT, n=words) for words in ("hi", "ho")]
    for task_id in ids:
        await deck.until_task(task_id, "review")
    await deck.until(lambda: bool(deck.overlaps(ids[0])))
    deck.approve(ids[0])
    await deck.until_task(ids[0], "done")
    await deck.until(lambda: deck.request(ids[1]).state == "conflicted")
    await deck.until(lambda: "<<<<<<<" in deck.journal(ids[1]))
    with eyes(deck) as seeing:
        seeing.get("/radar")
        page, _ = look(deck, seeing, ids[1])
    assert r"Conflicts with main caf\xe9.txt" in page
    assert "outdated" in page  # its check was of a tree that it does not become any more


async def test_changes_without_lines_are_said_in_words(deck: Deck) -> None:
    run = r"printf 'hello\r\n' > greet.txt; touch a.sh; chmod +x a.sh; ln -s /etc/passwd b" + COMMIT
    run += "; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),lib"
    run += r"; printf '*.txt binary\n' > .gitattributes; git add .gitattributes; git commit -qm Y"
    task_id = deck.add_task(run=run)
    await deck.until_task(task_id, "review")
    with eyes(deck) as seeing:
        page, _ = look(deck, seeing, task_id)
    for words in (
        "only line endings differ in 1 file",
        "1 file executable",
        "a symbolic link: it may point anywhere",
        "another repository's commit is pulled in",
        "Subproject commit",
        "⟦U+000D⟧",  # the attribute that the branch itself brings hides no line
    ):
        assert words in page


async def test_a_request_that_changes_no_file_can_be_read_and_rejected(deck: Deck) -> None:
    task_id = deck.add_task(run="git commit -q --allow-empty -m X")
    await deck.until_task(task_id, "review")
    request = deck.request(task_id)
    with eyes(deck) as seeing:
        page, _ = look(deck, seeing, task_id)
        assert "Its commits change no file." in page
        status, answer = seeing.post(f"/reviews/{request.id}/reject", head_sha=request.head_sha)
    assert (status, answer["state"]) == (200, "rejected")


async def test_a_file_renamed_and_edited_on_both_sides_lands_as_one(deck: Deck) -> None:
    lines = [f"line {number}\n" for number in range(40)]
    (deck.repository / "long.txt").write_text("".join(lines))
    deck.git("add", "-A")
    deck.git("commit", "-qm", "Long")
    task_id = deck.add_task(
        run="git mv long.txt far.txt; sed -i 's/^line 1$/ONE/' far.txt" + COMMIT
    )
    await deck.until_task(task_id, "review")
    lines[38] = "THEIRS\n"
    (deck.repository / "long.txt").write_text("".join(lines))
    deck.git("commit", "-qam", "Theirs")
    with eyes(deck) as seeing:
        assert "long.txt → far.txt" in look(deck, seeing, task_id)[0]
    deck.approve(task_id)
    await deck.until_task(task_id, "done")
    landed = deck.git("show", "main:far.txt").splitlines()
    assert (landed[1], landed[38], len(landed)) == ("ONE", "THEIRS", 40)


async def test_commits_that_are_no_text_are_shown(deck: Deck) -> None:
    run = r"echo a > a; git add a; printf 'caf\351 <b>\n\nx\377y' > ../m; "
    run += r"git commit -q -F ../m --author=$(printf 'Ev\351')'<a@b>'; rm ../m"
    task_id = deck.add_task(run=run)
    await deck.until_task(task_id, "review")
    with eyes(deck) as seeing:
        page, diff = look(deck, seeing, task_id)
    assert "foreign commits" in page
    assert diff["commits"][0]["subject"].startswith("caf")


async def test_work_that_breaks_us_holds_up_nobody_else(deck: Deck) -> None:
    """Here the place of diffs is a file; whatever it is, the fleet goes on and the task says so."""
    place = deck.ctx.home.path / "diffs"
    place.write_text("")
    task_id = deck.add_task(agent="maple", run="echo a > a" + COMMIT)
    await deck.until_task(task_id, "failed")
    assert "could not be offered (FileExistsError" in deck.task(task_id).state_reason
    other = deck.add_task(agent="otter", say="Nothing to do.")
    assert "without changing anything" in (await deck.until_task(other, "failed")).state_reason
    place.unlink()
    sessions.say(deck.ctx, session_id=deck.session(task_id).id, text='{"say": "Again."}')
    await deck.until_task(task_id, "review")


async def test_a_huge_binary_and_a_lock_file_of_a_million_lines(deck: Deck) -> None:
    run = "head -c 100000000 /dev/urandom > big.bin; seq 1000000 > package-lock.json" + COMMIT
    task_id = deck.add_task(run=run)
    await deck.until_task(task_id, "review", seconds=120)
    with eyes(deck) as seeing:
        page, diff = look(deck, seeing, task_id)
    assert "A binary file." in page
    assert "Too long to show here" in page
    assert "+1000000" in page.replace(",", "")
    assert sum(len(str(file)) for file in diff["files"]) < 10_000
    deck.approve(task_id)
    await deck.until_task(task_id, "done", seconds=120)
    assert "100000000" in deck.git("ls-tree", "-l", "main", "big.bin")
