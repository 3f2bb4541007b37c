"""What the CSMS tells the world: the types of events, and what stands in each.

Guarantees
* One type, one body: `TYPES` has them all. Bodies are snake_case JSON objects; what is None is left out.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from forecourt.csms.command_records import Command, CommandOrigin, CommandState
from forecourt.csms.contract_records import ContractCertificate
from forecourt.csms.group_records import GroupStatus
from forecourt.csms.money_records import Cdr, Payment, Session
from forecourt.csms.records import ConnectorView, Direction, Drift, Transaction
from forecourt.csms.resource_records import (
    Certificate,
    FirmwareJob,
    LocalList,
    LogJob,
    Reservation,
    SecurityEvent,
)
from forecourt.domain.station import (
    BootReason,
    ConnectorError,
    ConnectorStatus,
    RegistrationStatus,
    StationIdentity,
)
from forecourt.domain.token import AuthorizationStatus
from forecourt.domain.transaction import ChargingState


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all bodies."""


class StationConnectedBody(Body, frozen=True, kw_only=True):
    """A station has opened a connection."""

    protocol: str
    connection_id: str


class StationDisconnectedBody(Body, frozen=True, kw_only=True):
    """Its connection is gone."""

    reason: str = ""


class StationBootedBody(Body, frozen=True, kw_only=True):
    """A station has started, and was told whether it is registered."""

    identity: StationIdentity
    reason: BootReason
    registration: RegistrationStatus


class ConnectorStatusBody(Body, frozen=True, kw_only=True):
    """What is known of a connector has changed."""

    evse_id: int
    connector_id: int
    view: ConnectorView
    connector_status: ConnectorStatus | None = None
    charging_state: ChargingState | None = None
    error: ConnectorError | None = None
    transaction_number: int | None = None


class TransactionBody(Body, frozen=True, kw_only=True):
    """A transaction as it is now."""

    transaction: Transaction


class MeterSampleBody(Body, frozen=True, kw_only=True, gc=False):
    """A meter was read."""

    evse_id: int
    at: datetime
    transaction_number: int | None = None
    energy_wh: float | None = None
    power_w: float | None = None
    suspect: str | None = None


class CommandBody(Body, frozen=True, kw_only=True):
    """A command has moved to another state."""

    id: str
    name: str
    raw: bool
    origin: CommandOrigin
    state: CommandState
    answer: Any = None
    """The station's answer: any JSON object, told byte for byte."""
    error_code: str | None = None
    error_description: str | None = None
    detail: str | None = None
    transaction_number: int | None = None


class AuthorizationBody(Body, frozen=True, kw_only=True):
    """A token was judged."""

    id_token: str
    authorization: AuthorizationStatus
    transaction_number: int | None = None


class ConfigurationDriftBody(Body, frozen=True, kw_only=True):
    """A station isn't configured as desired, and setting it did not help."""

    drift: tuple[Drift, ...]


class OcppMessageBody(Body, frozen=True, kw_only=True):
    """A frame went over the wire."""

    direction: Direction
    frame: str
    action: str | None = None
    message_id: str | None = None


class SessionBody(Body, frozen=True, kw_only=True):
    """A session as it is now, with what it costs so far."""

    session: Session


class CdrBody(Body, frozen=True, kw_only=True):
    """A CDR was made; it never changes."""

    cdr: Cdr


class PaymentBody(Body, frozen=True, kw_only=True):
    """A payment on the spot has moved to another state, or can't."""

    payment: Payment


class ReservationBody(Body, frozen=True, kw_only=True):
    """A reservation as it is now."""

    reservation: Reservation


class LocalListBody(Body, frozen=True, kw_only=True):
    """A station's local list, as it is wished and as it is."""

    local_list: LocalList


class FirmwareJobBody(Body, frozen=True, kw_only=True):
    """An update of firmware as it is now."""

    job: FirmwareJob


class LogJobBody(Body, frozen=True, kw_only=True):
    """An upload of a log as it is now."""

    job: LogJob


class ConnectorUnpluggedBody(Body, frozen=True, kw_only=True):
    """The car of a transaction that was over has left."""

    transaction_number: int
    at: datetime


class ContractCertificateBody(Body, frozen=True, kw_only=True):
    """A contract's certificate was shown for the first time, runs out soon, has run out, or another was said of it."""

    certificate: ContractCertificate


class CertificateBody(Body, frozen=True, kw_only=True):
    """A station's certificate has moved to another state, or runs out soon."""

    certificate: Certificate


class SecurityEventBody(Body, frozen=True, kw_only=True):
    """Something that matters for security has happened."""

    security_event: SecurityEvent


class LoadGroupBody(Body, frozen=True, kw_only=True):
    """A load group, and what was decided for it."""

    number: int
    name: str
    active: bool
    parent_number: int | None = None
    status: GroupStatus | None = None


class SiteUpdatedBody(Body, frozen=True, kw_only=True):
    """How things stand at a site with a local controller has changed, or its link has come or gone. It isn't logged."""

    site_id: int
    name: str
    connected: bool
    power_w: float | None = None
    """Of all EVSEs."""


class SiteAlarmBody(Body, frozen=True, kw_only=True):
    """A site's controller has raised an alarm."""

    site_id: int
    name: str
    code: str
    text: str
    evse: str | None = None
    at: datetime
    """By the controller's clock."""


class SiteOrderBody(Body, frozen=True, kw_only=True):
    """What a site's controller says to an order. It isn't logged."""

    site_id: int
    order_id: str
    done: bool
    detail: str = ""


STATION_CONNECTED: Final = "station.connected"
STATION_DISCONNECTED: Final = "station.disconnected"
STATION_BOOTED: Final = "station.booted"
CONNECTOR_STATUS: Final = "connector.status"
TRANSACTION_STARTED: Final = "transaction.started"
TRANSACTION_UPDATED: Final = "transaction.updated"
TRANSACTION_ENDED: Final = "transaction.ended"
METER_SAMPLE: Final = "meter.sample"
COMMAND_UPDATED: Final = "command.updated"
AUTHORIZATION_DECIDED: Final = "authorization.decided"
CONFIGURATION_DRIFT: Final = "configuration.drift"
OCPP_MESSAGE: Final = "ocpp.message"
SESSION_UPDATED: Final = "session.updated"
CDR_CREATED: Final = "cdr.created"
PAYMENT_UPDATED: Final = "payment.updated"
RESERVATION_UPDATED: Final = "reservation.updated"
LOCAL_LIST_UPDATED: Final = "local_list.updated"
FIRMWARE_JOB_UPDATED: Final = "firmware_job.updated"
LOG_JOB_UPDATED: Final = "log_job.updated"
CONTRACT_CERTIFICATE_UPDATED: Final = "contract_certificate.updated"
CERTIFICATE_UPDATED: Final = "certificate.updated"
CONNECTOR_UNPLUGGED: Final = "connector.unplugged"
SECURITY_EVENT: Final = "security.event"
SITE_UPDATED: Final = "site.updated"
SITE_ALARM: Final = "site.alarm"
SITE_ORDER: Final = "site.order"
LOAD_GROUP_UPDATED: Final = "load_group.updated"

TYPES: Final[dict[str, type[Body]]] = {
    STATION_CONNECTED: StationConnectedBody,
    STATION_DISCONNECTED: StationDisconnectedBody,
    STATION_BOOTED: StationBootedBody,
    CONNECTOR_STATUS: ConnectorStatusBody,
    TRANSACTION_STARTED: TransactionBody,
    TRANSACTION_UPDATED: TransactionBody,
    TRANSACTION_ENDED: TransactionBody,
    METER_SAMPLE: MeterSampleBody,
    COMMAND_UPDATED: CommandBody,
    AUTHORIZATION_DECIDED: AuthorizationBody,
    CONFIGURATION_DRIFT: ConfigurationDriftBody,
    OCPP_MESSAGE: OcppMessageBody,
    SESSION_UPDATED: SessionBody,
    CDR_CREATED: CdrBody,
    PAYMENT_UPDATED: PaymentBody,
    RESERVATION_UPDATED: ReservationBody,
    LOCAL_LIST_UPDATED: LocalListBody,
    FIRMWARE_JOB_UPDATED: FirmwareJobBody,
    LOG_JOB_UPDATED: LogJobBody,
    CERTIFICATE_UPDATED: CertificateBody,
    CONTRACT_CERTIFICATE_UPDATED: ContractCertificateBody,
    CONNECTOR_UNPLUGGED: ConnectorUnpluggedBody,
    SECURITY_EVENT: SecurityEventBody,
    SITE_UPDATED: SiteUpdatedBody,
    SITE_ALARM: SiteAlarmBody,
    SITE_ORDER: SiteOrderBody,
    LOAD_GROUP_UPDATED: LoadGroupBody,
}


def command_body(command: Command) -> CommandBody:
    """What is told of a command."""
    return CommandBody(
        id=command.id,
        name=command.name,
        raw=command.raw,
        origin=command.origin,
        state=command.state,
        answer=None if command.answer is None else msgspec.Raw(command.answer),
        error_code=command.error_code,
        error_description=command.error_description,
        detail=command.detail,
        transaction_number=command.transaction_number,
    )
