"""Charging stations: registration, EVSEs and connectors, and what a station or its protocol can do."""

from enum import StrEnum

import msgspec

from forecourt.domain.profile import ChargingRateUnit


class RegistrationStatus(StrEnum):
    """What the CSMS says to a boot (OCPP 1.6 §4.2, OCPP 2.0.1 B01 to B03)."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class BootReason(StrEnum):
    """Why a station booted; UNKNOWN where the protocol does not say."""

    APPLICATION_RESET = "ApplicationReset"
    FIRMWARE_UPDATE = "FirmwareUpdate"
    LOCAL_RESET = "LocalReset"
    POWER_UP = "PowerUp"
    REMOTE_RESET = "RemoteReset"
    SCHEDULED_RESET = "ScheduledReset"
    TRIGGERED = "Triggered"
    UNKNOWN = "Unknown"
    WATCHDOG = "Watchdog"


class ConnectorStatus(StrEnum):
    """The state of a connector as OCPP 2.x names it; what charging does is `ChargingState`."""

    AVAILABLE = "Available"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class OperationalStatus(StrEnum):
    """Whether an EVSE may be used."""

    OPERATIVE = "Operative"
    INOPERATIVE = "Inoperative"


class ResetType(StrEnum):
    """When to reset (OCPP 2.0.1 B11, B12)."""

    IMMEDIATE = "Immediate"
    ON_IDLE = "OnIdle"


class StationIdentity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a station says of itself when it boots."""

    vendor_name: str
    model: str
    serial_number: str | None = None
    firmware_version: str | None = None
    modem_iccid: str | None = None
    modem_imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
    controller_serial_number: str | None = None
    """A second serial number that older stations report (1.6: chargeBoxSerialNumber)."""


class ConnectorError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error that a station reports with a connector's state."""

    code: str
    """A code of the protocol, such as GroundFailure; OtherError with a vendor's code otherwise."""
    info: str | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a protocol can express: differences between OCPP versions, as data."""

    csms_issues_transaction_ids: bool
    """The CSMS answers a started transaction with the id that later messages use."""
    sequence_numbers: bool
    """Messages of a transaction are numbered, so that a gap is seen."""
    reports_charging_state_without_transaction: bool
    """The state of charging is part of the connector's state, not of the transaction's."""
    variables_in_batches: bool
    """Several variables can be set by one request."""
    reset_on_idle: bool
    """A reset can wait for the end of the transactions."""
    reports_variables_in_parts: bool = False
    """All variables are reported by `VariablesReported`, not by the answer to the request for them."""
    unlock_ends_transaction: bool = False
    """Unlocking a connector ends the transaction there; elsewhere it is refused while one is on."""
    profiles_replace_same_level: bool = False
    """A profile takes the place of one with its purpose, stack level and EVSE; elsewhere it is refused."""
    register_apart_at_end: bool = False
    """The energy register at the end has a field of its own, besides the meter values."""
    plain_jobs_without_id: bool = False
    """An update without a signature, and an upload of diagnostics, have no request id, nor have their events."""
    security_extension: bool = False
    """Certificates, signed updates, logs with a request id and security events belong to an extension that a station
    need not have: it may answer them with an error (security white paper)."""
    iso15118_by_data_transfer: bool = False
    """What is about ISO 15118 goes as a vendor's message, which a station or CSMS may answer as unknown."""
    prices_by_messages: bool = False
    """A driver's price and the final cost have messages of their own; elsewhere they go with answers."""
    certificate_uses_at_once: bool = True
    """Installed certificates of several uses, or of all, can be asked for by one request."""
    reports_reservation_ends: bool = True
    """A station tells when a reservation has expired or been removed; elsewhere its connector's state tells."""
    charging_rate_units: tuple[ChargingRateUnit, ...] = (ChargingRateUnit.A, ChargingRateUnit.W)
