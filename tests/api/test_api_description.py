"""The description is kept: whatever is asked that fits it, or doesn't, is answered as it says, and never by a 500.

The walk goes through books that are lived in: a station that answers everything, and one of each thing, by their real
names in half of the questions. What nobody may ask without credentials is asked without any.
"""

import gc
import json
import random
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from websockets import Subprotocol
from websockets.sync.client import ClientConnection, connect

from tests import databases

LASTING = {"stream_events"}
"""Answers that never end."""
LAST = {"change_password", "sign_out", "revoke_api_key", "remove_user", "update_user", "remove_station"}
"""What takes away what others need, or the right to ask."""
OPEN = {"healthz", "readyz", "ways_in", "sign_in", "sign_out", "begin_oidc", "finish_oidc", "hear_notice"}
"""Answered to anybody, besides a driver's page."""
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
ANSWERS: dict[str, Any] = {
    "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]},
    "GetLocalListVersion": {"listVersion": 1},
    "GetDiagnostics": {"fileName": "d.zip"},
    "UpdateFirmware": {},
    "UnlockConnector": {"status": "Unlocked"},
}
"""Of the station; to everything else it says Accepted."""


def leaves(error: BaseException) -> list[BaseException]:
    """What is inside of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


class Station:
    """Says some things, and answers everything until it is closed."""

    def __init__(self, socket: ClientConnection) -> None:
        self._ids = count()
        self._socket = socket
        self._results: dict[str, Any] = {}

    def call(self, action: str, payload: Any) -> Any:
        message_id = f"s{next(self._ids)}"
        self._socket.send(json.dumps([2, message_id, action, payload]))
        while message_id not in self._results:
            self._take(self._socket.recv(timeout=60))
        return self._results.pop(message_id)

    def _take(self, text: str | bytes) -> None:
        frame = json.loads(text)
        if frame[0] == 2:
            self._socket.send(json.dumps([3, frame[1], ANSWERS.get(frame[2], {"status": "Accepted"})]))
        else:
            self._results[frame[1]] = frame[2]

    def serve(self) -> None:
        """For a thread of its own."""
        with suppress(Exception):
            while True:
                self._take(self._socket.recv())


class LivedIn:
    """One of each thing, and what it is called."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = f"{url}/api/v1"
        self._client = httpx.Client(headers=headers, timeout=60)
        self.names: dict[str, list[Any]] = {}
        """By the first part of the path, what stands in its places, in their order."""

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self._client.request(method, f"{self._url}{path}", json=body, **options)
        assert answer.is_success or answer.status_code == 409, (path, answer.text)
        return answer.json() if answer.content else None

    def furnish(self, station: Station) -> None:
        now = datetime.now(UTC)
        location = self.ask("POST", "/locations", {"name": "Yard", "time_zone": "Europe/Berlin"})["id"]
        self.ask("PATCH", "/stations/CS-1", {"location_id": location})
        self.ask("PUT", "/tokens/CARD", {})
        elements = [{"price_components": [{"type": "ENERGY", "price": "0.39", "vat": "19"}]}]
        tariff = self.ask("POST", "/tariffs", {"currency": "EUR", "elements": elements})["id"]
        assignment = self.ask("POST", f"/tariffs/{tariff}/assignments", {"scope": "organisation"})["number"]
        station.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        for hours in (5, 1):
            begin = (now - timedelta(hours=hours)).isoformat()
            start = {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": begin}
            number = station.call("StartTransaction", start)["transactionId"]
            values = [{"timestamp": begin, "sampledValue": [{"value": "5"}]}]
            station.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})
            if hours == 5:
                end = (now - timedelta(hours=3)).isoformat()
                station.call("StopTransaction", {"transactionId": number, "meterStop": 9000, "timestamp": end})
        station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        threading.Thread(target=station.serve, daemon=True).start()

        wait = {"headers": {"prefer": "wait=20"}}
        later = (now + timedelta(hours=9)).isoformat()
        body: dict[str, Any] = {"station_id": "CS-1", "id_token": {"value": "CARD"}, "expires_at": later, "evse_id": 1}
        reservation = self.ask("POST", "/reservations", body, **wait)["reservation"]["number"]
        schedule = {"rate_unit": "A", "periods": [{"start_period_s": 0, "rate_limit": 9}]}
        profile = {
            "id": 7,
            "stack_level": 0,
            "purpose": "TxDefaultProfile",
            "kind": "Relative",
            "schedules": [schedule],
        }
        self.ask("POST", "/charging-profiles", {"station_id": "CS-1", "evse_id": 1, "profile": profile}, **wait)
        stored = self.ask("POST", "/charging-profiles/stored", {"name": "nine", "profile": profile})["number"]
        body = {"station_id": "CS-1", "evse_id": 1, "stored_number": stored}
        self.ask("POST", "/charging-profiles/assignments", body)
        image = self.ask("POST", "/firmware-images?name=fw.bin", content=b"firmware")["number"]
        firmware = self.ask("POST", "/firmware-jobs", {"station_id": "CS-1", "file_number": image})["number"]
        log = self.ask("POST", "/log-jobs", {"station_id": "CS-1"})["number"]
        certificate = self.ask("POST", "/certificates/revocations", {"serial_number": "1f"})["number"]
        self.ask("PUT", "/stations/CS-1/local-list", {"follows_tokens": True})
        self.ask("POST", "/stations/CS-1/certificates", {}, **wait)
        payment = {"provider": "fake", "method": "card", "amount": "5.00", "currency": "EUR", "station_id": "CS-1"}
        paid = self.ask("POST", "/payments", payment)["id"]
        site = self.ask("POST", "/sites", {"name": "Yard", "location_id": location})["id"]
        webhook = self.ask("POST", "/webhooks", {"url": "https://example.com/hook"})["id"]
        user = self.ask("POST", "/users", {"name": "ann", "role": "viewer"})["id"]
        command = self.ask("POST", "/commands/CLEAR_CACHE", {"station_id": "CS-1"}, **wait)["id"]
        selector = {"selector": {"station_ids": ["CS-1"]}, "command": "CLEAR_CACHE", "parameters": {}}
        batch = self.ask("POST", "/commands/batch", selector)["id"]
        page = self.ask("GET", "/stations/CS-1/driver-page")
        self.names = {
            "locations": [location],
            "stations": ["CS-1", 1],
            "tokens": ["CARD"],
            "transactions": [1],
            "tariffs": [tariff, assignment],
            "sessions": [1],
            "cdrs": [1],
            "payments": [paid],
            "charging-profiles": [1],
            "reservations": [reservation],
            "firmware-images": [image],
            "firmware-jobs": [firmware],
            "log-jobs": [log],
            "certificates": [certificate],
            "security-events": [1],
            "sites": [site, "node"],
            "webhooks": [webhook, 1],
            "users": [user],
            "commands": [command],
            "command-batches": [batch],
            "driver": [page["code"]],
        }

    def known(self, path: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters of a path with the names of what is there."""
        known = self.names.get(path.removeprefix("/api/v1/").partition("/")[0], [])
        places = re.findall(r"{(\w+)", path)
        return {**parameters, **dict(zip(places, known, strict=False))}


def walk(url: str, headers: dict[str, str], examples: int, home: LivedIn) -> list[str]:
    """Every operation, with things that fit its description; gives what was wrong."""
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", headers=headers)
    operations = [cast("Any", result).ok() for result in schema.get_all_operations()]
    operations.sort(key=lambda one: (one.definition.raw["operationId"] in LAST, one.method == "delete"))
    wrong: list[str] = []
    for operation in operations:
        name = operation.definition.raw["operationId"]
        if name in LASTING:
            continue
        try:
            asking(operation, examples, url, headers, home)()
        except (BaseExceptionGroup, Exception) as error:  # noqa: BLE001 - all that is wrong is told at once
            wrong += [f"{name}: {leaf}" for leaf in leaves(error)]
    return wrong


def asking(operation: Any, examples: int, url: str, headers: dict[str, str], home: LivedIn) -> Callable[[], None]:
    """A test of one operation."""
    chance = random.Random(operation.definition.raw["operationId"])

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
        if chance.random() < 0.6:
            case.path_parameters = home.known(case.path, dict(case.path_parameters or {}))
            if isinstance(case.body, dict) and "station_id" in case.body:
                case.body["station_id"] = "CS-1"
            if case.query and "station_id" in case.query:
                case.query["station_id"] = "CS-1"
        response = case.call(base_url=url, headers=headers, timeout=60)
        case.validate_response(response, headers=headers, checks=CHECKS)

    return cast("Callable[[], None]", ask)


def opened(url: str, home: LivedIn) -> list[str]:
    """What answers to who shows nothing, and mustn't."""
    description = httpx.get(f"{url}/api/v1/openapi.json", timeout=60).json()
    found = []
    for path, operations in description["paths"].items():
        given = dict.fromkeys(re.findall(r"{(\w+)", path), "1")
        place = path.format(**{name: str(value) for name, value in home.known(path, given).items()})
        for method, operation in operations.items():
            name = operation["operationId"]
            if name in OPEN or path.startswith("/api/v1/driver/"):
                continue
            for shown in ({}, {"authorization": "Bearer fck_0_x"}, {"cookie": "forecourt=x; forecourt_session=y"}):
                body: dict[str, str] | None = {} if method in {"post", "put", "patch"} else None
                answer = httpx.request(method, f"{url}{place}", headers=shown, json=body, timeout=60)
                if answer.status_code != 401:
                    found.append(f"{name} {shown}: {answer.status_code}")
    return found


@contextmanager
def csms(folder: Path) -> Iterator[tuple[str, str, str]]:
    """In a process of its own, as chance in this one is the generator's; gives address, key, and where stations go."""
    configuration = folder / "csms.toml"
    parts = ('[api]\ndriver_secret = "0123456789abcdef0123456789abcdef"', "[payments]\nfake = true", "[resources]")
    configuration.write_text("\n".join((*parts, f'files = "{folder / "files"}"\n')))
    ports = ("--ocpp-port", "0", "--api-port", "0", "--log-level", "error")
    database = databases.url(folder / "books.db")
    arguments = ["csms", "--config", str(configuration), "--database", database, *ports]
    command = [sys.executable, "-m", "forecourt.app.main", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(3)]
        try:
            stations = said[0].split("connect to ")[1].split("<")[0]
            yield said[1].split()[-1].removesuffix("/api/v1"), said[2].split()[-1], stations
        finally:
            process.terminate()


def all_that_is_wrong(folder: Path) -> list[str]:
    """What is open, or isn't answered as described."""
    with csms(folder) as (url, key, stations):
        headers = {"authorization": f"Bearer {key}"}
        httpx.post(f"{url}/api/v1/stations", json={"id": "CS-1"}, headers=headers, timeout=60).raise_for_status()
        # Without pings: they draw lots in this process, and chance is the generator's here.
        protocols = [Subprotocol("ocpp1.6")]
        with connect(f"{stations}CS-1", subprotocols=protocols, ping_interval=None) as socket:
            home = LivedIn(url, headers)
            home.furnish(Station(socket))
            return opened(url, home) or walk(url, headers, 25, home)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_everything_is_answered_as_described(tmp_path: Path) -> None:
    wrong = all_that_is_wrong(tmp_path)
    with warnings.catch_warnings():
        # One of the clients here leaves a socket to the collector. The CSMS is in another process.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert wrong == [], "\n\n".join(wrong)
