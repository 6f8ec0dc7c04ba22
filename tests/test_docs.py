"""The documents can't lie: what they list is compared with the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel

import app.models
from agents.registry import DRIVERS
from app.paths import ROOT
from app.settings import Settings
from docs.generate import pages

GUIDES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("agents/**/*.md")]
    if "node_modules" not in path.parts
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_PATH = re.compile(r"`((?:app|agents|alembic|docs|tests|templates|static|microgpt)/[\w./-]*)`")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", list(pages()), ids=named)
def test_generated_pages_are_fresh(path: Path) -> None:
    assert path.read_text() == pages()[path], "run `make docs`"


def test_every_setting_has_words() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name in Settings.model_fields:
        assert re.search(rf"\| `QUARTERDECK_{name.upper()}` \|.*\| \w.*\. \|", page), name


def test_every_driver_is_in_the_guides() -> None:
    room = (ROOT / "agents" / "drivers" / "README.md").read_text()
    accounts = (ROOT / "docs" / "accounts.md").read_text()
    for driver, where in DRIVERS.items():
        module = where.partition(":")[0].rpartition(".")[2]
        assert f"`{module}.py`" in room, f"agents/drivers/README.md lacks {module}.py"
        assert f"| `{driver}` |" in accounts, f"docs/accounts.md lacks {driver}"


def test_every_table_is_a_word_of_the_house() -> None:
    assert app.models.__all__
    text = (ROOT / "CONTEXT.md").read_text()
    terms = {term.lower().replace(" ", "") for term in re.findall(r"^\*\*(.+?)\*\*:", text, re.M)}
    assert set(SQLModel.metadata.tables) - terms == set()


def test_every_word_says_what_to_avoid() -> None:
    text = (ROOT / "CONTEXT.md").read_text()
    entries = re.split(r"^\*\*", text, flags=re.M)[1:]
    assert len(entries) > 25
    assert [entry.split("*")[0] for entry in entries if "\n_Avoid_: " not in entry] == []


def test_the_agents_page_is_short_and_claude_reads_it() -> None:
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 120
    assert (ROOT / "CLAUDE.md").read_text() == "@AGENTS.md\n"


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_named_paths_exist(guide: Path) -> None:
    missing = [path for path in NAMED_PATH.findall(guide.read_text()) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_links_resolve(guide: Path) -> None:
    assert [link for link in links(guide) if not resolves(guide, link)] == []


def links(guide: Path) -> Iterator[str]:
    """Relative links outside of code."""
    text = re.sub(r"```.*?```", "", guide.read_text(), flags=re.S)
    for link in LINK.findall(text):
        if not link.startswith(("http://", "https://", "mailto:")):
            yield link


def resolves(guide: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (guide.parent / name).resolve() if name else guide
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target)


def anchors(guide: Path) -> set[str]:
    """GitHub's anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", guide.read_text(), re.M)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.replace(" ", "-") for word in words}
