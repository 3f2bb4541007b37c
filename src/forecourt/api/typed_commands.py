"""The bodies of typed commands, and what each asks of a station: a table from name to body.

Guarantees
* A body converts to the domain's request field by field; what can't be asked is refused with the field's path.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from forecourt.api.bodies import LARGEST_KEY, Number, StationId
from forecourt.api.command_bodies import CommandBody, ConnectorNumber, IdTokenBody, StationCommandBody
from forecourt.api.configuration import SettingBody, VariableBody
from forecourt.api.profile_bodies import ProfileBody
from forecourt.api.typed_resource_commands import TYPED_RESOURCES
from forecourt.csms import charging, commands, transactions
from forecourt.csms.command_records import Command
from forecourt.csms.errors import Conflict
from forecourt.csms.ports import Context
from forecourt.domain.profile import ChargingProfile, ChargingProfilePurpose, ChargingRateUnit, ProfileCriteria
from forecourt.domain.requests import (
    ChangeAvailability,
    ClearCache,
    ClearChargingProfile,
    CsmsRequest,
    DataTransfer,
    GetCompositeSchedule,
    GetVariables,
    RequestStartTransaction,
    RequestStopTransaction,
    Reset,
    SetVariables,
    TriggeredMessage,
    TriggerMessage,
    UnlockConnector,
)
from forecourt.domain.station import OperationalStatus, ResetType
from forecourt.domain.variable import ReportBase


class StartSession(StationCommandBody, frozen=True, kw_only=True):
    """Start charging for a token as if it had been presented. Without `evse_id` the station chooses.

    A `charging_profile` has the purpose TxProfile and no `transaction_id`: there is none yet. The transaction that
    follows bears this command's id as its `command_id`.
    """

    asks = RequestStartTransaction

    id_token: IdTokenBody
    evse_id: ConnectorNumber | None = None
    group_id_token: IdTokenBody | None = None
    charging_profile: ProfileBody | None = None


class StopSession(CommandBody, frozen=True, kw_only=True):
    """End a transaction: by `transaction_number`, or by `station_id` and the id that went over the wire."""

    transaction_number: Annotated[int, Meta(ge=1, le=LARGEST_KEY)] | None = None
    station_id: StationId | None = None
    transaction_id: Annotated[str, Meta(min_length=1, max_length=36)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.transaction_number is not None:
            if self.station_id is not None or self.transaction_id is not None:
                raise ValueError("transaction_number: excludes station_id and transaction_id")
        elif self.station_id is None:
            raise ValueError("transaction_number: is missing, or else station_id and transaction_id")
        elif self.transaction_id is None:
            raise ValueError("transaction_id: is missing")

    async def issue(self, context: Context, idempotency_key: str | None) -> Command:
        """Ask it. Raises as `commands.issue`, and NotFound for the transaction."""
        station_id, transaction_id = self.station_id, self.transaction_id
        if self.transaction_number is not None:
            transaction = await transactions.get_transaction(context, self.transaction_number)
            station_id, transaction_id = transaction.station_id, transaction.transaction_id
            if transaction_id is None:
                raise Conflict(f"transaction {transaction.number} has no id that its station knows")
        assert station_id is not None
        assert transaction_id is not None
        request = RequestStopTransaction(transaction_id=transaction_id)
        return await commands.issue(
            context, station_id, request, timeout_s=self.timeout_s, idempotency_key=idempotency_key
        )


class UnlockConnectorCommand(StationCommandBody, frozen=True, kw_only=True):
    """Let go of the plug.

    For a driver whose cable is stuck; a station ends the transaction there, or refuses while one runs.
    """

    asks = UnlockConnector

    evse_id: ConnectorNumber
    connector_id: ConnectorNumber = 1


class ResetCommand(StationCommandBody, frozen=True, kw_only=True):
    """Restart. `graceful` false: without waiting for anything.

    `Immediate` ends what charges; with `graceful` the station first tells of it and stops in good order (its soft
    reset, where it knows soft and hard). `OnIdle` waits until nothing charges. `evse_id` restarts one EVSE, where the
    station's protocol has that.
    """

    asks = Reset

    reset_type: ResetType = ResetType.IMMEDIATE
    graceful: bool = True
    evse_id: ConnectorNumber | None = None


class ChangeAvailabilityCommand(StationCommandBody, frozen=True, kw_only=True):
    """Take the station (EVSE 0), an EVSE or a connector into or out of use.

    While something charges the station answers Scheduled, which counts as accepted, and does it afterwards.
    """

    asks = ChangeAvailability

    evse_id: Number
    connector_id: ConnectorNumber | None = None
    operational_status: OperationalStatus


class TriggerMessageCommand(StationCommandBody, frozen=True, kw_only=True):
    """Make a station say something now, such as its status, meter values or a boot notification.

    The message itself comes after the answer, as any other; without `evse_id` it is about the whole station.
    """

    asks = TriggerMessage

    requested_message: TriggeredMessage
    evse_id: ConnectorNumber | None = None
    connector_id: ConnectorNumber | None = None
    extended: bool = False
    """Ask by the message of the security extension, where a protocol has two."""


class SetVariablesCommand(StationCommandBody, frozen=True, kw_only=True):
    """Give variables of a station's configuration these values, now.

    Variables are named by component and variable, as `/stations/{station_id}/configuration` shows them; where a station
    has plain keys, a well-known key has its place there (MeterValueSampleInterval is TxUpdatedInterval of
    SampledDataCtrlr) and any other is a variable of the component ConfigurationKey.
    """

    asks = SetVariables

    settings: Annotated[tuple[SettingBody, ...], Meta(min_length=1, max_length=1000)]


class GetVariablesCommand(StationCommandBody, frozen=True, kw_only=True):
    """What values do these variables have? Without `refs`: all of them, as far as `report_base` asks for them.

    What the station tells is kept, and can be read from `/stations/{station_id}/configuration`.
    """

    asks = GetVariables

    refs: Annotated[tuple[VariableBody, ...], Meta(min_length=1, max_length=1000)] | None = None
    request_id: Number = 0
    report_base: ReportBase = ReportBase.FULL


class SetChargingProfileCommand(StationCommandBody, frozen=True, kw_only=True):
    """Give a charging profile to an EVSE (0: the station): a limit over time.

    It is kept among `/charging-profiles`, installed once the station has accepted it. A TxProfile names its transaction
    by `transaction_id`, the id on the wire.
    """

    evse_id: Number
    profile: ProfileBody

    async def issue(self, context: Context, idempotency_key: str | None) -> Command:
        """Ask it. Raises as `charging.set_profile`."""
        command, _ = await charging.set_profile(
            context,
            self.station_id,
            self.evse_id,
            msgspec.convert(self.profile, ChargingProfile, from_attributes=True),
            timeout_s=self.timeout_s,
            idempotency_key=idempotency_key,
        )
        return command


class ClearChargingProfileCommand(StationCommandBody, frozen=True, kw_only=True):
    """Remove the profiles that match every field that is given; without any, all."""

    profile_id: Number | None = None
    evse_id: Number | None = None
    purpose: ChargingProfilePurpose | None = None
    stack_level: Number | None = None

    def request(self) -> CsmsRequest:
        """What the station is asked."""
        return ClearChargingProfile(criteria=msgspec.convert(self, ProfileCriteria, from_attributes=True))


class GetCompositeScheduleCommand(StationCommandBody, frozen=True, kw_only=True):
    """What do the installed profiles come to over the next `duration_s` seconds?"""

    asks = GetCompositeSchedule

    evse_id: Number
    duration_s: Number
    rate_unit: ChargingRateUnit | None = None


class ClearCacheCommand(StationCommandBody, frozen=True, kw_only=True):
    """Make a station forget the tokens that it has cached."""

    asks = ClearCache


class DataTransferCommand(StationCommandBody, frozen=True, kw_only=True):
    """A vendor's own message."""

    asks = DataTransfer

    vendor_id: Annotated[str, Meta(min_length=1, max_length=255)]
    message_id: Annotated[str, Meta(max_length=50)] | None = None
    content: Annotated[str, Meta(max_length=100_000)] | None = None
    """Text, or JSON text."""


TYPED: Final[dict[str, type[CommandBody]]] = {
    **TYPED_RESOURCES,
    "START_SESSION": StartSession,
    "STOP_SESSION": StopSession,
    "UNLOCK_CONNECTOR": UnlockConnectorCommand,
    "RESET": ResetCommand,
    "CHANGE_AVAILABILITY": ChangeAvailabilityCommand,
    "TRIGGER_MESSAGE": TriggerMessageCommand,
    "SET_VARIABLES": SetVariablesCommand,
    "GET_VARIABLES": GetVariablesCommand,
    "SET_CHARGING_PROFILE": SetChargingProfileCommand,
    "CLEAR_CHARGING_PROFILE": ClearChargingProfileCommand,
    "GET_COMPOSITE_SCHEDULE": GetCompositeScheduleCommand,
    "CLEAR_CACHE": ClearCacheCommand,
    "DATA_TRANSFER": DataTransferCommand,
}
"""Named as OCPI names its commands, and by the same pattern where it has none."""
