"""Payments by Stripe's own library, against a desk that speaks as much of its API as is used."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from tests.net.stripe_desk import DECLINED, KEY, THREE_D_SECURE, WEBHOOK_SECRET, StripeDesk, stripe_desk

from forecourt.csms.money_ports import (
    Authorised,
    Declined,
    Forged,
    NotifyingProvider,
    ProviderUnavailable,
    Standing,
    StandingState,
)
from forecourt.net.stripe_payments import StripePayments, stripe_coins

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the library's, by httpx
TWENTY = Decimal("20.00")


@pytest.fixture
async def desk() -> AsyncIterator[StripeDesk]:
    async with stripe_desk() as made:
        yield made


@pytest.fixture
async def stripe(desk: StripeDesk) -> AsyncIterator[StripePayments]:
    made = StripePayments(KEY, webhook_secret=WEBHOOK_SECRET, url=desk.url, timeout_s=10.0, retries=0)
    yield made
    await made.close()


async def held(
    stripe: StripePayments, method: str = "pm_card_visa", payment_id: str = "P1", amount: Decimal = TWENTY
) -> Authorised | Declined:
    return await stripe.authorise(
        payment_id=payment_id,
        idempotency_key=f"{payment_id}-authorise",
        method=method,
        amount=amount,
        currency="EUR",
        description="Charging at CS1",
    )


async def reference_of(stripe: StripePayments) -> str:
    answer = await held(stripe)
    assert isinstance(answer, Authorised)
    return answer.reference


async def test_held_taken_in_part_and_the_rest_let_go(desk: StripeDesk, stripe: StripePayments) -> None:
    assert isinstance(stripe, NotifyingProvider)
    reference = await reference_of(stripe)
    ((method, path, key, form),) = desk.requests
    assert (method, path, key) == ("POST", "/v1/payment_intents", "P1-authorise")
    assert (form["amount"], form["currency"], form["payment_method"]) == ("2000", "eur", "pm_card_visa")
    assert await stripe.standing(reference=reference) == Standing(StandingState.HELD)
    taken = await stripe.capture(
        idempotency_key="P1-capture", reference=reference, amount=Decimal("5.95"), currency="EUR"
    )
    assert taken is None
    assert desk.requests[-1][2:] == ("P1-capture", {"amount_to_capture": "595"})
    assert await stripe.standing(reference=reference) == Standing(StandingState.TAKEN, Decimal("5.95"))


async def test_let_go(desk: StripeDesk, stripe: StripePayments) -> None:
    reference = await reference_of(stripe)
    assert await stripe.release(idempotency_key="P1-release", reference=reference) is None
    assert desk.intents[reference]["status"] == "canceled"
    # Its key forgotten (Stripe keeps it for a day), it is gone all the same; and what is gone can't be taken.
    assert await stripe.release(idempotency_key="later", reference=reference) is None
    refused = await stripe.capture(idempotency_key="P1-capture", reference=reference, amount=TWENTY, currency="EUR")
    assert isinstance(refused, Declined)
    assert "canceled" in refused.reason


async def test_a_repetition_whose_key_is_forgotten_takes_nothing_twice(
    desk: StripeDesk, stripe: StripePayments
) -> None:
    reference = await reference_of(stripe)
    for key in ("P1-capture", "P1-capture", "long after"):
        assert await stripe.capture(idempotency_key=key, reference=reference, amount=TWENTY, currency="EUR") is None
    assert desk.intents[reference]["amount_received"] == 2000
    # Another amount than was taken is not done.
    refused = await stripe.capture(idempotency_key="x", reference=reference, amount=Decimal("1.00"), currency="EUR")
    assert isinstance(refused, Declined)
    assert isinstance(await stripe.release(idempotency_key="y", reference=reference), Declined)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (DECLINED, "Stripe: Your card was declined. (generic_decline)"),
        (THREE_D_SECURE, "Stripe: Your card requires authentication. (authentication_required)"),
        ("nonsense", "Stripe: No such PaymentMethod: 'nonsense' (resource_missing)"),
    ],
)
async def test_a_refusal_is_for_good(stripe: StripePayments, method: str, said: str) -> None:
    assert await held(stripe, method) == Declined(said)


async def test_a_lost_answer_is_asked_for_again_and_holds_once(desk: StripeDesk, stripe: StripePayments) -> None:
    desk.troubles = ["lost"]
    with pytest.raises(ProviderUnavailable, match="can't be reached"):
        await held(stripe)
    reference = await reference_of(stripe)
    assert list(desk.intents) == [reference]
    desk.troubles = ["lost"]
    for _ in range(2):
        try:
            await stripe.capture(idempotency_key="P1-capture", reference=reference, amount=TWENTY, currency="EUR")
        except ProviderUnavailable:
            assert desk.intents[reference]["status"] == "succeeded"


@pytest.mark.parametrize("trouble", ["busy", "broken", "conflict"])
async def test_what_may_go_well_another_time(desk: StripeDesk, stripe: StripePayments, trouble: str) -> None:
    desk.troubles = [trouble]
    with pytest.raises(ProviderUnavailable):
        await held(stripe)
    assert isinstance(await held(stripe), Authorised)


async def test_the_library_itself_repeats_with_the_same_key(desk: StripeDesk) -> None:
    stripe = StripePayments(KEY, url=desk.url, retries=1)
    desk.troubles = ["lost"]
    assert isinstance(await held(stripe), Authorised)
    assert [key for _, _, key, _ in desk.requests] == ["P1-authorise"] * 2
    assert len(desk.intents) == 1
    await stripe.close()


async def test_nobody_there_and_a_key_that_is_not_taken(
    desk: StripeDesk, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nobody = StripePayments(KEY, url=f"http://127.0.0.1:{unused_tcp_port}", retries=0)
    wrong = StripePayments("sk_test_secretbutfalse", url=desk.url, retries=0)
    with pytest.raises(ProviderUnavailable, match="can't be reached"):
        await held(nobody)
    with pytest.raises(ProviderUnavailable, match="doesn't take our key") as error:
        await held(wrong)
    assert "secretbutfalse" not in str(error.value) + caplog.text
    assert KEY not in caplog.text
    assert "secretbutfalse" not in repr(wrong) + repr(vars(wrong))
    await asyncio.gather(nobody.close(), wrong.close())


async def test_an_intent_that_was_confirmed_elsewhere_is_taken_over_once(
    desk: StripeDesk, stripe: StripePayments
) -> None:
    made = desk.add_intent(metadata={"forecourt_payment": "open"})["id"]
    assert await held(stripe, made) == Authorised(made)
    assert await held(stripe, made) == Authorised(made)
    assert isinstance(await held(stripe, made, payment_id="P2"), Declined)
    for wrong in (
        desk.add_intent(),  # made by somebody else, for something else
        desk.add_intent(metadata={"forecourt_payment": "open"}, status="requires_action", amount_capturable=0),
        desk.add_intent(metadata={"forecourt_payment": "open"}, amount_capturable=1999),
        desk.add_intent(metadata={"forecourt_payment": "open"}, currency="usd"),
        {"id": "pi_nobody_knows"},
    ):
        assert isinstance(await held(stripe, wrong["id"], payment_id="P3"), Declined)


async def test_notices_count_when_their_signature_holds(desk: StripeDesk, stripe: StripePayments) -> None:
    reference = await reference_of(stripe)
    body, signature = desk.notice("payment_intent.canceled", reference)
    assert stripe.heard(body, signature) == "P1"
    assert stripe.heard(*desk.notice("charge.refunded", reference)) is None
    assert stripe.heard(*desk.notice("payment_intent.canceled", desk.add_intent()["id"])) is None
    without = StripePayments(KEY, url=desk.url)
    for forged in (
        (body.replace(b"P1", b"P2"), signature),
        (body, None),
        (body, "t=1,v1="),
        (b"\xff", signature),
        desk.notice("payment_intent.canceled", reference, at=time.time() - 3600),
    ):
        with pytest.raises(Forged):
            stripe.heard(*forged)
    with pytest.raises(Forged, match="no webhook secret"):
        without.heard(body, signature)
    await without.close()


@pytest.mark.parametrize(
    ("amount", "currency", "coins"),
    [
        ("20.00", "EUR", 2000),
        ("2000", "JPY", 2000),
        ("2000", "ISK", 200_000),
        ("2000", "UGX", 200_000),
        ("2000.00", "MGA", 2000),
        ("2000.20", "MGA", None),
        ("1.230", "KWD", 1230),
        ("1.234", "KWD", None),
        ("0.001", "EUR", None),
    ],
)
def test_amounts_as_stripe_counts_them(amount: str, currency: str, coins: int | None) -> None:
    assert stripe_coins(Decimal(amount), currency) == coins
