"""Payments by Stripe, through its own library (the optional extra `stripe`): PaymentIntents with manual capture.

Guarantees
* The port's promise (`csms.money_ports`): every request bears the key that the books gave it, which Stripe answers
  once; what it doesn't remember any more, it is asked about (`_look`) before anything is taken for failed.
* Money is held before anybody charges and taken at the end, in Stripe's own smallest coins; the rest is let go of by
  the same request.
* A refusal that repeating can't mend is `Declined`, in Stripe's words; everything else (no connection, no answer, too
  many requests, Stripe's own errors, a key that it doesn't take) is `ProviderUnavailable`: asked again later.
* A notice (webhook) counts when its signature holds and is fresh; it only ever says which payment to look at.
* Neither key stands in any log, error or answer.
"""

from decimal import Decimal
from typing import Final

import msgspec

try:
    import stripe
except ImportError as error:
    raise ImportError("payments by Stripe need its library: pip install 'forecourt[stripe]'") from error

from forecourt.csms.money import EXPONENTS, amount_of, coins_of
from forecourt.csms.money_ports import (
    Authorised,
    Declined,
    Forged,
    ProviderUnavailable,
    Standing,
    StandingState,
)

INTENT: Final = "pi_"
"""Begins the name of an intent that the driver has confirmed elsewhere: in a browser with 3-D Secure, at a terminal."""
PAYMENT_KEY: Final = "forecourt_payment"
"""Metadata of an intent: the payment that it is for. Of one that was confirmed elsewhere it is `open` until then: only
who has the secret key can have written that."""

# Where Stripe counts otherwise than ISO 4217 (its page on currencies): Iceland and Uganda in hundredths, Madagascar
# without any.
_DECIMALS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
_TENS: Final = 3
"""With three decimals the last must be 0 there."""

_HELD: Final = "requires_capture"
_CHECK_AGAIN: Final = frozenset({"payment_intent_unexpected_state", "resource_missing"})
_FRESH_S: Final = 300
_BUSY: Final = frozenset({"lock_timeout", "idempotency_key_in_use", "rate_limit"})


class _Subject(msgspec.Struct):
    metadata: dict[str, str] = {}


class _Data(msgspec.Struct):
    object: _Subject


class _Event(msgspec.Struct):
    """Of a notice, what concerns us."""

    type: str
    data: _Data


class StripePayments:
    """See `csms.money_ports.PaymentProvider` and `NotifyingProvider`."""

    def __init__(
        self,
        secret_key: str,
        *,
        webhook_secret: str | None = None,
        url: str | None = None,
        timeout_s: float = 20.0,
        retries: int = 2,
    ) -> None:
        """`url` is that of the API where it isn't Stripe's own. `retries` are the library's, at once; the books' own
        come later."""
        stripe.enable_telemetry = False
        self._webhook_secret = webhook_secret
        self._http = stripe.HTTPXClient(timeout=timeout_s)
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={} if url is None else {"api": url},
            max_network_retries=retries,
            http_client=self._http,
        )
        self._intents = self._client.v1.payment_intents

    async def authorise(
        self, *, payment_id: str, idempotency_key: str, method: str, amount: Decimal, currency: str, description: str
    ) -> Authorised | Declined:
        """Hold `amount` on a payment method, or take over an intent that holds it already."""
        coins = stripe_coins(amount, currency)
        if coins is None:
            return Declined(f"{amount} {currency} is finer than Stripe takes")
        try:
            if method.startswith(INTENT):
                return await self._take_over(method, payment_id, coins, currency, idempotency_key)
            intent = await self._intents.create_async(
                {
                    "amount": coins,
                    "currency": currency.lower(),
                    "payment_method": method,
                    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                    "capture_method": "manual",
                    "confirm": True,
                    # Nobody is there to be asked: a card that wants its holder is confirmed elsewhere (INTENT).
                    "error_on_requires_action": True,
                    "description": description,
                    "metadata": {PAYMENT_KEY: payment_id},
                },
                {"idempotency_key": idempotency_key},
            )
            if intent.status != _HELD:
                # The answer to a repetition is as old as the first: ask how it is now.
                intent = await self._intents.retrieve_async(intent.id)
        except stripe.StripeError as error:
            return _refused(error)
        if intent.status == "processing":
            raise ProviderUnavailable("Stripe is still at it")
        if intent.status != _HELD:
            return Declined(f"nothing is held: the intent is {intent.status}")
        return Authorised(intent.id)

    async def capture(self, *, idempotency_key: str, reference: str, amount: Decimal, currency: str) -> Declined | None:
        """Take `amount`; Stripe lets go of the rest."""
        coins = stripe_coins(amount, currency)
        if coins is None:
            return Declined(f"{amount} {currency} is finer than Stripe takes")
        try:
            await self._intents.capture_async(
                reference, {"amount_to_capture": coins}, {"idempotency_key": idempotency_key}
            )
        except stripe.InvalidRequestError as error:
            if error.code not in _CHECK_AGAIN:
                return _refused(error)
            found = await self._look(reference)
            done = found.state is StandingState.TAKEN and found.amount == amount
            return None if done else _refused(error)
        except stripe.StripeError as error:
            return _refused(error)
        return None

    async def release(self, *, idempotency_key: str, reference: str) -> Declined | None:
        """Let go of everything."""
        try:
            await self._intents.cancel_async(reference, {}, {"idempotency_key": idempotency_key})
        except stripe.InvalidRequestError as error:
            if error.code not in _CHECK_AGAIN:
                return _refused(error)
            return None if (await self._look(reference)).state is StandingState.GONE else _refused(error)
        except stripe.StripeError as error:
            return _refused(error)
        return None

    async def standing(self, *, reference: str) -> Standing:
        """What has become of the money."""
        return await self._look(reference)

    def heard(self, body: bytes, signature: str | None) -> str | None:
        """The payment that a notice is about; None: of nothing that concerns us."""
        if self._webhook_secret is None:
            raise Forged("no webhook secret is set, so that no notice can be believed")
        try:
            stripe.WebhookSignature.verify_header(body, signature, self._webhook_secret, _FRESH_S)
            event = msgspec.json.decode(body, type=_Event)
        except stripe.SignatureVerificationError:
            raise Forged("the signature doesn't hold, or is too old") from None
        except ValueError:
            raise Forged("this is no notice of Stripe's") from None
        return event.data.object.metadata.get(PAYMENT_KEY) if event.type.startswith("payment_intent.") else None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _take_over(
        self, intent_id: str, payment_id: str, coins: int, currency: str, idempotency_key: str
    ) -> Authorised | Declined:
        intent = await self._intents.retrieve_async(intent_id)
        metadata: dict[str, str] = intent.metadata.to_dict()
        whose = metadata.get(PAYMENT_KEY)
        if whose not in {"open", payment_id}:
            return Declined("the intent was not made for a payment here, or is another's")
        if intent.status != _HELD or intent.capture_method != "manual":
            return Declined(f"the intent holds nothing: it is {intent.status}")
        if intent.currency != currency.lower() or intent.amount_capturable < coins:
            return Declined("the intent holds less than is asked for, or another currency")
        await self._intents.update_async(
            intent_id, {"metadata": {PAYMENT_KEY: payment_id}}, {"idempotency_key": idempotency_key}
        )
        return Authorised(intent_id)

    async def _look(self, reference: str) -> Standing:
        try:
            intent = await self._intents.retrieve_async(reference)
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return Standing(StandingState.GONE, reason="Stripe doesn't know it")
            raise ProviderUnavailable(_words(error)) from None
        except stripe.StripeError as error:
            raise ProviderUnavailable(_words(error)) from None
        if intent.status == "succeeded":
            return Standing(StandingState.TAKEN, _amount(intent.amount_received, intent.currency))
        if intent.status == "canceled":
            return Standing(StandingState.GONE, reason=intent.cancellation_reason or "cancelled")
        return Standing(StandingState.HELD)


def stripe_coins(amount: Decimal, currency: str) -> int | None:
    """`amount` as Stripe counts it; None where it can't be said there."""
    exponent = EXPONENTS[currency]
    try:
        coins = coins_of(amount, currency)
    except ValueError:
        return None
    if exponent == _TENS and coins % 10:
        return None
    shift = _DECIMALS.get(currency, exponent) - exponent
    counted = Decimal(coins).scaleb(shift)
    return int(counted) if counted == int(counted) else None


def _amount(coins: int, currency: str) -> Decimal:
    code = currency.upper()
    shift = _DECIMALS.get(code, EXPONENTS[code]) - EXPONENTS[code]
    return amount_of(int(Decimal(coins).scaleb(-shift)), code)


def _refused(error: stripe.StripeError) -> Declined:
    """Gives why it is no, for good. Raises ProviderUnavailable for what may go well another time."""
    if isinstance(error, stripe.CardError) or (
        isinstance(error, stripe.InvalidRequestError | stripe.IdempotencyError) and error.code not in _BUSY
    ):
        return Declined(_words(error))
    raise ProviderUnavailable(_words(error)) from None


def _words(error: stripe.StripeError) -> str:
    """What a person reads of it, and nothing of what was sent."""
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return "Stripe doesn't take our key"
    if isinstance(error, stripe.APIConnectionError):
        return "Stripe can't be reached, or doesn't answer"
    said = error.user_message or f"status {error.http_status}"
    reason = getattr(error.error, "decline_code", None) or error.code
    return f"Stripe: {said}" + (f" ({reason})" if reason else "")
