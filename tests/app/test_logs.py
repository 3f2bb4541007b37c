"""Log lines: for a person or for a machine, and never with what must stay secret."""

import json
import logging
from collections.abc import Iterator

import pytest

from forecourt.app.logs import LogFormat, LogLevel, set_up


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def fail_with_a_secret() -> None:
    password = "tell-nobody"
    raise ValueError(f"{len(password)} characters are wrong")


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_traceback_shows_no_local_variables(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(log_format, LogLevel.INFO)
    try:
        fail_with_a_secret()
    except ValueError:
        logging.getLogger("test").exception("it went wrong")
    printed = capsys.readouterr().err
    assert "11 characters are wrong" in printed
    assert "tell-nobody" not in printed.replace('password = "tell-nobody"', "")
    assert "locals" not in printed


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(LogFormat.JSON, LogLevel.INFO)
    logging.getLogger("forecourt.test").warning("%s: odd", "CP-1")
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "CP-1: odd"
    assert line["level"] == "warning"
    assert line["logger"] == "forecourt.test"
    assert line["time"].endswith("Z")


def test_what_is_not_worth_a_line_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(LogFormat.CONSOLE, LogLevel.WARNING)
    logging.getLogger("forecourt.test").info("nothing new")
    assert capsys.readouterr().err == ""


def test_a_line_about_a_station_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(LogFormat.JSON, LogLevel.INFO)
    about = {"station": "CS1", "message_id": "m7", "password": "secret"}
    logging.getLogger("forecourt.x").info("it happened", extra=about)
    line = json.loads(capsys.readouterr().err)
    assert (line["station"], line["message_id"]) == ("CS1", "m7")
    assert "password" not in line
