"""Boarding: conditions first, then whoever lets most others ride; and which prefix is checked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.services.bisecting import next_prefix
from app.services.train_order import Passenger, board, riders

AT = datetime(2026, 1, 1, tzinfo=UTC)


def passenger(
    number: int, minutes: int = 0, waiters: int = 0, after: Sequence[int] = ()
) -> Passenger:
    return Passenger(number, AT + timedelta(minutes=minutes), frozenset(after), waiters)


def test_the_oldest_approval_goes_first() -> None:
    assert board([passenger(1, 5), passenger(2, 3), passenger(3, 4)], []) == [2, 3, 1]


def test_whom_others_wait_for_goes_before_the_older() -> None:
    assert board([passenger(1), passenger(2, 9, waiters=1)], []) == [2, 1]


def test_one_in_conflict_with_many_goes_last() -> None:
    three = [passenger(1), passenger(2, 1), passenger(3, 2)]
    assert board(three, [(1, 2), (1, 3)]) == [2, 3, 1]


def test_those_that_are_left_behind_count_no_more() -> None:
    """1 leaves 2 behind; so 3, which only conflicts with 2, is free of conflicts."""
    four = [passenger(1), passenger(2, 1), passenger(3, 2), passenger(4, 3)]
    assert board(four, [(1, 2), (2, 3), (2, 4)]) == [1, 3, 4, 2]


def test_after_holds_whatever_the_order_would_be() -> None:
    assert board([passenger(1, after=[2]), passenger(2, 9)], []) == [2, 1]


def test_those_that_wait_for_each_other_stay() -> None:
    assert board([passenger(1, after=[2]), passenger(2, after=[1]), passenger(3)], []) == [3]


def test_who_may_ride() -> None:
    wishes = {1: frozenset({9}), 2: frozenset({1}), 3: frozenset({8}), 4: frozenset({3})}
    assert riders(wishes, frozenset({9})) == {1, 2}


pairs = st.tuples(st.integers(1, 8), st.integers(1, 8)).filter(lambda pair: pair[0] != pair[1])


@given(st.lists(pairs, max_size=12), st.sets(pairs, max_size=6))
def test_everyone_boards_once_and_after_those_it_waits_for(
    conflicts: list[tuple[int, int]], waits: set[tuple[int, int]]
) -> None:
    after = {number: {a for a, b in waits if b == number and a < b} for number in range(1, 9)}
    order = board([passenger(n, after=sorted(after[n])) for n in range(1, 9)], conflicts)
    assert sorted(order) == list(range(1, 9))
    assert all(order.index(a) < order.index(n) for n in after for a in after[n])


@given(st.integers(1, 40), st.data())
def test_bisection_finds_the_first_that_fails(count: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(1, count + 1))  # count + 1: none
    known = data.draw(st.sets(st.integers(1, count)))
    good, bad, asked = 0, None, []
    while (prefix := next_prefix(good, bad, count, known)) is not None:
        asked.append(prefix)
        good, bad = (prefix, bad) if prefix < culprit else (good, prefix)
    assert len(asked) == len(set(asked))
    assert (good, bad) == ((count, None) if culprit > count else (culprit - 1, culprit))
    assert len([prefix for prefix in asked if prefix not in known]) <= 1 + count.bit_length()
