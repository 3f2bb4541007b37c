"""Prices and costs in OCPP 2.0.1 (chapter I): CostUpdated, with what California asks for in its customData.

Guarantees
* The price before charging and the cost at its end go with other messages of 2.0.1 (AuthorizeResponse,
  TransactionEventResponse.totalCost): by themselves they can't be said.
* CostUpdatedResponse has no word for a refusal: it is taken as accepted.
"""

from typing import Any, Final

import msgspec

from forecourt.dialect import cost_words as words
from forecourt.dialect.port import Inexpressible
from forecourt.dialect.tables import CallRow, RequestRow, always
from forecourt.dialect.wire import Deviations
from forecourt.domain import requests as r
from forecourt.domain.requests import RequestStatus
from forecourt.messages import v201 as m
from forecourt.messages.base import CustomData, Message

_NOTHING: Final = words.Details()


def _cost(wire: m.CostUpdatedRequest, deviations: Deviations) -> r.CostUpdated:
    details, custom = _NOTHING, wire.custom_data
    if custom is not None and custom.vendor_id.casefold() == words.VENDOR_ID:
        try:
            details = msgspec.convert(custom.content, words.Details)
        except (msgspec.ValidationError, ValueError) as error:
            deviations.note("customData", str(error))
    return words.heard(wire.transaction_id, wire.total_cost, details, deviations)


CSMS_REQUESTS: Final[dict[str, CallRow]] = {"CostUpdated": CallRow(m.CostUpdatedRequest, _cost)}


def _say_cost(request: r.CostUpdated) -> tuple[str, Message]:
    details = words.said(request)
    custom = None
    if details != _NOTHING:
        custom = CustomData(words.VENDOR_ID, msgspec.to_builtins(details, enc_hook=lambda instant: instant.to_wire()))
    return "CostUpdated", m.CostUpdatedRequest(
        total_cost=request.total_cost, transaction_id=request.transaction_id, custom_data=custom
    )


def _wordless(request: Any) -> tuple[str, Message]:
    raise Inexpressible(f"no message of its own for {type(request).__name__}")


def _no_answer(*_: Any) -> Any:
    raise Inexpressible("nobody can have asked that")


_WORDLESS: Final = RequestRow(_wordless, always(m.CostUpdatedResponse), _no_answer, _no_answer)

REQUEST_ROWS: Final[dict[type[r.Request], RequestRow]] = {
    r.CostUpdated: RequestRow(
        _say_cost,
        always(m.CostUpdatedResponse),
        lambda _, __, ___: r.RequestAnswer(outcome=RequestStatus.ACCEPTED),
        lambda _, __: m.CostUpdatedResponse(),
    ),
    r.ShowPrice: _WORDLESS,
    r.ShowFinalCost: _WORDLESS,
    r.ConnectorUnplugged: _WORDLESS,
}
