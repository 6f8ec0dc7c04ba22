"""All the rules that find what may go wrong with a change. Each answers with data: no black box."""

from app.services import (
    risk_dependencies,
    risk_files,
    risk_hands,
    risk_interface,
    risk_paths,
    risk_secrets,
    risk_tests,
)
from app.services.change import Change, Risk

_RULES = (
    *risk_secrets.RULES,
    *risk_paths.RULES,
    *risk_tests.RULES,
    *risk_interface.RULES,
    *risk_dependencies.RULES,
    *risk_files.RULES,
    *risk_hands.RULES,
)


def risks(change: Change) -> tuple[Risk, ...]:
    """What every rule found, heaviest first."""
    found = [risk for rule in _RULES for risk in rule(change)]
    return tuple(sorted(found, key=lambda risk: -risk.points))
