"""What a station says, to the function that takes it in: a table.

Guarantees
* One message is one unit of work: all of its events are taken in and committed together, or none, and it is answered
  after that (csms.md, "answered means durable").
* What there is no function for can't be: the table covers every event and request of a station (a test holds it to it).
"""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final

import msgspec

from forecourt.csms import (
    authorization,
    certificates,
    connectors,
    contracts,
    costs,
    job_books,
    local_lists,
    provisioning,
    reservations,
    security,
    transactions,
    usual_readings,
    vendors,
    wishes,
)
from forecourt.csms.ports import Books, Context
from forecourt.csms.records import ConnectedStation
from forecourt.csms.work import Work
from forecourt.domain.events import (
    Acknowledged,
    ChargingNeedsReported,
    ChargingStateReported,
    ConnectorStatusReported,
    FirmwareStatusReported,
    HeartbeatSent,
    LogStatusReported,
    MeterSampled,
    Notice,
    NoticeAnswer,
    ReservationEnded,
    SecurityEventReported,
    StationBooted,
    TransactionAnswer,
    TransactionAuthorized,
    TransactionEnded,
    TransactionStarted,
    VariablesReported,
)
from forecourt.domain.requests import (
    Authorize,
    ConnectorUnplugged,
    DataTransfer,
    Get15118EVCertificate,
    Get15118EVCertificateAnswer,
    GetCertificateStatus,
    GetCertificateStatusAnswer,
    RequestStatus,
    SignCertificate,
    StationRequest,
    StationRequestAnswer,
)
from forecourt.domain.station import RegistrationStatus

Taker = Callable[..., NoticeAnswer | None]


TAKERS: Final[dict[type, Taker]] = {
    StationBooted: lambda work, event, _: provisioning.booted(work, event),
    HeartbeatSent: lambda work, event, _: provisioning.heartbeat_sent(work, event),
    ConnectorStatusReported: lambda work, event, _: connectors.status_reported(work, event),
    ChargingStateReported: transactions.charging_state_reported,
    TransactionStarted: transactions.transaction_started,
    TransactionAuthorized: transactions.transaction_authorized,
    MeterSampled: transactions.meter_sampled,
    TransactionEnded: transactions.transaction_ended,
    VariablesReported: lambda work, event, _: provisioning.variables_reported(work, event),
    FirmwareStatusReported: lambda work, event, _: job_books.firmware_reported(work, event),
    LogStatusReported: lambda work, event, _: job_books.log_reported(work, event),
    SecurityEventReported: lambda work, event, _: security.reported(work, event),
    ReservationEnded: lambda work, event, _: reservations.ended(work, event),
    ChargingNeedsReported: lambda work, event, _: wishes.needs_reported(work, event),
}


ANSWERERS: Final[dict[type, Callable[[Work, Any], StationRequestAnswer]]] = {
    Authorize: authorization.authorize,
    DataTransfer: vendors.data_transferred,
    SignCertificate: certificates.sign_requested,
    # Whom they are about is asked before a unit of work (`contracts`); where nobody is there to ask, it has failed.
    GetCertificateStatus: lambda _work, _request: GetCertificateStatusAnswer(outcome=RequestStatus.FAILED),
    Get15118EVCertificate: lambda _work, _request: Get15118EVCertificateAnswer(outcome=RequestStatus.FAILED),
    ConnectorUnplugged: costs.unplugged,
}


FOLLOW_UPS: Final[dict[type, tuple[Callable[[Context, ConnectedStation], Coroutine[Any, Any, Any]], ...]]] = {
    SignCertificate: (certificates.sign_pending,),
}
"""What is done beside the messages once a request is answered, by its type."""

AFTER_BOOT: Final[tuple[Callable[[Context, ConnectedStation], Coroutine[Any, Any, Any]], ...]] = (
    provisioning.configure,
    local_lists.booted,
    certificates.booted,
    costs.booted,
)
"""The same, one after the other, once a station has booted and is accepted."""


async def after_boot(context: Context, station: ConnectedStation) -> None:
    """All of it."""
    for step in AFTER_BOOT:
        await step(context, station)


_WHILE_REJECTED: Final = frozenset({StationBooted})
WHILE_PENDING: Final = frozenset(
    {
        StationBooted,
        HeartbeatSent,
        ConnectorStatusReported,
        MeterSampled,
        VariablesReported,
        FirmwareStatusReported,
        LogStatusReported,
    }
)
"""What a station that isn't accepted yet may tell: what it can be asked to (OCPP 1.6 §4.2, OCPP 2.0.1 B02.FR.09)."""


def may_say(registration: RegistrationStatus, call: Notice | StationRequest) -> bool:
    """Whether a station that is so registered may say that; else it is a security error (B02.FR.09, B03.FR.07)."""
    if registration is RegistrationStatus.ACCEPTED:
        return True
    if not isinstance(call, Notice):
        return False
    allowed = WHILE_PENDING if registration is RegistrationStatus.PENDING else _WHILE_REJECTED
    return all(type(event) in allowed for event in call.events)


class Taking(msgspec.Struct, frozen=True, gc=False):
    """The unit of work that takes in one message, which came `at`; its answer is due when that is committed."""

    context: Context
    station: ConnectedStation
    call: Notice | StationRequest
    at: datetime

    def at_once(self, books: Books) -> Acknowledged | None:
        """See `ports.Usual`."""
        call = self.call
        if type(call) is Notice and call.sequence is None and len(call.events) == 1:
            event = call.events[0]
            if type(event) is MeterSampled:
                return usual_readings.take(books, self.context.settings, self.station, event, self.at)
        return None

    def __call__(self, books: Books) -> NoticeAnswer | StationRequestAnswer:
        """All of it, whatever it is."""
        context, station, call, at = self.context, self.station, self.call, self.at
        work = Work(
            books,
            context.settings,
            station,
            at,
            authority=context.authority,
            v2g_authority=context.contracts.authority,
            vendors=context.vendors,
        )
        books.stations.touch(station.number, at, _drift_s(call, at) if isinstance(call, Notice) else None)
        if isinstance(call, Notice):
            return _take_notice(work, call)
        return ANSWERERS[type(call)](work, call)


async def take(
    context: Context, station: ConnectedStation, call: Notice | StationRequest
) -> NoticeAnswer | StationRequestAnswer:
    """Take in one message; the answer is due when this returns.

    Raises:
        StoreUnavailable: it could not be committed; the station shall be told so, and tries again.
    """
    if contracts.goes_outside(call):
        assert not isinstance(call, Notice)
        return await contracts.answered(context, station, call)
    return await context.store.write(Taking(context, station, call, context.clock.now().at))


def _drift_s(notice: Notice, now: datetime) -> float | None:
    """How far the station's clock is ahead of ours, by the latest time it tells; None when it tells none, or late."""
    if notice.sequence is not None and notice.sequence.offline:
        return None
    told: list[datetime] = []
    for event in notice.events:
        if type(event) is MeterSampled and len(notice.events) == 1 and len(event.meter_values) == 1:
            return (event.meter_values[0].at - now).total_seconds()
        if isinstance(event, MeterSampled):
            told += [value.at for value in event.meter_values]
        elif (
            isinstance(event, ConnectorStatusReported | TransactionStarted | TransactionEnded) and event.at is not None
        ):
            told.append(event.at)
    return (max(told) - now).total_seconds() if told else None


def _take_notice(work: Work, notice: Notice) -> NoticeAnswer:
    answer: NoticeAnswer = Acknowledged()
    for event in notice.events:
        given = TAKERS[type(event)](work, event, notice.sequence)
        if given is not None:
            answer = _joined(answer, given)
    if not notice.events and notice.sequence is not None:
        answer = transactions.sequence_told(work, notice.sequence)
    return answer


def _joined(first: NoticeAnswer, second: NoticeAnswer) -> NoticeAnswer:
    """One answer for both: a message that starts and ends a transaction is answered about its token once."""
    if isinstance(first, TransactionAnswer) and isinstance(second, TransactionAnswer):
        return TransactionAnswer(
            id_token_info=second.id_token_info or first.id_token_info,
            transaction_id=second.transaction_id or first.transaction_id,
            total_cost=first.total_cost if second.total_cost is None else second.total_cost,
        )
    return second
