"""Both event loops, and servers that are gone when the test is."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.net.peers import House, Listen


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Everything in this room runs on asyncio's own loop and, where it exists, on uvloop."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if sys.platform != "win32":
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Start a server; keywords as of `serve`."""
    houses: list[House] = []

    async def start(**options: Any) -> House:
        house = House()
        await house.open(**options)
        houses.append(house)
        return house

    yield start
    for house in houses:
        await house.server.close(grace_s=0.5)
        assert house.server.connection_count == 0
        assert house.server.handshake_count == 0
