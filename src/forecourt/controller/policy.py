"""What becomes of each message that passes the controller: a table, action by direction.

Guarantees
* Every action of the protocol has a row; an action without a row, such as a vendor's own, is forwarded untouched.
* `FULL` is the default. `CHARGEPILOT` hides smart charging, reservations and firmware from the CSMS, as a controller
  with that table does; where OCPP 1.6 has no word for a refusal (GetDiagnostics, UpdateFirmware) it is a call error.
* What is only relayed is never decoded to be re-encoded: the table says who decides, the relay passes the bytes.
"""

import re
from enum import StrEnum
from typing import Final

import msgspec


class Direction(StrEnum):
    """Who sent the call."""

    FROM_STATION = "from-station"
    FROM_CSMS = "from-csms"


class Verdict(StrEnum):
    """What to do with a call."""

    FORWARD = "forward"
    """Pass it on, relay the answer, keep a copy for the controller."""
    CHECK = "check"
    """Pass it on; the answer goes back only as the controller agrees to it (BootNotification)."""
    ANSWER_AND_FORWARD = "answer-and-forward"
    """Answer at once; pass it on all the same, and drop the answer (Heartbeat)."""
    ANSWER = "answer"
    """Answer at once as a CSMS would, with nothing; don't pass it on."""
    TAKE_IN = "take-in"
    """The controller answers from what it keeps: charging profiles of the CSMS are constraints to it."""
    FILTER = "filter"
    """Pass it on as the controller's key policy allows: as it is, altered, or refused."""
    REJECT = "reject"
    """Answer with the status Rejected."""
    REFUSE = "refuse"
    """Answer with the call error NotSupported: the answer has no status."""


Policy = dict[tuple[Direction, str], Verdict]

_STATION_TALK: Final = (
    "Authorize",
    "ClearedChargingLimit",
    "DataTransfer",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Get15118EVCertificate",
    "GetCertificateStatus",
    "LogStatusNotification",
    "MeterValues",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEVChargingNeeds",
    "NotifyEVChargingSchedule",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
    "SignCertificate",
    "SignedFirmwareStatusNotification",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
    "TransactionEvent",
)

_CSMS_TALK: Final = (
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ClearCache",
    "ClearDisplayMessage",
    "ClearVariableMonitoring",
    "CostUpdated",
    "CustomerInformation",
    "DataTransfer",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetBaseReport",
    "GetConfiguration",
    "GetDiagnostics",
    "GetDisplayMessages",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "GetMonitoringReport",
    "GetReport",
    "GetTransactionStatus",
    "GetVariables",
    "InstallCertificate",
    "PublishFirmware",
    "RemoteStopTransaction",
    "RequestStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetDisplayMessage",
    "SetMonitoringBase",
    "SetMonitoringLevel",
    "SetVariableMonitoring",
    "SignedUpdateFirmware",
    "TriggerMessage",
    "UnlockConnector",
    "UnpublishFirmware",
    "UpdateFirmware",
)

FULL: Final[Policy] = {
    **{(Direction.FROM_STATION, action): Verdict.FORWARD for action in _STATION_TALK},
    (Direction.FROM_STATION, "BootNotification"): Verdict.CHECK,
    (Direction.FROM_STATION, "Heartbeat"): Verdict.ANSWER_AND_FORWARD,
    **{(Direction.FROM_CSMS, action): Verdict.FORWARD for action in _CSMS_TALK},
    (Direction.FROM_CSMS, "ChangeConfiguration"): Verdict.FILTER,
    (Direction.FROM_CSMS, "SetVariables"): Verdict.FILTER,
    (Direction.FROM_CSMS, "RemoteStartTransaction"): Verdict.FILTER,
    (Direction.FROM_CSMS, "RequestStartTransaction"): Verdict.FILTER,
    (Direction.FROM_CSMS, "SetNetworkProfile"): Verdict.REJECT,
    (Direction.FROM_CSMS, "SetChargingProfile"): Verdict.TAKE_IN,
    (Direction.FROM_CSMS, "ClearChargingProfile"): Verdict.TAKE_IN,
    (Direction.FROM_CSMS, "GetCompositeSchedule"): Verdict.TAKE_IN,
}

CHARGEPILOT: Final[Policy] = {
    **FULL,
    (Direction.FROM_STATION, "DiagnosticsStatusNotification"): Verdict.ANSWER,
    (Direction.FROM_STATION, "FirmwareStatusNotification"): Verdict.ANSWER,
    (Direction.FROM_CSMS, "CancelReservation"): Verdict.REJECT,
    (Direction.FROM_CSMS, "GetDiagnostics"): Verdict.REFUSE,
    (Direction.FROM_CSMS, "ReserveNow"): Verdict.REJECT,
    (Direction.FROM_CSMS, "SetChargingProfile"): Verdict.REJECT,
    (Direction.FROM_CSMS, "UpdateFirmware"): Verdict.REFUSE,
}

PRESETS: Final[dict[str, Policy]] = {"full": FULL, "chargepilot": CHARGEPILOT}


def verdict(policy: Policy, direction: Direction, action: str) -> Verdict:
    """What becomes of a call of `action`."""
    return policy.get((direction, action), Verdict.FORWARD)


class KeyRule(msgspec.Struct, frozen=True):
    """What the controller has to say about a variable that the CSMS sets."""

    component: str
    variable: str
    variable_instance: str | None = None
    refused: bool = False
    ends_here: bool = False
    """It is about the link between controller and CSMS, where the controller has a password of its own there."""
    highest: int | None = None
    """A larger number is set to this."""


_OF_THE_CSMS: Final = re.compile(
    r"(backend|back-end|central\W?system|csms|ocpp|server)[\w.\- ]*(url|uri|address|host|endpoint|port)$", re.IGNORECASE
)


def names_the_csms(variable: str) -> bool:
    """Whether a variable, a vendor's own, seems to say where the station's CSMS is."""
    return _OF_THE_CSMS.search(variable) is not None


HIGHEST_HEARTBEAT_INTERVAL_S: Final = 300
"""Stations shall be heard of at least this often, whatever the CSMS asks for."""

KEY_RULES: Final[dict[str, tuple[KeyRule, ...]]] = {
    "full": (
        KeyRule("OCPPCommCtrlr", "HeartbeatInterval", highest=HIGHEST_HEARTBEAT_INTERVAL_S),
        KeyRule("SecurityCtrlr", "SecurityProfile", refused=True),
        KeyRule("OCPPCommCtrlr", "NetworkConfigurationPriority", refused=True),
        KeyRule("SecurityCtrlr", "BasicAuthPassword", ends_here=True),
    ),
    "chargepilot": (
        KeyRule("OCPPCommCtrlr", "HeartbeatInterval", highest=HIGHEST_HEARTBEAT_INTERVAL_S),
        KeyRule("SecurityCtrlr", "SecurityProfile", refused=True),
        KeyRule("OCPPCommCtrlr", "NetworkConfigurationPriority", refused=True),
        KeyRule("SecurityCtrlr", "BasicAuthPassword", refused=True),
        KeyRule("SampledDataCtrlr", "TxUpdatedMeasurands", refused=True),
    ),
}
"""By preset. The address of the station's CSMS and its security belong to the link between station and controller,
which the CSMS knows nothing of; meter values feed the control."""
