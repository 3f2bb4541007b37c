"""The calls of OCPP 1.6 that stations make most, read in one pass. See `at_once` for what that promises.

The payloads are declared here once more, with plain texts where the schema has enumerations: whether words are the
schema's is looked up for the five of a sampled value together, with what they mean.
"""

from typing import Annotated, Final, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from forecourt.dialect.at_once import AtOnce, Integer, Known, settled
from forecourt.dialect.units import EXPONENTS
from forecourt.dialect.v16_meter import CONTEXTS, LOCATIONS, MEASURANDS, PHASES
from forecourt.domain.events import MeterSampled, Notice
from forecourt.domain.meter import Measurand, MeasuredPhase, MeasuringPoint, MeterValue, ReadingContext, SampledValue
from forecourt.messages import v16 as m
from forecourt.messages.base import Instant

_LARGEST: Final = 1e15
"""Beyond, a number is no reading that is known to be good."""


_Word = str | UnsetType


class _SampledValue(Struct, gc=False):
    value: str
    measurand: _Word = UNSET
    phase: _Word = UNSET
    context: _Word = UNSET
    location: _Word = UNSET
    unit: _Word = UNSET
    format: _Word = UNSET


class _MeterValue(Struct, gc=False, rename="camel"):
    timestamp: Instant
    sampled_value: Annotated[tuple[_SampledValue, ...], Meta(min_length=1)]


class _MeterValues(Struct, gc=False, rename="camel"):
    connector_id: Integer
    meter_value: Annotated[tuple[_MeterValue, ...], Meta(min_length=1)]
    transaction_id: Integer | UnsetType = UNSET


class _Kind(NamedTuple):
    """What the words of a sampled value mean: the fields of the domain's, in their order, but for the number."""

    measurand: Measurand
    phase: MeasuredPhase | None
    context: ReadingContext
    measuring_point: MeasuringPoint


_Words = tuple[_Word, _Word, _Word, _Word, _Word, _Word]


def _kind_of(words: _Words) -> _Kind | None:
    """None: no words of the schema, or such as need more than to be looked up."""
    measurand, phase, context, location, unit, value_format = words
    if value_format not in {UNSET, m.ValueFormat.RAW.value}:
        return None
    try:
        said_unit = None if unit is UNSET else m.UnitOfMeasure(unit)
        kind = _Kind(
            MEASURANDS[None if measurand is UNSET else m.Measurand(measurand)],
            PHASES[None if phase is UNSET else m.Phase(phase)],
            CONTEXTS[None if context is UNSET else m.ReadingContext(context)],
            LOCATIONS[None if location is UNSET else m.Location(location)],
        )
    except ValueError:
        return None
    return kind if EXPONENTS.get((kind.measurand, said_unit)) == 0 else None


_KINDS: Final[Known[_Words, _Kind]] = Known(_kind_of)


def _meter_values(wire: _MeterValues) -> Notice | None:
    read = []
    for value in wire.meter_value:
        samples = []
        for sample in value.sampled_value:
            kind = _KINDS[sample.measurand, sample.phase, sample.context, sample.location, sample.unit, sample.format]
            if kind is None:
                return None
            text = sample.value
            number = float(text)
            if not -_LARGEST < number < _LARGEST or "_" in text:  # Python's own notation, which no meter means
                return None
            measurand, phase, context, point = kind
            samples.append(SampledValue(number, measurand, phase, context, point))
        read.append(MeterValue(settled(value.timestamp), tuple(samples)))
    transaction_id = wire.transaction_id
    return Notice(
        (
            MeterSampled(
                evse_id=wire.connector_id,
                transaction_id=None if transaction_id is UNSET else str(transaction_id),
                meter_values=tuple(read),
            ),
        )
    )


AT_ONCE: Final = (AtOnce("MeterValues", _MeterValues, _meter_values),)
