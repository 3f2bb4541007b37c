"""Security events: what happened that matters for security, kept in a log and told to the CSMS.

Guarantees
* Every event is in the security log, in the turn it happened in, critical or not (security white paper A04.FR.04,
  N01.FR.05). The log rolls: its oldest entries make room.
* Every event is queued for the CSMS; those that §8 calls critical are never dropped (A04.FR.01, A04.FR.02).
* A station without the security extension keeps no log and tells nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.domain.events import SecurityEventReported
from forecourt.station.config import StationConfig
from forecourt.station.dating import dated
from forecourt.station.reports import Reports
from forecourt.station.turn import Turn

SECTION: Final = "security_log"

_INFO_LENGTH: Final = 255


class SecurityEvent(StrEnum):
    """The events that have names (security white paper §8, in the words of the OCPP 2.0.1 appendices)."""

    FIRMWARE_UPDATED = "FirmwareUpdated"
    FAILED_TO_AUTHENTICATE_AT_CSMS = "FailedToAuthenticateAtCsms"
    CSMS_FAILED_TO_AUTHENTICATE = "CsmsFailedToAuthenticate"
    SETTING_SYSTEM_TIME = "SettingSystemTime"
    STARTUP_OF_THE_DEVICE = "StartupOfTheDevice"
    RESET_OR_REBOOT = "ResetOrReboot"
    SECURITY_LOG_WAS_CLEARED = "SecurityLogWasCleared"
    RECONFIGURATION_OF_SECURITY_PARAMETERS = "ReconfigurationOfSecurityParameters"
    MEMORY_EXHAUSTION = "MemoryExhaustion"
    INVALID_MESSAGES = "InvalidMessages"
    ATTEMPTED_REPLAY_ATTACKS = "AttemptedReplayAttacks"
    TAMPER_DETECTION_ACTIVATED = "TamperDetectionActivated"
    INVALID_FIRMWARE_SIGNATURE = "InvalidFirmwareSignature"
    INVALID_FIRMWARE_SIGNING_CERTIFICATE = "InvalidFirmwareSigningCertificate"
    INVALID_CSMS_CERTIFICATE = "InvalidCsmsCertificate"
    INVALID_CHARGING_STATION_CERTIFICATE = "InvalidChargingStationCertificate"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_TLS_CIPHER_SUITE = "InvalidTLSCipherSuite"


CRITICAL: Final = frozenset(
    {
        SecurityEvent.FIRMWARE_UPDATED,
        SecurityEvent.SETTING_SYSTEM_TIME,
        SecurityEvent.STARTUP_OF_THE_DEVICE,
        SecurityEvent.RESET_OR_REBOOT,
        SecurityEvent.SECURITY_LOG_WAS_CLEARED,
        SecurityEvent.MEMORY_EXHAUSTION,
        SecurityEvent.TAMPER_DETECTION_ACTIVATED,
    }
)
"""By the table of §8."""


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the security log."""

    at: datetime
    event_type: str
    tech_info: str | None = None


decode_record = msgspec.json.Decoder(LogEntry).decode


class SecurityLog:
    """The security log of one station, and the telling of it."""

    __slots__ = ("_config", "_entries", "_last", "_reports")

    def __init__(self, config: StationConfig, reports: Reports) -> None:
        self._config = config
        self._reports = reports
        self._entries: dict[int, LogEntry] = {}
        self._last = 0

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take over what the journal holds."""
        for key, raw in sorted(kept.items()):
            self._last = int(key)
            self._entries[self._last] = decode_record(raw)

    def note(self, event_type: str, turn: Turn, tech_info: str | None = None, *, critical: bool | None = None) -> None:
        """It has happened now. `critical` None: as the table says; a vendor's own events are not."""
        if not self._config.has_security:
            return
        tech_info = None if tech_info is None else tech_info[:_INFO_LENGTH]
        self._last += 1
        entry = LogEntry(turn.at, event_type, tech_info)
        self._entries[self._last] = entry
        turn.put(SECTION, f"{self._last:016d}", entry)
        while len(self._entries) > self._config.security_log_size:
            oldest = next(iter(self._entries))
            del self._entries[oldest]
            turn.delete(SECTION, f"{oldest:016d}")
        event = SecurityEventReported(event_type=event_type, at=turn.at, tech_info=tech_info)
        self._reports.add(event, turn, critical=event_type in CRITICAL if critical is None else critical)

    def clear(self, turn: Turn) -> None:
        """Forget the log; that this was done is its first entry (§8, SecurityLogWasCleared)."""
        self._entries.clear()
        turn.clear(SECTION)
        self.note(SecurityEvent.SECURITY_LOG_WAS_CLEARED, turn)

    def date(self, ahead: timedelta, turn: Turn) -> None:
        """The time has become known: what was stamped before gets its true time (`dating`)."""
        for number, entry in self._entries.items():
            if (made := dated(entry, ahead)) is not entry:
                self._entries[number] = made
                turn.put(SECTION, f"{number:016d}", made)

    def entries(self, oldest_at: datetime | None = None, latest_at: datetime | None = None) -> tuple[LogEntry, ...]:
        """The log, oldest first, as far as it lies between the two."""
        return tuple(
            entry
            for entry in self._entries.values()
            if (oldest_at is None or entry.at >= oldest_at) and (latest_at is None or entry.at <= latest_at)
        )
