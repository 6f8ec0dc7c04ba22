"""Preferring: the human's switch that lets the dispatcher choose models by their record.

Off unless switched on. It only orders agents that are free and may do the task anyway: first by
the lower bound of what their model did of the task's label, those without a record after them,
those that are clearly weak at it last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlmodel import Session as Orm

from app.models import Agent
from app.services import record
from app.services.agents import model_of
from app.services.context import Context
from app.services.ledger import record as note
from app.store import balancing, outcomes

KEY = "prefer_by_record"


@dataclass(frozen=True)
class Record:
    """What the dispatcher asks of it; empty where the switch is off."""

    rows: Mapping[tuple[str, str], record.Row] = field(default_factory=dict)
    # (driver, model as an agent's row says it): the model that then worked, which the record knows
    models: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def groups(
        self, agents: Sequence[Agent], label: str, named: Collection[int | None] = ()
    ) -> list[list[Agent]]:
        """The agents by their record at the label, best first, equal ones together.

        One group where the record tells no difference. Those `named`, whom other tasks wait for,
        stay the last.
        """
        found: dict[tuple[bool, float], list[Agent]] = {}
        for agent in agents:
            key = (agent.id in named, -self._value(agent, label))
            found.setdefault(key, []).append(agent)
        if len({value for _, value in found}) < 2:
            return [list(agents)]
        return [found[key] for key in sorted(found)]

    def why(self, agents: Sequence[Agent], label: str, chosen_id: int) -> str:
        """The records that were compared, the chosen one's first."""
        ordered = sorted(agents, key=lambda agent: agent.id != chosen_id)
        says = dict.fromkeys(self._says(agent, label) for agent in ordered)
        return f"By the record at {label}: {'; '.join(says)}."

    def _value(self, agent: Agent, label: str) -> float:
        """Higher is better: 0 to 1 by record, 0 without one, below 0 where it is weak."""
        row = self.rows.get((self._model(agent), label)) if label else None
        if row is None or not row.counts.judged:
            return 0.0
        bounds = row.counts.interval
        return bounds.high - 1.0 if row.standing == "weak" else bounds.low

    def _says(self, agent: Agent, label: str) -> str:
        model = self._model(agent)
        row = self.rows.get((model, label))
        return f"{model} {row.counts.says}" if row else f"{model} has no record"

    def _model(self, agent: Agent) -> str:
        return self.models.get((agent.driver, agent.model)) or model_of(agent) or agent.driver


def is_on(db: Orm) -> bool:
    return balancing.preference(db, KEY) is True


def set_on(ctx: Context, on: bool) -> bool:
    """Turn the preference on or off; it holds from the next task that is given out."""
    with ctx.db.write() as db:
        balancing.set_preference(db, KEY, on)
        note(db, "set", "preference by record", detail={"on": on})
    ctx.publish("record", "wake")
    return on


def known(db: Orm) -> Record:
    """The record by labels for the dispatcher; nothing where the switch is off."""
    if not is_on(db):
        return Record()
    return Record(record.table(db, "label").rows, outcomes.models(db))
