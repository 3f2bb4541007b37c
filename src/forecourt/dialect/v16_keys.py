"""Configuration keys of OCPP 1.6 and the component variables that say the same in OCPP 2.0.1.

Guarantees
* `ref_of` and `key_of` are inverse to each other, for every text: a key that has no counterpart, known or a vendor's,
  is the variable of its own name of the component "ConfigurationKey". Keys compare without regard to case (§7.29).
* A counterpart means the same and has the same kind of value. Where 2.0.1 says it as the limit of another variable
  (the MaxLength keys, MaxChargingProfilesInstalled, ...) there is none.
* `value_of` and `text_of` translate the few values whose words differ; all other values stay as they are.

Sources: OCPP 1.6 §9 and errata 4.0; OCPP-J 1.6 §7; security white paper edition 3 §7; application note on ISO 15118
plug and charge §9; white paper on signed meter values §3.3 and §4.3; California pricing requirements; OCPP 2.0.1
appendices §4 (dm_components_vars.csv).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from forecourt.dialect.port import Inexpressible
from forecourt.domain.variable import AttributeType, Mutability, VariableRef

KEY_COMPONENT: Final = "ConfigurationKey"
"""The component of keys that OCPP 2.0.1 has no name for."""

REFS: Final[Mapping[str, VariableRef]] = MappingProxyType(
    {
        # Core
        "AllowOfflineTxForUnknownId": VariableRef("AuthCtrlr", "OfflineTxForUnknownIdEnabled"),
        "AuthorizationCacheEnabled": VariableRef("AuthCacheCtrlr", "Enabled"),
        "AuthorizeRemoteTxRequests": VariableRef("AuthCtrlr", "AuthorizeRemoteStart"),
        "ClockAlignedDataInterval": VariableRef("AlignedDataCtrlr", "Interval"),
        "ConnectionTimeOut": VariableRef("TxCtrlr", "EVConnectionTimeOut"),
        "GetConfigurationMaxKeys": VariableRef("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables"),
        "HeartbeatInterval": VariableRef("OCPPCommCtrlr", "HeartbeatInterval"),
        "LocalAuthorizeOffline": VariableRef("AuthCtrlr", "LocalAuthorizeOffline"),
        "LocalPreAuthorize": VariableRef("AuthCtrlr", "LocalPreAuthorize"),
        "MaxEnergyOnInvalidId": VariableRef("TxCtrlr", "MaxEnergyOnInvalidId"),
        "MessageTimeout": VariableRef("OCPPCommCtrlr", "MessageTimeout", "Default"),
        "MeterValueSampleInterval": VariableRef("SampledDataCtrlr", "TxUpdatedInterval"),
        "MeterValuesAlignedData": VariableRef("AlignedDataCtrlr", "Measurands"),
        "MeterValuesSampledData": VariableRef("SampledDataCtrlr", "TxUpdatedMeasurands"),
        "MinimumStatusDuration": VariableRef("ChargingStation", "MinimumStatusDuration"),
        "ResetRetries": VariableRef("OCPPCommCtrlr", "ResetRetries"),
        "StopTransactionOnEVSideDisconnect": VariableRef("TxCtrlr", "StopTxOnEVSideDisconnect"),
        "StopTransactionOnInvalidId": VariableRef("TxCtrlr", "StopTxOnInvalidId"),
        "StopTxnAlignedData": VariableRef("AlignedDataCtrlr", "TxEndedMeasurands"),
        "StopTxnSampledData": VariableRef("SampledDataCtrlr", "TxEndedMeasurands"),
        "SupportedFileTransferProtocols": VariableRef("OCPPCommCtrlr", "FileTransferProtocols"),
        "TransactionMessageAttempts": VariableRef("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"),
        "TransactionMessageRetryInterval": VariableRef("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"),
        "UnlockConnectorOnEVSideDisconnect": VariableRef("OCPPCommCtrlr", "UnlockOnEVSideDisconnect"),
        "WebSocketPingInterval": VariableRef("OCPPCommCtrlr", "WebSocketPingInterval"),
        # Local Auth List Management, Reservation
        "LocalAuthListEnabled": VariableRef("LocalAuthListCtrlr", "Enabled"),
        "SendLocalListMaxLength": VariableRef("LocalAuthListCtrlr", "ItemsPerMessage"),
        "ReserveConnectorZeroSupported": VariableRef("ReservationCtrlr", "NonEvseSpecific"),
        # Smart Charging
        "ChargeProfileMaxStackLevel": VariableRef("SmartChargingCtrlr", "ProfileStackLevel"),
        "ChargingScheduleAllowedChargingRateUnit": VariableRef("SmartChargingCtrlr", "RateUnit"),
        "ChargingScheduleMaxPeriods": VariableRef("SmartChargingCtrlr", "PeriodsPerSchedule"),
        "ConnectorSwitch3to1PhaseSupported": VariableRef("SmartChargingCtrlr", "Phases3to1"),
        # Security
        "AdditionalRootCertificateCheck": VariableRef("SecurityCtrlr", "AdditionalRootCertificateCheck"),
        "AuthorizationKey": VariableRef("SecurityCtrlr", "BasicAuthPassword"),
        "CertificateSignedMaxChainSize": VariableRef("SecurityCtrlr", "MaxCertificateChainSize"),
        "CertSigningRepeatTimes": VariableRef("SecurityCtrlr", "CertSigningRepeatTimes"),
        "CertSigningWaitMinimum": VariableRef("SecurityCtrlr", "CertSigningWaitMinimum"),
        "CpoName": VariableRef("SecurityCtrlr", "OrganizationName"),
        "SecurityProfile": VariableRef("SecurityCtrlr", "SecurityProfile"),
        # Plug and charge
        "CentralContractValidationAllowed": VariableRef("ISO15118Ctrlr", "CentralContractValidationAllowed"),
        "ContractValidationOffline": VariableRef("ISO15118Ctrlr", "ContractValidationOffline"),
        "ISO15118PnCEnabled": VariableRef("ISO15118Ctrlr", "PnCEnabled"),
        # Signed meter values
        "AlignedDataSignReadings": VariableRef("AlignedDataCtrlr", "SignReadings"),
        "AlignedDataSignUpdatedReadings": VariableRef("AlignedDataCtrlr", "SignUpdatedReadings"),
        "PublicKeyWithSignedMeterValue": VariableRef("OCPPCommCtrlr", "PublicKeyWithSignedMeterValue"),
        "SampledDataSignReadings": VariableRef("SampledDataCtrlr", "SignReadings"),
        "SampledDataSignStartedReadings": VariableRef("SampledDataCtrlr", "SignStartedReadings"),
        "SampledDataSignUpdatedReadings": VariableRef("SampledDataCtrlr", "SignUpdatedReadings"),
        "StartTxnSampledData": VariableRef("SampledDataCtrlr", "TxStartedMeasurands"),
        # California pricing
        "NextTimeOffsetTransitionDateTime": VariableRef("ClockCtrlr", "NextTimeOffsetTransitionDateTime"),
        "TimeOffset": VariableRef("ClockCtrlr", "TimeOffset"),
    }
)
"""The keys that have a counterpart."""

WITHOUT_COUNTERPART: Final = (
    # Core
    "BlinkRepeat",
    "ConnectorPhaseRotation",
    "ConnectorPhaseRotationMaxLength",
    "LightIntensity",
    "MeterValuesAlignedDataMaxLength",
    "MeterValuesSampledDataMaxLength",
    "NumberOfConnectors",
    "StopTxnAlignedDataMaxLength",
    "StopTxnSampledDataMaxLength",
    "SupportedFeatureProfiles",
    "SupportedFeatureProfilesMaxLength",
    # Local Auth List Management, Smart Charging, Security
    "LocalAuthListMaxLength",
    "MaxChargingProfilesInstalled",
    "CertificateStoreMaxLength",
    # California pricing
    "CustomDisplayCostAndPrice",
    "CustomIdleFeeAfterStop",
    "CustomMultiLanguageMessages",
    "DefaultPrice",
    "DefaultPriceText",
    "Language",
    "NumberOfDecimalsForCostValues",
    "SupportedLanguages",
    "TimeOffsetNextTransition",
    "WaitForSetUserPriceTimeout",
)
"""The other keys with a published name: `ref_of` gives them in this spelling, whatever the case they come in."""

WRITE_ONLY: Final = frozenset({REFS["AuthorizationKey"]})
"""What is never told (OCPP-J 1.6 §6.2.2; security white paper §7.2)."""

_METER_PUBLIC_KEY: Final = "MeterPublicKey"
"""The stem of one key for each connector: MeterPublicKey1, MeterPublicKey2, ..."""

_RATE_UNITS: Final = {"current": "A", "power": "W"}
_RATE_UNIT_WORDS: Final = {"A": "Current", "W": "Power"}
_RATE_UNIT: Final = REFS["ChargingScheduleAllowedChargingRateUnit"]

_BY_FOLDED_KEY: Final = {key.casefold(): ref for key, ref in REFS.items()} | {
    key.casefold(): VariableRef(KEY_COMPONENT, key) for key in WITHOUT_COUNTERPART
}
_BY_REF: Final = {ref: key for key, ref in REFS.items()}


def ref_of(key: str) -> VariableRef:
    """The variable that `key` means."""
    ref = _BY_FOLDED_KEY.get(key.casefold())
    if ref is not None:
        return ref
    connector = key[len(_METER_PUBLIC_KEY) :]
    if key.startswith(_METER_PUBLIC_KEY) and _is_plain_number(connector):
        return VariableRef("FiscalMetering", "PublicKey", evse_id=int(connector))
    return VariableRef(KEY_COMPONENT, key)


def key_of(ref: VariableRef) -> str:
    """The key that means `ref`.

    Raises:
        Inexpressible: 1.6 has no key for it.
    """
    key = _BY_REF.get(ref)
    if key is not None:
        return key
    if ref.component == KEY_COMPONENT and ref == VariableRef(KEY_COMPONENT, ref.variable):
        return ref.variable
    if ref.evse_id is not None and ref == VariableRef("FiscalMetering", "PublicKey", evse_id=ref.evse_id):
        return f"{_METER_PUBLIC_KEY}{ref.evse_id}"
    attribute = "" if ref.attribute is AttributeType.ACTUAL else f" ({ref.attribute.value})"
    raise Inexpressible(f"no configuration key for {ref}{attribute}")


def has_key(ref: VariableRef) -> bool:
    """Whether 1.6 has a key for it."""
    try:
        key_of(ref)
    except Inexpressible:
        return False
    return True


def mutability_of(ref: VariableRef, *, readonly: bool) -> Mutability:
    """What `readonly` of a key means."""
    if ref in WRITE_ONLY:
        return Mutability.WRITE_ONLY
    return Mutability.READ_ONLY if readonly else Mutability.READ_WRITE


def value_of(ref: VariableRef, text: str) -> str:
    """The value that 1.6 writes as `text` (§9.4.2: Current, Power; in OCPP 2.0.1: A, W)."""
    if ref != _RATE_UNIT:
        return text
    return ",".join(_RATE_UNITS.get(word.strip().casefold(), word) for word in text.split(","))


def text_of(ref: VariableRef, value: str) -> str:
    """How 1.6 writes `value`."""
    if ref != _RATE_UNIT:
        return value
    return ",".join(_RATE_UNIT_WORDS.get(word.strip(), word) for word in value.split(","))


def _is_plain_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and not text.startswith("0")
