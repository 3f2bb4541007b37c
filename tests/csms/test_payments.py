"""Paying on the spot: held, taken once, let go of; whatever the provider does, and wherever the process dies."""

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.csms import authorization, cdrs, payments
from forecourt.csms.billing import Biller
from forecourt.csms.cdrs import Release
from forecourt.csms.errors import Conflict, Invalid, NotFound
from forecourt.csms.money_records import Payment, PaymentState, SessionState
from forecourt.csms.payments import Cashier, PaymentFields
from forecourt.csms.ports import Context, StoreUnavailable
from forecourt.csms.upkeep import Accounts
from forecourt.sim.payments import DECLINED_METHOD, FakePaymentProvider, Trouble
from tests.csms.test_billing import begin, end, tariff
from tests.csms.worlds import World, world

FIELDS = PaymentFields(provider="fake", method="card", amount=Decimal("20.00"), currency="EUR", station_id="CS1")


def paying(made: World) -> tuple[Context, FakePaymentProvider]:
    provider = FakePaymentProvider()
    return msgspec.structs.replace(made.context, payment_providers={"fake": provider}), provider


async def states(context: Context) -> list[PaymentState]:
    return [payment.state for payment in (await payments.list_payments(context)).items]


async def charge(made: World, payment: Payment, *, wh: float = 10_000.0) -> None:
    speaker = await speaker_of(made)
    transaction_id = await begin(made, speaker, token=payment.id_token)
    await end(made, speaker, transaction_id, 3600, 1000.0 + wh)
    made.clock.seconds += 7200


async def speaker_of(made: World) -> Any:
    from forecourt.csms.records import ConnectedStation
    from tests.csms.worlds import ISSUED

    found = await made.store.read(lambda books: books.stations.get(1, "CS1"))
    if found is None:
        return await made.station()
    return ConnectedStation(organisation_id=1, number=found.number, id="CS1", capabilities=ISSUED)


async def test_what_a_session_costs_is_taken_of_what_was_held(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    assert payment.state is PaymentState.AUTHORISED
    assert list(provider.held.values()) == [Decimal("20.00")]
    assert len(payment.id_token) <= 20
    await charge(world, payment)
    await Accounts(context).turn()
    await Accounts(context).turn()
    payment = await payments.get_payment(context, payment.id)
    assert (payment.state, payment.captured, payment.uncollected) == (PaymentState.CAPTURED, Decimal("5.95"), None)
    assert list(provider.captured.values()) == [[Decimal("5.95")]]
    with pytest.raises(NotFound):
        await authorization.get_token(context, payment.id_token)
    told = [msgspec.json.decode(event.body)["payment"]["state"] for event in world.told if "payment" in event.type]
    assert told == ["requested", "authorised", "capturing", "captured"]
    (cdr,) = (await cdrs.list_cdrs(context)).items
    assert cdr.payment_id == payment.id


async def test_no_more_is_taken_than_was_held(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, msgspec.structs.replace(FIELDS, amount=Decimal("3.00")))
    await charge(world, payment)
    await Accounts(context).turn()
    payment = await payments.get_payment(context, payment.id)
    assert (payment.captured, payment.uncollected) == (Decimal("3.00"), Decimal("2.95"))
    assert list(provider.captured.values()) == [[Decimal("3.00")]]


async def test_where_nothing_is_owed_the_money_is_let_go_of(world: World) -> None:
    await tariff(world, price="0.00")
    await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    await charge(world, payment)
    await Accounts(context).turn()
    assert await states(context) == [PaymentState.RELEASED]
    assert (provider.captured, len(provider.released)) == ({}, 1)


async def test_without_a_session_in_time_the_money_is_let_go_of(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    world.clock.seconds = context.settings.money.payment_start_timeout_s - 1
    await Cashier(context).turn()
    assert await states(context) == [PaymentState.AUTHORISED]
    world.clock.seconds += 1
    await Cashier(context).turn()
    await Cashier(context).turn()
    assert await states(context) == [PaymentState.RELEASED]
    assert len(provider.released) == 1
    with pytest.raises(NotFound):
        await authorization.get_token(context, payment.id_token)


async def test_a_payment_can_be_cancelled_before_it_is_used(world: World) -> None:
    await tariff(world)
    station = await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    assert (await payments.cancel_payment(context, payment.id)).state is PaymentState.RELEASED
    assert len(provider.released) == 1
    payment = await payments.request_payment(context, FIELDS)
    await begin(world, station, token=payment.id_token)
    with pytest.raises(Conflict):
        await payments.cancel_payment(context, payment.id)


async def test_a_declined_card_gives_no_token(world: World) -> None:
    await world.station()
    context, _ = paying(world)
    payment = await payments.request_payment(context, msgspec.structs.replace(FIELDS, method=DECLINED_METHOD))
    assert (payment.state, payment.detail) == (PaymentState.DECLINED, "the card was declined")
    with pytest.raises(NotFound):
        await authorization.get_token(context, payment.id_token)


async def test_a_held_session_keeps_the_money_held_until_it_is_decided(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    first = await payments.request_payment(context, FIELDS)
    await charge(world, first, wh=-500.0)
    await Accounts(context).turn()
    assert await states(context) == [PaymentState.AUTHORISED]
    await cdrs.release_session(context, 1, Release(reason="read by hand", energy_wh=Decimal(2000)), "key")
    await Accounts(context).turn()
    assert await states(context) == [PaymentState.CAPTURED]
    assert list(provider.captured.values()) == [[Decimal("1.19")]]
    await cdrs.credit_cdr(context, 1, "wrong")
    await cdrs.release_session(context, 1, Release(reason="once more", energy_wh=Decimal(9000)), "key")
    await Accounts(context).turn()
    assert list(provider.captured.values()) == [[Decimal("1.19")]], "once"


async def test_while_a_session_runs_the_money_stays_held(world: World) -> None:
    await tariff(world)
    station = await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    await begin(world, station, token=payment.id_token)
    for _ in range(3):
        world.clock.seconds += 1000
        await Accounts(context).turn()
    assert await states(context) == [PaymentState.AUTHORISED]
    assert provider.released == []


async def test_a_voided_session_lets_go(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    await charge(world, await payments.request_payment(context, FIELDS), wh=-500.0)
    await Accounts(context).turn()
    await cdrs.void_session(context, 1, "goodwill", "key")
    await Accounts(context).turn()
    assert (await states(context), provider.captured) == ([PaymentState.RELEASED], {})


async def test_one_payment_is_for_one_session(world: World) -> None:
    await tariff(world)
    station = await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    first = await begin(world, station, token=payment.id_token)
    second = await begin(world, station, token=payment.id_token, seconds=5)
    for transaction_id in (second, first):
        await end(world, station, transaction_id, 3600, 3000.0)
    world.clock.seconds = 7200
    await Accounts(context).turn()
    views = (await cdrs.list_sessions(context)).items
    assert [view.session.state for view in views] == [SessionState.HELD, SessionState.COMPLETED]
    assert list(provider.captured.values()) == [[Decimal("1.19")]]


async def test_another_currency_is_a_failure_to_be_seen(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, msgspec.structs.replace(FIELDS, currency="SEK"))
    await charge(world, payment)
    await Accounts(context).turn()
    payment = await payments.get_payment(context, payment.id)
    assert (payment.state, payment.uncollected) == (PaymentState.FAILED, Decimal("5.95"))
    assert (await payments.retry_payment(context, payment.id)).state is PaymentState.RELEASED
    assert provider.captured == {}


async def test_a_provider_that_is_away_is_asked_again_and_then_it_is_a_failure_to_be_seen(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    await charge(world, payment)
    attempts = context.settings.money.payment_attempts
    provider.troubles = [Trouble.AWAY] * attempts
    await Biller(context).turn()
    waits = []
    for _ in range(attempts):
        before = await payments.get_payment(context, payment.id)
        if before.next_attempt_at is not None:
            now = world.clock.now().at
            waits.append((before.next_attempt_at - now).total_seconds())
            assert await Cashier(context).turn() == 0, "not before its time"
            world.clock.seconds += waits[-1]
        assert await Cashier(context).turn() == 1
    failed = await payments.get_payment(context, payment.id)
    assert (failed.state, failed.attempts) == (PaymentState.FAILED, attempts)
    assert failed.detail == "the fake provider is away"
    assert waits == sorted(waits)
    assert sum(waits) > 12 * 600
    assert await Cashier(context).turn() == 0
    assert (await payments.retry_payment(context, payment.id)).state is PaymentState.CAPTURED
    assert set(provider.asked[1:]) == {f"{payment.id}-capture"}
    with pytest.raises(Conflict):
        await payments.retry_payment(context, payment.id)


async def test_whatever_a_providers_library_raises_the_payment_stays_in_sight(world: World) -> None:
    await world.station()
    context, provider = paying(world)

    async def broken(**_: Any) -> Any:
        raise ZeroDivisionError("secret")

    provider.authorise = broken  # type: ignore[method-assign]
    payment = await payments.request_payment(context, FIELDS)
    assert (payment.state, payment.detail) == (PaymentState.REQUESTED, "the provider failed: ZeroDivisionError")
    gone = msgspec.structs.replace(context, payment_providers={})
    world.clock.seconds = 3600
    await Cashier(gone).turn()
    payment = await payments.get_payment(context, payment.id)
    assert payment.detail == "there is no provider 'fake' any more"


async def test_an_idempotency_key_gives_the_same_payment(world: World) -> None:
    await world.station()
    context, provider = paying(world)
    first = await payments.request_payment(context, FIELDS, "key-1")
    assert await payments.request_payment(context, FIELDS, "key-1") == first
    assert len(provider.held) == 1
    with pytest.raises(Conflict):
        await payments.request_payment(context, msgspec.structs.replace(FIELDS, amount=Decimal(7)), "key-1")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"provider": "nobody"}, "provider"),
        ({"method": ""}, "method"),
        ({"amount": Decimal(0)}, "amount"),
        ({"amount": Decimal("1.005")}, "amount"),
        ({"amount": Decimal(-1)}, "amount"),
        ({"amount": Decimal("sNaN")}, "amount"),
        ({"currency": "XXX"}, "currency"),
    ],
)
async def test_a_payment_that_cannot_be_is_refused_by_field(world: World, change: dict[str, Any], field: str) -> None:
    await world.station()
    context, _ = paying(world)
    with pytest.raises(Invalid) as refused:
        await payments.request_payment(context, msgspec.structs.replace(FIELDS, **change))
    assert refused.value.field == field


class Dead(BaseException):
    """The process is gone: nothing that comes after is run."""


class MortalStore:
    """A store of a process that dies at its n-th write: before it, or after it was committed."""

    def __init__(self, store: Any, dies_at: int, *, committed: bool) -> None:
        self._store = store
        self._left = dies_at
        self._committed = committed

    def read(self, query: Any) -> Any:
        return self._store.read(query)

    async def write(self, unit: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._committed:
            raise Dead
        result = await self._store.write(unit)
        if self._left == 0:
            raise Dead
        return result


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("silent", [False, True])
async def test_wherever_the_process_dies_the_money_is_taken_once(tmp_path: Path, committed: bool, silent: bool) -> None:
    """At every write of a payment's way in turn; the next process goes on from the books, with the same provider."""
    for dies_at in itertools.count(1):
        folder = tmp_path / f"{dies_at}"
        folder.mkdir()
        provider = FakePaymentProvider()
        died = False
        async with world(folder) as first:
            await tariff(first)
            await first.station()
            if silent:
                provider.troubles = [Trouble.SILENT]
            mortal = MortalStore(first.store, dies_at, committed=committed)
            context = msgspec.structs.replace(first.context, payment_providers={"fake": provider}, store=mortal)
            try:
                payment = await payments.request_payment(context, FIELDS, "key")
                await _finish(first, context, payment.id, provider)
            except Dead:
                died = True
        async with world(folder) as second:
            second.clock.seconds = 100.0
            # Another process has other ids: whoever repeats its request does so with the key.
            context = msgspec.structs.replace(
                second.context, payment_providers={"fake": provider}, new_id=lambda number=dies_at: f"again-{number}"
            )
            payment = await payments.request_payment(context, FIELDS, "key")
            await _finish(second, context, payment.id, provider)
            assert await states(context) == [PaymentState.CAPTURED]
            assert len((await cdrs.list_cdrs(context)).items) == 1
        assert list(provider.captured.values()) == [[Decimal("5.95")]]
        assert list(provider.held.values()) == [Decimal(0)], "held once, and nothing is left"
        if not died:
            assert dies_at > 4
            return


async def _finish(made: World, context: Context, payment_id: str, provider: FakePaymentProvider) -> None:
    for _ in range(3):
        made.clock.seconds += 20.0
        await Accounts(context).turn()
    payment = await payments.get_payment(context, payment_id)
    if payment.state is PaymentState.AUTHORISED and payment.session_number is None:
        await charge(made, payment)
    made.clock.seconds = max(made.clock.seconds, 7200.0)
    for _ in range(4):
        made.clock.seconds += 20.0
        await Accounts(context).turn()


async def test_books_that_cannot_be_written_stop_nothing_for_good(world: World) -> None:
    await tariff(world)
    await world.station()
    context, provider = paying(world)
    payment = await payments.request_payment(context, FIELDS)
    await charge(world, payment)

    class Full(MortalStore):
        async def write(self, unit: Any) -> Any:
            raise StoreUnavailable("disk full")

    with pytest.raises(StoreUnavailable):
        await Accounts(msgspec.structs.replace(context, store=Full(world.store, 0, committed=False))).turn()
    await Accounts(context).turn()
    assert list(provider.captured.values()) == [[Decimal("5.95")]]
