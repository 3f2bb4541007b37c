"""Meter values arrive in base units, whatever the station writes; what can't be known is not guessed."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.dialect import by_subprotocol
from forecourt.dialect.port import Inexpressible, Untranslatable
from forecourt.dialect.units import EXPONENTS, UNITS, in_base_unit
from forecourt.domain.events import MeterSampled, Notice, TransactionEnded
from forecourt.domain.meter import (
    BASE_UNITS,
    Measurand,
    MeterValue,
    ReadingContext,
    SampledValue,
    SignedMeterValue,
    energy_wh,
)
from forecourt.rpc.errors import Cause

V16 = by_subprotocol("ocpp1.6")
V201 = by_subprotocol("ocpp2.0.1")
AT = "2024-01-31T08:15:30Z"


def heard_16(*samples: dict[str, Any], strict: bool = False) -> tuple[tuple[SampledValue, ...], tuple[str, ...]]:
    payload = {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": list(samples)}]}
    decoded = V16.decode_call("MeterValues", json.dumps(payload).encode(), strict=strict)
    return samples_of(decoded.value), decoded.violations


def heard_201(*samples: dict[str, Any], strict: bool = False) -> tuple[tuple[SampledValue, ...], tuple[str, ...]]:
    payload = {"evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": list(samples)}]}
    decoded = V201.decode_call("MeterValues", json.dumps(payload).encode(), strict=strict)
    return samples_of(decoded.value), decoded.violations


def samples_of(call: Any) -> tuple[SampledValue, ...]:
    assert isinstance(call, Notice)
    (event,) = call.events
    assert isinstance(event, MeterSampled)
    (value,) = event.meter_values
    return value.samples


def test_what_is_not_said_has_its_default() -> None:
    expected = (SampledValue(1200.0),)
    assert heard_16({"value": "1200"}) == (expected, ())
    assert heard_201({"value": 1200}) == (expected, ())
    assert expected[0].measurand is Measurand.ENERGY_ACTIVE_IMPORT_REGISTER
    assert expected[0].context is ReadingContext.SAMPLE_PERIODIC


@pytest.mark.parametrize(
    ("text", "unit", "measurand", "value"),
    [
        ("12.5", "kWh", "Energy.Active.Import.Register", 12500.0),
        ("4.35", "kWh", "Energy.Active.Import.Register", 4350.0),
        ("1.0051", "kWh", "Energy.Active.Import.Interval", 1005.1),
        ("-7.4", "kW", "Power.Active.Import", -7400.0),
        ("1.5", "kvarh", "Energy.Reactive.Import.Register", 1500.0),
        ("11", "kVA", "Power.Offered", 11000.0),
        ("16", "A", "Current.Offered", 16.0),
        ("50.01", "Hertz", "Frequency", 50.01),
        ("50.01", None, "Frequency", 50.01),
        ("21", "Celcius", "Temperature", 21.0),
        ("21", "Celsius", "Temperature", 21.0),
        ("69.8", "Fahrenheit", "Temperature", 21.0),
        ("294.15", "K", "Temperature", 21.0),
        ("98", "Percent", "Power.Factor", 0.98),
        ("0.98", None, "Power.Factor", 0.98),
        ("80", "Percent", "SoC", 80.0),
        (" 230.1 ", "V", "Voltage", 230.1),
        ("1e3", "W", "Power.Active.Import", 1000.0),
    ],
)
def test_units_of_1_6(text: str, unit: str | None, measurand: str, value: float) -> None:
    sample = {"value": text, "measurand": measurand} | ({"unit": unit} if unit else {})
    samples, violations = heard_16(sample, strict=True)
    assert [sample.value for sample in samples] == [value]
    assert violations == ()


@pytest.mark.parametrize(
    ("number", "unit", "measurand", "value"),
    [
        (12.5, {"unit": "kWh"}, "Energy.Active.Import.Register", 12500.0),
        (125, {"unit": "Wh", "multiplier": 2}, "Energy.Active.Import.Register", 12500.0),
        (125, {"multiplier": 2}, "Energy.Active.Import.Register", 12500.0),
        (43500, {"unit": "kWh", "multiplier": -4}, "Energy.Active.Import.Register", 4350.0),
        (2301, {"unit": "V", "multiplier": -1}, "Voltage", 230.1),
        (50, {"unit": "Hz"}, "Frequency", 50.0),
        (7.4, {"unit": "kVAh"}, "Energy.Apparent.Import", 7400.0),
    ],
)
def test_units_of_2_0_1(number: float, unit: dict[str, Any], measurand: str, value: float) -> None:
    samples, violations = heard_201({"value": number, "measurand": measurand, "unitOfMeasure": unit}, strict=True)
    assert [sample.value for sample in samples] == [value]
    assert violations == ()


@pytest.mark.parametrize(
    "sample",
    [
        {"value": "n/a"},
        {"value": ""},
        {"value": "1,5"},
        {"value": "1_0"},
        {"value": "nan"},
        {"value": "-inf"},
        {"value": "1e999"},
        {"value": "1", "unit": "A"},
        {"value": "1", "unit": "kWh", "measurand": "Power.Active.Import"},
        {"value": "1", "unit": "K", "measurand": "Voltage"},
    ],
)
def test_what_is_no_number_or_another_unit_is_kept_without_value(sample: dict[str, Any]) -> None:
    good = {"value": "1", "measurand": "Current.Import", "unit": "A"}
    samples, violations = heard_16(sample, good)
    assert [sample.value for sample in samples] == [None, 1.0]
    assert [violation.split(":")[0] for violation in violations] == ["meterValue[0].sampledValue[0].value"]
    with pytest.raises(Untranslatable) as refusal:
        heard_16(sample, good, strict=True)
    assert refusal.value.cause is Cause.VALUE


@pytest.mark.parametrize(
    "unit", [{"unit": "A"}, {"unit": "Furlong"}, {"multiplier": 25}, {"multiplier": -(10**30)}, {"unit": "K"}]
)
def test_the_same_in_2_0_1(unit: dict[str, Any]) -> None:
    samples, violations = heard_201({"value": 1, "unitOfMeasure": unit})
    assert [sample.value for sample in samples] == [None]
    assert [violation.split(":")[0] for violation in violations] == ["meterValue[0].sampledValue[0]"]


def test_a_number_where_1_6_has_text_is_forgiven() -> None:
    samples, violations = heard_16({"value": 230.1, "measurand": "Voltage", "unit": "V"})
    assert [sample.value for sample in samples] == [230.1]
    assert len(violations) == 1


@given(st.sampled_from(sorted(EXPONENTS, key=str)), st.floats(-1e9, 1e9), st.integers(-3, 3))
def test_scaling_is_as_exact_as_a_millionth(fit: tuple[Measurand, str | None], number: float, multiplier: int) -> None:
    measurand, unit = fit
    value = in_base_unit(number, measurand, unit, multiplier)
    assert value is not None
    assert math.isclose(value, number * 10.0 ** (EXPONENTS[fit] + multiplier), rel_tol=1e-12, abs_tol=1e-6)


def test_every_base_unit_is_its_own() -> None:
    for measurand, base in BASE_UNITS.items():
        assert not base or base == "rpm" or UNITS[base] == (base, 0)
        assert in_base_unit(5.0, measurand, None) == 5.0


SIGNED = SignedMeterValue("OCMF|{}|{}", "OCMF", "ECDSA-secp256r1-SHA256", "b2NhOmJhc2UxNg==")


def test_a_signed_value_is_carried_untouched() -> None:
    text = "  AF00 verbatim\n"
    samples, violations = heard_16({"value": text, "format": "SignedData", "context": "Transaction.End"}, strict=True)
    assert samples == (SampledValue(None, context=ReadingContext.TRANSACTION_END, signed=SignedMeterValue(text)),)
    assert violations == ()


@pytest.mark.parametrize(
    "text", ['{"not":"the wrapper"}', "{", '{"signedMeterData":1}', "{" * 5000, '{"signedMeterData":"x"}']
)
def test_what_is_not_the_white_papers_wrapper_is_carried_as_it_is(text: str) -> None:
    samples, _violations = heard_16({"value": text, "format": "SignedData"})
    assert samples[0].signed == SignedMeterValue(text)


def test_the_white_papers_wrapper_says_what_2_0_1_says() -> None:
    wire = {
        "signedMeterData": SIGNED.signed_data,
        "signingMethod": SIGNED.signing_method,
        "encodingMethod": SIGNED.encoding_method,
        "publicKey": SIGNED.public_key,
    }
    (wrapped,), _ = heard_16({"value": json.dumps(wire, indent=1), "format": "SignedData"}, strict=True)
    (native,), _ = heard_201({"value": 5, "signedMeterValue": wire}, strict=True)
    assert wrapped.signed == native.signed == SIGNED
    assert (wrapped.value, native.value) == (None, 5.0)


def test_2_0_1_needs_the_number_beside_a_signature() -> None:
    values = (MeterValue(datetime_of(AT), (SampledValue(None, signed=SIGNED),)),)
    with pytest.raises(Inexpressible):
        V201.encode_call(Notice((MeterSampled(evse_id=1, meter_values=values),)), str)


def datetime_of(text: str) -> Any:
    (sampled,) = V16.decode_call(
        "MeterValues",
        json.dumps({"connectorId": 1, "meterValue": [{"timestamp": text, "sampledValue": [{"value": "1"}]}]}).encode(),
    ).value.events  # type: ignore[union-attr]
    assert isinstance(sampled, MeterSampled)
    return sampled.meter_values[0].at


def stopped(meter_stop: int, *values: dict[str, Any]) -> TransactionEnded:
    payload: dict[str, Any] = {"transactionId": 7, "meterStop": meter_stop, "timestamp": AT}
    if values:
        payload["transactionData"] = [{"timestamp": AT, "sampledValue": list(values)}]
    call = V16.decode_call("StopTransaction", json.dumps(payload).encode(), strict=True).value
    assert isinstance(call, Notice)
    (event,) = call.events
    assert isinstance(event, TransactionEnded)
    return event


def test_meter_stop_is_the_last_reading_unless_transaction_data_says_it() -> None:
    end = {"value": "128.7504", "unit": "kWh", "context": "Transaction.End"}
    assert energy_wh(stopped(128750).meter_values) == 128750.0
    assert energy_wh(stopped(128750, end).meter_values) == 128750.4
    assert len(stopped(128750, end).meter_values) == 1
    assert energy_wh(stopped(130000, end).meter_values) == 130000.0  # they contradict: meterStop is what is billed
    assert energy_wh(stopped(128750, end | {"phase": "L1"}).meter_values) == 128750.0


@pytest.mark.parametrize("meter_start", [10**400, -(10**309)])
def test_a_register_beyond_all_measure_is_refused(meter_start: int) -> None:
    payload = f'{{"connectorId":1,"idTag":"x","meterStart":{meter_start},"timestamp":"{AT}"}}'
    with pytest.raises(Untranslatable) as refusal:
        V16.decode_call("StartTransaction", payload.encode())
    assert refusal.value.cause is Cause.VALUE
