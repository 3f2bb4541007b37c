"""What all roles do alike: run until told to stop, and end with an exit code that means something."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from enum import IntEnum
from typing import Any, NoReturn

import typer

from forecourt.app.config import ConfigError
from forecourt.net.loop import run
from forecourt.net.tls import FileContext

log = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    FAILED = 1
    """It ran, and could not go on; or what it checked does not hold."""
    USAGE = 2
    """The command or the configuration is wrong; nothing was started."""
    UNAVAILABLE = 3
    """Something outside is missing: a port is taken, a file can't be written, a database can't be opened."""


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """What SIGINT and SIGTERM set from now on: whoever has much to start lets itself be stopped while it does."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
            loop.add_signal_handler(name, stopped.set)
            handled.append(name)
    try:
        yield stopped
    finally:
        for name in handled:
            loop.remove_signal_handler(name)


async def until_stopped(duration_s: float | None = None) -> None:
    """Return at SIGINT or SIGTERM, or after `duration_s`."""
    with stop_signals() as stopped, contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopped.wait(), duration_s)


async def until_stopped_or(over: asyncio.Event) -> None:
    """Return at SIGINT or SIGTERM, or when `over` is set."""
    stopped = asyncio.ensure_future(until_stopped())
    ended = asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopped, ended):
            task.cancel()
        await asyncio.gather(stopped, ended, return_exceptions=True)


@contextlib.contextmanager
def rereading(contexts: Sequence[FileContext]) -> Iterator[None]:
    """Read certificates anew at SIGHUP, where there is such a signal.

    They are followed without it as well; this says at once, in the log, whether the new ones can be used. A service
    without certificates goes on: `systemctl reload` must end nothing. From a terminal that is closed it ends.
    """

    def reread() -> None:
        if not contexts:
            log.info("SIGHUP: there are no certificates to read anew")
        for context in contexts:
            context.reload()

    loop = asyncio.get_running_loop()
    signal_number = getattr(signal, "SIGHUP", None)
    if signal_number is None or (not contexts and sys.stdin.isatty()):
        yield
        return
    loop.add_signal_handler(signal_number, reread)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal_number)


def run_role(main: Coroutine[Any, Any, None]) -> None:
    """Run a role to its end; what goes wrong becomes a line for a person and an exit code."""
    try:
        run(main)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.OK) from None
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    except OSError as error:
        fail(str(error) if error.strerror is None or error.filename is not None else error.strerror, Exit.UNAVAILABLE)


def fail(message: str, code: Exit) -> NoReturn:
    """Say what is wrong and end."""
    print(f"forecourt: {message}", file=sys.stderr)
    raise typer.Exit(code)
