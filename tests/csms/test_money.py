"""Amounts: coins of every currency, sums that are rounded once, parts that add up."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.csms.errors import Invalid
from forecourt.csms.money import EXPONENTS, amount_of, check_currency, coins, coins_of, divided, rounded

PARTS = st.lists(st.fractions(0, 1000, max_denominator=1000), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("value", "whole"), [("0.5", 1), ("1.5", 2), ("2.4999", 2), ("-0.5", -1), ("-2.4", -2), ("0", 0)]
)
def test_halves_are_rounded_away_from_zero(value: str, whole: int) -> None:
    assert rounded(Fraction(value)) == whole


@given(PARTS)
def test_parts_add_up_and_none_is_a_coin_off(parts: list[Fraction]) -> None:
    total = rounded(sum(parts, Fraction(0)))
    whole = divided(total, parts)
    assert sum(whole) == total
    assert all(abs(number - part) < 1 for number, part in zip(whole, parts, strict=True))


@given(PARTS, PARTS)
def test_what_is_left_of_a_total_is_divided_without_anything_below_zero(
    net: list[Fraction], tax: list[Fraction]
) -> None:
    total_net, total = sum(net, Fraction(0)), sum(net, Fraction(0)) + sum(tax, Fraction(0))
    left = divided(rounded(total) - rounded(total_net), tax)
    assert sum(left) == rounded(total) - rounded(total_net)
    assert min(left) >= 0


@given(st.sampled_from(sorted(EXPONENTS)), st.integers(-(10**12), 10**12))
def test_coins_and_amounts_are_one(currency: str, number: int) -> None:
    amount = amount_of(number, currency)
    assert coins_of(amount, currency) == number == coins(Fraction(amount), currency)
    assert -int(amount.as_tuple().exponent) == EXPONENTS[currency]


def test_what_is_finer_than_a_coin_is_no_number_of_coins() -> None:
    with pytest.raises(ValueError, match="smallest coin"):
        coins_of(Decimal("0.5"), "JPY")
    for code in ("XXX", "eur", "", "EURO"):
        with pytest.raises(Invalid):
            check_currency("currency", code)
