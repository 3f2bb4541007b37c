"""Meter values: what was measured, when, where and why.

Guarantees
* A value is in the base unit of its measurand (`BASE_UNITS`): Wh, W, A, V, Hz, Percent, ...; the dialect removes
  prefixes and multipliers, so nobody above it converts kWh (OCPP 1.6 §7.45 UnitOfMeasure, OCPP 2.0.1 J).
* Signed values are carried untouched, as the text the meter produced.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec


class Measurand(StrEnum):
    """What was measured (OCPP 2.0.1 MeasurandEnumType; RPM and temperature are of OCPP 1.6 §7.31)."""

    CURRENT_EXPORT = "Current.Export"
    CURRENT_IMPORT = "Current.Import"
    CURRENT_OFFERED = "Current.Offered"
    ENERGY_ACTIVE_EXPORT_REGISTER = "Energy.Active.Export.Register"
    ENERGY_ACTIVE_IMPORT_REGISTER = "Energy.Active.Import.Register"
    ENERGY_REACTIVE_EXPORT_REGISTER = "Energy.Reactive.Export.Register"
    ENERGY_REACTIVE_IMPORT_REGISTER = "Energy.Reactive.Import.Register"
    ENERGY_ACTIVE_EXPORT_INTERVAL = "Energy.Active.Export.Interval"
    ENERGY_ACTIVE_IMPORT_INTERVAL = "Energy.Active.Import.Interval"
    ENERGY_ACTIVE_NET = "Energy.Active.Net"
    ENERGY_REACTIVE_EXPORT_INTERVAL = "Energy.Reactive.Export.Interval"
    ENERGY_REACTIVE_IMPORT_INTERVAL = "Energy.Reactive.Import.Interval"
    ENERGY_REACTIVE_NET = "Energy.Reactive.Net"
    ENERGY_APPARENT_NET = "Energy.Apparent.Net"
    ENERGY_APPARENT_IMPORT = "Energy.Apparent.Import"
    ENERGY_APPARENT_EXPORT = "Energy.Apparent.Export"
    FREQUENCY = "Frequency"
    POWER_ACTIVE_EXPORT = "Power.Active.Export"
    POWER_ACTIVE_IMPORT = "Power.Active.Import"
    POWER_FACTOR = "Power.Factor"
    POWER_OFFERED = "Power.Offered"
    POWER_REACTIVE_EXPORT = "Power.Reactive.Export"
    POWER_REACTIVE_IMPORT = "Power.Reactive.Import"
    RPM = "RPM"
    SOC = "SoC"
    TEMPERATURE = "Temperature"
    VOLTAGE = "Voltage"


class ReadingContext(StrEnum):
    """Why it was measured."""

    INTERRUPTION_BEGIN = "Interruption.Begin"
    INTERRUPTION_END = "Interruption.End"
    OTHER = "Other"
    SAMPLE_CLOCK = "Sample.Clock"
    SAMPLE_PERIODIC = "Sample.Periodic"
    TRANSACTION_BEGIN = "Transaction.Begin"
    TRANSACTION_END = "Transaction.End"
    TRIGGER = "Trigger"


class MeasuringPoint(StrEnum):
    """Where on the way from the grid to the car it was measured (OCPP: location)."""

    BODY = "Body"
    CABLE = "Cable"
    EV = "EV"
    INLET = "Inlet"
    OUTLET = "Outlet"


class MeasuredPhase(StrEnum):
    """Between which conductors it was measured; absent means over all phases together."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    N = "N"
    L1_N = "L1-N"
    L2_N = "L2-N"
    L3_N = "L3-N"
    L1_L2 = "L1-L2"
    L2_L3 = "L2-L3"
    L3_L1 = "L3-L1"


LINE_OF: Final[dict[MeasuredPhase, int]] = {
    MeasuredPhase.L1: 0,
    MeasuredPhase.L1_N: 0,
    MeasuredPhase.L2: 1,
    MeasuredPhase.L2_N: 1,
    MeasuredPhase.L3: 2,
    MeasuredPhase.L3_N: 2,
}
"""The line that a current, a power or a voltage to neutral belongs to, counted from 0. Not of a value between two."""


BASE_UNITS: Final[dict[Measurand, str]] = {
    Measurand.CURRENT_EXPORT: "A",
    Measurand.CURRENT_IMPORT: "A",
    Measurand.CURRENT_OFFERED: "A",
    Measurand.ENERGY_ACTIVE_EXPORT_REGISTER: "Wh",
    Measurand.ENERGY_ACTIVE_IMPORT_REGISTER: "Wh",
    Measurand.ENERGY_REACTIVE_EXPORT_REGISTER: "varh",
    Measurand.ENERGY_REACTIVE_IMPORT_REGISTER: "varh",
    Measurand.ENERGY_ACTIVE_EXPORT_INTERVAL: "Wh",
    Measurand.ENERGY_ACTIVE_IMPORT_INTERVAL: "Wh",
    Measurand.ENERGY_ACTIVE_NET: "Wh",
    Measurand.ENERGY_REACTIVE_EXPORT_INTERVAL: "varh",
    Measurand.ENERGY_REACTIVE_IMPORT_INTERVAL: "varh",
    Measurand.ENERGY_REACTIVE_NET: "varh",
    Measurand.ENERGY_APPARENT_NET: "VAh",
    Measurand.ENERGY_APPARENT_IMPORT: "VAh",
    Measurand.ENERGY_APPARENT_EXPORT: "VAh",
    Measurand.FREQUENCY: "Hz",
    Measurand.POWER_ACTIVE_EXPORT: "W",
    Measurand.POWER_ACTIVE_IMPORT: "W",
    Measurand.POWER_FACTOR: "",
    Measurand.POWER_OFFERED: "W",
    Measurand.POWER_REACTIVE_EXPORT: "var",
    Measurand.POWER_REACTIVE_IMPORT: "var",
    Measurand.RPM: "rpm",
    Measurand.SOC: "Percent",
    Measurand.TEMPERATURE: "Celsius",
    Measurand.VOLTAGE: "V",
}


class SignedMeterValue(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A reading with the meter's signature, verbatim (OCMF, EDL and others); never parsed to be re-written."""

    signed_data: str
    encoding_method: str = ""
    signing_method: str = ""
    public_key: str = ""


class SampledValue(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One number (in the measurand's base unit), or one signed text, or both."""

    value: float | None
    measurand: Measurand = Measurand.ENERGY_ACTIVE_IMPORT_REGISTER
    phase: MeasuredPhase | None = None
    context: ReadingContext = ReadingContext.SAMPLE_PERIODIC
    measuring_point: MeasuringPoint = MeasuringPoint.OUTLET
    signed: SignedMeterValue | None = None

    @property
    def unit(self) -> str:
        """The base unit that `value` is in."""
        return BASE_UNITS[self.measurand]


class MeterValue(msgspec.Struct, frozen=True, gc=False):
    """Samples taken at one instant."""

    at: datetime
    samples: tuple[SampledValue, ...]


def reading(values: Iterable[MeterValue], measurand: Measurand) -> float | None:
    """The last value of `measurand` over all phases together, in its base unit; None when there is none."""
    last: float | None = None
    for meter_value in values:
        for sample in meter_value.samples:
            if sample.measurand is measurand and sample.phase is None and sample.value is not None:
                last = sample.value
    return last


def energy_wh(values: Iterable[MeterValue]) -> float | None:
    """The last active-import register reading, in Wh; None when there is none."""
    return reading(values, Measurand.ENERGY_ACTIVE_IMPORT_REGISTER)
