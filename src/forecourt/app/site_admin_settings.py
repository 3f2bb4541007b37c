"""Where a running controller is looked after, as its site file says.

Guarantees
* It is this machine only, unless the file says otherwise; an address that others reach wants TLS, unless the file says
  that it may do without.
"""

from typing import Annotated

import msgspec

from forecourt.net.tls import ServerTls
from forecourt.net.urls import is_loopback


class Administration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where people and programs look after the controller. Read from `[admin]`."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9180
    """0: any that is free."""
    tls: ServerTls | None = None
    allow_plain: bool = False
    """Whether others may reach it without TLS: in a network of its own, or where something else ends TLS."""

    def __post_init__(self) -> None:
        if self.tls is None and not is_loopback(self.host) and not self.allow_plain:
            raise ValueError(
                "admin.host: others reach this address; expected [admin.tls] with it, or allow_plain = true"
            )
