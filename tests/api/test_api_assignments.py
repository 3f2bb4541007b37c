"""Charging profiles that are assigned, against stations with quirks; and what a station makes of them, beside what was
intended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forecourt.csms.comparing import Difference, differences
from forecourt.domain.profile import (
    ChargingProfile,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ChargingSchedule,
    CompositePeriod,
    CompositeSchedule,
    InstalledProfile,
)
from tests.api.houses import House

NINE_KW = {
    "stack_level": 3,
    "purpose": "TxDefaultProfile",
    "kind": "Absolute",
    "schedules": [
        {
            "rate_unit": "W",
            "start_schedule": "2025-01-01T00:00:00Z",
            "periods": [{"start_period_s": 0, "rate_limit": 9000}],
        }
    ],
}


class Quirky:
    """Takes a profile only if `takes` says so; remembers all, and answers with what it has."""

    def __init__(self, takes: Callable[[dict[str, Any]], bool]) -> None:
        self.takes = takes
        self.has: dict[str, Any] | None = None
        self.schedule: dict[str, Any] | None = None

    def answer(self, action: str, payload: Any) -> Any:
        if action == "SetChargingProfile":
            taken = self.takes(payload)
            self.has = payload if taken else self.has
            return {"status": "Accepted" if taken else "Rejected"}
        if action == "GetCompositeSchedule":
            return {"status": "Accepted", "connectorId": 1, **(self.schedule or {})}
        return {"status": "Accepted"}


def form(payload: dict[str, Any]) -> tuple[str, str, int]:
    profile = payload["csChargingProfiles"]
    unit = profile["chargingSchedule"]["chargingRateUnit"]
    return profile["chargingProfilePurpose"], unit, profile["stackLevel"]


async def assigned(house: House, station_id: str, state: str, **given: Any) -> Any:
    body = {"station_id": station_id, "evse_id": 1, "profile": NINE_KW, **given}
    number = (await house.ask("POST", "/charging-profiles/assignments", 201, json=body))["number"]

    async def there() -> bool:
        return bool((await house.get(f"/charging-profiles/assignments/{number}"))["state"] == state)

    await house.eventually(there)
    return await house.get(f"/charging-profiles/assignments/{number}")


@pytest.mark.parametrize(
    ("takes", "worked", "limit"),
    [
        (lambda payload: True, ("TxDefaultProfile", "W", 3), 9000),
        (lambda payload: form(payload)[1] == "A", ("TxDefaultProfile", "A", 3), 13.0),
        (lambda payload: form(payload)[2] == 0, ("TxDefaultProfile", "W", 0), 9000),
        (
            lambda payload: form(payload)[0] == "ChargePointMaxProfile" and payload["connectorId"] == 0,
            ("ChargePointMaxProfile", "W", 3),
            9000,
        ),
        (
            lambda payload: form(payload) == ("ChargePointMaxProfile", "A", 0),
            ("ChargePointMaxProfile", "A", 0),
            13.0,
        ),
    ],
)
async def test_it_falls_back_until_the_station_takes_it_and_says_which_form_worked(
    house: House, takes: Callable[[Any], bool], worked: tuple[str, str, int], limit: float
) -> None:
    quirky = Quirky(takes)
    async with house.station("Q", quirky.answer):
        found = await assigned(house, "Q", "installed")
    assert quirky.has is not None
    assert form(quirky.has) == worked
    period = quirky.has["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]
    assert period["limit"] == limit
    last = found["attempts"][-1]
    assert (last["outcome"], last["rate_unit"], last["stack_level"]) == ("accepted", worked[1], worked[2])
    assert all(attempt["outcome"] == "rejected" for attempt in found["attempts"][:-1])


async def test_what_is_refused_in_every_form_has_failed_and_one_form_is_one_attempt(house: House) -> None:
    async with house.station("Q", Quirky(lambda _: False).answer):
        found = await assigned(house, "Q", "failed", fall_back=False)
        assert len(found["attempts"]) == 1
        assert found["detail"] == "all were refused"


async def test_a_station_that_is_offline_gets_it_when_it_is_back(house: House) -> None:
    quirky = Quirky(lambda _: True)
    async with house.station("Q", quirky.answer):
        pass
    stored = await house.ask("POST", "/charging-profiles/stored", 201, json={"name": "9 kW", "profile": NINE_KW})
    body = {"station_id": "Q", "evse_id": 1, "stored_number": stored["number"]}

    async def gone() -> bool:
        return not (await house.get("/stations/Q"))["connected"]

    await house.eventually(gone)
    made = await house.ask("POST", "/charging-profiles/assignments", 201, json=body)
    assert made["state"] in {"pending", "sent"}
    async with house.station("Q", quirky.answer):

        async def there() -> bool:
            return bool((await house.get(f"/charging-profiles/assignments/{made['number']}"))["state"] == "installed")

        await house.eventually(there)
        assert quirky.has is not None
        removed = await house.ask("DELETE", f"/charging-profiles/assignments/{made['number']}", 200)
        assert removed["state"] == "removed"


async def test_a_composite_schedule_that_is_not_what_was_intended(house: House) -> None:
    quirky = Quirky(lambda _: True)
    async with house.station("Q", quirky.answer):
        await assigned(house, "Q", "installed")
        now = datetime.now(UTC)
        quirky.schedule = {
            "scheduleStart": now.isoformat(),
            "chargingSchedule": {
                "duration": 3600,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9000}, {"startPeriod": 1800, "limit": 22000}],
            },
        }
        path = "/stations/Q/composite-schedule?evse_id=1&duration_s=3600&rate_unit=W"
        assert (await house.get(path))["differences"] is None
        (one,) = (await house.get(f"{path}&compare=true"))["differences"]
        assert (one["said"], one["intended"], one["over"]) == (22000, 9000, True)
        assert abs(datetime.fromisoformat(one["since"]) - now - timedelta(seconds=1800)) < timedelta(seconds=1)
        assert "TxDefaultProfile" in one["reason"]


START = datetime(2025, 6, 1, tzinfo=UTC)
PROFILE = InstalledProfile(
    1,
    ChargingProfile(
        id=1,
        stack_level=0,
        purpose=ChargingProfilePurpose.TX,
        kind=ChargingProfileKind.ABSOLUTE,
        schedules=(ChargingSchedule(rate_unit=ChargingRateUnit.A, periods=()),),
    ),
)


def schedule(*periods: tuple[int, float, bool], duration_s: int = 100, late_s: int = 0) -> CompositeSchedule:
    return CompositeSchedule(
        evse_id=1,
        start=START + timedelta(seconds=late_s),
        duration_s=duration_s,
        rate_unit=ChargingRateUnit.A,
        periods=tuple(
            CompositePeriod(at_s, limit_a, winner=PROFILE if limited else None, reason="why")
            for at_s, limit_a, limited in periods
        ),
    )


def spans(found: tuple[Difference, ...]) -> list[tuple[float, float, float, float]]:
    return [
        ((one.since - START).total_seconds(), (one.until - START).total_seconds(), one.said, one.intended)
        for one in found
    ]


@pytest.mark.parametrize(
    ("said", "intended", "expected"),
    [
        (schedule((0, 10.0, True)), schedule((0, 10.0, True)), []),
        (schedule((0, 10.0, True)), schedule((0, 8.0, True)), [(0, 100, 10, 8)]),
        (schedule((0, 10.0, True), (50, 6.0, True)), schedule((0, 10.0, True)), [(50, 100, 6, 10)]),
        # Boundaries that are a little apart are the same.
        (schedule((0, 10.0, True), (52, 6.0, True)), schedule((0, 10.0, True), (50, 6.0, True)), []),
        # They are compared only where both speak.
        (schedule((0, 9.0, True), late_s=40), schedule((0, 8.0, True), duration_s=80), [(40, 80, 9, 8)]),
        # Nothing was intended: the hardware may say what it likes.
        (schedule((0, 32.0, False)), schedule((0, 1e6, False)), []),
    ],
)
def test_schedules_are_compared_instant_by_instant(
    said: CompositeSchedule, intended: CompositeSchedule, expected: list[tuple[float, float, float, float]]
) -> None:
    assert spans(differences(said, intended)) == expected
