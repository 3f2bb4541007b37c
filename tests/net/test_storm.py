"""Many stations at once: what the door takes on, what those hear who don't get in, and who is served meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import websockets
from tests.net.test_csms_session import OPEN, House, running

from forecourt.csms import commands, provisioning
from forecourt.csms.command_records import CommandState
from forecourt.csms.settings import CsmsSettings
from forecourt.domain.requests import ClearCache
from forecourt.net.connection import DEAF
from forecourt.net.handshake import Admission, Refusal, UpgradeRequest
from forecourt.net.server import ServerLimits, serve

STORM = 60


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running(tmp_path, msgspec.structs.replace(OPEN, interval_jitter=0.2)) as made:
        yield made


async def test_decisions_are_made_so_many_at_a_time_and_all_in_the_end() -> None:
    under_way = most = 0

    async def admit(request: UpgradeRequest) -> Admission | Refusal:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        return Admission(lambda _: DEAF)

    limits = ServerLimits(max_decisions=3)
    server = await serve("127.0.0.1", 0, admit=admit, subprotocols=("ocpp1.6",), server_limits=limits)

    async def station(number: int) -> None:
        url = f"ws://127.0.0.1:{server.port}/S{number}"
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("ocpp1.6")]):
            pass

    await asyncio.gather(*(station(number) for number in range(20)))
    assert most == 3
    await server.close(0.5)


async def test_who_is_sent_away_is_told_different_times_and_counted() -> None:
    open_door = asyncio.Event()
    crowded = 0

    async def admit(request: UpgradeRequest) -> Admission | Refusal:
        await open_door.wait()
        return Admission(lambda _: DEAF)

    def count() -> None:
        nonlocal crowded
        crowded += 1

    limits = ServerLimits(max_handshakes=4, retry_after_s=(10, 1000))
    server = await serve("127.0.0.1", 0, admit=admit, subprotocols=("ocpp1.6",), server_limits=limits, crowded=count)

    async def station(number: int) -> str | None:
        url = f"ws://127.0.0.1:{server.port}/S{number}"
        try:
            async with websockets.connect(url, subprotocols=[websockets.Subprotocol("ocpp1.6")]):
                return None
        except websockets.InvalidStatus as refused:
            return refused.response.headers.get("Retry-After") if refused.response.status_code == 503 else "wrong"

    waiting = [asyncio.create_task(station(number)) for number in range(24)]
    async with asyncio.timeout(20):
        while crowded < 20:  # noqa: ASYNC110 - counted in a callback
            await asyncio.sleep(0.01)
    open_door.set()
    told = [answer for answer in await asyncio.gather(*waiting) if answer is not None]
    assert len(told) == 20
    assert len(set(told)) > 5
    assert all(10 <= int(answer) <= 1000 for answer in told)
    await server.close(0.5)


async def test_a_command_is_answered_while_all_come_back(house: House) -> None:
    async def comes_back(number: int, served: asyncio.Event) -> int:
        async with house.connect(f"S{number}") as socket:
            boot = {"chargePointVendor": "V", "chargePointModel": "M"}
            await socket.send(json.dumps([2, "b", "BootNotification", boot]))
            answer = json.loads(await socket.recv())
            await served.wait()
            return int(answer[2]["interval"])

    async with house.connect("CALM") as calm:
        await house.eventually(lambda: house.is_connected("CALM"))
        served = asyncio.Event()
        storm = [asyncio.create_task(comes_back(number, served)) for number in range(STORM)]
        await asyncio.sleep(0)
        asked = asyncio.create_task(commands.issue(house.context, "CALM", ClearCache()))
        call = json.loads(await asyncio.wait_for(calm.recv(), 30))
        await calm.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        command = await commands.wait(house.context, (await asked).id, 30)
        assert command.state is CommandState.ACCEPTED
        served.set()
        intervals = await asyncio.gather(*storm)
    assert len(set(intervals)) > STORM // 4, "they don't go on in step"
    assert all(240 <= interval <= 360 for interval in intervals)


def test_an_interval_is_a_stations_own_and_stays() -> None:
    assert provisioning._spread(300, 0.0, "CS1") == 300
    assert provisioning._spread(300, 0.1, "CS1") == provisioning._spread(300, 0.1, "CS1")
    assert provisioning._spread(1, 0.9, "CS1") >= 1


@pytest.mark.parametrize("jitter", [-0.1, 1.0, float("nan")])
def test_a_jitter_that_cannot_be_is_refused(jitter: float) -> None:
    with pytest.raises(ValueError, match=r"^interval_jitter: "):
        CsmsSettings(interval_jitter=jitter)
