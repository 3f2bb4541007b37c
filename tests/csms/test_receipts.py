"""Receipts: what stands on them, and what nobody can write into them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from forecourt.csms.money_records import Cdr, Correction
from forecourt.csms.pricing import Segment, Usage, price
from forecourt.csms.receipts import as_html, as_text, receipt_of
from forecourt.csms.tariff_terms import PriceComponent, PriceLimit, TariffDimension, TariffElement, TariffTerms

START = datetime(2025, 6, 1, 20, tzinfo=UTC)


def cdr(**more: Any) -> Cdr:
    tariff = TariffTerms(
        currency="EUR",
        elements=(
            TariffElement(
                price_components=(
                    PriceComponent(type=TariffDimension.FLAT, price=Decimal("0.50"), vat=Decimal(20)),
                    PriceComponent(type=TariffDimension.ENERGY, price=Decimal("0.390"), vat=Decimal(10)),
                    PriceComponent(
                        type=TariffDimension.PARKING_TIME, price=Decimal("6.00"), vat=Decimal(20), step_size=900
                    ),
                )
            ),
        ),
        max_price=more.pop("max_price", None),
    )
    middle, end = START + timedelta(hours=2), START + timedelta(hours=2, minutes=40)
    use = (Segment(START, middle, Fraction(20_000), True), Segment(middle, end, Fraction(0), False))
    made = Cdr(
        number=17,
        organisation_id=1,
        session_number=4,
        station_id="CS1",
        evse_id=2,
        location_name="Yard",
        location_address="Harbour Street 1",
        time_zone="Europe/Berlin",
        id_token="CARD",
        started_at=START,
        ended_at=end,
        meter_start_wh=1_000_000.0,
        meter_stop_wh=1_020_000.0,
        tariff_id=3,
        tariff_version=2,
        tariff=tariff,
        bill=price(tariff, Usage(START, end, use), UTC),
        created_at=end,
    )
    return msgspec.structs.replace(made, **more)


EXPECTED = """\
Grid & Sons
VAT DE123

Charging receipt no. 17

Yard
Harbour Street 1
Station CS1, EVSE 2

Issued                                 2025-06-02 00:40:00 +0200
From                                   2025-06-01 22:00:00 +0200
To                                     2025-06-02 00:40:00 +0200
Duration                                                 2:40:00
Energy                                                    20 kWh
Meter                                           1000 to 1020 kWh
Token                                                       CARD

----------------------------------------------------------------
Session fee                                                 0.50
Energy: 20 kWh at 0.39 EUR                                  7.80
Idle time: 0.75 h at 6 EUR (used 0.666667)                  4.50
----------------------------------------------------------------
Total without VAT                                          12.80
VAT 10 % of 7.80                                            0.78
VAT 20 % of 5.00                                            1.00
Total                                                  14.58 EUR

Tariff 3, version 2: 0.50 EUR per session, 0.390 EUR per kWh, 6.00 EUR per hour of idling, VAT excluded.
"""


def test_a_receipt_can_be_read() -> None:
    assert as_text(receipt_of(cdr(), ("Grid & Sons", "VAT DE123"))) == EXPECTED


def test_a_page_has_what_the_text_has_and_asks_nobody_for_anything() -> None:
    page = as_html(receipt_of(cdr(), ("Grid & Sons",)))
    for words in ("Grid &amp; Sons", "no. 17", "Harbour Street 1", "14.58 EUR", "VAT 20 % of 5.00", "22:00:00 +0200"):
        assert words in page
    for word in ("http", "src=", "href=", "url(", "@import", "<script"):
        assert word not in page


def test_a_limit_and_a_credit_and_a_correction_are_named() -> None:
    limited = receipt_of(cdr(max_price=PriceLimit(excl_vat=Decimal(10))))
    assert ("Down to the maximum price", Decimal("-2.80")) in [
        (line.text, line.cost.excl_vat) for line in limited.lines
    ]
    correction = Correction(reason="read by hand", by="key", at=START)
    text = as_text(receipt_of(cdr(credit_of=9, remark="wrong car", correction=correction)))
    assert "Credit for receipt 9 no. 17" in text
    assert "wrong car\nCorrected by hand: read by hand" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


@given(st.text(max_size=40) | st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=y>', "</title><b>"]))
def test_no_name_is_markup(name: str) -> None:
    plain, named = Tags(), Tags()
    plain.feed(as_html(receipt_of(cdr(id_token="x", location_name="x", remark="x"), ("x",))))
    named.feed(
        as_html(receipt_of(cdr(id_token=f"x{name}", location_name=f"x{name}", remark=f"x{name}"), (f"x{name}",)))
    )
    assert named.found == plain.found
    text = as_text(receipt_of(cdr(id_token=name, remark=name)))
    assert all(sign.isprintable() or sign == "\n" for sign in text)
