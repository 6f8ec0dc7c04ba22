"""Rows for tests of what reads them: a repository, an agent, a task, a session with a journal."""

from dataclasses import dataclass

from agents.events import Event, Text, ToolCall, ToolResult, TurnEnded, TurnStarted, UserMessage
from agents.journal import JournalWriter
from app.models import (
    Account,
    Agent,
    Check,
    MergeRequest,
    Permission,
    Repository,
    Session,
    Task,
)
from app.services.context import Context

HEAD = "a" * 40
EVENTS: list[Event] = [
    UserMessage("m1", "Add a test."),
    TurnStarted("t1"),
    Text("a1", "On it.\x1b[31m \u202etxt.exe", final=True),
    ToolCall("c1", "Bash", "execute", "pytest -q"),
    ToolResult("c1", "1 passed", exit_code=0),
    TurnEnded("t1", "completed", "Done."),
]


@dataclass(frozen=True)
class House:
    """The ids of what `furnish` put there."""

    task: int
    session: str
    request: int
    permission: int


def furnish(ctx: Context) -> House:
    """One of each, in the states that a human meets most."""
    with ctx.db.write() as db:
        repository = Repository(slug="shop", path="/srv/shop", base_branch="main")
        account = Account(name="mine", driver="scripted", auth="none")
        db.add_all([repository, account])
        db.flush()
        agent = Agent(name="ada", driver="scripted", account_id=account.id or 0)
        db.add(agent)
        db.flush()
        task = Task(
            repository_id=repository.id or 0,
            title="Add a test",
            prompt="Add a test for prices.",
            base_branch="main",
            state="review",
            position=1.0,
            agent_id=agent.id,
        )
        db.add(task)
        db.flush()
        ids = {"agent_id": agent.id, "task_id": task.id, "account_id": account.id}
        session = Session(id="s-1", driver="scripted", state="stopped", activity="idle", **ids)
        db.add(session)
        db.flush()
        request = MergeRequest(
            repository_id=repository.id or 0,
            task_id=task.id,
            agent_id=agent.id,
            session_id=session.id,
            title="Add a test",
            summary="One test more.",
            branch="qd/ada/add-a-test",
            base_branch="main",
            head_sha=HEAD,
            base_sha="b" * 40,
        )
        permission = Permission(
            session_id=session.id, request_id="r1", tool="execute", name="Bash", title="rm -rf x"
        )
        db.add_all([request, permission])
        db.flush()
        db.add(
            Check(
                repository_id=repository.id or 0,
                merge_request_id=request.id or 0,
                head_sha=HEAD,
                base_sha="b" * 40,
                tree_sha="c" * 40,
                command="make test",
                state="passed",
                exit_code=0,
            )
        )
        house = House(task.id or 0, session.id, request.id or 0, permission.id or 0)
    write_journal(ctx, house.session, EVENTS)
    return house


def write_journal(ctx: Context, session_id: str, events: list[Event]) -> None:
    """Append events to the session's journal, as its runner would."""
    directory = ctx.home.session(session_id)
    directory.mkdir(parents=True, exist_ok=True)
    writer = JournalWriter(directory / "journal.ndjson")
    for event in events:
        writer.append(event)
    writer.close()
