"""Modbus meters against pymodbus's own server: register maps, SunSpec, gateways, and what fails."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest
from pymodbus import FramerType

from forecourt.controller.ports import MeterReading, MeterRole
from forecourt.meters.modbus import MeterError, ModbusMeters
from forecourt.meters.register_map import NumberType, RegisterMap, number, read_map, shipped_maps
from forecourt.meters.settings import ModbusMeter
from forecourt.quantities import PerPhase
from tests.meters.conftest import device, modbus_server, until

CODES: dict[NumberType, str] = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f"}

TRUTH = {
    "voltage_l1_v": 231.0, "voltage_l2_v": 229.0, "voltage_l3_v": 230.0,
    "current_l1_a": 12.0, "current_l2_a": 8.0, "current_l3_a": 10.0,
    "power_l1_w": 2700.0, "power_l2_w": -1832.0, "power_l3_w": 2300.0,
    "power_w": 3168.0, "import_wh": 1_234_500.0, "export_wh": 2_000.0,
}  # fmt: skip


def words(value: float, kind: NumberType, order: str) -> list[int]:
    raw = struct.pack(f">{CODES[kind]}", value if kind == "float32" else round(value))
    found = list(struct.unpack(f">{len(raw) // 2}H", raw))
    return found if order == "high-first" else found[::-1]


def as_kept_by(register_map: RegisterMap) -> dict[int, list[int]]:
    """The truth in the registers of a model, written from the map's own table of places only."""
    blocks: dict[int, list[int]] = {}
    for block in register_map.blocks():
        content: list[int] = []
        for name in block.names:
            register = register_map.quantities[name]
            content += words(TRUTH[name] / register.scale, register.type, register_map.word_order)
        blocks[block.address] = content
    return blocks


def check(reading: MeterReading) -> None:
    assert reading.current_a is not None
    assert list(reading.current_a) == pytest.approx([12.0, -8.0, 10.0])
    assert reading.power_per_phase_w is not None
    assert list(reading.power_per_phase_w) == pytest.approx([2700.0, -1832.0, 2300.0])
    assert reading.total_w == pytest.approx(3168.0)
    assert reading.voltage_v is not None
    assert list(reading.voltage_v) == pytest.approx([231.0, 229.0, 230.0])
    assert reading.import_wh == pytest.approx(1_234_500.0)
    assert reading.export_wh == pytest.approx(2_000.0)


def test_the_maps_that_are_promised_ship_with_the_package_and_cite_their_source() -> None:
    assert {"eastron-sdm630", "carlo-gavazzi-em24", "carlo-gavazzi-em24-e1", "carlo-gavazzi-em340", "janitza-umg"} <= (
        shipped_maps().keys()
    )
    for register_map in shipped_maps().values():
        assert len(register_map.source) > 20
        assert register_map.url.startswith("https://")


@pytest.mark.parametrize("model", sorted(shipped_maps()))
async def test_a_model_is_read_through_its_map(model: str) -> None:
    async with modbus_server(device(7, as_kept_by(shipped_maps()[model]))) as (_, port):
        meter = ModbusMeter(name="grid", host="127.0.0.1", port=port, unit_id=7, model=model)
        meters = ModbusMeters([meter])
        check(await meters.read_once(meter))
        meters.close()


# Frames as the documents themselves have them, written by hand: the maps are right, not only consistent.
KNOWN = [
    ("eastron-sdm630", 0x0006, [0x4140, 0x0000], "current_l1_a", 12.0),
    ("eastron-sdm630", 0x0034, [0xC4FA, 0x0000], "power_w", -2000.0),
    ("carlo-gavazzi-em340", 0x000C, [0x2EE0, 0x0000], "current_l1_a", 12.0),
    ("carlo-gavazzi-em340", 0x0028, [0xB1E0, 0xFFFF], "power_w", -2000.0),
    ("carlo-gavazzi-em24-e1", 0x0034, [0x3039, 0x0000], "import_wh", 1_234_500.0),
    ("carlo-gavazzi-em24", 0x0042, [0x3039, 0x0000], "import_wh", 1_234_500.0),
    ("janitza-umg", 19012, [0x4140, 0x0000], "current_l1_a", 12.0),
]


@pytest.mark.parametrize(("model", "address", "registers", "name", "value"), KNOWN)
def test_a_register_means_what_the_document_says(
    model: str, address: int, registers: list[int], name: str, value: float
) -> None:
    register_map = shipped_maps()[model]
    register = register_map.quantities[name]
    assert register.address == address
    found = number(registers, register.type, register_map.word_order)
    assert found is not None
    assert found * register.scale == pytest.approx(value)


def test_no_model_is_asked_for_more_at_a_time_than_it_answers() -> None:
    for register_map in shipped_maps().values():
        assert all(block.length <= register_map.max_registers for block in register_map.blocks())
    assert max(block.length for block in shipped_maps()["carlo-gavazzi-em24"].blocks()) <= 11


@pytest.mark.parametrize(
    ("registers", "kind"),
    [([0x7FC0, 0], "float32"), ([0x8000], "int16"), ([0xFFFF, 0xFFFF], "uint32"), ([0x7FFF, 0xFFFF], "int32")],
)
def test_what_stands_for_nothing_is_nothing(registers: list[int], kind: NumberType) -> None:
    assert number(registers, kind) is None


def sunspec_integers() -> list[int]:
    """A meter after a common model and one that nobody knows: 203 with scale factors."""
    common = [1, 66, *[0] * 66]
    other = [64999, 3, 1, 2, 3]
    body = [0] * 107
    body[0:2] = [203, 105]
    body[2:7] = [3000, 1200, 800, 1000, 0xFFFE]  # A, by phase, A_SF = -2
    body[7:16] = [2300, 2310, 2290, 2300, 4000, 4000, 4000, 4000, 0xFFFF]
    body[18:23] = [3168, 2700, 65536 - 1832, 2300, 0]
    body[38:40] = [0, 2000]
    body[46:48] = [1_234_500 >> 16, 1_234_500 & 0xFFFF]
    body[54] = 0
    return [0x5375, 0x6E53, *common, *other, *body, 0xFFFF, 0]


def sunspec_floats() -> list[int]:
    body = [0] * 126
    body[0:2] = [213, 124]
    places = {"current": 4, "voltage": 12, "power": 30}
    for line in (1, 2, 3):
        for kind, first in places.items():
            unit = {"current": "a", "voltage": "v", "power": "w"}[kind]
            at = first + 2 * (line - 1)
            body[at : at + 2] = words(TRUTH[f"{kind}_l{line}_{unit}"], "float32", "high-first")
    body[28:30] = words(3168.0, "float32", "high-first")
    body[60:62] = words(2_000.0, "float32", "high-first")
    body[68:70] = words(1_234_500.0, "float32", "high-first")
    return [0x5375, 0x6E53, 1, 65, *[0] * 65, *body, 0xFFFF, 0]


@pytest.mark.parametrize(
    ("base", "content"), [(40000, sunspec_integers()), (50000, sunspec_floats()), (0, sunspec_floats())]
)
async def test_a_sunspec_meter_is_found_wherever_it_stands_in_the_chain(base: int, content: list[int]) -> None:
    async with modbus_server(device(1, {base: content})) as (_, port):
        meter = ModbusMeter(name="grid", host="127.0.0.1", port=port)
        meters = ModbusMeters([meter])
        check(await meters.read_once(meter))
        check(await meters.read_once(meter))
        meters.close()


async def test_a_sunspec_inverter_generates() -> None:
    body = [0] * 52
    body[0:2] = [103, 50]
    body[2:7] = [3000, 1000, 1000, 1000, 0xFFFE]
    body[10:14] = [2300, 2300, 2300, 0xFFFF]
    body[14:16] = [690, 1]
    async with modbus_server(device(3, {40000: [0x5375, 0x6E53, *body, 0xFFFF, 0]})) as (_, port):
        meter = ModbusMeter(name="pv", role=MeterRole.PV, host="127.0.0.1", port=port, unit_id=3)
        meters = ModbusMeters([meter])
        reading = await meters.read_once(meter)
        meters.close()
    assert reading.total_w == -6900.0
    assert reading.current_a == PerPhase(-10.0, -10.0, -10.0)


async def test_a_device_that_doesn_t_describe_itself_is_told() -> None:
    async with modbus_server(device(1, {100: [1, 2, 3]})) as (_, port):
        meter = ModbusMeter(name="grid", host="127.0.0.1", port=port)
        meters = ModbusMeters([meter])
        with pytest.raises(MeterError, match="SunS"):
            await meters.read_once(meter)
        meters.close()


async def test_several_meters_share_a_gateway_and_one_that_is_missing_stops_nobody() -> None:
    sdm = as_kept_by(shipped_maps()["eastron-sdm630"])
    em = as_kept_by(shipped_maps()["carlo-gavazzi-em340"])
    async with modbus_server(device(1, sdm), device(2, em)) as (_, port):
        common: dict[str, Any] = {"host": "127.0.0.1", "port": port, "interval_s": 0.02, "timeout_s": 0.3}
        meters = ModbusMeters(
            [
                ModbusMeter(name="grid", unit_id=1, model="eastron-sdm630", **common),
                ModbusMeter(name="pv", unit_id=2, model="carlo-gavazzi-em340", invert=True, **common),
                ModbusMeter(name="gone", unit_id=9, model="eastron-sdm630", **common),
            ]
        )
        heard: dict[str, list[MeterReading]] = {}
        task = asyncio.create_task(meters.run(lambda name, reading: heard.setdefault(name, []).append(reading)))
        await until(lambda: len(heard.get("grid", [])) > 3 and len(heard.get("pv", [])) > 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "gone" not in heard
    check(heard["grid"][-1])
    assert heard["pv"][-1].total_w == pytest.approx(-3168.0)
    assert heard["pv"][-1].import_wh == pytest.approx(2_000.0)


async def test_a_meter_that_comes_back_is_read_again(caplog: pytest.LogCaptureFixture) -> None:
    content = device(1, as_kept_by(shipped_maps()["eastron-sdm630"]))
    async with modbus_server(content) as (_, port):
        meter = ModbusMeter(
            name="grid", host="127.0.0.1", port=port, model="eastron-sdm630", interval_s=0.02, timeout_s=0.2
        )
        heard: list[MeterReading] = []
        task = asyncio.create_task(ModbusMeters([meter]).run(lambda _, reading: heard.append(reading)))
        await until(lambda: heard)
    await until(lambda: any("meter grid: " in record.message for record in caplog.records))
    before = len(heard)
    async with modbus_server(content, port=port):
        await until(lambda: len(heard) > before)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_gateway_that_passes_serial_frames_through() -> None:
    content = device(5, as_kept_by(shipped_maps()["carlo-gavazzi-em24"]))
    async with modbus_server(content, framer=FramerType.RTU) as (_, port):
        meter = ModbusMeter(
            name="grid", host="127.0.0.1", port=port, unit_id=5, framer="rtu", model="carlo-gavazzi-em24"
        )
        meters = ModbusMeters([meter])
        check(await meters.read_once(meter))
        meters.close()


def test_a_map_of_one_s_own_is_read_from_beside_the_site_file(tmp_path: Path) -> None:
    text = """
    name = "Mine"
    source = "a paper of mine"
    area = "holding"
    [quantities]
    power_w = { address = 10, type = "int16", scale = 10 }
    """
    (tmp_path / "mine.toml").write_text(text)
    meter = ModbusMeter(name="grid", host="127.0.0.1", model="mine.toml")
    ModbusMeters([meter], tmp_path)
    with pytest.raises(ValueError, match=r"quantities\.power_kw: expected one of"):
        read_map(text.replace("power_w", "power_kw"))
    with pytest.raises(ValueError, match=r"model: expected sunspec, carlo-gavazzi-em24, .*sdm42"):
        ModbusMeters([ModbusMeter(name="grid", host="127.0.0.1", model="sdm42")])
