"""The local controller on real sockets while its CSMS is away, with a password of its own, and beside a second CSMS."""

import asyncio
import base64
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websockets
from tests.net.peers import until, within
from tests.net.test_controller_session import BOOT, SETTINGS, Upstream, controller, dial, goodbye, refused, upstream

from forecourt.controller.settings import OfflineSettings
from forecourt.controller.transaction_ids import FIRST
from forecourt.net.controller_listeners import ListeningUpstream
from forecourt.rpc.relay_events import Side
from forecourt.store.controller_journal import ControllerJournal
from forecourt.store.journal import MemoryJournal

ACCEPTED = '{"status":"Accepted","currentTime":"2026-03-02T12:00:00Z","interval":300}'


def login(password: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": "Basic " + base64.b64encode(f"CP1:{password}".encode()).decode()}}


def login_of(connection: Any) -> bytes:
    return base64.b64decode(connection.request.headers["Authorization"].split()[1])


async def answer_of(socket: Any, message_id: str) -> Any:
    """The answer to a call; what the controller asks meanwhile is accepted."""
    while True:
        message = json.loads(await within(socket.recv()))
        if message[0] == 2:
            await socket.send(json.dumps([3, message[1], {"status": "Accepted"}]))
        elif message[1] == message_id:
            return message[2]


async def call_of(socket: Any, *actions: str) -> Any:
    """The next call of one of these actions at the CSMS; others, such as heartbeats, get an empty answer."""
    while True:
        message = json.loads(await within(socket.recv()))
        if message[0] == 2 and message[2] in actions:
            return message
        if message[0] == 2:
            await socket.send(json.dumps([3, message[1], {}]))


async def booted(below: Any, above: Any) -> None:
    await below.send(BOOT)
    _, message_id, _, _ = await call_of(above, "BootNotification")
    await above.send(f'[3,"{message_id}",{ACCEPTED}]')
    assert (await answer_of(below, "b"))["status"] == "Accepted"


async def test_a_station_stays_when_its_csms_is_lost_and_the_csms_hears_of_it_later() -> None:
    async with upstream() as central:
        port = central.port
        async with controller(port) as server, dial(server.port) as below:
            above = await central.newest()
            await booted(below, above)
            await below.send('[2,"a","Authorize",{"idTag":"CARD"}]')
            _, message_id, _, _ = await call_of(above, "Authorize")
            await above.send(f'[3,"{message_id}",{{"idTagInfo":{{"status":"Accepted"}}}}]')
            assert (await answer_of(below, "a"))["idTagInfo"]["status"] == "Accepted"
            await above.close()
            await until(lambda: server.connected == ("CP1",))
            start = {"connectorId": 1, "idTag": "CARD", "meterStart": 5, "timestamp": "2026-03-02T12:01:00Z"}
            await below.send(json.dumps([2, "t", "StartTransaction", start]))
            # The first answer may still come from a connection that is being made again.
            told = asyncio.create_task(answer_of(below, "t"))
            above = await central.newest()
            message = await call_of(above, "StartTransaction")
            assert message[3] == start
            await above.send(json.dumps([3, message[1], {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}]))
            own_id = (await told)["transactionId"]
            stop = {"transactionId": own_id, "meterStop": 9, "timestamp": "2026-03-02T12:05:00Z"}
            await below.send(json.dumps([2, "e", "StopTransaction", stop]))
            message = await call_of(above, "StopTransaction")
            assert message[3] == stop | {"transactionId": 7}


async def test_without_a_csms_a_known_station_is_received_and_a_stranger_is_pending() -> None:
    journal = MemoryJournal()
    async with upstream() as central:
        port = central.port
        async with controller(port, journal=journal) as server, dial(server.port, **login("secret")) as below:
            await booted(below, await central.newest())
    async with controller(port, journal=journal) as server:
        assert (await refused(server.port, **login("guessed"))).status_code == 401
        assert (await refused(server.port)).status_code == 401
        async with dial(server.port, **login("secret")) as below, dial(server.port, "CP2") as stranger:
            await below.send(BOOT)
            assert (await answer_of(below, "b"))["status"] == "Accepted"
            await stranger.send(BOOT)
            assert (await answer_of(stranger, "b"))["status"] == "Pending"
            async with upstream(port) as central:
                connections = {}
                for _ in range(2):
                    connection = await central.newest()
                    connections[connection.request.path.rpartition("/")[2]] = connection
                assert login_of(connections["CP1"]) == b"CP1:secret"
                assert (await call_of(connections["CP1"], "BootNotification"))[3] == json.loads(BOOT)[3]
    assert b"secret" not in b"".join(value for kept in journal.load().values() for value in kept.values())


async def test_a_station_that_comes_back_within_the_grace_finds_its_upstream_connection() -> None:
    settings = msgspec.structs.replace(SETTINGS, offline=OfflineSettings(grace_s=30.0))
    async with upstream() as central, controller(central.port, settings) as server:
        async with dial(server.port) as below:
            above = await central.newest()
            await booted(below, above)
            below.transport.abort()
        await until(
            lambda: not server._pairs["CP1"].connections.keys() >= set(server._pairs["CP1"].connections) or True
        )
        await asyncio.sleep(0.1)
        async with dial(server.port) as below:
            await below.send('[2,"d","DataTransfer",{"vendorId":"v"}]')
            assert (await call_of(above, "DataTransfer"))[1] == "d"
            assert len(central.requests) == 1
        await until(lambda: Side.STATION not in server._pairs["CP1"].connections)
        async with dial(server.port, **login("another")):
            assert len(central.requests) == 2, "other credentials are asked about"


async def test_a_csms_that_refuses_a_station_is_heard_also_under_autonomy() -> None:
    async with upstream() as central, controller(central.port) as server:
        central.status = 401
        assert (await refused(server.port)).status_code == 401


async def test_strict_tells_a_station_to_fall_back_before_it_is_cut_off() -> None:
    strict = msgspec.structs.replace(SETTINGS, offline=OfflineSettings(mode="strict"))
    async with upstream() as central, controller(central.port, strict) as server, dial(server.port) as below:
        above = await central.newest()
        await booted(below, above)
        start = {"connectorId": 1, "idTag": "CARD", "meterStart": 5, "timestamp": "2026-03-02T12:01:00Z"}
        await below.send(json.dumps([2, "t", "StartTransaction", start]))
        message = await call_of(above, "StartTransaction")
        await above.send(json.dumps([3, message[1], {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}]))
        limits: list[tuple[str, float]] = []
        with suppress(websockets.ConnectionClosed):
            while True:
                message = json.loads(await within(below.recv()))
                if message[0] != 2:
                    continue
                await below.send(json.dumps([3, message[1], {"status": "Accepted"}]))
                profile = message[3]["csChargingProfiles"]
                limit = profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
                limits.append((profile["chargingProfilePurpose"], limit))
                if limits[-1] == ("TxProfile", 32.0):
                    await above.close()
        assert limits[-1] == ("TxProfile", 0.0)
        assert below.close_code == 1013


# The password of the upstream link


async def set_key(above: Any, value: str, number: int) -> str:
    await above.send(json.dumps([2, f"k{number}", "ChangeConfiguration", {"key": "AuthorizationKey", "value": value}]))
    return str((await answer_of(above, f"k{number}"))["status"])


async def test_the_csms_sets_the_password_of_the_upstream_link() -> None:
    journal = MemoryJournal()
    new = "a" * 20
    async with upstream() as central:
        async with (
            controller(central.port, passwords={"CP1": "of the site file"}, journal=journal) as server,
            dial(server.port) as below,
        ):
            above = await central.newest()
            assert login_of(above) == b"CP1:of the site file"
            assert await set_key(above, "too short", 1) == "Rejected"
            assert await set_key(above, new, 2) == "Accepted"
            again = await central.newest()
            assert login_of(again) == f"CP1:{new}".encode()
            assert await goodbye(above) == 1000
            await below.send('[2,"d","DataTransfer",{"vendorId":"v"}]')
            assert (await call_of(again, "DataTransfer"))[1] == "d", "the station noticed nothing"
        async with (
            controller(central.port, passwords={"CP1": "of the site file"}, journal=journal) as server,
            dial(server.port),
        ):
            assert login_of(await central.newest()) == f"CP1:{new}".encode()


class OnlyTheOld(Upstream):
    """A central system that has said a new password and does not take it."""

    def answer(self, connection: Any, request: Any) -> Any:
        given = base64.b64decode(request.headers["Authorization"].split()[1])
        self.status = None if given == b"CP1:of the site file" else 401
        return super().answer(connection, request)


async def test_the_old_password_is_kept_until_the_new_one_has_worked() -> None:
    async with (
        upstream(kind=OnlyTheOld) as central,
        controller(central.port, passwords={"CP1": "of the site file"}) as server,
        dial(server.port),
    ):
        above = await central.newest()
        assert await set_key(above, "b" * 20, 1) == "Accepted"
        again = await central.newest()
        assert login_of(again) == b"CP1:of the site file"
        assert server.endpoint.upstream_passwords("CP1") == ("b" * 20, "of the site file")


async def test_where_the_station_has_the_password_the_key_is_the_station_s() -> None:
    async with upstream() as central, controller(central.port) as server, dial(server.port, **login("x")) as below:
        above = await central.newest()
        await above.send('[2,"k","ChangeConfiguration",{"key":"AuthorizationKey","value":"aaaaaaaaaaaaaaaaaaaa"}]')
        assert json.loads(await within(below.recv()))[2] == "ChangeConfiguration"


# Upstreams that only listen


async def test_a_second_csms_hears_everything_and_decides_nothing() -> None:
    async with upstream() as central, upstream() as second:
        listening = ListeningUpstream(url=f"ws://127.0.0.1:{second.port}/copy", passwords={"CP1": "of its own"})
        async with (
            controller(central.port, listeners=[listening]) as server,
            dial(server.port, **login("secret")) as below,
        ):
            above, beside = await central.newest(), await second.newest()
            assert beside.request.path == "/copy/CP1"
            assert login_of(beside) == b"CP1:of its own"
            await booted(below, above)
            assert await within(beside.recv()) == BOOT
            await beside.send('[3,"b",{"status":"Rejected","currentTime":"2026-03-02T12:00:00Z","interval":1}]')
            said = '[2,"d" , "DataTransfer",{ "vendorId":"v"}]'
            await below.send(said)
            assert (await call_of(above, "DataTransfer"))[1] == "d"
            assert await within(beside.recv()) == said
            await above.send('[3,"d",{"status":"Accepted"}]')
            assert await answer_of(below, "d") == {"status": "Accepted"}
            await beside.send('[3,"d",{"status":"Rejected"}]')
            await beside.send('[2,"x","Reset",{"type":"Hard"}]')
            refusal = json.loads(await within(beside.recv()))
            assert refusal[:3] == [4, "x", "NotSupported"]
            await beside.close()
            assert json.loads(await within((await second.newest()).recv()))[2] == "BootNotification", "told again"
            await below.send('[2,"h","Heartbeat",{}]')
            assert "currentTime" in await answer_of(below, "h")


async def test_a_second_csms_that_is_away_disturbs_nobody() -> None:
    async with upstream() as central:
        listening = ListeningUpstream(url="ws://127.0.0.1:9/copy")
        async with controller(central.port, listeners=[listening]) as server, dial(server.port) as below:
            await booted(below, await central.newest())


# The journal


class Full(MemoryJournal):
    """A disk that takes no more from some time on."""

    full = False

    def commit(self, changes: Any) -> None:
        if self.full:
            raise OSError("no space left on device")
        super().commit(changes)


async def test_a_full_disk_ends_it_and_nothing_of_that_turn_is_said() -> None:
    journal = Full()
    async with upstream() as central, controller(central.port, journal=journal) as server, dial(server.port) as below:
        above = await central.newest()
        journal.full = True
        await below.send(BOOT)
        await within(server.failed.wait())
        with pytest.raises(websockets.ConnectionClosed):
            await within(above.recv())
        assert above.close_code == 1011
        assert await goodbye(below) == 1011


def test_one_controller_at_a_time(tmp_path: Path) -> None:
    first = ControllerJournal(tmp_path)
    with pytest.raises(OSError, match="another controller"):
        ControllerJournal(tmp_path)
    first.close()
    ControllerJournal(tmp_path).close()
    assert (tmp_path / "controller.sqlite").stat().st_mode & 0o077 == 0


SITE = """
state_dir = "state"
[site.grid]
name = "grid"
rating_a = 63
[[site.evses]]
station_id = "CP1"
rotation = "L1 L2 L3"
maximum_a = 32
[upstream]
url = "ws://127.0.0.1:{port}/ocpp"
[ocpp]
port = {own}
"""


@asynccontextmanager
async def process(folder: Path, port: int) -> AsyncIterator[Callable[[], None]]:
    """A controller as a process; what is given kills it as a power cut would."""
    command = [sys.executable, "-m", "forecourt.app.main", "controller", "--config", str(folder / "site.toml")]
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:  # noqa: ASYNC220

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        def kill() -> None:
            running.send_signal(signal.SIGKILL)
            running.wait(10)

        try:
            for _ in range(600):
                if listens():
                    break
                await asyncio.sleep(0.1)
            yield kill
        finally:
            running.kill()


@pytest.mark.slow
async def test_kill_9_loses_no_transaction_and_the_station_need_not_boot(tmp_path: Path, unused_tcp_port: int) -> None:
    start = {"connectorId": 1, "idTag": "CARD", "meterStart": 5, "timestamp": "2026-03-02T12:01:00Z"}
    async with upstream() as central:
        port = central.port
        (tmp_path / "site.toml").write_text(SITE.format(port=port, own=unused_tcp_port))
        async with process(tmp_path, unused_tcp_port) as kill, dial(unused_tcp_port) as below:
            await booted(below, await central.newest())
            kill()
    async with process(tmp_path, unused_tcp_port) as kill, dial(unused_tcp_port) as below:
        await below.send(json.dumps([2, "t", "StartTransaction", start]))
        assert (await answer_of(below, "t"))["transactionId"] == FIRST
        kill()
    async with process(tmp_path, unused_tcp_port), upstream(port) as central, dial(unused_tcp_port):
        message = await call_of(await central.newest(), "StartTransaction", "BootNotification")
        assert message[2:] == ["StartTransaction", start]
