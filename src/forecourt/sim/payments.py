"""A payment provider that is none: for tests and the demonstration. It holds no money and tells what it was asked.

Guarantees
* It keeps the port's promise: what is asked again with the same key is not done again, and gets the same answer.
* It misbehaves only where it is told to: declines, is away, or does what it is asked and then doesn't say so.
"""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

from forecourt.csms.money_ports import Authorised, Declined, ProviderUnavailable

DECLINED_METHOD = "declined"
"""A method that is always declined."""


class Trouble(StrEnum):
    """How the next request goes wrong."""

    AWAY = "away"
    """It never gets there."""
    SILENT = "silent"
    """It is carried out, and the answer is lost."""


class FakePaymentProvider:
    """A bank in memory."""

    def __init__(self) -> None:
        self.held: dict[str, Decimal] = {}
        """What is still held, by reference."""
        self.captured: dict[str, list[Decimal]] = {}
        """What was taken, by reference."""
        self.released: list[str] = []
        self.asked: list[str] = []
        """The key of every request, repetitions included."""
        self.troubles: list[Trouble] = []
        """Of the next requests, one each."""
        self._answers: dict[str, Authorised | Declined | None] = {}

    async def authorise(
        self,
        *,
        payment_id: str,  # noqa: ARG002
        idempotency_key: str,
        method: str,
        amount: Decimal,
        currency: str,  # noqa: ARG002
        description: str,  # noqa: ARG002
    ) -> Authorised | Declined:
        """Hold `amount`, unless the method is `DECLINED_METHOD`."""

        def do() -> Authorised | Declined:
            if method == DECLINED_METHOD:
                return Declined("the card was declined")
            reference = f"fake-{len(self.held) + 1}"
            self.held[reference] = amount
            return Authorised(reference)

        answer = self._once(idempotency_key, do)
        assert answer is not None
        return answer

    async def capture(
        self,
        *,
        idempotency_key: str,
        reference: str,
        amount: Decimal,
        currency: str,  # noqa: ARG002
    ) -> Declined | None:
        """Take `amount`, let go of the rest."""

        def do() -> Declined | None:
            if amount > self.held[reference]:
                return Declined("more than is held")
            self.held[reference] = Decimal(0)
            self.captured.setdefault(reference, []).append(amount)
            return None

        answer = self._once(idempotency_key, do)
        assert not isinstance(answer, Authorised)
        return answer

    async def release(self, *, idempotency_key: str, reference: str) -> Declined | None:
        """Let go of everything."""

        def do() -> Declined | None:
            self.held[reference] = Decimal(0)
            self.released.append(reference)
            return None

        answer = self._once(idempotency_key, do)
        assert not isinstance(answer, Authorised)
        return answer

    def _once(self, key: str, do: Callable[[], Authorised | Declined | None]) -> Authorised | Declined | None:
        self.asked.append(key)
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is Trouble.AWAY:
            raise ProviderUnavailable("the fake provider is away")
        if key not in self._answers:
            self._answers[key] = do()
        if trouble is Trouble.SILENT:
            raise ProviderUnavailable("the fake provider's answer was lost")
        return self._answers[key]
