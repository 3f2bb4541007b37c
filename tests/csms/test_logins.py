"""Who may connect: passwords, certificates, security profiles, listeners, and those who guess."""

import asyncio
import time
from datetime import datetime
from pathlib import Path

import pytest

from forecourt.csms import logins as logins_module
from forecourt.csms import provisioning, router, stations
from forecourt.csms.errors import Invalid
from forecourt.csms.logins import FailureCount, Logins
from forecourt.csms.provisioning import Admitted, NotAdmitted, Shown, ShownCertificate
from forecourt.csms.records import ConnectedStation
from forecourt.csms.register import Register
from forecourt.csms.settings import CsmsSettings, UnknownStationPolicy
from forecourt.csms.stations import hash_password, password_matches
from forecourt.domain.events import Notice, StationBooted
from forecourt.domain.station import BootReason, StationIdentity
from tests.csms.worlds import World, at
from tests.csms.worlds import world as make_world

PASSWORD = "correct horse battery"
NOTHING = Shown()
WRONG, INSECURE = NotAdmitted.WRONG_CREDENTIALS, NotAdmitted.INSECURE


class Door:
    """Somebody who decides about `CS1`."""

    station: ConnectedStation

    def __init__(self, world: World) -> None:
        self.world = world
        self.logins = Logins(world.context.settings)
        self.register = Register(world.context.store)

    async def __call__(self, shown: Shown, station_id: str = "CS1") -> int | NotAdmitted:
        """The profile it is let in with."""
        found = await provisioning.admit(self.world.context, station_id, shown, self.logins, self.register)
        return found.security_profile if isinstance(found, Admitted) else found

    async def require(self, profile: int) -> None:
        await stations.update_station(self.world.context, "CS1", stations.StationChanges(security_profile=profile))


@pytest.fixture
async def door(world: World) -> Door:
    door = Door(world)
    door.station = await world.station()
    return door


def basic(
    password: str | bytes = PASSWORD,
    user: str = "CS1",
    *,
    encrypted: bool = False,
    certificate: ShownCertificate | None = None,
    address: str = "10.0.0.1",
    allowed: frozenset[int] = provisioning.ALL_PROFILES,
) -> Shown:
    octets = password.encode() if isinstance(password, str) else password
    return Shown(
        credentials=(user, octets),
        encrypted=encrypted or certificate is not None,
        certificate=certificate,
        address=address,
        allowed_profiles=allowed,
    )


def certificate(
    *names: str, organizations: tuple[str, ...] = ("CPO",), until: datetime | None = None, strong: bool = True
) -> ShownCertificate:
    return ShownCertificate(
        common_names=names, organizations=organizations, not_before=at(-60), not_after=until or at(600), strong=strong
    )


def shown(one: ShownCertificate, allowed: frozenset[int] = provisioning.ALL_PROFILES) -> Shown:
    return Shown(encrypted=True, certificate=one, allowed_profiles=allowed)


async def test_the_station_s_profile_is_the_least_that_a_connection_proves(door: Door) -> None:
    world = door.world
    assert await door(NOTHING) == 0
    await door.require(1)
    assert await door(basic("anything at all, really")) is WRONG, "no password was ever set"
    await stations.set_password(world.context, "CS1", PASSWORD)
    assert (await stations.get_station(world.context, "CS1")).has_password
    assert await door(NOTHING) is WRONG
    assert await door(basic("battery")) is WRONG
    assert await door(basic(user="CS2")) is WRONG
    assert await door(basic()) == 1
    assert await door(basic(encrypted=True)) == 2, "it may be on its way up (A05)"
    await door.require(2)
    assert await door(basic()) is INSECURE
    assert await door(basic(encrypted=True)) == 2
    await door.require(3)
    assert await door(basic(encrypted=True)) is INSECURE
    assert await door(basic(certificate=certificate("CS1"))) == 3
    assert await door(shown(certificate("CS1"))) == 3
    await door.require(0)
    await stations.set_password(world.context, "CS1", None)
    assert await door(NOTHING) == 0


async def test_a_certificate_is_the_station_s_own(door: Door) -> None:
    """A00.FR.404, A00.FR.405."""
    await door.require(3)
    wrong = NotAdmitted.WRONG_CERTIFICATE
    assert await door(shown(certificate("CS1"))) == 3
    assert await door(shown(certificate("CS2"))) is wrong
    assert await door(shown(certificate("CS1x"))) is wrong
    assert await door(shown(certificate("x", "CS1"))) == 3
    assert await door(shown(certificate("SN-7"))) is wrong
    identity = StationIdentity(vendor_name="V", model="M", serial_number="SN-7")
    booted = StationBooted(identity=identity, reason=BootReason.POWER_UP)
    await router.take(door.world.context, door.station, Notice((booted,)))
    assert await door(shown(certificate("SN-7"))) == 3, "the serial number it told when it had proved who it is"
    assert await door(shown(certificate("CS1", until=at(-1)))) is wrong, "a resumed session doesn't look at the time"
    assert await door(shown(certificate("CS1", strong=False))) is wrong


async def test_a_certificate_belongs_to_the_operator(tmp_path: Path) -> None:
    async with make_world(tmp_path, CsmsSettings(cpo_names=("CPO", "Maker"))) as world:
        await world.station()
        door = Door(world)
        await door.require(3)
        assert await door(shown(certificate("CS1"))) == 3
        assert await door(shown(certificate("CS1", organizations=("Elsewhere", "Maker")))) == 3
        assert await door(shown(certificate("CS1", organizations=("Elsewhere",)))) is NotAdmitted.WRONG_CERTIFICATE
        assert await door(shown(certificate("CS1", organizations=()))) is NotAdmitted.WRONG_CERTIFICATE


async def test_a_certificate_of_another_is_no_substitute_for_a_password(door: Door) -> None:
    await door.require(2)
    await stations.set_password(door.world.context, "CS1", PASSWORD)
    assert await door(shown(certificate("CS2"))) is WRONG
    assert await door(basic(certificate=certificate("CS2"))) == 2, "but the password counts"
    assert await door(basic(certificate=certificate("CS1"), allowed=frozenset({2}))) == 2
    assert await door(shown(certificate("CS1"), allowed=frozenset({2}))) is WRONG
    await door.require(3)
    assert await door(basic(certificate=certificate("CS1"), allowed=frozenset({2}))) is INSECURE


@pytest.mark.parametrize(
    ("allowed", "nothing", "password", "over_tls"),
    [
        ({0}, 0, INSECURE, INSECURE),
        ({0, 1}, 0, 1, INSECURE),
        ({1}, WRONG, 1, INSECURE),
        ({2}, INSECURE, INSECURE, 2),
        ({2, 3}, INSECURE, INSECURE, 2),
        ({3}, INSECURE, INSECURE, INSECURE),
    ],
)
async def test_a_listener_lets_in_its_own_profiles_only(
    door: Door, allowed: set[int], nothing: object, password: object, over_tls: object
) -> None:
    """A00.FR.002."""
    profiles = frozenset(allowed)
    assert await door(Shown(allowed_profiles=profiles)) == nothing
    await stations.set_password(door.world.context, "CS1", PASSWORD)
    assert await door(basic(allowed=profiles)) == password
    assert await door(basic(encrypted=True, allowed=profiles)) == over_tls


async def test_one_switch_refuses_what_is_not_encrypted(tmp_path: Path) -> None:
    settings = CsmsSettings(refuse_plain=True, unknown_stations=UnknownStationPolicy.ACCEPT)
    async with make_world(tmp_path, settings) as world:
        door = Door(world)
        assert await door(NOTHING) is INSECURE
        assert (await stations.list_stations(world.context)).items == (), "not even looked at"
        assert await door(Shown(encrypted=True)) == 0
        assert await door(NOTHING) is INSECURE


async def test_strangers_prove_what_the_listener_asks_for(tmp_path: Path) -> None:
    async with make_world(tmp_path, CsmsSettings(unknown_stations=UnknownStationPolicy.PENDING)) as world:
        door = Door(world)
        safe = frozenset({2, 3})
        assert await door(Shown(encrypted=True, allowed_profiles=safe)) is WRONG
        assert await door(basic(encrypted=True, allowed=safe)) is WRONG, "a password that nobody has set"
        assert await door(shown(certificate("CS2"), allowed=safe)) is NotAdmitted.WRONG_CERTIFICATE
        assert await door(shown(certificate("CS1"), allowed=safe)) == 3
        assert (await stations.get_station(world.context, "CS1")).security_profile == 3
        assert await door(NOTHING) is INSECURE, "who came with a certificate comes with one again"


# Passwords


@pytest.mark.parametrize(
    ("entered", "shown_as", "same"),
    [
        ("00112233445566778899aabbccddeeff", bytes.fromhex("00112233445566778899aabbccddeeff"), True),
        ("00112233445566778899AABBCCDDEEFF", b"00112233445566778899aabbccddeeff", True),
        ("00112233445566778899aabbccddeeff01234567", bytes.fromhex("00112233445566778899aabbccddeeff01234567"), True),
        ("00112233445566778899aabbccddeeff01234567", bytes.fromhex("00112233445566778899aabbccddeeff01234568"), False),
        ("0123456789abcdef", b"0123456789abcdef", True),
        ("0123456789abcdef", bytes.fromhex("0123456789abcdef"), False),
        ("0123456789abcdefABCDEF", b"0123456789abcdefabcdef", False),
        ("schöne grüne Wiese", "schöne grüne Wiese".encode(), True),
        ("schöne grüne Wiese", "schöne grüne Wiese".encode("latin-1"), False),
    ],
)
def test_a_password_is_text_or_the_octets_that_digits_stand_for(entered: str, shown_as: bytes, same: bool) -> None:
    assert password_matches(shown_as, hash_password(entered.encode())) is same


async def test_a_password_is_long_enough(door: Door) -> None:
    """A00.FR.205."""
    context = door.world.context
    for short in ("", "0123456789abcde", "x" * 15):
        with pytest.raises(Invalid):
            await stations.set_password(context, "CS1", short)
    await stations.set_password(context, "CS1", "x" * 16)
    await stations.set_password(context, "CS1", "0" * 32)


async def test_after_a_rotation_the_old_password_is_worth_nothing(door: Door) -> None:
    """A01.FR.03, whether it was known before or not."""
    await stations.set_password(door.world.context, "CS1", PASSWORD)
    assert await door(basic()) == 1
    await stations.set_password(door.world.context, "CS1", "another horse altogether")
    assert await door(basic()) is WRONG
    assert await door(basic("another horse altogether")) == 1
    assert await door(basic()) is WRONG


# Those who guess


async def test_guesses_are_limited_and_whoever_was_known_is_not_locked_out(door: Door) -> None:
    await stations.set_password(door.world.context, "CS1", PASSWORD)
    settings = door.world.context.settings
    assert await door(basic()) == 1
    for _ in range(settings.failed_logins_per_station):
        assert await door(basic("wrong", address="10.6.6.6")) is WRONG
    assert await door(basic("wrong", address="10.7.7.7")) is NotAdmitted.TOO_MANY_FAILURES
    assert await door(basic()) == 1, "it was known"
    door.logins = Logins(settings)
    for _ in range(settings.failed_logins_per_station):
        assert await door(basic("wrong", address="10.6.6.6")) is WRONG
    assert await door(basic()) is NotAdmitted.TOO_MANY_FAILURES, "nobody has seen it since the start"
    door.world.clock.seconds += settings.failed_login_window_s / settings.failed_logins_per_station
    assert await door(basic()) == 1


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(door: Door) -> None:
    await stations.set_password(door.world.context, "CS1", PASSWORD)
    verdicts = await asyncio.gather(*(door(basic(f"guess {k}")) for k in range(40)))
    assert verdicts.count(WRONG) == door.world.context.settings.failed_logins_per_station
    assert verdicts.count(NotAdmitted.TOO_MANY_FAILURES) == 30


async def test_identities_can_t_be_tried_out(door: Door) -> None:
    allowed = door.world.context.settings.failed_logins_per_address
    verdicts = [await door(basic(address="10.6.6.6"), f"CS{k + 2}") for k in range(allowed + 5)]
    assert verdicts == [NotAdmitted.UNKNOWN_STATION] * allowed + [NotAdmitted.TOO_MANY_FAILURES] * 5
    assert await door(basic(address="10.1.1.1"), "CS2") is NotAdmitted.UNKNOWN_STATION


def test_a_count_recovers_and_is_bounded() -> None:
    count = FailureCount(3, 30, most_keys=100)
    for _ in range(3):
        assert not count.spent("a", 0)
        count.add("a", 0)
    assert count.spent("a", 0)
    assert count.spent("a", 9.9)
    assert not count.spent("a", 10)
    count.add("a", 10)
    assert count.spent("a", 19.9)
    assert not count.spent("b", 0)
    count.take_back("b")
    for k in range(1000):
        count.add(f"k{k}", 50)
    assert len(count) == 100
    assert not count.spent("a", 50)
    for _ in range(1000):
        count.add("z", 50)
    assert not count.spent("z", 80), "however many: after the window all is well again"


async def test_a_password_is_hashed_slowly_once(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await stations.set_password(door.world.context, "CS1", PASSWORD)
    hashed = 0

    def matches(password: bytes, password_hash: str) -> bool:
        nonlocal hashed
        hashed += 1
        return password_matches(password, password_hash)

    monkeypatch.setattr(logins_module, "password_matches", matches)
    begun_s = time.perf_counter()
    assert await door(basic()) == 1
    first_s = time.perf_counter() - begun_s
    begun_s = time.perf_counter()
    for _ in range(100):
        assert await door(basic()) == 1
    with capsys.disabled():
        again_s = (time.perf_counter() - begun_s) / 100
        print(f" login: first {first_s * 1e3:.1f} ms, again {again_s * 1e3:.2f} ms ", end="")
    assert hashed == 1
    assert await door(basic("wrong")) is WRONG
    assert hashed == 2


async def test_what_is_known_is_bounded() -> None:
    known = Logins(CsmsSettings(), most_known=2)
    secret = hash_password(b"x")
    for number in (1, 2, 3):
        assert await known.check(number, secret, b"x", station_id=str(number), address="a", now_s=0)
    assert [known.knows(number, secret, b"x") for number in (1, 2, 3)] == [False, True, True]
    assert not known.knows(2, secret, b"y")
    assert not known.knows(2, hash_password(b"x"), b"x"), "the same password entered again is another entry"
