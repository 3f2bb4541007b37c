"""Times from before the time was known: recognised, and made true afterwards.

Theory of operation. A station whose calendar does not survive a loss of power, or that stands before any time this
software has seen, counts its time from 1970 until the CSMS tells it (OCPP 1.6 §4.2, §4.2.1, §4.6). What happens
meanwhile is stamped so, on the disk as well. When the time is told, the same distance is added to every such stamp.

Guarantees
* A stamp before `DATED_FROM` is one of these and nothing else: no other has to be remembered.
* Order and distances within one run are true. A loss of power before the time was told counts as no time at all: what
  lies before it is dated as late as it can have been.
* Nothing that depends on a bill leaves before: messages of transactions wait for the answer to a boot, which tells it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

UNKNOWN_FROM: Final = datetime(1970, 1, 1, tzinfo=UTC)
DATED_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""No station with this software has seen an earlier time."""


def dated(value: T, ahead: timedelta) -> T:
    """`value` with every stamp in it made true; the same object where there is none."""
    return _dated(value, ahead)  # type: ignore[no-any-return]


def _dated(value: Any, ahead: timedelta) -> Any:
    if isinstance(value, datetime):
        return value + ahead if value < DATED_FROM else value
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: new for name, old in fields.items() if (new := _dated(old, ahead)) is not old}
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, tuple):
        made = tuple(_dated(item, ahead) for item in value)
        return value if all(new is old for new, old in zip(made, value, strict=True)) else made
    return value


def latest_undated(values: Iterable[Any]) -> datetime:
    """The last stamp that is not a true time; where there is none, the beginning of them."""
    return max((at for value in values for at in _stamps(value) if at < DATED_FROM), default=UNKNOWN_FROM)


def _stamps(value: Any) -> Iterable[datetime]:
    if isinstance(value, datetime):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _stamps(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _stamps(item)
