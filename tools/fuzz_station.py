"""Throw frames at a whole station that charges two cars, in virtual time; with atheris, which grows them by coverage.

    pip install atheris                       # it is no dependency of ours
    python tools/fuzz_station.py [--seconds N] [CORPUS]

`Victim` is the station with the CSMS's end of its wire; the tests use it with frames of their own
(`tests/net/test_station_fuzz.py`). What it holds a station to, whatever was said:
* it goes on: nothing raises, it does not spin, and at the end it answers as at the beginning;
* a call that can be read gets one answer, under its id;
* its transactions are whole: what the CSMS believes to be open is open, nothing is told of a transaction that hasn't
  begun or has ended, registers don't fall, and nothing that a bill depends on is left behind.
"""

import contextlib
import itertools
import json
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from forecourt.dialect.tables import TableDialect
from forecourt.dialect.v16 import V16
from forecourt.domain.clock import Now
from forecourt.domain.station import StationIdentity
from forecourt.domain.token import IdToken
from forecourt.hardware.key_store import KeyStore
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.simulated_system import SimulatedSystem
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.messages import v16
from forecourt.net.station_endpoint import StationEndpoint
from forecourt.station.config import EvseConfig, StationConfig
from forecourt.station.effects import CertificateChanged, ConnectWith
from forecourt.station.inputs import TokenPresented
from forecourt.store.journal import MemoryJournal

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EVSES = (1, 2)
LONGEST_ID = 36
PATIENCE_S = 60.0
"""By then every call has its answer: a lock has 15 s."""
DRAINED_S = 120.0
"""By then everything has been told: the CSMS answers, so nothing is tried again."""
assert isinstance(V16, TableDialect)
ACTIONS = tuple(V16.requests)
"""What a CSMS may ask."""


class Broken(AssertionError):  # noqa: N818 - what a fuzzer looks for
    """The station did what it never should."""


class Ledger:
    """What the CSMS has been told of transactions."""

    def __init__(self) -> None:
        self.open: dict[int, tuple[int, int]] = {}
        """Connector and the last register of each."""
        self.over: set[int] = set()
        self._ids = itertools.count(501)

    def start(self, payload: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        if any(connector == payload["connectorId"] for connector, _ in self.open.values()):
            raise Broken(f"a second transaction on connector {payload['connectorId']}")
        self.open[number] = (payload["connectorId"], payload["meterStart"])
        return {"transactionId": number, "idTagInfo": {"status": "Accepted"}}

    def values(self, payload: dict[str, Any]) -> dict[str, Any]:
        number = payload.get("transactionId")
        if number is not None and (number not in self.open or self.open[number][0] != payload["connectorId"]):
            raise Broken(f"meter values of transaction {number}, which is not open there")
        return {}

    def stop(self, payload: dict[str, Any]) -> dict[str, Any]:
        number = payload["transactionId"]
        if number not in self.open:
            raise Broken(f"the end of transaction {number}, which is {'over' if number in self.over else 'unknown'}")
        _, register_wh = self.open.pop(number)
        if payload["meterStop"] < register_wh:
            raise Broken(f"transaction {number} ends at {payload['meterStop']} Wh, and began at {register_wh}")
        self.over.add(number)
        return {}


class Victim:
    """A station that charges two cars, and what the CSMS knows of it."""

    def __init__(self, folder: Path) -> None:
        self.now = Now(0.0, 0.0, START)
        self.ledger = Ledger()
        self.told: Counter[str] = Counter()
        self.restarts = 0
        self._asked: Counter[str] = Counter()
        """Calls that may be answered, by id: all that have one."""
        self._owed: Counter[str] = Counter()
        """Those that must be: calls by the letter of OCPP-J."""
        self._unclear = 0
        """Frames that may hold an id which a station can find all the same."""
        self._answered: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._hardware = SimulatedHardware([SimulatedEvse(number, reading_every_s=60.0) for number in EVSES])
        self._system = SimulatedSystem()
        self._security = KeyStore(folder)
        self._journal = MemoryJournal()
        self._config = StationConfig(
            identity=StationIdentity(vendor_name="V", model="M", serial_number="S"), evses=(EvseConfig(),) * len(EVSES)
        )
        self.endpoint = self._begin()
        for number in EVSES:
            vehicle = Vehicle(VehicleSpec(), self.now.elapsed_s)
            self.endpoint.tell(self._hardware.evses[number].plug_in(vehicle, self.now), self.now)
            self.endpoint.tell([TokenPresented(IdToken(f"T{number}"), number)], self.now)
            self._serve()
        self.run(30.0)
        if len(self.ledger.open) != len(EVSES):
            raise Broken("nothing has begun")

    def say(self, frame: bytes) -> list[Any]:
        """A frame of the CSMS; what the station answers at once."""
        message_id, owed = _id_of(frame)
        if message_id is None:
            self._unclear += 1
        else:
            self._asked[message_id] += 1
            self._owed[message_id] += owed
        self.endpoint.receive(frame, self.now)
        return self._serve()

    def ask(self, action: str, payload: Any, message_id: str | None = None) -> list[Any]:
        """A call; what the station answers at once."""
        frame = [2, message_id or f"ask-{next(self._numbers)}", action, payload]
        return self.say(json.dumps(frame).encode())

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until_s = self.now.elapsed_s + seconds
        most = 100 + int(20 * seconds)
        for turns in itertools.count():
            if self.now.elapsed_s >= until_s:
                return
            if turns > most:
                raise Broken(f"it spins: {turns} deadlines in {seconds} s")
            deadlines = self.endpoint.next_deadlines()
            due = [at_s for at_s in (deadlines.protocol_s, deadlines.elapsed_s) if at_s is not None]
            at_s = max(self.now.elapsed_s + 0.001, min([until_s, *due]))
            self.now = Now(at_s, at_s, START + timedelta(seconds=at_s))
            self.endpoint.expire(self.now)
            self._serve()

    def check(self) -> None:
        """Whether it is still whole. Raises Broken."""
        self.run(PATIENCE_S)
        late = self._owed - self._answered
        twice = self._answered - self._asked
        if late or twice.total() > self._unclear:
            raise Broken(f"not answered: {dict(late)}; answered without a question: {dict(twice)}")
        self.run(DRAINED_S)
        parts = self.endpoint.station.parts
        here = sorted(evse.evse_id for evse in parts.evses.values() if evse.transaction is not None)
        there = sorted(connector for connector, _ in self.ledger.open.values())
        if here != there:
            raise Broken(f"transactions are open on {here}, and the CSMS was told of {there}")
        if parts.outbox.depth or parts.outbox.set_aside:
            raise Broken("messages of transactions were left behind")
        answers = self.ask("GetConfiguration", {"key": ["HeartbeatInterval"]})
        if [answer[0] for answer in answers] != [3]:
            raise Broken(f"it answers no more: {answers}")

    # Inside

    def _begin(self) -> StationEndpoint:
        endpoint = StationEndpoint(
            self._config,
            V16,
            self._journal,
            self._hardware,
            new_id=lambda: f"station-{next(self._numbers)}-q7",
            system=self._system,
            security=self._security,
        )
        endpoint.start(self.now)
        endpoint.link_up(self.now)
        self.endpoint = endpoint
        self._serve()
        return endpoint

    def _forget(self) -> None:
        """Another connection: what was asked on the last one is answered by nobody."""
        for counted in (self._asked, self._owed, self._answered):
            counted.clear()

    def _serve(self) -> list[Any]:
        """Answer the station's calls, until it has none; do what its driver would. Its answers to ours."""
        answers: list[Any] = []
        while True:
            frames = self.endpoint.take()
            for raw in frames:
                frame = json.loads(raw)
                if frame[0] == 2:
                    self.told[frame[2]] += 1
                    reply = json.dumps([3, frame[1], self._answer(frame[2], frame[3])])
                    self.endpoint.receive(reply.encode(), self.now)
                else:
                    self._answered[frame[1]] += 1
                    answers.append(frame)
            outside = self.endpoint.take_outside()
            if self.endpoint.reboot is not None:
                self.restarts += 1
                self._system.restart()
                self._forget()
                self._begin()
            elif any(isinstance(effect, CertificateChanged | ConnectWith) for effect in outside):
                self.endpoint.link_down(self.now)
                self.endpoint.link_up(self.now)
                self._forget()
            elif not frames:
                return answers

    def _answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        accepted = {"status": "Accepted"}
        now = self.now.at.isoformat()
        match action:
            case "BootNotification":
                return {"currentTime": now, "interval": 300, **accepted}
            case "Heartbeat":
                return {"currentTime": now}
            case "Authorize":
                return {"idTagInfo": accepted}
            case "StartTransaction":
                return self.ledger.start(payload)
            case "MeterValues":
                return self.ledger.values(payload)
            case "StopTransaction":
                return self.ledger.stop(payload)
            case "DataTransfer" | "SignCertificate":
                return accepted
            case _:
                return {}


def _id_of(frame: bytes) -> tuple[str | None, bool]:
    """The id of a frame that is a call, and whether it is one by the letter of OCPP-J; None: it can't be told."""
    try:
        read = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, False
    match read:
        case [int(kind), str(message_id), *rest] if kind == 2 and kind is not True:
            by_the_letter = [type(part) for part in rest] == [str, dict] and len(message_id) <= LONGEST_ID
            return message_id, by_the_letter
    return None, False


def one_input(data: bytes) -> None:
    """A run of the fuzzer: lines of bytes, each a frame, or a payload behind an action's number, or a wait."""
    with tempfile.TemporaryDirectory() as folder:
        victim = Victim(Path(folder))
        for number, line in enumerate(data.split(b"\n")[:20]):
            match line[:1]:
                case b"!":
                    victim.run(float(len(line) * 10))
                case b"#":
                    action = ACTIONS[(line[1] - 65 if len(line) > 1 else 0) % len(ACTIONS)]
                    victim.say(f'[2,"n{number}","{action}",'.encode() + line[2:] + b"]")
                case _:
                    victim.say(line)
        victim.check()


def seeds() -> list[bytes]:
    """A line for each action, to begin with."""
    payloads = {
        "ChangeConfiguration": {"key": "MeterValueSampleInterval", "value": "10"},
        "RemoteStopTransaction": {"transactionId": 501},
        "Reset": {"type": "Soft"},
        "UnlockConnector": {"connectorId": 1},
        "ChangeAvailability": {"connectorId": 0, "type": "Inoperative"},
        "TriggerMessage": {"requestedMessage": "MeterValues", "connectorId": 1},
        "SendLocalList": {"listVersion": 3, "updateType": "Full", "localAuthorizationList": [{"idTag": "T1"}]},
        "ReserveNow": {"connectorId": 1, "expiryDate": "2026-05-01T13:00:00Z", "idTag": "T1", "reservationId": 4},
        "UpdateFirmware": {"location": "http://x/fw", "retrieveDate": "2026-05-01T12:00:00Z"},
        "GetCompositeSchedule": {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"},
        "SetChargingProfile": {
            "connectorId": 1,
            "csChargingProfiles": {
                "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Relative", "transactionId": 501,
                "chargingSchedule": {
                    "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 4000.0}],
                },
            },
        },
    }  # fmt: skip
    lines = [
        b"#" + bytes([65 + number]) + json.dumps(payloads.get(action, {})).encode()
        for number, action in enumerate(ACTIONS)
    ]
    return [*lines, *(line + b"\n!!!!\n" + other for line, other in itertools.pairwise(lines))]


def main(arguments: list[str]) -> int:
    """Fuzz until something breaks, or the time is over."""
    try:
        import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415 - no dependency of ours
    except ImportError:
        print("atheris is not installed: pip install atheris, then try again", file=sys.stderr)
        return 2
    seconds = 600
    with contextlib.suppress(ValueError, IndexError):
        position = arguments.index("--seconds")
        seconds = int(arguments[position + 1])
        del arguments[position : position + 2]
    corpus = Path(arguments[0]) if arguments else Path(tempfile.mkdtemp(prefix="forecourt-fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.parent / f"{corpus.name}.dict"
    members = {field.name for kind in v16.REQUESTS.values() for field in _fields(kind)}
    words.write_text("".join(f'"{name}"\n' for name in sorted(members | set(ACTIONS))), encoding="ascii")
    atheris.instrument_all()
    atheris.Setup(
        [
            sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-dict={words}", "-max_len=2048",
            "-timeout=30", f"-artifact_prefix={corpus}-",
        ],
        one_input,
    )  # fmt: skip
    atheris.Fuzz()
    return 0


def _fields(kind: Any) -> list[Any]:
    return list(msgspec.structs.fields(kind))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
