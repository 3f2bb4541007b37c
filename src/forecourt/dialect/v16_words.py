"""Words of OCPP 1.6's requests and answers (chapter 7), as tables from and to the domain's.

Guarantees
* What is heard is spelt as in the domain. What can't be said becomes the nearest refusal of the message, never
  Accepted; only Scheduled, where a message has no such word, is Accepted: it will be done.
"""

from typing import Any, Final

from forecourt.dialect.wire import by_value, refusing
from forecourt.domain.requests import DataTransferStatus, RequestAnswer, RequestStatus, TriggeredMessage, UnlockStatus
from forecourt.domain.station import OperationalStatus
from forecourt.domain.variable import SetVariableStatus
from forecourt.messages import v16 as m

# Outcomes, as they are said

REMOTE_SAID: Final = refusing(RequestStatus, m.RemoteStartStopStatus, m.RemoteStartStopStatus.REJECTED) | {
    RequestStatus.SCHEDULED: m.RemoteStartStopStatus.ACCEPTED
}
RESET_SAID: Final = refusing(RequestStatus, m.ResetStatus, m.ResetStatus.REJECTED) | {
    RequestStatus.SCHEDULED: m.ResetStatus.ACCEPTED
}
AVAILABILITY_SAID: Final = refusing(RequestStatus, m.AvailabilityStatus, m.AvailabilityStatus.REJECTED)
TRIGGER_SAID: Final = refusing(RequestStatus, m.TriggerMessageStatus, m.TriggerMessageStatus.REJECTED) | {
    RequestStatus.NOT_SUPPORTED: m.TriggerMessageStatus.NOT_IMPLEMENTED,
    RequestStatus.SCHEDULED: m.TriggerMessageStatus.ACCEPTED,
}
PROFILE_SAID: Final = refusing(RequestStatus, m.ChargingProfileStatus, m.ChargingProfileStatus.REJECTED) | {
    RequestStatus.NOT_IMPLEMENTED: m.ChargingProfileStatus.NOT_SUPPORTED,
    RequestStatus.SCHEDULED: m.ChargingProfileStatus.ACCEPTED,
}
CLEAR_PROFILE_SAID: Final = refusing(
    RequestStatus, m.ClearChargingProfileStatus, m.ClearChargingProfileStatus.UNKNOWN
) | {RequestStatus.SCHEDULED: m.ClearChargingProfileStatus.ACCEPTED}
CLEAR_CACHE_SAID: Final = refusing(RequestStatus, m.ClearCacheStatus, m.ClearCacheStatus.REJECTED) | {
    RequestStatus.SCHEDULED: m.ClearCacheStatus.ACCEPTED
}
COMPOSITE_SAID: Final = refusing(RequestStatus, m.GetCompositeScheduleStatus, m.GetCompositeScheduleStatus.REJECTED)

UNLOCKS: Final = by_value(m.UnlockStatus, UnlockStatus)
UNLOCKS_SAID: Final = by_value(UnlockStatus, m.UnlockStatus) | {
    UnlockStatus.ONGOING_AUTHORIZED_TRANSACTION: m.UnlockStatus.UNLOCK_FAILED,
    UnlockStatus.UNKNOWN_CONNECTOR: m.UnlockStatus.NOT_SUPPORTED,  # errata 3.85
}
TRANSFERS: Final = by_value(m.DataTransferStatus, DataTransferStatus)
TRANSFERS_SAID: Final = by_value(DataTransferStatus, m.DataTransferStatus)

CONFIGURATIONS: Final = by_value(m.ConfigurationStatus, SetVariableStatus) | {
    m.ConfigurationStatus.NOT_SUPPORTED: SetVariableStatus.UNKNOWN_VARIABLE
}
CONFIGURATIONS_SAID: Final = refusing(SetVariableStatus, m.ConfigurationStatus, m.ConfigurationStatus.NOT_SUPPORTED)


def answer(wire: Any) -> RequestAnswer:
    """What every .conf says that is a status."""
    return RequestAnswer(outcome=RequestStatus(wire.status))


# What is asked

GRACEFUL: Final = {m.ResetType.HARD: False, m.ResetType.SOFT: True}
OPERATIONAL: Final = by_value(m.AvailabilityType, OperationalStatus)
OPERATIONAL_SAID: Final = by_value(OperationalStatus, m.AvailabilityType)
TRIGGERS: Final = by_value(m.MessageTrigger, TriggeredMessage)
TRIGGERS_SAID: Final = by_value(TriggeredMessage, m.MessageTrigger)
EXTENDED_TRIGGERS: Final = by_value(m.MessageTriggerEnum, TriggeredMessage) | {
    m.MessageTriggerEnum.SIGN_CHARGE_POINT_CERTIFICATE: TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE
}
EXTENDED_TRIGGERS_SAID: Final = {meant: word for word, meant in EXTENDED_TRIGGERS.items()}
