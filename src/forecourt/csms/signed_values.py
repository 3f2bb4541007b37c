"""Signed meter readings of a transaction, for whoever wants to verify them: untouched, with the key that verifies them.

Guarantees
* What the meter signed is given as it came, to the letter. What was packed for the journey (OCA's white paper on signed
  meter values §3.2: Base64) is given unpacked beside it, where that can be done without guessing.
* The key is the one that came with the reading; where none came, that which the station reports for the EVSE's meter
  (MeterPublicKey1 and so on, FiscalMetering.PublicKey; §3.3.1, §4.3.2): `key_source` says which. A key from the station
  proves what its meter said only to who compares it with the meter's label, or with a register of keys.
* We verify nothing here: whoever doubts a bill needs somebody else's software for it (docs/signed-readings.md).
"""

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import msgspec

from forecourt.csms.errors import NotFound
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import Reading
from forecourt.domain.meter import ReadingContext
from forecourt.domain.variable import VariableRef

_CONTEXTS: Final = {
    ReadingContext.TRANSACTION_BEGIN: "Transaction.Begin",
    ReadingContext.TRANSACTION_END: "Transaction.End",
}
_MOST_READINGS: Final = 100_000
_FORMAT: Final = re.compile(r"[A-Za-z]{2,10}\|")
_MARKER: Final = "oca:"
_HEX: Final = re.compile(r"[0-9a-fA-F]+")


class KeySource(StrEnum):
    """Where a public key is from."""

    READING = "reading"
    STATION = "station"


class SignedReading(msgspec.Struct, frozen=True, kw_only=True):
    """One reading with its meter's signature."""

    at: datetime
    context: str
    evse_id: int
    signed_data: str
    """As it came."""
    content: str | None
    """Without Base64 around it, where it is a text such as OCMF's."""
    encoding_method: str
    signing_method: str
    public_key: str | None
    """As it came."""
    public_key_hex: str | None
    """The ASN.1 structure in it, in hexadecimal, as it is printed on the meter."""
    key_source: KeySource | None


async def signed_readings(context: Context, number: int) -> tuple[SignedReading, ...]:
    """Those of a transaction, the earliest first. Raises NotFound."""

    def query(books: Books) -> tuple[SignedReading, ...]:
        transaction = books.transactions.get(context.organisation_id, number)
        if transaction is None:
            raise NotFound("transaction", number)
        readings = books.transactions.readings(
            station_number=transaction.station_number,
            transaction_number=number,
            evse_id=None,
            since=None,
            until=None,
            limit=_MOST_READINGS,
        )
        reported = {variable.ref: variable.value for variable in books.stations.reported(transaction.station_number)}
        keys = {ref.evse_id or 0: value for ref, value in reported.items() if _is_key(ref) and value}
        return tuple(_signed(readings, keys))

    return await context.store.read(query)


def _is_key(ref: VariableRef) -> bool:
    return (ref.component, ref.variable) == ("FiscalMetering", "PublicKey")


def _signed(readings: Iterable[Reading], keys: dict[int, str]) -> Iterable[SignedReading]:
    for reading in readings:
        for sample in reading.samples:
            signed = sample.signed
            if signed is None:
                continue
            reported = keys.get(reading.evse_id)
            key = signed.public_key or reported
            source = KeySource.READING if signed.public_key else KeySource.STATION
            yield SignedReading(
                at=reading.at,
                context=_CONTEXTS.get(sample.context, str(sample.context)),
                evse_id=reading.evse_id,
                signed_data=signed.signed_data,
                content=content_of(signed.signed_data),
                encoding_method=signed.encoding_method,
                signing_method=signed.signing_method,
                public_key=key,
                public_key_hex=None if key is None else hex_of(key),
                key_source=None if key is None else source,
            )


def content_of(signed_data: str) -> str | None:
    """The text that a meter signed, such as `OCMF|…|…`; None where it is none, or packed in no way we know."""
    if _FORMAT.match(signed_data):
        return signed_data
    unpacked = _unpacked(signed_data)
    return unpacked if unpacked is not None and _FORMAT.match(unpacked) else None


def hex_of(public_key: str) -> str | None:
    """A public key in hexadecimal, from all the ways in which it is told (§3.2.2); None: it is none of them."""
    text = public_key.strip()
    if not text.startswith(_MARKER) and not _HEX.fullmatch(text):
        unpacked = _unpacked(text)
        if unpacked is None or not unpacked.startswith(_MARKER):
            return _binary_hex(text)
        text = unpacked
    if not text.startswith(_MARKER):
        return text.lower()
    encoding, _, rest = text.removeprefix(_MARKER).partition(":")
    printed = rest.rpartition(":")[2]
    if encoding == "base64":
        return _binary_hex(printed)
    if encoding != "base16":
        return None
    digits = re.sub(r"0x|[^0-9a-fA-F]", "", printed)
    return digits.lower() if digits else None


def as_xml(number: int, values: Iterable[SignedReading]) -> str:
    """As the transparency software of S.A.F.E. reads it: whatever is a text of a known format."""
    rows = ['<?xml version="1.0" encoding="UTF-8"?>', "<values>"]
    for value in values:
        if value.content is None:
            continue
        kind = value.encoding_method or value.content.partition("|")[0]
        rows.append(f'  <value transactionId="{number}" context={quoteattr(value.context)}>')
        if value.public_key_hex is not None:
            rows.append(f'    <publicKey encoding="plain">{value.public_key_hex}</publicKey>')
        rows.append(f'    <signedData format={quoteattr(kind)} encoding="plain">{escape(value.content)}</signedData>')
        rows.append("  </value>")
    return "\n".join([*rows, "</values>", ""])


def _unpacked(text: str) -> str | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _binary_hex(text: str) -> str | None:
    """Of Base64 of a DER structure."""
    try:
        found = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return found.hex() if found[:1] == b"\x30" else None
