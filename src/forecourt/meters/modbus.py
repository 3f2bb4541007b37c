"""Meters over Modbus TCP (pymodbus): one connection to a gateway, however many meters are behind it.

Guarantees
* A meter is read at its interval; a slow answer delays that meter, and those behind the same gateway, but is given up
  after the timeout. Nothing is read twice at a time.
* A connection that fails is closed and made anew, after a wait that grows to `LONGEST_WAIT_S`; the others go on.
* What a meter says is only told when a whole reading is there: one instant, not a mixture of two.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient

from forecourt.controller.ports import MeterReading
from forecourt.meters.quantities import reading_of
from forecourt.meters.register_map import RegisterMap, read_map, shipped_maps
from forecourt.meters.settings import ModbusMeter
from forecourt.meters.sunspec import Model, NoSunSpecError, measuring, models_of, values_of

log = logging.getLogger(__name__)
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # what fails is told here, once, with the meter's name

LONGEST_WAIT_S: Final = 10.0
FIRST_WAIT_S: Final = 0.5

TakeReading = Callable[[str, MeterReading], None]
"""Called with the name of the meter and what it said."""


class MeterError(Exception):
    """A meter can't be read; the text says why."""


class RefusedError(MeterError):
    """The device answers, but not to this."""


class Gateway:
    """A connection, shared by the meters behind it."""

    def __init__(self, meter: ModbusMeter) -> None:
        framer = FramerType.RTU if meter.framer == "rtu" else FramerType.SOCKET
        self._where = f"{meter.host}:{meter.port}"
        # It doesn't reconnect by itself: `open` does, so that it is known when a meter can't be reached.
        self._client = AsyncModbusTcpClient(
            meter.host, port=meter.port, framer=framer, reconnect_delay=0, timeout=meter.timeout_s, retries=0
        )
        self._lock = asyncio.Lock()

    async def read(self, meter: ModbusMeter, area: str, address: int, count: int) -> Sequence[int]:
        """Some registers. MeterError if they can't be had."""
        async with self._lock:
            try:
                if not self._client.connected and not await self._client.connect():
                    raise MeterError(f"{self._where}: no connection")
                call = self._client.read_input_registers if area == "input" else self._client.read_holding_registers
                async with asyncio.timeout(meter.timeout_s * 2):
                    answer = await call(address, count=count, device_id=meter.unit_id)
            except (ModbusException, OSError, TimeoutError) as error:
                self._client.close()
                raise MeterError(f"{self._where}: {str(error) or 'no answer'}") from error
        if answer.isError():
            raise RefusedError(f"{self._where}, unit {meter.unit_id}: refused registers {address} to {address + count}")
        if len(answer.registers) != count:
            raise MeterError(f"{self._where}: {len(answer.registers)} registers where {count} were asked for")
        registers: Sequence[int] = answer.registers
        return registers

    async def bit(self, unit_id: int, area: str, address: int, timeout_s: float) -> bool:
        """One coil or discrete input. MeterError if it can't be had."""
        async with self._lock:
            try:
                if not self._client.connected and not await self._client.connect():
                    raise MeterError(f"{self._where}: no connection")
                call = self._client.read_coils if area == "coil" else self._client.read_discrete_inputs
                async with asyncio.timeout(timeout_s * 2):
                    answer = await call(address, count=1, device_id=unit_id)
            except (ModbusException, OSError, TimeoutError) as error:
                self._client.close()
                raise MeterError(f"{self._where}: {str(error) or 'no answer'}") from error
        if answer.isError() or not answer.bits:
            raise RefusedError(f"{self._where}, unit {unit_id}: refused {area} {address}")
        return bool(answer.bits[0])

    def close(self) -> None:
        """Hang up."""
        self._client.close()


class ModbusMeters:
    """All Modbus meters of a site. `run` reads them until it is cancelled."""

    def __init__(self, meters: Sequence[ModbusMeter], folder: Path | None = None) -> None:
        """`folder`: what paths of register maps are relative to. Raises ValueError for a model that isn't known."""
        self.meters = tuple(meters)
        self._maps = {meter.name: map_of(meter.model, folder) for meter in meters}
        self._gateways: dict[tuple[str, int, str], Gateway] = {}
        self._models: dict[str, Model] = {}

    async def run(self, take: TakeReading) -> None:
        """Read every meter at its interval."""
        try:
            async with asyncio.TaskGroup() as group:
                for meter in self.meters:
                    group.create_task(self._read_on(meter, take))
        finally:
            self.close()

    async def read_once(self, meter: ModbusMeter) -> MeterReading:
        """One reading. MeterError if it can't be had."""
        gateway = self._gateways.get(meter.gateway)
        if gateway is None:
            gateway = self._gateways[meter.gateway] = Gateway(meter)
        register_map = self._maps[meter.name]
        values: dict[str, float] = {}
        if register_map is None:
            values = await self._self_described(meter, gateway)
        else:
            for block in register_map.blocks():
                registers = await gateway.read(meter, register_map.area, block.address, block.length)
                values |= register_map.values(block, registers)
        return reading_of(values, invert=meter.invert)

    def close(self) -> None:
        """Hang up everywhere."""
        for gateway in self._gateways.values():
            gateway.close()
        self._gateways.clear()

    async def _self_described(self, meter: ModbusMeter, gateway: Gateway) -> dict[str, float]:
        async def read(address: int, count: int) -> Sequence[int]:
            return await gateway.read(meter, "holding", address, count)

        model = self._models.get(meter.name)
        if model is None:
            try:
                model = self._models[meter.name] = measuring(await models_of(read, RefusedError))
            except NoSunSpecError as error:
                raise MeterError(f"{meter.host}:{meter.port}, unit {meter.unit_id}: {error}") from error
        return await values_of(read, model)

    async def _read_on(self, meter: ModbusMeter, take: TakeReading) -> None:
        wait_s, failing = FIRST_WAIT_S, False
        while True:
            began_s = time.monotonic()
            try:
                reading = await self.read_once(meter)
            except MeterError as error:
                if not failing:
                    log.warning("meter %s: %s", meter.name, error)
                failing = True
                self._models.pop(meter.name, None)  # another device may answer there next time
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
                continue
            if failing:
                log.info("meter %s: answers again", meter.name)
            wait_s, failing = FIRST_WAIT_S, False
            take(meter.name, reading)
            await asyncio.sleep(max(0.0, meter.interval_s - (time.monotonic() - began_s)))


def map_of(model: str, folder: Path | None = None) -> RegisterMap | None:
    """The register map of a model; None for one that describes itself. ValueError for one that isn't known."""
    if model == "sunspec":
        return None
    if model.endswith(".toml"):
        path = Path(model) if folder is None else folder / model
        try:
            return read_map(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"model: {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise ValueError(f"model: {path}: {error}") from error
    found = shipped_maps().get(model)
    if found is None:
        raise ValueError(f'model: expected sunspec, {", ".join(shipped_maps())}, or a file; got "{model}"')
    return found
