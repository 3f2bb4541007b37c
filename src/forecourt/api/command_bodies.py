"""What all bodies of typed commands have in common.

Guarantees
* A body converts to the domain's request field by field; what can't be asked is refused with the field's path.
"""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from forecourt.api.bodies import Asked, StationId, Timeout
from forecourt.csms import commands
from forecourt.csms.command_records import Command
from forecourt.csms.ports import Context
from forecourt.domain.requests import CsmsRequest
from forecourt.domain.token import IdTokenType

ConnectorNumber = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class CommandBody(Asked, frozen=True, kw_only=True):
    """Base of all typed commands."""

    asks: ClassVar[type]
    """The domain's request of the same fields."""

    timeout_s: Timeout | None = None
    """Seconds until the command is given up; else the CSMS's own."""

    async def issue(self, context: Context, idempotency_key: str | None) -> Command:
        """Ask it. Raises as `commands.issue`."""
        raise NotImplementedError


class StationCommandBody(CommandBody, frozen=True, kw_only=True):
    """Base of those that name their station."""

    station_id: StationId

    def request(self) -> CsmsRequest:
        """What the station is asked."""
        request: CsmsRequest = msgspec.convert(self, self.asks, from_attributes=True)
        return request

    async def issue(self, context: Context, idempotency_key: str | None) -> Command:
        """Ask it. Raises as `commands.issue`."""
        return await commands.issue(
            context, self.station_id, self.request(), timeout_s=self.timeout_s, idempotency_key=idempotency_key
        )


class IdTokenBody(Asked, frozen=True, kw_only=True):
    """Who charges."""

    value: Annotated[str, Meta(min_length=1, max_length=255)]
    type: IdTokenType = IdTokenType.ISO14443
