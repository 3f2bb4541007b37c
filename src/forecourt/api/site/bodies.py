"""What the administration API is told."""

from typing import Annotated

from msgspec import Meta

from forecourt.api.bodies import Asked, Instant
from forecourt.controller.by_hand import Step
from forecourt.controller.surplus import ChargeMode

Amperes = Annotated[float, Meta(ge=0, le=100_000)]
Watts = Annotated[float, Meta(ge=0, le=1_000_000_000)]


class LimitBody(Asked, frozen=True, kw_only=True):
    """A limit, in ampere on each line or in watts over all of them."""

    current_a: Amperes | None = None
    power_w: Watts | None = None
    until: Instant | None = None
    """When it ends by itself; null: when somebody takes it back."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.current_a is None) == (self.power_w is None):
            raise ValueError("current_a: expected one of current_a and power_w")


class PriorityBody(Asked, frozen=True, kw_only=True):
    """A larger number is served first, strictly."""

    priority: Annotated[int, Meta(ge=-1000, le=1000)] | None
    """null: as the site's file says."""


class ModeBody(Asked, frozen=True, kw_only=True):
    """How an EVSE is charged."""

    mode: ChargeMode


class WishBody(Asked, frozen=True, kw_only=True):
    """What the car that is there needs; it ends with the transaction."""

    departs_at: Instant | None = None
    energy_wh: Annotated[float, Meta(gt=0, le=10_000_000)] | None = None
    """For the whole transaction."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.departs_at is None and self.energy_wh is None:
            raise ValueError("departs_at: expected departs_at, energy_wh or both")


class DimBody(Asked, frozen=True, kw_only=True):
    """A grid operator's signal."""

    dimmed: bool


class CommissionBody(Asked, frozen=True, kw_only=True):
    """What a probe may do."""

    evse_id: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """null: where a car charges, else the first one."""
    reboot: bool = False
    """Whether the station may be restarted, where nobody charges."""


class UpstreamBody(Asked, frozen=True, kw_only=True):
    """Where a station is relayed to."""

    url: Annotated[str, Meta(pattern=r"^wss?://[^\s?#]+$", max_length=500)] | None = None
    """Without the station's id; null: where the site's file says."""
    password: Annotated[str, Meta(min_length=8, max_length=64)] | None = None
    """For Basic Auth; it is never shown again. null: as before."""


class TariffBody(Asked, frozen=True, kw_only=True):
    """Prices per kWh over time; each holds until the next one."""

    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=10_000)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(step.start.tzinfo is None for step in self.steps):
            raise ValueError("steps: every start must have a time zone")
        if any(later.start <= earlier.start for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("steps: every start must be later than the one before")
