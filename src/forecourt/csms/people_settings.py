"""The knobs of people, sign-ins, audit and webhooks, with their defaults.

Guarantees
* A value that can't be is refused with the name of its field (ValueError).
* Every default is safe to keep: webhooks go to public addresses only, and by TLS.
"""

import ipaddress

import msgspec


class PeopleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times ending in `_s` are seconds."""

    shortest_user_password: int = 12
    """Characters that a person's password must have."""
    one_time_password_s: float = 7 * 86_400.0
    """How long a password that was given out by somebody else counts."""
    sign_in_s: float = 14 * 86_400.0
    """After this one signs in again, whatever happens."""
    sign_in_idle_s: float = 12 * 3_600.0
    """And after this without a request."""
    failed_sign_ins_per_name: int = 10
    """Failed sign-ins in one name from one address within `failed_sign_in_window_s`; more aren't looked at."""
    failed_sign_ins_per_address: int = 50
    """The same from one address, whatever the names."""
    failed_sign_in_window_s: float = 300.0

    audit_retention_s: float = 2 * 365 * 86_400.0

    webhook_interval_s: float = 1.0
    """How often the outbox is looked at, besides when something happens."""
    webhook_timeout_s: float = 10.0
    """Until a receiver has to have answered."""
    webhook_retries_s: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0, 3_600.0, 4 * 3_600.0, 12 * 3_600.0, 24 * 3_600.0)
    """The wait after each failed attempt; after the last attempt a delivery is dead."""
    webhooks_at_once: int = 16
    """Deliveries that are under way at a time."""
    webhook_retention_s: float = 30 * 86_400.0
    """How long finished deliveries are kept."""
    webhook_plain: bool = False
    """Whether a webhook may go to an http:// address."""
    webhook_networks: tuple[str, ...] = ()
    """Networks that aren't public and that webhooks may go to all the same, such as 10.1.0.0/16."""

    batch_commands: int = 10_000
    """The most stations that one batch may be for."""

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
                raise ValueError(f"{field}: must be more than 0")
        if not all(wait > 0 for wait in self.webhook_retries_s):
            raise ValueError("webhook_retries_s: must be more than 0 each")
        for network in self.webhook_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"webhook_networks: {error}") from None
