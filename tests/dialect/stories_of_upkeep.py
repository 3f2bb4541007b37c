"""The keeping of a station, told in OCPP 1.6 and in OCPP 2.0.1: local list, reservations, firmware, logs, certificates,
and charging by contract, which 1.6 tells inside of DataTransfer. See `stories` for what a step is."""

import json
from typing import Any, Final

from tests.dialect.stories import GROUP, TAG, TOKEN, Step, Told

_DAY: Final = "2024-02-01T"


def _told(action: str, payload: dict[str, Any], answer: dict[str, Any] | None) -> Told:
    return Told(((action, payload),), answer)


def _wrapped(message_id: str, payload: dict[str, Any], answer: dict[str, Any]) -> Told:
    """The application note's way: a message in a message (§2.2)."""
    data = {
        "vendorId": "org.openchargealliance.iso15118pnc",
        "messageId": message_id,
        "data": json.dumps(payload, separators=(",", ":")),
    }
    return _told("DataTransfer", data, {"status": "Accepted", "data": json.dumps(answer)})


def _alike(name: str, action: str, payload: dict[str, Any], answer: dict[str, Any], *, by_station: bool) -> Step:
    """The same message in both versions."""
    told = _told(action, payload, answer)
    return Step(name, by_station, told, told)


HASH: Final = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "ab" * 32,
    "issuerKeyHash": "cd" * 32,
    "serialNumber": "FFF",
}
QUERY: Final = {**HASH, "responderURL": "http://ocsp.example.com"}
PEM: Final = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
FIRMWARE: Final = {
    "location": "https://firmware.example.com/twin22-1.5.0.bin",
    "retrieveDateTime": _DAY + "02:00:00Z",
    "installDateTime": _DAY + "03:00:00Z",
    "signingCertificate": PEM,
    "signature": "c2lnbmF0dXJl",
}

UPKEEP: Final = (
    Step(
        "a full local list",
        False,
        _told(
            "SendLocalList",
            {
                "listVersion": 234,
                "updateType": "Full",
                "localAuthorizationList": [
                    {
                        "idTag": TAG,
                        "idTagInfo": {
                            "status": "Accepted",
                            "expiryDate": _DAY + "00:00:00Z",
                            "parentIdTag": GROUP["idToken"],
                        },
                    },
                    {"idTag": "BAD", "idTagInfo": {"status": "Blocked"}},
                ],
            },
            {"status": "Accepted"},
        ),
        _told(
            "SendLocalList",
            {
                "versionNumber": 234,
                "updateType": "Full",
                "localAuthorizationList": [
                    {
                        "idToken": TOKEN,
                        "idTokenInfo": {
                            "status": "Accepted",
                            "cacheExpiryDateTime": _DAY + "00:00:00Z",
                            "groupIdToken": GROUP,
                        },
                    },
                    {"idToken": {"idToken": "BAD", "type": "ISO14443"}, "idTokenInfo": {"status": "Blocked"}},
                ],
            },
            {"status": "Accepted"},
        ),
    ),
    Step(
        "a token is taken off the list",
        False,
        _told(
            "SendLocalList",
            {"listVersion": 235, "updateType": "Differential", "localAuthorizationList": [{"idTag": "BAD"}]},
            {"status": "VersionMismatch"},
        ),
        _told(
            "SendLocalList",
            {
                "versionNumber": 235,
                "updateType": "Differential",
                "localAuthorizationList": [{"idToken": {"idToken": "BAD", "type": "ISO14443"}}],
            },
            {"status": "VersionMismatch"},
        ),
    ),
    Step(
        "the list is emptied",
        False,
        _told("SendLocalList", {"listVersion": 236, "updateType": "Full"}, {"status": "Failed"}),
        _told("SendLocalList", {"versionNumber": 236, "updateType": "Full"}, {"status": "Failed"}),
    ),
    Step(
        "which version",
        False,
        _told("GetLocalListVersion", {}, {"listVersion": 234}),
        _told("GetLocalListVersion", {}, {"versionNumber": 234}),
    ),
    Step(
        "reserve an EVSE",
        False,
        _told(
            "ReserveNow",
            {
                "connectorId": 1,
                "expiryDate": _DAY + "09:00:00Z",
                "idTag": TAG,
                "parentIdTag": GROUP["idToken"],
                "reservationId": 3,
            },
            {"status": "Occupied"},
        ),
        _told(
            "ReserveNow",
            {
                "id": 3,
                "evseId": 1,
                "expiryDateTime": _DAY + "09:00:00Z",
                "idToken": TOKEN,
                "groupIdToken": GROUP,
            },
            {"status": "Occupied"},
        ),
    ),
    Step(
        "reserve any EVSE",
        False,
        _told(
            "ReserveNow",
            {"connectorId": 0, "expiryDate": _DAY + "09:00:00Z", "idTag": TAG, "reservationId": 4},
            {"status": "Accepted"},
        ),
        _told(
            "ReserveNow",
            {"id": 4, "expiryDateTime": _DAY + "09:00:00Z", "idToken": TOKEN},
            {"status": "Accepted"},
        ),
    ),
    _alike(
        "cancel the reservation", "CancelReservation", {"reservationId": 4}, {"status": "Rejected"}, by_station=False
    ),
    Step(
        "update signed firmware",
        False,
        _told(
            "SignedUpdateFirmware",
            {"requestId": 123, "retries": 3, "retryInterval": 60, "firmware": FIRMWARE},
            {"status": "AcceptedCanceled"},
        ),
        _told(
            "UpdateFirmware",
            {"requestId": 123, "retries": 3, "retryInterval": 60, "firmware": FIRMWARE},
            {"status": "AcceptedCanceled"},
        ),
    ),
    Step(
        "the signature is verified",
        True,
        _told("SignedFirmwareStatusNotification", {"status": "SignatureVerified", "requestId": 123}, {}),
        _told("FirmwareStatusNotification", {"status": "SignatureVerified", "requestId": 123}, {}),
    ),
    _alike("no update", "FirmwareStatusNotification", {"status": "Idle"}, {}, by_station=True),
    _alike(
        "upload the security log",
        "GetLog",
        {
            "logType": "SecurityLog",
            "requestId": 124,
            "retries": 2,
            "log": {
                "remoteLocation": "sftp://logs.example.com/",
                "oldestTimestamp": _DAY + "00:00:00Z",
                "latestTimestamp": _DAY + "04:00:00Z",
            },
        },
        {"status": "Accepted", "filename": "security.log"},
        by_station=False,
    ),
    _alike(
        "the upload failed",
        "LogStatusNotification",
        {"status": "PermissionDenied", "requestId": 124},
        {},
        by_station=True,
    ),
    Step(
        "no upload",
        True,
        _told("DiagnosticsStatusNotification", {"status": "Idle"}, {}),
        _told("LogStatusNotification", {"status": "Idle"}, {}),
    ),
    Step(
        "a security event",
        True,
        _told(
            "SecurityEventNotification",
            {"type": "InvalidCentralSystemCertificate", "timestamp": _DAY + "05:00:00Z", "techInfo": "expired"},
            {},
        ),
        _told(
            "SecurityEventNotification",
            {"type": "InvalidCsmsCertificate", "timestamp": _DAY + "05:00:00Z", "techInfo": "expired"},
            {},
        ),
    ),
    Step(
        "ask for a new certificate",
        False,
        _told(
            "ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}, {"status": "NotImplemented"}
        ),
        _told("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}, {"status": "NotImplemented"}),
    ),
    Step(
        "a signing request",
        True,
        _told("SignCertificate", {"csr": PEM}, {"status": "Rejected"}),
        _told(
            "SignCertificate",
            {"csr": PEM, "certificateType": "ChargingStationCertificate"},
            {"status": "Rejected"},
        ),
    ),
    Step(
        "the signed certificate",
        False,
        _told("CertificateSigned", {"certificateChain": PEM}, {"status": "Accepted"}),
        _told(
            "CertificateSigned",
            {"certificateChain": PEM, "certificateType": "ChargingStationCertificate"},
            {"status": "Accepted"},
        ),
    ),
    Step(
        "install a root",
        False,
        _told(
            "InstallCertificate",
            {"certificateType": "CentralSystemRootCertificate", "certificate": PEM},
            {"status": "Failed"},
        ),
        _told(
            "InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": PEM}, {"status": "Failed"}
        ),
    ),
    Step(
        "list the roots",
        False,
        _told(
            "GetInstalledCertificateIds",
            {"certificateType": "CentralSystemRootCertificate"},
            {"status": "Accepted", "certificateHashData": [HASH]},
        ),
        _told(
            "GetInstalledCertificateIds",
            {"certificateType": ["CSMSRootCertificate"]},
            {
                "status": "Accepted",
                "certificateHashDataChain": [{"certificateType": "CSMSRootCertificate", "certificateHashData": HASH}],
            },
        ),
    ),
    _alike(
        "delete a root", "DeleteCertificate", {"certificateHashData": HASH}, {"status": "NotFound"}, by_station=False
    ),
    # By contract
    Step(
        "ask for a certificate towards cars",
        False,
        _wrapped("TriggerMessage", {"requestedMessage": "SignV2GCertificate"}, {"status": "Accepted"}),
        _told("TriggerMessage", {"requestedMessage": "SignV2GCertificate"}, {"status": "Accepted"}),
    ),
    Step(
        "a signing request for it",
        True,
        _wrapped("SignCertificate", {"csr": PEM, "certificateType": "V2GCertificate"}, {"status": "Accepted"}),
        _told("SignCertificate", {"csr": PEM, "certificateType": "V2GCertificate"}, {"status": "Accepted"}),
    ),
    Step(
        "the certificate towards cars",
        False,
        _wrapped("CertificateSigned", {"certificateChain": PEM}, {"status": "Rejected"}),
        _told(
            "CertificateSigned",
            {"certificateChain": PEM, "certificateType": "V2GCertificate"},
            {"status": "Rejected"},
        ),
    ),
    Step(
        "install a root for cars",
        False,
        _wrapped(
            "InstallCertificate", {"certificateType": "V2GRootCertificate", "certificate": PEM}, {"status": "Accepted"}
        ),
        _told(
            "InstallCertificate", {"certificateType": "V2GRootCertificate", "certificate": PEM}, {"status": "Accepted"}
        ),
    ),
    Step(
        "list the chain towards cars",
        False,
        _wrapped(
            "GetInstalledCertificateIds",
            {"certificateType": ["V2GCertificateChain"]},
            {
                "status": "Accepted",
                "certificateHashDataChain": [
                    {
                        "certificateType": "V2GCertificateChain",
                        "certificateHashData": HASH,
                        "childCertificateHashData": [HASH],
                    }
                ],
            },
        ),
        _told(
            "GetInstalledCertificateIds",
            {"certificateType": ["V2GCertificateChain"]},
            {
                "status": "Accepted",
                "certificateHashDataChain": [
                    {
                        "certificateType": "V2GCertificateChain",
                        "certificateHashData": HASH,
                        "childCertificateHashData": [HASH],
                    }
                ],
            },
        ),
    ),
    Step(
        "authorize a contract",
        True,
        _wrapped(
            "Authorize",
            {"idToken": {"idToken": "DE8AACA2B3C4D5N"}, "iso15118CertificateHashData": [QUERY]},
            {
                "idTokenInfo": {"status": "Expired", "cacheExpiryDateTime": _DAY + "00:00:00Z"},
                "certificateStatus": "CertificateExpired",
            },
        ),
        _told(
            "Authorize",
            {"idToken": {"idToken": "DE8AACA2B3C4D5N", "type": "eMAID"}, "iso15118CertificateHashData": [QUERY]},
            {
                "idTokenInfo": {"status": "Expired", "cacheExpiryDateTime": _DAY + "00:00:00Z"},
                "certificateStatus": "CertificateExpired",
            },
        ),
    ),
    Step(
        "is it revoked",
        True,
        _wrapped("GetCertificateStatus", {"ocspRequestData": QUERY}, {"status": "Accepted", "ocspResult": "b2s="}),
        _told("GetCertificateStatus", {"ocspRequestData": QUERY}, {"status": "Accepted", "ocspResult": "b2s="}),
    ),
    Step(
        "a car wants its contract's certificate",
        True,
        _wrapped(
            "Get15118EVCertificate",
            {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": "Install", "exiRequest": "ZXhp"},
            {"status": "Failed", "exiResponse": ""},
        ),
        _told(
            "Get15118EVCertificate",
            {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": "Install", "exiRequest": "ZXhp"},
            {"status": "Failed", "exiResponse": ""},
        ),
    ),
    Step(
        "what it has cost so far",
        False,
        _told(
            "DataTransfer",
            {
                "vendorId": "org.openchargealliance.costmsg",
                "messageId": "RunningCost",
                "data": json.dumps({"transactionId": 7, "cost": 1.25}),
            },
            {"status": "Accepted"},
        ),
        _told("CostUpdated", {"transactionId": "7", "totalCost": 1.25}, {}),
    ),
)
