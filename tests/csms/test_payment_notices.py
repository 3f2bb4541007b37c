"""What a provider tells by itself, in the books: through Stripe's library, the desk and the API's own door."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from forecourt.csms import payments
from forecourt.csms.errors import NotFound
from forecourt.csms.money_ports import Forged, ProviderUnavailable
from forecourt.csms.money_records import Payment, PaymentState
from forecourt.csms.payment_notices import notice
from forecourt.csms.payments import PaymentFields
from forecourt.csms.ports import Context
from forecourt.csms.upkeep import Accounts
from forecourt.net.stripe_payments import StripePayments
from tests.api.houses import house
from tests.csms.test_billing import begin, end, tariff
from tests.csms.worlds import World
from tests.net.stripe_desk import KEY, WEBHOOK_SECRET, StripeDesk, stripe_desk

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the library's, by httpx
FIELDS = PaymentFields(
    provider="stripe", method="pm_card_visa", amount=Decimal("20.00"), currency="EUR", station_id="CS1"
)


@pytest.fixture
async def desk() -> AsyncIterator[StripeDesk]:
    async with stripe_desk() as made:
        yield made


@pytest.fixture
async def context(world: World, desk: StripeDesk) -> AsyncIterator[Context]:
    """Of a CSMS with a tariff, a station and Stripe."""
    await tariff(world)
    provider = StripePayments(KEY, webhook_secret=WEBHOOK_SECRET, url=desk.url, retries=0)
    yield msgspec.structs.replace(world.context, payment_providers={"stripe": provider})
    await provider.close()


async def told(context: Context, desk: StripeDesk, kind: str, payment: Payment) -> Payment:
    """The payment after a notice that came twice."""
    assert payment.reference is not None
    for _ in range(2):
        await notice(context, "stripe", *desk.notice(f"payment_intent.{kind}", payment.reference))
    return await payments.get_payment(context, payment.id)


async def test_a_hold_that_has_run_out_before_anybody_came(world: World, context: Context, desk: StripeDesk) -> None:
    await world.station()
    payment = await payments.request_payment(context, FIELDS)
    assert (payment.state, payment.reference) == (PaymentState.AUTHORISED, "pi_1")
    desk.intents["pi_1"] |= {"status": "canceled", "cancellation_reason": "automatic"}
    world.told.clear()
    payment = await told(context, desk, "canceled", payment)
    assert payment.state is PaymentState.RELEASED
    assert payment.detail == "the provider has let go of the money: automatic"
    assert world.types().count("payment.updated") == 1  # it came twice


async def test_a_hold_that_runs_out_while_the_car_charges_is_seen_and_what_is_owed_is_on_record(
    world: World, context: Context, desk: StripeDesk
) -> None:
    speaker = await world.station()
    payment = await payments.request_payment(context, FIELDS)
    transaction_id = await begin(world, speaker, token=payment.id_token)
    desk.intents["pi_1"] |= {"status": "canceled", "cancellation_reason": "automatic"}
    payment = await told(context, desk, "canceled", payment)
    assert payment.state is PaymentState.FAILED
    await end(world, speaker, transaction_id, 3600, 11_000.0)
    world.clock.seconds += 7200
    await Accounts(context).turn()
    payment = await payments.get_payment(context, payment.id)
    assert (payment.state, payment.uncollected) == (PaymentState.FAILED, Decimal("5.95"))


async def test_what_was_taken_at_the_providers_own_page_is_not_taken_again(
    world: World, context: Context, desk: StripeDesk
) -> None:
    await world.station()
    payment = await payments.request_payment(context, FIELDS)
    desk.intents["pi_1"] |= {"status": "succeeded", "amount_received": 2000}
    payment = await told(context, desk, "succeeded", payment)
    assert payment.state is PaymentState.FAILED
    assert payment.detail == "taken at the provider, and not from here: 20.00 EUR"


async def test_a_lost_answer_is_made_up_for_by_the_notice(world: World, context: Context, desk: StripeDesk) -> None:
    speaker = await world.station()
    payment = await payments.request_payment(context, FIELDS)
    await end(world, speaker, await begin(world, speaker, token=payment.id_token), 3600, 11_000.0)
    world.clock.seconds += 7200
    desk.troubles = ["lost"]
    await Accounts(context).turn()
    payment = await payments.get_payment(context, payment.id)
    assert (payment.state, payment.attempts) == (PaymentState.CAPTURING, 1)
    payment = await told(context, desk, "succeeded", payment)
    assert (payment.state, payment.captured) == (PaymentState.CAPTURED, Decimal("5.95"))
    assert desk.intents["pi_1"]["amount_received"] == 595


async def test_a_hold_whose_answer_was_lost_is_found_by_its_notice(
    world: World, context: Context, desk: StripeDesk
) -> None:
    await world.station()
    desk.troubles = ["lost"]
    payment = await payments.request_payment(context, FIELDS)
    assert (payment.state, payment.reference) == (PaymentState.REQUESTED, None)
    await notice(context, "stripe", *desk.notice("payment_intent.amount_capturable_updated", "pi_1"))
    payment = await payments.get_payment(context, payment.id)
    assert (payment.state, payment.reference) == (PaymentState.AUTHORISED, "pi_1")
    assert list(desk.intents) == ["pi_1"]


async def test_what_is_not_for_us_changes_nothing(world: World, context: Context, desk: StripeDesk) -> None:
    await world.station()
    payment = await payments.request_payment(context, FIELDS)
    world.told.clear()
    stranger = desk.add_intent(metadata={"forecourt_payment": "of another house"})["id"]
    await notice(context, "stripe", *desk.notice("payment_intent.canceled", stranger))
    assert (await told(context, desk, "amount_capturable_updated", payment)).state is PaymentState.AUTHORISED
    body, signature = desk.notice("payment_intent.canceled", "pi_1")
    with pytest.raises(Forged):
        await notice(context, "stripe", body + b" ", signature)
    with pytest.raises(NotFound):
        await notice(context, "elsewhere", body, signature)
    desk.troubles = ["broken"]
    with pytest.raises(ProviderUnavailable):
        await notice(context, "stripe", body, signature)
    assert world.types() == []


async def test_the_door_for_notices_needs_no_key_but_a_signature(tmp_path: Path, desk: StripeDesk) -> None:
    provider = StripePayments(KEY, webhook_secret=WEBHOOK_SECRET, url=desk.url, retries=0)
    async with house(tmp_path, payment_providers={"stripe": provider}) as made:
        await made.ask("POST", "/stations", 201, json={"id": "CS1"})
        fields = {name: str(value) for name, value in msgspec.structs.asdict(FIELDS).items() if value is not None}
        payment = await made.ask("POST", "/payments", 201, json=fields)
        desk.intents["pi_1"] |= {"status": "canceled", "cancellation_reason": "automatic"}
        body, signature = desk.notice("payment_intent.canceled", "pi_1")

        async def sent(body: bytes, signature: str, provider: str = "stripe") -> int:
            response = await made.client.post(
                f"/api/v1/payments/notices/{provider}",
                content=body,
                headers={"stripe-signature": signature, "authorization": ""},
            )
            return response.status_code

        assert await sent(body, "t=1,v1=00") == 400
        assert await sent(body, signature, "fake") == 404
        assert (await made.get(f"/payments/{payment['id']}"))["state"] == "authorised"
        desk.troubles = ["broken"]
        assert await sent(body, signature) == 503
        assert await sent(body, signature) == 204
        assert await sent(body, signature) == 204
        assert (await made.get(f"/payments/{payment['id']}"))["state"] == "released"
    await provider.close()
