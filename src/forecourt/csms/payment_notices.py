"""What a payment provider tells by itself: that a hold has run out, that somebody decided something over there.

Guarantees
* A notice proves nothing but which payment to look at. What has become of the money is asked of the provider, so that
  a notice that comes twice, late, or in the wrong order does no harm.
* What we have asked for and wait to hear of is asked again, with the same key; what it tells of money that we hold goes
  into the books as what it is: let go of, or taken by somebody else's hand. Nothing fails in silence.
* A provider that can't be asked then is heard of as ProviderUnavailable: it is told to come again.
"""

import logging
from typing import Any

from forecourt.csms.errors import NotFound
from forecourt.csms.money_ports import NotifyingProvider, Standing, StandingState
from forecourt.csms.money_records import Payment, PaymentState
from forecourt.csms.payments import Cashier
from forecourt.csms.ports import Context

log = logging.getLogger(__name__)


async def notice(context: Context, provider_name: str, body: bytes, signature: str | None) -> None:
    """Take in what a provider sent.

    Raises:
        NotFound: there is no such provider, or it tells nothing.
        Forged: it isn't the provider's.
        ProviderUnavailable: what it is about can't be asked now.
    """
    provider = context.payment_providers.get(provider_name)
    if not isinstance(provider, NotifyingProvider):
        raise NotFound("payment provider that sends notices", provider_name)
    payment_id = provider.heard(body, signature)
    if payment_id is None:
        return
    payment = await context.store.read(lambda books: books.money.payments.by_id(payment_id))
    if payment is None or payment.provider != provider_name:
        log.info("a notice of %s is about a payment that isn't in the books", provider_name)
        return
    cashier = Cashier(context)
    if payment.state in _ASKED:
        # One that is being asked for right now is left alone: its answer is on the way.
        if payment.next_attempt_at is not None:
            await cashier.attend(payment)
        return
    if payment.state in _OPEN and payment.reference is not None:
        changes = _changes(payment, await provider.standing(reference=payment.reference))
        if changes:
            await cashier.move(payment, **changes)


_ASKED = frozenset({PaymentState.REQUESTED, PaymentState.CAPTURING, PaymentState.RELEASING})
_OPEN = frozenset({PaymentState.AUTHORISED, PaymentState.FAILED})


def _changes(payment: Payment, found: Standing) -> dict[str, Any]:
    if found.state is StandingState.HELD:
        return {}
    if found.state is StandingState.GONE:
        why = f"the provider has let go of the money: {found.reason}"
        if payment.session_number is None:
            return {"state": PaymentState.RELEASED, "detail": why}
        if payment.state is PaymentState.FAILED:
            return {}
        return {"state": PaymentState.FAILED, "detail": why}
    if payment.state is PaymentState.FAILED and found.amount == payment.captured:
        return {"state": PaymentState.CAPTURED, "detail": "taken, as the provider says"}
    if payment.state is PaymentState.AUTHORISED:
        why = f"taken at the provider, and not from here: {found.amount} {payment.currency}"
        return {"state": PaymentState.FAILED, "detail": why}
    return {}
