"""OCTT, Charge Point, Remote Trigger and Smart Charging (TC_054 to TC_060, TC_066, TC_067, TC_072, TC_082)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import MessageTrigger

from tests.octt.station.bench import Bench, bench
from tests.octt.station.central import VALID

DEVIATION_S = 5
"""How long before the present the schedules begin."""


async def test_tc_054_cs_trigger_message() -> None:
    async with bench() as station:
        for message, connector, fields in (
            (MessageTrigger.meter_values, 1, {"connector_id": 1}),
            (MessageTrigger.heartbeat, None, {}),
            (MessageTrigger.status_notification, 1, {"connector_id": 1}),
            (MessageTrigger.diagnostics_status_notification, None, {"status": "Idle"}),
            (MessageTrigger.firmware_status_notification, None, {"status": "Idle"}),
        ):
            station.tool.settle()
            assert (await station.tool.ask(call.TriggerMessage(message, connector))).status == "Accepted"
            await station.tool.expect(message.value, **fields)


async def test_tc_055_cs_trigger_message_rejected() -> None:
    async with bench() as station:
        connectors = int(await station.get("NumberOfConnectors"))
        answer = await station.tool.ask(call.TriggerMessage(MessageTrigger.meter_values, connectors + 1))
        assert answer.status == "Rejected"
        await station.tool.quiet("MeterValues")


def profile(
    purpose: str,
    *steps: tuple[int, float],
    number: int = 1,
    level: int = 0,
    duration_s: int | None = None,
    transaction_id: int | None = None,
    valid_s: int | None = None,
) -> dict[str, Any]:
    """An absolute profile that began `DEVIATION_S` ago, in ampere."""
    began = datetime.now(UTC) - timedelta(seconds=DEVIATION_S)
    made: dict[str, Any] = {
        "charging_profile_id": number,
        "stack_level": level,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Absolute",
        "charging_schedule": {
            "charging_rate_unit": "A",
            "start_schedule": began.isoformat(),
            "charging_schedule_period": [
                {"start_period": start, "limit": limit, "number_phases": 3} for start, limit in steps
            ],
        },
    }
    if duration_s is not None:
        made["charging_schedule"]["duration"] = duration_s
    if transaction_id is not None:
        made["transaction_id"] = transaction_id
    if valid_s is not None:
        made |= {"valid_from": began.isoformat(), "valid_to": (began + timedelta(seconds=valid_s)).isoformat()}
    return made


async def install(station: Bench, made: dict[str, Any], connector: int = 1) -> str:
    return str((await station.tool.ask(call.SetChargingProfile(connector, made))).status)


async def composite(station: Bench, duration_s: int) -> list[tuple[int, float]]:
    """The schedule of connector 1: seconds since the profiles began, and ampere."""
    asked = datetime.now(UTC)
    answer = await station.tool.ask(call.GetCompositeSchedule(1, duration_s, "A"))
    assert (answer.status, answer.connector_id) == ("Accepted", 1)
    schedule = answer.charging_schedule
    assert (schedule["duration"], schedule["charging_rate_unit"]) == (duration_s, "A")
    start = datetime.fromisoformat(answer.schedule_start)
    assert abs(start - asked) < timedelta(seconds=2)
    periods = [(period["start_period"], period["limit"]) for period in schedule["charging_schedule_period"]]
    assert periods[0][0] == 0
    return periods


def agrees(periods: list[tuple[int, float]], expected: list[tuple[int, float]]) -> bool:
    """Whether the periods are the expected ones, whose starts but the first are `x` seconds earlier: `DEVIATION_S`."""
    if [limit for _, limit in periods] != [limit for _, limit in expected]:
        return False
    pairs = zip(periods[1:], expected[1:], strict=True)
    return all(abs(start - (wanted - DEVIATION_S)) <= 2 for (start, _), (wanted, _) in pairs)


async def test_tc_056_cs_tx_default_profile() -> None:
    async with bench() as station:
        assert await install(station, profile("TxDefaultProfile", (0, 6.0), duration_s=300)) == "Accepted"
        assert agrees(await composite(station, 200), [(0, 6.0)])


async def test_tc_057_cs_tx_profile() -> None:
    async with bench() as station:
        await station.charging()
        made = profile("TxProfile", (0, 6.0), duration_s=300, transaction_id=station.tool.transaction_id)
        assert await install(station, made) == "Accepted"
        assert agrees(await composite(station, 200), [(0, 6.0)])
        assert station.hardware.evses[1].limit_a == 6.0


async def test_tc_058_1_cs_tx_profile_without_a_transaction() -> None:
    async with bench() as station:
        assert await install(station, profile("TxProfile", (0, 6.0), transaction_id=1)) == "Rejected"


async def test_tc_058_2_cs_tx_profile_of_another_transaction() -> None:
    async with bench() as station:
        await station.charging()
        made = profile("TxProfile", (0, 6.0), transaction_id=station.tool.transaction_id + 1)
        assert await install(station, made) == "Rejected"


async def test_tc_082_cs_tx_default_profile_with_a_transaction() -> None:
    async with bench() as station:
        await station.charging()
        assert await install(station, profile("TxDefaultProfile", (0, 6.0), duration_s=300)) == "Accepted"
        assert agrees(await composite(station, 200), [(0, 6.0)])
        assert station.hardware.evses[1].limit_a == 6.0


async def test_tc_066_cs_composite_schedule() -> None:
    async with bench() as station:
        await station.charging()
        most = profile("ChargePointMaxProfile", (0, 10.0), number=1, duration_s=86_400)
        default = profile(
            "TxDefaultProfile",
            *((0, 6.0), (60, 10.0), (120, 8.0), (180, 15.0), (260, 8.0)),
            number=2,
            duration_s=300,
            valid_s=401,
        )
        own = profile(
            "TxProfile",
            *((0, 8.0), (50, 11.0), (140, 16.0), (200, 6.0), (240, 12.0)),
            number=3,
            duration_s=260,
            valid_s=401,
            transaction_id=station.tool.transaction_id,
        )
        assert await install(station, most, 0) == "Accepted"
        assert await install(station, default) == "Accepted"
        assert await install(station, own) == "Accepted"
        periods = await composite(station, 400)
        assert agrees(periods, [(0, 8.0), (50, 10.0), (200, 6.0), (240, 10.0)]), (
            "a default is no fall-back of a TxProfile"
        )


async def test_tc_067_cs_clear_charging_profile() -> None:
    async with bench() as station:
        first = profile("TxDefaultProfile", (0, 6.0), (60, 8.0), (200, 10.0), number=1, level=1, duration_s=400)
        second = profile("TxDefaultProfile", (0, 7.0), (100, 9.0), number=2, duration_s=400, valid_s=401)
        third = profile("ChargePointMaxProfile", (0, 11.0), (200, 12.0), number=3, duration_s=500)
        assert await install(station, first) == "Accepted"
        assert await install(station, second) == "Accepted"
        assert await install(station, third, 0) == "Accepted"

        assert (await station.tool.ask(call.ClearChargingProfile(id=1))).status == "Accepted"
        assert agrees(await composite(station, 350), [(0, 7.0), (100, 9.0)])
        by_kind = call.ClearChargingProfile(charging_profile_purpose="TxDefaultProfile", stack_level=0)
        assert (await station.tool.ask(by_kind)).status == "Accepted"
        assert agrees(await composite(station, 350), [(0, 11.0), (200, 12.0)])
        assert (await station.tool.ask(call.ClearChargingProfile())).status == "Accepted"
        assert agrees(await composite(station, 350), [(0, 32.0)])
        assert (await station.tool.ask(call.ClearChargingProfile())).status == "Unknown"


async def test_tc_072_cs_stacking() -> None:
    async with bench() as station:
        first = profile("TxDefaultProfile", (0, 6.0), (100, 8.0), (200, 10.0), number=1, duration_s=400, valid_s=401)
        second = profile("TxDefaultProfile", (0, 7.0), (100, 9.0), number=2, level=1, duration_s=150, valid_s=401)
        assert await install(station, first) == "Accepted"
        assert await install(station, second) == "Accepted"
        assert agrees(await composite(station, 350), [(0, 7.0), (100, 9.0), (150, 8.0), (200, 10.0)])


async def test_tc_059_cs_remote_start_with_a_profile() -> None:
    async with bench() as station:
        await station.charging(charging_profile=profile("TxProfile", (0, 6.0), duration_s=300))
        assert agrees(await composite(station, 200), [(0, 6.0)])


async def test_tc_060_cs_remote_start_with_a_profile_of_another_purpose() -> None:
    async with bench() as station:
        made = profile("TxDefaultProfile", (0, 6.0))
        asked = call.RemoteStartTransaction(VALID, connector_id=1, charging_profile=made)
        assert (await station.tool.ask(asked)).status == "Rejected"
        await station.tool.quiet("StatusNotification", for_s=0.2)
