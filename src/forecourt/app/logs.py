"""Logging for a person or for a machine: one line each, to standard error.

Guarantees
* `console` is for reading, `json` is one object a line with `time`, `level`, `logger`, `event` and what else is known.
* A line about a station has `station`, one about a message `message_id` as well.
* Secrets never get here: whoever logs leaves them out; nothing logs headers, bodies or configuration.
"""

import logging
import sys
from enum import StrEnum
from typing import Any, Final

import structlog

_ALSO: Final = ("station", "connection", "message_id", "address")
"""What else a line may bear: names and ids only."""


class LogFormat(StrEnum):
    """How log lines look."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least that is worth a line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def set_up(log_format: LogFormat, level: LogLevel) -> None:
    """Send all log records to standard error in `log_format`."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if log_format is LogFormat.JSON:  # a person reads them in the line itself
        shared.append(structlog.stdlib.ExtraAdder(allow=_ALSO))
    renderer: list[Any]
    if log_format is LogFormat.JSON:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: the others show local variables, and one of them may be a password.
        plain = structlog.dev.plain_traceback
        colours = sys.stderr.isatty()
        renderer = [structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="time", exception_formatter=plain)]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.value.upper())
    # These say at INFO what is of interest to their own developers only.
    for quiet in ("httpx", "httpcore", "asyncio", "alembic"):
        logging.getLogger(quiet).setLevel(max(logging.WARNING, root.level))
