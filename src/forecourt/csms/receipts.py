"""Receipts: a CDR as a driver reads it, as plain text and as a page that needs nothing from anywhere else.

Guarantees
* A receipt says nothing that isn't in its CDR, but for who issues it; the same CDR gives the same receipt.
* Whatever a station, a token or a tariff is called, the page shows it as text: nothing in it is markup, or leaves for
  another server.
* Times are those of the place, with their offset.
"""

from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Final

import msgspec

from forecourt.csms.bill import CostLine, Price, TaxLine
from forecourt.csms.money_records import Cdr
from forecourt.csms.tariff_terms import TariffDimension, describe
from forecourt.csms.zones import zone


class ReceiptLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what was paid for."""

    text: str
    cost: Price


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on it."""

    title: str
    number: int
    issuer: tuple[str, ...]
    issued_at: datetime
    place: tuple[str, ...]
    """Location, address, station: line by line."""
    id_token: str | None
    started_at: datetime
    ended_at: datetime
    duration_s: int
    energy_kwh: Decimal
    meter_start_kwh: Decimal | None
    meter_stop_kwh: Decimal | None
    tariff: str
    currency: str
    lines: tuple[ReceiptLine, ...]
    taxes: tuple[TaxLine, ...]
    total: Price
    notes: tuple[str, ...]


_NAMES: Final = {
    TariffDimension.FLAT: "Session fee",
    TariffDimension.ENERGY: "Energy",
    TariffDimension.TIME: "Charging time",
    TariffDimension.PARKING_TIME: "Idle time",
}
_UNITS: Final = {TariffDimension.ENERGY: "kWh", TariffDimension.TIME: "h", TariffDimension.PARKING_TIME: "h"}
_WIDTH: Final = 64
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "h1{font-size:1.4rem}table{width:100%;border-collapse:collapse;margin:1rem 0}td,th{text-align:left;padding:.3rem 0;"
    "border-bottom:1px solid #ddd;font-weight:normal;vertical-align:top}td{text-align:right;white-space:nowrap}"
    "tr.total td,tr.total th{font-weight:bold;border-bottom:2px solid #111}p.small{color:#555;font-size:.85rem}"
)


def receipt_of(cdr: Cdr, issuer: tuple[str, ...] = ()) -> Receipt:
    """The receipt of a CDR."""
    local = zone(cdr.time_zone)
    where = f"Station {cdr.station_id}" + ("" if cdr.evse_id is None else f", EVSE {cdr.evse_id}")
    return Receipt(
        title="Charging receipt" if cdr.credit_of is None else f"Credit for receipt {cdr.credit_of}",
        number=cdr.number,
        issuer=issuer,
        issued_at=cdr.created_at.astimezone(local),
        place=tuple(line for line in (cdr.location_name, cdr.location_address, where) if line),
        id_token=cdr.id_token,
        started_at=cdr.started_at.astimezone(local),
        ended_at=cdr.ended_at.astimezone(local),
        duration_s=round((cdr.ended_at - cdr.started_at).total_seconds()),
        energy_kwh=_short(cdr.bill.total_energy),
        meter_start_kwh=_kwh(cdr.meter_start_wh),
        meter_stop_kwh=_kwh(cdr.meter_stop_wh),
        tariff=describe(cdr.tariff),
        currency=cdr.bill.currency,
        lines=tuple(ReceiptLine(text=_text_of(line, cdr.bill.currency), cost=line.cost) for line in cdr.bill.lines),
        taxes=cdr.bill.taxes,
        total=cdr.bill.total_cost,
        notes=tuple(_notes(cdr)),
    )


def as_text(receipt: Receipt) -> str:
    """For a terminal, a till or a mail: lines of up to 64 characters where the names allow it."""
    rows = [*receipt.issuer, *([""] if receipt.issuer else []), f"{receipt.title} no. {receipt.number}", ""]
    rows += [*receipt.place, ""]
    rows += [_row(name, value) for name, value in _facts(receipt)]
    rows += ["", "-" * _WIDTH]
    rows += [_row(line.text, str(line.cost.excl_vat)) for line in receipt.lines]
    rows += ["-" * _WIDTH]
    rows += [_row(name, value) for name, value in _sums(receipt)]
    rows += [_row("Total", f"{receipt.total.incl_vat} {receipt.currency}"), ""]
    rows += receipt.notes
    return "\n".join(_plain(row) for row in rows).rstrip() + "\n"


def as_html(receipt: Receipt) -> str:
    """A whole page."""

    def table(rows: list[tuple[str, str]], last: tuple[str, str] | None = None) -> str:
        cells = [f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows]
        if last is not None:
            cells.append(f"<tr class=total><th scope=row>{escape(last[0])}</th><td>{escape(last[1])}</td></tr>")
        return f"<table>{''.join(cells)}</table>"

    lines = [(line.text, str(line.cost.excl_vat)) for line in receipt.lines]
    total = ("Total", f"{receipt.total.incl_vat} {receipt.currency}")
    title = escape(f"{receipt.title} no. {receipt.number}")
    parts = [
        "<!doctype html>",
        f'<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width"><title>{title}</title>',
        f"<style>{_STYLE}</style>",
        "".join(f"<div>{escape(line)}</div>" for line in receipt.issuer),
        f"<h1>{title}</h1>",
        "".join(f"<div>{escape(line)}</div>" for line in receipt.place),
        table(_facts(receipt)),
        table([*lines, *_sums(receipt)], total),
        "".join(f"<p class=small>{escape(note)}</p>" for note in receipt.notes),
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _facts(receipt: Receipt) -> list[tuple[str, str]]:
    hours, rest = divmod(receipt.duration_s, 3600)
    facts = [
        ("Issued", _moment(receipt.issued_at)),
        ("From", _moment(receipt.started_at)),
        ("To", _moment(receipt.ended_at)),
        ("Duration", f"{hours}:{rest // 60:02}:{rest % 60:02}"),
        ("Energy", f"{receipt.energy_kwh:f} kWh"),
    ]
    if receipt.meter_start_kwh is not None and receipt.meter_stop_kwh is not None:
        facts.append(("Meter", f"{receipt.meter_start_kwh:f} to {receipt.meter_stop_kwh:f} kWh"))
    if receipt.id_token is not None:
        facts.append(("Token", receipt.id_token))
    return facts


def _sums(receipt: Receipt) -> list[tuple[str, str]]:
    sums = [("Total without VAT", str(receipt.total.excl_vat))]
    for tax in receipt.taxes:
        name = "No VAT" if tax.vat is None else f"VAT {_short(tax.vat):f} % of {tax.excl_vat}"
        sums.append((name, str(tax.amount)))
    return sums


def _text_of(line: CostLine, currency: str) -> str:
    if line.dimension is None:
        return "Up to the minimum price" if line.cost.excl_vat + line.cost.incl_vat > 0 else "Down to the maximum price"
    name = _NAMES[line.dimension]
    if line.dimension is TariffDimension.FLAT or line.price is None:
        return name
    unit = _UNITS[line.dimension]
    text = f"{name}: {_short(line.billed_volume):f} {unit} at {_short(line.price):f} {currency}"
    if line.billed_volume != line.volume:
        text += f" (used {_short(line.volume):f})"
    return text


def _notes(cdr: Cdr) -> list[str]:
    notes = [f"Tariff {cdr.tariff_id}, version {cdr.tariff_version}: {describe(cdr.tariff)}."]
    if cdr.remark:
        notes.append(cdr.remark)
    if cdr.correction is not None:
        notes.append(f"Corrected by hand: {cdr.correction.reason}")
    if cdr.payment_id is not None:
        notes.append(f"Paid on the spot, payment {cdr.payment_id}.")
    if cdr.signed_values:
        notes.append(f"{len(cdr.signed_values)} signed meter readings are kept with this record for verification.")
    return notes


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} {at:%z}"


def _row(name: str, value: str) -> str:
    return f"{name}{' ' * max(1, _WIDTH - len(name) - len(value))}{value}"


def _plain(row: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in row)


def _short(value: Decimal) -> Decimal:
    """Without zeros at the end."""
    return value.normalize() + 0


def _kwh(energy_wh: float | None) -> Decimal | None:
    return None if energy_wh is None else _short(Decimal(repr(round(energy_wh, 3))) / 1000)
