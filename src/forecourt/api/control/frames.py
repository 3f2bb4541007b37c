"""The frames of one station as they went over the wire, the latest of them, in memory.

Guarantees
* Noting a frame costs next to nothing: it is read when somebody asks for it.
* A password that a CSMS sets is not shown.
* They may be read on any thread.
"""

import re
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from forecourt.domain.clock import Now
from forecourt.rpc.frame import Call, Send, parse, peek

_SECRETS: Final = (b"AuthorizationKey", b"BasicAuthPassword")
_VALUE: Final = re.compile(rb'("(?:attributeV|v)alue"\s*:\s*)"(?:[^"\\]|\\.)*"')


class FrameDirection(StrEnum):
    """As seen from the station."""

    SENT = "sent"
    RECEIVED = "received"


class StationFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame."""

    id: int
    at: datetime
    direction: FrameDirection
    action: str | None
    """Of an answer: that of the call it answers, as far as that is still remembered."""
    message_id: str | None
    frame: str
    """As it went over the wire, but for passwords."""


class FrameHistory:
    """The last `most` frames."""

    def __init__(self, most: int = 5_000) -> None:
        self._frames: deque[tuple[int, datetime, FrameDirection, bytes]] = deque(maxlen=most)
        self._last_id = 0

    def note(self, direction: str, frame: bytes, now: Now) -> None:
        """A frame was `sent` or `received`."""
        self._last_id += 1
        self._frames.append((self._last_id, now.at, FrameDirection(direction), frame))

    def newest_first(self, *, before: int | None = None) -> Iterable[StationFrame]:
        """All that are remembered, or those older than the id `before`."""
        actions: dict[str, str] = {}
        shown: list[StationFrame] = []
        for number, at, direction, raw in tuple(self._frames):  # all at once: others go on noting
            frame = parse(raw)
            action = None
            if isinstance(frame, Call | Send):
                action = actions[frame.message_id] = frame.action
            message_id = frame.message_id or peek(raw)[1]
            if action is None and message_id is not None:
                action = actions.get(message_id)
            if before is None or number < before:
                shown.append(
                    StationFrame(
                        id=number,
                        at=at,
                        direction=direction,
                        action=action,
                        message_id=message_id,
                        frame=_without_secrets(raw).decode(errors="replace"),
                    )
                )
        return reversed(shown)


def _without_secrets(raw: bytes) -> bytes:
    return _VALUE.sub(rb'\1"*"', raw) if any(name in raw for name in _SECRETS) else raw
