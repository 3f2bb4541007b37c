"""What counts as accepted and what as rejected, when a station has answered a command.

A command is `accepted` when the station says that it does, or will do, what was asked; `rejected` when it says
anything else. An error in answer to the message is neither: `call_error`. The station's own word is kept verbatim.

Typed commands are judged by the domain's answer:

===========================  =============================  ==================================================
answer                       accepted                       rejected
===========================  =============================  ==================================================
plain, start, composite,     Accepted, Scheduled,           Rejected, NotSupported, NotImplemented, Unknown, and
log, certificates            AcceptedCanceled               every other word
version of the local list    a version                      the station keeps no list
unlock                       Unlocked                       UnlockFailed, OngoingAuthorizedTransaction,
                                                            UnknownConnector, NotSupported
setting variables            every one of them Accepted     any other word for any of them
                             or RebootRequired
reading variables            Accepted, Scheduled: what      Rejected, NotSupported and the like, for a report
                             can't be read is said          of all variables
                             variable by variable
data transfer                Accepted                       Rejected, UnknownMessageId, UnknownVendorId
===========================  =============================  ==================================================

Raw commands are judged by the member `status` of the answer, the same way for every action: `ACCEPTED_WORDS` are
accepted, every other word is rejected. Where there is no such member, but a list of results with `attributeStatus` or
`status` each (setting variables or monitors), all must be accepted. An answer without any of them is `accepted`: it
brought what was asked for.
"""

from typing import Any, Final

import msgspec

from forecourt.csms.command_records import CommandState
from forecourt.domain.requests import (
    CompositeScheduleAnswer,
    CsmsRequestAnswer,
    DataTransferAnswer,
    DataTransferStatus,
    GetInstalledCertificateIdsAnswer,
    GetLogAnswer,
    GetVariablesAnswer,
    LocalListVersionAnswer,
    RequestAnswer,
    RequestStatus,
    SetVariablesAnswer,
    StartAnswer,
    UnlockAnswer,
    UnlockStatus,
)
from forecourt.domain.variable import SetVariableStatus

ACCEPTED_WORDS: Final = frozenset(
    {"Accepted", "AcceptedCanceled", "AcceptedWithQueue", "Scheduled", "RebootRequired", "Unlocked"}
)
"""AcceptedCanceled: a log upload or update takes the place of another. NoTransaction and the like are rejections."""

_RESULT_LISTS: Final = ("setVariableResult", "setMonitoringResult", "clearMonitoringResult")
_RESULT_WORDS: Final = ("attributeStatus", "status")
_SET: Final = frozenset({SetVariableStatus.ACCEPTED, SetVariableStatus.REBOOT_REQUIRED})
_DONE: Final = frozenset({RequestStatus.ACCEPTED, RequestStatus.SCHEDULED, RequestStatus.ACCEPTED_CANCELED})


def outcome_of(answer: CsmsRequestAnswer) -> CommandState:
    """Of a typed command."""
    accepted: bool
    match answer:
        case (
            RequestAnswer()
            | StartAnswer()
            | CompositeScheduleAnswer()
            | GetVariablesAnswer()
            | GetLogAnswer()
            | GetInstalledCertificateIdsAnswer()
        ):
            accepted = answer.outcome in _DONE
        case LocalListVersionAnswer():
            accepted = answer.version is not None
        case UnlockAnswer():
            accepted = answer.outcome is UnlockStatus.UNLOCKED
        case SetVariablesAnswer():
            accepted = all(result.outcome in _SET for result in answer.results)
        case DataTransferAnswer():
            accepted = answer.outcome is DataTransferStatus.ACCEPTED
    return CommandState.ACCEPTED if accepted else CommandState.REJECTED


def raw_outcome_of(payload: bytes) -> CommandState:
    """Of a raw command, by the payload of its result, which is a JSON object."""
    answer: Any = msgspec.json.decode(payload)
    words: list[Any] = []
    if "status" in answer:
        words.append(answer["status"])
    else:
        for name in _RESULT_LISTS:
            results = answer.get(name)
            for result in results if isinstance(results, list) else ():
                words += [result[key] for key in _RESULT_WORDS if isinstance(result, dict) and key in result]
    accepted = all(isinstance(word, str) and word in ACCEPTED_WORDS for word in words)
    return CommandState.ACCEPTED if accepted else CommandState.REJECTED
