"""The knobs of a CSMS, with their defaults; the app loads them from TOML.

Guarantees
* Every default is safe to keep: unknown stations and unknown tokens are refused, everything answered is durable.
* A value that can't be is refused with the name of its field (ValueError).
"""

from enum import StrEnum

import msgspec

from forecourt.csms.group_settings import GroupSettings
from forecourt.csms.money_settings import MoneySettings
from forecourt.csms.people_settings import PeopleSettings
from forecourt.csms.resource_settings import ResourceSettings
from forecourt.csms.site_settings import SiteSettings
from forecourt.domain.variable import VariableSetting


class UnknownStationPolicy(StrEnum):
    """What becomes of a station that connects with an identity nobody has entered."""

    REFUSE = "refuse"
    """Its connection is refused."""
    ACCEPT = "accept"
    """It is entered into the books and accepted at its boot."""
    PENDING = "pending"
    """It is entered into the books, and its boots are answered Pending until an operator accepts it."""


class UnknownTokenPolicy(StrEnum):
    """What becomes of a token that nobody has entered."""

    REJECT = "reject"
    """It is Invalid (OCPP 1.6 §4.1, OCPP 2.0.1 C01)."""
    ACCEPT = "accept"
    """It may charge; it isn't entered into the books."""


class CsmsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times ending in `_s` are seconds."""

    unknown_stations: UnknownStationPolicy = UnknownStationPolicy.REFUSE
    unknown_tokens: UnknownTokenPolicy = UnknownTokenPolicy.REJECT
    unproved_contracts: bool = False
    """Whether a contract may charge of whose certificates no responder's answer could be proved."""
    concurrent_transactions: bool = True
    """Whether one token may have several transactions at a time; else the second start is ConcurrentTx."""

    heartbeat_interval_s: int = 300
    """What an accepted station is told at boot (OCPP 1.6 §4.2, OCPP 2.0.1 B02.FR.01)."""
    boot_retry_interval_s: int = 60
    """What a pending or rejected station is told to wait before it boots again."""
    interval_jitter: float = 0.0
    """How far, as a part of them, those two differ from station to station: 0.1 for a large fleet, so that stations
    that came back at once don't go on saying everything at once."""
    unsolicited_calls: bool = True
    """False: the CSMS never sends a call by itself, only what the API asks for (for conformance tests)."""
    desired_variables: tuple[VariableSetting, ...] = ()
    """What every station shall be configured to, compared and pushed at boot. A station's own wishes come on top."""

    command_timeout_s: float = 30.0
    """Deadline of a command that gives none: from when it is stored until its answer."""
    command_queue: int = 100
    """Commands that may wait for one station's socket; more are refused."""
    sweep_interval_s: float = 5.0
    """How often commands past their deadline and old records are looked for."""

    drain_s: float = 30.0
    """At a stop, stations are asked to come back one after the other, over so long at most."""
    drain_notice_s: float = 0.0
    """How long /readyz says no before that, so that a load balancer sends nobody here any more."""

    maximum_power_w: float = 1_000_000.0
    """More energy than this power could have carried since the start is implausible: such a reading is suspect."""
    energy_tolerance_wh: float = 1_000.0
    """Slack of that check, for clocks that are a little off."""
    charging_threshold_w: float = 50.0
    """A car that draws less is shown as plugged in, not as charging, whatever its station says."""

    lenient_decoding: bool = True
    """Take in what can be understood of a message that violates its schema, and keep the violation on record. A
    station's own `lenient_decoding` stands above it."""
    keep_messages: bool = True
    """Keep every frame for the message history."""
    message_retention_s: float = 14 * 86_400.0
    meter_retention_s: float | None = None
    """None: meter values are kept for ever."""
    event_retention_s: float = 7 * 86_400.0
    """How far back the event stream can be replayed."""
    unlogged_events: tuple[str, ...] = ("ocpp.message",)
    """Event types that only those listening at the time get; they can't be replayed."""

    refuse_plain: bool = False
    """True: no station is let in without TLS, whatever its security profile and wherever it connects."""
    cpo_names: tuple[str, ...] = ()
    """Whom a station's certificate must belong to: one of these is its organizationName (security white paper
    A00.FR.404, OCPP 2.0.1 A00.FR.404). Empty: not looked at, as it may be when the roots sign for nobody else."""
    shortest_password: int = 16
    """Octets that a station's password must have (A00.FR.205). Less is for stations that can't have more."""
    failed_logins_per_station: int = 10
    """Failed logins in the name of one station within `failed_login_window_s`; more attempts aren't looked at."""
    failed_logins_per_address: int = 100
    """The same from one address, behind which there may be many stations."""
    failed_login_window_s: float = 300.0

    money: MoneySettings = MoneySettings()
    resources: ResourceSettings = ResourceSettings()
    people: PeopleSettings = PeopleSettings()
    sites: SiteSettings = SiteSettings()
    groups: GroupSettings = GroupSettings()

    inbox: int = 32
    """Messages of one station taken in ahead of their turn; then the station is slowed down."""

    def __post_init__(self) -> None:
        for field in (
            "heartbeat_interval_s", "boot_retry_interval_s", "command_timeout_s", "command_queue", "sweep_interval_s",
            "maximum_power_w", "message_retention_s", "event_retention_s", "inbox",
            "shortest_password", "failed_logins_per_station", "failed_logins_per_address", "failed_login_window_s",
        ):  # fmt: skip
            if not getattr(self, field) > 0:
                raise ValueError(f"{field}: must be more than 0")
        for field in ("energy_tolerance_wh", "charging_threshold_w", "drain_s", "drain_notice_s"):
            if not getattr(self, field) >= 0:
                raise ValueError(f"{field}: must be at least 0")
        if not 0 <= self.interval_jitter < 1:
            raise ValueError("interval_jitter: must be at least 0 and less than 1")
        if self.meter_retention_s is not None and not self.meter_retention_s > 0:
            raise ValueError("meter_retention_s: must be more than 0")
