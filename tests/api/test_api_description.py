"""The description is kept: whatever is asked that fits it, or doesn't, is answered as it says, and never by a 500."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

LASTING = {"stream_events"}
"""Answers that never end."""
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def leaves(error: BaseException) -> list[BaseException]:
    """What is inside of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def walk(url: str, headers: dict[str, str], examples: int) -> list[str]:
    """Every operation, with things that fit its description; gives what was wrong."""
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", headers=headers)
    wrong: list[str] = []
    for result in schema.get_all_operations():
        operation = cast("Any", result).ok()
        name = operation.definition.raw["operationId"]
        if name in LASTING:
            continue

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call(base_url=url, headers=headers, timeout=30)
            case.validate_response(response, headers=headers, checks=CHECKS)

        try:
            ask()
        except (BaseExceptionGroup, Exception) as error:  # noqa: BLE001 - all that is wrong is told at once
            wrong += [f"{name}: {leaf}" for leaf in leaves(error)]
    return wrong


@contextmanager
def csms(database: Path) -> Iterator[tuple[str, str]]:
    """In a process of its own, as chance in this one is the generator's; gives address and key."""
    ports = ("--ocpp-port", "0", "--api-port", "0", "--log-level", "error")
    arguments = [sys.executable, "-m", "forecourt.app.main", "csms", "--database", f"sqlite:///{database}", *ports]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        try:
            yield said[1].split()[-1].removesuffix("/api/v1"), said[2].split()[-1]
        finally:
            process.terminate()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_everything_is_answered_as_described(tmp_path: Path) -> None:
    with csms(tmp_path / "books.db") as (url, key):
        headers = {"authorization": f"Bearer {key}"}
        httpx.post(f"{url}/api/v1/stations", json={"id": "CS-1"}, headers=headers).raise_for_status()
        wrong = walk(url, headers, 25)
    assert wrong == [], "\n\n".join(wrong)
