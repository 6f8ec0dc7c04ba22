"""Which queued task goes to which free agent on which account: pure, on one look at the house.

A task that names an agent or an account gets it: that is the human's hand, and holds in every
mode. Else the dispatcher takes the first free agent where it lives (off, advise), or the account
that the policy chooses, with an agent that lives there or may move there (auto_new, auto_all).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.models import Account, Agent
from app.services.agents import model_of
from app.services.balance import (
    DOLLARS_PER_HOUR,
    AccountView,
    Decision,
    TaskView,
    barred,
    place,
)
from app.services.preferring import Record
from app.services.scales import Scales
from app.store.tasks import Begun, Waiting

AUTO_NEW = ("auto_new", "auto_all")
URGENT = timedelta(hours=24)  # a deadline this near goes before the human's order


@dataclass(frozen=True)
class Placement:
    """This agent takes this task on this account; `decision` is None where nobody weighed it."""

    task_id: int
    agent_id: int
    account_id: int
    decision: Decision | None = None
    by_record: str = ""  # why this agent and not another, where the record chose


@dataclass(frozen=True)
class Advice:
    """Where the task would go in an automatic mode."""

    task_id: int
    agent_id: int
    from_account_id: int
    to_account_id: int
    decision: Decision


@dataclass(frozen=True)
class Told:
    """What the human was advised already: nothing is said twice."""

    tasks: frozenset[int] = frozenset()
    agents: frozenset[int] = frozenset()
    ways: frozenset[tuple[int | None, int | None]] = frozenset()  # from an account to another


@dataclass
class Board:
    """What the dispatcher looks at, and what it decided so far."""

    scales: Scales
    mode: str
    free: dict[int, Agent]
    begun: dict[int, Begun] = field(default_factory=dict)
    moved_in: frozenset[int] = frozenset()  # agents that the balancer put where they live
    fillable: frozenset[str] = frozenset()
    told: Told = Told()
    record: Record = field(default_factory=Record)
    placements: list[Placement] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)
    views: dict[int, AccountView] = field(init=False)

    def __post_init__(self) -> None:
        self.views = dict(self.scales.views)
        self._asked, self._ways = set(self.told.agents), set(self.told.ways)
        self._named_ones: set[int | None] = set()

    @property
    def now(self) -> datetime:
        return self.scales.now

    def fill(self, waiting: Iterable[Waiting], room: int) -> None:
        """Place what can be placed, at most `room` tasks. Equal tasks are asked about once."""
        refused: set[object] = set()
        tasks = in_order(waiting, self.begun, self.now)
        self._keep_for_named(tasks)
        for task in tasks:
            if len(self.placements) >= room or not self.free:
                return
            kind = _kind(task, self.begun.get(task.id), self.now)
            if kind in refused:
                continue
            told = len(self.advice)
            placement = self._place(task)
            if placement is not None:
                self._take(placement)
            elif len(self.advice) == told and task.id not in self.told.tasks:
                refused.add(kind)

    def _keep_for_named(self, tasks: list[Waiting]) -> None:
        """Agents that a waiting task names, or whose work waits, are the last for any other."""
        named = {task.wanted_agent_id for task in tasks}
        named |= {self.begun[task.id].agent_id for task in tasks if task.id in self.begun}
        order = sorted(self.free, key=lambda agent_id: agent_id in named)
        self.free = {agent_id: self.free[agent_id] for agent_id in order}
        self._named_ones = named

    def _take(self, placement: Placement) -> None:
        self.placements.append(placement)
        del self.free[placement.agent_id]
        view = self.views[placement.account_id]
        burn = view.burn_dollars_per_hour + DOLLARS_PER_HOUR
        taken = replace(view, running=view.running + 1, burn_dollars_per_hour=burn)
        self.views[placement.account_id] = taken

    def _place(self, task: Waiting) -> Placement | None:
        begun = self.begun.get(task.id)
        if begun is not None and task.wanted_agent_id in (None, begun.agent_id):
            return self._go_on(task, begun)
        if task.wanted_agent_id is not None:
            named = self.free.get(task.wanted_agent_id)
            agents = [named] if named is not None else []
        else:
            agents = [agent for agent in self.free.values() if _fits(agent, task.models)]
        if task.wanted_account_id is not None:
            return self._on_wanted(task, agents, task.wanted_account_id)
        groups = self.record.groups(agents, task.label, self._named_ones)
        if self.mode in AUTO_NEW:
            found = (self._by_pressure(task, group) for group in groups)
            placement = next((each for each in found if each is not None), None)
        else:
            placement = self._at_home(task, [agent for group in groups for agent in group])
        if placement is None or len(groups) < 2:
            return placement
        why = self.record.why(agents, task.label, placement.agent_id)
        return replace(placement, by_record=why)

    def _go_on(self, task: Waiting, begun: Begun) -> Placement | None:
        """The conversation and the branch are that agent's; it follows the agent's account."""
        agent = self.free.get(begun.agent_id)
        if agent is None or self._refusal(agent.account_id, agent):
            return None
        return Placement(task.id, begun.agent_id, agent.account_id)

    def _on_wanted(self, task: Waiting, agents: list[Agent], wanted: int) -> Placement | None:
        """The human named the account: an agent that lives there, or one that can go there."""
        for agent in sorted(agents, key=lambda agent: agent.account_id != wanted):
            may_go = task.wanted_agent_id is not None or agent.is_movable
            if agent.account_id != wanted and not (may_go and self._same_world(agent, wanted)):
                continue
            if not self._refusal(wanted, agent):
                return Placement(task.id, agent.id or 0, wanted)
        return None

    def _by_pressure(self, task: Waiting, agents: list[Agent]) -> Placement | None:
        reach = self._reach(task, agents)
        decision = place(_fresh(task), self._open(reach), self.now)
        if decision.action != "start" or decision.account_id is None:
            return self._named(task, agents)
        account_id = int(decision.account_id)
        return Placement(task.id, reach[account_id].id or 0, account_id, decision)

    def _named(self, task: Waiting, agents: list[Agent]) -> Placement | None:
        """No account is good, but the human named the agent: its own will do, unless refused."""
        for agent in agents if task.wanted_agent_id is not None else []:
            if not self._refusal(agent.account_id, agent):
                return Placement(task.id, agent.id or 0, agent.account_id)
        return None

    def _at_home(self, task: Waiting, agents: list[Agent]) -> Placement | None:
        for agent in agents:
            if self._lives_well(task, agent) and not self._refusal(agent.account_id, agent):
                self._advise(task, [agent], agent.account_id)
                return Placement(task.id, agent.id or 0, agent.account_id)
        self._advise(task, [agent for agent in agents if agent.id not in self._asked], None)
        return None

    def _advise(self, task: Waiting, agents: list[Agent], home: int | None) -> None:
        """Note it where the policy would rather have another account than the agent's own."""
        if self.mode != "advise" or task.id in self.told.tasks or not agents:
            return
        reach = self._reach(task, agents)
        home_id = str(home) if home is not None else None
        decision = place(_fresh(task, home_id), self._open(reach), self.now)
        if decision.action not in ("start", "move") or decision.account_id in (None, home_id):
            return
        account_id = int(decision.account_id or 0)
        agent = reach[account_id]
        way = (agent.account_id, account_id)
        if agent.account_id == account_id or (home is not None and way in self._ways):
            return
        self._ways.add(way)
        self._asked.add(agent.id or 0)
        self.advice.append(Advice(task.id, agent.id or 0, agent.account_id, account_id, decision))

    def _reach(self, task: Waiting, agents: list[Agent]) -> dict[int, Agent]:
        """Every account that one of the agents may use for the task, with the agent to take."""
        reach: dict[int, Agent] = {}
        for agent in agents:
            home = self.views.get(agent.account_id)
            if home and home.allows(model_of(agent)) and self._lives_well(task, agent):
                reach.setdefault(agent.account_id, agent)
        movable = [agent for agent in agents if agent.is_movable]
        for account_id, view in self.views.items():
            if account_id in reach or not movable or not self._takes_new(task, view):
                continue
            for agent in movable:
                if self._same_world(agent, account_id) and view.allows(model_of(agent)):
                    reach[account_id] = agent
                    break
        return reach

    def _open(self, reach: Iterable[int]) -> list[AccountView]:
        """Their views, with the rules left out that `_reach` has settled already."""
        return [replace(self.views[n], is_automatic=True, models=None) for n in reach]

    def _takes_new(self, task: Waiting, view: AccountView) -> bool:
        """Whether the balancer may send the task there by itself."""
        if _is_filler(task, self.now) and view.id not in self.fillable:
            return False
        return view.is_automatic and (bool(view.windows) or task.may_overflow)

    def _lives_well(self, task: Waiting, agent: Agent) -> bool:
        """Whether the agent may do the task where it lives: by the human's hand it always may."""
        view = self.views.get(agent.account_id)
        if view is None:
            return False
        if task.wanted_agent_id == agent.id or self._takes_new(task, view):
            return True
        is_by_hand = agent.id not in self.moved_in
        return not _is_filler(task, self.now) and view.is_automatic and is_by_hand

    def _same_world(self, agent: Agent, account_id: int) -> bool:
        """Whether the agent can work there: the same program, and rehearsed or not like now."""
        home, other = self._account(agent.account_id), self._account(account_id)
        if home is None or other is None or other.driver != agent.driver:
            return False
        return home.is_rehearsal == other.is_rehearsal

    def _account(self, account_id: int) -> Account | None:
        return self.scales.accounts.get(account_id)

    def _refusal(self, account_id: int, agent: Agent) -> str:
        """Why even the human's own choice must wait."""
        view = self.views.get(account_id)
        if view is None:
            return "no such account"
        if why := barred(view, self.now):
            return why
        return "" if view.allows(model_of(agent)) else "not with this model"


def in_order(waiting: Iterable[Waiting], begun: dict[int, Begun], now: datetime) -> list[Waiting]:
    """By priority; then what was begun, then near deadlines, then the human's order."""
    latest = now + URGENT

    def key(task: Waiting) -> tuple[object, ...]:
        deadline = task.deadline_at if task.deadline_at and task.deadline_at <= latest else latest
        return (-task.priority, task.id not in begun, deadline, task.position, task.id)

    return sorted(waiting, key=key)


def _fresh(task: Waiting, home_id: str | None = None) -> TaskView:
    """The task for the policy; where it may go was settled before, so overflow is no question."""
    return TaskView(str(task.id), home_id=home_id, may_overflow=True)


def _is_filler(task: Waiting, now: datetime) -> bool:
    """Deferrable, named for nobody, and with time to wait."""
    is_named = task.wanted_agent_id is not None or task.wanted_account_id is not None
    is_urgent = task.deadline_at is not None and task.deadline_at - now <= URGENT
    return task.is_deferrable and not is_named and not is_urgent


def _kind(task: Waiting, begun: Begun | None, now: datetime) -> object:
    """Tasks of one kind have the same chances."""
    return (
        task.wanted_agent_id,
        task.wanted_account_id,
        begun and begun.agent_id,
        tuple(task.models),
        task.may_overflow,
        _is_filler(task, now),
    )


def _fits(agent: Agent, models: list[str]) -> bool:
    return not models or model_of(agent) in models
