"""Lists in CSV: ours and SteVe's, read whole; what is wrong is said with line and field."""

from datetime import UTC, datetime
from typing import Any

import pytest

from forecourt.csms.imports import Found, read_stations, read_tokens
from forecourt.domain.token import AuthorizationStatus


def fields(found: Found) -> list[dict[str, Any]]:
    assert found.complaints == []
    return [row.fields for row in found.rows]


def test_lists_of_tokens() -> None:
    ours = "value,standing,expires_at,group,note\nA,Blocked,2030-01-01T00:00:00+01:00,g,n\nB,,,,\n\n"
    assert fields(read_tokens(ours)) == [
        {
            "value": "A",
            "group": "g",
            "note": "n",
            "expires_at": datetime(2029, 12, 31, 23, tzinfo=UTC),
            "standing": AuthorizationStatus.BLOCKED,
        },
        {"value": "B", "standing": AuthorizationStatus.ACCEPTED},
    ]
    steve = (
        '"ocpp_tag_pk";"id_tag";"parent_id_tag";"expiry_date";"max_active_transaction_count";"note"\n'
        '1;"04AB";NULL;"2030-01-01 00:00:00";1;"Fleet; car 1"\n2;"04CD";"04AB";\\N;0;NULL\n'
    )
    assert fields(read_tokens(steve)) == [
        {
            "value": "04AB",
            "note": "Fleet; car 1",
            "expires_at": datetime(2030, 1, 1, tzinfo=UTC),
            "standing": AuthorizationStatus.ACCEPTED,
        },
        {"value": "04CD", "group": "04AB", "standing": AuthorizationStatus.BLOCKED},
    ]


def test_lists_of_stations() -> None:
    steve = (
        "charge_box_pk,charge_box_id,charge_point_vendor,description,auth_password\n1,CP 1,V,Yard,NULL\n2,CP2,V,,s\n"
    )
    assert fields(read_stations(steve)) == [{"id": "CP 1", "name": "Yard"}, {"id": "CP2", "password": "s"}]
    assert fields(read_stations("\ufeffid\nA\n")) == [{"id": "A"}]
    listed = "charge_box_id,registration_status,auth_password\nA,Rejected,$2a$10$abc\nB,pending,secret\n"
    assert fields(read_stations(listed)) == [
        {"id": "A", "registration": "Rejected", "password": None},
        {"id": "B", "registration": "Pending", "password": "secret"},
    ]


@pytest.mark.parametrize(
    ("text", "line", "field", "complaint"),
    [
        ("", 1, "value", "a column is missing"),
        ("note\nx\n", 1, "value", "a column is missing; one of value, id_tag"),
        ("value,note\nA,\n,x\n", 3, "value", "is empty"),
        ("value\nA\nB\nA\n", 4, "value", "'A' is in line 2 already"),
        ("value,expiry_date\nA,soon\n", 2, "expires_at", "'soon' is no time"),
        ("value,expiry_date\nA,0001-01-01T00:00:00+23:00\n", 2, "expires_at", "is no time"),
        ("value,standing\nA,maybe\n", 2, "standing", "'maybe' is none of Accepted"),
        ("value\n" + "x" * 200_000, 2, "line", "is no CSV"),
    ],
)
def test_a_line_that_cannot_be_is_named(text: str, line: int, field: str, complaint: str) -> None:
    (found,) = read_tokens(text).complaints
    assert (found.line, found.field) == (line, field)
    assert complaint in found.message


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = read_tokens("value,standing,expires_at\nA,no,soon\nB,,\n,,\n,Blocked,\nC,Blocked,\n")
    assert [(one.line, one.field) for one in found.complaints] == [(2, "expires_at"), (2, "standing"), (5, "value")]
    assert [row.fields["value"] for row in found.rows] == ["B", "C"]
    (wrong,) = read_stations("id,registration\nA,no\n").complaints
    assert (wrong.line, wrong.field) == (2, "registration")
    assert wrong.message.startswith("'no' is none of Accepted")
