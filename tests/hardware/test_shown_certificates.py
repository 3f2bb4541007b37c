"""What the CSMS thought of the station's certificates, kept over restarts (security white paper A02.FR.10)."""

from pathlib import Path

from tests.hardware.made_authority import START, MadeAuthority
from tests.hardware.test_key_store import STATION, keep, request, trusting

from forecourt.hardware.key_store import KeyStore
from forecourt.hardware.shown_certificates import ShownCertificates
from forecourt.station.security_questions import AskExpiry


def two_certificates(folder: Path) -> tuple[KeyStore, Path, Path]:
    """A station with two certificates: the newer, and the older, which ends later."""
    authority = MadeAuthority("Operator")
    store = trusting(folder, authority)
    for begins_days, ends_days in ((-2, 20), (-1, 90)):
        pem = authority.answer(request(store), begins_days=begins_days, ends_days=ends_days)
        assert keep(store, pem) == "Accepted"
    (newer, _), (older, _) = store.station_certificates(START)
    return store, newer, older


def used(store: KeyStore) -> Path:
    found = store.station_certificate(START)
    assert found is not None
    return found[0]


def test_a02_fr_10_a_refusal_outlives_a_restart(tmp_path: Path) -> None:
    store, newer, older = two_certificates(tmp_path)
    assert used(store) == newer
    store.shown.refuse(newer)
    assert used(store) == used(KeyStore(tmp_path)) == older
    store.shown.prove(newer)
    assert used(KeyStore(tmp_path)) == newer, "it is let in after all"
    assert KeyStore(tmp_path).shown.is_proven(newer)


def test_renewal_goes_by_the_certificate_that_is_shown(tmp_path: Path) -> None:
    store, newer, _ = two_certificates(tmp_path)
    before = store.answer(AskExpiry(STATION), START).expires_at
    store.shown.refuse(newer)
    after = store.answer(AskExpiry(STATION), START).expires_at
    assert before is not None
    assert after is not None
    assert after < before, "the one before ends sooner"


def test_where_all_are_refused_the_newest_has_its_turn_again(tmp_path: Path) -> None:
    store, newer, older = two_certificates(tmp_path)
    for chain in (newer, older):
        store.shown.refuse(chain)
    assert used(store) == newer
    store.shown.forget_refusals()
    assert not KeyStore(tmp_path).shown.is_refused(older)


def test_another_certificate_under_the_same_name_is_another(tmp_path: Path) -> None:
    store, newer, older = two_certificates(tmp_path)
    store.shown.refuse(newer)
    newer.write_text(older.read_text(encoding="ascii"), encoding="ascii")
    assert not store.shown.is_refused(newer)


def test_what_cannot_be_written_holds_until_the_next_start(tmp_path: Path) -> None:
    def full(_: Path, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    shown = ShownCertificates(tmp_path, full)
    shown.refuse(tmp_path / "none.pem")
    assert shown.is_refused(tmp_path / "none.pem")
    assert not ShownCertificates(tmp_path, full).is_refused(tmp_path / "none.pem")
