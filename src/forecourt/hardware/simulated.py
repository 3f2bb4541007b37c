"""A simulated EVSE: meter, contactor, lock and control pilot around a `Vehicle`.

Guarantees
* It takes the station core's effects and gives its inputs, as any hardware does: `carry_out(effect, now)`,
  `advance(now)`, `next_deadlines()`. Whoever drives both calls `advance` before the core is told anything else, so that
  the core's last reading is of this instant.
* Current flows only with the power path closed, no fault that forbids it, and a car in state C that wants it
  (IEC 61851-1, annex A); when the path opens, nothing flows from that instant on.
* The register starts at 0, never falls, and survives cars, faults and restarts; what it counts is exactly what the cars
  took. It is told in steps of `register_step_wh`, rounded down.
* A reading is told when it differs from the last one told, always before a change of the pilot; while current flows at
  least every `reading_every_s`.
* A plug that is locked stays in its socket until the lock lets go of it, whatever the car does.
"""

import math
from typing import Final

import msgspec

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.meter import Measurand, MeasuredPhase, MeasuringPoint, SampledValue
from forecourt.domain.token import IdToken
from forecourt.hardware.vehicle import Flow, Vehicle, VehicleSpec
from forecourt.quantities import NOMINAL_VOLTAGE_V
from forecourt.station.effects import (
    ClosePowerPath,
    HardwareEffect,
    LockConnector,
    OpenPowerPath,
    Reboot,
    ReleaseConnector,
    SetLimit,
)
from forecourt.station.inputs import (
    CableChanged,
    Fault,
    FaultCleared,
    FaultRaised,
    HardwareInput,
    LockChanged,
    LockOutcome,
    MeterReading,
    Pilot,
    PilotChanged,
    TokenPresented,
)

_CURRENT_PHASES: Final = (MeasuredPhase.L1, MeasuredPhase.L2, MeasuredPhase.L3)
_VOLTAGE_PHASES: Final = (MeasuredPhase.L1_N, MeasuredPhase.L2_N, MeasuredPhase.L3_N)


_NEVER: Final = Deadlines()


class PlugError(Exception):
    """Something that can't be done with a plug: the socket is taken, or there is no car."""


class EvseRemains(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE without power. Of the car: what its battery holds now, and what it still wants."""

    evse_id: int
    register_wh: float
    plug_present: bool = False
    locked: bool = False
    lock_works: bool = True
    faults: tuple[Fault, ...] = ()
    vehicle: VehicleSpec | None = None
    suspended: bool = False


class SimulatedEvse:
    """One EVSE with one connector. What its car is told, and what it draws, follows from effects and time alone."""

    def __init__(
        self,
        evse_id: int = 1,
        *,
        number_phases: int = 3,
        maximum_a: float = 32.0,
        voltage_v: float = NOMINAL_VOLTAGE_V,
        has_lock: bool = True,
        lock_works: bool = True,
        reading_every_s: float = 5.0,
        register_step_wh: float = 0.1,
    ) -> None:
        """`voltage_v` is what each of its phases lies at: line to neutral, or line to line for a single phase between
        two lines. `reading_every_s` is in seconds of the world. `register_step_wh` is the resolution of what the
        register tells; it counts without steps.
        """
        if reading_every_s <= 0.0:
            raise ValueError(f"reading_every_s: expected more than 0, got {reading_every_s}")
        self.evse_id = evse_id
        self.number_phases = number_phases
        self.maximum_a = maximum_a
        self.voltage_v = voltage_v
        self.has_lock = has_lock
        self.lock_works = lock_works
        self.vehicle: Vehicle | None = None
        self.limit_a = 0.0
        """What the pilot would offer, were the power path closed."""
        self.locked = False
        self.plug_present = False
        self._limit_phases = number_phases
        self._path_closed = False
        self._faults: dict[str, Fault] = {}
        self._reading_every_s = reading_every_s
        self._register_step_wh = register_step_wh
        self._now_s = 0.0
        self._earlier_wh = 0.0
        """What the cars before this one took."""
        self._told_pilot: Pilot | None = None
        self._told: tuple[SampledValue, ...] | None = None
        self._told_s = -math.inf
        self._flows: list[Flow] | None = None
        self._flows_since_s = 0.0

    # What is the case now

    @property
    def register_wh(self) -> float:
        """All energy that ever flowed, unrounded."""
        return self._earlier_wh + (0.0 if self.vehicle is None else self.vehicle.delivered_wh)

    @property
    def offering(self) -> bool:
        """Whether the contactor would close for a car that wants energy."""
        return self._path_closed and not any(fault.inoperative for fault in self._faults.values())

    @property
    def pilot(self) -> Pilot:
        """The state of the control pilot."""
        if self.vehicle is None:
            return Pilot.A
        return Pilot.C if self.vehicle.ready else Pilot.B

    @property
    def current_a(self) -> tuple[float, float, float]:
        """What flows in each of the EVSE's own phases."""
        vehicle = self.vehicle
        if vehicle is None:
            return (0.0, 0.0, 0.0)
        flowing_a, count = vehicle.current_a, vehicle.number_phases
        return (flowing_a, flowing_a if count > 1 else 0.0, flowing_a if count > 2 else 0.0)

    @property
    def power_w(self) -> float:
        """What flows, over all phases."""
        return 0.0 if self.vehicle is None else self.vehicle.power_w

    def samples(self) -> tuple[SampledValue, ...]:
        """What the meter shows: the register, power, currents and voltages by phase, the car's state of charge if
        it tells.
        """
        phases = range(self.number_phases)
        currents = self.current_a
        vehicle = self.vehicle
        return (
            SampledValue(round(math.floor(self.register_wh / self._register_step_wh) * self._register_step_wh, 3)),
            SampledValue(round(self.power_w, 1), Measurand.POWER_ACTIVE_IMPORT),
            *(SampledValue(round(currents[k], 2), Measurand.CURRENT_IMPORT, _CURRENT_PHASES[k]) for k in phases),
            *(SampledValue(self.voltage_v, Measurand.VOLTAGE, _VOLTAGE_PHASES[k]) for k in phases),
            *(
                (SampledValue(round(vehicle.soc * 100.0, 1), Measurand.SOC, measuring_point=MeasuringPoint.EV),)
                if vehicle is not None and vehicle.spec.tells_soc
                else ()
            ),
        )

    # Time

    def advance(self, now: Now) -> list[HardwareInput]:
        """Live until `now`, and tell what has changed."""
        self._run_to(now.elapsed_s)
        if self.vehicle is None and self._told_pilot is Pilot.A and self._told is not None:
            self._told_s = self._now_s
            return []  # without a car nothing changes by itself
        return self._news()

    def next_deadlines(self) -> Deadlines:
        """When to call `advance`."""
        if self.vehicle is None:
            return _NEVER
        deadlines = [self.vehicle.next_event_s]
        if self.vehicle.current_a > 0.0:
            deadlines.append(self._told_s + self._reading_every_s)
        next_s = min(deadlines)
        return Deadlines() if math.isinf(next_s) else Deadlines(elapsed_s=next_s)

    def report(self, now: Now) -> list[HardwareInput]:
        """Everything, as hardware tells a core that has just started."""
        self._run_to(now.elapsed_s)
        self._told = self._told_pilot = None
        cable: list[HardwareInput] = [CableChanged(self.evse_id, self.plug_present)] if self.has_lock else []
        faults = [FaultRaised(self.evse_id, fault) for fault in self._faults.values()]
        return [*cable, *self._news(), *faults]

    # The core's wishes

    def carry_out(self, effect: HardwareEffect, now: Now) -> list[HardwareInput]:
        """Do what the core asks of this EVSE; what isn't for an EVSE changes nothing."""
        self._run_to(now.elapsed_s)
        answer: list[HardwareInput] = []
        match effect:
            case SetLimit():
                self.limit_a = max(0.0, min(effect.limit_a, self.maximum_a))
                self._limit_phases = max(1, min(effect.number_phases, self.number_phases))
            case ClosePowerPath():
                self._path_closed = True
            case OpenPowerPath():
                self._path_closed = False
            case LockConnector():
                self.locked = self.lock_works
                answer = [LockChanged(self.evse_id, LockOutcome.LOCKED if self.locked else LockOutcome.FAILED)]
            case ReleaseConnector():
                answer = self._release()
            case Reboot():
                self._path_closed, self.limit_a = False, 0.0
            case _:
                pass
        self._signal()
        return [*self._news(), *answer]

    # People and accidents

    def plug_in(self, vehicle: Vehicle, now: Now) -> list[HardwareInput]:
        """A car is connected; for a socket, its cable at both ends.

        Raises:
            PlugError: another car or its plug is there.
        """
        self._run_to(now.elapsed_s)
        if self.vehicle is not None or self.plug_present:
            raise PlugError(f"EVSE {self.evse_id}: a plug is there already")
        vehicle.advance(now.elapsed_s)
        if self._flows is not None and vehicle.flows is None:
            vehicle.flows = []
        self.vehicle = vehicle
        self.plug_present = True
        self._signal()
        cable: list[HardwareInput] = [CableChanged(self.evse_id, present=True)] if self.has_lock else []
        return [*cable, *self._news()]

    def unplug(self, now: Now) -> list[HardwareInput]:
        """The car is disconnected and leaves; a plug that is locked stays behind until the lock lets go.

        Raises:
            PlugError: there is no car.
        """
        self._run_to(now.elapsed_s)
        vehicle = self.vehicle
        if vehicle is None:
            raise PlugError(f"EVSE {self.evse_id}: there is no car")
        vehicle.cut(now.elapsed_s)
        self._keep_flows(vehicle)
        self._earlier_wh += vehicle.delivered_wh
        self.vehicle = None
        news = self._news()
        return [*news, *self._pull_plug()]

    def suspend(self, suspended: bool, now: Now) -> list[HardwareInput]:
        """The car itself takes nothing for now, or takes energy again.

        Raises:
            PlugError: there is no car.
        """
        self._run_to(now.elapsed_s)
        if self.vehicle is None:
            raise PlugError(f"EVSE {self.evse_id}: there is no car")
        self.vehicle.suspend(suspended, now.elapsed_s)
        return self._news()

    def token_presented(self, id_token: IdToken) -> TokenPresented:
        """Somebody holds a token to this EVSE's reader."""
        return TokenPresented(id_token, self.evse_id)

    def fail(self, fault: Fault, now: Now) -> list[HardwareInput]:
        """Something breaks. What is inoperative delivers nothing from now on."""
        self._run_to(now.elapsed_s)
        self._faults[fault.fault_id] = fault
        self._signal()
        return [*self._news(), FaultRaised(self.evse_id, fault)]

    def recover(self, fault_id: str, now: Now) -> list[HardwareInput]:
        """It is well again; nothing to tell if it was."""
        self._run_to(now.elapsed_s)
        if self._faults.pop(fault_id, None) is None:
            return []
        self._signal()
        return [FaultCleared(self.evse_id, fault_id), *self._news()]

    # What a power cut leaves

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is broken, in the order in which it broke."""
        return tuple(self._faults.values())

    def remains(self) -> "EvseRemains":
        """What stays when the power goes: the register, the plug and its bolt, what is broken, and the car."""
        vehicle = self.vehicle
        return EvseRemains(
            evse_id=self.evse_id,
            register_wh=self.register_wh,
            plug_present=self.plug_present,
            locked=self.locked,
            lock_works=self.lock_works,
            faults=self.faults,
            vehicle=None
            if vehicle is None
            else msgspec.structs.replace(vehicle.spec, initial_wh=vehicle.stored_wh, requested_wh=vehicle.wanted_wh),
            suspended=vehicle is not None and vehicle.suspended,
        )

    def restore(self, remains: "EvseRemains", now: Now) -> None:
        """Go on from there: to be called before anything else."""
        self._now_s = now.elapsed_s
        self._earlier_wh = remains.register_wh
        self.plug_present, self.locked, self.lock_works = remains.plug_present, remains.locked, remains.lock_works
        self._faults = {fault.fault_id: fault for fault in remains.faults}
        if remains.vehicle is not None:
            self.vehicle = Vehicle(remains.vehicle, now.elapsed_s)
            self.vehicle.suspend(remains.suspended, now.elapsed_s)

    # Flows, for whoever adds up a site

    def trace_flows(self, since_s: float) -> None:
        """From now on keep what flows until `take_flows` asks for it."""
        self._flows, self._flows_since_s = [], since_s
        if self.vehicle is not None and self.vehicle.flows is None:
            self.vehicle.flows = []

    def take_flows(self, until_s: float) -> list[Flow]:
        """What has flowed since the last time, oldest first; raises RuntimeError where it isn't traced."""
        if self._flows is None:
            raise RuntimeError(f"EVSE {self.evse_id}: flows are not traced")
        self._run_to(until_s)
        flows, self._flows = self._flows, []
        since_s, self._flows_since_s = self._flows_since_s, self._now_s
        if self.vehicle is not None and self.vehicle.flows is not None:
            flows += self.vehicle.flows
            self.vehicle.flows = []
            running = self.vehicle.flow_now(since_s)
            if running is not None:
                flows.append(running)
        return [
            flow if flow.from_s >= since_s else Flow(flow.curve, since_s, flow.to_s, flow.number_phases)
            for flow in flows
            if flow.to_s > since_s
        ]

    # Inside

    def _run_to(self, at_s: float) -> None:
        if at_s < self._now_s:
            raise ValueError(f"EVSE {self.evse_id}: {at_s} s is before {self._now_s} s")
        if self.vehicle is not None:
            self.vehicle.advance(at_s)
        self._now_s = at_s

    def _signal(self) -> None:
        """Let the car know what it may draw."""
        if self.vehicle is None:
            return
        if self.offering:
            self.vehicle.offer(self.limit_a, self._limit_phases, self.voltage_v, self._now_s)
        else:
            self.vehicle.cut(self._now_s)

    def _news(self) -> list[HardwareInput]:
        news: list[HardwareInput] = []
        samples = self.samples()
        if samples != self._told:
            self._told = samples
            news.append(MeterReading(self.evse_id, samples))
        self._told_s = self._now_s
        pilot = self.pilot
        if pilot is not self._told_pilot:
            self._told_pilot = pilot
            news.append(PilotChanged(self.evse_id, pilot))
        return news

    def _release(self) -> list[HardwareInput]:
        if not self.lock_works and self.locked:
            return [LockChanged(self.evse_id, LockOutcome.FAILED)]
        self.locked = False
        gone = self._pull_plug() if self.vehicle is None else []
        return [LockChanged(self.evse_id, LockOutcome.UNLOCKED), *gone]

    def _pull_plug(self) -> list[HardwareInput]:
        """The driver takes the cable along, if it lets go."""
        if not self.plug_present or self.locked:
            return []
        self.plug_present = False
        return [CableChanged(self.evse_id, present=False)] if self.has_lock else []

    def _keep_flows(self, vehicle: Vehicle) -> None:
        if self._flows is not None and vehicle.flows is not None:
            self._flows += vehicle.flows
        vehicle.flows = None
