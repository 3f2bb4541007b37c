"""The charging station as one pure core: inputs up, effects down.

Theory of operation. Whoever drives the station (`net.station_session`, or a test in virtual time) tells it one `Input`
at a time with `step`, calls `expire` when one of `next_deadlines` has come, and carries out the effects in their
order. Each of these is a turn: the capability that the input concerns acts first, then what follows from facts is
brought up to date in a fixed order (`_finish`): availability, reservations, limits, states of charging, states of
connectors, resets.

Guarantees
* It never awaits, never calls back, reads no clock and draws no random number; the same inputs give the same effects.
* Everything that a turn changes for good is in its one `Persist`, in front of its other effects: cut the power where
  you like, `restore` goes on from there.
* Nothing it can be told makes it raise.
* A heartbeat and its answer touch nothing else (`agenda`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from forecourt.domain.clock import Deadlines, Now
from forecourt.domain.journal import JournalState
from forecourt.domain.station import Capabilities
from forecourt.domain.transaction import StoppedReason, TriggerReason
from forecourt.station import answers, settings
from forecourt.station import inputs as i
from forecourt.station.access import SECTION as ACCESS_SECTION
from forecourt.station.agenda import Agenda
from forecourt.station.boot import SECTION as STATION_SECTION
from forecourt.station.boot import Registration
from forecourt.station.calls import ForHeartbeat
from forecourt.station.config import StationConfig
from forecourt.station.effects import (
    Disregard,
    Effect,
    Refuse,
    ReleaseConnector,
    SetLimit,
)
from forecourt.station.evse import Evse
from forecourt.station.firmware import SECTION as FIRMWARE_SECTION
from forecourt.station.log_uploads import SECTION as LOG_UPLOAD_SECTION
from forecourt.station.parts import Parts
from forecourt.station.readable import JOURNAL_DAMAGED, put_aside, readable
from forecourt.station.readable import SECTION as UNREADABLE_SECTION
from forecourt.station.remote import PROFILES, REQUESTS
from forecourt.station.reports import SECTION as REPORT_SECTION
from forecourt.station.security_log import SECTION as SECURITY_LOG_SECTION
from forecourt.station.security_log import SecurityEvent
from forecourt.station.stays import SECTION as STAY_SECTION
from forecourt.station.turn import Turn
from forecourt.station.v2g import SECTION as OCSP_SECTION
from forecourt.station.variable_table import FEATURE_PROFILES

_HEARTBEAT: Final = ForHeartbeat()

_REASONS: Final[Mapping[str, StoppedReason]] = {
    "GroundFailure": StoppedReason.GROUND_FAULT,
    "OverCurrentFailure": StoppedReason.OVERCURRENT_FAULT,
    "OverVoltage": StoppedReason.POWER_QUALITY,
    "UnderVoltage": StoppedReason.POWER_QUALITY,
    "EmergencyStop": StoppedReason.EMERGENCY_STOP,
}
"""Why a transaction ends when a fault takes its connector out of service, by the fault's code; else Other."""


class Station:
    """One charging station. `new_id` gives transaction ids that nobody else gives."""

    __slots__ = ("_agenda", "_parts")

    def __init__(self, config: StationConfig, capabilities: Capabilities, new_id: Callable[[], str]) -> None:
        self._parts = Parts(config, capabilities, new_id)
        self._agenda = Agenda(self._parts)

    # Turns

    def restore(self, state: JournalState, now: Now) -> list[Effect]:
        """Start, from what the journal holds (nothing: for the first time). To be called once, before anything else."""
        parts = self._parts
        aside = len(state.get(UNREADABLE_SECTION, {}))
        state, parts.unreadable = readable(state)
        station = state.get(STATION_SECTION, {})
        parts.boot.restore(station)
        parts.variables.restore(state.get("variable", {}))
        parts.outbox.restore(state)
        parts.begin_time(state, now)
        turn = Turn(now, parts.clock.offset_s)
        parts.known_to_csms = answers.KNOWN_KEY in station
        parts.availability.restore(state.get("availability", {}))
        parts.charging.restore(state.get("profile", {}))
        parts.local_list.restore(state)
        parts.cache.restore(state.get("cache", {}))
        for effect in parts.variables.settings_outside():
            turn.emit(effect)
        for evse in parts.evses.values():
            turn.emit(SetLimit(evse.evse_id, 0.0, evse.number_phases))
        parts.reports.restore(state.get(REPORT_SECTION, {}))
        parts.security_log.restore(state.get(SECURITY_LOG_SECTION, {}))
        parts.security_log.note(SecurityEvent.STARTUP_OF_THE_DEVICE, turn)
        parts.access.restore(state.get(ACCESS_SECTION, {}), turn)
        parts.v2g.restore(state.get(OCSP_SECTION, {}))
        parts.stays.restore(state.get(STAY_SECTION, {}))
        parts.firmware.restore(state.get(FIRMWARE_SECTION, {}), turn)
        parts.log_uploads.restore(state.get(LOG_UPLOAD_SECTION, {}), turn)
        parts.reservations.restore(state.get("reservation", {}), turn)
        parts.transactions.restore(state, turn)
        if parts.unreadable:
            put_aside(parts.unreadable, aside, turn)
            parts.outbox.adopt(turn)
            places = ", ".join(record.place for record in parts.unreadable)
            told = f"{len(parts.unreadable)} unreadable, put aside: {places}"
            parts.security_log.note(JOURNAL_DAMAGED, turn, told, critical=True)
        for evse in parts.evses.values():
            if evse.transaction is None and evse.config.has_lock:
                turn.emit(ReleaseConnector(evse.evse_id))  # nobody's plug stays locked for want of a transaction
        return self._finish(turn)

    def step(self, received: i.Input, now: Now) -> list[Effect]:
        """Something has happened."""
        parts = self._parts
        turn = Turn(now, parts.clock.offset_s)
        if isinstance(received, i.CallAnswered) and parts.calls.purpose_of(received.call_id) == _HEARTBEAT:
            self._call_answered(received, turn)
            parts.boot.watch_calendar(turn)
            if turn.changes_nothing and self._agenda.idle(turn):
                return turn.effects()
        else:
            _INPUTS[type(received)](self, received, turn)
        return self._finish(turn)

    def expire(self, now: Now) -> list[Effect]:
        """Time has passed."""
        parts = self._parts
        turn = Turn(now, parts.clock.offset_s)
        parts.boot.expire(turn)
        if parts.calls.accepted and self._agenda.idle(turn):
            parts.boot.watch_calendar(turn)
            return turn.effects()
        self._agenda.expired(turn)
        parts.sessions.expire(turn)
        self._judge_unpriced(turn)
        parts.unlocks.expire(turn)
        parts.vendor_messages.expire(turn)
        parts.transactions.expire(turn)
        parts.transactions.sample(turn)
        parts.outbox.pump(turn)
        parts.reports.pump(turn)
        parts.certificates.expire(turn)
        parts.v2g.expire(turn)
        return self._finish(turn)

    def next_deadlines(self) -> Deadlines:
        """When `expire` wants to be called at the latest, on either clock."""
        return self._agenda.next_deadlines()

    # For those who look

    @property
    def parts(self) -> Parts:
        """The capabilities, to look at: nobody outside changes anything in them."""
        return self._parts

    @property
    def registration(self) -> Registration:
        """What the CSMS thinks of the station since it booted."""
        return self._parts.boot.registration

    def csms_id_of(self, transaction_id: str) -> str | None:
        """The id by which the CSMS knows a transaction of ours: what a dialect asks for."""
        return self._parts.outbox.csms_id_of(transaction_id)

    # Inside

    def _finish(self, turn: Turn) -> list[Effect]:
        parts = self._parts
        parts.boot.watch_calendar(turn)
        parts.cache.update(turn)
        parts.availability.update(turn)
        parts.firmware.update(turn)
        parts.availability.tell(turn)
        parts.sessions.update(turn)
        parts.log_uploads.update(turn)
        parts.reservations.update(turn)
        parts.charging.update(turn)
        parts.charging.publish(turn)
        parts.metering.align(turn)
        parts.transactions.tell_states(turn)
        parts.status.update(turn)
        parts.v2g.update(turn)
        parts.costs.update(turn)
        parts.stays.update(turn)
        parts.resets.update(turn)
        self._agenda.turned()
        return turn.effects()

    def _evse(self, evse_id: int) -> Evse | None:
        return self._parts.evses.get(evse_id)

    # The link

    def _link_up(self, _: i.LinkUp, turn: Turn) -> None:
        parts = self._parts
        parts.calls.connected = True
        parts.access.connected(turn)
        parts.boot.link_up(turn)
        if parts.calls.accepted:
            parts.status.tell_what_was_lost(turn)
            parts.outbox.connected(turn)
            parts.reports.connected(turn)

    def _link_down(self, _: i.LinkDown, turn: Turn) -> None:
        calls = self._parts.calls
        calls.connected = False
        self._parts.vendor_messages.link_down()
        for purpose in calls.lose_all():
            answers.failed(self._parts, purpose, i.CallFailure.LOST, turn)
        self._judge_unpriced(turn)

    def _judge_unpriced(self, turn: Turn) -> None:
        for verdict in self._parts.authorizer.unpriced(turn):
            self._parts.sessions.verdict(verdict, turn)

    def _connections_failed(self, _: i.ConnectionsFailed, turn: Turn) -> None:
        self._parts.access.failed(turn)

    def _call_answered(self, answered: i.CallAnswered, turn: Turn) -> None:
        self._parts.calls.last_answer_s = turn.now.protocol_s
        purpose = self._parts.calls.settle(answered.call_id)
        if purpose is not None:
            answers.answered(self._parts, purpose, answered.answer, turn)

    def _call_failed(self, failed: i.CallFailed, turn: Turn) -> None:
        if failed.failure in {i.CallFailure.ERROR, i.CallFailure.UNREADABLE}:
            self._parts.calls.last_answer_s = turn.now.protocol_s
        purpose = self._parts.calls.settle(failed.call_id)
        if purpose is not None:
            answers.failed(self._parts, purpose, failed.failure, turn)

    def _request(self, received: i.RequestReceived, turn: Turn) -> None:
        function = REQUESTS.get(type(received.request))
        if self.registration is Registration.REJECTED:
            turn.emit(Disregard(received.request_id))
            return
        profile = PROFILES.get(type(received.request))
        missing = profile is not None and profile not in self._parts.variables.members(FEATURE_PROFILES)
        if function is None or missing:
            turn.emit(Refuse(received.request_id))
            return
        function(self._parts, received.request_id, received.request, turn)

    # The hardware

    def _pilot(self, changed: i.PilotChanged, turn: Turn) -> None:
        evse = self._evse(changed.evse_id)
        if evse is not None:
            self._parts.sessions.pilot(evse, changed.pilot, turn)

    def _cable(self, changed: i.CableChanged, turn: Turn) -> None:
        evse = self._evse(changed.evse_id)
        if evse is not None:
            self._parts.sessions.cable(evse, changed.present, turn)

    def _reading(self, reading: i.MeterReading, turn: Turn) -> None:
        evse = self._evse(reading.evse_id)
        if evse is None and reading.evse_id != 0:
            return
        self._parts.metering.take(reading.evse_id, reading.samples, turn)
        if evse is not None:
            self._parts.transactions.watch_energy(evse, turn)

    def _token(self, presented: i.TokenPresented, turn: Turn) -> None:
        self._parts.sessions.present(presented.id_token, presented.evse_id, turn)

    def _contract(self, shown: i.ContractPresented, turn: Turn) -> None:
        evse = self._evse(shown.evse_id)
        if evse is not None:
            self._parts.contracts.presented(evse, shown, turn)

    def _ev_certificate(self, wanted: i.EvCertificateWanted, turn: Turn) -> None:
        if self._evse(wanted.evse_id) is not None:
            self._parts.contracts.wanted(wanted, turn)

    def _stop_pressed(self, pressed: i.StopPressed, turn: Turn) -> None:
        evse = self._evse(pressed.evse_id)
        if evse is not None:
            self._parts.sessions.pressed_stop(evse, turn)

    def _fault(self, raised: i.FaultRaised, turn: Turn) -> None:
        parts = self._parts
        evse = self._evse(raised.evse_id)
        if evse is None and raised.evse_id != 0:
            return
        faults = parts.ground.faults if evse is None else evse.faults
        faults.pop(raised.fault.fault_id, None)  # the latest is the last
        faults[raised.fault.fault_id] = raised.fault
        if not raised.fault.inoperative:
            parts.status.tell_fault(raised.evse_id, raised.fault, turn)
            return
        reason = _REASONS.get(raised.fault.code, StoppedReason.OTHER)
        for place in parts.evses.values() if evse is None else (evse,):
            parts.transactions.stop(place, reason, TriggerReason.ABNORMAL_CONDITION, turn)
            place.authorization = None

    def _fault_cleared(self, cleared: i.FaultCleared, turn: Turn) -> None:
        parts = self._parts
        evse = self._evse(cleared.evse_id)
        if evse is None and cleared.evse_id != 0:
            return
        faults = parts.ground.faults if evse is None else evse.faults
        gone = [fault for fault in faults.values() if cleared.fault_id in {None, fault.fault_id}]
        for fault in gone:
            del faults[fault.fault_id]
        if gone and not faults and not any(fault.inoperative for fault in gone):
            parts.status.tell_no_fault(cleared.evse_id, turn)

    def _lock(self, changed: i.LockChanged, turn: Turn) -> None:
        evse = self._evse(changed.evse_id)
        if evse is not None and not self._parts.unlocks.resolve(evse, changed.outcome, turn):
            self._parts.sessions.lock(evse, changed.outcome, turn)

    def _local_limit(self, limit: i.LocalLimit, _: Turn) -> None:
        evse = self._evse(limit.evse_id)
        if evse is not None:
            evse.local_limit_a = limit.limit_a
        elif limit.evse_id == 0:
            self._parts.ground.local_limit_a = limit.limit_a

    def _enabled(self, said: i.EvseEnabled, _: Turn) -> None:
        evse = self._evse(said.evse_id)
        if evse is not None:
            evse.disabled_here = not said.enabled
            if evse.disabled_here:
                evse.authorization = None

    def _power_failing(self, _: i.PowerFailing, turn: Turn) -> None:
        self._parts.transactions.stop_all(StoppedReason.POWER_LOSS, TriggerReason.ABNORMAL_CONDITION, turn)

    def _restart_wanted(self, _: i.RestartWanted, turn: Turn) -> None:
        self._parts.resets.begin_locally(turn)

    def _resets_allowed(self, said: i.ResetsAllowed, _: Turn) -> None:
        self._parts.resets.allowed = said.allowed

    def _reboot_failed(self, _: i.RebootFailed, turn: Turn) -> None:
        self._parts.resets.failed(turn)

    def _security_event(self, noticed: i.SecurityEventNoticed, turn: Turn) -> None:
        self._parts.security_log.note(noticed.event_type, turn, noticed.tech_info, critical=noticed.critical)

    def _log_cleared(self, _: i.SecurityLogCleared, turn: Turn) -> None:
        self._parts.security_log.clear(turn)

    # The system, and the keeper of certificates

    def _firmware_progress(self, news: i.FirmwareProgress, turn: Turn) -> None:
        self._parts.firmware.progress(news, turn)

    def _upload_progress(self, news: i.UploadProgress, turn: Turn) -> None:
        self._parts.log_uploads.progress(news, turn)

    def _security_answered(self, answer: i.SecurityAnswered, turn: Turn) -> None:
        self._parts.certificates.answered(answer, turn)

    # Applications

    def _data_transfer(self, wanted: i.DataTransferWanted, turn: Turn) -> None:
        self._parts.vendor_messages.wanted(wanted, turn)

    def _data_answered(self, answered: i.DataTransferAnswered, turn: Turn) -> None:
        self._parts.vendor_messages.answered(answered, turn)

    def _variables_wanted(self, asked: i.VariablesWanted, turn: Turn) -> None:
        settings.wanted(self._parts, asked, turn)

    def _resend(self, wanted: i.ResendWanted, turn: Turn) -> None:
        self._parts.outbox.resend(wanted.seq, turn)


_INPUTS: Final[dict[type, Callable[[Station, Any, Turn], None]]] = {
    i.LinkUp: Station._link_up,  # noqa: SLF001 - the dispatch tables belong to the class
    i.LinkDown: Station._link_down,  # noqa: SLF001
    i.ConnectionsFailed: Station._connections_failed,  # noqa: SLF001
    i.CallAnswered: Station._call_answered,  # noqa: SLF001
    i.CallFailed: Station._call_failed,  # noqa: SLF001
    i.RequestReceived: Station._request,  # noqa: SLF001
    i.PilotChanged: Station._pilot,  # noqa: SLF001
    i.CableChanged: Station._cable,  # noqa: SLF001
    i.MeterReading: Station._reading,  # noqa: SLF001
    i.TokenPresented: Station._token,  # noqa: SLF001
    i.ContractPresented: Station._contract,  # noqa: SLF001
    i.EvCertificateWanted: Station._ev_certificate,  # noqa: SLF001
    i.StopPressed: Station._stop_pressed,  # noqa: SLF001
    i.FaultRaised: Station._fault,  # noqa: SLF001
    i.FaultCleared: Station._fault_cleared,  # noqa: SLF001
    i.LockChanged: Station._lock,  # noqa: SLF001
    i.LocalLimit: Station._local_limit,  # noqa: SLF001
    i.EvseEnabled: Station._enabled,  # noqa: SLF001
    i.PowerFailing: Station._power_failing,  # noqa: SLF001
    i.RestartWanted: Station._restart_wanted,  # noqa: SLF001
    i.RebootFailed: Station._reboot_failed,  # noqa: SLF001
    i.SecurityEventNoticed: Station._security_event,  # noqa: SLF001
    i.SecurityLogCleared: Station._log_cleared,  # noqa: SLF001
    i.FirmwareProgress: Station._firmware_progress,  # noqa: SLF001
    i.UploadProgress: Station._upload_progress,  # noqa: SLF001
    i.SecurityAnswered: Station._security_answered,  # noqa: SLF001
    i.DataTransferWanted: Station._data_transfer,  # noqa: SLF001
    i.DataTransferAnswered: Station._data_answered,  # noqa: SLF001
    i.VariablesWanted: Station._variables_wanted,  # noqa: SLF001
    i.ResetsAllowed: Station._resets_allowed,  # noqa: SLF001
    i.ResendWanted: Station._resend,  # noqa: SLF001
}
