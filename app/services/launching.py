"""Launching: worktree ready, environment built, runner up. Blocking: called in a thread."""

from pathlib import Path
from typing import Literal

from sqlmodel import Session as Orm

from agents import launch
from agents.base import Endpoint, LaunchSpec
from agents.errors import AgentError, SessionAlreadyRunning
from agents.registry import driver as find_driver
from app.errors import AppError, BranchVanished, SetupFailed, Unavailable
from app.git import worktrees
from app.git.cloning import sync
from app.git.config import Command, read_config
from app.git.names import branch_name
from app.git.snapshots import Worktree
from app.models import Account, Agent, Session, Task
from app.models.base import utc_now
from app.services import handover
from app.services.accounts import endpoint_of, secrets
from app.services.boxed import run_boxed
from app.services.context import Context
from app.services.environment import agent_home, box, child_environment, is_sandboxed
from app.services.handover_note import task_text
from app.services.lifecycle import adopt, launched
from app.services.logins import missing_directory
from app.services.move_effect import take_effect
from app.services.scene import SessionScene, session_scene, worktree_of
from app.store import moves, sessions, tasks

WORK_RULES = (
    "You work in a git worktree of your own, on the branch {branch}, which starts from {base}. "
    "Do the whole task, run the project's tests, and commit your work on this branch with a clear "
    "message; do not push and do not touch other branches. End with a short, plain summary for "
    "the reviewer: what you changed, why, and what you did not do."
)
Origin = Literal["task", "system"]
CONTINUE = "Your work was interrupted. Look at the state of the worktree and go on with the task."


def launch_session(ctx: Context, session_id: str) -> bool:
    """Bring the session's runner up; False where it could not be, with the reason on its task."""
    with ctx.db.write() as db:
        session = _begun(db, session_id)
        if session is None:
            return False
        scene = session_scene(ctx, db, session_id)
    ctx.home.session(session_id).mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if not handover.carry(ctx, scene):
            handover.hand_over(ctx, scene)  # the session that goes on is launched next
            return False
        _charge(ctx, scene)
        spec = _spec(ctx, scene)
        launch.launch(ctx.home.session(session_id), spec, secrets(scene.account))
    except SessionAlreadyRunning:
        adopt(ctx, session_id)
        return True
    except (AppError, AgentError, OSError) as error:
        _not_started(ctx, session_id, str(error))
        return False
    _started(ctx, session_id)
    return True


def _begun(db: Orm, session_id: str) -> Session | None:
    """The session, now `starting` on its agent's account; None where it is not to be launched."""
    session = sessions.get(db, session_id)
    if session is None or not session.wants_start:
        return None
    if session.state not in ("new", "stopped", "crashed"):
        session.wants_start = False
        return None
    if sessions.rivals(db, session):
        return None  # its turn comes when they have stopped
    for decided in moves.pending(db, session.agent_id):
        take_effect(db, decided)
    agent = db.get_one(Agent, session.agent_id)
    session.wants_start, session.state = False, "starting"
    session.account_id = agent.account_id
    db.add(session)
    return session


def _charge(ctx: Context, scene: SessionScene) -> None:
    """The conversation is where the agent is: from the next record on its account pays."""
    with ctx.db.write() as db:
        row = db.get_one(Session, scene.session.id)
        if row.driver != scene.agent.driver:
            row.driver, row.model = scene.agent.driver, scene.agent.model
        db.add(row)
        sessions.charge(db, row)


def _spec(ctx: Context, scene: SessionScene) -> LaunchSpec:
    agent, task, session, account = scene.agent, scene.task, scene.session, scene.account
    driver = find_driver(agent.driver)
    home = agent_home(ctx, agent)
    endpoint = _endpoint(account)
    env = child_environment(home, agent.name)
    found = driver.available(endpoint, env | secrets(account))
    if not found.ok:
        raise Unavailable(found.problem)
    worktree = _prepare_worktree(ctx, scene)
    git = worktrees.sandbox_paths(scene.clones, worktree)
    prompt, prompt_id, origin = _prompt(ctx, task, session)
    rules = WORK_RULES.format(branch=worktree.branch, base=task.base_branch)
    return LaunchSpec(
        session_id=session.id,
        driver=agent.driver,
        cwd=str(worktree.path),
        home=str(home),
        model=agent.model,
        prompt=prompt,
        prompt_id=prompt_id,
        prompt_origin=origin,
        resume=session.conversation_id,
        permissions=agent.permissions,  # type: ignore[arg-type]
        instructions=f"{rules}\n\n{agent.instructions}".strip(),
        binary=found.binary,
        endpoint=endpoint,
        env=env | git.env,
        sandbox=box(ctx, git.read_write, git.read_only, git.env),
    )


def _endpoint(account: Account) -> Endpoint:
    if missing := missing_directory(account):
        raise Unavailable(missing)
    if account.config_dir:
        Path(account.config_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    return endpoint_of(account)


def _prepare_worktree(ctx: Context, scene: SessionScene) -> Worktree:
    """The agent's worktree on the session's branch; what another task left there is snapshotted."""
    clones, agent, task, session = scene.clones, scene.agent, scene.task, scene.session
    base = sync(clones).get(task.base_branch)
    if base is None:
        raise BranchVanished(task.base_branch)
    rules = read_config(clones, base)
    worktrees.reap_locks(clones, agent.name)  # no runner of this agent lives now
    if session.worktree:
        worktree = worktrees.switch(clones, worktree_of(scene), session.branch, rules.keep_ignored)
    else:
        root = ctx.home.worktrees / scene.repository.slug
        branch = branch_name(agent.name, task.title, worktrees.branches(clones, agent.name))
        worktree = worktrees.claim(clones, agent.name, branch, base, root, rules.keep_ignored)
    worktrees.copy_files(clones, worktree, rules.copy)
    if rules.setup.command and not session.worktree:
        _set_up(ctx, scene, worktree, rules.setup)
    with ctx.db.write() as db:
        stored = session_scene(ctx, db, session.id)
        row, own = stored.session, stored.task
        row.branch, row.base_sha = worktree.branch, worktree.base_sha
        row.worktree = str(worktree.path)
        own.branch = worktree.branch
        db.add(row)
        db.add(own)
    return worktree


def _set_up(ctx: Context, scene: SessionScene, worktree: Worktree, rule: Command) -> None:
    """The repository's own set-up in a fresh worktree, with no more rights than its agent has."""
    git = worktrees.sandbox_paths(scene.clones, worktree)
    ended = run_boxed(
        ctx,
        rule.command,
        cwd=worktree.path,
        home=agent_home(ctx, scene.agent),
        log=ctx.home.session(scene.session.id) / "setup.log",
        limit_seconds=rule.timeout_seconds,
        read_write=git.read_write,
        read_only=git.read_only,
        env=git.env,
    )
    if ended.exit_code != 0:
        said = ended.output_tail.strip().splitlines()[-1:] or ["it said nothing"]
        raise SetupFailed(rule.command, said[0])


def _prompt(ctx: Context, task: Task, session: Session) -> tuple[str, str, Origin]:
    """(text, message id, origin): the task at first, then a nudge, or "" where messages wait."""
    if not session.conversation_id:
        if session.handover:
            return session.handover, f"{session.id}-task", "system"
        return task_text(task), f"{session.id}-task", "task"
    with ctx.db.read() as db:
        if sessions.queued_messages(db, session.id):
            return "", "", "system"
    return CONTINUE, f"{session.id}-continue-{session.launches}", "system"


def _started(ctx: Context, session_id: str) -> None:
    with ctx.db.write() as db:
        row = session_scene(ctx, db, session_id).session
        launched(row, is_sandboxed=is_sandboxed(ctx))
        row.error = row.error_message = ""
        db.add(row)
    ctx.publish("fleet", f"session:{session_id}", "wake")


def _not_started(ctx: Context, session_id: str, reason: str) -> None:
    with ctx.db.write() as db:
        row = session_scene(ctx, db, session_id).session
        row.state, row.activity, row.activity_at = "crashed", "error", utc_now()
        row.error, row.error_message, row.last_line = "crashed", reason, reason
        db.add(row)
        task = tasks.get(db, row.task_id)
        if task is not None and task.state == "running":
            task.state, task.state_reason = "failed", reason
            db.add(task)
    ctx.publish("fleet", "tasks", "inbox", f"session:{session_id}")
