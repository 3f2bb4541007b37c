"""Prices and costs in OCPP 1.6: JSON inside of DataTransfer (application note "OCPP &
California Pricing Requirements").

Guarantees
* The vendor is `cost_words.VENDOR_ID`; the message's name is the messageId, and its JSON, as text, the data. A message
  of that vendor with another name is left as the vendor's message that it is.
* The status of DataTransfer.conf is the answer: Accepted, Rejected (for an unknown transaction), or UnknownVendorId
  from whoever shows no costs.
* What is wrong inside is noted, or refused, as it is in any message, with paths below `data`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from forecourt.dialect import cost_words as words
from forecourt.dialect import v16_words as w
from forecourt.dialect.cost_words import VENDOR_ID
from forecourt.dialect.port import Untranslatable
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.v16_profiles import transaction_number
from forecourt.dialect.wire import Deviations, plain, read, write
from forecourt.domain import cost as c
from forecourt.domain import requests as r
from forecourt.domain.requests import DataTransferStatus, RequestStatus
from forecourt.domain.token import IdToken
from forecourt.messages import v16 as m
from forecourt.messages.base import Datatype, Instant, Message, settle_instant

M = TypeVar("M", bound=Message)


class PriceTextExtra(Datatype, frozen=True, kw_only=True):
    """The same text in another language."""

    format: str = "UTF8"
    language: str | None = None
    content: str


class SetUserPrice(Message, frozen=True, kw_only=True):
    """What charging costs this driver."""

    id_token: Annotated[str, Meta(max_length=20)] = msgspec.field(name="idToken")
    price_text: str = msgspec.field(name="priceText")
    price_text_extra: tuple[PriceTextExtra, ...] | None = msgspec.field(default=None, name="priceTextExtra")


class RunningCost(Message, words.Details, frozen=True, kw_only=True):
    """What a transaction has cost so far."""

    transaction_id: int = msgspec.field(name="transactionId")
    cost: float


class FinalCost(Message, frozen=True, kw_only=True):
    """What a transaction has cost."""

    transaction_id: int = msgspec.field(name="transactionId")
    cost: float
    price_text: str | None = msgspec.field(default=None, name="priceText")
    price_text_extra: tuple[PriceTextExtra, ...] | None = msgspec.field(default=None, name="priceTextExtra")
    qr_code_text: str | None = msgspec.field(default=None, name="qrCodeText")


class ConnectorUnplugged(Message, frozen=True, kw_only=True):
    """The car has left."""

    transaction_id: int = msgspec.field(name="transactionId")
    timestamp: Instant

    def __post_init__(self) -> None:
        settle_instant(self, "timestamp", self.timestamp)


# What is heard


def _inside(message_type: type[M], data: str | None, deviations: Deviations) -> M:
    inner = Deviations(strict=deviations.strict)
    try:
        message = read(message_type, b"{}" if data is None else data.encode(), inner)
    except Untranslatable as failure:
        raise Untranslatable(failure.cause, f"data: {failure.description}") from None
    deviations.found += [f"data.{found}" for found in inner.found]
    return message


def unwrapped(wire: m.DataTransferRequest, rows: Mapping[str, CallRow], deviations: Deviations) -> r.Request | None:
    """What a DataTransfer of this vendor asks; None for any other, and for a message that is not in `rows`."""
    row = rows.get(wire.message_id or "") if wire.vendor_id.casefold() == VENDOR_ID else None
    if row is None:
        return None
    meant: r.Request = row.meaning(_inside(row.message, wire.data, deviations), deviations)
    return meant


def _texts(text: str | None, extra: tuple[PriceTextExtra, ...] | None) -> tuple[c.PriceText, ...]:
    own = () if text is None else (c.PriceText(text=text),)
    return (*own, *(c.PriceText(text=entry.content, language=entry.language) for entry in extra or ()))


def _user_price(wire: SetUserPrice, _: Deviations) -> r.ShowPrice:
    return r.ShowPrice(id_token=IdToken(wire.id_token), texts=_texts(wire.price_text, wire.price_text_extra))


def _running_cost(wire: RunningCost, deviations: Deviations) -> r.CostUpdated:
    return words.heard(str(wire.transaction_id), wire.cost, wire, deviations)


def _final_cost(wire: FinalCost, _: Deviations) -> r.ShowFinalCost:
    return r.ShowFinalCost(
        transaction_id=str(wire.transaction_id),
        total_cost=wire.cost,
        texts=_texts(wire.price_text, wire.price_text_extra),
        qr_code_text=wire.qr_code_text,
    )


def _unplugged(wire: ConnectorUnplugged, _: Deviations) -> r.ConnectorUnplugged:
    return r.ConnectorUnplugged(transaction_id=str(wire.transaction_id), at=plain(wire.timestamp))


STATION_MESSAGES: Final[dict[str, CallRow]] = {"ConnectorUnplugged": CallRow(ConnectorUnplugged, _unplugged)}
"""By messageId: what a Charge Point says."""

CSMS_MESSAGES: Final[dict[str, CallRow]] = {
    "SetUserPrice": CallRow(SetUserPrice, _user_price),
    "RunningCost": CallRow(RunningCost, _running_cost),
    "FinalCost": CallRow(FinalCost, _final_cost),
}
"""By messageId: what the Central System asks."""


# What is said, and answered


def _extra(texts: tuple[c.PriceText, ...]) -> tuple[PriceTextExtra, ...] | None:
    return tuple(PriceTextExtra(language=text.language, content=text.text) for text in texts) or None


def _own_text(texts: tuple[c.PriceText, ...]) -> tuple[c.PriceText | None, tuple[c.PriceText, ...]]:
    """The text in the station's own language, and the others."""
    if texts and texts[0].language is None:
        return texts[0], texts[1:]
    return None, texts


def _say_price(request: r.ShowPrice) -> tuple[str, Message]:
    own, others = _own_text(request.texts)
    return "SetUserPrice", SetUserPrice(
        id_token=request.id_token.value,
        price_text="" if own is None else own.text,
        price_text_extra=_extra(others),
    )


def _say_cost(request: r.CostUpdated) -> tuple[str, Message]:
    details = words.said(request)
    fields = {name: getattr(details, name) for name in details.__struct_fields__}
    return "RunningCost", RunningCost(
        transaction_id=transaction_number(request.transaction_id), cost=request.total_cost, **fields
    )


def _say_final(request: r.ShowFinalCost) -> tuple[str, Message]:
    own, others = _own_text(request.texts)
    return "FinalCost", FinalCost(
        transaction_id=transaction_number(request.transaction_id),
        cost=request.total_cost,
        price_text=None if own is None else own.text,
        price_text_extra=_extra(others),
        qr_code_text=request.qr_code_text,
    )


def _say_unplugged(request: r.ConnectorUnplugged) -> tuple[str, Message]:
    return "ConnectorUnplugged", ConnectorUnplugged(
        transaction_id=transaction_number(request.transaction_id), timestamp=request.at
    )


_OUTCOMES: Final = {
    DataTransferStatus.ACCEPTED: RequestStatus.ACCEPTED,
    DataTransferStatus.REJECTED: RequestStatus.REJECTED,
    DataTransferStatus.UNKNOWN_MESSAGE_ID: RequestStatus.NOT_SUPPORTED,
    DataTransferStatus.UNKNOWN_VENDOR_ID: RequestStatus.NOT_SUPPORTED,
}
_OUTCOMES_SAID: Final = dict.fromkeys(RequestStatus, m.DataTransferStatus.REJECTED) | {
    RequestStatus.ACCEPTED: m.DataTransferStatus.ACCEPTED,
    RequestStatus.SCHEDULED: m.DataTransferStatus.ACCEPTED,
    RequestStatus.NOT_SUPPORTED: m.DataTransferStatus.UNKNOWN_VENDOR_ID,
}


def _row(say: Any) -> RequestRow:
    def wrapped(request: Any) -> tuple[str, Message]:
        message_id, message = say(request)
        data = write(message).decode()
        return "DataTransfer", m.DataTransferRequest(vendor_id=VENDOR_ID, message_id=message_id, data=data)

    return RequestRow(
        wrapped,
        always(m.DataTransferResponse),
        lambda _, wire, __: r.RequestAnswer(outcome=_OUTCOMES[w.TRANSFERS[wire.status]]),
        lambda _, answer: m.DataTransferResponse(status=_OUTCOMES_SAID[answer.outcome]),
    )


REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.ShowPrice: _row(_say_price),
    r.CostUpdated: _row(_say_cost),
    r.ShowFinalCost: _row(_say_final),
    r.ConnectorUnplugged: _row(_say_unplugged),
}
