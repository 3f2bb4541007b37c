"""The capabilities of one station, put together.

Guarantees
* Each knows only those it is given here; the order below is the order of who may know whom.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from forecourt.domain.clock import Now
from forecourt.domain.journal import JournalState
from forecourt.domain.meter import Measurand
from forecourt.domain.profile_stack import SameLevel
from forecourt.domain.station import Capabilities
from forecourt.domain.variable import VariableRef
from forecourt.station.access import Access
from forecourt.station.authorization import Authorizer, LocalCheck
from forecourt.station.availability import Availability
from forecourt.station.boot import Boot, Registration
from forecourt.station.calls import Calls, StationClock
from forecourt.station.certificates import Certificates
from forecourt.station.charging import Charging
from forecourt.station.config import StationConfig
from forecourt.station.contracts import Contracts
from forecourt.station.costs import Costs
from forecourt.station.dating import DATED_FROM, latest_undated
from forecourt.station.evse import Evse
from forecourt.station.firmware import Firmware
from forecourt.station.local_list import LocalList
from forecourt.station.log_uploads import LogUploads
from forecourt.station.metering import Metering
from forecourt.station.outbox import Outbox
from forecourt.station.places import Wish
from forecourt.station.readable import Unreadable
from forecourt.station.reports import Reports
from forecourt.station.reservations import Reservations
from forecourt.station.reset import Resets
from forecourt.station.security_log import SecurityLog
from forecourt.station.sessions import Sessions
from forecourt.station.status import Ground, Status
from forecourt.station.stays import Stays
from forecourt.station.token_cache import TokenCache
from forecourt.station.transactions import SECTION as TRANSACTIONS
from forecourt.station.transactions import Transactions, decode_transaction
from forecourt.station.turn import Turn
from forecourt.station.unlocks import Unlocks
from forecourt.station.v2g import V2gCertificate
from forecourt.station.variable_table import (
    CACHE_FINAL,
    FEATURE_PROFILES,
    FILE_TRANSFER_PROTOCOLS,
    FIRMWARE_MANAGEMENT,
    LIST_FINAL,
    MODEL,
    NUMBER_OF_CONNECTORS,
    OF_HARDWARE,
    PHASE_ROTATION,
    PROFILES,
    SUPPLY_PHASES,
    TIME_SOURCE,
    TX_BEFORE_ACCEPTED,
    VENDOR_NAME,
)
from forecourt.station.variables import Variables
from forecourt.station.vendor_messages import VendorMessages

_ALWAYS_KNOWN: Final = (Measurand.CURRENT_OFFERED, Measurand.POWER_OFFERED)


class Parts:
    """All of a station. `new_id` gives transaction ids that nobody else gives."""

    def __init__(self, config: StationConfig, capabilities: Capabilities, new_id: Callable[[], str]) -> None:
        self.config = config
        self.capabilities = capabilities
        self.clock = StationClock(config.clock_tolerance_s)
        self.ground = Ground()
        self.evses = {number: Evse(number, evse) for number, evse in enumerate(config.evses, start=1)}
        self.known_to_csms = False
        """Whether the CSMS has ever accepted this station, as far as the journal knows."""
        self.unreadable: tuple[Unreadable, ...] = ()
        """What could not be read of the journal at this start."""
        evses = self.evses
        self.variables = Variables(_given(config), (*config.measurands, *_ALWAYS_KNOWN))
        self.calls = Calls()
        self.reports = Reports(self.calls, config.report_queue_size)
        self.security_log = SecurityLog(config, self.reports)
        self.boot = Boot(config, self.variables, self.calls, self.clock, self.security_log, self._date)
        self.outbox = Outbox(capabilities, self.variables, self.calls)
        self.status = Status(capabilities, self.variables, self.calls, self.ground, evses)
        apart = capabilities.register_apart_at_end
        self.metering = Metering(config, self.variables, evses, register_apart=apart)
        same_level = SameLevel.REPLACES if capabilities.profiles_replace_same_level else SameLevel.REFUSED
        self.charging = Charging(config, self.variables, self.outbox, self.ground, evses, same_level)
        self.transactions = Transactions(
            config,
            capabilities,
            self.variables,
            self.calls,
            self.outbox,
            self.metering,
            self.charging,
            evses,
            new_id,
        )
        self.local_list = LocalList(self.variables)
        self.cache = TokenCache(config, self.variables, self.local_list.is_listed)
        self.authorizer: Authorizer[Wish] = Authorizer(
            self.variables,
            self.calls,
            (
                LocalCheck(self.local_list.info, LIST_FINAL),
                LocalCheck(self.cache.info, CACHE_FINAL, self.cache.used),
            ),
        )
        self.reservations = Reservations(capabilities, self.variables, self.reports, self.ground, evses)
        self.sessions = Sessions(
            config,
            self.variables,
            self.ground,
            evses,
            self.authorizer,
            self.reservations,
            self.transactions,
            self.admits,
            self.status.update,
        )
        self.availability = Availability(self.ground, evses)
        self.vendor_messages = VendorMessages(config, self.calls)
        self.unlocks = Unlocks(config, self.charging, self.transactions)
        self.resets = Resets(
            config,
            self.variables,
            self.calls,
            self.outbox,
            self.transactions,
            evses,
            self.reports,
            self.security_log,
        )
        self.firmware = Firmware(config, capabilities, self.reports, self.security_log, self.resets, evses)
        self.log_uploads = LogUploads(config, capabilities, self.reports, self.security_log)
        self.certificates = Certificates(config, self.variables, self.calls, self.security_log)
        self.contracts = Contracts(config, self.variables, self.calls, self.certificates, self.sessions)
        self.v2g = V2gCertificate(config, self.variables, self.calls, self.certificates, self.security_log)
        self.stays = Stays(self.variables, self.calls, self.outbox, evses)
        self.costs = Costs(self.variables, self.calls, self.outbox, self.metering, evses, self.stays)
        self.access = Access(config, capabilities, self.variables, self.certificates)

    def begin_time(self, state: JournalState, now: Now) -> None:
        """After a start: whether the time is known, and if not, from where to count."""
        at = now.at + timedelta(seconds=self.clock.offset_s)
        follows = "Heartbeat" in self.variables.members(TIME_SOURCE)
        self.clock.known = not follows or (self.config.clock_kept and at >= DATED_FROM)
        if not self.clock.known:
            open_ = [decode_transaction(raw) for raw in state.get(TRANSACTIONS, {}).values()]
            start = latest_undated((*open_, *self.outbox.notices))
            self.clock.offset_s = (start - now.at).total_seconds()

    def _date(self, ahead: timedelta, turn: Turn) -> None:
        """The time has become known."""
        for part in (self.outbox, self.reports, self.security_log, self.transactions):
            part.date(ahead, turn)

    def admits(self) -> bool:
        """Whether transactions may begin: accepted, or known from before and not told otherwise (OCPP 1.6 §4.2.1)."""
        if self.resets.under_way:
            return False
        if self.calls.accepted or self.variables.boolean(TX_BEFORE_ACCEPTED):
            return True
        return self.known_to_csms and self.boot.registration is Registration.UNKNOWN and not self.calls.connected


def _given(config: StationConfig) -> dict[VariableRef, str]:
    """What the hardware says of itself, under what the configuration says of it.

    Raises:
        ValueError: the configuration contradicts the hardware.
    """
    if (fact := next((ref for ref in config.variables if ref in OF_HARDWARE), None)) is not None:
        raise ValueError(f"{fact}: is told by the hardware, it can't be set")
    rotation = ",".join(f"{number}.Unknown" for number, _ in enumerate(config.evses, start=1))
    return {
        NUMBER_OF_CONNECTORS: str(len(config.evses)),
        PHASE_ROTATION: rotation,
        SUPPLY_PHASES: str(max(evse.number_phases for evse in config.evses)),
        MODEL: config.identity.model,
        VENDOR_NAME: config.identity.vendor_name,
        FEATURE_PROFILES: ",".join((*PROFILES, *((FIRMWARE_MANAGEMENT,) if config.has_system else ()))),
        FILE_TRANSFER_PROTOCOLS: ",".join(config.file_transfer_protocols),
        **config.variables,
    }
