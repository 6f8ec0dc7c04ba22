"""Dollar equivalents: list prices, the four counters apart, and unknown stays unknown."""

import pytest

from app.services import prices
from app.services.prices import equivalent, equivalent_usd
from app.store.usage import Tokens

MODEL = "claude-sonnet-4-5"  # $3 in, $15 out, $3.75 written to and $0.30 read from the cache
MILLION = 1_000_000


def test_each_counter_has_its_own_price() -> None:
    assert equivalent_usd(MODEL, output=MILLION) == pytest.approx(15)
    assert equivalent_usd(MODEL, fresh_input=MILLION) == pytest.approx(3)
    assert equivalent_usd(MODEL, cache_write=MILLION) == pytest.approx(3.75)
    assert equivalent_usd(MODEL, cache_read=MILLION) == pytest.approx(0.3)
    every = equivalent_usd(MODEL, output=100, fresh_input=100, cache_write=100, cache_read=100)
    assert every == pytest.approx(22.05e-4)


def test_a_long_day_is_not_priced_as_one_long_request() -> None:
    one = equivalent_usd(MODEL, fresh_input=1000) or 0
    assert equivalent_usd(MODEL, fresh_input=900_000) == pytest.approx(900 * one)


@pytest.mark.parametrize("model", ["", "my-own-model", "\x00", "x" * 10_000, "☃"])
def test_a_model_without_a_price_is_unknown_and_not_free(model: str) -> None:
    assert equivalent_usd(model, output=MILLION) is None


def test_a_provider_that_nobody_knows_is_unknown() -> None:
    assert equivalent_usd(MODEL, output=1, provider="nobody") is None
    assert equivalent_usd(MODEL, output=MILLION, provider="anthropic") == pytest.approx(15)


def test_a_sum_says_when_a_part_of_it_is_unknown() -> None:
    known, unknown = Tokens(MODEL, MILLION, 0, 0, 0), Tokens("my-own-model", 5, 0, 0, 0)
    assert equivalent([known]) == prices.Equivalent(pytest.approx(15))
    assert equivalent([known, unknown]) == prices.Equivalent(pytest.approx(15), is_partial=True)
    assert equivalent([unknown]).usd is None
    assert equivalent([Tokens("my-own-model", 0, 0, 0, 0)]).usd == 0
    assert equivalent([]).usd == 0


def test_a_price_is_looked_up_once() -> None:
    prices.rates_of.cache_clear()
    for _ in range(100):
        equivalent_usd(MODEL, output=1)
    assert prices.rates_of.cache_info().misses == 1
