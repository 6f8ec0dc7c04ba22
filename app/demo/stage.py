"""What the demo plays with: a repository made on the spot, six accounts, six agents, six tasks."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from agents.rehearsal.server import RehearsalServer
from app.services import accounts, agents, repositories, tasks
from app.services.context import Context

PROJECT = Path(__file__).parent / "project"
KEY_VARIABLE = "QUARTERDECK_REHEARSAL_KEY"
KEY = "sk-ant-oat01-rehearsed"  # opens nothing: the rehearsal server takes any


@dataclass(frozen=True)
class Part:
    """One agent and its task. The scenario that plays it is found by the task's title."""

    agent: str
    driver: str
    auth: str
    account: str
    title: str
    prompt: str
    permissions: str = "auto"
    model: str = ""
    week_usd: float | None = None  # what a week of its account holds; a key holds nothing


PARTS = (
    Part(
        "otter",
        "codex",
        "api_key",
        "Codex (rehearsed)",
        "Let the search ignore case",
        "Searching for WIND should find wind. Add a test.",
        model="rehearsed",
        week_usd=800.0,
    ),
    Part(
        "maple",
        "claude_code",
        "subscription",
        "Claude (rehearsed)",
        "Add --json to the report",
        "Other programs should be able to read the report. Keep the text form as it is.",
        week_usd=1000.0,
    ),
    Part(
        "heron",
        "claude_code",
        "subscription",
        "Claude, asking (rehearsed)",
        "Write a short usage guide",
        "A page in docs/ for someone who has never seen the logbook. Try what you show.",
        permissions="ask",
        week_usd=330.0,
    ),
    Part(
        "finch",
        "codex",
        "api_key",
        "Codex, nearly dry (rehearsed)",
        "Refuse entries from the future",
        "A log with a wrong clock should be noticed when it is loaded.",
        model="rehearsed",
        week_usd=80.0,
    ),
    Part(
        "cedar",
        "anthropic_api",
        "api_key",
        "Anthropic key (rehearsed)",
        "Show who wrote how much",
        "The report should end with a count of entries per author.",
    ),
    Part(
        "raven",
        "openai_api",
        "api_key",
        "OpenAI key (rehearsed)",
        "Simplify the parser",
        "parse() is longer than it needs to be.",
    ),
)


def make_project(path: Path) -> Path:
    """A fresh git repository with the demo's project in it and one commit on main."""
    shutil.copytree(PROJECT, path, ignore=shutil.ignore_patterns("__pycache__"))
    (path / ".gitignore").write_text("__pycache__/\n")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "You"),
        ("config", "user.email", "you@example.org"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=A logbook"),
    ):
        subprocess.run(["git", *arguments], cwd=path, check=True, timeout=60)
    return path


def set_stage(ctx: Context, project: Path, rehearsal: RehearsalServer) -> None:
    """Register everything; the dispatcher hands the tasks out as soon as it runs."""
    repository = repositories.add_repository(ctx, path=str(project))
    for part in PARTS:
        speaks_anthropic = part.driver in ("claude_code", "anthropic_api")
        url = rehearsal.anthropic_url() if speaks_anthropic else rehearsal.openai_url()
        accounts.add_account(
            ctx,
            name=part.account,
            driver=part.driver,
            auth=part.auth,
            secret_env=KEY_VARIABLE,
            base_url=url,
            is_rehearsal=True,
            week_usd=part.week_usd,
        )
        agents.add_agent(
            ctx,
            name=part.agent,
            driver=part.driver,
            account=part.account,
            model=part.model,
            permissions=part.permissions,
        )
        tasks.add_task(
            ctx,
            repository=repository.slug,
            title=part.title,
            prompt=part.prompt,
            agent=part.agent,
        )
