"""The event loop: uvloop where it can be imported, asyncio's own everywhere else (there is no uvloop for Windows).

And the collector of garbage beside it: what thousands of connections are made of lives long and has no cycles, and
going through all of it again and again took a fifth of the processor in a storm (docs/performance.md).
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_SELDOM: Final = (20_000, 10, 20)
"""After so many more new objects than gone ones the youngest are looked through, every so often the older ones."""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the fastest loop of this machine; None is asyncio's default."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end and return its result, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def collect_seldom() -> None:
    """For a server that has just been built: what is there stays, and what comes is looked through less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)
