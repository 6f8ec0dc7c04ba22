"""A landing goes on to the human's remote by itself, where their repository asks for it."""

from pathlib import Path

from app.models import Push
from tests.app.supervisor.conftest import Deck

WRITE = "printf 'hello there\\n' > greet.txt && git commit -qam 'Greet better'"


async def test_a_landing_reaches_the_remote(deck: Deck, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    deck.git("init", "-q", "--bare", str(remote))
    deck.git("remote", "add", "upstream", str(remote))
    with (deck.repository / "quarterdeck.toml").open("a") as file:
        file.write('\n[push]\nremote = "upstream"\nbase = true\n')
    deck.git("commit", "-qam", "Push the base")
    task_id = deck.add_task(run=WRITE)
    await deck.until_task(task_id, "review")
    request_id = deck.request(task_id).id or 0
    await deck.until(lambda: deck.check(request_id) == "passed")
    deck.approve(task_id)
    await deck.until(lambda: deck.request(task_id).state == "merged")
    await deck.until(lambda: pushed(deck) == ["done"])
    assert deck.git(f"--git-dir={remote}", "rev-parse", "main") == deck.git("rev-parse", "main")


def pushed(deck: Deck) -> list[str]:
    with deck.ctx.db.read() as db:
        row = db.get(Push, 1)
        return [row.state] if row else []
