"""Meter values of OCPP 2.0.1 (chapter J; SampledValueType, UnitOfMeasureType): numbers with unit and multiplier.

Guarantees
* What is not said has its default: measurand Energy.Active.Import.Register, context Sample.Periodic, location Outlet,
  multiplier 0, and the measurand's base unit.
* A number whose unit does not fit its measurand becomes None and is noted; a signed value is carried as it came.
* Of what is written, a sample that 2.0.1 has no measurand for (RPM, Temperature), or without number and signature, is
  left out. One with a signature alone is refused: the number is required, and any would be a false reading.
"""

from collections.abc import Iterable
from typing import Final

from forecourt.dialect.port import Inexpressible
from forecourt.dialect.units import in_base_unit
from forecourt.dialect.wire import Deviations, by_value, by_value_or, plain
from forecourt.domain.meter import (
    BASE_UNITS,
    Measurand,
    MeasuredPhase,
    MeasuringPoint,
    MeterValue,
    ReadingContext,
    SampledValue,
    SignedMeterValue,
)
from forecourt.messages import v201 as m

_MEASURANDS: Final = by_value_or(m.MeasurandEnum, Measurand, Measurand.ENERGY_ACTIVE_IMPORT_REGISTER)
_CONTEXTS: Final = by_value_or(m.ReadingContextEnum, ReadingContext, ReadingContext.SAMPLE_PERIODIC)
_LOCATIONS: Final = by_value_or(m.LocationEnum, MeasuringPoint, MeasuringPoint.OUTLET)
_PHASES: Final = by_value_or(m.PhaseEnum, MeasuredPhase, None)

_MEASURANDS_SAID: Final = by_value(Measurand, m.MeasurandEnum)
_CONTEXTS_SAID: Final = by_value(ReadingContext, m.ReadingContextEnum)
_LOCATIONS_SAID: Final = by_value(MeasuringPoint, m.LocationEnum)
_PHASES_SAID: Final = by_value(MeasuredPhase, m.PhaseEnum)
_UNITS_SAID: Final = {unit: m.UnitOfMeasure(unit=unit) for unit in BASE_UNITS.values() if unit}


def meter_values(
    values: Iterable[m.MeterValue], deviations: Deviations, path: str = "meterValue"
) -> tuple[MeterValue, ...]:
    """What was measured. `path` is where `values` stand in the payload."""
    read = []
    for index, value in enumerate(values):
        samples = []
        for place, sample in enumerate(value.sampled_value):
            measurand = _MEASURANDS[sample.measurand]
            unit, multiplier = None, 0
            if sample.unit_of_measure is not None:
                unit, multiplier = sample.unit_of_measure.unit, sample.unit_of_measure.multiplier or 0
            number = in_base_unit(sample.value, measurand, unit, multiplier)
            if number is None:
                where = f"{path}[{index}].sampledValue[{place}]"
                deviations.note(where, f"{sample.value} in {unit!r} times 10^{multiplier} is no {measurand.value}")
            signed = sample.signed_meter_value
            samples.append(
                SampledValue(
                    number,
                    measurand,
                    _PHASES[sample.phase],
                    _CONTEXTS[sample.context],
                    _LOCATIONS[sample.location],
                    None if signed is None else _signed(signed),
                )
            )
        read.append(MeterValue(plain(value.timestamp), tuple(samples)))
    return tuple(read)


def _signed(wire: m.SignedMeterValue) -> SignedMeterValue:
    return SignedMeterValue(wire.signed_meter_data, wire.encoding_method, wire.signing_method, wire.public_key)


def meter_values_said(values: Iterable[MeterValue]) -> tuple[m.MeterValue, ...]:
    """The same on the wire; empty when nothing of it can be said."""
    return tuple(
        m.MeterValue(timestamp=value.at, sampled_value=samples)
        for value in values
        if (samples := tuple(said for sample in value.samples if (said := _sample_said(sample)) is not None))
    )


def _sample_said(sample: SampledValue) -> m.SampledValue | None:
    measurand = _MEASURANDS_SAID.get(sample.measurand)
    if measurand is None:
        return None
    signed = sample.signed
    if sample.value is None:
        if signed is None:
            return None
        raise Inexpressible("a signed value needs its number beside it")
    return m.SampledValue(
        value=sample.value,
        context=_CONTEXTS_SAID[sample.context],
        measurand=measurand,
        phase=_PHASES_SAID[sample.phase] if sample.phase else None,
        location=_LOCATIONS_SAID[sample.measuring_point],
        signed_meter_value=None
        if signed is None
        else m.SignedMeterValue(
            signed_meter_data=signed.signed_data,
            signing_method=signed.signing_method,
            encoding_method=signed.encoding_method,
            public_key=signed.public_key,
        ),
        unit_of_measure=_UNITS_SAID.get(BASE_UNITS[sample.measurand]),
    )
