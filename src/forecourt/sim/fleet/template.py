"""Models of stations, as TOML: what they are built as, their keys, and where they differ from the book.

Guarantees
* A template says everything that all stations of a model have in common; a fleet adds who they are.
* Quirks are obeyed at the station's edge (`edge`), never in its core: what a quirk spoils is the message, not the
  station.
"""

from importlib import resources
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from forecourt.dialect.variable_names import Written, variables_of
from forecourt.domain.meter import Measurand
from forecourt.domain.station import StationIdentity
from forecourt.hardware.simulated import SimulatedEvse
from forecourt.quantities import NOMINAL_VOLTAGE_V
from forecourt.station.config import DEFAULT_MEASURANDS, EvseConfig, StationConfig

_SUFFIX: Final = ".toml"
Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model differs from the book. The default: not at all."""

    values_as_numbers: bool = False
    """Sends sampled values as JSON numbers where the protocol wants text."""
    energy_in_kwh: bool = False
    """Sends energies of meter values in kWh; the registers of start and stop stay in Wh."""
    no_values_by_phase: bool = False
    """Leaves out every sample of a single phase."""
    late_status_s: Seconds = 0.0
    """Sends each StatusNotification so much later, with the time it was meant for, while other calls overtake it."""
    slow_answers_s: Seconds = 0.0
    """Takes so long for every answer to the CSMS."""
    boots_on_reconnect: bool = False
    """Sends its BootNotification again whenever it connects again."""
    refused_actions: tuple[str, ...] = ()
    """Requests of the CSMS that it answers with the error NotSupported."""
    refused_purposes: tuple[str, ...] = ()
    """Purposes of charging profiles that it answers with Rejected."""

    @property
    def any(self) -> bool:
        """Whether it differs at all."""
        return self != _NONE


_NONE: Final = Quirks()


class StationTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of a station."""

    vendor_name: str = "Forecourt"
    model: str = "Simulated AC"
    firmware_version: str | None = None
    meter_type: str | None = None
    protocol: str | None = None
    """What it speaks; None: what the fleet speaks."""
    evses: Annotated[tuple[EvseConfig, ...], Meta(min_length=1)] = (EvseConfig(),)
    maximum_a: float | None = None
    """Per phase, for all EVSEs together."""
    voltage_v: Annotated[float, Meta(gt=0)] = NOMINAL_VOLTAGE_V
    measurands: tuple[Measurand, ...] = DEFAULT_MEASURANDS
    reading_every_s: Annotated[float, Meta(gt=0)] = 10.0
    """How often the meters are read while current flows."""
    variables: dict[str, Written] = {}
    """Initial values, by component and variable or by the older key."""
    quirks: Quirks = Quirks()

    def config(self, serial_number: str) -> StationConfig:
        """What a core is told. ValueError, naming the field: a value can't be."""
        return StationConfig(
            identity=StationIdentity(
                vendor_name=self.vendor_name,
                model=self.model,
                serial_number=serial_number,
                firmware_version=self.firmware_version,
                meter_type=self.meter_type,
            ),
            evses=self.evses,
            maximum_a=self.maximum_a,
            voltage_v=self.voltage_v,
            measurands=self.measurands,
            variables=variables_of(self.variables),
        )

    def hardware(self) -> list[SimulatedEvse]:
        """EVSEs that fit."""
        return [
            SimulatedEvse(
                number,
                number_phases=evse.number_phases,
                maximum_a=evse.maximum_a,
                voltage_v=self.voltage_v,
                has_lock=evse.has_lock,
                reading_every_s=self.reading_every_s,
            )
            for number, evse in enumerate(self.evses, start=1)
        ]


def known_templates() -> dict[str, str]:
    """The templates that ship with the package: their names, and their text."""
    folder = resources.files("forecourt.sim").joinpath("templates")
    return {
        entry.name.removesuffix(_SUFFIX): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(_SUFFIX)
    }
