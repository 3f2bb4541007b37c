"""What an installer can set for a local controller. Read from TOML; every field has a default that works."""

from typing import Annotated, Literal

import msgspec

from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit

PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]


class OfflineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens while the CSMS can't be reached. All times on the protocol's clock, but for ages."""

    mode: Literal["autonomy", "strict"] = "autonomy"
    """`autonomy`: the controller stands in for the CSMS and tells it later. `strict`: stations are told to fall back,
    and then cut off until the CSMS is there again."""
    unknown_tokens: Literal["refuse", "accept"] = "refuse"
    """What to say of a token that neither local list nor cache knows."""
    token_age_s: PositiveSeconds = 30 * 86_400.0
    """How long what the CSMS has said of a token is believed."""
    boot_age_s: PositiveSeconds = 30 * 86_400.0
    """How long ago the CSMS may have accepted a station that boots now."""
    vouched_s: PositiveSeconds = 3_600.0
    """How long a token with which the CSMS has started a transaction is believed, where nothing else is known."""
    stop_on_invalid: bool = True
    """Whether a transaction ends whose token the CSMS, when it is there again, does not accept."""
    queue: Annotated[int, msgspec.Meta(ge=100)] = 10_000
    """How many messages of a station are kept; beyond that readings in the middle of transactions are let go."""
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 3
    """A kept message that the CSMS refuses so often is put aside."""
    retry_s: PositiveSeconds = 60.0
    """Before a kept message that was refused, or not answered, is sent again."""
    greeting_s: PositiveSeconds = 5.0
    """A station that was accepted before and does not boot within this time after connecting has not restarted."""
    grace_s: PositiveSeconds = 30.0
    """How long the upstream connection of a station that was lost stays open."""


class LimitKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variable of a vendor's own by which a station can be limited, where it takes no charging profile."""

    key: Annotated[str, msgspec.Meta(min_length=1)]
    """A configuration key, or Component.Variable (OCPP 2.0.1). `{evse}` stands for the number of the EVSE; without it
    the key is the station's as a whole, and of use only where that has one EVSE."""
    unit: ChargingRateUnit = ChargingRateUnit.A
    """Ampere on each phase, or watts of all. What is set are whole ones, rounded down."""


Preset = Literal["full", "chargepilot"]


class ControllerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are seconds; those of the world (leases, settling) run on `Now.elapsed_s`."""

    preset: Preset = "full"
    """Which policy table says what passes."""
    lease_s: PositiveSeconds = 900.0
    """How long a limit holds at a station that hears nothing more; then it falls back by itself. Renewed at half."""
    lease_grace_s: PositiveSeconds = 60.0
    """How late a station may act on the end of a lease, its clock's error included."""
    backdate_s: PositiveSeconds = 3600.0
    """Schedules begin this long ago, so that a station whose clock is slow by less obeys at once all the same."""
    settle_s: PositiveSeconds = 10.0
    """How long a car may take to follow a new limit (IEC 61851-1: 5 s, and a margin)."""
    evidence_s: PositiveSeconds = 60.0
    """Without a reading for this long after settling, the controller asks for one."""
    patience_s: PositiveSeconds = 300.0
    """When readings that don't tell the phases apart begin to count as evidence."""
    decide_interval_s: PositiveSeconds = 1.0
    """At most one allocation in this time, on the protocol's clock."""
    answer_timeout_s: PositiveSeconds = 30.0
    """How long a station may take to answer, on the protocol's clock."""
    retry_s: PositiveSeconds = 30.0
    """How long to wait before a limit that was refused or unanswered is tried again, on the protocol's clock."""
    raise_step_a: PositiveSeconds = 0.5
    """Smaller raises aren't worth a message."""
    pause_s: PositiveSeconds = 300.0
    """A car that takes nothing for this long keeps only its minimum reserved."""
    appetite_s: PositiveSeconds = 120.0
    """A car that takes less than offered for this long is offered only a little more than it takes."""
    offender_pause_s: PositiveSeconds = 300.0
    """A car that drew more than its limit gets nothing for so long."""
    defiance_s: PositiveSeconds = 60.0
    """One that goes on for so long though it was paused is quarantined."""
    offences: Annotated[int, msgspec.Meta(ge=1)] = 3
    """So is one that offends so often in one visit."""
    stop_offenders: bool = True
    """Whether a transaction is ended by a remote stop where its EVSE can't be limited: its car is quarantined, or its
    station has refused every form of limit."""
    never_connected: Literal["maximum", "fallback"] = "maximum"
    """With what a station counts that has never connected: its EVSEs' maximum, or, where an installer has seen to it
    that it holds its fallback or isn't there yet, that. Once it connects it counts with the maximum until it confirms a
    limit."""
    sample_interval_s: PositiveSeconds | None = None
    """How often stations report readings to the control, current included (10 to 30 s is good); None: when and what the
    CSMS has them report."""
    profile_id: int = 9001
    """Id of the base profile that the controller keeps on EVSE 1; the next EVSEs count on from it. A transaction's
    profile has the same id and `bound_profile_offset` more."""
    bound_profile_offset: int = 500
    stack_level: int = 0
    """Where in the stack of its purpose. The controller is the only one to install profiles, so the lowest will do."""
    rate_units: tuple[ChargingRateUnit, ...] = (ChargingRateUnit.A, ChargingRateUnit.W)
    """In which units to express a limit: the next one is tried when a station refuses."""
    base_purposes: tuple[ChargingProfilePurpose, ...] = (
        ChargingProfilePurpose.TX_DEFAULT,
        ChargingProfilePurpose.STATION_MAX,
    )
    """What to make of the base limit. The second limits the station as a whole: only where it has one EVSE."""
    other_stack_levels: tuple[int, ...] = (1,)
    """Tried where a station refuses every profile at `stack_level`."""
    recurring: bool = True
    """Whether to try a Recurring profile where no Absolute one is taken. It has no end, so nothing is given to others
    that such a station might draw."""
    limit_keys: dict[str, LimitKey] = {}
    """By station (`CP-1`, `ABB-*`): what to try at last, where it takes no profile at all. It has no end either."""
    offline: OfflineSettings = OfflineSettings()
    transaction_profiles: bool = True
    """Whether to give a transaction its limit by a TxProfile. False, or refused: the base profile is changed."""
