"""Whom a request is served for: the CSMS behind the socket it came in by, carried in the request's scope.

Guarantees
* The application itself knows no CSMS, so that it's made once and serves every socket of a process.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any, Final, cast

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from forecourt.api.driver import Strangers
from forecourt.api.health import Probe
from forecourt.api.lifetime import Lifetime
from forecourt.api.metrics import Exposition
from forecourt.api.settings import ApiSettings
from forecourt.csms.ports import Context
from forecourt.csms.sign_ins import Attempts
from forecourt.net.oidc import OidcClient

_KEY: Final = "forecourt"
"""In the scope."""


class Serving(msgspec.Struct, frozen=True):
    """All that operations ask for and that differs from CSMS to CSMS."""

    context: Context
    """Of everybody: no organisation's."""
    settings: ApiSettings
    lifetime: Lifetime
    provider: OidcClient | None
    attempts: Attempts
    strangers: Strangers
    probe: Probe
    exposition: Exposition


def serving(scope: Scope) -> Serving:
    """Whom this request is served for."""
    members: Mapping[str, Any] = scope
    found: Serving = members[_KEY]
    return found


def served_for(app: ASGIApp, whom: Serving) -> ASGIApp:
    """`app`, for that CSMS."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        cast(MutableMapping[str, Any], scope)[_KEY] = whom  # a scope may have further members
        await app(scope, receive, send)

    return serve
