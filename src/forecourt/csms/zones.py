"""Time zones by their IANA names, of places that somebody has entered."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo


def is_zone(name: str) -> bool:
    """Whether there is a zone of that name."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def zone(name: str) -> tzinfo:
    """The zone; UTC where there is none of that name (any more)."""
    return ZoneInfo(name) if is_zone(name) else UTC
