"""Commissioning as the controller sees it: the probes that run, and what is known of models.

Guarantees
* One probe at a time at a station; it begins only where the station can be spoken to and holds a confirmed limit.
* What was found is in the journal, by model, and counts for every station of the model from its next boot, or at once
  where it was found.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from forecourt.controller.capability import CAPABILITIES, Capability, apply, model_of
from forecourt.controller.commissioning import Probe
from forecourt.controller.effects import Effect
from forecourt.controller.hearing import Station
from forecourt.controller.issuer import Issuer
from forecourt.controller.keeping import Keeping, decoded
from forecourt.controller.registry import STATIONS, Registered
from forecourt.controller.settings import ControllerSettings
from forecourt.domain.clock import Now
from forecourt.domain.events import Notice, StationBooted
from forecourt.domain.journal import JournalState
from forecourt.domain.requests import CsmsRequestAnswer
from forecourt.domain.station import StationIdentity

_ONLY_SOMETIMES: Final = tuple(
    name for name in Capability.__struct_fields__ if name not in ("at", "station_id", "forms", "measurands")
)


class CantProbe(Exception):  # noqa: N818 -- named as what it is
    """A probe can't begin; `str()` says why."""


class Probing:
    """That of a site."""

    def __init__(
        self,
        stations: Mapping[str, Station],
        settings: ControllerSettings,
        issuer: Issuer,
        keeping: Keeping,
        voltage_v: float,
    ) -> None:
        self.probes: dict[str, Probe] = {}
        """The latest of each station."""
        self._stations = stations
        self._settings = settings
        self._issuer = issuer
        self._keeping = keeping
        self._voltage_v = voltage_v
        self._known: dict[str, Capability] = {}
        self._identities: dict[str, StationIdentity] = {}

    def restore(self, memory: JournalState) -> None:
        """Take over what the journal holds: before the books are, for they count on it."""
        for model, raw in memory.get(CAPABILITIES, {}).items():
            capability = decoded(raw, Capability)
            if capability is not None:
                self._known[model] = capability
        for station_id in self._stations:
            told = memory.get(STATIONS, {}).get(station_id)
            registered = None if told is None else decoded(told, Registered)
            if registered is not None and registered.identity is not None:
                self._identities[station_id] = registered.identity
            self._apply(station_id)

    def capability(self, station_id: str) -> Capability | None:
        """What is known of a station's model."""
        return self._known.get(model_of(station_id, self._identities.get(station_id)))

    def begin(self, station_id: str, evse_id: int | None, now: Now, *, reboot: bool) -> list[Effect]:
        """Begin a probe, at the EVSE where a car charges if none is named. Raises CantProbe."""
        station = self._stations[station_id]
        if station_id in self.probes and not self.probes[station_id].over:
            raise CantProbe(f"{station_id} is being probed already")
        lines = [line for line in station.lines if evse_id in (None, line.point.evse_id)]
        if not lines:
            raise CantProbe(f"{station_id} has no EVSE {evse_id}")
        line = next((line for line in lines if line.account.in_transaction), lines[0])
        if not line.ready or line.leaving:
            raise CantProbe(f"{station_id} can't be reached")
        if line.account.base is None or line.open_token is not None:
            raise CantProbe(f"{station_id} is just being told a limit; try again")
        if reboot and any(line.account.in_transaction for line in station.lines):
            raise CantProbe(f"{station_id} can't be restarted while somebody charges there")
        probe = Probe(
            line,
            self._settings,
            self._issuer.next_token,
            now,
            voltage_v=self._voltage_v,
            forms_of=self._issuer.forms_of,
            single_evse=len(station.lines) == 1,
            reboot=reboot,
        )
        self.probes[station_id] = probe
        return probe.begin()

    def heard(self, station_id: str, notice: Notice, now: Now) -> list[Effect]:
        """Something was told; the books know already."""
        effects: list[Effect] = []
        for event in notice.events:
            if isinstance(event, StationBooted) and self._identities.get(station_id) != event.identity:
                self._identities[station_id] = event.identity
                self._apply(station_id)
            if station_id in self.probes:
                effects += self.probes[station_id].heard(event, now)
        self._finished(station_id)
        return effects

    def asks(self, token: int) -> bool:
        """Whether a request is one that a probe waits for."""
        return any(probe.token == token for probe in self.probes.values())

    def answered(self, token: int, accepted: bool | None, answer: CsmsRequestAnswer | None, now: Now) -> list[Effect]:
        """What became of a request, perhaps one of a probe's."""
        effects: list[Effect] = []
        for station_id, probe in self.probes.items():
            effects += probe.answered(token, accepted, answer, now)
            self._finished(station_id)
        return effects

    def lost(self, station_id: str, now: Now) -> list[Effect]:
        """A station can't be reached."""
        probe = self.probes.get(station_id)
        return [] if probe is None else probe.lost(now)

    def expire(self, now: Now) -> list[Effect]:
        """Time has passed."""
        effects: list[Effect] = []
        for station_id, probe in self.probes.items():
            effects += probe.expire(now)
            self._finished(station_id)
        return effects

    def next_s(self) -> float | None:
        """When to call `expire` (elapsed)."""
        return min((probe.next_s for probe in self.probes.values() if probe.next_s is not None), default=None)

    def _finished(self, station_id: str) -> None:
        probe = self.probes.get(station_id)
        if probe is None or probe.found is None or probe.kept:
            return
        probe.kept = True
        model = model_of(station_id, self._identities.get(station_id))
        before = self._known.get(model)
        found = probe.found if before is None else _together(before, probe.found)
        self._known[model] = found
        self._keeping.put(CAPABILITIES, model, found)
        for other in self._stations:
            if model_of(other, self._identities.get(other)) == model:
                self._apply(other)

    def _apply(self, station_id: str) -> None:
        capability = self.capability(station_id)
        if capability is not None:
            for line in self._stations[station_id].lines:
                apply(capability, line, self._settings)


def _together(before: Capability, found: Capability) -> Capability:
    """A later run knows better; what it could not find out, because nobody charged, stands as it was."""
    kept = {name: getattr(before, name) for name in _ONLY_SOMETIMES if getattr(found, name) is None}
    return msgspec.structs.replace(found, **kept)
