"""Meter values of OCPP 1.6 (§3.16, §4.7, §7.33, §7.43): texts with units there, numbers in base units here.

Guarantees
* What is not said has its default: measurand Energy.Active.Import.Register, context Sample.Periodic, location Outlet
  (§7.43). A unit that is not said is the measurand's base unit; the text's "always Wh" can only mean energies.
* A value that is no number, or whose unit does not fit its measurand, becomes None and is noted.
* A signed value is carried as it came (§7.49); in the wrapper of OCA's white paper on signed meter values §3.2.1 when
  it came in that.
* Of what is written, a sample that 1.6 has no measurand for is left out (Energy.*.Net, Energy.Apparent.*).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from forecourt.dialect.port import Untranslatable
from forecourt.dialect.units import EXPONENTS, in_base_unit
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
    energy_wh,
)
from forecourt.messages import v16 as m
from forecourt.rpc.errors import Cause

MEASURANDS: Final = by_value_or(m.Measurand, Measurand, Measurand.ENERGY_ACTIVE_IMPORT_REGISTER)
CONTEXTS: Final = by_value_or(m.ReadingContext, ReadingContext, ReadingContext.SAMPLE_PERIODIC)
LOCATIONS: Final = by_value_or(m.Location, MeasuringPoint, MeasuringPoint.OUTLET)
PHASES: Final = by_value_or(m.Phase, MeasuredPhase, None)

_MEASURANDS_SAID: Final = by_value(Measurand, m.Measurand)
_CONTEXTS_SAID: Final = by_value(ReadingContext, m.ReadingContext)
_LOCATIONS_SAID: Final = by_value(MeasuringPoint, m.Location)
_PHASES_SAID: Final = by_value(MeasuredPhase, m.Phase)
_UNITS_SAID: Final = {unit.value: unit for unit in m.UnitOfMeasure}
_TRANSACTION_UNITS_SAID: Final = {unit.value: unit for unit in m.TransactionUnitOfMeasure}

NOT_SAID: Final = -(1 << 62)
"""Stands in for a meterStart or meterStop that a station left out: no reading follows from it."""

_SIGNED: Final = m.ValueFormat.SIGNED_DATA


class _Wrapper(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How OCA's white paper on signed meter values (§3.2.1) packs them into the text of 1.6."""

    signed_meter_data: str
    signing_method: str
    encoding_method: str
    public_key: str


_WRAPPER: Final = msgspec.json.Decoder(_Wrapper)


def meter_values(
    values: Iterable[m.MeterValue | m.TransactionData], deviations: Deviations, path: str = "meterValue"
) -> tuple[MeterValue, ...]:
    """What was measured. `path` is where `values` stand in the payload."""
    read = []
    for index, value in enumerate(values):
        samples = []
        sampled: tuple[m.SampledValue | m.TransactionSampledValue, ...] = value.sampled_value
        for place, sample in enumerate(sampled):
            measurand = MEASURANDS[sample.measurand]
            signed = None
            number: float | None = None
            if sample.format is _SIGNED:
                signed = _signed(sample.value)
            else:
                number = _number(sample.value, measurand, sample.unit)
                if number is None:
                    where = f"{path}[{index}].sampledValue[{place}].value"
                    unit = sample.unit.value if sample.unit else "no unit"
                    deviations.note(where, f"{sample.value[:60]!r} in {unit} is no {measurand.value}")
            samples.append(
                SampledValue(
                    number,
                    measurand,
                    PHASES[sample.phase],
                    CONTEXTS[sample.context],
                    LOCATIONS[sample.location],
                    signed,
                )
            )
        read.append(MeterValue(plain(value.timestamp), tuple(samples)))
    return tuple(read)


def _number(text: str, measurand: Measurand, unit: str | None) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if "_" in text:  # Python's own notation, which no meter means
        return None
    if EXPONENTS.get((measurand, unit)) == 0 and -1e15 < number < 1e15:
        return number
    return in_base_unit(number, measurand, unit)


def _signed(text: str) -> SignedMeterValue:
    if text.startswith("{"):
        try:
            wrapper = _WRAPPER.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return SignedMeterValue(text)
        return SignedMeterValue(
            wrapper.signed_meter_data, wrapper.encoding_method, wrapper.signing_method, wrapper.public_key
        )
    return SignedMeterValue(text)


def _signed_text(signed: SignedMeterValue) -> str:
    if _signed(signed.signed_data) == signed:
        return signed.signed_data
    wrapper = _Wrapper(signed.signed_data, signed.signing_method, signed.encoding_method, signed.public_key)
    return msgspec.json.encode(wrapper).decode()


def meter_values_said(values: Iterable[MeterValue]) -> tuple[m.MeterValue, ...]:
    """The same for MeterValues.req; empty when nothing of it can be said."""
    return tuple(
        m.MeterValue(timestamp=value.at, sampled_value=samples)
        for value in values
        if (samples := tuple(said for sample in value.samples for said in _samples_said(sample)))
    )


def _samples_said(sample: SampledValue) -> list[m.SampledValue]:
    measurand = _MEASURANDS_SAID.get(sample.measurand)
    if measurand is None:
        return []
    unit = _UNITS_SAID.get(BASE_UNITS[sample.measurand])
    said = []
    for text, value_format in _texts(sample):
        said.append(
            m.SampledValue(
                value=text,
                context=_CONTEXTS_SAID[sample.context],
                format=value_format,
                measurand=measurand,
                phase=_PHASES_SAID[sample.phase] if sample.phase else None,
                location=_LOCATIONS_SAID[sample.measuring_point],
                unit=unit,
            )
        )
    return said


def _texts(sample: SampledValue) -> Iterable[tuple[str, m.ValueFormat | None]]:
    """One sampled value has either a number or a signed text (§7.49); a sample with both becomes two."""
    if sample.value is not None:
        yield number_text(sample.value), None
    if sample.signed is not None:
        yield _signed_text(sample.signed), _SIGNED


def number_text(number: float) -> str:
    """A number as a meter writes it: without a fraction or an exponent where it has none."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


# The transaction's own register readings (§4.8, §4.10): meterStart and meterStop are integers in Wh


def register_at_start(at: datetime, meter_start: int) -> tuple[MeterValue, ...]:
    """What meterStart says."""
    return () if meter_start == NOT_SAID else (_register(at, meter_start, ReadingContext.TRANSACTION_BEGIN),)


def values_at_stop(
    at: datetime, meter_stop: int, transaction_data: Iterable[m.TransactionData] | None, deviations: Deviations
) -> tuple[MeterValue, ...]:
    """transactionData, and what meterStop says unless transactionData says it too."""
    values = meter_values(transaction_data or (), deviations, "transactionData")
    if meter_stop == NOT_SAID:
        return values
    for value in values:
        for sample in value.samples:
            if _is_final_register(sample) and sample.value is not None and round(sample.value) == meter_stop:
                return values
    return (*values, _register(at, meter_stop, ReadingContext.TRANSACTION_END))


def stop_said(at: datetime, values: tuple[MeterValue, ...]) -> tuple[int, tuple[m.TransactionData, ...] | None]:
    """meterStop and transactionData that `values_at_stop` turns back into `values`, but for meterStop's fraction."""
    meter_stop = register_said(values)
    if values and _is_meter_stop(values[-1], at):
        values = values[:-1]
    data = tuple(
        m.TransactionData(
            timestamp=value.timestamp,
            sampled_value=tuple(_for_transaction(sample) for sample in value.sampled_value),
        )
        for value in meter_values_said(values)
    )
    return meter_stop, data or None


def register_said(values: Iterable[MeterValue]) -> int:
    """The energy register in whole Wh; 0 from a station that has none (meterStart and meterStop are required)."""
    return round(energy_wh(values) or 0.0)


def _register(at: datetime, register_wh: int, context: ReadingContext) -> MeterValue:
    try:
        return MeterValue(at, (SampledValue(float(register_wh), context=context),))
    except OverflowError:
        raise Untranslatable(Cause.VALUE, "a meter register beyond all measure") from None


def _is_meter_stop(value: MeterValue, at: datetime) -> bool:
    """Whether it says what meterStop says, and no more."""
    register = SampledValue(value.samples[0].value if value.samples else None, context=ReadingContext.TRANSACTION_END)
    return value == MeterValue(at, (register,)) and register.value is not None


def _is_final_register(sample: SampledValue) -> bool:
    return (
        sample.measurand is Measurand.ENERGY_ACTIVE_IMPORT_REGISTER
        and sample.context is ReadingContext.TRANSACTION_END
        and sample.phase is None
    )


def _for_transaction(sample: m.SampledValue) -> m.TransactionSampledValue:
    return m.TransactionSampledValue(
        value=sample.value,
        context=sample.context,
        format=sample.format,
        measurand=sample.measurand,
        phase=sample.phase,
        location=sample.location,
        unit=_TRANSACTION_UNITS_SAID.get(sample.unit) if sample.unit else None,
    )
