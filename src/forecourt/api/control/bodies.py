"""What the control API is told."""

import math
from typing import Annotated, Final

from msgspec import Meta

from forecourt.api.bodies import Asked
from forecourt.domain.certificate import ContractAction
from forecourt.domain.token import IdTokenType
from forecourt.hardware.vehicle import VehicleSpec

_INOPERATIVE: Final = frozenset(
    {
        "ConnectorLockFailure",
        "EmergencyStop",
        "GroundFailure",
        "HighTemperature",
        "InternalError",
        "OverCurrentFailure",
        "OverVoltage",
        "PowerMeterFailure",
        "PowerSwitchFailure",
        "UnderVoltage",
    }
)
"""What keeps an EVSE from delivering energy unless the body says otherwise; other codes are warnings."""

Amperes = Annotated[float, Meta(gt=0, le=1000)]
WattHours = Annotated[float, Meta(gt=0, le=10_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Text = Annotated[str, Meta(max_length=255)]


class ContractBody(Asked, frozen=True, kw_only=True):
    """A contract for charging (ISO 15118 Plug & Charge)."""

    emaid: Annotated[str, Meta(min_length=1, max_length=36)]
    """Whose it is: an eMobility account identifier such as DE8AACA2B3C4D5; hyphens don't count."""
    certificate_chain: Annotated[str, Meta(min_length=1, max_length=50_000)]
    """PEM, the contract's own first, without the root."""


class WantEvCertificate(Asked, frozen=True, kw_only=True):
    """A car wants a certificate for its contract."""

    action: ContractAction = ContractAction.INSTALL
    exi_request: Annotated[str, Meta(min_length=1, max_length=5600)]
    """CertificateInstallationReq or CertificateUpdateReq, base64."""
    schema_version: Annotated[str, Meta(min_length=1, max_length=50)] = "urn:iso:15118:2:2013:MsgDef"


class PlugIn(Asked, frozen=True, kw_only=True):
    """A car. Without a body: three phases, 16 A, 60 kWh, a quarter full."""

    phases: Annotated[int, Meta(ge=1, le=3)] = 3
    maximum_a: Amperes = 16.0
    """What its charger draws per phase at most."""
    minimum_a: Annotated[float, Meta(ge=0, le=1000)] = 6.0
    """Offered less, it pauses."""
    battery_wh: WattHours = 60_000.0
    initial_soc_percent: Annotated[float, Meta(ge=0, le=100)] = 25.0
    requested_wh: WattHours | None = None
    """What the driver asks for; null: until it is full."""
    tells_soc: bool = False
    """Whether the station learns the state of charge."""
    contract: ContractBody | None = None
    """What it shows as soon as it is connected; null: it charges by card."""
    unplug_after_s: Seconds | None = None
    """When it leaves by itself; null: when somebody unplugs it. A power cut does not keep it."""

    def vehicle(self) -> VehicleSpec:
        """As the simulation knows it."""
        return VehicleSpec(
            number_phases=self.phases,
            maximum_a=self.maximum_a,
            minimum_a=self.minimum_a,
            battery_wh=self.battery_wh,
            initial_wh=self.battery_wh * self.initial_soc_percent / 100.0,
            requested_wh=math.inf if self.requested_wh is None else self.requested_wh,
            tail_a=min(1.0, self.maximum_a),
            tells_soc=self.tells_soc,
        )


class PresentToken(Asked, frozen=True, kw_only=True):
    """A token held to the reader of the EVSE."""

    id_token: Annotated[str, Meta(min_length=1, max_length=255)]
    type: IdTokenType = IdTokenType.ISO14443


class RaiseFault(Asked, frozen=True, kw_only=True):
    """Something breaks. Its code is its name when it is cleared."""

    code: Annotated[str, Meta(min_length=1, max_length=50)]
    """An error code of the protocol, such as GroundFailure; any other is told as the vendor's."""
    inoperative: bool | None = None
    """Whether no energy can be delivered meanwhile; null: as is usual for this code."""
    origin: Text = ""
    error_type: Text = ""
    """Type and subtype as `type/subtype`."""
    message: Text = ""

    def __post_init__(self) -> None:
        if self.code == "NoError":
            raise ValueError("code: NoError is what is left when all faults are cleared")

    @property
    def stops_energy(self) -> bool:
        """Whether no energy can be delivered meanwhile."""
        return self.code in _INOPERATIVE if self.inoperative is None else self.inoperative


class DataTransferBody(Asked, frozen=True, kw_only=True):
    """A vendor's message for the CSMS."""

    vendor_id: Annotated[str, Meta(min_length=1, max_length=255)]
    message_id: Annotated[str, Meta(max_length=50)] | None = None
    data: Annotated[str, Meta(max_length=100_000)] | None = None


class SetVariablesBody(Asked, frozen=True, kw_only=True):
    """Values of variables, by either name: ConnectionTimeOut, or TxCtrlr.EVConnectionTimeOut."""

    variables: Annotated[dict[str, Annotated[str, Meta(max_length=2500)]], Meta(min_length=1, max_length=100)]


class ResendBody(Asked, frozen=True, kw_only=True):
    """Which of the messages that were set aside to send again."""

    seq: Annotated[int, Meta(ge=1)] | None = None
    """Null: all of them."""


class RebootBody(Asked, frozen=True, kw_only=True):
    """How to restart."""

    power_cut: bool = False
    """Pull the plug instead of asking the station: it gets no chance to end anything."""
