"""A real Modbus server (pymodbus's) and a real broker (Mosquitto)."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from forecourt.meters.settings import MqttBroker


def device(unit_id: int, blocks: Mapping[int, Sequence[int]], *, bits: Sequence[bool] = ()) -> SimDevice:
    """Registers by the address of their first, the same as holding and input registers."""
    data = [SimData(address, values=list(words), datatype=DataType.REGISTERS) for address, words in blocks.items()]
    coils = [SimData(0, values=list(bits) or [False], datatype=DataType.BITS)]
    return SimDevice(id=unit_id, simdata=(coils, list(coils), data, list(data)))


@asynccontextmanager
async def modbus_server(
    *devices: SimDevice, port: int = 0, framer: FramerType = FramerType.SOCKET
) -> AsyncIterator[tuple[ModbusTcpServer, int]]:
    """A running server and its port."""
    server = ModbusTcpServer(list(devices), framer=framer, address=("127.0.0.1", port))
    assert await server.listen()
    try:
        yield server, server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - whatever the condition is about, it has no event
            await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MqttBroker]:
    """A broker of the tests' own, so that nothing is retained from elsewhere."""
    binary = shutil.which("mosquitto") or ("/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None)
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("mosquitto is missing")
        pytest.skip("mosquitto is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path_factory.mktemp("broker") / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen([binary, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.fail("mosquitto doesn't start")
        yield MqttBroker(port=port, reconnect_s=0.1)
    finally:
        process.terminate()
        process.wait(5)
