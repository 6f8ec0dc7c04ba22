"""Which prefix of a train is checked next. Pure."""

from collections.abc import Collection


def next_prefix(good: int, bad: int | None, count: int, known: Collection[int] = ()) -> int | None:
    """How many of `count` steps to check next; None where no check can tell more.

    The first `good` steps pass, the first `bad` do not (None: not known of any). Prefixes `known`
    have an answer already, so they are asked for first.
    """
    if bad is None:
        return count if good < count else None
    if bad - good <= 1:
        return None
    middle = (good + bad) // 2
    free = [prefix for prefix in known if good < prefix < bad]
    return min(free, key=lambda prefix: abs(prefix - middle), default=middle)
