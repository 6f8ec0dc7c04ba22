"""What every driver promises, as contracts that its tests run with the real program.

A contract is an async function of a `Stage`. A driver's test parametrises over `CONTRACTS`:

    @pytest.mark.parametrize("contract", [c for c in CONTRACTS if c.applies(CASE)], ids=str)
    async def test_contract(contract, rehearsal, tmp_path):
        await contract.run(Stage(CASE, rehearsal, tmp_path))

`UserMessage` events are the runner's; everything else that a turn says is the driver's.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.conformance import trouble, turns
from agents.events import ErrorKind
from agents.registry import driver
from agents.testing import DriverCase, Stage


@dataclass(frozen=True)
class Contract:
    """One promise. `slow`: seconds of some vendor's own back-off, or much output."""

    name: str
    run: Callable[[Stage], Awaitable[None]]
    needs: Callable[[DriverCase], bool] = lambda _case: True
    slow: bool = False

    def applies(self, case: DriverCase) -> bool:
        """Whether a driver of these capabilities promises this."""
        return self.name not in case.without and self.needs(case)

    def __str__(self) -> str:
        return self.name


def _can(capability: str) -> Callable[[DriverCase], bool]:
    return lambda case: bool(getattr(driver(case.driver_id).capabilities, capability))


_FAILURES: dict[str, tuple[ErrorKind, ...]] = {
    "400": ("billing", "invalid"),
    "401": ("auth",),
    "403": ("auth",),
    "429": ("throttle",),
    "500": ("overloaded",),
    "503": ("overloaded",),
    "529": ("overloaded",),
    "context": ("context",),
    "drop": ("network",),
    "drop_early": ("network",),
    "sse_error": ("overloaded", "network"),
}
_RECOVERIES = ("429x2", "529x2", "dropx1", "sse_errorx1")
_PATIENT = ("403", "429", "500", "503", "529", "drop", "drop_early")  # tried again for a while

CONTRACTS: list[Contract] = [
    Contract("works", turns.works),
    Contract("finishes_each_text_once", turns.finishes_each_text_once),
    Contract("counts_tokens_once", turns.counts_tokens_once),
    Contract("keeps_raw_lines", turns.keeps_raw_lines),
    Contract("follows_up", turns.follows_up),
    Contract("steers", turns.steers, _can("steer")),
    Contract("interrupts", turns.interrupts, _can("interrupt")),
    Contract("interrupts_silence", turns.interrupts_silence, _can("interrupt")),
    Contract("interrupts_idle", turns.interrupts_idle, _can("interrupt")),
    Contract("asks_and_obeys_allow", turns.asks_and_obeys_allow, _can("ask")),
    Contract("asks_and_obeys_deny", turns.asks_and_obeys_deny, _can("ask")),
    Contract("forgets_old_questions", turns.forgets_old_questions, _can("ask")),
    Contract("resumes_after_close", turns.resumes_after_close, _can("resume")),
    Contract("resumes_after_kill", turns.resumes_after_kill, _can("needs_binary")),
    Contract("dies_at_once", trouble.dies_at_once, _can("needs_binary")),
    Contract("survives_strange_lines", trouble.survives_strange_lines, _can("needs_binary")),
    Contract("missing_program", trouble.missing_program, _can("needs_binary")),
    Contract("tells_of_its_account", trouble.tells_of_its_account),
    Contract("reports_limit", trouble.reports_limit),
    Contract("reports_warning", trouble.reports_warning, lambda case: case.quota),
    Contract("survives_big_output", trouble.survives_big_output, slow=True),
    *(
        Contract(f"fails_{name}", trouble.fails(name, *kinds), slow=name in _PATIENT)
        for name, kinds in _FAILURES.items()
    ),
    *(Contract(f"recovers_{name}", trouble.recovers(name), slow=True) for name in _RECOVERIES),
]
