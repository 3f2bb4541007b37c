"""What a station is built as: facts of its hardware and its installation, fixed until it restarts.

Guarantees
* Nothing in here is changed by a CSMS: what it may change is a variable (`variables.py`).
* A contradiction is a ValueError that names the field.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from forecourt.domain.meter import Measurand
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.station import BootReason, StationIdentity
from forecourt.domain.variable import VariableRef
from forecourt.quantities import IEC_61851_MINIMUM_A, NOMINAL_VOLTAGE_V

DEFAULT_MEASURANDS: Final = (
    Measurand.ENERGY_ACTIVE_IMPORT_REGISTER,
    Measurand.POWER_ACTIVE_IMPORT,
    Measurand.CURRENT_IMPORT,
    Measurand.VOLTAGE,
    Measurand.SOC,
)


class EvseConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One EVSE with its one connector."""

    maximum_a: float = 32.0
    """Per phase: the rating of cable, contactor and supply."""
    number_phases: int = 3
    has_lock: bool = True
    """A socket whose plug is locked in; False for a fixed cable (OCPP 1.6 errata §3.83)."""

    connector_type: ConnectorType | None = None
    """What a reservation may ask for; None: not told, so none that asks for a type gets it."""

    def __post_init__(self) -> None:
        if self.maximum_a <= 0:
            raise ValueError(f"maximum_a: expected more than 0, got {self.maximum_a}")
        if not 1 <= self.number_phases <= 3:
            raise ValueError(f"number_phases: expected 1 to 3, got {self.number_phases}")


class StationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A station: who it is, its EVSEs (ids 1, 2, ...), and how patient it is."""

    identity: StationIdentity
    evses: tuple[EvseConfig, ...] = (EvseConfig(),)
    maximum_a: float | None = None
    """Per phase, for all EVSEs together; None: each may draw its own maximum at the same time."""
    voltage_v: float = NOMINAL_VOLTAGE_V
    minimum_a: float = IEC_61851_MINIMUM_A
    """Less than this can't be offered to a car: it is offered nothing."""
    measurands: tuple[Measurand, ...] = DEFAULT_MEASURANDS
    """What the meters measure; Current.Offered and Power.Offered are known without a meter."""
    variables: Mapping[VariableRef, str] = {}
    """Initial values that differ from the table's, by variable."""
    boot_reason: BootReason = BootReason.POWER_UP
    """Told at the first boot; later ones know better."""
    boot_retry_s: float = 30.0
    """First wait after a boot that was not answered, or answered with an interval of 0; doubles up to the longest."""
    boot_retry_longest_s: float = 900.0
    hardware_patience_s: float = 15.0
    """How long a lock may take to answer, before it counts as failed."""
    reset_patience_s: float = 30.0
    """How long a graceful reset waits for the last messages to be delivered; they are in the journal anyway."""
    presence_patience_s: float = 60.0
    """How long after a restart the hardware may take to say whether the car of an open transaction is still there."""
    reading_persisted_every_s: float = 60.0
    """How old the journal's reading of an open transaction may be: the most that a power cut may lose."""
    clock_kept: bool = True
    """The computer's calendar is right after a start: its clock has a battery, or the network sets it before. False:
    until the CSMS has told the time, nobody knows it (`dating`)."""
    clock_tolerance_s: float = 1.0
    """A difference to the CSMS's time below this is taken for the message's way, and left alone."""
    cache_size: int = 500
    """How many tokens the authorization cache holds."""
    has_system: bool = False
    """There is a `System` that fetches and installs firmware and uploads logs; without one nobody may ask for that."""
    has_security: bool = False
    """There is a `Security` that keeps certificates: the station has the security extension."""
    unsigned_firmware: bool | None = None
    """Whether firmware without a signature may be installed; None: only where none can be verified (L01.FR.20)."""
    client_certificate: bool = False
    """The station shows a certificate to the CSMS and renews it, whatever SecurityProfile says of the connection."""
    security_profiles: tuple[int, ...] = ()
    """Under which security profiles whoever drives the core can connect; empty: as it does, and not otherwise."""
    renew_certificate_before_s: float = 30 * 86_400.0
    """How long before its end a certificate is renewed (A03.FR.02)."""
    file_transfer_protocols: tuple[str, ...] = ()
    """What the `System` can fetch from and upload to: FTP, FTPS, HTTP, HTTPS, SFTP."""
    transfer_retries: int = 3
    """How often a failed transfer is tried again if the CSMS does not say."""
    transfer_retry_interval_s: float = 60.0
    """How long to wait before that, if the CSMS does not say."""
    data_transfer_vendors: tuple[str, ...] = ()
    """Vendors whose messages an application behind the hardware answers (DataTransfer)."""
    security_log_size: int = 1000
    """Most entries of the security log; the oldest make room."""
    report_queue_size: int = 1000
    """Most reports that wait for the CSMS, unless all are critical."""
    publish_schedule_interval_s: float = 0.0
    """How often the hardware is told the limits to come even if none has changed (PublishChargingScheduleIntervalS);
    0: only when they have."""
    publish_schedule_duration_s: int = 600
    """How far ahead it is told (PublishChargingScheduleDurationS): further than to the next time."""

    def __post_init__(self) -> None:
        if not self.evses:
            raise ValueError("evses: a station has at least one")
        if self.maximum_a is not None and self.maximum_a <= 0:
            raise ValueError(f"maximum_a: expected more than 0, got {self.maximum_a}")
        if self.cache_size < 0:
            raise ValueError(f"cache_size: expected at least 0, got {self.cache_size}")
        if self.publish_schedule_interval_s < 0:
            raise ValueError(
                f"publish_schedule_interval_s: expected at least 0, got {self.publish_schedule_interval_s}"
            )
        if self.publish_schedule_duration_s <= self.publish_schedule_interval_s:
            raise ValueError(
                "publish_schedule_duration_s: expected more than publish_schedule_interval_s, which is "
                f"{self.publish_schedule_interval_s:g}, got {self.publish_schedule_duration_s}"
            )


_LONGEST_RETRY_WAIT_S: Final = 366 * 86_400


def retry_wait(config: StationConfig, asked_s: int | None) -> timedelta:
    """How long to wait before a transfer is tried again, if `asked_s` was asked for; at most a year."""
    wait_s = config.transfer_retry_interval_s if asked_s is None else min(max(0, asked_s), _LONGEST_RETRY_WAIT_S)
    return timedelta(seconds=wait_s)
