"""`forecourt check` when not all goes smoothly: the time is over, or the charger restarts in the middle."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import websockets

from forecourt.app.check import examine
from forecourt.app.check_bench import bench
from forecourt.app.check_findings import Outcome
from forecourt.app.check_list import load_list
from forecourt.app.check_report import Report
from forecourt.net.csms_session import Listener

PATIENCE_S = 120.0
READING_EVERY_S = 0.5


class Restart(Exception):  # noqa: N818 -- the charger is gone before it has answered
    pass


class Charger:
    """A charger in bare frames. It is gone without an answer when it is asked for one of `falls_over` the first time;
    a transaction that was on is over when it is back. Else it says yes to everything. After its boot it says so many
    heartbeats at once."""

    def __init__(self, url: str, *, falls_over: tuple[str, ...] = (), heartbeats: int = 0) -> None:
        self.url = url
        self.falls_over = list(falls_over)
        self.heartbeats = heartbeats
        self.asked: list[str] = []
        self.transaction_id: int | None = None
        self.register_wh = 0
        self._numbers = iter(range(10_000))
        self._answers: dict[str, asyncio.Future[Any]] = {}

    async def live(self) -> None:
        while True:
            async with websockets.connect(self.url, subprotocols=[websockets.Subprotocol("ocpp1.6")]) as socket:
                talking = asyncio.create_task(self._talk(socket))
                try:
                    await self._listen(socket)
                except (Restart, websockets.ConnectionClosed):
                    pass
                finally:
                    talking.cancel()
            await asyncio.sleep(0.3)

    async def _listen(self, socket: Any) -> None:
        while True:
            kind, number, *rest = json.loads(await socket.recv())
            if kind == 2:
                self.asked.append(rest[0])
                if rest[0] in self.falls_over:
                    self.falls_over.remove(rest[0])
                    raise Restart
                await socket.send(json.dumps([3, number, {"status": "Accepted"}]))
                if rest[0] == "RemoteStartTransaction":
                    self.transaction_id = 0
            elif number in self._answers:
                self._answers.pop(number).set_result(rest[0])

    async def _say(self, socket: Any, action: str, **payload: Any) -> Any:
        number = f"c{next(self._numbers)}"
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await socket.send(json.dumps([2, number, action, payload]))
        return await answer

    async def _talk(self, socket: Any) -> None:
        await self._say(socket, "BootNotification", chargePointVendor="V", chargePointModel="M")
        await self._say(socket, "StatusNotification", connectorId=1, errorCode="NoError", status="Available")
        for _ in range(self.heartbeats):
            await self._say(socket, "Heartbeat")
        if self.transaction_id:
            over = {"transactionId": self.transaction_id, "meterStop": self.register_wh, "reason": "PowerLoss"}
            self.transaction_id = None
            await self._say(socket, "StopTransaction", timestamp=_now(), **over)
        while True:
            await asyncio.sleep(READING_EVERY_S)
            if self.transaction_id == 0:
                start = {"connectorId": 1, "idTag": "CHECK", "meterStart": self.register_wh, "timestamp": _now()}
                self.transaction_id = (await self._say(socket, "StartTransaction", **start))["transactionId"]
            elif self.transaction_id is not None:
                self.register_wh += 10
                sampled = [{"value": str(self.register_wh), "context": "Sample.Periodic"}]
                values = [{"timestamp": _now(), "sampledValue": sampled}]
                await self._say(
                    socket, "MeterValues", connectorId=1, transactionId=self.transaction_id, meterValue=values
                )


def _now() -> str:
    return datetime.now(UTC).isoformat()


@asynccontextmanager
async def examined(
    folder: Path, *requirements: tuple[str, str, str], timeout_s: float = PATIENCE_S, **quirks: Any
) -> AsyncIterator[tuple[Charger, Report, list[str]]]:
    """What came of a list of (id, check, options), and what was said to the person."""
    path = folder / "own.toml"
    rows = [
        f'[[requirement]]\nid = "{i}"\ntitle = "{i}"\ncheck = "{c}"\noptions = {{ {o} }}\n' for i, c, o in requirements
    ]
    path.write_text('title = "Own"\n' + "".join(rows))
    wanted, checks = load_list(str(path))
    said: list[str] = []
    options: dict[str, Any] = {"token": "CHECK", "password": None, "hurry_s": READING_EVERY_S}
    async with bench((Listener(host="127.0.0.1", port=0),), folder, said.append, **options) as (made, server):
        made.interval_s = READING_EVERY_S
        charger = Charger(f"ws://127.0.0.1:{server.port}/ocpp/CP1", **quirks)
        living = asyncio.create_task(charger.live())
        try:
            async with asyncio.timeout(PATIENCE_S):
                report = await examine(wanted, checks, made, timeout_s, frozenset(), said.append)
            yield charger, report, said
        finally:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living


def outcomes(report: Report) -> dict[str, Outcome]:
    return {one.id: one.outcome for one in report.results}


START = ("start", "remote_start", 'first = "Plug in"')
ENERGY = ("energy", "measured", 'any_of = [["Energy.Active.Import.Register"]]')


async def test_what_was_seen_counts_when_the_time_is_over(tmp_path: Path) -> None:
    wait = ("never", "status", 'any_of = ["Faulted"]')
    look_back = [
        ("available", "status", 'any_of = ["Available"], first = "Leave it free"'),
        ENERGY,
        ("begin", "start_reading", ""),
        ("boot", "boot_fields", 'needed = ["vendor_name"]'),
        ("details", "boot_fields", 'needed = ["serial_number"]'),
    ]
    ask = ("key", "variable", 'name = "HeartbeatInterval", value = "30"')
    async with examined(tmp_path, START, wait, *look_back, ask, timeout_s=6.0) as (charger, report, said):
        assert outcomes(report) == {
            "start": Outcome.PASSED,
            "never": Outcome.NOT_SEEN,
            "available": Outcome.PASSED,
            "energy": Outcome.PASSED,
            "begin": Outcome.PASSED,
            "boot": Outcome.PASSED,
            "details": Outcome.FAILED,
            "key": Outcome.NOT_SEEN,
        }
        assert report.results[-1].summary == "the time is over"
        assert charger.asked == ["RemoteStartTransaction"], "nothing is asked any more"
        assert "Leave it free" not in said, "nor anybody bothered"


async def test_what_was_not_waited_for_has_not_failed(tmp_path: Path) -> None:
    power = ("power", "measured", 'any_of = [["Power.Active.Import"]]')
    trigger = ("trigger", "trigger", 'message = "BootNotification"')
    async with examined(tmp_path, START, trigger, power, timeout_s=4.0) as (_, report, _):
        assert outcomes(report) == {"start": Outcome.PASSED, "trigger": Outcome.NOT_SEEN, "power": Outcome.NOT_SEEN}
        assert report.results[1].summary == "the time is over; until then: it accepted, and nothing came"
        assert report.results[1].evidence, "what there is is shown"


async def test_a_charger_that_restarts_in_the_middle_is_asked_again_and_charges_again(tmp_path: Path) -> None:
    key = ("key", "sample_interval", 'name = "MeterValueSampleInterval", interval_s = 1')
    every = ("every", "measured_every", "slack = 0.9")
    trigger = ("trigger", "trigger", 'message = "MeterValues"')
    stop = ("stop", "remote_stop", "within_s = 1")
    falls_over = ("RemoteStartTransaction", "ChangeConfiguration", "TriggerMessage")
    async with examined(tmp_path, key, START, ENERGY, trigger, every, stop, falls_over=falls_over) as (_, report, said):
        assert outcomes(report) == {
            "key": Outcome.PASSED,
            "start": Outcome.PASSED,
            "energy": Outcome.PASSED,
            "trigger": Outcome.PASSED,
            "every": Outcome.PASSED,
            "stop": Outcome.FAILED,
        }
        assert said.count("It has restarted in the middle of this: once more.") == 3
        assert said.count("It has restarted, and charges no more: charging is started again.") == 1


async def test_what_was_said_long_ago_is_found_however_much_was_said_since(tmp_path: Path) -> None:
    wait = ("never", "status", 'any_of = ["Faulted"], within_s = 8')
    available = ("available", "status", 'any_of = ["Available"], within_s = 0')
    async with examined(tmp_path, wait, available, heartbeats=600) as (_, report, _):
        assert outcomes(report) == {"never": Outcome.NOT_SEEN, "available": Outcome.PASSED}
        assert '"Available"' in report.results[1].evidence[0]
