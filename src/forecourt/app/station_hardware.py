"""What stands behind a station's core, as its configuration says: simulated EVSEs, or firmware behind MQTT.

Guarantees
* What can't be is a ConfigError that names the field.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote

import msgspec

from forecourt.app.config import ConfigError
from forecourt.app.tls import client_tls
from forecourt.hardware.mqtt import MqttHardware
from forecourt.hardware.mqtt_link import Broker, MqttLink
from forecourt.hardware.mqtt_system import MqttSystem
from forecourt.net.tls import ClientTls
from forecourt.station.config import EvseConfig

PORT = 1883
TLS_PORT = 8883

Transfer = Literal["FTP", "FTPS", "HTTP", "HTTPS", "SFTP"]


class HardwareFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[hardware]`: the fields below `kind` are those of MQTT (docs/hardware-mqtt.md)."""

    kind: Literal["simulated", "mqtt"] = "simulated"
    host: Annotated[str, msgspec.Meta(min_length=1)] = "127.0.0.1"
    """The broker."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    """None: 1883, or 8883 with TLS."""
    user: str | None = None
    password: str | None = None
    tls: ClientTls | None = None
    """None: without."""
    prefix: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Of all topics; None: forecourt/ and the station's id."""
    keepalive_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 10
    patience_s: Annotated[float, msgspec.Meta(gt=0)] = 15.0
    """How long the firmware may not be heard of before its EVSEs are faulted."""
    safe_limit_a: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """What the firmware may offer while the stack is gone."""
    transfers: tuple[Transfer, ...] = ()
    """How the firmware transfers firmware and logs by itself; none: the stack does."""

    def __post_init__(self) -> None:
        if self.kind == "simulated" and any(
            getattr(self, field.name) != field.default for field in msgspec.structs.fields(self)
        ):
            raise ValueError('kind: expected "mqtt" where a broker is described')
        if self.prefix is not None and (set(self.prefix) & set("+#\0") or self.prefix.strip("/") != self.prefix):
            raise ValueError(f'prefix: expected a topic without +, # and / at its ends, got "{self.prefix}"')
        if self.password is not None and self.user is None:
            raise ValueError("password: is of no use without a user")

    def beside(self, folder: Path) -> Self:
        """With paths that are relative to `folder` made absolute."""
        return self if self.tls is None else msgspec.structs.replace(self, tls=self.tls.beside(folder))

    def __repr__(self) -> str:
        # Never the password.
        return f"HardwareFile(kind={self.kind!r}, host={self.host!r}, port={self.port})"


def mqtt_hardware(
    settings: HardwareFile, station_id: str, evses: tuple[EvseConfig, ...]
) -> tuple[MqttHardware, MqttLink]:
    """The EVSEs behind a broker, and the wire to it, not yet connected. Raises ConfigError."""
    try:
        tls = None if settings.tls is None else client_tls(settings.tls, "hardware.tls")
    except ValueError as error:
        raise ConfigError(f"hardware.tls: {error}") from error
    hardware = MqttHardware(
        len(evses),
        number_phases=[evse.number_phases for evse in evses],
        safe_limit_a=settings.safe_limit_a,
        patience_s=settings.patience_s,
        system=MqttSystem(settings.transfers) if settings.transfers else None,
    )
    broker = Broker(
        host=settings.host,
        port=settings.port or (PORT if tls is None else TLS_PORT),
        user=settings.user,
        password=settings.password,
        tls=tls,
        keepalive_s=settings.keepalive_s,
        prefix=settings.prefix or f"forecourt/{quote(station_id, safe=' .-_~')}",
    )
    return hardware, MqttLink(broker, hardware)
