"""The command line: its help teaches, its errors name what is wrong, its exit codes mean what they say."""

import json
import logging
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forecourt.app.main import app

SITE = """
[site.grid]
name = "grid"
rating_a = 63

[[site.evses]]
station_id = "CP1"
rotation = "L1 L2 L3"
"""


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sends all logs of its process to its own standard error."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def run(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and everything said."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    return result.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", result.output)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ["csms", "controller", "station", "demo", "--version", "Exit codes"]),
        (("csms",), ["--ocpp-port", "--api-port", "--database", "--config", "ws://HOST:9000/ocpp/STATION-ID", "9000",
                     "8080", "API key", "unknown_stations", "--log"]),
        (("controller",), ["--ocpp-port", "--upstream", "--config", "ws://HOST:9100/STATION-ID", "charging profiles",
                           "fuse", "--log"]),
        (("station",), ["--csms", "--id", "--protocol", "ocpp1.6", "ocpp2.0.1", "--state-dir", "--charge", "--log"]),
        (("demo",), ["--speed", "--duration", "--summary", "--ocpp-port", "--csms-port", "--api-port", "--database",
                     "--start", "--day", "recorded day", "--log"]),
    ],
)  # fmt: skip
def test_help_teaches(command: tuple[str, ...], words: list[str]) -> None:
    code, said = run(*command, "--help")
    assert code == 0
    assert [word for word in words if word not in said] == []


def test_without_a_command_there_is_help() -> None:
    code, said = run()
    assert code == 2
    assert "csms" in said


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version") == (0, f"forecourt {version('forecourt')}\n")


@pytest.mark.parametrize(
    ("command", "text", "complaint"),
    [
        ("csms", "[ocpp]\nport = 99999", "ocpp.port: expected a whole number <= 65535"),
        ("csms", '[csms]\nunknown_stations = "maybe"', "csms.unknown_stations: "),
        ("csms", "[csms]\ncommand_queue = 0", "command_queue: must be more than 0"),
        ("csms", "[csms]\ncomand_queue = 5", 'csms.comand_queue: no such field; did you mean "command_queue"?'),
        ("csms", "[api]\nhost = '0.0.0.0'\nopen_access = true", "open_access: needs a loopback address"),
        ("csms", "database = ", "not TOML"),
        ("station", "[[evses]]\nmaximum_a = -1", "maximum_a: expected more than 0"),
        ("station", 'protocol = "ocpp0.9"', 'protocol: expected one of ocpp2.0.1, ocpp1.6, got "ocpp0.9"'),
        ("station", 'csms = "http://x"', "csms: "),
        ("station", '[variables]\nnonsense = "1"', "nonsense"),
        ("controller", "", "site: is missing"),
        ("controller", SITE.replace("rating_a = 63", 'rating_a = "x"'), "site.grid.rating_a: expected a number"),
        ("controller", SITE.replace("L3", "L4"), "site.evses[0].rotation: expected lines"),
        ("controller", SITE.replace("rotation", "rotatoin"), 'rotatoin: no such field; did you mean "rotation"?'),
        ("controller", SITE + 'circuit = "garage"', "site.evses[0].circuit"),
        ("controller", SITE.replace("63", "10") + "fallback_a = 32", "the fallbacks don't fit"),
        ("controller", SITE, "upstream.url: is missing"),
    ],
)
def test_a_wrong_configuration_names_the_field_and_starts_nothing(
    tmp_path: Path, command: str, text: str, complaint: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    code, said = run(command, "--config", path)
    assert code == 2, said
    assert complaint in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["csms", "controller", "station"])
def test_a_configuration_that_is_not_there_is_said(tmp_path: Path, command: str) -> None:
    code, said = run(command, "--config", tmp_path / "none.toml")
    assert code == 2
    assert "none.toml: No such file" in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("csms", "--ocpp-port", "70000"), "--ocpp-port"),
        (("demo", "--speed", "0"), "--speed"),
        (("demo", "--start", "25:99"), "--start"),
        (("demo", "--day", "1999-01-01"), "--day"),
        (("demo", "--sessions", "none.csv"), "none.csv"),
        (("station", "--protocol", "ocpp9"), "protocol"),
        (("station", "--csms", "http://x"), "csms"),
        (("controller",), "--config"),
        (("nonsense",), "nonsense"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple[str, ...], complaint: str) -> None:
    code, said = run(*arguments)
    assert code == 2, said
    assert complaint in said
    assert "Traceback" not in said


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_that_is_taken_is_something_outside(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    database = ("--database", f"sqlite:///{tmp_path}/csms.sqlite")
    commands: list[tuple[str | Path, ...]]
    with taken_port() as port:
        commands = [
            ("csms", "--ocpp-port", str(port), "--api-port", "0", *database),
            ("csms", "--ocpp-port", "0", "--api-port", str(port), *database),
            ("controller", "--config", site, "--upstream", "ws://127.0.0.1:1/ocpp", "--ocpp-port", str(port)),
            ("demo", "--ocpp-port", str(port), "--csms-port", "0", "--api-port", "0", "--duration", "1"),
        ]
        for command in commands:
            code, said = run(*command)
            assert code == 3, said
            assert str(port) in said
            assert "Traceback" not in said


def test_a_place_that_can_t_be_written_is_something_outside(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = run("station", "--state-dir", tmp_path / "file" / "state")
    assert code == 3, said
    code, said = run("csms", "--database", f"sqlite:///{tmp_path}/file/x/csms.sqlite", "--ocpp-port", "0")
    assert code == 3, said
    assert said.strip() == "forecourt: database: unable to open database file"


def test_a_free_port_is_picked_and_said_and_a_signal_ends_it_well(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/csms.sqlite"
    arguments = ["csms", "--ocpp-port", "0", "--api-port", "0", "--database", database, "--log", "json"]
    with subprocess.Popen(
        [sys.executable, "-m", "forecourt.app.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as csms:
        try:
            assert csms.stdout is not None
            said = csms.stdout.readline().decode()
            port = int(re.search(r"ws://127\.0\.0\.1:(\d+)/ocpp/<station id>", said)[1])  # type: ignore[index]
            assert re.search(r"http://127\.0\.0\.1:\d+/api/v1", csms.stdout.readline().decode())
            assert "API key, shown this once: " in csms.stdout.readline().decode()
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(b"GET /ocpp/nobody HTTP/1.1\r\nHost: x\r\n\r\n")
                assert stranger.recv(100).startswith(b"HTTP/1.1 426 ")
            csms.send_signal(signal.SIGTERM)
            _, errors = csms.communicate(timeout=60)
            assert csms.returncode == 0
            for line in errors.decode().splitlines():
                assert json.loads(line)["level"] in {"debug", "info", "warning"}
        finally:
            csms.kill()
