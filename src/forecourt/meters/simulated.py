"""Meters that always read the same: for demonstrations and for trying a site file out."""

import asyncio
from collections.abc import Callable, Sequence

from forecourt.controller.ports import MeterReading
from forecourt.meters.settings import SimulatedMeter
from forecourt.quantities import PerPhase


def simulated_reading(meter: SimulatedMeter) -> MeterReading:
    """What it reads."""
    sign = -1.0 if meter.invert else 1.0
    current = None if meter.current_a is None else PerPhase(*meter.current_a).map(lambda ampere: sign * ampere)
    power_w = None if meter.power_w is None else sign * meter.power_w
    return MeterReading(current_a=current, power_w=power_w, soc_percent=meter.soc_percent)


async def run_simulated(meters: Sequence[SimulatedMeter], take: Callable[[str, MeterReading], None]) -> None:
    """Read them until cancelled."""

    async def read_on(meter: SimulatedMeter) -> None:
        while True:
            take(meter.name, simulated_reading(meter))
            await asyncio.sleep(meter.interval_s)

    async with asyncio.TaskGroup() as group:
        for meter in meters:
            group.create_task(read_on(meter))
