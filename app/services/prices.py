"""What tokens would cost at the vendors' list prices: the one unit that compares accounts.

An equivalent, not a bill. Prices come with the `genai-prices` package; nothing is fetched. Premiums
for very long contexts or for one-hour caches are left out: a minute's sum does not tell them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from genai_prices import Usage, calc_price

from app.store.usage import Tokens

_SAMPLE = 1000  # tokens a price is asked for: below every tier


@dataclass(frozen=True)
class Rates:
    """Dollars for one token of each counter."""

    output: float
    fresh_input: float
    cache_write: float
    cache_read: float


@dataclass(frozen=True)
class Equivalent:
    """Dollars of several models: `usd` is None where none of them has a known price."""

    usd: float | None
    is_partial: bool = False  # some of the tokens have no known price


def equivalent_usd(
    model: str,
    *,
    output: int = 0,
    fresh_input: int = 0,
    cache_write: int = 0,
    cache_read: int = 0,
    provider: str | None = None,
) -> float | None:
    """Dollars at list price for tokens of one model; None for a model without a known price."""
    rates = rates_of(model, provider)
    if rates is None:
        return None
    return (
        output * rates.output
        + fresh_input * rates.fresh_input
        + cache_write * rates.cache_write
        + cache_read * rates.cache_read
    )


def equivalent(used: Iterable[Tokens]) -> Equivalent:
    """Dollars at list price for tokens of several models; no tokens are 0."""
    counted = [tokens for tokens in used if tokens.total]
    costs = [
        equivalent_usd(
            tokens.model,
            output=tokens.output,
            fresh_input=tokens.fresh_input,
            cache_write=tokens.cache_write,
            cache_read=tokens.cache_read,
        )
        for tokens in counted
    ]
    known = [cost for cost in costs if cost is not None]
    if costs and not known:
        return Equivalent(None)
    return Equivalent(sum(known), is_partial=len(known) < len(costs))


@lru_cache(maxsize=1024)
def rates_of(model: str, provider: str | None = None) -> Rates | None:
    """The list price of one token of each counter; None where the package does not know one."""
    try:
        return Rates(
            output=_usd(model, provider, output_tokens=_SAMPLE),
            fresh_input=_usd(model, provider, input_tokens=_SAMPLE),
            cache_write=_usd(model, provider, input_tokens=_SAMPLE, cache_write_tokens=_SAMPLE),
            cache_read=_usd(model, provider, input_tokens=_SAMPLE, cache_read_tokens=_SAMPLE),
        )
    except (LookupError, ValueError):
        return None


def _usd(model: str, provider: str | None, **tokens: int) -> float:
    """Dollars a token. The package wants the cache's tokens inside `input_tokens`."""
    price = calc_price(Usage(**tokens), model, provider_id=provider)
    return float(price.total_price) / _SAMPLE
