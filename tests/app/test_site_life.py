"""What runs beside the controller, over a real Modbus server, a real broker and real HTTP; and what the file says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from tests.meters.conftest import device, modbus_server, mosquitto, until
from tests.meters.test_modbus import as_kept_by
from tests.net.test_openadr import Vtn, event, serving
from typer.testing import CliRunner

from forecourt.allocation.demand import NodeLimit
from forecourt.app.config import ConfigError
from forecourt.app.controller import controller_server
from forecourt.app.main import app
from forecourt.app.site_file import load_site
from forecourt.app.site_life import DimmingState, SiteLife, living
from forecourt.controller.controller import Controller
from forecourt.controller.effects import AskStation, Effect
from forecourt.controller.surplus import ChargeMode
from forecourt.controller.surroundings import DIMMED
from forecourt.controller.wishes import Wish
from forecourt.domain.clock import Now
from forecourt.domain.events import ChargingStateReported, Notice, TransactionStarted
from forecourt.domain.site import EvseKey
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import ChargingState
from forecourt.meters.register_map import shipped_maps
from forecourt.meters.settings import MqttBroker
from forecourt.net.clock import RealClock
from forecourt.net.controller_session import ControllerServer

__all__ = ["mosquitto"]

HOUSE = """
[site.grid]
name = "house"
rating_a = 35
background_a = 14
[[site.evses]]
station_id = "left"
rotation = "L1 L2 L3"
maximum_a = 16
[[site.evses]]
station_id = "right"
rotation = "L1 L2 L3"
maximum_a = 16
"""
LEFT = EvseKey("left", 1)


def written(folder: Path, *parts: str) -> Path:
    path = folder / "site.toml"
    path.write_text("\n".join((HOUSE, *parts)))
    return path


@asynccontextmanager
async def life(path: Path) -> AsyncIterator[tuple[ControllerServer, SiteLife]]:
    file = load_site(path)
    server = controller_server(file, "ws://127.0.0.1:1/ocpp")
    await server.start(port=0)
    try:
        async with living(file, server, RealClock(), path.parent) as running:
            yield server, running
    finally:
        await server.stop(0.1)


def now() -> Now:
    return RealClock().now()


async def test_a_modbus_meter_s_reading_becomes_the_background(tmp_path: Path) -> None:
    async with modbus_server(device(1, as_kept_by(shipped_maps()["eastron-sdm630"]))) as (_, port):
        meter = f'[[meters]]\nname="grid"\nkind="modbus"\nhost="127.0.0.1"\nport={port}\nmodel="eastron-sdm630"'
        async with life(written(tmp_path, meter)) as (server, _):
            meters = server.endpoint.controller.surroundings.meters
            await until(lambda: meters.backgrounds(now()))
            background = meters.backgrounds(now())["house"]
    assert list(background.highest_a) == pytest.approx([12.0, 0.0, 10.0])  # what flows back isn't counted on
    assert list(background.lowest_a) == pytest.approx([12.0, -8.0, 10.0])


async def test_a_relay_behind_modbus_dims_the_site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    text = """
    [dimming]
    signal = {{ kind = "modbus", host = "127.0.0.1", port = {port}, address = 3, interval_s = 0.05, timeout_s = 0.3 }}
    """
    bits = [False, False, False, True] + [False] * 12
    async with modbus_server(device(1, {100: [0]}, bits=bits)) as (_, port):  # noqa: SIM117 - the port goes into the file
        async with life(written(tmp_path, text.format(port=port))) as (server, _):
            limits = server.endpoint.controller.surroundings.limits
            await until(lambda: limits.sources(now().at))
            holding = limits.sources(now().at)[DIMMED, "house"]
            assert holding.controlled_w == pytest.approx(7560.0)
            await until(lambda: any("§ 14a: house to 7.56 kW for EVSEs" in one.message for one in caplog.records))


async def test_a_message_dims_the_site_and_frees_it(tmp_path: Path, mosquitto: MqttBroker) -> None:
    text = f"""
    [mqtt]
    port = {mosquitto.port}
    [dimming]
    power_w = 4200
    signal = {{ kind = "mqtt", topic = "grid/dim", inverted = true }}
    """
    async with life(written(tmp_path, text)) as (server, _):
        limits = server.endpoint.controller.surroundings.limits
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            await client.publish("grid/dim", b"off", retain=True)
            await until(lambda: limits.sources(now().at))
            assert limits.sources(now().at)[DIMMED, "house"].controlled_w == 4200.0
            await client.publish("grid/dim", b"1")
            await until(lambda: not limits.sources(now().at))
            await client.publish("grid/dim", b"", retain=True)


async def test_without_its_broker_a_signal_can_t_be_heard(tmp_path: Path, free_port: Callable[[], int]) -> None:
    text = f"""
    [mqtt]
    port = {free_port()}
    [dimming]
    unknown = "dimmed"
    unknown_after_s = 0.1
    signal = {{ kind = "mqtt", topic = "grid/dim" }}
    """
    async with life(written(tmp_path, text)) as (server, _):
        limits = server.endpoint.controller.surroundings.limits
        await until(lambda: limits.sources(now().at))


@pytest.mark.parametrize(("unknown", "expected"), [("dimmed", [True]), ("free", [False]), ("as before", [])])
def test_a_signal_that_can_t_be_read(unknown: str, expected: list[bool], tmp_path: Path) -> None:
    text = f'[dimming]\nunknown = "{unknown}"\nunknown_after_s = 60\nsignal = {{ kind = "api" }}'
    dimming = load_site(written(tmp_path, text)).dimming
    assert dimming is not None
    now_s, applied = [0.0], list[bool]()
    state = DimmingState(dimming, applied.append, lambda: now_s[0])
    for second in range(0, 120, 10):
        now_s[0] = float(second)
        state.take(None)
        if second < 60:
            assert not applied
    assert applied == expected


async def test_home_assistant_finds_the_site_and_may_set_modes_and_limits(
    tmp_path: Path, mosquitto: MqttBroker
) -> None:
    text = f"""
    [mqtt]
    port = {mosquitto.port}
    [home_assistant]
    base = "charging"
    commands = true
    interval_s = 0.05
    """
    heard: dict[str, bytes] = {}
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        await client.subscribe("homeassistant/#")
        await client.subscribe("charging/#")
        listening = asyncio.create_task(listen(client, heard))
        async with life(written(tmp_path, text)) as (server, _):
            surroundings = server.endpoint.controller.surroundings
            await until(lambda: "charging/evse/left_1/why" in heard and "charging/node/house/load_l1" in heard)
            await client.publish("charging/evse/left_1/mode/set", b"pv")
            await client.publish("charging/evse/left_1/limit/set", b"8")
            await client.publish("charging/node/house/limit/set", b"9.5")
            await client.publish("charging/evse/left_1/mode/set", b"nonsense")
            await until(lambda: surroundings.mode(LEFT) is ChargeMode.PV)
            await until(lambda: heard.get("charging/evse/left_1/mode") == b"pv")
            await until(lambda: heard.get("charging/evse/left_1/limit") == b"8")
            await until(lambda: heard.get("charging/node/house/limited") == b"by hand: 9.50 kW")
            assert surroundings.evse_limit_a(LEFT) == 8.0
            await client.publish("charging/node/house/limit/set", b"99")
            await until(lambda: heard.get("charging/node/house/limited") == b"nothing")
        await until(lambda: heard.get("charging/alive") == b"offline")
        listening.cancel()
    configs = {topic: json.loads(payload) for topic, payload in heard.items() if topic.startswith("homeassistant/")}
    assert len({config["unique_id"] for config in configs.values()}) == len(configs)
    for topic, config in configs.items():
        assert config["state_topic"] in heard, topic
        assert config["availability_topic"] == "charging/alive"
        assert ("command_topic" in config) is topic.startswith(("homeassistant/select/", "homeassistant/number/"))
    assert heard["charging/evse/left_1/state"] == b"offline"
    assert heard["charging/evse/left_1/why"] == b"can't be reached; 16.0 A stay reserved"
    assert heard["charging/node/house/load_l1"] == b"14"
    assert heard["charging/node/house/bears_l1"] == b"35"


async def listen(client: aiomqtt.Client, heard: dict[str, bytes]) -> None:
    async for message in client.messages:
        heard[message.topic.value] = bytes(message.payload)


async def test_without_leave_nothing_can_be_set(tmp_path: Path, mosquitto: MqttBroker) -> None:
    text = f'[mqtt]\nport = {mosquitto.port}\n[home_assistant]\nbase = "quiet"\ninterval_s = 0.05'
    heard: dict[str, bytes] = {}
    async with aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
        await client.subscribe("quiet/#")
        await client.subscribe("homeassistant/+/quiet_left_1_mode/config")
        listening = asyncio.create_task(listen(client, heard))
        async with life(written(tmp_path, text)) as (server, _):
            await until(lambda: "quiet/evse/left_1/mode" in heard)
            await client.publish("quiet/evse/left_1/mode/set", b"off")
            await asyncio.sleep(0.2)
            assert server.endpoint.controller.surroundings.mode(LEFT) is ChargeMode.FAST
        listening.cancel()
    assert not any(topic.startswith("homeassistant/") for topic in heard)


async def test_prices_reach_the_planner_s_outlook(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("time,price\n2026-03-02T12:00:00Z,30\n")
    async with life(written(tmp_path, '[prices]\nfile = "prices.csv"\nscale = 0.01\n[planner]')) as (server, _):
        outlook = server.endpoint.controller.surroundings.outlook
        await until(lambda: outlook.import_price is not None)
        assert outlook.import_price is not None
        assert outlook.import_price.at(now().at) == pytest.approx(0.30)


async def test_an_event_of_a_vtn_limits_the_site(tmp_path: Path) -> None:
    vtn = Vtn()
    for_ever = {"start": "2026-01-01T00:00:00Z", "duration": "P9999Y"}
    vtn.events = [event("IMPORT_CAPACITY_LIMIT", 12, unit="KW", intervalPeriod=for_ever)]
    async with serving(vtn) as url:
        text = f"""
        [openadr]
        url = "{url}"
        client_id = "ven"
        client_secret = "s3cret"
        interval_s = 0.05
        """
        async with life(written(tmp_path, text)) as (server, _):
            limits = server.endpoint.controller.surroundings.limits
            await until(lambda: limits.sources(now().at))
            assert limits.sources(now().at) == {("OpenADR", "house"): NodeLimit(power_w=12_000.0)}
            vtn.broken = True  # what it announced goes on
            await asyncio.sleep(0.2)
            assert limits.sources(now().at)
            vtn.broken, vtn.events = False, []
            await until(lambda: not limits.sources(now().at))


async def test_a_plan_is_made_and_followed_while_the_controller_runs(tmp_path: Path) -> None:
    cheap = now().at + timedelta(hours=3)
    rows = [f"{now().at - timedelta(hours=1)},0.40", f"{cheap},0.05", f"{cheap + timedelta(hours=4)},0.40"]
    (tmp_path / "prices.csv").write_text("\n".join(("time,price", *rows)))
    at_once = "[controller]\ndecide_interval_s = 0.000001"
    text = at_once + '\n[prices]\nfile = "prices.csv"\n[planner]\n[tokens."abc"]\nenergy_kwh = 10'
    async with life(written(tmp_path, text)) as (server, _):
        surroundings = server.endpoint.controller.surroundings
        await until(lambda: surroundings.outlook.import_price is not None)
        started = TransactionStarted(transaction_id="t", evse_id=1, at=now().at, id_token=IdToken("ABC"))
        charging = ChargingStateReported(evse_id=1, charging_state=ChargingState.CHARGING, transaction_id="t")

        def visit(controller: Controller, at: Now) -> None:
            for station_id in ("left", "right"):
                confirm(controller, controller.station_ready(station_id, at), at)
            confirm(controller, controller.station_said("left", Notice((started, charging)), at), at)
            leaves = Wish(departs_at=at.at + timedelta(hours=8))
            assert surroundings.wishes.set(LEFT, leaves)

        server.tell(visit)
        await until(lambda: surroundings.plan is not None and surroundings.plan.shares)
        assert surroundings.plan is not None
        share = surroundings.plan.shares[LEFT]
        assert share.now_a == 0.0
        assert share.unmet_wh == 0.0
        assert share.starts_s is not None
        shared = server.endpoint.controller.shared
        assert shared is not None
        assert shared.limit_a(LEFT) == 0.0


def confirm(controller: Controller, effects: list[Effect], at: Now) -> None:
    """Stations that take whatever they are told."""
    waiting = [effect for effect in effects if isinstance(effect, AskStation)]
    while waiting:
        answered = controller.answered(waiting.pop(0).token, accepted=True, now=at)
        waiting += [effect for effect in answered if isinstance(effect, AskStation)]


WRONG = [
    (
        '[[meters]]\nname="a"\nkind="modbus"\nhost="h"\nmodel="sdm42"',
        "meters[0].model: expected sunspec, carlo-gavazzi",
    ),
    ('[[meters]]\nname="a"\nkind="simulated"\nnode="barn"', 'meters[0].node: no node named "barn"'),
    ('[[meters]]\nname="a"\nkind="simulated"\n' * 2, 'meters[1].name: "a" is taken by meters[0]'),
    (
        '[[meters]]\nname="a"\nkind="simulated"\n[[meters]]\nname="b"\nkind="simulated"',
        'meters[1].node: "house" is measured by meters[0] already',
    ),
    ('[[meters]]\nname="a"\nkind="ocpp"\nstation_id="x"', 'meters[0].station_id: no EVSE of a station "x" in the site'),
    (
        '[[meters]]\nname="a"\nkind="mqtt"\n[meters.quantities]\npower_w = { topic = "t" }',
        "meters[0].kind: needs a broker, in [mqtt]",
    ),
    ('[[meters]]\nname="a"\nkind="dial"', "meters[0].kind: invalid value 'dial'"),
    ("[home_assistant]", "home_assistant: needs a broker, in [mqtt]"),
    (
        '[[schedules]]\nname="s"\nbegins="17:00"\nends="20:00"\ntime_zone="Europe/Bärlin"\npower_w=1',
        'schedules[0].time_zone: expected a name such as Europe/Berlin, got "Europe/Bärlin"',
    ),
    ('[[schedules]]\nname="s"\nbegins="17:00"\nends="20:00"', "schedules: expected one of power_w, controlled_w and"),
    ('[surplus.evses]\n"left/2" = "pv"', 'surplus.evses: no EVSE "left/2" in the site'),
    ('[surplus]\nmode = "sun"', "surplus.mode: expected one of off, pv, min+pv, fast, got 'sun'"),
    ('[dimming]\npower_w = 100\nnode = "barn"\nsignal = { kind = "api" }', 'dimming.node: no node named "barn"'),
    ("[prices]", "expected one of file, url and constant"),
    ('[openadr]\nurl = "https://vtn.example"\nclient_id = "x"', "client_secret: expected together with client_id"),
]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_what_is_wrong_in_the_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(written(tmp_path, text))
    assert told in str(caught.value)


def test_fallbacks_that_break_what_a_grid_operator_leaves_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, '[dimming]\nsignal = { kind = "api" }')
    path.write_text(path.read_text().replace("maximum_a = 16", "maximum_a = 16\nfallback_a = 6"))
    with pytest.raises(ConfigError, match=r"7\.56 kW are left while dimmed, but the fallbacks .* take 8\.28 kW"):
        load_site(path)


def test_a_whole_file_is_understood(tmp_path: Path) -> None:
    text = """
    [metering]
    silent_s = 20
    [[schedules]]
    name = "evening"
    days = ["mon", "fri"]
    begins = "17:00"
    ends = "7:30"
    time_zone = "Europe/Berlin"
    controlled_w = 11000
    [tokens."ABC"]
    departs = "7:30"
    time_zone = "Europe/Berlin"
    energy_kwh = 20
    mode = "min+pv"
    [surplus]
    mode = "pv"
    """
    file = load_site(written(tmp_path, text))
    settings = file.surroundings(file.site)
    assert settings.silent_s == 20.0
    assert settings.weekly[0].ends.isoformat() == "07:30:00"
    assert settings.tokens["ABC"].mode is ChargeMode.MIN_PV


# the command


def run_table(path: Path) -> Any:
    return CliRunner().invoke(app, ["controller", "meter-test", str(path), "--wait", "2"])


async def test_meter_test_shows_what_every_meter_says(tmp_path: Path) -> None:
    kept = as_kept_by(shipped_maps()["janitza-umg"])
    async with modbus_server(device(4, kept)) as (_, port):
        text = f"""
        [[meters]]
        name = "main"
        kind = "modbus"
        host = "127.0.0.1"
        port = {port}
        unit_id = 4
        model = "janitza-umg"
        [[meters]]
        name = "roof"
        role = "pv"
        kind = "simulated"
        power_w = -3000
        """
        result = await asyncio.to_thread(run_table, written(tmp_path, text))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[1].split() == [
        "main", "node", "house", "janitza-umg,", "unit", "4", "12.0", "-8.0", "10.0", "3168", "(2700", "-1832", "2300)",
        "231", "229", "230", "1234.5", "2.0",
    ]  # fmt: skip
    assert lines[2].split() == ["roof", "pv", "house", "simulated", "-3000"]


async def test_meter_test_fails_when_a_meter_does(tmp_path: Path, free_port: Callable[[], int]) -> None:
    text = f'[[meters]]\nname="main"\nkind="modbus"\nhost="127.0.0.1"\nport={free_port()}\ntimeout_s=0.3'
    result = await asyncio.to_thread(run_table, written(tmp_path, text))
    assert result.exit_code == 1
    assert "no connection" in result.output


@pytest.fixture
def free_port() -> Callable[[], int]:
    import socket

    def found() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return found
