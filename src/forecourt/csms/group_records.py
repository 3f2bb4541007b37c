"""What the books hold of load groups, of what drivers want, and of profiles that are assigned, as immutable records.

Guarantees
* Every record belongs to an organisation, as those of `records` do; `number` is our own key and never on the wire.
* What a group's status says of a member is what the books knew when it was decided: `allowed_a` is what the member may
  draw, seen from the worst side, not what was hoped.
"""

from datetime import datetime, time
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from forecourt.csms.group_terms import GroupLimit, Terms
from forecourt.csms.records import Record
from forecourt.domain.profile import ChargingProfile, ChargingProfilePurpose, ChargingRateUnit
from forecourt.domain.sentence import Sentence
from forecourt.quantities import IEC_61851_MINIMUM_A, Phase

# Load groups

Ampere = Annotated[float, Meta(ge=0, le=10_000)]


class GroupMember(Terms, frozen=True, kw_only=True):
    """One EVSE, all EVSEs of a station, or all stations of a location; the closer one counts."""

    station_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    evse_id: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    location_id: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    """A larger number is served first, strictly."""
    minimum_a: Ampere = IEC_61851_MINIMUM_A
    """What a car must have to charge: it gets this or more, or nothing."""
    maximum_a: Annotated[float, Meta(gt=0, le=10_000)] = 32.0
    """What the EVSE can draw, ampere per phase; it is counted with this as long as nothing limits it."""
    fallback_a: Ampere = 0.0
    """What it holds by itself without word from here; always kept free for it. 0, or from minimum to maximum."""
    phases: Annotated[int, Meta(ge=1, le=3)] = 3
    rotation: tuple[Phase, ...] | None = None
    """The group's line for each of its own phases; None: not known, counted on all."""

    def __post_init__(self) -> None:
        if (self.station_id is None) == (self.location_id is None):
            raise ValueError("station_id: either it or location_id must be given")
        if self.evse_id is not None and self.station_id is None:
            raise ValueError("evse_id: needs station_id")
        if self.minimum_a > self.maximum_a:
            raise ValueError("minimum_a: is more than maximum_a")
        if self.fallback_a and not self.minimum_a <= self.fallback_a <= self.maximum_a:
            raise ValueError("fallback_a: must be 0, or from minimum_a to maximum_a")
        if self.rotation is not None and (
            len(self.rotation) != self.phases or len(set(self.rotation)) != len(self.rotation)
        ):
            raise ValueError("rotation: must name a different line for each phase")

    @property
    def closeness(self) -> int:
        """The larger counts where an EVSE is meant twice."""
        if self.location_id is not None:
            return 0
        return 1 if self.evse_id is None else 2


class MemberState(StrEnum):
    """How a member of a group does."""

    IDLE = "idle"
    """Nothing charges there."""
    CHARGING = "charging"
    """It has a share."""
    WAITING = "waiting"
    """It wants a share and has none."""
    REDUCING = "reducing"
    """It is to have less, and hasn't accepted it yet."""
    OFFLINE = "offline"
    """Its station isn't connected: counted with what it was last told."""
    UNLIMITED = "unlimited"
    """Nothing that it has accepted limits it (any more): counted with its maximum."""


class MemberStatus(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An EVSE of a group, and what it may draw."""

    station_id: str
    evse_id: int
    state: MemberState
    share_a: float
    """What was decided."""
    allowed_a: float
    """What it may draw at most, by what it has accepted, or may have."""
    reason: str
    """Why, in words."""
    sentence: Sentence | None = None
    """The same for other languages."""
    transaction_number: int | None = None
    measured_a: float | None = None
    refused: bool = False
    """It refuses every form of limit."""


class GroupStatus(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided last. Limits and sums are ampere per phase or watts, as the group's limit is."""

    decided_at: datetime
    rate_limit: float
    """The lowest from now until what is said now has been heard."""
    because: str
    """Where that limit comes from."""
    allowed: float
    """What all members may draw together; of ampere, on the line that has most."""
    unreachable: float
    """The part of it that nobody can lower now: offline, refusing, or not answering."""
    kept: bool
    """Whether what they may draw is within the limit."""
    members: tuple[MemberStatus, ...] = ()
    problem: str | None = None


class LoadGroup(Record, frozen=True, kw_only=True):
    """EVSEs that share a limit."""

    number: int
    organisation_id: int
    name: str
    parent_number: int | None = None
    """The group that this one is part of: both limits hold."""
    active: bool = True
    terms: GroupLimit
    members: tuple[GroupMember, ...] = ()
    status: GroupStatus | None = None
    """None: nothing was decided yet."""
    keeper: str | None = None
    """The process that keeps it, until `keeper_until`."""
    keeper_until: datetime | None = None
    created_at: datetime
    updated_at: datetime


class GroupEvse(Record, frozen=True, kw_only=True):
    """An EVSE that is or was a member somewhere: the ids of its profiles, always the same, so that one replaces
    another."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    evse_id: int
    base_profile_id: int
    transaction_profile_id: int
    created_at: datetime
    updated_at: datetime


# What drivers want


class WishSource(StrEnum):
    """Who says so."""

    PERSON = "person"
    STATION = "station"
    TOKEN = "token"  # noqa: S105 - a card, not a secret


class TransactionWish(Record, frozen=True, kw_only=True):
    """What is wanted of a transaction. None: not known."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    transaction_number: int
    source: WishSource
    departs_at: datetime | None = None
    energy_wh: float | None = None
    """For the whole transaction."""
    created_at: datetime
    updated_at: datetime


class TokenWish(Record, frozen=True, kw_only=True):
    """What a token wants of each transaction, unless somebody says otherwise."""

    number: int
    organisation_id: int
    id_token: str
    """In small letters."""
    departs: time | None = None
    """By the clock on the wall of `time_zone`, the next time it is that late."""
    time_zone: str = "UTC"
    energy_wh: float | None = None
    created_at: datetime
    updated_at: datetime


class WishInForce(Record, frozen=True, kw_only=True):
    """What counts for a transaction, and who said it."""

    departs_at: datetime | None = None
    energy_wh: float | None = None
    departs_source: WishSource | None = None
    energy_source: WishSource | None = None


# Profiles that are stored, and assigned


class StoredProfile(Record, frozen=True, kw_only=True):
    """A charging profile under a name, to be assigned."""

    number: int
    organisation_id: int
    name: str
    profile: ChargingProfile
    created_at: datetime
    updated_at: datetime


class AssignmentState(StrEnum):
    """Where an assignment is."""

    PENDING = "pending"
    """To be sent, or sent again: the station was not reached yet."""
    SENT = "sent"
    INSTALLED = "installed"
    FAILED = "failed"
    """The station refused every form."""
    REMOVED = "removed"
    """Taken off again, or replaced by something else."""


class Attempt(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One form in which a profile was sent."""

    purpose: ChargingProfilePurpose
    rate_unit: ChargingRateUnit
    stack_level: int
    command_id: str
    outcome: str | None = None
    """What became of it: the command's state; None: it is on its way."""
    detail: str | None = None


class ProfileAssignment(Record, frozen=True, kw_only=True):
    """A profile that an EVSE shall have, and what came of it."""

    number: int
    organisation_id: int
    station_number: int
    station_id: str
    evse_id: int
    stored_number: int | None = None
    profile: ChargingProfile
    """As it was meant; with the id that goes over the wire."""
    state: AssignmentState = AssignmentState.PENDING
    fall_back: bool = True
    """Whether other units, purposes and stack levels may be tried."""
    attempts: tuple[Attempt, ...] = ()
    detail: str | None = None
    created_at: datetime
    updated_at: datetime
