"""The knobs of sites with a local controller, with their defaults.

Guarantees
* A value that can't be is refused with the name of its field (ValueError).
"""

import msgspec


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times are seconds."""

    readings_every_s: float = 2.0
    """How often a controller tells its readings at most."""
    sample_s: float = 60.0
    """How long a stretch of the history is."""
    history_retention_s: float = 90 * 86_400.0
    records_retention_s: float = 365 * 86_400.0
    """Of alarms, decisions and what was asked."""
    answer_timeout_s: float = 10.0
    """How long a request waits for what the controller says to an order."""

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            if not getattr(self, field) > 0:
                raise ValueError(f"sites.{field}: must be more than 0")
