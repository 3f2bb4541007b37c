"""The story of Elli's article, from end to end: `docs/story.md` is run as it stands, by bash and curl, against the CSMS
that its configuration makes; the station is not ours (the PyPI package `ocpp`), and does its part where it is due."""

import asyncio
import base64
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import ocpp.v16.call
import pytest

from tests.octt.csms.running import PATIENCE_S, Csms
from tests.octt.csms.station_v16 import ChargePoint, connected

call = ocpp.v16.call

PAGE: Final = (Path(__file__).parents[2] / "docs" / "story.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

ARTICLE: Final = """
{
"connectorId": 0,
"csChargingProfiles": {
"chargingProfileId": 1,
"stackLevel": 0,
"chargingProfilePurpose": "ChargePointMaxProfile",
"chargingProfileKind": "Absolute",
"chargingSchedule": {
"startSchedule": "2022-07-06T02:04:00Z",
"chargingRateUnit": "W",
"chargingSchedulePeriod": [{
"startPeriod": 0,
"limit": 9000
}]
}
}
}
"""
"""SetChargingProfile.req as the article has it."""


class Reader:
    """Somebody who types the page's blocks into one shell, and compares what comes with what the page says."""

    def __init__(self, shell: asyncio.subprocess.Process) -> None:
        self._shell = shell
        self._steps = [text for kind, text in BLOCKS if kind in {"bash", "text"}]
        self._kinds = [kind for kind, _ in BLOCKS if kind in {"bash", "text"}]
        self._at = 0

    async def step(self) -> str:
        """Run the next block; gives what it printed, which is what the page says."""
        assert self._kinds[self._at] == "bash"
        code, self._at = self._steps[self._at], self._at + 1
        printed = await self._run(code)
        said = ""
        if self._kinds[self._at : self._at + 1] == ["text"]:
            said, self._at = self._steps[self._at], self._at + 1
        if said.endswith("…\n"):
            assert printed.startswith(said.removesuffix("…\n")), (code, printed)
        else:
            assert printed == said, (code, printed)
        return printed

    async def eventually(self) -> str:
        """Run the next block until it prints what the page says: what it asks for is on its way."""
        start, before = self._at, asyncio.get_running_loop().time()
        while True:
            self._at = start
            try:
                return await self.step()
            except AssertionError:
                if asyncio.get_running_loop().time() - before > PATIENCE_S:
                    raise
                await asyncio.sleep(0.2)

    @property
    def over(self) -> bool:
        """Whether the page has been read to its end."""
        return self._at == len(self._steps)

    async def _run(self, code: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f'{code}\necho "@@"\n'.encode())
        await self._shell.stdin.drain()
        async with asyncio.timeout(PATIENCE_S):
            printed = (await self._shell.stdout.readuntil(b"@@\n")).decode().removesuffix("@@\n")
        return re.sub(r"(\d)\.0\b", r"\1", printed) if printed.startswith("[") else printed  # as every jq has it


@asynccontextmanager
async def reader(api: str, key: str) -> AsyncIterator[Reader]:
    """In a shell that knows where the CSMS is, and the key."""
    environment = {"PATH": os.environ["PATH"], "API": api, "KEY": key, "no_proxy": "*"}
    shell = await asyncio.create_subprocess_exec(
        "bash", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        yield Reader(shell)
    finally:
        shell.terminate()
        await shell.wait()


class Station:
    """What the page says that the station does. Its clock runs ahead, so that half an hour passes in a second."""

    def __init__(self, point: ChargePoint) -> None:
        self.point = point
        self.power_w = 11_000.0
        self.energy_wh = 1000.0
        self.transaction_id = 0
        self._at = datetime.now(UTC)
        point.answers["GetConfiguration"] = {
            "configuration_key": [{"key": "MeterValueSampleInterval", "readonly": False, "value": "60"}]
        }

    def now(self) -> str:
        return self._at.isoformat().replace("+00:00", "Z")

    async def reserved(self) -> dict[str, Any]:
        asked = await self.point.expect("ReserveNow")
        await self.point.status("Reserved")
        return asked

    async def started(self, reservation_id: int) -> None:
        asked = await self.point.expect("RemoteStartTransaction")
        assert await self.point.authorize(asked["idTag"]) == "Accepted"
        await self.point.status("Preparing")
        answer = await self.point.start_transaction(
            asked["idTag"], int(self.energy_wh), self.now(), reservation_id=reservation_id
        )
        assert answer.id_tag_info["status"] == "Accepted"
        self.transaction_id = answer.transaction_id
        await self.point.status("Charging")

    async def charge(self, minutes: int) -> None:
        """Time passes at the power that holds now; the meter is read at its end."""
        self._at += timedelta(minutes=minutes)
        self.energy_wh = float(int(self.energy_wh + self.power_w * minutes / 60))
        samples = [
            {"value": str(self.energy_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": str(self.power_w), "measurand": "Power.Active.Import", "unit": "W"},
        ]
        values = [{"timestamp": self.now(), "sampledValue": samples}]
        await self.point.call(call.MeterValues(1, values, self.transaction_id))

    async def regulated(self) -> dict[str, Any]:
        """It draws no more than the profile says from now on."""
        asked = await self.point.expect("SetChargingProfile")
        (period,) = asked["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
        self.power_w = min(self.power_w, float(period["limit"]))
        return asked

    async def stopped(self) -> None:
        asked = await self.point.expect("RemoteStopTransaction")
        assert asked == {"transactionId": self.transaction_id}
        await self.charge(10)
        await self.point.stop_transaction(self.transaction_id, "Remote", int(self.energy_wh), self.now())
        await self.point.status("Available")


def test_the_page_has_the_articles_message() -> None:
    (body,) = re.findall(r"ocpp/SetChargingProfile -d '(.*?)'", PAGE, re.DOTALL)
    assert json.dumps(json.loads(body)) == json.dumps(json.loads(ARTICLE))


async def test_the_story_as_the_page_tells_it(tmp_path: Path) -> None:
    for tool in ("bash", "curl", "jq"):
        if shutil.which(tool) is None:
            assert "CI" not in os.environ, f"{tool} is needed"
            pytest.skip(f"there is no {tool} here")
    (configuration,) = [text for kind, text in BLOCKS if kind == "toml"]
    csms = Csms(tmp_path, configuration)
    csms.start()
    try:
        async with reader(csms.api_url, csms.api().client.headers["authorization"].removeprefix("Bearer ")) as page:
            await page.step()
            await page.step()
            password = base64.b64encode(b"CS-1:correct-horse-battery").decode()
            headers = {"authorization": f"Basic {password}"}
            async with connected(csms.ocpp_url, "CS-1", additional_headers=headers) as point:
                frames = heard(point)
                await point.boot()
                await page.step()

                station = Station(point)
                reserving = asyncio.create_task(station.reserved())
                await page.step()
                reservation = await reserving
                await page.step()

                starting = asyncio.create_task(station.started(reservation["reservationId"]))
                await page.step()
                await starting
                await station.charge(10)
                await page.step()
                await page.step()

                regulating = asyncio.create_task(station.regulated())
                await page.step()
                assert await regulating == json.loads(ARTICLE)
                (sent,) = [frame for frame in frames if '"SetChargingProfile"' in frame]
                assert sent.endswith(json.dumps(json.loads(ARTICLE), separators=(",", ":")) + "]")
                await station.charge(10)
                await page.step()

                await page.step()
                assert await point.expect("ChangeConfiguration") == {"key": "MeterValueSampleInterval", "value": "60"}
                await point.expect("GetConfiguration")

                stopping = asyncio.create_task(station.stopped())
                await page.step()
                await stopping
                await page.step()
            receipt = await page.eventually()
            assert page.over
    finally:
        csms.stop()
    assert "Front Door Charging Ltd." in receipt
    assert re.search(r"^Total +2\.84 EUR$", receipt, re.MULTILINE)


def heard(point: ChargePoint) -> list[str]:
    """Every frame that the station gets from now on, as it came."""
    frames: list[str] = []
    routed = point.route_message

    async def route(frame: str) -> None:
        frames.append(frame)
        await routed(frame)

    point.route_message = route
    return frames
