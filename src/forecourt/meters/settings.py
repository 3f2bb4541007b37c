"""What can be configured about a meter. Read from `[[meters]]` in `site.toml`.

Guarantees
* Every meter has a name of its own, a role, and for the role `node` the node whose current it measures.
* The `kind` says how it is read, and only what that kind needs can be set.
"""

from typing import Annotated, Literal

import msgspec

from forecourt.controller.ports import MeterRole
from forecourt.meters.quantities import QUANTITIES

PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Meter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all meters have."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    role: MeterRole = MeterRole.NODE
    node: str | None = None
    """Name of the node it measures. Left out: the grid connection."""
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    """How far behind the currents of the world its readings may be."""
    invert: bool = False
    """Whether it counts the other way round: import is positive here, generation negative."""


class ModbusMeter(Meter, frozen=True, kw_only=True, tag="modbus"):
    """Over Modbus TCP, or Modbus RTU through a gateway."""

    host: str
    port: Port = 502
    unit_id: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    """The device behind the gateway; several meters may share a gateway."""
    framer: Literal["tcp", "rtu"] = "tcp"
    """`rtu` for gateways that pass serial frames through as they are."""
    model: str = "sunspec"
    """`sunspec`, one of the register maps in the package, or the path of one of your own, ending in .toml."""
    interval_s: PositiveSeconds = 1.0
    timeout_s: PositiveSeconds = 1.0

    @property
    def gateway(self) -> tuple[str, int, str]:
        """What a connection is shared by."""
        return (self.host, self.port, self.framer)


class MqttMeter(Meter, frozen=True, kw_only=True, tag="mqtt"):
    """Over the broker of `[mqtt]`: something publishes readings there."""

    quantities: dict[str, "MqttQuantity"]
    """By name, such as `current_l1_a`."""

    def __post_init__(self) -> None:
        if not self.quantities:
            raise ValueError("quantities: expected at least one")
        for name in self.quantities:
            if name not in QUANTITIES:
                raise ValueError(f"quantities.{name}: expected one of {', '.join(QUANTITIES)}")


class MqttQuantity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one quantity comes from."""

    topic: Annotated[str, msgspec.Meta(min_length=1)]
    path: str | None = None
    """Where in the JSON of the message: `ENERGY.Current.0`. Left out: the message is a plain number."""
    scale: float = 1.0


class OcppMeter(Meter, frozen=True, kw_only=True, tag="ocpp"):
    """The main meter of a station (connector 0), as it reports it to the CSMS."""

    station_id: Annotated[str, msgspec.Meta(min_length=1)]


class SimulatedMeter(Meter, frozen=True, kw_only=True, tag="simulated"):
    """One that always reads the same: for demonstrations."""

    current_a: tuple[float, float, float] | None = None
    power_w: float | None = None
    soc_percent: float | None = None
    interval_s: PositiveSeconds = 1.0


AnyMeter = ModbusMeter | MqttMeter | OcppMeter | SimulatedMeter


class MqttBroker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The broker that meters, signals and outputs use. Read from `[mqtt]`."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False
    """Whether to speak TLS, with the roots that the system trusts, or those of `ca`."""
    ca: str | None = None
    """A file with the roots to trust."""
    client_id: str | None = None
    reconnect_s: PositiveSeconds = 2.0

    def __repr__(self) -> str:
        return f"MqttBroker(host={self.host!r}, port={self.port}, username={self.username!r})"  # never the password
