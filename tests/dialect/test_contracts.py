"""ISO 15118 in OCPP 1.6: what goes inside of DataTransfer, what is refused there, and what is left alone."""

import json
from typing import Any

import pytest

from forecourt.dialect import by_subprotocol
from forecourt.dialect.port import Inexpressible, Message, Untranslatable
from forecourt.dialect.v16_contracts import CSMS_MESSAGES, STATION_MESSAGES, USES, VENDOR_ID
from forecourt.domain import requests as r
from forecourt.domain.certificate import (
    CertificateHash,
    CertificateSigningUse,
    CertificateUse,
    ContractAction,
    ContractStatus,
    HashAlgorithm,
    OcspQuery,
)
from forecourt.domain.requests import DataTransferStatus, RequestStatus, TriggeredMessage
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo, IdTokenType
from forecourt.rpc.errors import Cause

V16 = by_subprotocol("ocpp1.6")
NAME = CertificateHash(HashAlgorithm.SHA256, "ab", "cd", "FFF")
CONTRACT = IdToken("DE8AACA2B3C4D5N", IdTokenType.EMAID)

BY_STATION: list[tuple[r.StationRequest, r.Request]] = [
    (r.Authorize(id_token=CONTRACT), r.Authorize(id_token=IdToken("TAG"))),
    (r.SignCertificate(csr="csr", use=CertificateSigningUse.V2G), r.SignCertificate(csr="csr")),
]
BY_CSMS: list[tuple[r.CsmsRequest, r.CsmsRequest]] = [
    (
        r.TriggerMessage(requested_message=TriggeredMessage.SIGN_V2G_CERTIFICATE),
        r.TriggerMessage(requested_message=TriggeredMessage.SIGN_CHARGING_STATION_CERTIFICATE),
    ),
    (
        r.CertificateSigned(certificate_chain="pem", use=CertificateSigningUse.V2G),
        r.CertificateSigned(certificate_chain="pem"),
    ),
    (
        r.InstallCertificate(use=CertificateUse.MO_ROOT, certificate="pem"),
        r.InstallCertificate(use=CertificateUse.MANUFACTURER_ROOT, certificate="pem"),
    ),
    (r.DeleteCertificate(certificate=NAME, iso15118=True), r.DeleteCertificate(certificate=NAME)),
    (
        r.GetInstalledCertificateIds(uses=USES),
        r.GetInstalledCertificateIds(uses=(CertificateUse.CSMS_ROOT,)),
    ),
]
ALWAYS: list[r.StationRequest] = [
    r.GetCertificateStatus(query=OcspQuery(NAME, "http://ocsp.example.com")),
    r.Get15118EVCertificate(schema_version="v", action=ContractAction.UPDATE, exi_request="ZXhp"),
]


def transfer(message_id: str | None, data: str | None, vendor_id: str = VENDOR_ID) -> bytes:
    members = {"vendorId": vendor_id, "messageId": message_id, "data": data}
    return json.dumps({name: member for name, member in members.items() if member is not None}).encode()


def said(request: Any) -> Message:
    if isinstance(request, r.StationRequest):
        (message,) = V16.encode_call(request, lambda _: None)
        return message
    return V16.encode_request(request)


@pytest.mark.parametrize(("wrapped", "plain"), [*BY_STATION, *BY_CSMS], ids=lambda request: type(request).__name__)
def test_only_what_is_about_iso_15118_is_wrapped(wrapped: Any, plain: Any) -> None:
    """Application note §2.3."""
    message = said(wrapped)
    assert message.action == "DataTransfer"
    inside = json.loads(message.payload)
    assert (inside["vendorId"], inside["messageId"]) == (VENDOR_ID, type(wrapped).__name__)
    assert said(plain).action in {type(plain).__name__, "ExtendedTriggerMessage"}


def test_the_notes_own_example() -> None:
    """§2.2: a signing request."""
    message = said(r.SignCertificate(csr="<csr>", use=CertificateSigningUse.V2G))
    inside = json.loads(message.payload)
    assert json.loads(inside["data"]) == {"csr": "<csr>", "certificateType": "V2GCertificate"}


def test_the_messages_are_those_of_the_note() -> None:
    """§2.2 lists them."""
    assert set(STATION_MESSAGES) == {"Authorize", "SignCertificate", "GetCertificateStatus", "Get15118EVCertificate"}
    assert set(CSMS_MESSAGES) == {
        "CertificateSigned",
        "DeleteCertificate",
        "GetInstalledCertificateIds",
        "InstallCertificate",
        "TriggerMessage",
    }


def test_all_certificates_of_iso_15118_are_asked_for_without_a_type() -> None:
    """§6.6.1."""
    inside = json.loads(said(r.GetInstalledCertificateIds(uses=USES)).payload)
    assert json.loads(inside["data"]) == {}
    heard = V16.decode_request("DataTransfer", transfer("GetInstalledCertificateIds", "{}")).value
    assert heard == r.GetInstalledCertificateIds(uses=USES)


@pytest.mark.parametrize("data", [None, "{}", '{"requestedMessage":"SignV2GCertificate"}'])
def test_a_trigger_needs_no_field(data: str | None) -> None:
    """§6.9.1."""
    heard = V16.decode_request("DataTransfer", transfer("TriggerMessage", data)).value
    assert heard == r.TriggerMessage(requested_message=TriggeredMessage.SIGN_V2G_CERTIFICATE)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("message_id", "data", "cause"),
    [
        ("TriggerMessage", '{"requestedMessage":"Heartbeat"}', Cause.VALUE),
        ("CertificateSigned", None, Cause.MISSING_FIELD),
        ("CertificateSigned", "{", Cause.MALFORMED_PAYLOAD),
        ("CertificateSigned", "[]", Cause.WRONG_STRUCTURE),
        ("InstallCertificate", '{"certificateType":"Nonsense","certificate":"pem"}', Cause.VALUE),
    ],
)
def test_what_is_wrong_inside_is_refused(message_id: str, data: str | None, cause: Cause, strict: bool) -> None:
    with pytest.raises(Untranslatable) as refusal:
        V16.decode_request("DataTransfer", transfer(message_id, data), strict=strict)
    assert refusal.value.cause is cause
    assert refusal.value.description.startswith("data")


def test_what_can_be_mended_inside_is_noted() -> None:
    data = '{"idToken":{"idToken":"DE8AACA2B3C4D5N"},"certificate":7}'
    heard = V16.decode_call("DataTransfer", transfer("Authorize", data))
    assert heard.value == r.Authorize(id_token=CONTRACT, certificate="7")
    assert [violation.split(":")[0] for violation in heard.violations] == ["data.certificate"]
    with pytest.raises(Untranslatable):
        V16.decode_call("DataTransfer", transfer("Authorize", data), strict=True)


@pytest.mark.parametrize(
    "payload",
    [
        transfer("Nonsense", "{}"),
        transfer(None, "{}"),
        transfer("CertificateSigned", "{}"),  # not for a station to say
        transfer("Authorize", "{}", "com.example"),
    ],
)
def test_any_other_message_is_a_vendors(payload: bytes) -> None:
    told = json.loads(payload)
    heard = V16.decode_call("DataTransfer", payload, strict=True).value
    assert heard == r.DataTransfer(
        vendor_id=told["vendorId"],
        message_id=told.get("messageId"),
        content=told.get("data"),
        vendor_known=told["vendorId"] != "com.example",
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (DataTransferStatus.REJECTED, RequestStatus.REJECTED),
        (DataTransferStatus.UNKNOWN_MESSAGE_ID, RequestStatus.NOT_SUPPORTED),
        (DataTransferStatus.UNKNOWN_VENDOR_ID, RequestStatus.NOT_SUPPORTED),
    ],
)
@pytest.mark.parametrize("request_", [*(one for one, _ in BY_STATION), *(one for one, _ in BY_CSMS), *ALWAYS], ids=str)
def test_a_transfer_that_is_not_accepted_is_a_refusal(
    request_: Any, status: DataTransferStatus, outcome: RequestStatus
) -> None:
    """§2.1: who does not support the note says one of these."""
    payload = json.dumps({"status": status.value}).encode()
    if isinstance(request_, r.StationRequest):
        answer: Any = V16.decode_call_answer(request_, payload, strict=True).value
    else:
        answer = V16.decode_request_answer(request_, payload, strict=True).value
    if isinstance(request_, r.Authorize):
        assert answer == r.AuthorizeAnswer(id_token_info=IdTokenInfo(status=AuthorizationStatus.INVALID))
    else:
        assert answer == r.ANSWERS[type(request_)](outcome=outcome)


def test_an_accepted_transfer_without_its_message_is_no_answer() -> None:
    with pytest.raises(Untranslatable) as refusal:
        V16.decode_call_answer(BY_STATION[0][0], b'{"status":"Accepted"}')
    assert refusal.value.cause is Cause.MISSING_FIELD


def test_a_contract_that_1_6_has_no_words_for_is_blocked() -> None:
    """§8.1 knows the five words of 1.6; the group and the reason of an answer have no room."""
    answer = r.AuthorizeAnswer(
        id_token_info=IdTokenInfo(status=AuthorizationStatus.NO_CREDIT, group_id_token=IdToken("G")),
        certificate_status=ContractStatus.CONTRACT_CANCELLED,
    )
    request = BY_STATION[0][0]
    heard = V16.decode_call_answer(request, V16.encode_call_answer(request, answer), strict=True).value
    assert heard == r.AuthorizeAnswer(
        id_token_info=IdTokenInfo(status=AuthorizationStatus.BLOCKED),
        certificate_status=ContractStatus.CONTRACT_CANCELLED,
    )
    signing = BY_STATION[1][0]
    told = V16.encode_call_answer(signing, r.RequestAnswer(outcome=RequestStatus.REJECTED, info="no authority"))
    assert json.loads(json.loads(told)["data"]) == {"status": "Rejected"}


def test_a_long_emaid_has_no_room() -> None:
    """§7.3."""
    with pytest.raises(Inexpressible):
        said(r.Authorize(id_token=IdToken("D" * 21, IdTokenType.EMAID)))
