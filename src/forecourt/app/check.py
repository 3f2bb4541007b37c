"""`forecourt check`: does this charger do what a platform asks of it? Requirement by requirement, with evidence."""

import asyncio
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from forecourt.app.check_bench import Bench, TimeOverError, bench
from forecourt.app.check_findings import Check, Finding, Outcome
from forecourt.app.check_list import CheckList, load_list, shipped
from forecourt.app.check_report import Report, holds, result, show, to_json, to_junit
from forecourt.app.config import ConfigError
from forecourt.app.logs import LogFormat, LogLevel, set_up
from forecourt.app.running import Exit, fail, run_role
from forecourt.net.csms_session import Listener
from forecourt.net.self_made import self_made
from forecourt.net.tls import POLICIES, TlsPolicy


def command(
    profile: Annotated[str, typer.Argument(help=f"The list: {', '.join(shipped())}, or a TOML file.")],
    host: Annotated[str, typer.Option(help="Address that the charger reaches.")] = "0.0.0.0",  # noqa: S104 - it must
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for wss; 0: any that is free.")] = 9443,
    plain_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for ws; 0: any that is free.")] = 9000,
    certificate: Annotated[
        Path | None, typer.Option(help="Our certificate, PEM, with its chain; else one is made that nobody trusts yet.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="A name or address that a certificate of our own making is for.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Write the root of a certificate of our own making here, for the charger.")
    ] = None,
    token: Annotated[str, typer.Option(help="The token that charging is started with.")] = "CHECK",  # noqa: S107 - a card
    password: Annotated[
        str | None,
        typer.Option(envvar="FORECOURT_CHECK_PASSWORD", help="The password that the charger should show."),
    ] = None,
    interval: Annotated[
        float | None, typer.Option(min=1, help="Seconds between meter values, instead of what the list asks for.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="What doesn't apply, such as firmware-by-manufacturer.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which what wasn't seen isn't.")] = 1800.0,
    json: Annotated[Path | None, typer.Option(help="Write the report here, as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the report here, as JUnit.")] = None,
    log_level: Annotated[LogLevel, typer.Option(help="The least that is worth a line.")] = LogLevel.ERROR,
) -> None:
    """Wait for a charger, and check what it does against a platform's list of requirements.

    Point the charger to the address that is printed. Then do what you are told: leave the connector free, plug in a
    car. Exit code 0: it meets the list; 1: it doesn't; 3: no charger came.
    """
    set_up(LogFormat.CONSOLE, log_level)
    try:
        wanted, checks = load_list(profile)
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    if (certificate is None) != (key is None):
        fail("--key: is needed with --certificate, and only then", Exit.USAGE)
    console = Console() if sys.stdout.isatty() else Console(width=120)

    def say(words: str) -> None:
        console.print(words, highlight=False, soft_wrap=True, markup=False)

    async def run() -> None:
        with ExitStack() as closing:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="forecourt-check-")))
            files = (certificate, key)
            if certificate is None:
                made = self_made(folder, name or _names(host))
                files = made[1:]
                if root is not None:
                    root.write_bytes(made[0].read_bytes())
            tls = _context(wanted, files)
            listeners = (Listener(host=host, port=port, tls=tls), Listener(host=host, port=plain_port))
            async with bench(listeners, folder, say, token=token, password=password, hurry_s=interval) as (
                made_bench,
                server,
            ):
                made_bench.suites = wanted.tls_suites
                shown = (name or _names(host))[0]
                say(f"Point the charger to wss://{shown}:{server.ports[0]}/ocpp/<its id>")
                if certificate is None:
                    where = "give --root FILE to get its root" if root is None else f"its root is {root}"
                    say(f"  (the certificate is of our own making: {where}, and install it on the charger)")
                say(f"  or, to see what it does without TLS, to ws://{shown}:{server.ports[1]}/ocpp/<its id>")
                report = await examine(wanted, checks, made_bench, timeout, frozenset(without or ()), say)
        show(report, console)
        if json is not None:
            json.write_bytes(to_json(report))
        if junit is not None:
            junit.write_bytes(to_junit(report))
        if report.station_id is None:
            raise typer.Exit(Exit.UNAVAILABLE)
        if not report.passed:
            raise typer.Exit(Exit.FAILED)

    run_role(run())


async def examine(
    wanted: CheckList,
    checks: Sequence[Check],
    bench: Bench,
    timeout_s: float,
    without: frozenset[str],
    say: Callable[[str], None],
) -> Report:
    """Go through the list, one requirement after the other. When the time is over, what was seen until then counts."""
    began_at = datetime.now(UTC)
    bench.ends_s = asyncio.get_running_loop().time() + timeout_s
    say("Waiting for a charger …")
    station = await bench.until(bench.booted, timeout_s)
    if station is not None:
        say(f"{station.id} is there.")
    results = []
    for number, (requirement, check) in enumerate(zip(wanted.requirement, checks, strict=True), 1):
        began_s = time.monotonic()
        if requirement.skip_with is not None and requirement.skip_with in without:
            finding = Finding(Outcome.NOT_APPLICABLE, f"left out: {requirement.skip_with}")
        elif station is None:
            finding = Finding(Outcome.NOT_SEEN, "no charger came")
        else:
            finding = await _one(check, bench)
        results.append(result(requirement, finding, time.monotonic() - began_s))
        if station is not None:
            say(f"[{number}/{len(checks)}] {finding.outcome.value.replace('_', ' ')}: {requirement.title}"
                f" ({finding.summary})")  # fmt: skip
    identity = None if station is None else station.identity
    return Report(
        title=wanted.title,
        began_at=began_at,
        station_id=None if station is None else station.id,
        vendor_name=None if identity is None else identity.vendor_name,
        model=None if identity is None else identity.model,
        firmware_version=None if identity is None else identity.firmware_version,
        passed=holds(tuple(results)),
        results=tuple(results),
    )


async def _one(check: Check, bench: Bench) -> Finding:
    """A look; another one if the charger restarted in the middle of it."""
    finding = await _look(check, bench)
    if finding.outcome in {Outcome.FAILED, Outcome.NOT_SEEN} and await bench.has_restarted() and not bench.over:
        bench.say("It has restarted in the middle of this: once more.")
        with suppress(TimeOverError):
            await bench.charging()
        finding = await _look(check, bench)
    return finding


async def _look(check: Check, bench: Bench) -> Finding:
    """Also when the time is over: what was seen by then was seen, and what wasn't waited for hasn't failed."""
    bench.begin()
    try:
        finding = await check.look(bench)
    except TimeOverError:
        return Finding(Outcome.NOT_SEEN, "the time is over")
    if bench.cut_short and finding.outcome is Outcome.FAILED:
        return Finding(Outcome.NOT_SEEN, f"the time is over; until then: {finding.summary}", finding.evidence)
    return finding


def _names(host: str) -> list[str]:
    """What a charger may call this machine."""
    if host not in {"0.0.0.0", "::", ""}:  # noqa: S104
        return [host]
    names = [socket.gethostname(), "localhost", "127.0.0.1"]
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        found = []
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    return list(dict.fromkeys([*addresses, *names]))


def _context(wanted: CheckList, files: tuple[Path | None, Path | None]) -> ssl.SSLContext:
    """Whatever OpenSSL can still speak, but nothing newer than the platform, whose suites come first. ConfigError."""
    rules = POLICIES[TlsPolicy.INSPECT]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = rules.minimum_version
    context.set_ciphers(":".join([*wanted.tls_suites, *rules.suites, f"@SECLEVEL={rules.security_level}"]))
    if wanted.tls_newest is not None:
        newest = ssl.TLSVersion.__members__.get(wanted.tls_newest.replace(".", "_"))
        if newest is None:
            raise ConfigError(f'tls_newest: expected such as "TLSv1.2", got "{wanted.tls_newest}"')
        context.maximum_version = newest
    try:
        context.load_cert_chain(str(files[0]), str(files[1]))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--certificate: {files[0]}: {error}") from error
    return context
