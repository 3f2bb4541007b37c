"""The knobs of billing and payment, with their defaults.

Guarantees
* A value that can't be is refused with the name of its field (ValueError).
"""

import msgspec


class MoneySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times ending in `_s` are seconds."""

    issuer: tuple[str, ...] = ()
    """Who sells, for receipts: name, address, VAT id, line by line."""
    interval_s: float = 2.0
    """How often sessions to bill and payments to move on are looked for."""
    running_cost_interval_s: float = 30.0
    """How often the cost so far of a running session is reckoned anew, at most."""
    sessions_per_turn: int = 200
    """How many sessions are reckoned before the rest has a turn."""
    longest_session_s: float = 60 * 86_400.0
    """A longer one is held: a clock is wrong, or an end was lost."""
    stale_transaction_s: float | None = 7 * 86_400.0
    """A transaction of which nothing was heard for so long is closed, and held for an operator; None: never."""
    clock_tolerance_s: float = 86_400.0
    """A session that ends further in our future than this is held: its station's clock is wrong."""

    show_costs: bool = False
    """Tell stations that show them what charging costs (docs/california-pricing.md)."""

    payment_start_timeout_s: float = 900.0
    """A payment without a session after this is released."""
    payment_retry_s: float = 10.0
    """Wait before a provider that could not be reached is tried again; it doubles with every attempt."""
    payment_attempts: int = 12
    """Attempts at one step before a payment is `failed`: with the waits between them, more than half a day."""

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if field not in {"issuer", "show_costs"} and value is not None and not value > 0:
                raise ValueError(f"{field}: must be more than 0")
