"""The administration of a running controller, over HTTP."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from forecourt.api.site.application import AdministrationServer
from forecourt.api.site.tokens import FILE, Tokens
from forecourt.app.config import ConfigError
from forecourt.app.controller import controller_server
from forecourt.app.main import app
from forecourt.app.site_admin import administered
from forecourt.app.site_file import load_site
from forecourt.app.site_life import living
from forecourt.controller.ledger import Limit
from forecourt.domain.events import ChargingStateReported, Notice, TransactionStarted
from forecourt.domain.site import EvseKey
from forecourt.domain.transaction import ChargingState
from forecourt.net.clock import RealClock
from forecourt.net.controller_session import ControllerServer
from forecourt.store.controller_journal import ControllerJournal

HOUSE = """
[site.grid]
name = "house"
rating_a = 35
background_a = 14
[[site.circuits]]
name = "garage"
rating_a = 32
[[site.evses]]
station_id = "left"
circuit = "garage"
rotation = "L1 L2 L3"
maximum_a = 16
[[site.evses]]
station_id = "right/hand"
circuit = "garage"
rotation = "L1 L2 L3"
maximum_a = 16
[dimming]
signal = { kind = "api" }
[admin]
port = 0
"""


class House:
    """A controller that runs, and somebody who may look after it."""

    def __init__(self, server: ControllerServer, administration: AdministrationServer, token: str) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{administration.port}"
        self.token = token
        self.client = httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {token}"})

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        response = await self.client.request(method, path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    async def evse(self, name: str = "left/1") -> Any:
        return next(one for one in (await self.ask("GET", "/state"))["evses"] if one["id"] == name)

    def charge(self) -> None:
        """A car at the left one, which holds its fallback."""
        endpoint, now = self.server.endpoint, RealClock().now()
        controller = endpoint.controller
        controller.lines[EvseKey("left", 1)].account.base = Limit(0.0, math.inf, bound=False)
        started = TransactionStarted(transaction_id="1", evse_id=1, at=now.at)
        state = ChargingStateReported(transaction_id="1", evse_id=1, at=now.at, charging_state=ChargingState.CHARGING)
        effects = controller.station_ready("left", now)
        endpoint._apply([*effects, *controller.station_said("left", Notice((started, state)), now)], now)


@asynccontextmanager
async def a_house(
    folder: Path, text: str = HOUSE, *, token: str | None = None, upstream: str = "ws://127.0.0.1:1/ocpp"
) -> AsyncIterator[House]:
    path = folder / "site.toml"
    path.write_text(text)
    file, journal, clock = load_site(path), ControllerJournal(folder / "state"), RealClock()
    server = controller_server(file, upstream, journal=journal)
    await server.start(port=0)
    try:
        async with (
            living(file, server, clock, folder) as life,
            administered(file.admin, server, life, clock, folder / "state") as administration,
        ):
            assert administration is not None
            house = House(server, administration, token or Tokens(folder / "state").make("Ada"))
            if token is None:
                administration.tokens._digests.update(Tokens(folder / "state")._digests)
            async with house.client:
                yield house
    finally:
        await server.stop(0.1)
        journal.close()


async def test_the_state_is_the_tree_and_says_why(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        state = await house.ask("GET", "/state")
        assert [(node["name"], node["parent"]) for node in state["nodes"]] == [("house", None), ("garage", "house")]
        line = state["nodes"][0]["phases"][0]
        known = {"phase": "L1", "load_a": 14.0, "background_a": 14.0}
        assert line == {**known, "exposure_a": 46.0, "limit_a": 35.0, "rating_a": 35.0}
        house.charge()
        house.server.tell(lambda controller, _: controller.learned())
        decided = asyncio.Event()
        house.server.endpoint.on_decided.append(lambda told, _: decided.set() if told.decisions else None)
        await asyncio.wait_for(decided.wait(), 30)
        decisions = (await house.ask("GET", "/decisions?evse=left/1"))["items"]
        left = await house.evse()
        assert left["transaction_id"] == "1"
        # The other station was never heard of, so its 16 A count.
        assert decisions[0]["shares"][0]["evse"] == "left/1"
        assert left["why"].startswith("0.0 A: minimum of 6 A doesn't fit under grid connection house, phase L1")
        (station, _) = state["stations"]
        assert station["upstream"] == {
            "url": "ws://127.0.0.1:1/ocpp", "is_own": False, "has_password": False, "connected": False, "waiting": 0,
        }  # fmt: skip


async def test_nothing_but_the_page_and_the_description_is_open(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, httpx.AsyncClient(base_url=house.url) as stranger:
        description = (await stranger.get("/openapi.json")).json()
        tried = 0
        for path, operations in description["paths"].items():
            place = path.replace("{node}", "house").replace("{evse}", "left").replace("{station_id}", "left")
            for method in operations:
                for headers in ({}, {"authorization": "Bearer fc-site-guess"}, {"authorization": "Basic YTpi"}):
                    answer = await stranger.request(method, place, headers=headers)
                    assert answer.status_code == 401, f"{method} {path}"
                    assert answer.headers["content-type"] == "application/problem+json"
                    tried += 1
        assert tried >= 3 * 20
        page = await stranger.get("/")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        nonce = policy.split("'nonce-")[1].split("'")[0]
        assert f'nonce="{nonce}"' in page.text
        assert "__nonce__" not in page.text


async def test_changes_hold_are_written_down_and_survive_a_restart(tmp_path: Path) -> None:
    until = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    async with a_house(tmp_path) as house:
        house.charge()
        await house.ask("PUT", "/evses/left%2F1/limit", {"current_a": 9.0, "until": until.isoformat()})
        await house.ask("PUT", "/nodes/garage/limit", {"power_w": 5000})
        await house.ask("PUT", "/evses/right%2Fhand%2F1/priority", {"priority": 3})
        await house.ask("PUT", "/evses/left/mode", {"mode": "pv"})
        await house.ask("PUT", "/evses/left/wish", {"energy_wh": 8000.0, "departs_at": until.isoformat()})
        steps = [{"start": (until + timedelta(hours=n)).isoformat(), "value": 0.1 * n} for n in range(3)]
        await house.ask("PUT", "/tariff", {"steps": steps})
        await house.ask("POST", "/dim", {"dimmed": True})
        upstream = await house.ask(
            "PUT", "/stations/left/upstream", {"url": "wss://csms.example/ocpp", "password": "correct horse battery"}
        )
        assert upstream["has_password"]
        token = house.client.headers["authorization"].removeprefix("Bearer ")
    async with a_house(tmp_path, token=token) as house:
        state = await house.ask("GET", "/state")
        left, right = state["evses"]
        assert left["by_hand"] == {"current_a": 9.0, "power_w": None, "until": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        assert (left["mode"], right["priority"], state["dimmed"]) == ("pv", 3, True)
        assert left["wish"]["by_hand"]
        assert state["nodes"][1]["by_hand"]["power_w"] == 5000.0
        assert "by hand: 5.00 kW" in state["nodes"][1]["limited"]
        assert state["tariff_until"] is not None
        upstream = await house.ask("GET", "/stations/left/upstream")
        assert (upstream["url"], upstream["is_own"], upstream["has_password"]) == (
            "wss://csms.example/ocpp", True, True,
        )  # fmt: skip
        changes = (await house.ask("GET", "/changes"))["items"]
        assert {change["who"] for change in changes} == {"Ada"}
        assert [change["what"] for change in changes][-2:] == [
            "garage to 5.00 kW",
            f"left/1 to 9.0 A until {until:%Y-%m-%d %H:%M} UTC",
        ]
        assert "correct horse" not in json.dumps([state, upstream, changes])
        for path in ("/evses/left/limit", "/nodes/garage/limit", "/evses/left/wish", "/tariff"):
            state = await house.ask("DELETE", path)
        assert state["evses"][0]["by_hand"] is None
        assert state["evses"][0]["wish"] is None
        assert (state["nodes"][1]["by_hand"], state["tariff_until"]) == (None, None)


WRONG: list[tuple[str, str, Any, int, str | None]] = [
    ("PUT", "/evses/left/limit", {}, 422, "current_a"),
    ("PUT", "/evses/left/limit", {"current_a": 8, "power_w": 8}, 422, "current_a"),
    ("PUT", "/evses/left/limit", {"current_a": -1}, 422, "current_a"),
    ("PUT", "/evses/left/limit", {"current_a": 8, "until": "2020-01-01T00:00:00Z"}, 422, "until"),
    ("PUT", "/evses/left/limit", {"ampere": 8}, 422, "ampere"),
    ("PUT", "/evses/nobody/limit", {"current_a": 8}, 404, None),
    ("PUT", "/nodes/cellar/limit", {"current_a": 8}, 404, None),
    ("PUT", "/evses/left/mode", {"mode": "slow"}, 422, "mode"),
    ("PUT", "/evses/left/wish", {}, 422, "departs_at"),
    ("PUT", "/evses/left/wish", {"energy_wh": 1000}, 409, None),
    ("PUT", "/stations/nobody/upstream", {}, 404, None),
    ("POST", "/stations/nobody/commissioning", {}, 404, None),
    ("POST", "/stations/left/commissioning", {}, 409, None),
    ("POST", "/stations/left/commissioning", {"evse_id": 0}, 422, "evse_id"),
    ("PUT", "/stations/left/upstream", {"url": "http://csms.example"}, 422, "url"),
    ("PUT", "/stations/left/upstream", {"password": "short"}, 422, "password"),
    ("PUT", "/tariff", {"steps": []}, 422, "steps"),
    ("PUT", "/tariff", {"steps": [{"start": "2026-01-01T00:00:00", "value": 1}]}, 422, "steps"),
    ("GET", "/state?verbose=1", None, 422, "verbose"),
    ("GET", "/decisions?cursor=x", None, 422, "cursor"),
    ("GET", "/nothing", None, 404, None),
    ("DELETE", "/state", None, 405, None),
]  # fmt: skip


async def test_what_can_t_be_is_refused_by_its_field(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        for method, path, body, status, field in WRONG:
            told = await house.ask(method, path, body, status)
            assert [error["field"] for error in told["errors"]] == ([] if field is None else [field]), path
            assert told["detail"]
        assert (await house.ask("GET", "/changes"))["items"] == []


async def test_a_signal_that_comes_by_another_way_is_refused(tmp_path: Path) -> None:
    async with a_house(tmp_path, HOUSE.replace('[dimming]\nsignal = { kind = "api" }', "")) as house:
        assert "[dimming]" in (await house.ask("POST", "/dim", {"dimmed": True}, 409))["detail"]
        assert (await house.ask("GET", "/state"))["dimmed"] is None


async def test_events_say_the_state_and_again_when_it_differs(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        seen: list[Any] = []

        async def follow() -> None:
            async with house.client.stream("GET", "/events?count=2") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        seen.append(json.loads(line[6:]))
                        if len(seen) == 1:
                            await house.ask("PUT", "/evses/left/priority", {"priority": 7})

        await asyncio.wait_for(follow(), 30)
        assert [state["evses"][0]["priority"] for state in seen] == [0, 7]


async def test_a_stream_ends_when_the_controller_does(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        response = await house.client.send(house.client.build_request("GET", "/events"), stream=True)
        lines = response.aiter_lines()
        assert await anext(lines) == "event: state"
    # It got here without waiting for the reader to leave.


async def test_it_runs_without_an_administration_whose_port_is_taken(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        port = house.client.base_url.port
        second = tmp_path / "second"
        second.mkdir()
        path = second / "site.toml"
        path.write_text(HOUSE.replace("port = 0", f"port = {port}"))
        file, clock = load_site(path), RealClock()
        server = controller_server(file, "ws://127.0.0.1:1/ocpp")
        async with living(file, server, clock, second) as life, administered(file.admin, server, life, clock, None):
            assert server.endpoint.controller.lines


def test_tokens_are_kept_as_digests_and_the_owner_s_alone(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    first = tokens.first()
    assert first is not None
    assert tokens.first() is None
    assert Tokens(tmp_path).whose(first) == "admin"
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert first not in (tmp_path / FILE).read_text()
    result = CliRunner().invoke(app, ["controller", "create-token", "--state-dir", str(tmp_path), "Ada"])
    again = Tokens(tmp_path)
    assert again.names == ("admin", "Ada")
    assert again.whose(result.output.split()[-1]) == "Ada"
    assert again.whose(first + "x") is None
    assert Tokens(tmp_path).make("admin") != first
    assert Tokens(tmp_path).whose(first) is None


@pytest.mark.parametrize(("more", "fits"), [("", False), ("allow_plain = true", True)])
def test_an_address_that_others_reach_wants_tls(tmp_path: Path, more: str, fits: bool) -> None:
    path = tmp_path / "site.toml"
    path.write_text(HOUSE.replace("port = 0", f'port = 0\nhost = "0.0.0.0"\n{more}'))
    if fits:
        assert load_site(path).admin.host == "0.0.0.0"
        return
    with pytest.raises(ConfigError, match=r"admin\.host"):
        load_site(path)
