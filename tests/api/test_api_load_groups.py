"""Load groups through the API: a limit that is kept, on real sockets, by nothing but charging profiles."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.csms.group_settings import GroupSettings
from tests.api.houses import OPEN, House, Station, house

QUICK = msgspec.structs.replace(OPEN, groups=GroupSettings(interval_s=0.2, lead_s=0.0))


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, csms_settings=QUICK) as made:
        yield made


class Charger:
    """Keeps the profiles that it is given, as a station would; `refuses` says which it won't take."""

    def __init__(self, refuses: Any = lambda _profile: False) -> None:
        self.refuses = refuses
        self.seen: list[dict[str, Any]] = []
        self.profiles: dict[str, dict[str, Any]] = {}

    def answer(self, action: str, payload: Any) -> Any:
        if action == "SetChargingProfile":
            profile = payload["csChargingProfiles"]
            self.seen.append(payload)
            if self.refuses(profile):
                return {"status": "Rejected"}
            self.profiles[profile["chargingProfilePurpose"]] = profile
        return {"status": "Accepted"}

    def rate(self, purpose: str) -> float | None:
        profile = self.profiles.get(purpose)
        return None if profile is None else profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]


async def start(station: Station, id_tag: str = "T") -> int:
    """A car that charges."""
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
    await station.call("StatusNotification", status)
    call = {"connectorId": 1, "idTag": id_tag, "meterStart": 0, "timestamp": datetime.now(UTC).isoformat()}
    answer = await station.call("StartTransaction", call)
    number: int = answer["transactionId"]
    return number


def members(*stations: str, **given: Any) -> list[dict[str, Any]]:
    return [{"station_id": station, **given} for station in stations]


async def group(home: House, number: int) -> Any:
    return await home.get(f"/load-groups/{number}")


async def test_cars_share_the_limit_and_one_that_comes_waits_for_the_others_to_go_down(home: House) -> None:
    a, b = Charger(), Charger()
    async with home.station("A", a.answer) as one, home.station("B", b.answer) as other:
        body = {"name": "Garage", "terms": {"rate_limit": 20}, "members": members("A", "B")}
        number = (await home.ask("POST", "/load-groups", 201, json=body))["number"]

        async def limited() -> bool:
            status = (await group(home, number))["status"]
            return status is not None and status["allowed"] == 0 and status["kept"]

        await home.eventually(limited)
        assert (a.rate("TxDefaultProfile"), b.rate("TxDefaultProfile")) == (0, 0)
        await start(one)
        await home.eventually(lambda: _is(a.rate("TxProfile") == 20))
        await start(other, "U")
        await home.eventually(lambda: _is((a.rate("TxProfile"), b.rate("TxProfile")) == (10, 10)))

        async def settled() -> bool:
            status = (await group(home, number))["status"]
            return bool(status["allowed"] == 20 and {m["share_a"] for m in status["members"]} == {10})

        await home.eventually(settled)
        status = (await group(home, number))["status"]
        assert status["kept"] is True
        assert all(member["reason"] == "group Garage, phase L1" for member in status["members"])
        # A lower limit reaches both, and is told.
        await home.ask("PUT", f"/load-groups/{number}", 200, json={**body, "terms": {"rate_limit": 14}})
        await home.eventually(lambda: _is((a.rate("TxProfile"), b.rate("TxProfile")) == (7, 7)))


async def test_one_that_refuses_ampere_and_transactions_is_limited_in_watts_for_whoever_plugs_in(home: House) -> None:
    def refuses(profile: Any) -> bool:
        unit = profile["chargingSchedule"]["chargingRateUnit"]
        return bool(unit == "A" or profile["chargingProfilePurpose"] == "TxProfile")

    picky = Charger(refuses)
    async with home.station("P", picky.answer) as station:
        body = {"name": "One", "terms": {"rate_limit": 6900, "rate_unit": "W"}, "members": members("P")}
        number = (await home.ask("POST", "/load-groups", 201, json=body))["number"]
        await home.eventually(lambda: _is(picky.rate("TxDefaultProfile") == 0))
        await start(station)
        await home.eventually(lambda: _is(picky.rate("TxDefaultProfile") == 6900))
        status = (await group(home, number))["status"]
        assert "refused" not in status["members"][0]


async def test_a_station_that_goes_away_is_counted_with_what_it_was_told(home: House) -> None:
    a, b = Charger(), Charger()
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(home.station("B", b.answer))
        async with home.station("A", a.answer) as one:
            body = {"name": "G", "terms": {"rate_limit": 20}, "members": members("A", "B")}
            number = (await home.ask("POST", "/load-groups", 201, json=body))["number"]
            await home.eventually(lambda: _is(a.rate("TxDefaultProfile") == 0))
            await start(one)
            await home.eventually(lambda: _is(a.rate("TxProfile") == 20))

            async def taken() -> bool:
                return bool((await group(home, number))["status"]["allowed"] == 20)

            await home.eventually(taken)
        await start(other, "U")

        async def told() -> bool:
            status = (await group(home, number))["status"]
            return {m["station_id"]: m["state"] for m in status["members"]} == {"A": "offline", "B": "waiting"}

        await home.eventually(told)
        status = (await group(home, number))["status"]
        assert (status["kept"], status["unreachable"]) == (True, 20)
        assert b.rate("TxProfile") is None


async def test_wishes_count_for_the_transaction_and_the_tokens_stand_in(home: House) -> None:
    await home.ask("PUT", "/tokens/T", 200, json={"type": "ISO14443"})
    assert (await home.ask("PUT", "/tokens/T/wish", 200, json={"energy_wh": 9000}))["energy_wh"] == 9000
    async with home.station("A") as station:
        wire_id = await start(station)
        found = await home.get(f"/transactions/{wire_id}/wish")
        assert (found["energy_wh"], found["energy_source"], found["departs_at"]) == (9000, "token", None)
        leaves = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
        wish = {"departs_at": leaves, "energy_wh": 12_000}
        found = await home.ask("PUT", f"/transactions/{wire_id}/wish", 200, json=wish)
        assert (found["energy_wh"], found["energy_source"], found["departs_source"]) == (12_000, "person", "person")
        await home.ask("PUT", f"/transactions/{wire_id}/wish", 422, json={"departs_at": "2020-01-01T00:00:00Z"})
        found = await home.get(f"/transactions/{wire_id}/completion")
        assert (found["basis"], found["remaining_wh"], found["estimated_at"]) == ("wish", 12_000, None)
        await home.ask("POST", f"/transactions/{wire_id}/close", 200)
        await home.get(f"/transactions/{wire_id}/completion", 409)
    await home.ask("DELETE", "/tokens/T/wish", 204)
    await home.get("/tokens/T/wish", 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"terms": {"rate_limit": -1}}, "terms.rate_limit"),
        ({"terms": {"rate_limit": 1, "time_zone": "Mars"}}, "terms.time_zone"),
        ({"members": [{"station_id": "nobody"}]}, "members[0].station_id"),
        ({"members": [{"evse_id": 1}]}, "members[0].station_id"),
        ({"parent_number": 99}, "parent_number"),
    ],
)
async def test_what_cant_be_is_refused_with_its_field(home: House, change: dict[str, Any], field: str) -> None:
    body = {"name": "G", "terms": {"rate_limit": 20}, **change}
    problem = await home.ask("POST", "/load-groups", 422, json=body)
    assert problem["errors"][0]["field"] == field if "errors" in problem else problem["field"] == field


async def _is(value: bool) -> bool:
    await asyncio.sleep(0)
    return value
