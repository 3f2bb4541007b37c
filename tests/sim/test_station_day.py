"""24 hours of one station: clock-aligned values, a profile for the evening, and hours without a link."""

from datetime import datetime, timedelta

from forecourt.sim.station_day import DAY_S, EVENING_A, GAPS_H, MIDNIGHT, VISITS_H, StationDay, Told


def seconds(text: str) -> float:
    return (datetime.fromisoformat(text) - MIDNIGHT) / timedelta(seconds=1)


def offline(at_s: float) -> bool:
    return any(begins_h * 3600 < at_s < ends_h * 3600 for begins_h, ends_h in GAPS_H)


def test_a_day() -> None:
    day = StationDay()
    day.run()
    assert day.refused == []

    def told(action: str) -> list[Told]:
        return [one for one in day.told if one.action == action]

    assert len(told("BootNotification")) == 1, "a mere reconnect is no boot"
    assert not any(offline(one.at_s) for one in day.told)

    starts, stops = told("StartTransaction"), told("StopTransaction")
    assert len(starts) == len(stops) == len(VISITS_H)
    assert sorted(one.payload["transactionId"] for one in stops) == list(range(1, len(VISITS_H) + 1))
    late = [one for one in (*starts, *stops) if one.at_s - seconds(one.payload["timestamp"]) > 60.0]
    assert [offline(seconds(one.payload["timestamp"])) for one in late] == [True] * 3

    billed_wh = sum(stop.payload["meterStop"] for stop in stops) - sum(start.payload["meterStart"] for start in starts)
    assert abs(billed_wh - day.energy_wh()) < len(VISITS_H) + 1, "all of it, to the rounding of a Wh"

    aligned = {
        (one.payload["connectorId"], value["timestamp"])
        for one in told("MeterValues")
        for value in one.payload["meterValue"]
        if value["sampledValue"][0]["context"] == "Sample.Clock"
    }
    assert aligned, "each quarter of an hour"
    assert all(seconds(at) % 900.0 == 0.0 for _, at in aligned)
    quarters = {seconds(at) for _, at in aligned}
    assert {at_s for at_s in range(900, int(DAY_S), 900) if not offline(at_s)} <= quarters

    evening = [limit_a for at_s, _, limit_a in day.offered_a if 17 * 3600 < at_s < 21 * 3600]
    assert evening
    assert set(evening) == {EVENING_A}
    assert max(limit_a for at_s, _, limit_a in day.offered_a if at_s < 17 * 3600) > EVENING_A
