"""What an agent is doing: one state for its tile, its time line and its clock, from stored rows."""

from sqlmodel import Session as Orm

from app.models import Agent, Session, Task
from app.store import agents, sessions
from app.store import clock as store

OFF = "off"
_HELD = ("running", "parked")  # tasks that keep their agent from taking another


def agent_state(agent: Agent, session: Session | None, task: Task | None) -> str:
    """The one state that colours an agent everywhere: an activity, or "off".

    `session` is the agent's current one (`current`), `task` that session's task.
    """
    if not agent.is_enabled:
        return OFF
    if session is not None and session.state in sessions.LIVE_STATES:
        return _live_state(session, task)
    if session is not None and (session.state == "crashed" or session.activity == "error"):
        return "error" if task is not None and task.state in (*_HELD, "failed") else "idle"
    if task is not None and task.state == "parked":
        return "waiting_quota"
    if task is not None and task.state == "running":
        return "waiting_slot"
    return "idle"


def clock_state(agent: Agent, session: Session | None, task: Task | None) -> str:
    """The same as one of the clock's seven: off is idle, but what still works there counts."""
    if not agent.is_enabled:
        is_live = session is not None and session.state in sessions.LIVE_STATES
        return _live_state(session, task) if session is not None and is_live else "idle"
    return agent_state(agent, session, task)


def every(db: Orm) -> dict[int, str]:
    """The state of every agent now, as one of the clock's seven, by agent id."""
    now = store.current_sessions(db)
    tasks = store.tasks_of(db, [session.task_id for session in now.values()])
    found = {}
    for agent in agents.every(db):
        session = now.get(agent.id or 0)
        task = tasks.get(session.task_id) if session is not None else None
        found[agent.id or 0] = clock_state(agent, session, task)
    return found


def _live_state(session: Session, task: Task | None) -> str:
    """What a session with a runner does; stopped in mid-task by the human, it waits for him."""
    if session.state == "starting":
        return "waiting_slot"  # its activity is from its last life
    is_held = task is not None and task.state == "running" and task.state_reason != ""
    return "waiting_human" if session.activity == "idle" and is_held else session.activity
