"""Simulated hardware that outlives its process: what is physical about it is on the disk.

Guarantees
* After a power cut (or a killed process) the meter goes on from no less than it has ever told; plugs, bolts, what is
  broken and the cars at the cables are as they were. Without power nothing flows, so a car has what it had.
* It is kept before the core is told: what a core heard of is never taken back by a power cut.
* A car may leave by itself: at the time it was given, or when the power is back if that has passed meanwhile.
* Faults of the station as a whole (EVSE 0) belong to it as those of its EVSEs do.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.journal import Put
from forecourt.hardware.simulated import EvseRemains, PlugError, SimulatedEvse
from forecourt.hardware.simulated_station import SimulatedHardware
from forecourt.hardware.vehicle import Vehicle, VehicleSpec
from forecourt.station.effects import HardwareEffect
from forecourt.station.inputs import Fault, FaultCleared, FaultRaised, HardwareInput
from forecourt.station.ports import Journal

SECTION: Final = "hardware"


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One EVSE on the disk."""

    remains: EvseRemains
    leaves_at: datetime | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Kept).decode
_decode_faults = msgspec.json.Decoder(tuple[Fault, ...]).decode


class KeptHardware:
    """All EVSEs of one station, kept in `journal`: one of their own, a damaged one must not take the meter along."""

    def __init__(self, evses: Iterable[SimulatedEvse], journal: Journal, now: Now) -> None:
        """OSError: the journal can't be read."""
        self.hardware = SimulatedHardware(evses)
        self.faults: dict[str, Fault] = {}
        """Those of the station as a whole."""
        self._journal = journal
        self._leaves_at: dict[int, datetime] = {}
        self._zero = (now.at, now.elapsed_s)
        self._written: dict[str, bytes] = {}
        for key, raw in journal.load().get(SECTION, {}).items():
            self._written[key] = raw
            if key == "0":
                self.faults = {fault.fault_id: fault for fault in _decode_faults(raw)}
            elif (evse := self.evses.get(int(key))) is not None:
                kept = _decode(raw)
                evse.restore(kept.remains, now)
                if kept.leaves_at is not None:
                    self._leaves_at[evse.evse_id] = kept.leaves_at

    @property
    def evses(self) -> dict[int, SimulatedEvse]:
        """The station's EVSEs by number."""
        return self.hardware.evses

    def leaves_at(self, evse_id: int) -> datetime | None:
        """When the car there leaves by itself."""
        return self._leaves_at.get(evse_id)

    # What a hand does: it is on the disk, and the result is for the core

    def plug_in(
        self, evse_id: int, spec: VehicleSpec, now: Now, *, leaves_after_s: float | None = None
    ) -> list[HardwareInput]:
        """A car is connected. PlugError: another is there; KeyError: there is no such EVSE."""
        news = self.evses[evse_id].plug_in(Vehicle(spec, now.elapsed_s), now)
        if leaves_after_s is not None:
            self._leaves_at[evse_id] = now.at + timedelta(seconds=leaves_after_s)
        return self._keep(news)

    def unplug(self, evse_id: int, now: Now) -> list[HardwareInput]:
        """The car is disconnected. PlugError: there is none; KeyError: there is no such EVSE."""
        news = self.evses[evse_id].unplug(now)
        self._leaves_at.pop(evse_id, None)
        return self._keep(news)

    def suspend(self, evse_id: int, suspended: bool, now: Now) -> list[HardwareInput]:
        """The car takes nothing for now, or takes energy again. PlugError, KeyError as for `unplug`."""
        return self._keep(self.evses[evse_id].suspend(suspended, now))

    def fail(self, evse_id: int, fault: Fault, now: Now) -> list[HardwareInput]:
        """Something breaks, at an EVSE or (0) at the station as a whole."""
        if evse_id == 0:
            self.faults[fault.fault_id] = fault
            return self._keep([FaultRaised(0, fault)])
        return self._keep(self.evses[evse_id].fail(fault, now))

    def recover(self, evse_id: int, fault_id: str, now: Now) -> list[HardwareInput]:
        """It is well again; nothing to tell if it was."""
        if evse_id == 0:
            return self._keep([] if self.faults.pop(fault_id, None) is None else [FaultCleared(0, fault_id)])
        return self._keep(self.evses[evse_id].recover(fault_id, now))

    def break_lock(self, evse_id: int, broken: bool) -> None:
        """The bolt jams where it is, or moves again. PlugError: there is no lock."""
        evse = self.evses[evse_id]
        if not evse.has_lock:
            raise PlugError(f"EVSE {evse_id}: a fixed cable has no lock")
        evse.lock_works = not broken
        self._keep([])

    # What any hardware does

    def carry_out(self, effect: HardwareEffect, now: Now) -> list[HardwareInput]:
        """Do what the core asks."""
        return self._keep(self.hardware.carry_out(effect, now))

    def advance(self, now: Now) -> list[HardwareInput]:
        """Live until `now`, and tell what has changed."""
        self._zero = (now.at, now.elapsed_s)
        news = self.hardware.advance(now)
        for evse_id in [evse_id for evse_id, at in self._leaves_at.items() if at <= now.at]:
            del self._leaves_at[evse_id]
            if self.evses[evse_id].vehicle is not None:
                news += self.evses[evse_id].unplug(now)
        return self._keep(news)

    def report(self, now: Now) -> list[HardwareInput]:
        """Everything, as hardware tells a core that has just started."""
        ground: list[HardwareInput] = [FaultRaised(0, fault) for fault in self.faults.values()]
        return self._keep([*self.hardware.report(now), *ground])

    def next_deadlines(self) -> Deadlines:
        """When to call `advance`."""
        deadlines = self.hardware.next_deadlines()
        if not self._leaves_at:
            return deadlines
        zero_at, zero_s = self._zero
        leaves_s = zero_s + max(0.0, (min(self._leaves_at.values()) - zero_at).total_seconds())
        return deadlines.earliest(Deadlines(elapsed_s=leaves_s))

    # Inside

    def _keep(self, news: list[HardwareInput]) -> list[HardwareInput]:
        """Write what has changed, then let `news` go."""
        now_written = {
            str(evse_id): _encode(_Kept(remains=evse.remains(), leaves_at=self._leaves_at.get(evse_id)))
            for evse_id, evse in self.evses.items()
        }
        now_written["0"] = _encode(tuple(self.faults.values()))
        changes = tuple(Put(SECTION, key, raw) for key, raw in now_written.items() if self._written.get(key) != raw)
        if changes:
            self._journal.commit(changes)
            self._written = now_written
        return news
