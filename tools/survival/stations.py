"""Stations that remember what was promised to them: each call is repeated until it is answered, and what the answer was
about is what the books are held to afterwards."""

import asyncio
import contextlib
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import websockets

PROTOCOLS: Final = ("ocpp1.6", "ocpp2.0.1")
CALL_TIMEOUT_S: Final = 30.0
_TRANSACTION_READINGS: Final = (3, 12)


class Refused(Exception):  # noqa: N818
    """The CSMS answered a call with an error."""


class Gone(Exception):  # noqa: N818
    """The connection is over."""


@dataclass
class Transaction:
    """One of a station, as far as the CSMS has taken it."""

    number: int
    """The station's own count."""
    started_at: datetime
    start_wh: int
    id: str = ""
    """2.x: the station's; 1.6: given with the answer to the start."""
    start_answered: bool = False
    readings: dict[datetime, int] = field(default_factory=dict)
    """Answered: when, and what the meter showed."""
    stop_wh: int | None = None
    """Answered."""


@dataclass
class Tally:
    """What all stations together have seen."""

    answered: int = 0
    refused: int = 0
    """Calls that were answered with an error, and repeated."""
    connections: int = 0
    turned_away: int = 0
    away_s: list[float] = field(default_factory=list)
    """Of each loss of a connection: how long until the next was served."""
    reached_s: list[float] = field(default_factory=list)
    """Of each connection that was probed: from its first answer until a command reached it."""
    unreached: int = 0
    received: dict[str, int] = field(default_factory=dict)
    """Commands that came, by what they said."""


class Pace:
    """How fast a station lives. `step_s`: what its own clock makes of each message; None: as the real one goes."""

    def __init__(self, pause_s: float, step_s: float | None = None) -> None:
        self.pause_s = pause_s
        self.step_s = step_s


class Station:
    """One of them. `run` until it is told `finish`, when it ends its transaction; `run` again: it goes on."""

    def __init__(self, name: str, url: str, pace: Pace, tally: Tally, connected: "asyncio.Queue[Station]") -> None:
        self.name = name
        self.protocol = PROTOCOLS[hash_of(name) % len(PROTOCOLS)]
        self.transactions: list[Transaction] = []
        self.pace = pace
        self.served_at_s: float | None = None
        """Since when the present connection is served (monotonic); None: there is none."""
        self._url = f"{url}/{name}"
        self._tally = tally
        self._connected = connected
        self._ids = count(1)
        self._register_wh = 0
        self._clock = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2 if pace.step_s else 0)
        self._finishing = False
        self._open: dict[str, asyncio.Future[Any]] = {}
        self._socket: Any = None
        self._lost_at_s: float | None = None
        self._chance = random.Random(name)
        self._arrived: dict[str, asyncio.Event] = {}

    def finish(self) -> None:
        """End the transaction, say all that is to say, then only answer."""
        self._finishing = True

    @property
    def finished(self) -> bool:
        """Whether all is said."""
        return self._finishing and not (self.transactions and self.transactions[-1].stop_wh is None)

    async def run(self) -> None:
        """Connect, be a station, connect again."""
        life = self._live()
        said: tuple[str, dict[str, Any]] | None = None
        while True:
            try:
                async with websockets.connect(
                    self._url, subprotocols=[websockets.Subprotocol(self.protocol)], open_timeout=20, close_timeout=1,
                    ping_interval=20, ping_timeout=20, compression=None,
                ) as socket:  # fmt: skip
                    self._socket = socket
                    reading = asyncio.create_task(self._read(socket))
                    try:
                        await self._begin()
                        while True:
                            said = said or life.send(None)
                            answer = await self._say(*said)
                            said = None
                            with contextlib.suppress(StopIteration):
                                said = life.send(answer)
                            await asyncio.sleep(self.pace.pause_s * self._chance.uniform(0.5, 1.5))
                    finally:
                        reading.cancel()
            except (OSError, websockets.WebSocketException, Gone, TimeoutError) as error:
                if isinstance(error, websockets.InvalidStatus):
                    self._tally.turned_away += 1
                if self.served_at_s is not None:
                    self.served_at_s, self._lost_at_s = None, time.monotonic()
            await asyncio.sleep(self._chance.uniform(0.1, 0.8))

    async def _begin(self) -> None:
        if self.protocol == "ocpp1.6":
            boot: dict[str, Any] = {"chargePointVendor": "Survivor", "chargePointModel": "S"}
        else:
            boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "Survivor", "model": "S"}}
        await self._say("BootNotification", boot)
        self._tally.connections += 1
        self.served_at_s = time.monotonic()
        if self._lost_at_s is not None:
            self._tally.away_s.append(self.served_at_s - self._lost_at_s)
        with contextlib.suppress(asyncio.QueueFull):
            self._connected.put_nowait(self)

    def _now(self) -> datetime:
        if self.pace.step_s is None:
            now = datetime.now(UTC)
            now -= timedelta(microseconds=now.microsecond % 1000)
            self._clock = max(self._clock + timedelta(milliseconds=1), now)
        else:
            self._clock += timedelta(seconds=self.pace.step_s)
        return self._clock

    def _live(self) -> Any:
        """What it says, one after the other, whatever becomes of the connection meanwhile; sent in: the answers."""
        for number in count(1):
            while self._finishing:
                yield "Heartbeat", {}
            transaction = Transaction(number, self._now(), self._register_wh)
            self.transactions.append(transaction)
            told = self._first if self.protocol == "ocpp1.6" else self._second
            yield from told(transaction)
            yield "Heartbeat", {}

    def _first(self, transaction: Transaction) -> Any:
        start = {
            "connectorId": 1,
            "idTag": "CARD",
            "meterStart": transaction.start_wh,
            "timestamp": text_of(transaction.started_at),
        }
        answer = yield "StartTransaction", start
        transaction.id = str(answer["transactionId"])
        transaction.start_answered = True
        for _ in range(self._chance.randint(*_TRANSACTION_READINGS)):
            if self._finishing:
                break
            at = self._charge()
            value = {"value": str(self._register_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
            reading = {"timestamp": text_of(at), "sampledValue": [value]}
            yield "MeterValues", {"connectorId": 1, "transactionId": int(transaction.id), "meterValue": [reading]}
            transaction.readings[at] = self._register_wh
        stop = {"transactionId": int(transaction.id), "meterStop": self._register_wh, "timestamp": text_of(self._now())}
        yield "StopTransaction", stop
        transaction.stop_wh = self._register_wh

    def _second(self, transaction: Transaction) -> Any:
        transaction.id = f"{self.name}-{transaction.number}"
        last = self._chance.randint(*_TRANSACTION_READINGS) + 1
        at, numbers = transaction.started_at, count(0)
        evse = {"id": 1, "connectorId": 1}
        for kind in ("Started", *["Updated"] * last, "Ended"):
            if kind == "Updated" and self._finishing:
                continue
            if kind != "Started":
                at = self._charge()
            event: dict[str, Any] = {
                "eventType": kind,
                "timestamp": text_of(at),
                "triggerReason": {"Started": "Authorized", "Updated": "MeterValuePeriodic", "Ended": "StopAuthorized"}[
                    kind
                ],
                "seqNo": next(numbers),
                "transactionInfo": {"transactionId": transaction.id, "chargingState": "Charging"},
                "evse": evse,
                "meterValue": [
                    {
                        "timestamp": text_of(at),
                        "sampledValue": [{"value": self._register_wh, "measurand": "Energy.Active.Import.Register"}],
                    }
                ],
            }
            if kind == "Started":
                event["idToken"] = {"idToken": "CARD", "type": "ISO14443"}
            if kind == "Ended":
                event["transactionInfo"]["stoppedReason"] = "Local"
            yield "TransactionEvent", event
            if kind == "Started":
                transaction.start_answered = True
            transaction.readings[at] = self._register_wh
        transaction.stop_wh = self._register_wh

    def _charge(self) -> datetime:
        self._register_wh += self._chance.randint(1, 100)
        return self._now()

    async def _say(self, action: str, payload: dict[str, Any]) -> Any:
        """Until it is answered with a result. Raises what the loss of the connection raises."""
        while True:
            try:
                answer = await self._call(action, payload)
            except Refused:
                self._tally.refused += 1
                await asyncio.sleep(self._chance.uniform(0.5, 1.5))
                continue
            self._tally.answered += 1
            return answer

    async def _call(self, action: str, payload: dict[str, Any]) -> Any:
        message_id = f"{self.name}-{next(self._ids)}"
        future = self._open[message_id] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(json.dumps([2, message_id, action, payload]))
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await future
        finally:
            self._open.pop(message_id, None)
            if future.done() and not future.cancelled():
                future.exception()  # the sending may have failed before anybody waited for this

    async def _read(self, socket: Any) -> None:
        try:
            async for frame in socket:
                parts = json.loads(frame)
                if parts[0] == 2:
                    await socket.send(json.dumps([3, parts[1], self._answer(parts[2], parts[3])]))
                elif (future := self._open.get(parts[1])) is not None and not future.done():
                    if parts[0] == 3:
                        future.set_result(parts[2])
                    else:
                        future.set_exception(Refused(parts[2]))
        except websockets.ConnectionClosed:
            pass
        finally:
            for future in self._open.values():
                if not future.done():
                    future.set_exception(Gone)

    def _answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "DataTransfer":
            said = payload["data"]
            self._tally.received[said] = self._tally.received.get(said, 0) + 1
            if (event := self._arrived.get(said)) is not None:
                event.set()
        return {"status": "Accepted"}

    async def arrival(self, said: str, patience_s: float) -> bool:
        """Whether a command that says this comes."""
        if said in self._tally.received:
            return True
        event = self._arrived[said] = asyncio.Event()
        try:
            async with asyncio.timeout(patience_s):
                await event.wait()
        except TimeoutError:
            return said in self._tally.received
        finally:
            del self._arrived[said]
        return True


def hash_of(name: str) -> int:
    """The same in every process."""
    return int(name.lstrip("S"))


def text_of(at: datetime) -> str:
    """As OCPP has it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
