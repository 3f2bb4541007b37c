"""Money over the API: a tariff is entered and assigned, a real station charges, a receipt comes out; and payments."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.csms.money_settings import MoneySettings
from forecourt.sim.payments import FakePaymentProvider
from tests.api.houses import OPEN, House, Station, house

QUICK = msgspec.structs.replace(OPEN, money=MoneySettings(interval_s=0.02, issuer=("Grid & Sons", "VAT DE123")))
TERMS = {
    "currency": "EUR",
    "elements": [
        {
            "price_components": [
                {"type": "FLAT", "price": "0.50", "vat": "19"},
                {"type": "ENERGY", "price": 0.39, "vat": 19, "step_size": 1},
            ]
        }
    ],
}


@pytest.fixture
async def paid(tmp_path: Path) -> AsyncIterator[House]:
    """A CSMS that bills at once, with a payment provider that holds nothing."""
    async with house(tmp_path, csms_settings=QUICK, payment_providers={"fake": FakePaymentProvider()}) as made:
        yield made


async def begin(station: Station, token: str = "TAG", minute: int = 0) -> int:
    at = f"2025-11-01T12:{minute:02}:00Z"
    body = {"connectorId": 1, "idTag": token, "meterStart": 1000, "timestamp": at}
    wire_id: int = (await station.call("StartTransaction", body))["transactionId"]
    return wire_id


async def end(station: Station, wire_id: int, stop_wh: int = 11_000) -> None:
    await station.call(
        "StopTransaction", {"transactionId": wire_id, "meterStop": stop_wh, "timestamp": "2025-11-01T13:00:00Z"}
    )


async def tariff(house: House) -> Any:
    made = await house.ask("POST", "/tariffs", 201, json=TERMS)
    await house.ask("POST", f"/tariffs/{made['id']}/assignments", 201, json={"scope": "organisation"})
    return made


async def cdr_of(house: House) -> Any:
    async def there() -> bool:
        return bool((await house.get("/cdrs"))["items"])

    await house.eventually(there)
    return (await house.get("/cdrs"))["items"][0]


async def test_a_tariff_is_entered_changed_assigned_and_retired(paid: House) -> None:
    response = await paid.client.post("/api/v1/tariffs", json=TERMS)
    made = response.json()
    assert response.headers["location"] == f"/api/v1/tariffs/{made['id']}"
    component = made["terms"]["elements"][0]["price_components"][1]
    assert component == {"type": "ENERGY", "price": "0.39", "vat": "19"}
    path = f"/tariffs/{made['id']}"
    assert await paid.get(path) == made
    assert (await paid.ask("PUT", path, 200, json=TERMS))["version"] == 1, "the same terms are no new version"
    changed = await paid.ask("PUT", path, 200, json={**TERMS, "currency": "SEK"})
    assert (changed["id"], changed["version"], changed["terms"]["currency"]) == (made["id"], 2, "SEK")
    assert [entry["version"] for entry in (await paid.get(f"{path}/versions"))["items"]] == [2, 1]
    assert (await paid.get("/tariffs"))["items"] == [changed]

    await paid.ask("PUT", "/tokens/card", 200, json={})
    given = await paid.ask("POST", f"{path}/assignments", 201, json={"scope": "token", "target": "CARD"})
    assert (given["scope"], given["target"], given["ad_hoc"]) == ("token", "CARD", False)
    again = await paid.ask("POST", f"{path}/assignments", 201, json={"scope": "token", "target": "card"})
    assert (await paid.get(f"{path}/assignments"))["items"] == [again]
    await paid.ask("DELETE", path, 409)
    await paid.ask("DELETE", f"{path}/assignments/{again['number']}", 204)
    await paid.ask("DELETE", f"{path}/assignments/{again['number']}", 404)
    await paid.ask("DELETE", path, 204)
    assert (await paid.get("/tariffs"))["items"] == []
    assert (await paid.get(path))["retired_at"] is not None
    await paid.ask("PUT", path, 409, json=TERMS)
    await paid.ask("POST", f"{path}/assignments", 409, json={"scope": "organisation"})
    await paid.get("/tariffs/99", 404)
    await paid.get("/tariffs/99/versions", 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"currency": "EUR"}, "elements"),
        ({**TERMS, "currency": "XXX"}, "currency"),
        ({**TERMS, "colour": "red"}, "colour"),
        (
            {"currency": "EUR", "elements": [{"price_components": [{"type": "ENERGY", "price": "dear"}]}]},
            "elements[0].price_components[0].price",
        ),
        (
            {"currency": "EUR", "elements": [{"price_components": [{"type": "ENERGY", "price": -1}]}]},
            "elements[0].price_components[0].price",
        ),
        (
            {
                "currency": "EUR",
                "elements": [
                    {"price_components": [{"type": "TIME", "price": 1}], "restrictions": {"reservation": "RESERVATION"}}
                ],
            },
            "elements[0].restrictions.reservation",
        ),
        ({**TERMS, "min_price": {"excl_vat": 5}, "max_price": {"excl_vat": 4}}, "max_price.excl_vat"),
    ],
)
async def test_a_tariff_that_cannot_be_is_refused_by_field(paid: House, body: Any, field: str) -> None:
    problem = await paid.ask("POST", "/tariffs", 422, json=body)
    assert [entry["field"] for entry in problem["errors"]] == [field]


async def test_a_target_that_is_not_there_is_refused_by_field(paid: House) -> None:
    made = await paid.ask("POST", "/tariffs", 201, json=TERMS)
    for scope, target in (
        ("station", "CS-9"),
        ("location", "7"),
        ("location", "x"),
        ("token", "T"),
        ("organisation", "x"),
    ):
        body = {"scope": scope, "target": target}
        problem = await paid.ask("POST", f"/tariffs/{made['id']}/assignments", 422, json=body)
        assert [entry["field"] for entry in problem["errors"]] == ["target"]


async def test_from_the_plug_to_the_receipt(paid: House) -> None:
    await tariff(paid)
    place = {"name": "Yard <1>", "address": "Harbour Street 1", "time_zone": "Europe/Berlin"}
    location = await paid.ask("POST", "/locations", 201, json=place)
    async with paid.station("CS-1") as station:
        await paid.ask("PATCH", "/stations/CS-1", 200, json={"location_id": location["id"]})
        wire_id = await begin(station)
        session = (await paid.get("/sessions"))["items"][0]
        assert (session["state"], session["station_id"], session["currency"]) == ("active", "CS-1", "EUR")
        meter = [{"timestamp": "2025-11-01T12:30:00Z", "sampledValue": [{"value": "6000"}]}]
        await station.call("MeterValues", {"connectorId": 1, "transactionId": wire_id, "meterValue": meter})
        live = await paid.get(f"/sessions/{session['id']}")
        assert live["bill"]["total_cost"] == {"excl_vat": "2.45", "incl_vat": "2.92"}
        await end(station, wire_id)

    cdr = await cdr_of(paid)
    assert cdr["bill"]["total_cost"] == {"excl_vat": "4.40", "incl_vat": "5.24"}
    assert cdr["bill"]["total_energy"] == "10.000000"
    assert (cdr["session_id"], cdr["location_name"], cdr["id_token"]) == (session["id"], "Yard <1>", "TAG")
    assert await paid.get(f"/cdrs/{cdr['id']}") == cdr
    done = await paid.get(f"/sessions/{session['id']}")
    assert (done["state"], done["cdr_id"], done["total_cost"]) == ("completed", cdr["id"], cdr["bill"]["total_cost"])
    assert [entry["id"] for entry in (await paid.get("/sessions?state=completed&station_id=CS-1"))["items"]] == [1]
    assert (await paid.get("/cdrs?id_token=tag&session_id=1&station_id=CS-1"))["items"] == [cdr]
    assert (await paid.get("/cdrs?created_to=2020-01-01T00:00:00Z"))["items"] == []

    receipt = await paid.get(f"/cdrs/{cdr['id']}/receipt")
    assert (receipt["number"], receipt["total"]) == (cdr["id"], cdr["bill"]["total_cost"])
    assert receipt["started_at"] == "2025-11-01T13:00:00+01:00"
    text = await paid.client.get(f"/api/v1/cdrs/{cdr['id']}/receipt.txt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Energy: 10 kWh at 0.39 EUR" in text.text
    page = await paid.client.get(f"/api/v1/cdrs/{cdr['id']}/receipt.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Yard &lt;1&gt;" in page.text
    assert "Grid &amp; Sons" in page.text
    for path in ("/receipt", "/receipt.txt", "/receipt.html", ""):
        await paid.get(f"/cdrs/99{path}", 404)


async def test_what_is_held_is_released_voided_or_taken_back(paid: House) -> None:
    await tariff(paid)
    async with paid.station("CS-1") as station:
        for minute in range(2):
            await end(station, await begin(station, minute=minute), stop_wh=500)

    async def held() -> bool:
        return len((await paid.get("/sessions?state=held"))["items"]) == 2

    await paid.eventually(held)
    first, second = (await paid.get("/sessions?state=held"))["items"]
    assert first["held_because"] == "the register is below its value at the start"
    problem = await paid.ask("POST", f"/sessions/{first['id']}/release", 422, json={"reason": "x"})
    assert [entry["field"] for entry in problem["errors"]] == ["energy_wh"]
    problem = await paid.ask("POST", f"/sessions/{first['id']}/release", 422, json={"reason": ""})
    assert [entry["field"] for entry in problem["errors"]] == ["reason"]
    body = {"reason": "read by hand", "energy_wh": "2000"}
    cdr = await paid.ask("POST", f"/sessions/{first['id']}/release", 200, json=body)
    assert cdr["bill"]["total_energy_cost"]["excl_vat"] == "0.78"
    assert cdr["correction"]["held_because"] == first["held_because"]
    assert cdr["correction"]["by"] not in {"", "anybody"}
    await paid.ask("POST", f"/sessions/{first['id']}/release", 409, json=body)
    void = await paid.ask("POST", f"/sessions/{second['id']}/void", 200, json={"reason": "goodwill"})
    assert (void["state"], void["correction"]["reason"]) == ("void", "goodwill")
    credit = await paid.ask("POST", f"/cdrs/{cdr['id']}/credit", 201, json={"reason": "wrong car"})
    assert (credit["credit_of"], credit["bill"]["total_cost"]["excl_vat"]) == (cdr["id"], "-1.28")
    await paid.ask("POST", f"/cdrs/{cdr['id']}/credit", 409, json={"reason": "again"})
    await paid.ask("POST", "/sessions/99/release", 404, json=body)
    await paid.ask("POST", "/sessions/99/void", 404, json={"reason": "x"})


async def test_a_payment_from_the_card_to_the_money(paid: House) -> None:
    await tariff(paid)
    body = {"provider": "fake", "method": "card", "amount": "20.00", "currency": "EUR", "station_id": "CS-1"}
    await paid.ask("POST", "/payments", 404, json=body)
    async with paid.station("CS-1") as station:
        headers = {"idempotency-key": "one"}
        response = await paid.client.post("/api/v1/payments", json=body, headers=headers)
        payment = response.json()
        assert (response.status_code, payment["state"], payment["amount"]) == (201, "authorised", "20.00")
        assert "method" not in payment
        assert await paid.get(response.headers["location"].removeprefix("/api/v1")) == payment
        assert (await paid.ask("POST", "/payments", 201, json=body, headers=headers))["id"] == payment["id"]
        await paid.ask("POST", "/payments", 409, json={**body, "amount": 5}, headers=headers)
        await end(station, await begin(station, payment["id_token"]))

    async def captured() -> bool:
        return bool((await paid.get("/payments?state=captured&station_id=CS-1"))["items"])

    await paid.eventually(captured)
    (payment,) = (await paid.get("/payments"))["items"]
    assert (payment["captured"], payment["uncollected"], payment["session_id"]) == ("5.24", None, 1)
    await paid.ask("POST", f"/payments/{payment['id']}/cancel", 409)
    await paid.ask("POST", f"/payments/{payment['id']}/retry", 409)
    for action in ("cancel", "retry"):
        await paid.ask("POST", f"/payments/none/{action}", 404)
    for change, field in (
        ({"provider": "bank"}, "provider"),
        ({"amount": "0"}, "amount"),
        ({"amount": "0.001"}, "amount"),
        ({"currency": "EURO"}, "currency"),
        ({"method": ""}, "method"),
    ):
        problem = await paid.ask("POST", "/payments", 422, json={**body, **change})
        assert [entry["field"] for entry in problem["errors"]] == [field]


async def test_exports_have_everything_once(paid: House) -> None:
    await tariff(paid)
    async with paid.station("CS-1") as station:
        for minute in range(3):
            await end(station, await begin(station, token="=1+1" if minute else "TAG", minute=minute))

    async def billed() -> bool:
        return len((await paid.get("/cdrs"))["items"]) == 3

    await paid.eventually(billed)

    async def rows(path: str) -> list[dict[str, str]]:
        response = await paid.client.get(f"/api/v1/exports/{path}")
        assert (response.status_code, response.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        return list(csv.DictReader(io.StringIO(response.text)))

    found = await rows("cdrs.csv")
    assert [row["session_id"] for row in found] == ["3", "2", "1"]
    assert [row["id_token"] for row in found] == ["'=1+1", "'=1+1", "TAG"]
    assert {row["total_incl_vat"] for row in found} == {"5.24"}
    assert len(await rows("cdrs.csv?id_token=tag")) == 1
    assert await rows("cdrs.csv?created_to=2020-01-01T00:00:00Z") == []
    found = await rows("transactions.csv?started_from=2025-11-01T12:01:00Z")
    assert [(row["number"], row["energy_wh"], row["orphan"]) for row in found] == [
        ("3", "10000.0", "false"),
        ("2", "10000.0", "false"),
    ]
    await paid.get("/exports/transactions.csv?station_id=nowhere", 404)
    await paid.get("/exports/cdrs.csv?created_from=yesterday", 422)


async def test_a_reader_reads_and_does_nothing(paid: House) -> None:
    headers = await paid.key("read")
    await paid.get("/cdrs", headers=headers)
    for path in ("/tariffs", "/payments", "/sessions/1/release", "/sessions/1/void", "/cdrs/1/credit"):
        await paid.ask("POST", path, 403, json={}, headers=headers)


async def test_events_tell_of_the_bill(paid: House) -> None:
    await tariff(paid)
    async with paid.station("CS-1") as station, asyncio.timeout(10):
        await end(station, await begin(station))
        await cdr_of(paid)
        lines: list[str] = []
        path = "/api/v1/events?last_event_id=0&types=cdr.created,session.updated"
        async with paid.client.stream("GET", path) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    lines.append(line)
                if len(lines) == 3:
                    break
    bodies = [msgspec.json.decode(line.removeprefix("data:")) for line in lines]
    assert [body["type"] for body in bodies] == ["session.updated", "cdr.created", "session.updated"]
    assert bodies[1]["body"]["cdr"]["bill"]["total_cost"]["incl_vat"] == "5.24"
