"""Commissioning finds out what a station does with limits (`controller.md` §3): our own station, with quirks, through
the whole controller, frame by frame and in virtual time. What was found changes how the station is counted."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from forecourt.controller.capability import Capability
from forecourt.controller.probing import CantProbe
from forecourt.controller.settings import ControllerSettings
from forecourt.controller.wording import Form
from forecourt.dialect.v16 import V16
from forecourt.domain.clock import Now
from forecourt.domain.profile import ChargingProfilePurpose, ChargingRateUnit
from forecourt.domain.site import EvseKey, EvsePoint, GridConnection, Site
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Disobedience, Vehicle, VehicleSpec
from forecourt.net.controller_endpoint import ControllerEndpoint
from forecourt.net.station_endpoint import StationEndpoint
from forecourt.quantities import PHASES, PerPhase
from forecourt.rpc.relay_events import Side
from forecourt.station.config import StationConfig
from forecourt.store.journal import MemoryJournal

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
TX_DEFAULT, STATION_MAX = ChargingProfilePurpose.TX_DEFAULT, ChargingProfilePurpose.STATION_MAX
A, W = ChargingRateUnit.A, ChargingRateUnit.W
SAMPLED = "Energy.Active.Import.Register,Current.Import,Power.Active.Import"
Quirk = Callable[[str, dict[str, Any]], dict[str, Any] | None]
"""Gives another answer than the station would, to an action with a payload; the station doesn't see it."""


def site(count: int = 2) -> Site:
    points = tuple(EvsePoint(station_id=f"S{number}", rotation=PHASES, maximum_a=16.0) for number in range(count))
    return Site(grid=GridConnection(name="grid", rating_a=PerPhase.of(40.0)), evses=points).checked()


class Garage:
    """A controller and one of its stations, S0; the CSMS accepts whatever it is told."""

    def __init__(self, quirk: Quirk | None = None, *, model: str = "M1") -> None:
        self.quirk = quirk
        self.model = model
        self.second = 0.0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.ids = itertools.count(1)
        self.transactions = itertools.count(1)
        self.kept = MemoryJournal()
        self.controller = self._controller()
        self.evse = SimulatedEvse(1)
        self.journal = MemoryJournal()
        self.boot()

    def _controller(self) -> ControllerEndpoint:
        return ControllerEndpoint(
            site(),
            ControllerSettings(),
            {V16.subprotocol: V16},
            lambda: f"c{next(self.ids)}",
            journal=self.kept,
            now=self.now,
        )

    @property
    def now(self) -> Now:
        return Now(self.second, self.second, START + timedelta(seconds=self.second))

    @property
    def line(self) -> Any:
        return self.controller.controller.lines[EvseKey("S0", 1)]

    def boot(self, *, forgets: bool = False) -> None:
        """The station starts; `forgets`: with nothing of what it was told."""
        if forgets:
            self.journal = MemoryJournal()
        config = StationConfig(identity=StationIdentity(vendor_name="V", model=self.model))
        hardware = SimulatedHardware([self.evse])
        self.station = StationEndpoint(config, V16, self.journal, hardware, new_id=lambda: f"s{next(self.ids)}")
        self.station.start(self.now)
        self.connect()
        self.ask("ChangeConfiguration", {"key": "MeterValuesSampledData", "value": SAMPLED})
        self.ask("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "10"})

    def connect(self) -> None:
        self.controller.opened("S0", V16.subprotocol, self.now)
        self.station.link_up(self.now)
        self.serve()

    def ask(self, action: str, payload: dict[str, Any]) -> None:
        """Something that the CSMS says."""
        frame = json.dumps([2, f"q{next(self.ids)}", action, payload]).encode()
        self.controller.receive("S0", Side.CSMS, frame, self.now)
        self.serve()

    def serve(self) -> None:
        busy = True
        while busy:
            busy = False
            for frame in self.station.take():
                busy = True
                self.controller.receive("S0", Side.STATION, frame, self.now)
            for frame in self.controller.take("S0", Side.STATION):
                busy = True
                self._to_station(frame)
            for frame in self.controller.take("S0", Side.CSMS):
                busy = True
                self._to_csms(*json.loads(frame))

    def _to_station(self, frame: bytes) -> None:
        kind, number, *rest = json.loads(frame)
        if kind == 2:
            self.asked.append((rest[0], rest[1]))
            answer = None if self.quirk is None else self.quirk(rest[0], rest[1])
            if answer is not None:
                self.controller.receive("S0", Side.STATION, json.dumps([3, number, answer]).encode(), self.now)
                return
        self.station.receive(frame, self.now)

    def _to_csms(self, kind: int, number: str, *rest: Any) -> None:
        if kind != 2:
            return
        accepted = {"status": "Accepted"}
        answers: dict[str, dict[str, Any]] = {
            "BootNotification": {"currentTime": self.now.at.isoformat(), "interval": 300, **accepted},
            "Heartbeat": {"currentTime": self.now.at.isoformat()},
            "Authorize": {"idTagInfo": accepted},
            "StartTransaction": {"idTagInfo": accepted, "transactionId": next(self.transactions)},
        }
        answer = answers.get(rest[0], {})
        self.controller.receive("S0", Side.CSMS, json.dumps([3, number, answer]).encode(), self.now)

    def run(self, seconds: float) -> None:
        until = self.second + seconds
        while self.second < until:
            self.second += 0.5
            if self.station.next_deadlines().due(self.now):
                self.station.expire(self.now)
            if self.controller.next_deadlines(self.now).due(self.now):
                self.controller.expire(self.now)
            self.serve()
            if self.station.reboot is not None:
                self.controller.closed("S0", self.now)
                self.second += 20.0
                self.boot(forgets=self.model == "forgetful")

    def charge(self, disobedience: Disobedience | None = None) -> None:
        """A car comes, and has been charging for a while."""
        car = Vehicle(VehicleSpec(battery_wh=90_000, initial_wh=9_000, disobedience=disobedience), self.second)
        self.station.tell(self.evse.plug_in(car, self.now), self.now)
        self.run(5)
        self.station.tell([self.evse.token_presented(IdToken("ADA"))], self.now)
        self.run(120)

    def commission(self, *, reboot: bool = False) -> Capability | None:
        """What was found; meanwhile the books are never below what flows."""
        self.controller.commission("S0", None, self.now, reboot=reboot)
        self.serve()
        probe = self.controller.controller.probing.probes["S0"]
        for _ in range(1_000):
            if probe.over:
                break
            self.run(0.5)
            flows_a = max(self.evse.current_a)
            assert self.line.account.exposure_a(self.now) >= flows_a - 0.01 or self.line.account.disobeys()
        assert probe.over
        return probe.found


def test_a_station_by_the_book_without_a_car() -> None:
    garage = Garage()
    garage.run(30)
    found = garage.commission()
    assert found is not None
    assert found.forms == tuple(Form(purpose, unit) for purpose in (TX_DEFAULT, STATION_MAX) for unit in (A, W))
    assert (found.takes_zero, found.takes_fewer_phases, found.composite_true) == (True, True, True)
    assert (found.dead_man, found.obeys, found.survives_reboot) == (None, None, None), "nobody was there to be seen"
    assert "Current.Import" in found.measurands
    actions = [action for action, _ in garage.asked]
    assert actions.count("ClearChargingProfile") == 2, "what is not the controller's own kind of limit is cleared"
    assert "Reset" not in actions


def test_with_a_car_it_sees_how_limits_are_obeyed_and_end() -> None:
    garage = Garage()
    garage.run(30)
    garage.charge()
    assert max(garage.evse.current_a) == pytest.approx(16.0)
    found = garage.commission()
    assert found is not None
    assert found.transaction_profiles is True
    assert found.obeys is True
    assert found.reaction_s is not None
    assert found.reaction_s <= 6.0
    assert found.over_a == 0.0
    assert found.smallest_a == 6.0
    assert found.dead_man is True
    assert found.lease_late_s is not None
    assert found.lease_late_s <= 8.0
    assert found.composite_true is True
    assert found.by_phase is True
    garage.run(120)
    assert max(garage.evse.current_a) == pytest.approx(16.0), "and it charges as before"


def test_a_car_that_is_slow_is_given_longer() -> None:
    garage = Garage()
    garage.run(30)
    garage.charge(Disobedience(late_s=25.0))
    found = garage.commission()
    assert found is not None
    assert found.reaction_s is not None
    assert 20.0 <= found.reaction_s <= 40.0
    assert garage.line.account.settle_s == found.reaction_s + 5.0


def test_one_that_draws_more_is_told_less() -> None:
    garage = Garage()
    garage.run(30)
    garage.charge(Disobedience(excess_a=0.6))
    found = garage.commission()
    assert found is not None
    assert found.over_a == pytest.approx(0.6, abs=0.05)
    garage.run(200)
    assert max(garage.evse.current_a) <= 16.0 + 0.05
    limits = [
        payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for action, payload in garage.asked
        if action == "SetChargingProfile"
    ]
    assert limits[-1] == pytest.approx(15.4, abs=0.05)


def test_a_station_that_ignores_the_end_of_a_lease_is_counted_without_one() -> None:
    """It takes the profile, and keeps to its first period for ever."""

    def first_period_only(action: str, payload: dict[str, Any]) -> None:
        if action == "SetChargingProfile":
            schedule = payload["csChargingProfiles"]["chargingSchedule"]
            schedule["chargingSchedulePeriod"] = schedule["chargingSchedulePeriod"][:1]

    garage = Garage()
    plain = garage._to_station

    def to_station(frame: bytes) -> None:
        message = json.loads(frame)
        if message[0] == 2:
            first_period_only(message[2], message[3])
        plain(json.dumps(message).encode())

    garage._to_station = to_station  # type: ignore[method-assign]
    garage.run(30)
    garage.charge()
    found = garage.commission()
    assert found is not None
    assert found.dead_man is False
    assert found.composite_true is False
    garage.run(120)
    assert max(garage.evse.current_a) == pytest.approx(16.0)
    garage.controller.closed("S0", garage.now)
    garage.second += 10 * ControllerSettings().lease_s
    assert garage.line.account.exposure_a(garage.now) == 16.0, "silence is not safe there"


def test_units_purposes_and_phases_that_are_refused_are_known() -> None:
    def quirk(action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        if action != "SetChargingProfile":
            return None
        profile = payload["csChargingProfiles"]
        schedule = profile["chargingSchedule"]
        fewer = any(period.get("numberPhases") == 1 for period in schedule["chargingSchedulePeriod"])
        unknown = schedule["chargingRateUnit"] == "A" or profile["chargingProfilePurpose"] == "ChargePointMaxProfile"
        return {"status": "Rejected"} if unknown or fewer else None

    garage = Garage(quirk)
    garage.run(30)
    found = garage.commission()
    assert found is not None
    assert found.forms == (Form(TX_DEFAULT, W),)
    assert found.takes_fewer_phases is False
    before = len(garage.asked)
    garage.charge()
    units = {
        payload["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"]
        for action, payload in garage.asked[before:]
        if action == "SetChargingProfile"
    }
    assert units == {"W"}, "what was refused is not tried again"


@pytest.mark.parametrize(("model", "survives"), [("M1", True), ("forgetful", False)])
def test_whether_limits_outlive_a_restart(model: str, survives: bool) -> None:
    garage = Garage(model=model)
    garage.run(30)
    found = garage.commission(reboot=True)
    assert found is not None
    assert found.survives_reboot is survives
    garage.run(30)
    assert garage.line.account.exposure_a(garage.now) == 0.0
    garage.controller.closed("S0", garage.now)
    lost_a = garage.line.account.exposure_a(garage.now)
    assert lost_a == (0.0 if survives else 16.0), "it may have restarted, and hold nothing"


def test_what_was_found_outlives_the_controller_and_counts_for_the_model() -> None:
    garage = Garage(model="forgetful")
    garage.run(30)
    found = garage.commission(reboot=True)
    garage.controller = garage._controller()
    assert garage.controller.controller.probing.capability("S0") == found
    assert garage.line.keeps_base is False
    assert garage.controller.controller.probing.capability("S1") is None, "of that one's model nothing is known"


def test_nothing_is_kept_of_a_probe_that_is_cut_short() -> None:
    garage = Garage()
    garage.run(30)
    garage.charge()
    garage.controller.commission("S0", None, garage.now, reboot=False)
    garage.serve()
    with pytest.raises(CantProbe, match="already"):
        garage.controller.commission("S0", None, garage.now, reboot=False)
    probe = garage.controller.controller.probing.probes["S0"]
    while probe.step != "waits for the end of the lease":
        assert not probe.over
        garage.run(0.5)
    garage.controller.closed("S0", garage.now)
    garage.station.link_down(garage.now)
    assert probe.failed == "the station can't be reached any more"
    assert garage.controller.controller.probing.capability("S0") is None
    with pytest.raises(CantProbe, match="can't be reached"):
        garage.controller.commission("S0", None, garage.now, reboot=False)
    garage.connect()
    garage.run(300)
    assert max(garage.evse.current_a) == pytest.approx(16.0), "it charges again"


def test_what_an_older_journal_knows_of_forms_is_still_read() -> None:
    raw = b'{"at":"2026-03-02T00:00:00Z","station_id":"S0","forms":[["TxDefaultProfile","W"]]}'
    assert msgspec.json.decode(raw, type=Capability).forms == (Form(TX_DEFAULT, W),)
