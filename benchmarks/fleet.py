"""What a station of a fleet costs: memory while idle, processor time while it beats, against a bare picows client.

Both sides run in processes of their own against the same minimal server, connect the same number of sockets, and send
the same frames at the same interval: a BootNotification, the StatusNotifications, then heartbeats. The bare client does
nothing else: it keeps no state, reads no answer, has no deadlines. What is printed are ratios; the absolute numbers
under them depend on the machine.

    python benchmarks/fleet.py [--stations 1000] [--interval 10] [--window 20] [--rounds 3]

With `--transactions` one process of ours idles with heartbeats, then as many cars come and charge; what a station
costs in memory and processor time is told of both, as it is, and of how much of a core the window took:

    python benchmarks/fleet.py --stations 5000 --interval 30 --transactions 1000
"""

import argparse
import asyncio
import functools
import gc
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import picows

from forecourt.dialect.v16 import V16
from forecourt.net.loop import run
from forecourt.sim.fleet.fleet import Fleet, Model
from forecourt.sim.fleet.scenario import Connect, Drivers, Scenario, Spike
from forecourt.sim.fleet.template import StationTemplate

PROTOCOL = "ocpp1.6"


def memory_bytes() -> int:
    """What this process has in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


# The server


class Answering(picows.WSListener):
    """Answers every call with as little as will do."""

    interval_s = 10
    transactions = 0

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            _, message_id, _, action, _ = frame.get_payload_as_bytes().split(b'"', 4)
            now = datetime.now(UTC).isoformat().encode()
            if action == b"BootNotification":
                payload = b'{"status":"Accepted","currentTime":"%b","interval":%d}' % (now, self.interval_s)
            elif action == b"Heartbeat":
                payload = b'{"currentTime":"%b"}' % now
            elif action == b"Authorize":
                payload = b'{"idTagInfo":{"status":"Accepted"}}'
            elif action == b"StartTransaction":
                Answering.transactions += 1
                payload = b'{"idTagInfo":{"status":"Accepted"},"transactionId":%d}' % Answering.transactions
            else:
                payload = b"{}"
            transport.send(picows.WSMsgType.TEXT, b'[3,"%b",%b]' % (message_id, payload))
        elif frame.msg_type == picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


def server(told: Any, interval_s: int) -> None:
    Answering.interval_s = interval_s

    def accept(_: picows.WSUpgradeRequest) -> Any:
        response = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": PROTOCOL})
        return picows.WSUpgradeResponseWithListener(response, Answering())

    async def work() -> None:
        listening = await picows.ws_create_server(accept, "127.0.0.1", 0, backlog=4096)
        told.put(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    run(work())


# The two sides: each connects, settles, and says what it costs


async def fleet_side(port: int, stations: int, interval_s: int, window_s: float) -> dict[str, float]:
    before = memory_bytes()
    scenario = Scenario(duration_s=1e6, connect=Connect(over_s=stations / 500))
    fleet = Fleet([Model(StationTemplate(), V16)], stations, f"ws://127.0.0.1:{port}/ocpp", scenario)
    running = asyncio.create_task(fleet.run())
    while not all(station.accepted for station in fleet.stations):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return await measured(before, stations, interval_s, window_s, running)


async def transactions_side(
    port: int, stations: int, interval_s: int, window_s: float, cars: int, patience_s: float, rate: float
) -> dict[str, float]:
    """Idle for a window, then `cars` transactions for another."""
    before = memory_bytes()
    template = StationTemplate()
    online_s = stations / rate
    comes_s = online_s + 2.5 * interval_s + window_s + patience_s
    spike = Spike(at_s=comes_s, over_s=5.0, share=min(1.0, cars / (stations * len(template.evses))))
    scenario = Scenario(
        duration_s=1e6, connect=Connect(over_s=online_s), spikes=(spike,), drivers=Drivers(taps_after_s=(0.5, 2.0))
    )
    fleet = Fleet([Model(template, V16)], stations, f"ws://127.0.0.1:{port}/ocpp", scenario)
    began_s = time.monotonic()
    running = asyncio.create_task(fleet.run())
    while not all(station.accepted for station in fleet.stations):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    idle = await measured(before, stations, interval_s, window_s, running)
    if time.monotonic() - began_s > comes_s:
        raise RuntimeError("the machine is too slow for this: the cars came while the stations were to idle")
    await asyncio.sleep(comes_s + 10.0 - (time.monotonic() - began_s))
    cpu_s, waited_s = time.process_time(), time.monotonic()
    await asyncio.sleep(window_s)
    cpu_s, waited_s = time.process_time() - cpu_s, time.monotonic() - waited_s
    charging = sum(
        evse.transaction is not None
        for station in fleet.stations
        for evse in station.session.endpoint.station.parts.evses.values()
    )
    return {
        **idle,
        "core_idle": idle["cpu_per_beat_s"] * stations / interval_s,
        "transactions": float(charging),
        "memory_charging_bytes": (memory_bytes() - before) / stations,
        "core_charging": cpu_s / waited_s,
        "core_per_transaction": max(0.0, cpu_s / waited_s - idle["cpu_per_beat_s"] * stations / interval_s)
        / max(1, charging),
    }


class Beating(picows.WSListener):
    """Says what a station says, by the clock."""

    def __init__(self, interval_s: int) -> None:
        self._interval_s = interval_s
        self._number = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        self._say(b'BootNotification",{"chargePointVendor":"Forecourt","chargePointModel":"Simulated AC"}]')
        status = (
            b'{"connectorId":%d,"errorCode":"NoError","status":"Available","timestamp":"2026-01-01T00:00:00.000Z"}]'
        )
        for connector in (0, 1):
            self._say(b'StatusNotification",' + status % connector)
        asyncio.get_running_loop().call_later(self._interval_s, self._beat)

    def on_ws_frame(self, _: picows.WSTransport, frame: picows.WSFrame) -> None:
        frame.get_payload_as_bytes()

    def _beat(self) -> None:
        self._say(b'Heartbeat",{}]')
        asyncio.get_running_loop().call_later(self._interval_s, self._beat)

    def _say(self, rest: bytes) -> None:
        self._number += 1
        message_id = b"00000000-0000-4000-8000-%012d" % self._number
        self._transport.send(picows.WSMsgType.TEXT, b'[2,"%b","%b' % (message_id, rest))


async def bare_side(port: int, stations: int, interval_s: int, window_s: float) -> dict[str, float]:
    before = memory_bytes()
    kept = []
    for index in range(stations):
        url = f"ws://127.0.0.1:{port}/ocpp/S{index}"
        kept.append(
            await picows.ws_connect(
                lambda: Beating(interval_s),
                url,
                extra_headers={"Sec-WebSocket-Protocol": PROTOCOL},
                read_buffer_init_size=4096,  # as ours
            )
        )
        if index % 10 == 0:
            await asyncio.sleep(0.02)  # spread as the fleet's are
    return await measured(before, stations, interval_s, window_s, kept)


async def measured(before: int, stations: int, interval_s: int, window_s: float, _kept: Any) -> dict[str, float]:
    await asyncio.sleep(2 * interval_s)  # every station has beaten
    gc.collect()
    memory = (memory_bytes() - before) / stations
    cpu_s, began_s = time.process_time(), time.monotonic()
    await asyncio.sleep(window_s)
    beats = stations * (time.monotonic() - began_s) / interval_s
    return {"memory_bytes": memory, "cpu_per_beat_s": (time.process_time() - cpu_s) / beats}


Side = Callable[[int, int, int, float], Coroutine[Any, Any, dict[str, float]]]


def child(side: Side, told: Any, port: int, stations: int, interval_s: int, window_s: float) -> None:
    async def work() -> None:
        try:
            told.put(await side(port, stations, interval_s, window_s))
        except Exception as error:  # noqa: BLE001 - whoever waits for figures has to hear that there are none
            told.put(repr(error))
        told.close()
        told.join_thread()
        os._exit(0)  # thousands of farewells are not what is measured

    run(work())


def measure(side: Side, stations: int, interval_s: int, window_s: float, within_s: float = 300.0) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    serving = context.Process(target=server, args=(told, interval_s), daemon=True)
    serving.start()
    try:
        port = told.get(timeout=30)
        working = context.Process(target=child, args=(side, told, port, stations, interval_s, window_s), daemon=True)
        working.start()
        found: dict[str, float] | str = told.get(timeout=within_s)
        working.join(timeout=30)
        if isinstance(found, str):
            raise RuntimeError(found)  # noqa: TRY004 - it is what went wrong
        return found
    finally:
        serving.kill()
        serving.join()


def with_cars(given: argparse.Namespace) -> None:
    side = functools.partial(transactions_side, cars=given.transactions, patience_s=given.patience, rate=given.rate)
    found = measure(
        side,
        given.stations,
        given.interval,
        given.window,
        within_s=300.0 + 2 * given.patience + given.stations / given.rate,
    )
    if given.json:
        print(json.dumps({"stations": given.stations, "absolute": found}))
        return
    print(f"{given.stations} stations in one process, a heartbeat every {given.interval} s")
    print(
        f"idle: {found['memory_bytes'] / 1024:.1f} KiB each, {found['core_idle']:.3f} of a core,"
        f" {found['cpu_per_beat_s'] * 1e6:.0f} µs a heartbeat"
    )
    print(
        f"{found['transactions']:.0f} transactions: {found['memory_charging_bytes'] / 1024:.1f} KiB each,"
        f" {found['core_charging']:.3f} of a core, {found['core_per_transaction'] * 1e6:.0f} µs/s a transaction"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=10, help="between heartbeats, in seconds")
    parser.add_argument("--window", type=float, default=20.0, help="measured, in seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transactions", type=int, default=0, help="cars that charge after the stations have idled")
    parser.add_argument("--rate", type=float, default=500.0, help="stations that connect in a second")
    parser.add_argument("--patience", type=float, default=10.0, help="longer, where connecting takes its time, in s")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.transactions:
        with_cars(given)
        return
    ours, bare = [], []
    for _ in range(given.rounds):
        ours.append(measure(fleet_side, given.stations, given.interval, given.window))
        bare.append(measure(bare_side, given.stations, given.interval, given.window))
    found = {
        name: (statistics.median(one[name] for one in ours), statistics.median(one[name] for one in bare))
        for name in ("memory_bytes", "cpu_per_beat_s")
    }
    ratios = {name: round(fleet / client, 2) for name, (fleet, client) in found.items()}
    if given.json:
        print(json.dumps({"stations": given.stations, "ratios": ratios, "absolute": found}))
        return
    memory, beat = found["memory_bytes"], found["cpu_per_beat_s"]
    print(f"{given.stations} stations, a heartbeat every {given.interval} s, medians of {given.rounds} rounds")
    print(f"memory of an idle station, times a bare picows client's:   {ratios['memory_bytes']:.2f}")
    print(f"processor time of a heartbeat, times a bare client's:      {ratios['cpu_per_beat_s']:.2f}")
    kib, microseconds = [one / 1024 for one in memory], [one * 1e6 for one in beat]
    print(f"  ({kib[0]:.1f} against {kib[1]:.1f} KiB; {microseconds[0]:.0f} against {microseconds[1]:.0f} µs)")


if __name__ == "__main__":
    main()
