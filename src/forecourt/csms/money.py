"""Amounts of money: which currencies there are, how fine their smallest coin is, and how a sum is rounded and divided.

Guarantees
* Money is a `Decimal` outside and a `Fraction` while it is reckoned with; never a float. A number that can't be an
  amount (not finite, too large, too fine) is refused before anything is reckoned from it.
* A total is rounded once, from the exact sum, to the currency's smallest coin (ISO 4217's exponent), half away from
  zero. The parts of a total are divided by largest remainder, so that they add up to it to the coin.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from forecourt.csms.errors import Invalid

LARGEST: Final = Decimal(1_000_000_000)
FINEST: Final = 6
"""Decimals that a price may have: of a kilowatt-hour, somebody may ask a thousandth of a cent."""

_BY_DECIMALS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
        "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR "
        "IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN "
        "NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP "
        "STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: Final = {code: decimals for decimals, codes in _BY_DECIMALS.items() for code in codes.split()}
"""Decimals of each currency's smallest coin, by its code (ISO 4217). Mauritania and Madagascar count in fifths; their
exponent is 2 all the same."""


def check_currency(field: str, code: str) -> None:
    """Raises Invalid where `code` is no currency of ISO 4217."""
    if code not in EXPONENTS:
        raise Invalid(field, "is no currency of ISO 4217, such as EUR")


def check_amount(field: str, amount: Decimal, *, most: Decimal = LARGEST, decimals: int = FINEST) -> None:
    """Raises Invalid where `amount` is no number from 0 to `most` with up to `decimals` decimals."""
    if not amount.is_finite() or not 0 <= amount <= most:
        raise Invalid(field, f"must be a number from 0 to {most}")
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -decimals and amount.quantize(Decimal(1).scaleb(-decimals)) != amount:
        raise Invalid(field, f"must have at most {decimals} decimals")


def coins(amount: Fraction, currency: str) -> int:
    """`amount` in smallest coins of `currency`, rounded half away from zero."""
    return rounded(amount * 10 ** EXPONENTS[currency])


def rounded(value: Fraction) -> int:
    """The nearest whole number, halves away from zero."""
    whole = (abs(value) + Fraction(1, 2)).__floor__()
    return whole if value >= 0 else -whole


def amount_of(number_of_coins: int, currency: str) -> Decimal:
    """So many smallest coins as an amount, with all of its decimals."""
    return Decimal(number_of_coins).scaleb(-EXPONENTS[currency])


def coins_of(amount: Decimal, currency: str) -> int:
    """An amount that is whole in smallest coins, in coins. ValueError where it isn't."""
    number = Fraction(amount) * 10 ** EXPONENTS[currency]
    if number.denominator != 1:
        raise ValueError(f"{amount} {currency} is not whole in the smallest coin")
    return int(number)


def decimal_of(value: Fraction, digits: int) -> Decimal:
    """A quantity to `digits` decimals, half away from zero."""
    return Decimal(rounded(value * 10**digits)).scaleb(-digits)


def divided(total: int, parts: Sequence[Fraction]) -> list[int]:
    """Whole numbers next to `parts` that add up to `total`: by largest remainder, the first of equals first.

    Args:
        total: A whole number next to the sum of the parts.
        parts: The exact sizes, none below 0.
    """
    floors = [part.__floor__() for part in parts]
    missing = total - sum(floors)
    by_remainder = sorted(range(len(parts)), key=lambda index: floors[index] - parts[index])
    for index in by_remainder[: max(0, missing)]:
        floors[index] += 1
    left = missing - min(max(0, missing), len(parts))
    if left and floors:  # a total that is not next to the sum: the largest part bears the difference
        floors[max(range(len(parts)), key=lambda index: parts[index])] += left
    return floors
