"""The waterfall's arithmetic over any minutes: nothing negative, nothing lost, nothing made."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services import losses
from app.services.losses import CAUSES, Look, Share

_DOLLARS = st.floats(0, 1e6, allow_nan=False)
_OUT = {"off", "login", "closed", "manual", "reserve", "dry", "refused", "reread"}
_WAITS = sorted(set(CAUSES) - _OUT)


@st.composite
def any_look(draw: Callable[..., Any]) -> Look:
    shares = {}
    for account_id in draw(st.sets(st.integers(1, 3))):
        held, spent = draw(_DOLLARS), draw(_DOLLARS)
        shares[account_id] = Share(
            capacity=held,
            reserve=held * draw(st.floats(0, 1)),
            why=draw(st.sampled_from(["", "", "off", "login", "dry", "refused"])),
            spent=spent,
            reread=spent * draw(st.floats(0, 1)),
        )
    parts = draw(st.dictionaries(st.sampled_from(_WAITS), st.floats(0, 1), max_size=4))
    quota = draw(st.dictionaries(st.integers(1, 4), st.floats(0, 1), max_size=2))
    total = sum(parts.values()) + sum(quota.values())
    waits = {cause: part / total for cause, part in parts.items()} if total > 1e-9 else {}
    quota = {key: part / total for key, part in quota.items()} if total > 1e-9 else {}
    return Look(shares, waits, quota, [])


@given(st.lists(any_look(), max_size=6))
def test_the_rungs_fall_and_sum_to_what_was_lost(seen: list[Look]) -> None:
    over = {key: losses.account(counted) for key, counted in losses.tally(seen).items()}
    for account in over.values():
        assert all(usd >= 0 for usd in account.lost.values())
        total = account.used + sum(account.lost.values())
        assert total == pytest.approx(account.capacity, rel=1e-6, abs=1e-6)
    levels = list(losses.rungs(over).values())
    assert all(above >= level >= 0 for above, level in itertools.pairwise(levels))
    used = sum(account.used for account in over.values())
    assert levels[-1] == pytest.approx(used, rel=1e-6, abs=1e-3)


@given(any_look())
def test_a_look_is_kept_as_it_was(look: Look) -> None:
    assert losses.encode(losses.decode(losses.encode(look))) == losses.encode(look)
