"""One day at a station, told in OCPP 1.6 and in OCPP 2.0.1: the same steps, each in the frames of both.

A step says who speaks, and in each version the frames (action and payload) that tell it; an answer follows where one
belongs to the step. What both can say is said; what only one of them can is left out on purpose.
"""

from dataclasses import dataclass
from typing import Any, Final

Frames = tuple[tuple[str, dict[str, Any]], ...]

TRANSACTION: Final = "7"
"""The transaction's id: issued by the CSMS in 1.6, by the station in 2.0.1."""


@dataclass(frozen=True)
class Told:
    """One step in one version: the calls, and the answer to the first of them."""

    calls: Frames
    answer: dict[str, Any] | None = None


@dataclass(frozen=True)
class Step:
    """One step of the story in both versions. `by_station`: the station speaks, else the CSMS."""

    name: str
    by_station: bool
    v16: Told
    v201: Told

    def told(self, subprotocol: str) -> Told:
        return {"ocpp1.6": self.v16, "ocpp2.0.1": self.v201}[subprotocol]


def _station(name: str, v16: Told, v201: Told) -> Step:
    return Step(name, by_station=True, v16=v16, v201=v201)


def _csms(name: str, v16: Told, v201: Told) -> Step:
    return Step(name, by_station=False, v16=v16, v201=v201)


def _told(*calls: tuple[str, dict[str, Any]], answer: dict[str, Any] | None = None) -> Told:
    return Told(calls, answer)


def _at(clock: str) -> str:
    return f"2024-01-31T{clock}Z"


PLACE: Final = {"id": 1, "connectorId": 1}
TAG: Final = "04A2B3C4D5"
TOKEN: Final = {"idToken": TAG, "type": "ISO14443"}
GROUP: Final = {"idToken": "FLEET-1", "type": "ISO14443"}


def _event(kind: str, clock: str, reason: str, seq_no: int, /, info: dict[str, Any] | None = None, **more: Any) -> Any:
    return (
        "TransactionEvent",
        {
            "eventType": kind,
            "timestamp": _at(clock),
            "triggerReason": reason,
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": TRANSACTION, **(info or {})},
            "evse": PLACE,
            **more,
        },
    )


def _status(clock: str, status: str) -> Any:
    return (
        "StatusNotification",
        {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": _at(clock)},
    )


def _connector(clock: str, status: str) -> Any:
    return (
        "StatusNotification",
        {"evseId": 1, "connectorId": 1, "connectorStatus": status, "timestamp": _at(clock)},
    )


def _register(energy_wh: float, context: str) -> dict[str, Any]:
    return {
        "value": energy_wh,
        "context": context,
        "measurand": "Energy.Active.Import.Register",
        "unitOfMeasure": {"unit": "Wh"},
    }


PROFILE_16: Final[dict[str, Any]] = {
    "chargingProfileId": 11,
    "stackLevel": 2,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
    "validFrom": _at("00:00:00"),
    "chargingSchedule": {
        "duration": 86400,
        "startSchedule": _at("00:00:00"),
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 16.1, "numberPhases": 3},
            {"startPeriod": 61200, "limit": 6},
        ],
    },
}
PROFILE_201: Final[dict[str, Any]] = {
    "id": 11,
    "stackLevel": 2,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
    "validFrom": _at("00:00:00"),
    "chargingSchedule": [{**PROFILE_16["chargingSchedule"], "id": 0}],
}
MAX_16: Final[dict[str, Any]] = {
    "chargingProfileId": 12,
    "stackLevel": 0,
    "chargingProfilePurpose": "ChargePointMaxProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {
        "chargingRateUnit": "W",
        "startSchedule": _at("10:00:00"),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 22000}],
    },
}
MAX_201: Final[dict[str, Any]] = {
    "id": 12,
    "stackLevel": 0,
    "chargingProfilePurpose": "ChargingStationMaxProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": [{**MAX_16["chargingSchedule"], "id": 0}],
}
TX_16: Final[dict[str, Any]] = {
    "chargingProfileId": 13,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "transactionId": 7,
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10, "numberPhases": 1}],
        "minChargingRate": 6.0,
    },
}
TX_201: Final[dict[str, Any]] = {
    "id": 13,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "transactionId": "7",
    "chargingSchedule": [{**TX_16["chargingSchedule"], "id": 0}],
}


def _without(profile: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in profile.items() if key != name}


def _variable(component: str, variable: str, **more: Any) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": variable}, **more}


STORY: Final = (
    _station(
        "boot",
        _told(
            (
                "BootNotification",
                {
                    "chargePointVendor": "Examplar",
                    "chargePointModel": "Twin 22",
                    "chargePointSerialNumber": "EX-0042",
                    "firmwareVersion": "1.4.2",
                    "iccid": "8931080019073497795",
                    "imsi": "204080030110374",
                },
            ),
            answer={"status": "Accepted", "currentTime": _at("08:00:00"), "interval": 300},
        ),
        _told(
            (
                "BootNotification",
                {
                    "chargingStation": {
                        "vendorName": "Examplar",
                        "model": "Twin 22",
                        "serialNumber": "EX-0042",
                        "firmwareVersion": "1.4.2",
                        "modem": {"iccid": "8931080019073497795", "imsi": "204080030110374"},
                    },
                    "reason": "Unknown",
                },
            ),
            answer={"status": "Accepted", "currentTime": _at("08:00:00"), "interval": 300},
        ),
    ),
    _csms(
        "configure",
        _told(
            ("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "60"}), answer={"status": "Accepted"}
        ),
        _told(
            (
                "SetVariables",
                {"setVariableData": [_variable("SampledDataCtrlr", "TxUpdatedInterval", attributeValue="60")]},
            ),
            answer={
                "setVariableResult": [_variable("SampledDataCtrlr", "TxUpdatedInterval", attributeStatus="Accepted")]
            },
        ),
    ),
    _csms(
        "configure what nobody knows",
        _told(("ChangeConfiguration", {"key": "VendorTweak", "value": "on"}), answer={"status": "NotSupported"}),
        _told(
            ("SetVariables", {"setVariableData": [_variable("ConfigurationKey", "VendorTweak", attributeValue="on")]}),
            answer={
                "setVariableResult": [_variable("ConfigurationKey", "VendorTweak", attributeStatus="UnknownVariable")]
            },
        ),
    ),
    _csms(
        "read the configuration",
        _told(
            ("GetConfiguration", {"key": ["ChargingScheduleAllowedChargingRateUnit", "Nonsense", "HeartbeatInterval"]}),
            answer={
                "configurationKey": [
                    {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
                    {"key": "ChargingScheduleAllowedChargingRateUnit", "readonly": False, "value": "Current,Power"},
                ],
                "unknownKey": ["Nonsense"],
            },
        ),
        _told(
            (
                "GetVariables",
                {
                    "getVariableData": [
                        _variable("SmartChargingCtrlr", "RateUnit"),
                        _variable("ConfigurationKey", "Nonsense"),
                        _variable("OCPPCommCtrlr", "HeartbeatInterval"),
                    ]
                },
            ),
            answer={
                "getVariableResult": [
                    _variable("SmartChargingCtrlr", "RateUnit", attributeStatus="Accepted", attributeValue="A,W"),
                    _variable("ConfigurationKey", "Nonsense", attributeStatus="UnknownVariable"),
                    _variable("OCPPCommCtrlr", "HeartbeatInterval", attributeStatus="Accepted", attributeValue="300"),
                ]
            },
        ),
    ),
    _csms(
        "ask for all of the configuration",
        _told(("GetConfiguration", {})),
        _told(("GetBaseReport", {"requestId": 0, "reportBase": "FullInventory"})),
    ),
    _csms(
        "limit the station",
        _told(("SetChargingProfile", {"connectorId": 0, "csChargingProfiles": MAX_16}), answer={"status": "Accepted"}),
        _told(("SetChargingProfile", {"evseId": 0, "chargingProfile": MAX_201}), answer={"status": "Accepted"}),
    ),
    _csms(
        "a default for every day",
        _told(
            ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE_16}), answer={"status": "Rejected"}
        ),
        _told(("SetChargingProfile", {"evseId": 1, "chargingProfile": PROFILE_201}), answer={"status": "Rejected"}),
    ),
    _station(
        "available",
        _told(_status("08:00:05", "Available"), answer={}),
        _told(_connector("08:00:05", "Available"), answer={}),
    ),
    _station(
        "heartbeat",
        _told(("Heartbeat", {}), answer={"currentTime": _at("08:05:00.250")}),
        _told(("Heartbeat", {}), answer={"currentTime": _at("08:05:00.250")}),
    ),
    _csms(
        "ask for the state",
        _told(
            ("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}),
            answer={"status": "Accepted"},
        ),
        _told(
            ("TriggerMessage", {"requestedMessage": "StatusNotification", "evse": PLACE}), answer={"status": "Accepted"}
        ),
    ),
    _csms(
        "ask for what it does not have",
        _told(
            ("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"}), answer={"status": "NotImplemented"}
        ),
        _told(
            ("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"}), answer={"status": "NotImplemented"}
        ),
    ),
    _station(
        "plugged in",
        _told(_status("08:10:00", "Preparing"), answer={}),
        _told(_connector("08:10:00", "Occupied"), answer={}),
    ),
    _station(
        "authorize",
        _told(
            ("Authorize", {"idTag": TAG}),
            answer={"idTagInfo": {"status": "Accepted", "expiryDate": _at("23:59:59"), "parentIdTag": "FLEET-1"}},
        ),
        _told(
            ("Authorize", {"idToken": TOKEN}),
            answer={
                "idTokenInfo": {"status": "Accepted", "cacheExpiryDateTime": _at("23:59:59"), "groupIdToken": GROUP}
            },
        ),
    ),
    _station(
        "authorize a blocked one",
        _told(("Authorize", {"idTag": "BAD"}), answer={"idTagInfo": {"status": "Blocked"}}),
        _told(
            ("Authorize", {"idToken": {"idToken": "BAD", "type": "ISO14443"}}),
            answer={"idTokenInfo": {"status": "Blocked"}},
        ),
    ),
    _csms(
        "remote start with a profile",
        _told(
            (
                "RemoteStartTransaction",
                {"idTag": TAG, "connectorId": 1, "chargingProfile": _without(TX_16, "transactionId")},
            ),
            answer={"status": "Accepted"},
        ),
        _told(
            (
                "RequestStartTransaction",
                {
                    "idToken": TOKEN,
                    "evseId": 1,
                    "remoteStartId": 0,
                    "chargingProfile": _without(TX_201, "transactionId"),
                },
            ),
            answer={"status": "Accepted"},
        ),
    ),
    _station(
        "started",
        _told(
            (
                "StartTransaction",
                {
                    "connectorId": 1,
                    "idTag": TAG,
                    "meterStart": 120500,
                    "reservationId": 3,
                    "timestamp": _at("08:10:05"),
                },
            ),
            answer={"transactionId": 7, "idTagInfo": {"status": "Accepted"}},
        ),
        _told(
            _event(
                "Started",
                "08:10:05",
                "Authorized",
                0,
                {"chargingState": "EVConnected"},
                idToken=TOKEN,
                reservationId=3,
                meterValue=[{"timestamp": _at("08:10:05"), "sampledValue": [_register(120500, "Transaction.Begin")]}],
            ),
            answer={"idTokenInfo": {"status": "Accepted"}},
        ),
    ),
    _station(
        "charging",
        _told(_status("08:10:07", "Charging"), answer={}),
        _told(_event("Updated", "08:10:07", "ChargingStateChanged", 1, {"chargingState": "Charging"}), answer={}),
    ),
    _station(
        "periodic readings",
        _told(
            (
                "MeterValues",
                {
                    "connectorId": 1,
                    "transactionId": 7,
                    "meterValue": [
                        {
                            "timestamp": _at("08:11:00"),
                            "sampledValue": [
                                {"value": "120.6051", "unit": "kWh", "measurand": "Energy.Active.Import.Register"},
                                {"value": "7.4", "unit": "kW", "measurand": "Power.Active.Import"},
                                {"value": "16.1", "unit": "A", "measurand": "Current.Import", "phase": "L1"},
                                {"value": "42", "unit": "Percent", "measurand": "SoC", "location": "EV"},
                            ],
                        }
                    ],
                },
            ),
            answer={},
        ),
        _told(
            _event(
                "Updated",
                "08:11:00",
                "MeterValuePeriodic",
                2,
                meterValue=[
                    {
                        "timestamp": _at("08:11:00"),
                        "sampledValue": [
                            {
                                "value": 1206.051,
                                "measurand": "Energy.Active.Import.Register",
                                "unitOfMeasure": {"unit": "Wh", "multiplier": 2},
                            },
                            {
                                "value": 7.4,
                                "measurand": "Power.Active.Import",
                                "unitOfMeasure": {"unit": "W", "multiplier": 3},
                            },
                            {
                                "value": 16.1,
                                "measurand": "Current.Import",
                                "phase": "L1",
                                "unitOfMeasure": {"unit": "A"},
                            },
                            {
                                "value": 42,
                                "measurand": "SoC",
                                "location": "EV",
                                "unitOfMeasure": {"unit": "Percent"},
                            },
                        ],
                    }
                ],
            ),
            answer={},
        ),
    ),
    _station(
        "clock-aligned readings of the transaction",
        _told(
            (
                "MeterValues",
                {
                    "connectorId": 1,
                    "transactionId": 7,
                    "meterValue": [
                        {
                            "timestamp": _at("08:12:00"),
                            "sampledValue": [
                                {"value": "230.6", "measurand": "Voltage", "unit": "V", "context": "Sample.Clock"}
                            ],
                        }
                    ],
                },
            ),
            answer={},
        ),
        _told(
            _event(
                "Updated",
                "08:12:00",
                "MeterValueClock",
                3,
                meterValue=[
                    {
                        "timestamp": _at("08:12:00"),
                        "sampledValue": [{"value": 230.6, "measurand": "Voltage", "context": "Sample.Clock"}],
                    }
                ],
            ),
            answer={},
        ),
    ),
    _station(
        "clock-aligned readings of the whole station",
        _told(
            (
                "MeterValues",
                {
                    "connectorId": 0,
                    "meterValue": [
                        {
                            "timestamp": _at("08:15:00"),
                            "sampledValue": [{"value": "990000", "context": "Sample.Clock"}],
                        }
                    ],
                },
            ),
            answer={},
        ),
        _told(
            (
                "MeterValues",
                {
                    "evseId": 0,
                    "meterValue": [
                        {
                            "timestamp": _at("08:15:00"),
                            "sampledValue": [{"value": 990000, "context": "Sample.Clock"}],
                        }
                    ],
                },
            ),
            answer={},
        ),
    ),
    _csms(
        "a limit for the transaction",
        _told(("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": TX_16}), answer={"status": "Accepted"}),
        _told(("SetChargingProfile", {"evseId": 1, "chargingProfile": TX_201}), answer={"status": "Accepted"}),
    ),
    _csms(
        "what it comes to",
        _told(
            ("GetCompositeSchedule", {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}),
            answer={
                "status": "Accepted",
                "connectorId": 1,
                "scheduleStart": _at("08:16:00"),
                "chargingSchedule": {
                    "duration": 600,
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0, "numberPhases": 1}],
                },
            },
        ),
        _told(
            ("GetCompositeSchedule", {"evseId": 1, "duration": 600, "chargingRateUnit": "A"}),
            answer={
                "status": "Accepted",
                "schedule": {
                    "evseId": 1,
                    "duration": 600,
                    "scheduleStart": _at("08:16:00"),
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0, "numberPhases": 1}],
                },
            },
        ),
    ),
    _csms(
        "clear the limit of one place",
        _told(
            (
                "ClearChargingProfile",
                {"connectorId": 0, "chargingProfilePurpose": "ChargePointMaxProfile", "stackLevel": 0},
            ),
            answer={"status": "Unknown"},
        ),
        _told(
            (
                "ClearChargingProfile",
                {
                    "chargingProfileCriteria": {
                        "evseId": 0,
                        "chargingProfilePurpose": "ChargingStationMaxProfile",
                        "stackLevel": 0,
                    }
                },
            ),
            answer={"status": "Unknown"},
        ),
    ),
    _csms(
        "clear one limit",
        _told(("ClearChargingProfile", {"id": 13}), answer={"status": "Accepted"}),
        _told(("ClearChargingProfile", {"chargingProfileId": 13}), answer={"status": "Accepted"}),
    ),
    _station(
        "suspended by the station",
        _told(_status("08:20:00", "SuspendedEVSE"), answer={}),
        _told(_event("Updated", "08:20:00", "ChargingStateChanged", 4, {"chargingState": "SuspendedEVSE"}), answer={}),
    ),
    _station(
        "suspended by the car",
        _told(_status("08:25:00", "SuspendedEV"), answer={}),
        _told(_event("Updated", "08:25:00", "ChargingStateChanged", 5, {"chargingState": "SuspendedEV"}), answer={}),
    ),
    _csms(
        "unlock",
        _told(("UnlockConnector", {"connectorId": 1}), answer={"status": "UnlockFailed"}),
        _told(("UnlockConnector", {"evseId": 1, "connectorId": 1}), answer={"status": "UnlockFailed"}),
    ),
    _csms(
        "remote stop",
        _told(("RemoteStopTransaction", {"transactionId": 7}), answer={"status": "Accepted"}),
        _told(("RequestStopTransaction", {"transactionId": "7"}), answer={"status": "Accepted"}),
    ),
    _station(
        "ended, still plugged in",
        _told(
            (
                "StopTransaction",
                {
                    "transactionId": 7,
                    "idTag": TAG,
                    "meterStop": 128750,
                    "timestamp": _at("08:30:00"),
                    "reason": "Remote",
                    "transactionData": [
                        {
                            "timestamp": _at("08:10:05"),
                            "sampledValue": [{"value": "120500", "unit": "Wh", "context": "Transaction.Begin"}],
                        }
                    ],
                },
            ),
            _status("08:30:00", "Finishing"),
            answer={"idTagInfo": {"status": "Accepted"}},
        ),
        _told(
            _event(
                "Ended",
                "08:30:00",
                "RemoteStop",
                6,
                {"chargingState": "EVConnected", "stoppedReason": "Remote"},
                idToken=TOKEN,
                meterValue=[
                    {"timestamp": _at("08:10:05"), "sampledValue": [_register(120500, "Transaction.Begin")]},
                    {"timestamp": _at("08:30:00"), "sampledValue": [_register(128750, "Transaction.End")]},
                ],
            ),
            answer={"idTokenInfo": {"status": "Accepted"}},
        ),
    ),
    _station(
        "unplugged",
        _told(_status("08:31:00", "Available"), answer={}),
        _told(_connector("08:31:00", "Available"), answer={}),
    ),
    _csms(
        "out of use",
        _told(("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}), answer={"status": "Scheduled"}),
        _told(
            ("ChangeAvailability", {"evse": {"id": 1}, "operationalStatus": "Inoperative"}),
            answer={"status": "Scheduled"},
        ),
    ),
    _csms(
        "the whole station in use",
        _told(("ChangeAvailability", {"connectorId": 0, "type": "Operative"}), answer={"status": "Accepted"}),
        _told(("ChangeAvailability", {"operationalStatus": "Operative"}), answer={"status": "Accepted"}),
    ),
    _station(
        "reserved",
        _told(_status("08:40:00", "Reserved"), answer={}),
        _told(_connector("08:40:00", "Reserved"), answer={}),
    ),
    _station(
        "faulted",
        _told(_status("08:41:00", "Faulted"), answer={}),
        _told(_connector("08:41:00", "Faulted"), answer={}),
    ),
    _station(
        "unavailable",
        _told(_status("08:42:00", "Unavailable"), answer={}),
        _told(_connector("08:42:00", "Unavailable"), answer={}),
    ),
    _csms(
        "forget the cache",
        _told(("ClearCache", {}), answer={"status": "Rejected"}),
        _told(("ClearCache", {}), answer={"status": "Rejected"}),
    ),
    _csms(
        "a vendor's message",
        _told(
            ("DataTransfer", {"vendorId": "com.example", "messageId": "m", "data": '{"a":[1,"x"]}'}),
            answer={"status": "Accepted", "data": "done"},
        ),
        _told(
            ("DataTransfer", {"vendorId": "com.example", "messageId": "m", "data": {"a": [1, "x"]}}),
            answer={"status": "Accepted", "data": "done"},
        ),
    ),
    _station(
        "another vendor's message",
        _told(("DataTransfer", {"vendorId": "com.example"}), answer={"status": "UnknownVendorId"}),
        _told(("DataTransfer", {"vendorId": "com.example"}), answer={"status": "UnknownVendorId"}),
    ),
    _csms(
        "reset",
        _told(("Reset", {"type": "Soft"}), answer={"status": "Accepted"}),
        _told(("Reset", {"type": "Immediate"}), answer={"status": "Accepted"}),
    ),
)
