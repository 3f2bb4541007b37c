"""Thousands of stations in one process, as bare as can be: they connect, boot, say their status, answer, and are busy.

`python crowd.py URL NUMBER [--silent] [--ca FILE]` does what the lines on its standard input say, and says what came of
each as a line of JSON: `connect AT_ONCE`, `vanish`, `busy INTERVAL_S`, `idle`, `tell`. `roles.Crowd` talks
to it.
"""

import argparse
import asyncio
import json
import ssl
import sys
import time
from typing import Any

import picows

from forecourt.net.loop import run

PROTOCOL = "ocpp1.6"
BOOT = b'BootNotification",{"chargePointVendor":"Vendor","chargePointModel":"Model"}]'
STATUS = b'StatusNotification",{"connectorId":%d,"errorCode":"NoError","status":"Available"}]'
METER_VALUES = (
    b'MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"%b","sampledValue":['
    b'{"value":"%d","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"},'
    b'{"value":"7360.0","context":"Sample.Periodic","measurand":"Power.Active.Import","unit":"W"}]}]}]'
)


class Member(picows.WSListener):
    """One station: it boots and says its status, each when the last was answered."""

    def __init__(self, crowd: "Crowd", number: int) -> None:
        self._crowd = crowd
        self.number = number
        self._said = self._answered = 0
        self.transport: picows.WSTransport

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        if self._crowd.greets:
            self.say(BOOT)
        else:
            self._crowd.arrived(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.TEXT:
            data = frame.get_payload_as_bytes()
            if data.startswith(b"[2,"):
                transport.send(picows.WSMsgType.TEXT, b'[3,"%b",{"status":"Accepted"}]' % data[4:].split(b'"', 1)[0])
                self._crowd.asked += 1
                return
            self._answered += 1
            if self._answered <= 2:
                self.say(STATUS % (self._answered - 1))
            elif self._answered == 3:
                self._crowd.arrived(self)
            else:
                self._crowd.answers += 1

    def on_ws_disconnected(self, _: picows.WSTransport) -> None:
        self._crowd.left(self)

    def say(self, rest: bytes) -> None:
        """One call; `rest` begins with the action."""
        self._said += 1
        self.transport.send(picows.WSMsgType.TEXT, b'[2,"%d","%b' % (self._said, rest))

    @property
    def waits(self) -> bool:
        """Whether a call of its own is unanswered."""
        return self._answered < self._said


class Crowd:
    """So many stations. `greets`: whether they say anything; else a connection is all."""

    def __init__(
        self, url: str, number: int, *, first: int = 0, greets: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self._first = first
        self.greets = greets
        self.number = number
        self.members: dict[int, Member] = {}
        self.asked = self.answers = self.turned_away = self.overrun = 0
        self._url = url
        self._tls = tls
        self._all = asyncio.Event()
        self._busy: asyncio.Task[None] | None = None

    def arrived(self, member: Member) -> None:
        """It has said everything."""
        self.members[member.number] = member
        if len(self.members) == self.number:
            self._all.set()

    def left(self, member: Member) -> None:
        """Its connection is gone."""
        if self.members.get(member.number) is member:
            del self.members[member.number]

    async def connect(self, at_once: int) -> None:
        """All of them, so many handshakes at a time; until each has been answered everything."""
        numbers = iter(range(self._first, self._first + self.number))

        async def work() -> None:
            for number in numbers:
                await self._connect_one(number)

        await asyncio.gather(*(work() for _ in range(min(at_once, self.number))))
        await self._all.wait()

    async def _connect_one(self, number: int) -> None:
        while True:
            try:
                await picows.ws_connect(
                    lambda: Member(self, number),
                    f"{self._url}/S{number}",
                    extra_headers={"Sec-WebSocket-Protocol": PROTOCOL},
                    read_buffer_init_size=1024,
                    ssl_context=self._tls,
                    websocket_handshake_timeout=120.0,
                )
            except (picows.WSHandshakeError, OSError):
                self.turned_away += 1
                if self.turned_away > 10 * self.number + 100:
                    raise
                await asyncio.sleep(1.0)
            else:
                return

    async def vanish(self) -> None:
        """All connections are cut."""
        members, self.members = list(self.members.values()), {}
        self._all.clear()
        for member in members:
            member.transport.disconnect(False)
        await asyncio.sleep(0)

    async def busy(self, interval_s: float) -> None:
        """From now on each says a reading so often."""
        self._busy = asyncio.create_task(self._meter(interval_s))

    async def idle(self) -> None:
        """No more."""
        if self._busy is not None:
            self._busy.cancel()

    async def _meter(self, interval_s: float) -> None:
        value, due_s = 0, time.monotonic()
        while True:
            for member in list(self.members.values()):
                due_s += interval_s / self.number
                if (early_s := due_s - time.monotonic()) > 0:
                    await asyncio.sleep(early_s)
                if member.waits:
                    self.overrun += 1
                    continue
                value += 1
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{value % 1000:03d}Z"
                member.say(METER_VALUES % (stamp.encode(), value))

    def tell(self) -> dict[str, Any]:
        """How it is."""
        return {
            "connected": len(self.members),
            "answers": self.answers,
            "asked": self.asked,
            "turned_away": self.turned_away,
            "overrun": self.overrun,
            "processor_s": time.process_time(),
        }


async def work(given: argparse.Namespace) -> None:
    """Do what is said."""
    tls = None
    if given.ca:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.load_verify_locations(given.ca)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
    crowd = Crowd(given.url, given.number, first=given.first, greets=not given.silent, tls=tls)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, *arguments = line.split()
        began_s = time.monotonic()
        match name:
            case "connect":
                await crowd.connect(int(arguments[0]))
            case "busy":
                await crowd.busy(float(arguments[0]))
            case "vanish" | "idle":
                await getattr(crowd, name)()
        print(json.dumps({"seconds": time.monotonic() - began_s, **crowd.tell()}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("number", type=int)
    parser.add_argument("--first", type=int, default=0, help="the number in the first one's name")
    parser.add_argument("--silent", action="store_true", help="a connection is all")
    parser.add_argument("--ca", help="of the server's certificate")
    run(work(parser.parse_args()))
