"""The configuration file of a station, and what it comes to.

Guarantees
* Everything that a station is built as can be said here: where its CSMS is and whom it trusts, who it is, its EVSEs,
  how patient it is, and the initial value of every variable. What a CSMS has changed since is in the journal, and wins.
* What can't be is a ConfigError that names the field.
"""

import ssl
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec

from forecourt.app.config import ConfigError
from forecourt.app.station_hardware import HardwareFile
from forecourt.app.tls import client_tls
from forecourt.dialect import DIALECTS, by_subprotocol
from forecourt.dialect.passwords import password_octets
from forecourt.dialect.port import Dialect
from forecourt.dialect.variable_names import Written, variables_of
from forecourt.domain.meter import Measurand
from forecourt.domain.station import StationIdentity
from forecourt.domain.variable import VariableRef
from forecourt.hardware.sftp_access import HostKeys
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.net.backoff import BackoffPolicy
from forecourt.net.handshake import connection_url
from forecourt.net.tls import ClientTls
from forecourt.net.uplink import Uplink
from forecourt.quantities import NOMINAL_VOLTAGE_V
from forecourt.station.config import DEFAULT_MEASURANDS, EvseConfig, StationConfig
from forecourt.station.variable_table import BASIC_AUTH_PASSWORD, SECURITY_PROFILE

LEAST_WITH_TLS: Final = 2
WITH_CERTIFICATE: Final = 3
"""Security profiles."""
FIRST_GENERATION: Final = DIALECTS[-1].subprotocol

Address = Annotated[str, msgspec.Meta(pattern="^wss?://")]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]

PASSED_ON: Final = (
    "maximum_a",
    "minimum_a",
    "voltage_v",
    "measurands",
    "boot_retry_s",
    "boot_retry_longest_s",
    "hardware_patience_s",
    "reset_patience_s",
    "presence_patience_s",
    "reading_persisted_every_s",
    "clock_kept",
    "clock_tolerance_s",
    "cache_size",
    "unsigned_firmware",
    "renew_certificate_before_s",
    "transfer_retries",
    "transfer_retry_interval_s",
    "data_transfer_vendors",
    "security_log_size",
    "report_queue_size",
    "publish_schedule_interval_s",
    "publish_schedule_duration_s",
)
"""What the file and `StationConfig` call by one name, and mean the same by."""

PATHS: Final = ("ca_directory", "transfer_ca", "transfer_known_hosts", "transfer_key")

_BUILT: Final = StationConfig(identity=StationIdentity(vendor_name="", model=""))
"""For its defaults: they are said once."""


class BackoffFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to wait before connecting again."""

    wait_minimum_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    random_range_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    repeat_times: Annotated[int, msgspec.Meta(ge=0)] = 5
    """How often the wait doubles."""


class StationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration file of a station."""

    id: Annotated[str, msgspec.Meta(min_length=1)] = "station-1"
    """Its identity towards the CSMS."""
    csms: Address | Annotated[tuple[Address, ...], msgspec.Meta(min_length=1)] = "ws://127.0.0.1:9000/ocpp"
    """The CSMS, without the identity; or several addresses of it, in order of preference."""
    csms_return_after_s: Seconds = 3600.0
    """How long a connection to another address than the first may last before the first is tried again; 0: for ever."""
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    """For Basic Auth, with the identity as user name (security profiles 1 and 2)."""
    security_profile: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    """The one to begin with, a CSMS may raise it. None: the highest for which everything is here."""
    ca_directory: str | None = None
    """Certificates of those who may vouch for a wss:// CSMS; None: those that the system trusts."""
    tls: ClientTls = ClientTls()
    """The rest of TLS: our own certificate and key (security profile 3), the name of the server, the policy."""
    protocol: str = FIRST_GENERATION
    vendor_name: str = "Forecourt"
    model: str = "Simulated AC"
    serial_number: str | None = None
    controller_serial_number: str | None = None
    """A second serial number that older stations report."""
    firmware_version: str | None = None
    modem_iccid: str | None = None
    modem_imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
    evses: Annotated[int, msgspec.Meta(ge=1, le=128)] | tuple[EvseConfig, ...] = 1
    """How many, or each by itself."""
    maximum_a: float | None = None
    """Per phase, for all EVSEs together."""
    voltage_v: Annotated[float, msgspec.Meta(gt=0)] = NOMINAL_VOLTAGE_V
    measurands: tuple[Measurand, ...] = DEFAULT_MEASURANDS
    """What the meters measure."""
    reading_every_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """How often the meters are read while current flows."""
    backoff: BackoffFile = BackoffFile()
    minimum_a: Annotated[float, msgspec.Meta(ge=0)] = _BUILT.minimum_a
    """Less than this can't be offered to a car."""
    boot_retry_s: Annotated[float, msgspec.Meta(gt=0)] = _BUILT.boot_retry_s
    """First wait after a boot without an answer, or with an interval of 0; it doubles."""
    boot_retry_longest_s: Annotated[float, msgspec.Meta(gt=0)] = _BUILT.boot_retry_longest_s
    hardware_patience_s: Seconds = _BUILT.hardware_patience_s
    """How long a lock may take to answer."""
    reset_patience_s: Seconds = _BUILT.reset_patience_s
    """How long a soft reset waits for the last messages to be delivered."""
    presence_patience_s: Seconds = _BUILT.presence_patience_s
    """How long after a restart it may take to know whether a car is still there."""
    reading_persisted_every_s: Annotated[float, msgspec.Meta(gt=0)] = _BUILT.reading_persisted_every_s
    """The most of a transaction's readings that a power cut may lose."""
    clock_kept: bool = _BUILT.clock_kept
    """Whether the computer's calendar is right after a start; false: the CSMS has to tell the time first."""
    clock_tolerance_s: Seconds = _BUILT.clock_tolerance_s
    """A difference to the CSMS's time below this is left alone."""
    cache_size: Count = _BUILT.cache_size
    """Tokens in the authorization cache."""
    unsigned_firmware: bool = False
    """Whether UpdateFirmware, which proves nothing of where firmware comes from, is obeyed (L01.FR.20)."""
    renew_certificate_before_s: Seconds = _BUILT.renew_certificate_before_s
    """How long before its end the station's certificate is renewed."""
    transfer_retries: Count = _BUILT.transfer_retries
    """How often a failed transfer is tried again if the CSMS doesn't say."""
    transfer_retry_interval_s: Seconds = _BUILT.transfer_retry_interval_s
    transfer_ca: str | None = None
    """Certificates of those who may vouch for file servers, besides those that the system trusts."""
    transfer_known_hosts: str | None = None
    """Keys of SFTP servers, as OpenSSH writes them; None: no SFTP."""
    transfer_host_keys: HostKeys = HostKeys.KNOWN
    """`first-use` writes the key of a server that was never met there, instead of refusing it."""
    transfer_key: str | None = None
    """The station's own key for SFTP, readable by its owner only; None: by the password in the address."""
    data_transfer_vendors: tuple[str, ...] = ()
    """Vendors whose DataTransfer is for an application behind the hardware; simulated hardware accepts all of it."""
    security_log_size: Annotated[int, msgspec.Meta(ge=1)] = _BUILT.security_log_size
    report_queue_size: Annotated[int, msgspec.Meta(ge=1)] = _BUILT.report_queue_size
    """Most reports that wait for the CSMS, unless all are critical."""
    publish_schedule_interval_s: Seconds = _BUILT.publish_schedule_interval_s
    """How often the hardware is told the limits to come even if none has changed; 0: only when they have."""
    publish_schedule_duration_s: Annotated[int, msgspec.Meta(ge=1)] = _BUILT.publish_schedule_duration_s
    """How far ahead; further than the interval."""
    hardware: HardwareFile = HardwareFile()
    """What the EVSEs are."""
    variables: dict[str, Written] = {}
    """Initial values, by `Component.Variable`, `Component.Variable[Instance]`, or the older key."""

    def beside(self, folder: Path) -> Self:
        """With the paths of certificates and keys that are relative to `folder` made absolute."""
        given = {name: getattr(self, name) for name in PATHS}
        paths = {name: str(folder / path) for name, path in given.items() if path is not None}
        return msgspec.structs.replace(
            self, tls=self.tls.beside(folder), hardware=self.hardware.beside(folder), **paths
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of the CSMS, in order of preference."""
        return (self.csms,) if isinstance(self.csms, str) else self.csms

    @property
    def evse_configs(self) -> tuple[EvseConfig, ...]:
        """Each EVSE."""
        return (EvseConfig(),) * self.evses if isinstance(self.evses, int) else self.evses


def dialect_of(settings: StationFile) -> Dialect:
    """What the station speaks. ConfigError: nothing that we know."""
    try:
        return by_subprotocol(settings.protocol)
    except KeyError:
        known = ", ".join(dialect.subprotocol for dialect in DIALECTS)
        raise ConfigError(f'protocol: expected one of {known}, got "{settings.protocol}"') from None


def station_config(settings: StationFile) -> StationConfig:
    """What the core is told. ConfigError: a value can't be."""
    try:
        return StationConfig(
            identity=StationIdentity(
                vendor_name=settings.vendor_name,
                model=settings.model,
                serial_number=settings.serial_number,
                firmware_version=settings.firmware_version,
                modem_iccid=settings.modem_iccid,
                modem_imsi=settings.modem_imsi,
                meter_type=settings.meter_type,
                meter_serial_number=settings.meter_serial_number,
                controller_serial_number=settings.controller_serial_number,
            ),
            evses=settings.evse_configs,
            variables=_variables(settings),
            **{name: getattr(settings, name) for name in PASSED_ON},
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _variables(settings: StationFile) -> dict[VariableRef, str]:
    """The initial values; ValueError: one can't be."""
    given = variables_of(settings.variables)
    for ref, field in ((SECURITY_PROFILE, "security_profile"), (BASIC_AUTH_PASSWORD, "password")):
        if ref in given:
            raise ValueError(f"variables: {ref} is what the field {field} says; give it there")
    given[SECURITY_PROFILE] = str(security_profile_of(settings))
    if settings.password is not None:
        given[BASIC_AUTH_PASSWORD] = settings.password
    return given


def simulated_evses(settings: StationFile) -> list[SimulatedEvse]:
    """The hardware that fits."""
    return [
        SimulatedEvse(
            number,
            number_phases=evse.number_phases,
            maximum_a=evse.maximum_a,
            voltage_v=settings.voltage_v,
            has_lock=evse.has_lock,
            reading_every_s=settings.reading_every_s,
        )
        for number, evse in enumerate(settings.evse_configs, start=1)
    ]


def uplink_of(settings: StationFile) -> Uplink:
    """How the CSMS is first reached. ConfigError: it can't be, or a security profile lacks something."""
    profile = security_profile_of(settings)
    address = addresses_for(settings, profile)[0]
    return uplink_to(
        settings, address, profile, settings.password or "", _tls(settings) if is_secure(address) else None
    )


def uplink_to(settings: StationFile, address: str, profile: int, password: str, tls: ssl.SSLContext | None) -> Uplink:
    """One way to the CSMS. ConfigError: it can't be there."""
    try:
        url = connection_url(address, settings.id)
    except ValueError as error:
        raise ConfigError(f"csms: {error}") from error
    shows_password = password and profile != WITH_CERTIFICATE
    return Uplink(
        url=url,
        security_profile=profile,
        basic_auth=(settings.id, password_octets(dialect_of(settings), password)) if shows_password else None,
        tls=tls,
        backoff=BackoffPolicy(
            wait_minimum_s=settings.backoff.wait_minimum_s,
            random_range_s=settings.backoff.random_range_s,
            repeat_times=settings.backoff.repeat_times,
        ),
    )


def addresses_for(settings: StationFile, profile: int) -> tuple[str, ...]:
    """The addresses that a security profile can be had at, in order; none: there is no such connection.

    Where none of them has TLS, profiles 2 and 3 are looked for at the same hosts and ports.
    """
    given = settings.addresses
    if profile == 0:
        return given
    secure = profile >= LEAST_WITH_TLS
    fitting = tuple(address for address in given if is_secure(address) is secure)
    if secure and not fitting:
        return tuple(f"wss{address.removeprefix('ws')}" for address in given)
    return fitting


def is_secure(address: str) -> bool:
    """Whether it has TLS."""
    return address.startswith("wss:")


def security_profile_of(settings: StationFile) -> int:
    """As asked for, or as there is everything for (security white paper §2.1; OCPP 2.0.1 part 2 A00).

    ConfigError: something is missing for it.
    """
    has_certificate = settings.tls.certificate is not None
    secure = any(is_secure(address) for address in settings.addresses)
    asked = settings.security_profile
    if asked is None:
        if settings.password is None:
            return 3 if secure and has_certificate else 0
        return 1 if not secure else 3 if has_certificate else 2
    if asked == 1 and not addresses_for(settings, 1):
        raise ConfigError("security_profile: 1 is without TLS; the csms needs a ws:// address, or 2 is meant")
    if asked >= 2 and not secure:
        raise ConfigError(f"security_profile: {asked} needs a wss:// address of the csms")
    if asked in {1, 2} and settings.password is None:
        raise ConfigError(f"security_profile: {asked} needs a password")
    if asked == 3 and not has_certificate:
        raise ConfigError("security_profile: 3 needs tls.certificate, and tls.key where the key is in another file")
    return asked


def _tls(settings: StationFile) -> ssl.SSLContext:
    # A station charges without its CSMS, too, and its calendar may be wrong when it starts: a certificate that is over,
    # or not valid yet, is no reason to stay out of service.
    if settings.ca_directory is None:
        return client_tls(settings.tls, "tls", at_any_time=True)
    if settings.tls.ca is not None:
        raise ConfigError("ca_directory: says the same as tls.ca; only one of them can be")
    tls = msgspec.structs.replace(settings.tls, ca=settings.ca_directory)
    return client_tls(tls, "ca_directory, tls", at_any_time=True)
