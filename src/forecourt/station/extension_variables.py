"""The variables of Plug & Charge (application note on ISO 15118 §9; OCPP 2.0.1 M, C07) and of prices and costs
(California pricing requirements). See `variable_table`, of which these rows are a part.

Guarantees
* A price that is no JSON object, an offset that is none and an instant that is none are refused when they are set.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.domain.variable import Mutability, VariableRef
from forecourt.station.variable_spec import KEY, Kind, VariableSpec, fixed, number, own, switch

_ISO15118: Final = "ISO15118Ctrlr"

PNC_ENABLED: Final = VariableRef(_ISO15118, "PnCEnabled")
CENTRAL_VALIDATION: Final = VariableRef(_ISO15118, "CentralContractValidationAllowed")
OFFLINE_VALIDATION: Final = VariableRef(_ISO15118, "ContractValidationOffline")
CONTRACT_INSTALLATION: Final = VariableRef(_ISO15118, "ContractCertificateInstallationEnabled")
V2G_INSTALLATION: Final = VariableRef(_ISO15118, "V2GCertificateInstallationEnabled")
SECC_ID: Final = VariableRef(_ISO15118, "SeccId")
SECC_ORGANIZATION: Final = VariableRef(_ISO15118, "OrganizationName")
OCSP_INTERVAL: Final = VariableRef(KEY, "OCSPRequestInterval")

COSTS_SHOWN: Final = VariableRef(KEY, "CustomDisplayCostAndPrice")
IDLE_FEE_AFTER_STOP: Final = VariableRef(KEY, "CustomIdleFeeAfterStop")
MULTI_LANGUAGE: Final = VariableRef(KEY, "CustomMultiLanguageMessages")
DEFAULT_PRICE: Final = VariableRef(KEY, "DefaultPrice")
COST_DECIMALS: Final = VariableRef(KEY, "NumberOfDecimalsForCostValues")
PRICE_PATIENCE_MS: Final = VariableRef(KEY, "WaitForSetUserPriceTimeout")
LANGUAGE: Final = VariableRef(KEY, "Language")
SUPPORTED_LANGUAGES: Final = VariableRef(KEY, "SupportedLanguages")
TIME_OFFSET: Final = VariableRef("ClockCtrlr", "TimeOffset")
NEXT_OFFSET_AT: Final = VariableRef("ClockCtrlr", "NextTimeOffsetTransitionDateTime")
NEXT_OFFSET: Final = VariableRef(KEY, "TimeOffsetNextTransition")

LANGUAGES: Final = ("en", "de", "es", "fr", "it", "nl")
"""What the station can have a default price in."""
DEFAULT_PRICE_TEXTS: Final = {language: VariableRef(KEY, f"DefaultPriceText,{language}") for language in LANGUAGES}

_DAY_S: Final = 86_400
_LONGEST_TEXT: Final = 500
_OFFSET: Final = re.compile(r"^([+-])(0[0-9]|1[0-4]):([0-5][0-9])$")


class PriceWords(msgspec.Struct, frozen=True):
    """What is read out of DefaultPrice, and out of DefaultPriceText of a language."""

    price_text: str = msgspec.field(default="", name="priceText")
    price_text_offline: str = msgspec.field(default="", name="priceTextOffline")


def price_words(text: str) -> PriceWords | None:
    """The words in the value of a default price; None: there are none."""
    try:
        return msgspec.json.decode(text, type=PriceWords) if text else None
    except (msgspec.DecodeError, RecursionError):
        return None


def offset_of(text: str) -> timedelta | None:
    """An offset such as +01:00, Z or nothing (none); None: it is none."""
    if text in {"", "Z"}:
        return timedelta()
    match = _OFFSET.match(text)
    if match is None:
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -size if match[1] == "-" else size


def instant_of(text: str) -> datetime | None:
    """An instant with its zone; None: it is none."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if instant.tzinfo is None else instant


def _check_price(text: str) -> str | None:
    return None if not text or price_words(text) is not None else "expected a JSON object with priceText"


def _check_offset(text: str) -> str | None:
    return None if offset_of(text) is not None else "expected an offset such as +01:00"


def _check_instant(text: str) -> str | None:
    return None if not text or instant_of(text) is not None else "expected an instant such as 2025-10-26T01:00:00Z"


def _text(ref: VariableRef, does: str, *, maximum: int = _LONGEST_TEXT) -> VariableSpec:
    return VariableSpec(ref=ref, kind=Kind.STRING, default="", does=does, maximum=maximum)


def _checked(spec: VariableSpec, check: Callable[[str], str | None]) -> VariableSpec:
    return msgspec.structs.replace(spec, check=check)


EXTENSIONS: Final[tuple[VariableSpec, ...]] = (
    switch(PNC_ENABLED, False, "Charge by contract (ISO 15118 Plug & Charge); off, its messages are refused."),
    switch(
        CENTRAL_VALIDATION,
        False,
        "Have the CSMS validate a contract's certificate that no installed root speaks for.",
    ),
    switch(OFFLINE_VALIDATION, False, "Validate contracts while offline; off, nobody charges by contract then."),
    switch(CONTRACT_INSTALLATION, True, "Pass on what a car wants about its contract's certificate."),
    switch(V2G_INSTALLATION, True, "Ask by itself for the certificate that is shown to cars."),
    _text(SECC_ID, "Common name in the certificate that is shown to cars; empty: the serial number.", maximum=64),
    _text(SECC_ORGANIZATION, "Organization in it; empty: that of the station's own certificate.", maximum=64),
    own(
        number(
            OCSP_INTERVAL,
            7 * _DAY_S,
            "How old the answers about the issuers of that certificate (OCSP) may be before they are asked for anew.",
            unit="s",
            minimum=3600,
        )
    ),
    own(fixed(COSTS_SHOWN, Kind.BOOLEAN, "false", "Whether prices and costs are shown; else they are refused.")),
    own(
        fixed(
            IDLE_FEE_AFTER_STOP,
            Kind.BOOLEAN,
            "false",
            "Whether the CSMS is told when a car leaves that stayed after its transaction (ConnectorUnplugged).",
        )
    ),
    own(fixed(MULTI_LANGUAGE, Kind.BOOLEAN, "false", "Whether texts in other languages than the station's are used.")),
    own(
        _checked(
            _text(
                DEFAULT_PRICE, "What the display shows of prices for everybody, as JSON: priceText, priceTextOffline."
            ),
            _check_price,
        )
    ),
    *(
        own(_checked(_text(ref, f"The same in the language {language}."), _check_price))
        for language, ref in DEFAULT_PRICE_TEXTS.items()
    ),
    own(fixed(COST_DECIMALS, Kind.INTEGER, "2", "Decimals of the costs that are shown.")),
    own(
        number(
            PRICE_PATIENCE_MS,
            0,
            "How long a token that the CSMS has accepted waits for its price (SetUserPrice) before it may charge, "
            "where costs are shown; 0: not at all.",
            unit="ms",
            maximum=120_000,
        )
    ),
    own(
        VariableSpec(
            ref=LANGUAGE,
            kind=Kind.OPTION,
            default=LANGUAGES[0],
            does="Language of the display.",
            choices=LANGUAGES,
        )
    ),
    own(
        VariableSpec(
            ref=SUPPORTED_LANGUAGES,
            kind=Kind.MEMBERS,
            default=",".join(LANGUAGES),
            does="Languages that texts of the CSMS are shown in.",
            mutability=Mutability.READ_ONLY,
            choices=LANGUAGES,
        )
    ),
    _checked(_text(TIME_OFFSET, "Offset of the times that are shown, such as +01:00.", maximum=6), _check_offset),
    _checked(_text(NEXT_OFFSET_AT, "When the next offset takes over.", maximum=40), _check_instant),
    own(_checked(_text(NEXT_OFFSET, "The offset that holds from then on.", maximum=6), _check_offset)),
)
