"""What hangs on one thing, asked through the client of a real API."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from forecourt.client import Conflict, NotFound, details, nouns, stations, tokens
from forecourt.csms.completion import Basis
from forecourt.csms.group_records import WishSource
from forecourt.csms.people_records import RotationState
from forecourt.csms.resource_records import ListState, ReservationState
from forecourt.domain.variable import VariableRef
from tests.api.houses import House
from tests.client.test_client import client_of

INTERVAL = VariableRef("OCPPCommCtrlr", "HeartbeatInterval")
SCHEDULE = {
    "status": "Accepted",
    "connectorId": 1,
    "scheduleStart": "2025-06-01T12:00:00Z",
    "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]},
}


def answer(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """What a willing station says."""
    if action == "GetConfiguration":
        return {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]}
    if action == "GetCompositeSchedule":
        return SCHEDULE
    return {"listVersion": 0} if action == "GetLocalListVersion" else {"status": "Accepted"}


async def test_what_hangs_on_a_station(house: House) -> None:
    async with client_of(house) as client:
        await client.do(stations.create_station("CS-1"))
        await client.do(tokens.put_token("T"))
        wished = await client.do(details.set_desired("CS-1", {INTERVAL: "60"}))
        assert [(one.ref, one.value) for one in wished.desired] == [(INTERVAL, "60")]
        with pytest.raises(Conflict):
            await client.do(details.synchronise_configuration("CS-1"))
        async with house.station("CS-1", answer):

            async def connected() -> bool:
                return (await client.do(stations.get_station("CS-1"))).connected

            await house.eventually(connected)
            pushed = await client.do(details.synchronise_configuration("CS-1"))
            assert (pushed.drift, pushed.desired[0].outcome) == ((), "Accepted")
            assert await client.do(details.configuration("CS-1")) == pushed
            await client.do(details.remove_desired("CS-1", INTERVAL))
            assert (await client.do(details.configuration("CS-1"))).desired == ()

            told = await client.do(details.composite_schedule("CS-1", evse_id=1, compare=True))
            assert told.schedule is not None
            assert told.schedule.periods[0].rate_limit == 16
            assert told.differences is not None

            await client.do(details.put_local_list("CS-1", [{"value": "T", "status": "Accepted"}]))
            assert (await client.do(details.follow_tokens("CS-1"))).follows_tokens
            sent = await client.do(details.synchronise_local_list("CS-1"))
            assert (sent.state, [one.value for one in sent.entries]) == (ListState.SYNCHRONISED, ["T"])
            assert await client.do(nouns.get_local_list("CS-1")) == sent
            await client.do(details.forget_local_list("CS-1"))

            until = datetime.now(UTC) + timedelta(hours=1)
            kept = await client.do(details.reserve("CS-1", "T", until, evse_id=1), wait_s=10)
            assert (kept.reservation.state, kept.reservation.id_token) == (ReservationState.ACCEPTED, "T")

            await client.do(stations.set_password("CS-1", "0123456789abcdef"))
            begun = await client.do(details.rotate_password("CS-1"))
            assert begun.state in RotationState
            assert (await client.do(details.rotation("CS-1"))).created_at == begun.created_at


async def test_what_hangs_on_transactions_tokens_and_groups(house: House) -> None:
    async with client_of(house) as client:
        await client.do(stations.create_station("CS-1"))
        await client.do(tokens.put_token("T"))
        said = await client.do(details.put_token_wish("T", departs=time(7), energy_wh=9000))
        assert await client.do(details.token_wish("T")) == said
        async with house.station("CS-1", answer) as station:
            start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": datetime.now(UTC).isoformat()}
            number = (await station.call("StartTransaction", start))["transactionId"]
            assert (await client.do(details.wish(number))).energy_source is WishSource.TOKEN
            assert (await client.do(details.put_wish(number, energy_wh=12_000))).energy_wh == 12_000
            found = await client.do(details.completion(number))
            assert (found.basis, found.remaining_wh, found.estimated_at) == (Basis.WISH, 12_000, None)
        await client.do(details.remove_token_wish("T"))
        with pytest.raises(NotFound):
            await client.do(details.token_wish("T"))
        group = await client.do(
            nouns.LOAD_GROUPS.create(
                {"name": "G", "terms": {"rate_limit": 20, "thresholds": [{"above": 1, "rate_limit": 6}]}}
            )
        )
        now = datetime.now(UTC).isoformat()
        changed = await client.do(details.put_series(group.number, signal=[{"at": now, "value": 2.0}]))
        assert [point.value for point in changed.terms.signal] == [2.0]
