"""The minimum required error codes of the ChargeX consortium (MREC), for those who want errors told by them.

Guarantees
* A fault whose code is on the list is told with its number as vendorErrorCode; its type, which stood there, follows its
  origin in info (white paper on improving uptime, appendix; https://inl.gov/chargex/mrec/).
* Faults are told one by one, and Faulted means that no energy can be delivered, as OCPP 1.6 §4.9 has it: the list wants
  several in one message, and Faulted for each.
"""

from typing import Final

import msgspec

from forecourt.domain.station import ConnectorError

_INFO_LENGTH: Final = 50

_NAMES: Final = (
    "ConnectorLockFailure",
    "GroundFailure",
    "HighTemperature",
    "OverCurrentFailure",
    "OverVoltage",
    "UnderVoltage",
    "WeakSignal",
    "EmergencyStop",
    "AuthorizationTimeout",
    "InvalidVehicleMode",
    "CableCheckFailure",
    "PreChargeFailure",
    "NoInternet",
    "PilotFault",
    "PowerLoss",
    "EVContactorFault",
    "EVSEContactorFault",
    "CableOverTempDerate",
    "CableOverTempStop",
    "PartialInsertion",
    "CapacitanceFault",
    "ResistanceFault",
    "ProximityFault",
    "ConnectorVoltageHigh",
    "BrokenLatch",
    "CutCable",
)
REQUIRED: Final = {name: f"CX{number:03d}" for number, name in enumerate(_NAMES, start=1)}
"""Numbers by code."""


def with_required_code(error: ConnectorError) -> ConnectorError:
    """`error` by its number; as it is where it has none."""
    number = REQUIRED.get(error.code)
    if number is None:
        return error
    info = " ".join(part for part in (error.info, error.vendor_error_code) if part)[:_INFO_LENGTH]
    return msgspec.structs.replace(error, info=info or None, vendor_error_code=number)
