"""Every variable of the station in one table: type, range, access, default, whether it needs a reboot, what it does.

Guarantees
* Names are those of the OCPP 2.0.1 appendices where these have one (`standard`); the dialects know other names.
* What stands here does something: a variable that is stored and not obeyed is a defect.
* What the station can do in smart charging is told by rows of its own (OCPP 1.6 §3.13.5).
* The documentation page is generated from this table.
"""

import re
from typing import Final

from forecourt.domain.variable import Mutability, VariableRef
from forecourt.station.extension_variables import EXTENSIONS
from forecourt.station.variable_spec import KEY, Kind, VariableSpec
from forecourt.station.variable_spec import fixed as _fixed
from forecourt.station.variable_spec import following as _following
from forecourt.station.variable_spec import measurands as _measurands
from forecourt.station.variable_spec import most_members as _most_members
from forecourt.station.variable_spec import number as _number
from forecourt.station.variable_spec import of_hardware as _of_hardware
from forecourt.station.variable_spec import outside as _outside
from forecourt.station.variable_spec import own as _own
from forecourt.station.variable_spec import switch as _switch

R = VariableRef
_KEY: Final = KEY

HEARTBEAT_INTERVAL: Final = R("OCPPCommCtrlr", "HeartbeatInterval")
MESSAGE_TIMEOUT: Final = R("OCPPCommCtrlr", "MessageTimeout", "Default")
MESSAGE_ATTEMPTS: Final = R("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent")
MESSAGE_ATTEMPT_INTERVAL: Final = R("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent")
RESET_RETRIES: Final = R("OCPPCommCtrlr", "ResetRetries")
UNLOCK_ON_EV_SIDE_DISCONNECT: Final = R("OCPPCommCtrlr", "UnlockOnEVSideDisconnect")
WEBSOCKET_PING_INTERVAL: Final = R("OCPPCommCtrlr", "WebSocketPingInterval")
FILE_TRANSFER_PROTOCOLS: Final = R("OCPPCommCtrlr", "FileTransferProtocols")
AUTHORIZE_REMOTE_START: Final = R("AuthCtrlr", "AuthorizeRemoteStart")
LOCAL_AUTHORIZE_OFFLINE: Final = R("AuthCtrlr", "LocalAuthorizeOffline")
LOCAL_PRE_AUTHORIZE: Final = R("AuthCtrlr", "LocalPreAuthorize")
OFFLINE_TX_FOR_UNKNOWN_ID: Final = R("AuthCtrlr", "OfflineTxForUnknownIdEnabled")
CACHE_ENABLED: Final = R("AuthCacheCtrlr", "Enabled")
CACHE_LIFE_TIME: Final = R("AuthCacheCtrlr", "LifeTime")
CACHE_POLICY: Final = R("AuthCacheCtrlr", "Policy")
CACHE_FINAL: Final = R("AuthCacheCtrlr", "DisablePostAuthorize")
LIST_ENABLED: Final = R("LocalAuthListCtrlr", "Enabled")
LIST_ENTRIES: Final = R("LocalAuthListCtrlr", "Entries")
LIST_FINAL: Final = R("LocalAuthListCtrlr", "DisablePostAuthorize")
LIST_ITEMS_PER_MESSAGE: Final = R("LocalAuthListCtrlr", "ItemsPerMessage")
LIST_MOST_ENTRIES: Final = R(_KEY, "LocalAuthListMaxLength")
CONNECTION_TIMEOUT: Final = R("TxCtrlr", "EVConnectionTimeOut")
STOP_ON_EV_SIDE_DISCONNECT: Final = R("TxCtrlr", "StopTxOnEVSideDisconnect")
STOP_ON_INVALID_ID: Final = R("TxCtrlr", "StopTxOnInvalidId")
MAX_ENERGY_ON_INVALID_ID: Final = R("TxCtrlr", "MaxEnergyOnInvalidId")
TX_BEFORE_ACCEPTED: Final = R("TxCtrlr", "TxBeforeAcceptedEnabled")
RESUMPTION_TIMEOUT: Final = R("TxCtrlr", "ResumptionTimeout")
SAMPLED_INTERVAL: Final = R("SampledDataCtrlr", "TxUpdatedInterval")
SAMPLED_MEASURANDS: Final = R("SampledDataCtrlr", "TxUpdatedMeasurands")
STARTED_MEASURANDS: Final = R("SampledDataCtrlr", "TxStartedMeasurands")
ENDED_INTERVAL: Final = R("SampledDataCtrlr", "TxEndedInterval")
ENDED_MEASURANDS: Final = R("SampledDataCtrlr", "TxEndedMeasurands")
ENDED_MOST_VALUES: Final = R(_KEY, "StopTransactionMaxMeterValues")
ALIGNED_INTERVAL: Final = R("AlignedDataCtrlr", "Interval")
ALIGNED_MEASURANDS: Final = R("AlignedDataCtrlr", "Measurands")
ALIGNED_ENDED_INTERVAL: Final = R("AlignedDataCtrlr", "TxEndedInterval")
ALIGNED_ENDED_MEASURANDS: Final = R("AlignedDataCtrlr", "TxEndedMeasurands")
RESERVATION_ENABLED: Final = R("ReservationCtrlr", "Enabled")
RESERVE_ANY_EVSE: Final = R("ReservationCtrlr", "NonEvseSpecific")
MINIMUM_STATUS_DURATION: Final = R("ChargingStation", "MinimumStatusDuration")
NUMBER_OF_CONNECTORS: Final = R(_KEY, "NumberOfConnectors")
PHASE_ROTATION: Final = R(_KEY, "ConnectorPhaseRotation")
PHASE_ROTATION_LENGTH: Final = R(_KEY, "ConnectorPhaseRotationMaxLength")
LIGHT_INTENSITY: Final = R(_KEY, "LightIntensity")
BLINK_REPEAT: Final = R(_KEY, "BlinkRepeat")
SUPPLY_PHASES: Final = R("ChargingStation", "SupplyPhases")
REQUIRED_ERROR_CODES: Final = R(KEY, "MinimumRequiredErrorCodes")
MODEL: Final = R("ChargingStation", "Model")
VENDOR_NAME: Final = R("ChargingStation", "VendorName")
ITEMS_PER_GET: Final = R("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables")
ITEMS_PER_SET: Final = R("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables")
TIME_SOURCE: Final = R("ClockCtrlr", "TimeSource")
ORGANIZATION_NAME: Final = R("SecurityCtrlr", "OrganizationName")
SECURITY_PROFILE: Final = R("SecurityCtrlr", "SecurityProfile")
BASIC_AUTH_PASSWORD: Final = R("SecurityCtrlr", "BasicAuthPassword")
ADDITIONAL_ROOT_CHECK: Final = R("SecurityCtrlr", "AdditionalRootCertificateCheck")
CERTIFICATE_WAIT: Final = R("SecurityCtrlr", "CertSigningWaitMinimum")
CERTIFICATE_REPEATS: Final = R("SecurityCtrlr", "CertSigningRepeatTimes")
CONNECTION_ATTEMPTS: Final = R("OCPPCommCtrlr", "NetworkProfileConnectionAttempts")
CERTIFICATE_CHAIN_SIZE: Final = R("SecurityCtrlr", "MaxCertificateChainSize")
CERTIFICATE_STORE_LENGTH: Final = R(_KEY, "CertificateStoreMaxLength")
FEATURE_PROFILES: Final = R(_KEY, "SupportedFeatureProfiles")
FEATURE_PROFILES_LENGTH: Final = R(_KEY, "SupportedFeatureProfilesMaxLength")
MOST_PROFILES: Final = R(_KEY, "MaxChargingProfilesInstalled")
PROFILE_STACK_LEVEL: Final = R("SmartChargingCtrlr", "ProfileStackLevel")
PERIODS_PER_SCHEDULE: Final = R("SmartChargingCtrlr", "PeriodsPerSchedule")
RATE_UNIT: Final = R("SmartChargingCtrlr", "RateUnit")
PHASES_3_TO_1: Final = R("SmartChargingCtrlr", "Phases3to1")

PROFILES: Final = ("Core", "LocalAuthListManagement", "Reservation", "SmartCharging", "RemoteTrigger")
"""Feature profiles that the station has by itself."""
FIRMWARE_MANAGEMENT: Final = "FirmwareManagement"
"""The one that needs a system behind the station."""

_MOST_CONNECTORS: Final = 128
_MOST_FEATURE_PROFILES: Final = 8


_ROTATION: Final = re.compile(r"^[0-9]{1,3}\.(NotApplicable|Unknown|RST|RTS|SRT|STR|TRS|TSR)$")


def _check_rotation(text: str) -> str | None:
    """OCPP 1.6 §9.1.8: `0.RST,1.STR`, or without connectors the word for all of them."""
    members = [part.strip() for part in text.split(",") if part.strip()]
    if len(members) == 1 and _ROTATION.match(f"0.{members[0]}"):
        return None
    return None if all(_ROTATION.match(member) for member in members) else "expected rotations such as 1.RST"


_DAY_S: Final = 86_400
_ENERGY: Final = "Energy.Active.Import.Register"

TABLE: Final[tuple[VariableSpec, ...]] = (
    _number(
        HEARTBEAT_INTERVAL,
        300,
        "Silence towards the CSMS after which a heartbeat is sent; the CSMS's answer to a boot sets it too.",
        unit="s",
        minimum=1,
    ),
    _outside(_number(MESSAGE_TIMEOUT, 30, "How long an answer of the CSMS is waited for.", unit="s", minimum=1)),
    _number(
        MESSAGE_ATTEMPTS,
        3,
        "How often a transaction message that the CSMS refuses is sent before it is set aside; 0: for ever.",
        maximum=65_535,
    ),
    _number(
        MESSAGE_ATTEMPT_INTERVAL,
        60,
        "Wait before a transaction message is sent again, times the number of its transmissions so far.",
        unit="s",
    ),
    _number(RESET_RETRIES, 1, "How often a restart that failed is tried again."),
    _switch(UNLOCK_ON_EV_SIDE_DISCONNECT, True, "Release the plug when the cable is pulled out of the car."),
    _outside(_number(WEBSOCKET_PING_INTERVAL, 60, "Between pings of the WebSocket; 0: none.", unit="s")),
    _of_hardware(_fixed(FILE_TRANSFER_PROTOCOLS, Kind.MEMBERS, "", "Protocols for uploads and downloads.")),
    _switch(AUTHORIZE_REMOTE_START, False, "Ask the CSMS about the token of a remote start before obeying it."),
    _switch(LOCAL_AUTHORIZE_OFFLINE, True, "While offline, accept tokens that the station itself knows to be valid."),
    _switch(LOCAL_PRE_AUTHORIZE, False, "While online, accept tokens that the station itself knows without asking."),
    _switch(OFFLINE_TX_FOR_UNKNOWN_ID, False, "While offline, accept tokens that the station knows nothing of."),
    _switch(CACHE_ENABLED, True, "Remember what the CSMS says of tokens; switched off, the cache is emptied."),
    _number(
        CACHE_LIFE_TIME,
        0,
        "A token not used for this long is expired in the cache; 0: as long as the CSMS said.",
        unit="s",
    ),
    VariableSpec(
        ref=CACHE_POLICY,
        kind=Kind.OPTION,
        default="LRU",
        does="What a full cache forgets after what is not valid: the least used.",
        mutability=Mutability.READ_ONLY,
        choices=("LRU",),
    ),
    _switch(CACHE_FINAL, False, "Refuse a token that the cache knows to be invalid without asking the CSMS again."),
    _switch(LIST_ENABLED, True, "Use the local authorization list, and take updates to it."),
    _fixed(LIST_ENTRIES, Kind.INTEGER, "0", "Tokens on the local list."),
    _switch(LIST_FINAL, False, "Refuse a token that the local list knows to be invalid without asking the CSMS."),
    _fixed(LIST_ITEMS_PER_MESSAGE, Kind.INTEGER, "500", "Most tokens of one update of the local list; more is Failed."),
    _own(
        _fixed(LIST_MOST_ENTRIES, Kind.INTEGER, "10000", "Most tokens on the local list; an update to more is Failed.")
    ),
    _outside(
        _number(
            CONNECTION_TIMEOUT,
            60,
            "How long a connector waits for the plug after a token, or for a token after the plug; 0: for ever.",
            unit="s",
        )
    ),
    _switch(STOP_ON_EV_SIDE_DISCONNECT, True, "End the transaction when the cable is pulled out of the car."),
    _switch(STOP_ON_INVALID_ID, True, "End a transaction whose token the CSMS refuses; else only stop the energy."),
    _number(
        MAX_ENERGY_ON_INVALID_ID,
        0,
        "Energy still delivered after the CSMS refused the token of a running transaction.",
        unit="Wh",
    ),
    _switch(TX_BEFORE_ACCEPTED, False, "Allow transactions before the CSMS has accepted the station."),
    _own(
        _number(
            RESUMPTION_TIMEOUT,
            300,
            "A transaction cut off by a power loss no longer than this goes on if the car is still there; 0: never.",
            unit="s",
        )
    ),
    _switch(RESERVATION_ENABLED, True, "Take reservations; those made stay."),
    _fixed(RESERVE_ANY_EVSE, Kind.BOOLEAN, "true", "Take reservations of any EVSE (connector 0)."),
    _number(SAMPLED_INTERVAL, 60, "Between sampled meter values of a transaction; 0: none.", unit="s"),
    _measurands(
        SAMPLED_MEASURANDS,
        _ENERGY,
        "What is sampled; empty means the energy register.",
        "MeterValuesSampledDataMaxLength",
    ),
    _measurands(STARTED_MEASURANDS, _ENERGY, "What is told with the start of a transaction, besides the register."),
    _following(
        _number(ENDED_INTERVAL, None, "Between samples kept for the end of a transaction; 0: none between.", unit="s"),
        SAMPLED_INTERVAL,
    ),
    _measurands(
        ENDED_MEASURANDS,
        "",
        "What is sampled for the end of a transaction; empty: nothing.",
        "StopTxnSampledDataMaxLength",
    ),
    _own(_fixed(ENDED_MOST_VALUES, Kind.INTEGER, "500", "Most meter values told with the end; every other one goes.")),
    _number(
        ALIGNED_INTERVAL,
        0,
        "Between clock-aligned meter values, counted from midnight UTC; 0: none.",
        unit="s",
        maximum=_DAY_S,
    ),
    _measurands(
        ALIGNED_MEASURANDS,
        _ENERGY,
        "What is read then; empty means the energy register.",
        "MeterValuesAlignedDataMaxLength",
    ),
    _following(
        _number(
            ALIGNED_ENDED_INTERVAL,
            None,
            "Between clock-aligned values kept for the end of a transaction; 0: none.",
            unit="s",
            maximum=_DAY_S,
        ),
        ALIGNED_INTERVAL,
    ),
    _measurands(
        ALIGNED_ENDED_MEASURANDS,
        "",
        "What of them is told with the end; empty: nothing.",
        "StopTxnAlignedDataMaxLength",
    ),
    _most_members("MeterValuesSampledDataMaxLength", SAMPLED_MEASURANDS),
    _most_members("MeterValuesAlignedDataMaxLength", ALIGNED_MEASURANDS),
    _most_members("StopTxnSampledDataMaxLength", ENDED_MEASURANDS),
    _most_members("StopTxnAlignedDataMaxLength", ALIGNED_ENDED_MEASURANDS),
    _own(_number(MINIMUM_STATUS_DURATION, 0, "How long a state must last before it is told.", unit="s")),
    _of_hardware(_own(_fixed(NUMBER_OF_CONNECTORS, Kind.INTEGER, None, "Connectors of the station."))),
    _own(
        VariableSpec(
            ref=PHASE_ROTATION,
            kind=Kind.MEMBERS,
            default=None,
            does="How the phases of each connector were wired, as `1.RST`: told to those who balance phases.",
            maximum=_MOST_CONNECTORS,
            longest=PHASE_ROTATION_LENGTH,
            outside=True,
            check=_check_rotation,
        )
    ),
    _own(
        _fixed(
            PHASE_ROTATION_LENGTH,
            Kind.INTEGER,
            str(_MOST_CONNECTORS),
            f"Most members of {PHASE_ROTATION}.",
        )
    ),
    _own(_outside(_number(LIGHT_INTENSITY, 100, "How bright the lights are.", unit="%", maximum=100))),
    _own(_outside(_number(BLINK_REPEAT, 3, "How often the lights blink when they signal something."))),
    _own(
        _switch(
            REQUIRED_ERROR_CODES,
            False,
            "Tell errors by their code of the ChargeX list (MREC), as CX002, in vendorErrorCode.",
        )
    ),
    _of_hardware(_fixed(SUPPLY_PHASES, Kind.INTEGER, None, "Phases of the grid connection.")),
    _of_hardware(_fixed(MODEL, Kind.STRING, None, "The station's model.")),
    _of_hardware(_fixed(VENDOR_NAME, Kind.STRING, None, "Who made it.")),
    _fixed(ITEMS_PER_GET, Kind.INTEGER, "100", "Most variables that one request may read."),
    _fixed(ITEMS_PER_SET, Kind.INTEGER, "100", "Most variables that one request may set."),
    VariableSpec(
        ref=TIME_SOURCE,
        kind=Kind.MEMBERS,
        default="Heartbeat",
        does="Where the time comes from; without Heartbeat in it, the CSMS's time is not followed.",
        choices=("Heartbeat", "NTP", "GPS", "RealTimeClock", "MobileNetwork", "RadioTimeTransmitter"),
    ),
    _own(
        _fixed(
            FEATURE_PROFILES,
            Kind.MEMBERS,
            ",".join(PROFILES),
            "Feature profiles in use; a request of another is refused.",
            longest=FEATURE_PROFILES_LENGTH,
        )
    ),
    _own(
        _fixed(
            FEATURE_PROFILES_LENGTH,
            Kind.INTEGER,
            str(_MOST_FEATURE_PROFILES),
            f"Most members of {FEATURE_PROFILES}.",
        )
    ),
    VariableSpec(
        ref=ORGANIZATION_NAME,
        kind=Kind.STRING,
        default="",
        does="Organization in the station's certificate; without one no certificate is asked for.",
        maximum=64,
    ),
    _number(
        SECURITY_PROFILE,
        0,
        "Security profile of the connection. A CSMS may only raise it; the station connects anew, and goes back where "
        "that fails.",
        maximum=3,
    ),
    VariableSpec(
        ref=BASIC_AUTH_PASSWORD,
        kind=Kind.STRING,
        default="",
        does="Password for profiles 1 and 2: 16 characters at least, or 32 to 40 hexadecimal digits for 16 to 20 "
        "octets. The station connects anew; the old one is kept until the new one has worked.",
        mutability=Mutability.WRITE_ONLY,
        maximum=64,
    ),
    _fixed(
        ADDITIONAL_ROOT_CHECK,
        Kind.BOOLEAN,
        "false",
        "A new root of the CSMS must be signed by the present one, which stays as the only other.",
    ),
    _number(
        CERTIFICATE_WAIT,
        600,
        "Wait for the certificate of a signing request before another request, doubled each time; 0: none follows.",
        unit="s",
    ),
    _number(CERTIFICATE_REPEATS, 2, "How many further requests follow one that gets no certificate.", maximum=16),
    _outside(
        _number(
            CONNECTION_ATTEMPTS,
            3,
            "Attempts at one address of the CSMS before it is the next one's turn.",
            minimum=1,
            maximum=1000,
        )
    ),
    _fixed(CERTIFICATE_CHAIN_SIZE, Kind.INTEGER, "10000", "Most characters of a chain; a longer one is Rejected."),
    _own(_fixed(CERTIFICATE_STORE_LENGTH, Kind.INTEGER, "20", "Most root certificates; one more is Rejected.")),
    _own(_fixed(MOST_PROFILES, Kind.INTEGER, "100", "Most charging profiles installed at a time.")),
    _fixed(PROFILE_STACK_LEVEL, Kind.INTEGER, "99", "Highest stack level of a charging profile."),
    _fixed(PERIODS_PER_SCHEDULE, Kind.INTEGER, "1024", "Most periods of one charging schedule."),
    VariableSpec(
        ref=RATE_UNIT,
        kind=Kind.MEMBERS,
        default="A,W",
        does="Units that charging schedules may be in.",
        mutability=Mutability.READ_ONLY,
        choices=("A", "W"),
    ),
    _fixed(
        PHASES_3_TO_1,
        Kind.BOOLEAN,
        "true",
        "Whether a transaction may change from three phases to one; else it stays on three, at a third of the current.",
    ),
    *EXTENSIONS,
)

OF_HARDWARE: Final = frozenset(spec.ref for spec in TABLE if spec.of_hardware)
"""What no configuration says."""
