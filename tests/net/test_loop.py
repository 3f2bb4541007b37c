"""The loop that `run` chooses."""

import asyncio
import builtins
import sys
from typing import Any

import pytest

from forecourt.net.loop import run


async def loop_module() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
def test_uvloop_where_it_exists() -> None:
    assert run(loop_module()).startswith("uvloop")


def test_asyncio_where_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_uvloop(name: str, *rest: Any) -> Any:
        if name == "uvloop":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_uvloop)
    assert run(loop_module()).startswith("asyncio")


def test_errors_come_through() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        run(fail())
