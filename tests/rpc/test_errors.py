"""The tables of error codes: OCPP-J 1.6 §4.2.3 table 7 with errata §5, 2.x §4.3."""

from __future__ import annotations

import pytest

from forecourt.rpc.errors import (
    FIRST_GENERATION,
    SECOND_GENERATION,
    SECOND_GENERATION_WITH_SEND,
    Cause,
    Rules,
    cause_of,
)

COMMON = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "PropertyConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}
FIRST = COMMON | {"FormationViolation", "OccurenceConstraintViolation"}
SECOND = COMMON | {
    "FormatViolation",
    "OccurrenceConstraintViolation",
    "MessageTypeNotSupported",
    "RpcFrameworkError",
}


@pytest.mark.parametrize(
    ("rules", "published"),
    [(FIRST_GENERATION, FIRST), (SECOND_GENERATION, SECOND), (SECOND_GENERATION_WITH_SEND, SECOND)],
)
def test_every_cause_has_a_published_code_and_every_code_a_cause(rules: Rules, published: set[str]) -> None:
    assert {rules.code(cause) for cause in Cause} == published


def test_the_misspelt_codes_stay_misspelt_where_they_were_published() -> None:
    assert FIRST_GENERATION.code(Cause.OCCURRENCE) == "OccurenceConstraintViolation"
    assert FIRST_GENERATION.code(Cause.MALFORMED_PAYLOAD) == "FormationViolation"
    assert SECOND_GENERATION.code(Cause.OCCURRENCE) == "OccurrenceConstraintViolation"
    assert SECOND_GENERATION.code(Cause.MALFORMED_PAYLOAD) == "FormatViolation"


def test_codes_are_understood_in_either_spelling() -> None:
    assert cause_of("OccurenceConstraintViolation") is cause_of("OccurrenceConstraintViolation") is Cause.OCCURRENCE
    assert cause_of("FormationViolation") is cause_of("FormatViolation")
    assert cause_of("VendorSpecific") is Cause.GENERIC


@pytest.mark.parametrize("code", sorted(FIRST | SECOND))
def test_no_published_code_is_unknown(code: str) -> None:
    assert code == "GenericError" or cause_of(code) is not Cause.GENERIC
