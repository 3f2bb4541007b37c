"""The site link over real sockets: a controller as its file says it, and a CSMS with its API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from tests.api.houses import OPEN, House, house
from tests.meters.conftest import until

from forecourt.app.config import ConfigError
from forecourt.app.controller import controller_server
from forecourt.app.site_file import load_site
from forecourt.app.site_life import SiteLife, living
from forecourt.controller.effects import Alarm
from forecourt.controller.surplus import ChargeMode
from forecourt.domain.journal import Journal
from forecourt.domain.sentence import say
from forecourt.domain.site import EvseKey
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.clock import RealClock
from forecourt.net.controller_session import ControllerServer
from forecourt.store.controller_journal import ControllerJournal

SITE = """
[site.grid]
name = "house"
rating_a = 35
background_a = 14
[[site.circuits]]
name = "garage"
rating_a = 20
[[site.evses]]
station_id = "left"
circuit = "garage"
rotation = "L1 L2 L3"
maximum_a = 16
[[site.evses]]
station_id = "right"
rotation = "L2 L3 L1"
maximum_a = 16
[dimming]
power_w = 4200
signal = { kind = "api" }
"""
LEFT = EvseKey("left", 1)


def written(folder: Path, *parts: str) -> Path:
    path = folder / "site.toml"
    path.write_text("\n".join((SITE, *parts)))
    return path


def linked(csms: House, key: str) -> str:
    return f'[site_link]\nurl = "ws://127.0.0.1:{csms.api.port}"\nkey = "{key}"'


@asynccontextmanager
async def life(path: Path, journal: Journal | None = None) -> AsyncIterator[tuple[ControllerServer, SiteLife]]:
    file = load_site(path)
    server = controller_server(file, "ws://127.0.0.1:1/ocpp", None, journal)
    await server.start(port=0)
    try:
        async with living(file, server, RealClock(), path.parent) as running:
            assert running.link is not None
            running.link.backoff = BackoffPolicy(wait_minimum_s=0.05, random_range_s=0.05, repeat_times=1)
            yield server, running
    finally:
        await server.stop(0.1)


@pytest.fixture
async def csms(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "csms").mkdir()
    async with house(tmp_path / "csms") as made:
        yield made


async def entered(csms: House) -> tuple[int, str]:
    site = await csms.ask("POST", "/sites", 201, json={"name": "Home"})
    return site["id"], site["key"]


async def shown(csms: House, number: int, **wanted: Any) -> Any:
    """The site, once it is as wanted."""
    found: Any = None

    async def there() -> bool:
        nonlocal found
        found = await csms.get(f"/sites/{number}")
        return all(found[name] == value for name, value in wanted.items()) and found["at"] is not None

    await csms.eventually(there)
    return found


def alarm(server: ControllerServer, text: str) -> None:
    server.endpoint.raised(Alarm("test", say(text), LEFT), RealClock().now())


async def alarms(csms: House, number: int) -> list[str]:
    return [one["text"] for one in (await csms.get(f"/sites/{number}/alarms?limit=500"))["items"]][::-1]


async def test_the_state_of_a_site_appears_at_the_csms(csms: House, tmp_path: Path) -> None:
    number, key = await entered(csms)
    assert (await csms.get(f"/sites/{number}"))["connected"] is False
    async with life(written(tmp_path, linked(csms, key))) as (server, _):
        site = await shown(csms, number, connected=True)
        assert [(one["name"], one["parent"]) for one in site["nodes"]] == [("house", None), ("garage", "house")]
        assert site["nodes"][0]["load_a"] == [14.0, 14.0, 14.0]
        assert [(one["evse"], one["node"], one["state"]) for one in site["evses"]] == [
            ("left/1", "garage", "offline"),
            ("right/1", "house", "offline"),
        ]
        assert (site["dimming"]["dimmed"], site["dimming"]["node"]) == (False, "house")
        alarm(server, "something is wrong")
        await csms.eventually(lambda: _is(alarms(csms, number), ["something is wrong"]))
    await shown(csms, number, connected=False)
    listed = (await csms.get("/sites"))["items"]
    assert [(one["id"], one["name"], one["connected"]) for one in listed] == [(number, "Home", False)]


async def _is(asked: Any, wanted: Any) -> bool:
    return bool(await asked == wanted)


async def test_what_the_csms_asks_the_controller_does(csms: House, tmp_path: Path) -> None:
    number, key = await entered(csms)
    async with life(written(tmp_path, linked(csms, key))) as (server, _):
        await shown(csms, number, connected=True)
        surroundings = server.endpoint.controller.surroundings
        order = await csms.ask("PUT", f"/sites/{number}/nodes/garage/limit", 200, json={"current_a": 9.0})
        assert (order["state"], order["who"]) == ("done", "CSMS: test")
        assert surroundings.limits.sources(RealClock().now().at)["by hand", "garage"].current_a == 9.0
        await csms.ask("PUT", f"/sites/{number}/evses/left/1/limit", 200, json={"current_a": 8.0})
        assert surroundings.evse_limit_a(LEFT) == 8.0
        await csms.ask("PUT", f"/sites/{number}/evses/left/1/mode", 200, json={"mode": "pv"})
        assert surroundings.mode(LEFT) is ChargeMode.PV
        await csms.ask("PUT", f"/sites/{number}/evses/left/1/priority", 200, json={"priority": 7})
        assert surroundings.by_hand.priority(LEFT) == 7
        await csms.ask("POST", f"/sites/{number}/dim", 200, json={"dimmed": True})
        assert surroundings.by_hand.dimmed
        site = await shown(csms, number, connected=True)

        async def told() -> bool:
            nonlocal site
            site = await csms.get(f"/sites/{number}")
            by_hand = bool(site["dimming"]["dimmed"]) and site["evses"][0]["by_hand_a"] == 8.0
            return by_hand and site["nodes"][1]["limit_a"] == [9.0, 9.0, 9.0]

        await csms.eventually(told)
        refused = await csms.ask("PUT", f"/sites/{number}/evses/left/1/wish", 409, json={"energy_wh": 5000.0})
        assert "nobody is charging at left/1" in refused["detail"]
        await csms.ask("PUT", f"/sites/{number}/nodes/attic/limit", 404, json={"current_a": 9.0})
        await csms.ask("PUT", f"/sites/{number}/evses/left/1/mode", 422, json={"mode": "turbo"})
        assert surroundings.by_hand.changes[0].what == "garage: 9.0 A"
        orders = (await csms.get(f"/sites/{number}/orders"))["items"]
        assert [one["state"] for one in orders] == ["refused", "done", "done", "done", "done", "done"]
    await shown(csms, number, connected=False)
    gone = await csms.ask("PUT", f"/sites/{number}/nodes/garage/limit", 409, json={"current_a": 9.0})
    assert "not connected" in gone["detail"]
    audited = (await csms.get("/audit"))["items"]
    assert {"limit_site_node", "dim_site", "create_site"} <= {one["operation"] for one in audited}
    assert key not in json.dumps(audited)


async def test_a_link_that_is_cut_loses_no_alarm_and_doubles_none(csms: House, tmp_path: Path) -> None:
    number, key = await entered(csms)
    async with life(written(tmp_path, linked(csms, key))) as (server, running):
        assert running.link is not None
        await shown(csms, number, connected=True)
        wanted = []
        for turn in range(4):
            for k in range(5):
                wanted.append(f"alarm {turn}.{k}")
                alarm(server, wanted[-1])
                await asyncio.sleep(0)
            running.link.cut()
            for k in range(5, 8):
                wanted.append(f"alarm {turn}.{k}")
                alarm(server, wanted[-1])
            await asyncio.wait_for(running.link.linked.wait(), 10)
        await csms.eventually(lambda: _has(csms, number, len(wanted)))
        assert await alarms(csms, number) == wanted


async def _has(csms: House, number: int, count: int) -> bool:
    return len(await alarms(csms, number)) >= count


async def test_alarms_of_before_a_restart_are_told_after_it(csms: House, tmp_path: Path) -> None:
    number, key = await entered(csms)
    away = written(tmp_path, '[site_link]\nurl = "ws://127.0.0.1:1"\nkey = "none"')
    journal = ControllerJournal(tmp_path / "state")
    async with life(away, journal) as (server, running):
        assert running.link is not None
        for k in range(3):
            alarm(server, f"while away {k}")
        server.tell(lambda controller, _: controller.surroundings.limit_evse(LEFT, 6.0))  # the site goes on
        assert server.endpoint.controller.surroundings.evse_limit_a(LEFT) == 6.0
        assert not running.link.linked.is_set()
    journal.close()
    journal = ControllerJournal(tmp_path / "state")
    async with life(written(tmp_path, linked(csms, key)), journal) as (server, _):
        alarm(server, "after")
        await csms.eventually(lambda: _has(csms, number, 4))
        assert await alarms(csms, number) == ["while away 0", "while away 1", "while away 2", "after"]
    journal.close()


async def test_a_wrong_key_is_refused_and_a_new_one_ends_the_old(csms: House, tmp_path: Path) -> None:
    number, key = await entered(csms)
    async with life(written(tmp_path, linked(csms, f"fcs_{number}_wrong"))) as (_, running):
        assert running.link is not None
        await until(lambda: running.link is not None and running.link.refused)
        assert not running.link.linked.is_set()
    assert (await csms.get(f"/sites/{number}"))["connected"] is False
    async with life(written(tmp_path, linked(csms, key))) as (_, running):
        await shown(csms, number, connected=True)
        renewed = await csms.ask("POST", f"/sites/{number}/key", 201)
        assert renewed["key"] != key
        await until(lambda: running.link is not None and running.link.refused)
        await shown(csms, number, connected=False)
    # An API key opens no link, a site's key nothing of the API.
    assert (await csms.client.get("/api/v1/sites", headers={"authorization": f"Bearer {key}"})).status_code == 401


async def test_roles_and_organisations(csms: House, tmp_path: Path) -> None:
    number, _ = await entered(csms)
    reader, writer = await csms.key("read"), await csms.key("write")
    await csms.ask("GET", f"/sites/{number}", 200, headers=reader)
    await csms.ask("POST", f"/sites/{number}/dim", 403, headers=reader, json={"dimmed": True})
    await csms.ask("POST", "/sites", 403, headers=writer, json={"name": "Another"})
    await csms.ask("DELETE", f"/sites/{number}", 403, headers=writer)
    await csms.ask("POST", f"/sites/{number}/dim", 409, headers=writer, json={"dimmed": True})
    await csms.ask("DELETE", f"/sites/{number}", 204)
    await csms.ask("GET", f"/sites/{number}", 404)


async def test_the_history_is_sampled(tmp_path: Path) -> None:
    (tmp_path / "csms").mkdir()
    settings = OPEN.__class__(
        unknown_stations=OPEN.unknown_stations, unknown_tokens=OPEN.unknown_tokens,
        sites=type(OPEN.sites)(readings_every_s=0.05, sample_s=0.2),
    )  # fmt: skip
    async with house(tmp_path / "csms", csms_settings=settings) as csms:
        number, key = await entered(csms)
        async with life(written(tmp_path, linked(csms, key))) as (server, _):
            await shown(csms, number, connected=True)
            samples: list[Any] = []
            limits_a = cycle((6.0, 7.0))

            async def enough() -> bool:
                nonlocal samples
                limit_a = next(limits_a)  # readings are told when they change
                server.tell(lambda controller, _: controller.surroundings.limit_evse(LEFT, limit_a))
                samples = (await csms.get(f"/sites/{number}/history?points=3"))["items"]
                return len(samples) == 3

            await csms.eventually(enough)
        assert [node["name"] for node in samples[0]["nodes"]] == ["house", "garage"]
        assert samples[0]["nodes"][0]["mean_a"] == [14.0, 14.0, 14.0]
        assert samples[0]["duration_s"] > 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('url = "http://csms"\nkey = "k"', "url: expected the CSMS's API without a path"),
        ('url = "ws://csms.example:8080"\nkey = "k"', "url: has to begin with wss://"),
        ('url = "wss://csms.example:8080"', "key: expected either key or key_file"),
        ('url = "wss://csms.example:8080"\nkey = "k"\nsecret = 1', "secret"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="site_link") as caught:
        load_site(written(tmp_path, f"[site_link]\n{text}"))
    assert complaint in str(caught.value)


def test_the_key_s_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[site_link]\nurl = "wss://csms.example"\nkey_file = "site.key"')
    link = load_site(path).site_link
    assert link is not None
    with pytest.raises(ConfigError, match=r"site_link\.key_file"):
        link.secret()
    (tmp_path / "site.key").write_text("fcs_1_abc\n")
    assert link.secret() == "fcs_1_abc"
    assert "abc" not in repr(link)
