"""Configuration keys and component variables translate into each other, for every text."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dialect.values import WORDS

from forecourt.dialect.port import Inexpressible
from forecourt.dialect.v16_keys import (
    KEY_COMPONENT,
    REFS,
    WITHOUT_COUNTERPART,
    key_of,
    mutability_of,
    ref_of,
    text_of,
    value_of,
)
from forecourt.domain.variable import AttributeType, Mutability, VariableRef

PUBLISHED = [
    "AllowOfflineTxForUnknownId",
    "AuthorizationCacheEnabled",
    "AuthorizeRemoteTxRequests",
    "BlinkRepeat",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "ConnectorPhaseRotationMaxLength",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LightIntensity",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MaxEnergyOnInvalidId",
    "MessageTimeout",
    "MeterValueSampleInterval",
    "MeterValuesAlignedData",
    "MeterValuesAlignedDataMaxLength",
    "MeterValuesSampledData",
    "MeterValuesSampledDataMaxLength",
    "MinimumStatusDuration",
    "NumberOfConnectors",
    "ResetRetries",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnAlignedData",
    "StopTxnAlignedDataMaxLength",
    "StopTxnSampledData",
    "StopTxnSampledDataMaxLength",
    "SupportedFeatureProfiles",
    "SupportedFeatureProfilesMaxLength",
    "SupportedFileTransferProtocols",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
    "WebSocketPingInterval",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "ConnectorSwitch3to1PhaseSupported",
    "MaxChargingProfilesInstalled",
    "LocalAuthListEnabled",
    "LocalAuthListMaxLength",
    "SendLocalListMaxLength",
    "ReserveConnectorZeroSupported",
    "AdditionalRootCertificateCheck",
    "AuthorizationKey",
    "CertificateSignedMaxChainSize",
    "CertificateStoreMaxLength",
    "CpoName",
    "SecurityProfile",
    "CentralContractValidationAllowed",
    "CertSigningRepeatTimes",
    "CertSigningWaitMinimum",
    "ContractValidationOffline",
    "ISO15118PnCEnabled",
]
"""The keys of OCPP 1.6 edition 2 with errata 4, OCPP-J 1.6, the security white paper and the ISO 15118 note."""

AMONG = [*REFS, *WITHOUT_COUNTERPART]


def test_every_published_key_is_known() -> None:
    assert set(PUBLISHED) <= set(AMONG)
    assert len(AMONG) == len(set(AMONG))
    assert len(set(REFS.values())) == len(REFS)


@pytest.mark.parametrize("key", AMONG)
def test_a_known_key_comes_back_in_its_spelling(key: str) -> None:
    for spelling in (key, key.lower(), key.upper()):
        assert key_of(ref_of(spelling)) == key


@given(st.text(max_size=50))
def test_any_text_comes_back(key: str) -> None:
    assert key_of(ref_of(key)).casefold() == key.casefold()
    assert ref_of(key_of(ref_of(key))) == ref_of(key)


@given(WORDS["ocpp2.0.1"].refs)
def test_a_variable_has_its_key_or_none(ref: VariableRef) -> None:
    try:
        key = key_of(ref)
    except Inexpressible:
        return
    assert ref_of(key) == ref


@pytest.mark.parametrize("key", ["MeterPublicKey1", "MeterPublicKey12"])
def test_a_meter_has_its_public_key(key: str) -> None:
    ref = ref_of(key)
    assert (ref.component, ref.variable, ref.evse_id) == ("FiscalMetering", "PublicKey", int(key[14:]))
    assert key_of(ref) == key


@pytest.mark.parametrize("key", ["MeterPublicKey", "MeterPublicKey01", "MeterPublicKeyX", "MeterPublicKey²", "FooBar"])
def test_what_only_looks_like_it_is_a_key_of_its_own(key: str) -> None:
    assert ref_of(key) == VariableRef(KEY_COMPONENT, key)


@pytest.mark.parametrize(
    "ref",
    [
        VariableRef("EVSE", "Power", evse_id=1),
        VariableRef("OCPPCommCtrlr", "HeartbeatInterval", attribute=AttributeType.MAX_SET),
        VariableRef("OCPPCommCtrlr", "HeartbeatInterval", variable_instance="x"),
        VariableRef(KEY_COMPONENT, "Foo", component_instance="x"),
        VariableRef("FiscalMetering", "PublicKey"),
    ],
)
def test_what_has_no_key_is_refused(ref: VariableRef) -> None:
    with pytest.raises(Inexpressible, match=re.escape(ref.variable)):
        key_of(ref)


def test_rate_units_are_the_only_words_that_differ() -> None:
    rate_unit = ref_of("ChargingScheduleAllowedChargingRateUnit")
    assert value_of(rate_unit, "Current, power") == "A,W"
    assert text_of(rate_unit, "A,W") == "Current,Power"
    assert value_of(ref_of("SupportedFeatureProfiles"), "Current,Power") == "Current,Power"
    measurands = ref_of("MeterValuesSampledData")
    assert text_of(measurands, "Power.Active.Import,SoC") == "Power.Active.Import,SoC"


def test_the_password_is_write_only_whatever_a_station_says() -> None:
    assert mutability_of(ref_of("AuthorizationKey"), readonly=False) is Mutability.WRITE_ONLY
    assert mutability_of(ref_of("authorizationkey"), readonly=True) is Mutability.WRITE_ONLY
    assert mutability_of(ref_of("HeartbeatInterval"), readonly=True) is Mutability.READ_ONLY


def test_counterparts_are_named_in_no_other_module() -> None:
    """The table is the only place where a key of 1.6 meets a variable of 2.0.1."""
    source = Path(__file__).parents[2] / "src" / "forecourt" / "dialect"
    elsewhere = [path for path in source.glob("*.py") if path.name != "v16_keys.py"]
    distinct = [key for key in REFS if key not in {ref.variable for ref in REFS.values()}]
    assert [path.name for path in elsewhere for key in distinct if f'"{key}"' in path.read_text()] == []
