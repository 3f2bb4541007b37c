"""Test cases of the security profiles, on the wire: the password, the server's certificate, the station's own.

Where the profile or the password changes, the station is the one of `forecourt station`, put together as the command
does it.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from ocpp.v16 import call

from forecourt.api.control.frames import FrameHistory
from forecourt.app.station import station_session
from forecourt.app.station_file import BackoffFile, StationFile, simulated_evses
from forecourt.app.station_upkeep import StationUpkeep
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.net.tls import ClientTls, client_context
from forecourt.store.journal import MemoryJournal
from tests.net.authority import Authority
from tests.octt.station.bench import Bench, bench
from tests.octt.station.central import Tool, tool

PASSWORD = "a-key-of-16-or-more"
SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
"""As OpenSSL names them: of the two rows that the test cases know, the one with forward secrecy."""


async def reset_and_booted(run: Bench) -> None:
    """The preparation of all of them, and their steps from the upgrade on."""
    assert (await run.tool.ask(call.Reset("Soft"))).status == "Accepted"
    await run.tool.expect("BootNotification")
    await run.statuses("Available")
    assert len(run.tool.connections) == 2


def server(authority: Authority, suite: str, kind: str = "ec", *, asks: bool = False) -> ssl.SSLContext:
    """A server of TLS 1.2 that can do one suite only."""
    pair = authority.issue("localhost", names=("localhost",), kind=kind)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    context.load_cert_chain(pair.certificate, pair.key)
    if asks:
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def basic(header: str | None) -> tuple[str, str]:
    assert header is not None
    scheme, _, encoded = header.partition(" ")
    assert scheme == "Basic"
    user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    return user, password


async def test_tc_085_cs_basic_authentication() -> None:
    access = {"security_profile": 1, "basic_auth": ("CP1", PASSWORD)}
    async with bench(access=access) as run:
        await reset_and_booted(run)
        for connection in run.tool.connections:
            assert basic(connection.authorization) == ("CP1", PASSWORD)
            assert connection.tls is None


@pytest.mark.parametrize("suite", SUITES)
async def test_tc_086_cs_server_side_certificate(tmp_path: Path, suite: str) -> None:
    authority = Authority(tmp_path)
    trusts = client_context(ClientTls(ca=authority.file))
    access: dict[str, Any] = {"security_profile": 2, "basic_auth": ("CP1", PASSWORD), "tls": trusts}
    async with bench(tls=server(authority, suite), access=access) as run:
        await reset_and_booted(run)
        for connection in run.tool.connections:
            assert connection.tls is not None
            assert (connection.tls.version(), connection.tls.cipher()[0]) == ("TLSv1.2", suite)  # type: ignore[index]
            assert basic(connection.authorization) == ("CP1", PASSWORD)


async def test_tc_086_cs_a_server_that_nobody_vouches_for_is_left(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    access: dict[str, Any] = {
        "security_profile": 2,
        "basic_auth": ("CP1", PASSWORD),
        "tls": client_context(ClientTls(ca=other.file)),
    }
    async with bench(tls=server(authority, SUITES[0]), access=access, booted=False) as run:
        await run.tool.quiet("BootNotification")
        assert run.tool.connections == []


@pytest.mark.parametrize("suite", SUITES)
async def test_tc_087_cs_client_side_certificate(tmp_path: Path, suite: str) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("CP1", client=True)
    trusts = client_context(ClientTls(ca=authority.file, certificate=own.certificate, key=own.key))
    access = {"security_profile": 3, "tls": trusts}
    async with bench(tls=server(authority, suite, asks=True), access=access) as run:
        await reset_and_booted(run)
        for connection in run.tool.connections:
            assert connection.tls is not None
            shown = connection.tls.getpeercert()
            assert shown is not None
            subject = dict(pair for part in shown["subject"] for pair in part)  # type: ignore[misc]
            assert subject["commonName"] == "CP1"
            assert connection.authorization is None


@asynccontextmanager
async def commanded(folder: Path, profile: int) -> AsyncIterator[Tool]:
    """A station as the command makes it, with a tool that has an address with TLS and one without."""
    authority = Authority(folder)
    own = authority.issue("CP1", client=True)
    context = server(authority, SUITES[0])
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_OPTIONAL
    spoken: Any = ["ocpp1.6"]
    async with (
        tool() as opened,
        websockets.serve(opened.serve, "127.0.0.1", 0, subprotocols=spoken, ssl=context) as secure,
    ):
        port = secure.sockets[0].getsockname()[1]
        settings = StationFile(
            id="CP1",
            csms=(f"wss://localhost:{port}/ocpp", f"ws://127.0.0.1:{opened.port}/ocpp"),
            password=PASSWORD,
            security_profile=profile,
            tls=ClientTls(ca=authority.file, certificate=own.certificate, key=own.key),
            backoff=BackoffFile(wait_minimum_s=0.05, random_range_s=0.0, repeat_times=0),
        )
        frames = FrameHistory()
        upkeep = StationUpkeep(settings, folder / "state", frames)
        hardware = SimulatedHardware(simulated_evses(settings))
        session = station_session(settings, MemoryJournal(), hardware, frames, upkeep)
        running = asyncio.create_task(session.run())
        try:
            await opened.expect("BootNotification")
            await opened.expect("StatusNotification", connector_id=1, status="Available")
            await opened.expect("SecurityEventNotification")  # while its answer is under way, the tool reads no reply
            await asyncio.sleep(0.1)
            yield opened
        finally:
            await session.stop()
            await running
            await upkeep.system.close()


async def changed(opened: Tool, key: str, value: str) -> str:
    return str((await opened.ask(call.ChangeConfiguration(key, value))).status)


async def connected_again(opened: Tool) -> None:
    await opened.until(lambda: len(opened.connections) >= 2)


async def test_tc_073_cs_another_password(tmp_path: Path) -> None:
    async with commanded(tmp_path, 1) as opened:
        assert basic(opened.connections[0].authorization) == ("CP1", PASSWORD)
        assert await changed(opened, "AuthorizationKey", b"OCA_OCTT_admin_test".hex().upper()) == "Accepted"
        await connected_again(opened)
        assert basic(opened.connections[-1].authorization) == ("CP1", "OCA_OCTT_admin_test")


@pytest.mark.parametrize("profile", [1, 2])
async def test_tc_083_cs_upgrade_security_profile(tmp_path: Path, profile: int) -> None:
    async with commanded(tmp_path, profile) as opened:
        assert await changed(opened, "SecurityProfile", str(profile + 1)) == "Accepted"
        await connected_again(opened)
        tls, authorization = opened.connections[-1].tls, opened.connections[-1].authorization
        assert tls is not None
        assert (tls.getpeercert() is not None and tls.getpeercert() != {}) is (profile == 2)
        assert (authorization is None) is (profile == 2)
        assert (await opened.ask(call.GetConfiguration(["SecurityProfile"]))).configuration_key[0]["value"] == str(
            profile + 1
        )


@pytest.mark.parametrize("profile", [2, 3])
async def test_tc_084_cs_downgrade_security_profile_rejected(tmp_path: Path, profile: int) -> None:
    async with commanded(tmp_path, profile) as opened:
        assert await changed(opened, "SecurityProfile", str(profile - 1)) == "Rejected"
        await opened.quiet("BootNotification")
        assert len(opened.connections) == 1
