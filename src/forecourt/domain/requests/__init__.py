"""What one side asks of the other, and what it answers.

Guarantees
* A request means the same whichever OCPP version carries it; what a version can't express its dialect refuses.
* `ANSWERS` names the answer type of every request: one answer to one request.
"""

from typing import Final

from forecourt.domain.events import Answer
from forecourt.domain.requests.base import (
    Request,
    RequestAnswer,
    RequestStatus,
)
from forecourt.domain.requests.certificates import (
    CertificateSigned,
    DeleteCertificate,
    Get15118EVCertificate,
    Get15118EVCertificateAnswer,
    GetCertificateStatus,
    GetCertificateStatusAnswer,
    GetInstalledCertificateIds,
    GetInstalledCertificateIdsAnswer,
    InstallCertificate,
    SignCertificate,
)
from forecourt.domain.requests.core import (
    Authorize,
    AuthorizeAnswer,
    ChangeAvailability,
    ClearCache,
    ClearChargingProfile,
    CompositeScheduleAnswer,
    DataTransfer,
    DataTransferAnswer,
    DataTransferStatus,
    GetCompositeSchedule,
    GetVariables,
    GetVariablesAnswer,
    RequestStartTransaction,
    RequestStopTransaction,
    Reset,
    SetChargingProfile,
    SetVariables,
    SetVariablesAnswer,
    StartAnswer,
    TriggeredMessage,
    TriggerMessage,
    UnlockAnswer,
    UnlockConnector,
    UnlockStatus,
)
from forecourt.domain.requests.costs import (
    ConnectorUnplugged,
    CostUpdated,
    ShowFinalCost,
    ShowPrice,
)
from forecourt.domain.requests.firmware import (
    GetLog,
    GetLogAnswer,
    UpdateFirmware,
)
from forecourt.domain.requests.local_list import (
    CancelReservation,
    GetLocalListVersion,
    ListUpdate,
    LocalListEntry,
    LocalListVersionAnswer,
    ReserveNow,
    SendLocalList,
)

__all__ = [
    "ANSWERS",
    "Authorize",
    "AuthorizeAnswer",
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ClearCache",
    "ClearChargingProfile",
    "CompositeScheduleAnswer",
    "ConnectorUnplugged",
    "CostUpdated",
    "CsmsRequest",
    "CsmsRequestAnswer",
    "DataTransfer",
    "DataTransferAnswer",
    "DataTransferStatus",
    "DeleteCertificate",
    "Get15118EVCertificate",
    "Get15118EVCertificateAnswer",
    "GetCertificateStatus",
    "GetCertificateStatusAnswer",
    "GetCompositeSchedule",
    "GetInstalledCertificateIds",
    "GetInstalledCertificateIdsAnswer",
    "GetLocalListVersion",
    "GetLog",
    "GetLogAnswer",
    "GetVariables",
    "GetVariablesAnswer",
    "InstallCertificate",
    "ListUpdate",
    "LocalListEntry",
    "LocalListVersionAnswer",
    "Request",
    "RequestAnswer",
    "RequestStartTransaction",
    "RequestStatus",
    "RequestStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SetVariables",
    "SetVariablesAnswer",
    "ShowFinalCost",
    "ShowPrice",
    "SignCertificate",
    "StartAnswer",
    "StationRequest",
    "StationRequestAnswer",
    "TriggerMessage",
    "TriggeredMessage",
    "UnlockAnswer",
    "UnlockConnector",
    "UnlockStatus",
    "UpdateFirmware",
]

StationRequest = (
    Authorize | DataTransfer | SignCertificate | GetCertificateStatus | Get15118EVCertificate | ConnectorUnplugged
)

CsmsRequest = (
    RequestStartTransaction
    | RequestStopTransaction
    | Reset
    | ChangeAvailability
    | UnlockConnector
    | TriggerMessage
    | SetVariables
    | GetVariables
    | SetChargingProfile
    | ClearChargingProfile
    | GetCompositeSchedule
    | ClearCache
    | DataTransfer
    | SendLocalList
    | GetLocalListVersion
    | ReserveNow
    | CancelReservation
    | UpdateFirmware
    | GetLog
    | CertificateSigned
    | InstallCertificate
    | DeleteCertificate
    | GetInstalledCertificateIds
    | ShowPrice
    | CostUpdated
    | ShowFinalCost
)

StationRequestAnswer = (
    AuthorizeAnswer | DataTransferAnswer | RequestAnswer | GetCertificateStatusAnswer | Get15118EVCertificateAnswer
)

CsmsRequestAnswer = (
    RequestAnswer
    | DataTransferAnswer
    | UnlockAnswer
    | StartAnswer
    | SetVariablesAnswer
    | GetVariablesAnswer
    | CompositeScheduleAnswer
    | LocalListVersionAnswer
    | GetLogAnswer
    | GetInstalledCertificateIdsAnswer
)

ANSWERS: Final[dict[type[Request], type[Answer]]] = {
    Authorize: AuthorizeAnswer,
    DataTransfer: DataTransferAnswer,
    SignCertificate: RequestAnswer,
    GetCertificateStatus: GetCertificateStatusAnswer,
    Get15118EVCertificate: Get15118EVCertificateAnswer,
    ConnectorUnplugged: RequestAnswer,
    RequestStartTransaction: StartAnswer,
    RequestStopTransaction: RequestAnswer,
    Reset: RequestAnswer,
    ChangeAvailability: RequestAnswer,
    UnlockConnector: UnlockAnswer,
    TriggerMessage: RequestAnswer,
    SetVariables: SetVariablesAnswer,
    GetVariables: GetVariablesAnswer,
    SetChargingProfile: RequestAnswer,
    ClearChargingProfile: RequestAnswer,
    GetCompositeSchedule: CompositeScheduleAnswer,
    ClearCache: RequestAnswer,
    SendLocalList: RequestAnswer,
    GetLocalListVersion: LocalListVersionAnswer,
    ReserveNow: RequestAnswer,
    CancelReservation: RequestAnswer,
    UpdateFirmware: RequestAnswer,
    GetLog: GetLogAnswer,
    CertificateSigned: RequestAnswer,
    InstallCertificate: RequestAnswer,
    DeleteCertificate: RequestAnswer,
    GetInstalledCertificateIds: GetInstalledCertificateIdsAnswer,
    ShowPrice: RequestAnswer,
    CostUpdated: RequestAnswer,
    ShowFinalCost: RequestAnswer,
}
