"""A day of one station in virtual time: drivers, clock-aligned values, charging profiles, and hours without a link.

Theory of operation. The production endpoint (`net.station_endpoint`) with simulated hardware, and a Central System that
speaks OCPP 1.6 in a dictionary: frames in, frames out, and nothing between but the deadlines of both clocks.

Guarantees
* It waits for nothing: a day takes as long as the station needs to live through it, which is what the benchmark prints.
* The same day is the same frames.
"""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from forecourt.dialect.v16 import V16
from forecourt.domain.clock import Now
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdToken
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.net.station_endpoint import StationEndpoint
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.store.journal import MemoryJournal

DAY_S: Final = 86_400.0
_HOUR_S: Final = 3600.0
MIDNIGHT: Final = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""

EVENING_A: Final = 8.0
"""What the profile leaves each car from 17 to 21 o'clock."""
GAPS_H: Final = ((3.0, 3.5), (13.0, 16.0))
"""When there is no link."""
VISITS_H: Final = ((1, 0.5, 4.0), (2, 7.0, 11.5), (1, 8.0, 12.5), (1, 14.0, 15.0), (2, 14.5, 18.0), (1, 17.5, 22.0))
"""EVSE, arrival, departure: two of them begin, and one of these also ends, without a link."""

SETTINGS: Final = {
    "ClockAlignedDataInterval": "900",
    "MeterValueSampleInterval": "60",
    "MeterValuesAlignedData": "Energy.Active.Import.Register,Current.Import",
    "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,Current.Import",
    "StopTxnAlignedData": "Energy.Active.Import.Register",
    "AllowOfflineTxForUnknownId": "true",
    "LocalPreAuthorize": "true",
}
PROFILE: Final = {
    "connectorId": 0,
    "csChargingProfiles": {
        "chargingProfileId": 1,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "duration": int(4 * _HOUR_S),
            "startSchedule": (MIDNIGHT + timedelta(hours=17)).isoformat(),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": EVENING_A}],
        },
    },
}


class Told(msgspec.Struct, frozen=True):
    """A call that the Central System got."""

    at_s: float
    """Since midnight, when it came."""
    action: str
    payload: dict[str, Any]


class StationDay:
    """`run` it once; `told` is what came of it."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.offered_a: list[tuple[float, int, float]] = []
        """Each hour: when, EVSE, what its car is offered per phase."""
        self.refused: list[Any] = []
        """What the station answered to a request with an error, or did not accept."""
        self._now = Now(0.0, 0.0, MIDNIGHT)
        self._evses = {number: SimulatedEvse(number) for number in (1, 2)}
        ids = itertools.count(1)
        self._transactions = itertools.count(1)
        self._requests = itertools.count(1)
        self._linked = False
        config = StationConfig(
            identity=StationIdentity(vendor_name="Forecourt", model="Day"), evses=(EvseConfig(), EvseConfig())
        )
        hardware = SimulatedHardware(self._evses.values())
        self.endpoint = StationEndpoint(config, V16, MemoryJournal(), hardware, new_id=lambda: f"{next(ids)}")

    def run(self) -> None:
        """From midnight to midnight."""
        self.endpoint.start(self._now)
        self._link(up=True)
        for key, value in SETTINGS.items():
            self._ask("ChangeConfiguration", {"key": key, "value": value})
        self._ask("SetChargingProfile", PROFILE)
        for at_s, what in sorted(self._events(), key=lambda event: event[0]):
            self._run_to(at_s)
            what()
            self._serve()
        self._run_to(DAY_S)

    def energy_wh(self) -> float:
        """What the meters gave out."""
        return sum(evse.register_wh for evse in self._evses.values())

    def _events(self) -> Iterator[tuple[float, Any]]:
        for begins_h, ends_h in GAPS_H:
            yield begins_h * _HOUR_S, lambda: self._link(up=False)
            yield ends_h * _HOUR_S, lambda: self._link(up=True)
        for number, (evse_id, comes_h, goes_h) in enumerate(VISITS_H):
            token = IdToken(f"DRIVER{number}")
            yield comes_h * _HOUR_S, lambda evse_id=evse_id: self._arrive(evse_id)
            yield comes_h * _HOUR_S + 10.0, lambda evse_id=evse_id, token=token: self._tap(evse_id, token)
            yield goes_h * _HOUR_S - 10.0, lambda evse_id=evse_id, token=token: self._tap(evse_id, token)
            yield goes_h * _HOUR_S, lambda evse_id=evse_id: self._leave(evse_id)
        for hour in range(24):
            yield hour * _HOUR_S + 1800.0, self._look

    def _arrive(self, evse_id: int) -> None:
        car = Vehicle(VehicleSpec(battery_wh=90_000.0, initial_wh=9_000.0))
        self.endpoint.tell(self._evses[evse_id].plug_in(car, self._now), self._now)

    def _tap(self, evse_id: int, token: IdToken) -> None:
        self.endpoint.tell([self._evses[evse_id].token_presented(token)], self._now)

    def _leave(self, evse_id: int) -> None:
        self.endpoint.tell(self._evses[evse_id].unplug(self._now), self._now)

    def _look(self) -> None:
        places = self.endpoint.station.parts.evses.values()
        self.offered_a += [(self._now.elapsed_s, place.evse_id, place.limit_a) for place in places if place.offering]

    def _link(self, *, up: bool) -> None:
        self._linked = up
        if up:
            self.endpoint.link_up(self._now)
        else:
            self.endpoint.link_down(self._now)
        self._serve()

    def _ask(self, action: str, payload: dict[str, Any]) -> None:
        self.endpoint.receive(json.dumps([2, f"q{next(self._requests)}", action, payload]).encode(), self._now)
        self._serve()

    def _run_to(self, until_s: float) -> None:
        while True:
            deadlines = self.endpoint.next_deadlines()
            at_s = min(
                until_s,
                *(deadline for deadline in (deadlines.protocol_s, deadlines.elapsed_s) if deadline is not None),
                until_s,
            )
            if at_s > self._now.elapsed_s:
                at_s = round(at_s, 6)
                self._now = Now(at_s, at_s, MIDNIGHT + timedelta(seconds=at_s))
            if self.endpoint.next_deadlines().due(self._now):
                self.endpoint.expire(self._now)
                self._serve()
            elif self._now.elapsed_s >= until_s:
                return

    def _serve(self) -> None:
        while frames := self.endpoint.take():
            for frame in map(json.loads, frames):
                if frame[0] == 2:
                    self._answer(*frame[1:])
                elif frame[0] != 3 or frame[2].get("status") not in {None, "Accepted"}:
                    self.refused.append(frame)

    def _answer(self, message_id: str, action: str, payload: dict[str, Any]) -> None:
        self.told.append(Told(self._now.elapsed_s, action, payload))
        now = self._now.at.isoformat()
        accepted = {"status": "Accepted"}
        answer: dict[str, Any] = {}
        if action == "BootNotification":
            answer = {"currentTime": now, "interval": 300, **accepted}
        elif action == "Heartbeat":
            answer = {"currentTime": now}
        elif action == "Authorize":
            answer = {"idTagInfo": accepted}
        elif action == "StartTransaction":
            answer = {"idTagInfo": accepted, "transactionId": next(self._transactions)}
        self.endpoint.receive(json.dumps([3, message_id, answer]).encode(), self._now)
