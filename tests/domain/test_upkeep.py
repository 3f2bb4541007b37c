"""Words of firmware, logs, certificates and local lists: which states are the last, and what makes two names one."""

import pytest

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateHash, HashAlgorithm
from forecourt.domain.firmware import FirmwareStatus, LogUploadStatus
from forecourt.domain.token import AuthorizationStatus, IdToken, IdTokenInfo

ACCEPTED = IdTokenInfo(status=AuthorizationStatus.ACCEPTED)
FULL, DIFFERENTIAL = r.ListUpdate.FULL, r.ListUpdate.DIFFERENTIAL


def test_an_update_ends_in_a_failure_or_installed() -> None:
    """Security white paper §6.8: the end states."""
    assert {status.value for status in FirmwareStatus if status.is_final} == {
        "DownloadFailed",
        "InstallationFailed",
        "Installed",
        "InstallVerificationFailed",
        "InvalidSignature",
    }


def test_an_upload_that_is_neither_idle_nor_on_is_over() -> None:
    assert {status for status in LogUploadStatus if not status.is_final} == {
        LogUploadStatus.IDLE,
        LogUploadStatus.UPLOADING,
    }


def test_a_certificate_is_named_without_regard_to_case() -> None:
    """Security white paper §6.1: CiString."""
    lower = CertificateHash(HashAlgorithm.SHA256, "ab", "cd", "fff")
    upper = CertificateHash(HashAlgorithm.SHA256, "AB", "CD", "FFF")
    assert lower.key == upper.key
    assert lower.key != CertificateHash(HashAlgorithm.SHA384, "ab", "cd", "fff").key


@pytest.mark.parametrize(
    ("version", "update", "entries", "fault"),
    [
        (1, FULL, (), None),
        (1, FULL, (r.LocalListEntry(IdToken("A"), ACCEPTED),), None),
        (1, DIFFERENTIAL, (r.LocalListEntry(IdToken("A")),), None),
        (0, FULL, (), "0 is no version"),
        (-1, DIFFERENTIAL, (), "-1 is no version"),
        (1, FULL, (r.LocalListEntry(IdToken("A")),), "nothing to take off"),
        (1, DIFFERENTIAL, (r.LocalListEntry(IdToken("A")), r.LocalListEntry(IdToken("a"), ACCEPTED)), "twice"),
    ],
)
def test_what_makes_an_update_of_the_list_none(
    version: int, update: r.ListUpdate, entries: tuple[r.LocalListEntry, ...], fault: str | None
) -> None:
    """OCPP 1.6 errata 3.52, §6.41, §7.1; OCPP 2.0.1 D01.FR.06, D01.FR.18."""
    found = r.SendLocalList(version=version, update=update, entries=entries).fault
    assert (found is None) if fault is None else (found is not None and fault in found)


def test_every_request_has_an_answer() -> None:
    assert set(r.ANSWERS) == {*r.StationRequest.__args__, *r.CsmsRequest.__args__}
    assert set(r.ANSWERS.values()) == {*r.StationRequestAnswer.__args__, *r.CsmsRequestAnswer.__args__}
