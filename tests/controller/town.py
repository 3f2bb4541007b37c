"""A site of OCPP 1.6 stations, its controller and a CSMS at the level of frames, in virtual time.

Stations keep what billing depends on until it is answered, as OCPP 1.6 §3.7 asks; links may be cut and stations
rebooted, and the controller killed, at any instant. The CSMS keeps a list of all that it has been told and gives ids of
its own. Nothing here asks the controller what it believes.
"""

import json
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from forecourt.allocation.check import Violation, violations
from forecourt.allocation.demand import Load
from forecourt.controller.settings import ControllerSettings
from forecourt.dialect.v16 import V16
from forecourt.domain.clock import Now
from forecourt.domain.journal import Change
from forecourt.domain.site import EvsePoint, GridConnection, Site
from forecourt.net.controller_endpoint import ControllerEndpoint
from forecourt.quantities import PHASES, PerPhase
from forecourt.rpc.relay_events import Side
from forecourt.store.journal import MemoryJournal

START = datetime(2026, 3, 2, 6, tzinfo=UTC)


def stamp(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


class PowerCutError(Exception):
    """The controller's process is gone."""


class FragileJournal(MemoryJournal):
    """Cuts the power at one of its commits, before or after it is on the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.cut_at: int | None = None
        self.cut_before = False

    def commit(self, changes: Any) -> None:
        kept: list[Change] = list(changes)
        self.commits += 1
        cut = self.commits == self.cut_at
        if not (cut and self.cut_before):
            super().commit(kept)
        if cut:
            raise PowerCutError


@dataclass
class Message:
    """Something a station has to say: as often as it takes, if billing depends on it."""

    action: str
    payload: dict[str, Any]
    lasting: bool = False
    starts: int | None = None
    """Which of the station's transactions begins with it, or is meant by it."""


@dataclass
class TownStation:
    """One station with one EVSE, by the book of OCPP 1.6."""

    name: str
    outbox: deque[Message] = field(default_factory=deque)
    ids: dict[int, int] = field(default_factory=dict)
    """Its transactions' ids as it was told them."""
    numbers: int = 0
    running: int | None = None
    meter_wh: int = 0
    connected: bool = False
    accepted: bool = False
    open: tuple[str, Message, float] | None = None
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    stopped_by: list[int] = field(default_factory=list)
    held: deque[float] = field(default_factory=lambda: deque(maxlen=5))
    boots: int = 0

    def lose_link(self) -> None:
        """What was under way, and has to be told, is told again."""
        self.connected = False
        if self.open is not None:
            message = self.open[1]
            if message.lasting or message.action == "BootNotification":
                self.outbox.appendleft(message)
            self.open = None

    def limit_a(self, second: float) -> float:
        """What its profiles say: the transaction's before the default's; none: all."""
        profile = self.profiles.get("TxProfile") if self.running is not None else None
        profile = profile or self.profiles.get("TxDefaultProfile")
        if profile is None:
            return 32.0
        schedule = profile["chargingSchedule"]
        passed_s = second - (datetime.fromisoformat(schedule["startSchedule"]) - START).total_seconds()
        periods = [p for p in schedule["chargingSchedulePeriod"] if p["startPeriod"] <= passed_s]
        return float(periods[-1]["limit"])

    @property
    def current_a(self) -> float:
        allowed_a = max(self.held, default=0.0)
        return min(allowed_a, 32.0) if self.running is not None and allowed_a >= 6 else 0.0


class Town:
    """Steps of one second; a seed tells the whole story."""

    def __init__(
        self, stations: int = 2, *, fuse_a: float = 40.0, seed: int = 0, settings: ControllerSettings | None = None
    ) -> None:
        self.chance = random.Random(seed)
        self.second = 0.0
        self.site = Site(
            grid=GridConnection(name="grid", rating_a=PerPhase.of(fuse_a)),
            evses=tuple(EvsePoint(station_id=f"S{n}", rotation=PHASES) for n in range(stations)),
        ).checked()
        self.settings = settings or ControllerSettings()
        self.journal = FragileJournal()
        self.stations = {f"S{n}": TownStation(f"S{n}") for n in range(stations)}
        self.numbers = count(1)
        self.kills = 0
        self.downtime_s = 3.0
        self.back_at: float | None = None
        self.csms_here = True
        self.linked: set[str] = set()
        """Stations whose upstream leg is up."""
        self.heard: dict[str, list[tuple[str, dict[str, Any]]]] = {name: [] for name in self.stations}
        """All that the CSMS was told, by station."""
        self.issued = count(501)
        self.booked: dict[tuple[str, str], int] = {}
        self.lose_answer = 0.0
        """How often the CSMS's answer to a message is lost with the connection."""
        self.relink: set[str] = set()
        self.invalid: set[str] = set()
        self.refuse: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.endpoint = self._endpoint()

    @property
    def now(self) -> Now:
        return Now(self.second, self.second, START + timedelta(seconds=self.second))

    def _endpoint(self) -> ControllerEndpoint:
        return ControllerEndpoint(
            self.site,
            self.settings,
            {V16.subprotocol: V16},
            lambda: f"own-{next(self.numbers)}",
            journal=self.journal,
            now=self.now,
        )

    # faults

    def kill(self) -> None:
        """The controller is gone, and every connection with it."""
        self.kills += 1
        self.back_at = self.second + self.downtime_s
        self.linked.clear()
        for station in self.stations.values():
            station.lose_link()

    def connect(self, name: str, *, boot: bool = False) -> None:
        station = self.stations[name]
        if self.back_at is not None or station.connected:
            return
        station.connected = True
        station.accepted = station.accepted and not boot
        if not station.accepted:
            station.boots += 1
            station.outbox = deque(message for message in station.outbox if message.lasting)
            station.outbox.appendleft(Message("BootNotification", {"chargePointVendor": "V", "chargePointModel": name}))
        self._guarded(lambda: self.endpoint.station_up(name, "ocpp1.6", self.now))
        if self.csms_here and station.connected:
            self._link(name)

    def disconnect(self, name: str) -> None:
        station = self.stations[name]
        if not station.connected:
            return
        station.lose_link()
        self._guarded(lambda: self.endpoint.closed(name, self.now))
        self.linked.discard(name)

    def reboot(self, name: str) -> None:
        """A power failure: the transaction that was on ends by it."""
        station = self.stations[name]
        self.disconnect(name)
        if station.running is not None:
            self.stop(name, "PowerLoss")
        station.accepted = False
        station.outbox = deque(message for message in station.outbox if message.lasting)
        station.profiles.pop("TxProfile", None)
        self.connect(name, boot=True)

    def cut_csms(self) -> None:
        self.csms_here = False
        for name in sorted(self.linked):
            self.linked.discard(name)
            self._guarded(lambda name=name: self.endpoint.csms_lost(name, self.now))

    def csms_back(self) -> None:
        self.csms_here = True
        for name, station in self.stations.items():
            if station.connected:
                self._link(name)

    def _link(self, name: str) -> None:
        self.linked.add(name)
        self._guarded(lambda: self.endpoint.csms_up(name, self.now))

    # what people do

    def start(self, name: str, token: str = "CARD") -> int:
        station = self.stations[name]
        station.numbers += 1
        number = station.running = station.numbers
        station.held.clear()
        station.held.append(station.limit_a(self.second))
        self.say(name, Message("Authorize", {"idTag": token}))
        self._status(name, "Charging")
        start = {"connectorId": 1, "idTag": token, "meterStart": station.meter_wh, "timestamp": stamp(self.second)}
        self.say(name, Message("StartTransaction", start, lasting=True, starts=number))
        return number

    def sample(self, name: str) -> None:
        station = self.stations[name]
        station.meter_wh += 100 if station.running is not None else 0
        sampled = [{"value": str(station.meter_wh), "measurand": "Energy.Active.Import.Register"}]
        sampled += [
            {"value": str(station.current_a), "measurand": "Current.Import", "phase": p} for p in ("L1", "L2", "L3")
        ]
        values = [{"timestamp": stamp(self.second), "sampledValue": sampled}]
        told = {"connectorId": 1, "meterValue": values}
        self.say(name, Message("MeterValues", told, station.running is not None, station.running))

    def stop(self, name: str, reason: str = "Local") -> None:
        station = self.stations[name]
        if station.running is None:
            return
        stop = {"meterStop": station.meter_wh, "timestamp": stamp(self.second), "reason": reason}
        self.say(name, Message("StopTransaction", stop, True, station.running))
        station.running = None
        station.profiles.pop("TxProfile", None)
        self._status(name, "Available")

    def _status(self, name: str, status: str) -> None:
        payload = {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": stamp(self.second)}
        self.say(name, Message("StatusNotification", payload))

    def say(self, name: str, message: Message) -> None:
        station = self.stations[name]
        if message.lasting or station.connected:
            station.outbox.append(message)

    def ask(self, name: str, action: str, payload: dict[str, Any]) -> None:
        """The CSMS calls a station."""
        self.receive(name, Side.CSMS, json.dumps([2, f"c-{next(self.numbers)}", action, payload]).encode())

    # time

    def run(self, seconds: int) -> list[Violation]:
        found: list[Violation] = []
        for _ in range(seconds):
            self.second += 1
            if self.back_at is not None and self.second >= self.back_at:
                self.back_at = None
                self.endpoint = self._endpoint()
                for name in self.stations:
                    self.connect(name)
            for name in sorted(self.relink):
                if self.csms_here and self.stations[name].connected and name not in self.linked:
                    self._link(name)
            self.relink.clear()
            for station in self.stations.values():
                station.held.append(station.limit_a(self.second))
                if self.second % 60 == 0 and station.running is not None:
                    self.sample(station.name)
                self._speak(station)
            if self.back_at is None and self.endpoint.next_deadlines(self.now).due(self.now):
                self._guarded(lambda: self.endpoint.expire(self.now))
            loads = [Load(point.key, self.stations[point.station_id].current_a) for point in self.site.evses]
            found += violations(self.site, loads)
        return found

    def _speak(self, station: TownStation) -> None:
        if station.open is not None:
            _, message, since = station.open
            if self.second - since < 45:
                return
            station.open = None
            if message.lasting or message.action == "BootNotification":
                station.outbox.appendleft(message)
        if not station.connected or not station.outbox:
            return
        if not station.accepted and station.outbox[0].action != "BootNotification":
            return
        message = station.outbox.popleft()
        payload = dict(message.payload)
        if message.starts is not None and message.action != "StartTransaction":
            payload["transactionId"] = station.ids.get(message.starts, -1)
        message_id = f"s-{next(self.numbers)}"
        station.open = (message_id, message, self.second)
        self.receive(station.name, Side.STATION, json.dumps([2, message_id, message.action, payload]).encode())

    # frames

    def receive(self, name: str, side: Side, data: bytes) -> None:
        if self.back_at is None:
            self._guarded(lambda: self.endpoint.receive(name, side, data, self.now))

    def _guarded(self, act: Any) -> None:
        try:
            act()
        except PowerCutError:
            self.kill()
            return
        self._deliver()

    def _deliver(self) -> None:
        while self.endpoint.touched and self.back_at is None:
            name = min(self.endpoint.touched)
            self.endpoint.touched.discard(name)
            frames = [(side, data) for side in Side for data in self.endpoint.take(name, side)]
            for side, data in frames:
                arrive = self._at_station if side is Side.STATION else self._at_csms
                arrive(name, json.loads(data))

    def _at_station(self, name: str, frame: list[Any]) -> None:
        station = self.stations[name]
        if not station.connected:
            return
        if frame[0] == 2:
            self._carry_out(station, frame)
            return
        if station.open is None or station.open[0] != frame[1]:
            return
        _, message, _ = station.open
        station.open = None
        if frame[0] == 4:
            station.refusals.append(message.action)
            if message.lasting:
                station.outbox.appendleft(message)
            return
        if message.action == "BootNotification":
            station.accepted = frame[2]["status"] == "Accepted"
            if not station.accepted:
                station.outbox.appendleft(message)
                station.open = ("waits", message, self.second + frame[2]["interval"] - 45)
            else:
                self._status(name, "Available" if station.running is None else "Charging")
        if message.action == "StartTransaction" and message.starts is not None:
            station.ids[message.starts] = frame[2]["transactionId"]
            if frame[2]["idTagInfo"]["status"] != "Accepted" and station.running == message.starts:
                self.stop(name, "DeAuthorized")

    def _carry_out(self, station: TownStation, frame: list[Any]) -> None:
        _, message_id, action, payload = frame
        self.asked.append((action, payload))
        status = "Accepted"
        if action == "SetChargingProfile":
            profile = payload["csChargingProfiles"]
            running_id = None if station.running is None else station.ids.get(station.running)
            if profile["chargingProfilePurpose"] == "TxProfile" and profile["transactionId"] != running_id:
                status = "Rejected"
            else:
                station.profiles[profile["chargingProfilePurpose"]] = profile
        elif action == "TriggerMessage":
            self.sample(station.name)
        elif action == "RemoteStopTransaction":
            running_id = None if station.running is None else station.ids.get(station.running)
            if payload["transactionId"] == running_id:
                station.stopped_by.append(payload["transactionId"])
                self.stop(station.name, "Remote")
            else:
                status = "Rejected"
        self.receive(station.name, Side.STATION, json.dumps([3, message_id, {"status": status}]).encode())

    def _at_csms(self, name: str, frame: list[Any]) -> None:
        if name not in self.linked or frame[0] != 2:
            return
        _, message_id, action, payload = frame
        if action in self.refuse:
            self.receive(name, Side.CSMS, json.dumps([4, message_id, "InternalError", "", {}]).encode())
            return
        self.heard[name].append((action, payload))
        if self.lose_answer and self.chance.random() < self.lose_answer:
            self.linked.discard(name)
            self._guarded(lambda: self.endpoint.csms_lost(name, self.now))
            self.relink.add(name)
            return
        answer: dict[str, Any] = {}
        info = {"status": "Invalid" if payload.get("idTag") in self.invalid else "Accepted"}
        if action == "BootNotification":
            answer = {"status": "Accepted", "currentTime": stamp(self.second), "interval": 300}
        elif action == "Heartbeat":
            answer = {"currentTime": stamp(self.second)}
        elif action == "Authorize":
            answer = {"idTagInfo": info}
        elif action == "StartTransaction":
            key = (name, payload["timestamp"])
            if key not in self.booked:
                self.booked[key] = next(self.issued)
            answer = {"transactionId": self.booked[key], "idTagInfo": info}
        self.receive(name, Side.CSMS, json.dumps([3, message_id, answer]).encode())

    # what the CSMS knows in the end

    def stories(self, name: str) -> dict[int, list[tuple[str, str]]]:
        """By transaction: its messages in the order in which they were first told. Repetitions are unchanged ones."""
        told: dict[int, list[tuple[str, str]]] = {}
        seen: set[str] = set()
        for action, payload in self.heard[name]:
            if action not in {"StartTransaction", "MeterValues", "StopTransaction"}:
                continue
            text = json.dumps([action, payload], sort_keys=True)
            if text in seen:
                continue
            seen.add(text)
            if action == "StartTransaction":
                told.setdefault(self.booked[name, payload["timestamp"]], []).append(("start", payload["timestamp"]))
            elif action == "MeterValues" and "transactionId" not in payload:
                continue
            elif action == "MeterValues":
                told.setdefault(payload["transactionId"], []).append(("meter", payload["meterValue"][0]["timestamp"]))
            else:
                told.setdefault(payload["transactionId"], []).append(("stop", payload["timestamp"]))
        return told
