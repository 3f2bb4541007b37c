"""The knobs of load groups, with their defaults.

Guarantees
* A value that can't be is refused with the name of its field (ValueError).
"""

import msgspec


class GroupSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times ending in `_s` are seconds."""

    interval_s: float = 5.0
    """How often groups are looked at, besides when something happens at a station."""
    lease_s: float = 3600.0
    """How long a station holds a share without word from here; then it holds its fallback."""
    lead_s: float = 30.0
    """How long before a lower limit begins it is decided by: stations need time to answer, and cars to follow."""
    backdate_s: float = 300.0
    """How far in the past a profile begins, so that a station whose clock is slow obeys at once."""
    clock_slack_s: float = 60.0
    """How late a station's clock may be with the end of a lease."""
    retry_s: float = 60.0
    """When a station that refuses every form, or didn't answer, is asked again."""
    raise_step_a: float = 0.5
    """Less isn't worth a raise."""
    settle_s: float = 60.0
    """How long a car may take to follow its limit, before what it draws is taken for what it wants."""
    stack_level: int = 8
    """Of our profiles, or the highest that the station takes."""
    keeper_s: float = 30.0
    """How long a process that keeps a group may be silent before another takes over."""

    def __post_init__(self) -> None:
        for field in ("interval_s", "lease_s", "retry_s", "raise_step_a", "keeper_s"):
            if not getattr(self, field) > 0:
                raise ValueError(f"groups.{field}: must be more than 0")
        for field in ("lead_s", "backdate_s", "clock_slack_s", "settle_s", "stack_level"):
            if not getattr(self, field) >= 0:
                raise ValueError(f"groups.{field}: must be at least 0")
        if self.backdate_s < self.clock_slack_s:
            raise ValueError("groups.backdate_s: must be at least clock_slack_s")
