"""Whom people sign in at instead of here: the settings.

Guarantees
* A value that can't be is refused with the name of its field (ValueError).
"""

import msgspec

from forecourt.csms.people_records import Role
from forecourt.net.urls import check_url


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An identity provider (OpenID Connect Core 1.0, code flow with PKCE)."""

    issuer: str
    """Its discovery document is at `/.well-known/openid-configuration` below."""
    client_id: str
    client_secret: str | None = None
    """None: a public client."""
    label: str = "Single sign-on"
    """What the button says."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name_claim: str = "preferred_username"
    """Whose value is the name; where it is missing `email`, then `sub`."""
    role_claim: str = "groups"
    """Text or list of texts; dots lead inwards, as in `realm_access.roles`."""
    roles: dict[str, Role] = {}
    """From a value of `role_claim` to a role here; the highest counts. Who has none of them isn't let in."""
    organisation_id: int = 1
    """Whose users they are."""
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        check_url("issuer", self.issuer)
        if "openid" not in self.scopes:
            raise ValueError("scopes: must have openid")
        if not self.roles:
            raise ValueError("roles: nobody could sign in without one")
        if not self.timeout_s > 0:
            raise ValueError("timeout_s: must be more than 0")
