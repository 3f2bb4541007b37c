"""Reservations (OCPP 1.6 §3.11, §5.1, §5.13; OCPP 2.0.1 chapter H; test cases of the compliancy test tool)."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from forecourt.domain import requests as r
from forecourt.domain.events import ReservationEnded, TransactionStarted
from forecourt.domain.reservation import ConnectorType
from forecourt.domain.station import Capabilities, OperationalStatus
from forecourt.domain.token import IdToken
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.config import EvseConfig
from forecourt.station.inputs import Pilot
from forecourt.station.variable_table import (
    AUTHORIZE_REMOTE_START,
    CONNECTION_TIMEOUT,
    FEATURE_PROFILES,
    LOCAL_PRE_AUTHORIZE,
    RESERVATION_ENABLED,
    RESERVE_ANY_EVSE,
)
from tests.station.bench import ALICE, BOB, HOUSEHOLD, ONE, START, TWO, Bench, accepted

CAROL = IdToken("CAROL")
SAYS_ENDS = TWO
SAYS_NO_ENDS = msgspec.structs.replace(ONE, reports_reservation_ends=False)


def online(capabilities: Capabilities = SAYS_NO_ENDS, **config: Any) -> Bench:
    bench = Bench(capabilities, **config)
    bench.connect()
    return bench


def reserve(
    bench: Bench,
    evse_id: int | None = 1,
    number: int = 7,
    id_token: IdToken = ALICE,
    group: IdToken | None = None,
    for_s: float = 600,
    connector_type: ConnectorType | None = None,
) -> str:
    request = r.ReserveNow(
        reservation_id=number,
        expires_at=bench.now.at + timedelta(seconds=for_s),
        id_token=id_token,
        evse_id=evse_id,
        group_id_token=group,
        connector_type=connector_type,
    )
    return str(bench.ask(request).outcome)


def cancel(bench: Bench, number: int = 7) -> str:
    return str(bench.ask(r.CancelReservation(reservation_id=number)).outcome)


def unavailable(bench: Bench, evse_id: int) -> None:
    bench.ask(r.ChangeAvailability(evse_id=evse_id, operational_status=OperationalStatus.INOPERATIVE))


def fault(bench: Bench, evse_id: int, *, inoperative: bool = True) -> None:
    bench.tell(i.FaultRaised(evse_id, i.Fault(fault_id="x", code="InternalError", inoperative=inoperative)))


def started(bench: Bench) -> list[tuple[str, int, int | None]]:
    events = bench.csms.told(TransactionStarted)
    return [(event.id_token.value if event.id_token else "", event.evse_id, event.reservation_id) for event in events]


def reason(bench: Bench) -> str:
    return bench.took(e.TokenAnswered)[-1].reason


def held(bench: Bench) -> list[int]:
    return [entry.reservation_id for entry in bench.station.parts.reservations.entries]


def test_tc_046_1_a_reserved_connector_is_for_its_token() -> None:
    bench = online()
    unavailable(bench, 2)
    assert reserve(bench) == "Accepted"
    assert bench.states(1) == ["Available", "Reserved"]
    bench.tap(BOB, 1)
    assert reason(bench) == "reserved"
    assert not [call for call in bench.csms.calls if isinstance(call, r.Authorize)], "nothing could come of asking"
    bench.tap(ALICE, 1)
    assert bench.states(1) == ["Available", "Reserved", "Occupied"]
    bench.plug(1, Pilot.C)
    assert bench.states(1)[-1] == "Charging"
    assert started(bench) == [("ALICE", 1, 7)]
    assert held(bench) == []
    assert "reservation" not in bench.journal.load()
    bench.tap(ALICE, 1)
    bench.unplug(1)
    assert bench.states(1)[-1] == "Available"


def test_tc_046_1_also_with_the_plug_first() -> None:
    bench = online()
    reserve(bench)
    bench.plug(1)
    assert bench.states(1) == ["Available", "Reserved"], "a plug alone does not end a reservation (§4.9)"
    bench.tap(BOB, 1)
    assert not started(bench)
    bench.run(100)
    bench.tap(ALICE)
    assert started(bench) == [("ALICE", 1, 7)]


def test_4_9_without_a_lock_too_the_way_from_reserved_leads_over_preparing() -> None:
    bench = online(evses=(EvseConfig(has_lock=False),))
    reserve(bench)
    bench.plug(1)
    bench.ask(r.RequestStartTransaction(id_token=ALICE, evse_id=1))
    assert bench.states(1) == ["Available", "Reserved", "Occupied"]
    bench.run(2)
    assert bench.states(1)[-1] == "SuspendedEV", "the car has had its moment to take what is offered"


def test_tc_h_02_elsewhere_a_plug_is_shown_and_the_reservation_still_holds() -> None:
    bench = online(SAYS_ENDS)
    reserve(bench)
    bench.plug(1)
    assert bench.states(1)[-1] == "Occupied"
    bench.tap(BOB, 1)
    assert not started(bench)
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=1)).outcome == "Rejected"


def test_tc_h_01_a_token_that_has_come_ends_the_state_reserved() -> None:
    bench = online(SAYS_ENDS)
    reserve(bench)
    bench.tap(ALICE, 1)
    assert bench.states(1) == ["Available", "Reserved", "Available"]
    bench.plug(1)
    assert started(bench) == [("ALICE", 1, 7)]
    assert not bench.csms.told(ReservationEnded), "it was used"


def test_a_token_that_came_and_did_not_plug_in_keeps_its_reservation() -> None:
    bench = online()
    bench.set(CONNECTION_TIMEOUT, "20")
    reserve(bench)
    bench.tap(ALICE, 1)
    bench.run(20)
    assert bench.states(1) == ["Available", "Reserved", "Occupied", "Reserved"]


def test_tc_046_2_a_remote_start_of_the_reserved_token() -> None:
    bench = online()
    reserve(bench)
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=1)).outcome == "Rejected"
    assert bench.ask(r.RequestStartTransaction(id_token=ALICE, evse_id=1)).outcome == "Accepted"
    bench.plug(1)
    assert started(bench) == [("ALICE", 1, 7)]


def test_a_remote_start_at_no_connector_in_particular_goes_where_it_may() -> None:
    bench = online()
    reserve(bench, 1)
    assert bench.ask(r.RequestStartTransaction(id_token=BOB)).outcome == "Accepted"
    assert bench.states(2)[-1] == "Occupied"
    assert bench.ask(r.RequestStartTransaction(id_token=CAROL)).outcome == "Rejected"
    bench.plug(1)
    assert not started(bench), "a token that waits elsewhere does not follow a plug into what is not for it"


def test_tc_047_it_expires() -> None:
    bench = online()
    unavailable(bench, 2)
    reserve(bench, for_s=30)
    bench.run(29)
    assert bench.states(1)[-1] == "Reserved"
    bench.run(1)
    assert bench.states(1) == ["Available", "Reserved", "Available"]
    assert not bench.csms.told(ReservationEnded)
    bench.charging(1, BOB)
    assert started(bench) == [("BOB", 1, None)]


def test_tc_h_07_where_that_can_be_said_its_end_is_told() -> None:
    bench = online(SAYS_ENDS)
    reserve(bench, for_s=60)
    bench.run(60)
    assert bench.states(1)[-1] == "Available"
    assert [(told.reservation_id, told.end) for told in bench.csms.told(ReservationEnded)] == [(7, "Expired")]


def test_tc_048_1_faulted() -> None:
    bench = online()
    fault(bench, 1)
    assert reserve(bench, 1) == "Faulted"
    assert reserve(bench, 2) == "Accepted"


@pytest.mark.parametrize("state", ["plugged", "authorized", "charging", "finished", "reserved", "reserved for it"])
def test_tc_048_2_occupied(state: str) -> None:
    bench = online()
    if state == "plugged":
        bench.plug(1)
    elif state == "authorized":
        bench.tap(BOB, 1)
    elif state in {"charging", "finished"}:
        bench.charging(1, BOB)
        if state == "finished":
            bench.tap(BOB, 1)
    else:
        reserve(bench, 1, 6, ALICE if state == "reserved for it" else BOB)
    assert reserve(bench, 1) == "Occupied"
    assert reserve(bench, 2) == "Accepted"


def test_tc_048_3_unavailable() -> None:
    bench = online()
    unavailable(bench, 1)
    assert reserve(bench, 1) == "Unavailable"


def test_tc_048_4_and_050_4_rejected_without_the_profile() -> None:
    bench = online(variables={FEATURE_PROFILES: "Core"})
    assert (reserve(bench, 1), reserve(bench, 0)) == ("Rejected", "Rejected")


def test_rejected_while_it_is_configured_not_to_take_any() -> None:
    bench = online()
    reserve(bench, 1)
    bench.set(RESERVATION_ENABLED, "false")
    assert reserve(bench, 2, 8) == "Rejected"
    assert held(bench) == [7]


def test_rejected_when_it_is_over_already_or_nowhere() -> None:
    bench = online()
    assert reserve(bench, 1, for_s=0) == "Rejected"
    assert reserve(bench, 3) == "Rejected"


def test_5_13_rejected_on_connector_0_where_that_is_not_supported() -> None:
    bench = online(variables={RESERVE_ANY_EVSE: "false"})
    assert reserve(bench, None) == "Rejected"
    assert reserve(bench, 0) == "Rejected"
    assert reserve(bench, 1) == "Accepted"


@pytest.mark.parametrize("zero", [None, 0])
def test_tc_049_any_connector(zero: int | None) -> None:
    bench = online()
    unavailable(bench, 2)
    assert reserve(bench, zero) == "Accepted"
    assert bench.states(1) == ["Available", "Reserved"]
    assert bench.states(0) == ["Available"]
    bench.tap(BOB, 1)
    assert reason(bench) == "reserved"
    bench.charging(1, ALICE)
    assert started(bench) == [("ALICE", 1, 7)]
    assert held(bench) == []


def test_5_13_one_connector_remains_available_for_the_reserved_token() -> None:
    bench = online(evses=(EvseConfig(), EvseConfig(), EvseConfig()))
    reserve(bench, 0)
    assert [bench.states(evse_id) for evse_id in (1, 2, 3)] == [["Available"]] * 3
    bench.charging(1, BOB)
    bench.charging(2, CAROL)
    assert bench.states(3) == ["Available", "Reserved"]
    bench.tap(IdToken("DAVE"))
    assert reason(bench) == "reserved"
    assert bench.ask(r.RequestStartTransaction(id_token=IdToken("DAVE"))).outcome == "Rejected"
    bench.tap(BOB, 1)
    bench.unplug(1)
    assert bench.states(3)[-1] == "Available"
    bench.charging(3, ALICE)
    assert started(bench)[-1] == ("ALICE", 3, 7)


def test_one_who_chose_a_connector_does_not_hold_another() -> None:
    bench = online()
    reserve(bench, 0)
    bench.tap(ALICE, 1)
    bench.tap(BOB, 2)
    bench.plug(2)
    assert started(bench) == [("BOB", 2, None)]
    bench.plug(1)
    assert started(bench)[-1] == ("ALICE", 1, 7)


def test_tc_050_1_and_3_the_station_faulted_or_unavailable() -> None:
    bench = online()
    fault(bench, 0)
    assert reserve(bench, 0) == "Faulted"
    assert reserve(bench, 1) == "Faulted"
    bench = online()
    unavailable(bench, 0)
    assert reserve(bench, 0) == "Unavailable"
    bench = online()
    unavailable(bench, 1)
    fault(bench, 2)
    assert reserve(bench, 0) == "Unavailable"


def test_tc_050_2_all_connectors_occupied() -> None:
    bench = online()
    bench.charging(1, BOB)
    bench.plug(2)
    assert reserve(bench, 0) == "Occupied"


def test_tc_h_09_as_many_reservations_as_connectors() -> None:
    bench = online()
    assert reserve(bench, 0, 1) == "Accepted"
    assert reserve(bench, 2, 2, BOB) == "Accepted"
    assert bench.states(1) == ["Available", "Reserved"]
    assert reserve(bench, 0, 3, CAROL) == "Occupied"
    assert reserve(bench, 1, 3, CAROL) == "Occupied", "it is the last one for whoever has reserved any"


def test_tc_051_cancelled() -> None:
    bench = online(SAYS_ENDS)
    reserve(bench)
    assert cancel(bench) == "Accepted"
    assert bench.states(1) == ["Available", "Reserved", "Available"]
    assert not bench.csms.told(ReservationEnded), "the CSMS knows"
    bench.charging(1, BOB)
    assert started(bench) == [("BOB", 1, None)]


def test_tc_052_cancelling_an_unknown_one_is_rejected() -> None:
    bench = online()
    reserve(bench)
    assert cancel(bench, 8) == "Rejected"
    assert held(bench) == [7]
    assert cancel(bench) == "Accepted"
    assert cancel(bench) == "Rejected"


def test_tc_053_a_token_of_the_parent_may_use_it() -> None:
    bench = online()
    unavailable(bench, 2)
    bench.csms.tokens["bob"] = accepted(HOUSEHOLD)
    bench.csms.tokens["carol"] = accepted(IdToken("OTHERS"))
    reserve(bench, group=HOUSEHOLD)
    bench.tap(CAROL, 1)
    assert reason(bench) == "reserved"
    bench.charging(1, BOB)
    assert started(bench) == [("BOB", 1, 7)]


def test_5_13_the_parent_is_looked_up_in_what_the_station_knows() -> None:
    bench = online()
    bench.csms.tokens["bob"] = accepted(HOUSEHOLD)
    bench.set(LOCAL_PRE_AUTHORIZE, "true")
    bench.tap(BOB, 2)
    bench.tap(BOB, 2)
    reserve(bench, group=HOUSEHOLD)
    before = len([call for call in bench.csms.calls if isinstance(call, r.Authorize)])
    assert bench.ask(r.RequestStartTransaction(id_token=CAROL, evse_id=1)).outcome == "Rejected"
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=1)).outcome == "Accepted"
    bench.plug(1)
    assert started(bench) == [("BOB", 1, 7)]
    assert len([call for call in bench.csms.calls if isinstance(call, r.Authorize)]) == before


def test_a_remote_start_that_is_asked_about_may_turn_out_to_be_of_the_parent() -> None:
    bench = online()
    bench.set(AUTHORIZE_REMOTE_START, "true")
    bench.csms.tokens["bob"] = accepted(HOUSEHOLD)
    reserve(bench, group=HOUSEHOLD)
    assert bench.ask(r.RequestStartTransaction(id_token=CAROL, evse_id=1)).outcome == "Accepted"
    bench.plug(1)
    assert not started(bench)
    assert bench.ask(r.RequestStartTransaction(id_token=BOB, evse_id=1)).outcome == "Accepted"
    assert started(bench) == [("BOB", 1, 7)]


def test_5_13_the_same_id_replaces() -> None:
    bench = online()
    reserve(bench, 1)
    assert reserve(bench, 2, id_token=BOB) == "Accepted"
    assert (bench.states(1)[-1], bench.states(2)[-1]) == ("Available", "Reserved")
    assert reserve(bench, 2, for_s=30) == "Accepted"
    assert held(bench) == [7]
    assert list(bench.journal.load()["reservation"]) == ["7"]
    bench.run(30)
    assert bench.states(2)[-1] == "Available"


def test_one_that_cannot_be_replaced_stays() -> None:
    bench = online()
    reserve(bench, 1)
    bench.charging(2, BOB)
    assert reserve(bench, 2) == "Occupied"
    assert held(bench) == [7]
    assert bench.states(1)[-1] == "Reserved"


@pytest.mark.parametrize("evse_id", [0, 1])
@pytest.mark.parametrize("how", ["fault", "unavailable"])
def test_5_13_faults_and_unavailability_end_it(evse_id: int, how: str) -> None:
    bench = online(SAYS_ENDS)
    reserve(bench, 1)
    fault(bench, 2)
    unavailable(bench, 2)
    assert held(bench) == [7]
    fault(bench, evse_id, inoperative=False)
    assert held(bench) == [7]
    (fault if how == "fault" else unavailable)(bench, evse_id)
    assert held(bench) == []
    assert [(told.reservation_id, told.end) for told in bench.csms.told(ReservationEnded)] == [(7, "Removed")]


def test_reservations_of_any_connector_end_when_too_few_are_left() -> None:
    bench = online()
    reserve(bench, 0, 1)
    reserve(bench, 0, 2, BOB)
    fault(bench, 2)
    assert held(bench) == [1]
    fault(bench, 1)
    assert held(bench) == []


def test_a_token_goes_to_the_connector_that_is_reserved_for_it() -> None:
    bench = online()
    reserve(bench, 2)
    bench.tap(ALICE)
    bench.plug(2)
    assert started(bench) == [("ALICE", 2, 7)]


def test_or_with_its_plug_to_another_and_then_the_reservation_stays() -> None:
    """§5.13: it ends with a transaction on the reserved connector."""
    bench = online()
    reserve(bench, 2)
    bench.tap(ALICE)
    bench.plug(1)
    assert started(bench) == [("ALICE", 1, None)]
    assert held(bench) == [7]


def test_h01_fr_06_a_type_of_connector() -> None:
    socket, cable = EvseConfig(connector_type=ConnectorType.S_TYPE2), EvseConfig(connector_type=ConnectorType.C_CCS2)
    bench = online(SAYS_ENDS, evses=(socket, cable))
    assert reserve(bench, None, connector_type=ConnectorType.C_TESLA) == "Rejected"
    assert reserve(bench, None, connector_type=ConnectorType.C_CCS2) == "Accepted"
    assert (bench.states(1), bench.states(2)) == (["Available"], ["Available", "Reserved"])
    assert reserve(bench, None, 8, BOB, connector_type=ConnectorType.C_CCS2) == "Occupied"
    assert reserve(bench, 2, 8, BOB) == "Occupied"
    bench.charging(1, ALICE)
    assert started(bench) == [("ALICE", 1, None)], "it is not what was reserved"
    bench.charging(2, ALICE)
    assert started(bench)[1] == ("ALICE", 2, 7)


def test_the_hardware_is_told_and_the_reply_goes_first() -> None:
    bench = online()
    reserve(bench)
    made = bench.took(e.ReservationMade)
    assert [(one.reservation_id, one.evse_id, one.id_token) for one in made] == [(7, 1, ALICE)]
    kinds = [type(effect) for effect in bench.effects]
    assert kinds.index(e.ReservationMade) > max(n for n, kind in enumerate(kinds) if kind is e.Reply)
    cancel(bench)
    assert [one.reservation_id for one in bench.took(e.ReservationOver)] == [7]


def test_it_survives_a_reboot_unless_it_has_expired() -> None:
    bench = online()
    reserve(bench, 1, 1, for_s=100)
    reserve(bench, 0, 2, BOB, for_s=1000)
    bench.run(200)
    again = Bench(SAYS_NO_ENDS, journal=bench.journal, now=bench.now)
    again.connect()
    assert held(again) == [2]
    assert list(again.journal.load()["reservation"]) == ["2"]
    again.charging(1, BOB)
    assert started(again) == [("BOB", 1, 2)]


def test_a_clock_that_is_set_moves_the_end() -> None:
    bench = online()
    reserve(bench, for_s=1000)
    bench.csms.clock_ahead_s = 900.0
    bench.run(301)  # a heartbeat
    assert held(bench) == []
    assert bench.now.at < START + timedelta(seconds=400)


def test_h04_fr_01_an_end_while_offline_is_told_afterwards() -> None:
    bench = online(SAYS_ENDS)
    reserve(bench, for_s=60)
    bench.disconnect()
    bench.run(7200)
    assert not bench.csms.told(ReservationEnded)
    after = Bench(SAYS_ENDS, journal=bench.journal, now=bench.now)
    after.connect()
    assert [(told.reservation_id, told.end) for told in after.csms.told(ReservationEnded)] == [(7, "Expired")]
