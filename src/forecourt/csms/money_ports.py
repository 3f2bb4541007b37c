"""What the CSMS needs to keep books of money, and to reach those who collect it.

Guarantees asked of whoever implements them
* The books of money are part of `Books`: a unit writes them together with everything else, or not at all.
* A payment provider does what it is asked once per idempotency key, however often it is asked with that key: a
  repetition gets the answer that the first one got, or would have got.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import msgspec

from forecourt.csms.money_records import (
    Cdr,
    Payment,
    PaymentState,
    Session,
    SessionState,
    StateReport,
    Tariff,
    TariffAssignment,
    TariffScope,
)
from forecourt.csms.records import Transaction
from forecourt.csms.tariff_terms import TariffTerms


class TariffBooks(Protocol):
    """Tariffs in all their versions, and what they are assigned to."""

    def add_version(
        self, organisation_id: int, tariff_id: int | None, version: int, terms: TariffTerms, now: datetime
    ) -> Tariff:
        """Enter a version; of a new tariff where `tariff_id` is None."""
        ...

    def latest(self, organisation_id: int, tariff_id: int) -> Tariff | None: ...
    def by_number(self, number: int) -> Tariff | None: ...
    def in_force(self, organisation_id: int, tariff_id: int, at: datetime) -> Tariff | None:
        """The version that was the latest at that moment; the first where none was there yet."""
        ...

    def versions(self, organisation_id: int, tariff_id: int) -> list[Tariff]:
        """Newest first."""
        ...

    def page(self, organisation_id: int, *, before: int | None, limit: int) -> list[Tariff]:
        """The latest versions of what isn't retired, the newest tariff first."""
        ...

    def retire(self, organisation_id: int, tariff_id: int, now: datetime) -> None: ...
    def assign(
        self,
        organisation_id: int,
        tariff_id: int,
        scope: TariffScope,
        target: str,
        *,
        ad_hoc: bool,
        now: datetime,
    ) -> TariffAssignment:
        """Instead of what was assigned there before."""
        ...

    def unassign(self, organisation_id: int, tariff_id: int, number: int) -> bool: ...
    def assignments(self, organisation_id: int, tariff_id: int) -> list[TariffAssignment]: ...
    def assigned_to(
        self, organisation_id: int, targets: Sequence[tuple[TariffScope, str]]
    ) -> list[TariffAssignment]: ...


class BillingBooks(Protocol):
    """Sessions and CDRs."""

    def add_session(self, session: Session) -> None: ...
    def save_session(self, session: Session) -> None: ...
    def session(self, organisation_id: int, number: int) -> Session | None: ...
    def due(self, *, priced_before: datetime, limit: int) -> list[tuple[Session, Transaction]]:
        """Of every organisation: those that are to be reckoned as soon as may be (`priced_for` None), and those that
        run, have changed, and were not reckoned since `priced_before`; the longest left alone first."""
        ...

    def unheard(self, before: datetime, limit: int) -> list[Transaction]:
        """Of every organisation: transactions that run, and of which nothing came since `before`; the oldest first."""
        ...

    def sessions(
        self,
        organisation_id: int,
        *,
        station_number: int | None,
        id_token: str | None,
        state: SessionState | None,
        started_from: datetime | None,
        started_to: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[tuple[Session, Transaction]]: ...

    def add_cdr(self, cdr: Cdr) -> Cdr:
        """Enter it; its `number` comes from the sequence."""
        ...

    def cdr(self, organisation_id: int, number: int) -> Cdr | None: ...
    def credited_by(self, number: int) -> Cdr | None:
        """The credit that takes a CDR back."""
        ...

    def cdrs(
        self,
        organisation_id: int,
        *,
        station_id: str | None,
        id_token: str | None,
        session_number: int | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: int | None,
        limit: int,
    ) -> list[Cdr]: ...

    def add_state(self, report: StateReport) -> None: ...
    def states(
        self, station_number: int, evse_id: int, *, until: datetime | None, since: datetime
    ) -> list[StateReport]:
        """In the order of time; with the last one before `since`."""
        ...

    def forget_states(self, before: datetime) -> int: ...


class PaymentBooks(Protocol):
    """Payments on the spot."""

    def add(self, payment: Payment, idempotency_key: str | None) -> None: ...
    def get(self, organisation_id: int, payment_id: str) -> Payment | None: ...
    def by_id(self, payment_id: str) -> Payment | None:
        """Of whichever organisation."""
        ...

    def by_id_token(self, organisation_id: int, id_token: str) -> Payment | None: ...
    def by_idempotency_key(self, organisation_id: int, key: str) -> Payment | None: ...
    def change(self, payment_id: str, **columns: Any) -> None: ...
    def to_do(self, now: datetime, limit: int) -> list[Payment]:
        """Of every organisation: those that a provider has to be asked about, and those that have expired."""
        ...

    def page(
        self,
        organisation_id: int,
        *,
        state: PaymentState | None,
        station_id: str | None,
        id_token: str | None,
        session_number: int | None,
        created_from: datetime | None,
        created_to: datetime | None,
        before: str | None,
        limit: int,
    ) -> list[Payment]: ...


class MoneyBooks(Protocol):
    """All of it."""

    @property
    def tariffs(self) -> TariffBooks: ...
    @property
    def billing(self) -> BillingBooks: ...
    @property
    def payments(self) -> PaymentBooks: ...


class Authorised(msgspec.Struct, frozen=True):
    """The provider holds the money."""

    reference: str
    """The provider's name for it."""


class Declined(msgspec.Struct, frozen=True):
    """The provider said no, for good."""

    reason: str


class ProviderUnavailable(Exception):  # noqa: N818
    """The provider could not be asked, or did not say what came of it: ask again, with the same key."""


class PaymentProvider(Protocol):
    """Somebody who collects money: a payment service, a terminal."""

    async def authorise(
        self, *, payment_id: str, idempotency_key: str, method: str, amount: Decimal, currency: str, description: str
    ) -> Authorised | Declined:
        """Hold `amount`. Raises ProviderUnavailable."""
        ...

    async def capture(self, *, idempotency_key: str, reference: str, amount: Decimal, currency: str) -> Declined | None:
        """Take `amount` of what is held, and let go of the rest; None: done. Raises ProviderUnavailable."""
        ...

    async def release(self, *, idempotency_key: str, reference: str) -> Declined | None:
        """Let go of all that is held; None: done, or it was gone already. Raises ProviderUnavailable."""
        ...


class StandingState(StrEnum):
    """What has become of money that was held."""

    HELD = "held"
    TAKEN = "taken"
    GONE = "gone"
    """It was let go of, by whomever; or there never was any."""


class Standing(msgspec.Struct, frozen=True):
    """What a provider says of a payment when it is asked."""

    state: StandingState
    amount: Decimal | None = None
    """What was taken."""
    reason: str | None = None


class Forged(Exception):  # noqa: N818
    """A notice that isn't the provider's, or not any more; the text is for whoever set it up."""


@runtime_checkable
class NotifyingProvider(PaymentProvider, Protocol):
    """A provider that tells by itself when something becomes of a payment."""

    def heard(self, body: bytes, signature: str | None) -> str | None:
        """The id of the payment that a notice is about; None: of none. Raises Forged."""
        ...

    async def standing(self, *, reference: str) -> Standing:
        """What has become of the money. Raises ProviderUnavailable."""
        ...
