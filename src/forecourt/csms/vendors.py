"""Vendors' own messages (DataTransfer): a registry from vendorId and messageId to a function (OCPP 1.6 §4.3, OCPP 2.0.1
P02).

Guarantees
* A vendor that nobody registered is UnknownVendorId, a message that its vendor has not registered UnknownMessageId.
* A function runs in the unit of work that takes the message in: what it writes is committed with its answer. One that
  raises leaves nothing, and the station is answered InternalError.

A package adds vendors by an entry point, each of which is a `Vendor`:

    [project.entry-points."forecourt.vendors"]
    acme-parking = "acme_forecourt:parking"

    parking = Vendor(vendor_id="com.acme", message_id="ParkingSpot", answer=spot_taken)

    def spot_taken(work: Work, request: DataTransfer) -> DataTransferAnswer:
        return DataTransferAnswer(outcome=DataTransferStatus.ACCEPTED, content='{"free": 3}')
"""

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Final

import msgspec

from forecourt.csms.ports import VendorFunction
from forecourt.csms.work import Work
from forecourt.domain.requests import DataTransfer, DataTransferAnswer, DataTransferStatus

GROUP: Final = "forecourt.vendors"
"""The group of entry points."""

Registry = dict[tuple[str, str | None], VendorFunction]


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """What answers a vendor's message. `message_id` None: all of that vendor's that have no function of their own."""

    vendor_id: str
    message_id: str | None = None
    answer: VendorFunction


class VendorError(Exception):
    """An entry point is no vendor, or two are the same; the text names it."""


def registry_of(vendors: Iterable[Vendor]) -> Registry:
    """Raises VendorError when two answer the same message."""
    registry: Registry = {}
    for vendor in vendors:
        key = (vendor.vendor_id, vendor.message_id)
        if key in registry:
            raise VendorError(f"two vendors answer {vendor.vendor_id} {vendor.message_id or ''}".rstrip())
        registry[key] = vendor.answer
    return registry


def installed() -> Registry:
    """Those of all packages that are installed. Raises VendorError."""
    found = []
    for entry in entry_points(group=GROUP):
        vendor = entry.load()
        if not isinstance(vendor, Vendor):
            raise VendorError(f"entry point {entry.name} of {GROUP}: is not a Vendor")
        found.append(vendor)
    return registry_of(found)


def data_transferred(work: Work, request: DataTransfer) -> DataTransferAnswer:
    """A station has sent a vendor's message."""
    of_message = work.vendors.get((request.vendor_id, request.message_id))
    function = of_message or work.vendors.get((request.vendor_id, None))
    if function is not None:
        return function(work, request)
    known = any(vendor_id == request.vendor_id for vendor_id, _ in work.vendors)
    unknown = DataTransferStatus.UNKNOWN_MESSAGE_ID if known else DataTransferStatus.UNKNOWN_VENDOR_ID
    return DataTransferAnswer(outcome=unknown)
