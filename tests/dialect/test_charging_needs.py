"""What a car says of its visit (OCPP 2.0.1 K15): heard, and answered truthfully."""

import json
from datetime import UTC, datetime

from forecourt.dialect import DIALECTS
from forecourt.domain.events import Acknowledged, ChargingNeedsReported, Notice

DIALECT = next(dialect for dialect in DIALECTS if dialect.subprotocol == "ocpp2.0.1")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def heard(**needs: object) -> ChargingNeedsReported:
    payload = json.dumps({"evseId": 2, "chargingNeeds": needs}).encode()
    notice = DIALECT.decode_call("NotifyEVChargingNeeds", payload, received_at=NOW).value
    assert isinstance(notice, Notice)
    (event,) = notice.events
    assert isinstance(event, ChargingNeedsReported)
    return event


def test_k15_fr_01_departure_and_energy_of_a_car_on_ac() -> None:
    ac = {"energyAmount": 18_000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 400}
    found = heard(
        requestedEnergyTransfer="AC_three_phase", departureTime="2026-03-02T17:30:00Z", acChargingParameters=ac
    )
    assert found == ChargingNeedsReported(evse_id=2, departs_at=NOW.replace(hour=17, minute=30), energy_wh=18_000.0)


def test_k15_fr_01_battery_and_state_of_charge_of_a_car_on_dc() -> None:
    dc = {"evMaxCurrent": 200, "evMaxVoltage": 500, "stateOfCharge": 35, "evEnergyCapacity": 60_000, "fullSoC": 95}
    found = heard(requestedEnergyTransfer="DC", dcChargingParameters=dc)
    assert found == ChargingNeedsReported(evse_id=2, battery_wh=60_000.0, soc_percent=35.0, full_soc_percent=95.0)


def test_k15_fr_03_whoever_makes_no_schedule_says_so() -> None:
    notice = Notice((ChargingNeedsReported(evse_id=1),))
    answer = DIALECT.encode_call_answer(notice, Acknowledged())
    assert json.loads(answer) == {"status": "Rejected"}
    assert DIALECT.decode_call_answer(notice, answer).value == Acknowledged()
