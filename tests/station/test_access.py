"""Security profile and password of the connection, in virtual time with a real key store, named by requirement."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecourt.domain import requests as r
from forecourt.domain.certificate import CertificateUse
from forecourt.domain.variable import VariableRef, VariableSetting
from forecourt.station import effects as e
from forecourt.station import inputs as i
from forecourt.station.variable_table import BASIC_AUTH_PASSWORD, ORGANIZATION_NAME, SECURITY_PROFILE
from forecourt.store.journal import MemoryJournal
from tests.hardware.made_authority import MadeAuthority
from tests.station.bench import ONE, Bench
from tests.station.test_certificates import SIGN
from tests.station.upkeep_bench import SigningCsms, UpkeepBench

EXTENDED = msgspec.structs.replace(ONE, security_extension=True)
OLD, NEW = "old password, long", "new password, long"
ALL = (0, 1, 2, 3)


def station(folder: Path, profile: int = 1, password: str = OLD, **options: Any) -> UpkeepBench:
    variables = {SECURITY_PROFILE: str(profile), BASIC_AUTH_PASSWORD: password}
    options = {"security_profiles": ALL, "variables": variables, **options}
    bench = UpkeepBench(EXTENDED, folder=folder, **options)
    bench.connect()
    bench.effects.clear()
    return bench


def put(bench: Bench, ref: VariableRef, value: str) -> str:
    (result,) = bench.ask(r.SetVariables(settings=(VariableSetting(ref, value),))).results
    return str(result.outcome)


def ways(bench: Bench) -> list[tuple[int, str]]:
    return [(effect.profile, effect.password) for effect in bench.took(e.ConnectWith)]


def in_force(bench: Bench) -> tuple[int, str]:
    variables = bench.station.parts.variables
    return variables.integer(SECURITY_PROFILE), variables.text(BASIC_AUTH_PASSWORD)


def certified(bench: UpkeepBench, authority: MadeAuthority) -> None:
    bench.trusts(authority, CertificateUse.CSMS_ROOT)
    bench.ask(SIGN)
    assert isinstance(bench.csms, SigningCsms)
    answer = bench.ask(r.CertificateSigned(certificate_chain=authority.answer(bench.csms.requests[-1])))
    assert answer.outcome == "Accepted"


@pytest.mark.parametrize(
    ("profile", "password", "wanted"),
    [
        (1, OLD, "1"),  # A05.FR.01
        (2, OLD, "1"),  # A05.FR.01, TC_084
        (0, "", "1"),  # A05.FR.02
        (0, "short", "2"),  # A05.FR.02
        (1, OLD, "2"),  # A05.FR.03
        (1, OLD, "3"),  # A05.FR.03
        (1, OLD, "4"),
        (1, OLD, "two"),
    ],
)
def test_a05_what_is_rejected_changes_nothing(tmp_path: Path, profile: int, password: str, wanted: str) -> None:
    bench = station(tmp_path, profile, password)
    assert put(bench, SECURITY_PROFILE, wanted) == "Rejected"
    assert in_force(bench) == (profile, password)
    assert ways(bench) == []


def test_a05_fr_03_and_04_roots_and_certificates_have_to_be_valid(tmp_path: Path) -> None:
    bench = station(tmp_path)
    authority = MadeAuthority("Operator")
    bench.trusts(authority, CertificateUse.CSMS_ROOT)
    assert put(bench, SECURITY_PROFILE, "3") == "Rejected", "no certificate of its own"
    certified(bench, authority)
    assert put(bench, SECURITY_PROFILE, "3") == "Accepted"
    other = station(tmp_path / "other")
    other.trusts(MadeAuthority("Brief", begins_days=-1), CertificateUse.CSMS_ROOT)
    other.now = msgspec.structs.replace(other.now, at=other.now.at + timedelta(days=4000))
    assert put(other, SECURITY_PROFILE, "2") == "Rejected", "the root has expired"


def test_a05_fr_05_to_07_the_reply_and_then_another_connection(tmp_path: Path) -> None:
    bench = station(tmp_path)
    bench.trusts(MadeAuthority("Operator"), CertificateUse.CSMS_ROOT)
    bench.effects.clear()
    assert put(bench, SECURITY_PROFILE, "2") == "Accepted"
    kinds = [type(effect) for effect in bench.effects]
    assert kinds.index(e.Reply) < kinds.index(e.ConnectWith)
    assert ways(bench) == [(2, OLD)]
    bench.disconnect()
    bench.connect()
    assert not bench.station.parts.access.on_trial
    assert in_force(bench) == (2, OLD)
    assert "ReconfigurationOfSecurityParameters" in bench.security()


def test_a05_fr_08_what_does_not_connect_is_given_up_for_what_worked_last(tmp_path: Path) -> None:
    bench = station(tmp_path)
    bench.trusts(MadeAuthority("Operator"), CertificateUse.CSMS_ROOT)
    assert put(bench, SECURITY_PROFILE, "2") == "Accepted"
    bench.disconnect()
    bench.tell(i.ConnectionsFailed())
    assert ways(bench)[-1] == (1, OLD)
    bench.tell(i.ConnectionsFailed())
    assert ways(bench)[-1] == (2, OLD), "the network itself may have been away"
    bench.tell(i.ConnectionsFailed())
    bench.connect()
    assert in_force(bench) == (1, OLD)
    assert not bench.station.parts.access.on_trial
    assert put(bench, SECURITY_PROFILE, "2") == "Accepted", "it may be tried again"


def test_a_power_cut_in_the_middle_of_a_trial_changes_nothing_of_it(tmp_path: Path) -> None:
    bench = station(tmp_path)
    assert put(bench, BASIC_AUTH_PASSWORD, NEW) == "Accepted"
    after = UpkeepBench(
        EXTENDED,
        folder=tmp_path,
        journal=MemoryJournal(bench.journal.load()),
        security_profiles=ALL,
        variables={SECURITY_PROFILE: "1", BASIC_AUTH_PASSWORD: OLD},
    )
    assert ways(after) == [(1, NEW)]
    after.tell(i.ConnectionsFailed())
    assert ways(after)[-1] == (1, OLD)
    after.connect()
    assert in_force(after) == (1, OLD)
    again = UpkeepBench(EXTENDED, folder=tmp_path, journal=MemoryJournal(after.journal.load()), security_profiles=ALL)
    assert ways(again) == [(1, OLD)]


def test_a01_a_new_password_is_used_and_the_old_one_kept_until_it_has_worked(tmp_path: Path) -> None:
    bench = station(tmp_path)
    assert put(bench, BASIC_AUTH_PASSWORD, NEW) == "Accepted"
    assert ways(bench) == [(1, NEW)]
    assert OLD.encode() in b"".join(bench.journal.load()["access"].values())
    bench.disconnect()
    bench.connect()
    assert "access" not in bench.journal.load()
    assert bench.security()[-1] == "ReconfigurationOfSecurityParameters", "A01.FR.11"
    log = "".join(str(entry) for entry in bench.station.parts.security_log.entries())
    assert NEW not in log, "A01.FR.12"
    assert NEW not in repr([effect for effect in bench.effects if not isinstance(effect, e.Persist)])


@pytest.mark.parametrize("password", ["fifteen letters", "x" * 41, "tab\tin the middle of it"])
def test_7_2_a_password_that_cannot_be(tmp_path: Path, password: str) -> None:
    bench = station(tmp_path)
    assert put(bench, BASIC_AUTH_PASSWORD, password) == "Rejected"
    assert in_force(bench) == (1, OLD)


def test_a_password_that_no_connection_shows_is_kept_for_the_profile_that_will(tmp_path: Path) -> None:
    bench = station(tmp_path, 0, "")
    assert put(bench, BASIC_AUTH_PASSWORD, NEW) == "Accepted"
    assert ways(bench) == []
    assert put(bench, SECURITY_PROFILE, "1") == "Accepted"
    assert ways(bench) == [(1, NEW)]


def test_a_station_that_connects_in_one_way_only_says_so(tmp_path: Path) -> None:
    bench = station(tmp_path, security_profiles=())
    assert put(bench, BASIC_AUTH_PASSWORD, NEW) == "Rejected"
    bench.trusts(MadeAuthority("Operator"), CertificateUse.CSMS_ROOT)
    assert put(bench, SECURITY_PROFILE, "2") == "Rejected"


def test_without_a_keeper_of_certificates_there_is_no_profile_2() -> None:
    bench = Bench(EXTENDED, security_profiles=ALL, variables={BASIC_AUTH_PASSWORD: OLD, ORGANIZATION_NAME: "Test"})
    bench.connect()
    assert put(bench, SECURITY_PROFILE, "2") == "Rejected"
    assert put(bench, SECURITY_PROFILE, "1") == "Accepted"
