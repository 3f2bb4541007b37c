"""What the CSMS asks of the station: one function for each kind of request, in one table.

Guarantees
* Every request gets exactly one reply, at once but for UnlockConnector, which waits for the lock; while Rejected none
  gets any (OCPP 1.6 §4.2).
* The reply stands before the effects of what it promises (§5.2, §5.14, §5.17).
* While Pending, remote start and stop are refused, and all else is served (§4.2; OCTT TC_002_CS).
"""

from typing import Final

from forecourt.domain import requests as r
from forecourt.domain.events import Notice, VariablesReported
from forecourt.domain.requests import RequestStatus, UnlockStatus
from forecourt.domain.station import OperationalStatus, ResetType
from forecourt.domain.token import IdToken
from forecourt.domain.transaction import StoppedReason, TriggerReason
from forecourt.domain.variable import Mutability, ReportBase, VariableReading, VariableSetResult
from forecourt.station.calls import ForInformation
from forecourt.station.effects import Refuse, Reply
from forecourt.station.parts import Parts
from forecourt.station.places import Wish
from forecourt.station.settings import change
from forecourt.station.triggers import trigger
from forecourt.station.turn import Turn
from forecourt.station.upkeep import UPKEEP, Answering, say
from forecourt.station.variable_table import (
    AUTHORIZE_REMOTE_START,
    FIRMWARE_MANAGEMENT,
    ITEMS_PER_GET,
    ITEMS_PER_SET,
)

_REPORT_PART: Final = 50
_LONGEST_SCHEDULE_S: Final = 366 * 86_400


def _start(parts: Parts, request_id: str, request: r.RequestStartTransaction, turn: Turn) -> None:
    group = request.group_id_token or _known_group(parts, request.id_token, turn)
    wish = Wish(
        evse_id=request.evse_id,
        remote=True,
        remote_start_id=request.remote_start_id,
        profile=request.charging_profile,
        group_id_token=group,
    )
    ask = parts.variables.boolean(AUTHORIZE_REMOTE_START)
    evse = None if request.evse_id == 0 else parts.sessions.places.for_remote_start(request.id_token, wish, ask=ask)
    wrong = evse is None
    if evse is not None and wish.profile is not None:
        wrong = parts.charging.refusal(evse.evse_id, wish.profile, turn, starting=True) is not None
    outcome = RequestStatus.REJECTED if wrong or not parts.calls.accepted else RequestStatus.ACCEPTED
    turn.emit(Reply(request_id, r.StartAnswer(outcome=outcome)))
    if outcome is RequestStatus.ACCEPTED:
        parts.sessions.start_remotely(request.id_token, wish, turn, ask=ask)


def _known_group(parts: Parts, id_token: IdToken, turn: Turn) -> IdToken | None:
    """The group of a token, as far as the station itself knows (OCPP 1.6 §5.13)."""
    info = parts.authorizer.known(id_token, turn.at)
    return None if info is None else info.group_id_token


def _stop(parts: Parts, request_id: str, request: r.RequestStopTransaction, turn: Turn) -> None:
    own_id = parts.outbox.own_id_of(request.transaction_id)
    evse = None if own_id is None or not parts.calls.accepted else parts.transactions.evse_of(own_id)
    say(request_id, RequestStatus.REJECTED if evse is None else RequestStatus.ACCEPTED, turn)
    if evse is not None:
        parts.transactions.stop(evse, StoppedReason.REMOTE, TriggerReason.REMOTE_STOP, turn)


def _reset(parts: Parts, request_id: str, request: r.Reset, turn: Turn) -> None:
    busy = any(evse.transaction is not None for evse in parts.evses.values())
    if request.evse_id:
        say(request_id, RequestStatus.REJECTED, turn, reason_code="NotSupported", info="only as a whole")
        return
    if parts.resets.under_way and not parts.resets.waits_for_idle:
        say(request_id, RequestStatus.REJECTED, turn, info="a reset is under way")
        return
    if not parts.resets.allowed:
        say(request_id, RequestStatus.REJECTED, turn, info="the hardware can't be restarted now")
        return
    waits = busy and request.reset_type is ResetType.ON_IDLE
    say(request_id, RequestStatus.SCHEDULED if waits else RequestStatus.ACCEPTED, turn)
    parts.resets.begin(request.reset_type, turn, graceful=request.graceful)


def _availability(parts: Parts, request_id: str, request: r.ChangeAvailability, turn: Turn) -> None:
    evse = parts.evses.get(request.evse_id)
    if request.connector_id not in {None, 0, 1} or (evse is None and request.evse_id != 0):
        say(request_id, RequestStatus.REJECTED, turn, info="no such connector")
        return
    operative = request.operational_status is OperationalStatus.OPERATIVE
    concerned = list(parts.evses.values()) if evse is None else [evse]
    waits = not operative and any(place.transaction is not None for place in concerned)
    say(request_id, RequestStatus.SCHEDULED if waits else RequestStatus.ACCEPTED, turn)
    if evse is None:
        parts.availability.set_station(operative, turn)
    for place in concerned:
        parts.availability.set_evse(place, operative, turn)


def _unlock(parts: Parts, request_id: str, request: r.UnlockConnector, turn: Turn) -> None:
    evse = parts.evses.get(request.evse_id)
    if evse is None or request.connector_id > 1:
        turn.emit(Reply(request_id, r.UnlockAnswer(outcome=UnlockStatus.UNKNOWN_CONNECTOR)))
    elif not evse.config.has_lock:
        turn.emit(Reply(request_id, r.UnlockAnswer(outcome=UnlockStatus.NOT_SUPPORTED)))
    elif evse.transaction is not None and not parts.capabilities.unlock_ends_transaction:
        answer = r.UnlockAnswer(outcome=UnlockStatus.ONGOING_AUTHORIZED_TRANSACTION)
        turn.emit(Reply(request_id, answer))
    else:
        parts.unlocks.begin(request_id, evse, turn)


def _set_variables(parts: Parts, request_id: str, request: r.SetVariables, turn: Turn) -> None:
    def told(results: tuple[VariableSetResult, ...], turn: Turn) -> None:
        turn.emit(Reply(request_id, r.SetVariablesAnswer(results=results)))

    if len(request.settings) > parts.variables.integer(ITEMS_PER_SET):
        turn.emit(Refuse(request_id, too_much=True))  # DeviceDataCtrlr.ItemsPerMessage; OCPP 1.6 sets one at a time
        return
    change(parts, request.settings, told, turn)


def _get_variables(parts: Parts, request_id: str, request: r.GetVariables, turn: Turn) -> None:
    if request.refs is not None:
        most = parts.variables.integer(ITEMS_PER_GET)
        if parts.capabilities.variables_in_batches and len(request.refs) > most:
            turn.emit(Refuse(request_id, too_much=True))  # the same
            return
        readings = parts.variables.read(request.refs[:most])
        turn.emit(Reply(request_id, r.GetVariablesAnswer(readings=readings)))
        return
    readings = parts.variables.read(None)
    if request.report_base is ReportBase.CONFIGURATION:
        readings = tuple(reading for reading in readings if reading.mutability is not Mutability.READ_ONLY)
    if not parts.capabilities.reports_variables_in_parts:
        turn.emit(Reply(request_id, r.GetVariablesAnswer(readings=readings)))
        return
    if request.report_base is ReportBase.SUMMARY:
        answer = r.GetVariablesAnswer(readings=(), outcome=RequestStatus.NOT_SUPPORTED)
        turn.emit(Reply(request_id, answer))
        return
    turn.emit(Reply(request_id, r.GetVariablesAnswer(readings=(), report_follows=True)))
    _report(parts, request.request_id, readings, turn)


def _report(parts: Parts, report_id: int, readings: tuple[VariableReading, ...], turn: Turn) -> None:
    parts.calls.triggered = True  # asked for, so it may leave while Pending (OCPP 2.0.1 B02)
    starts = range(0, len(readings), _REPORT_PART)
    for part, start in enumerate(starts):
        event = VariablesReported(
            request_id=report_id,
            part=part,
            more=part + 1 < len(starts),
            at=turn.at,
            readings=readings[start : start + _REPORT_PART],
        )
        parts.calls.send(Notice((event,)), ForInformation(), turn)
    parts.calls.triggered = False


def _set_profile(parts: Parts, request_id: str, request: r.SetChargingProfile, turn: Turn) -> None:
    refused = parts.charging.refusal(request.evse_id, request.profile, turn)
    if refused is not None:
        say(request_id, RequestStatus.REJECTED, turn, reason_code=refused.reason_code.value, info=refused.info)
        return
    say(request_id, RequestStatus.ACCEPTED, turn)
    parts.charging.install(request.evse_id, request.profile, turn)


def _clear_profile(parts: Parts, request_id: str, request: r.ClearChargingProfile, turn: Turn) -> None:
    found = parts.charging.clear(request.criteria, turn)
    say(request_id, RequestStatus.ACCEPTED if found else RequestStatus.UNKNOWN, turn)


def _composite(parts: Parts, request_id: str, request: r.GetCompositeSchedule, turn: Turn) -> None:
    known = request.evse_id == 0 or request.evse_id in parts.evses
    known = known and request.rate_unit in {None, *parts.charging.rate_units}
    if not known or not 0 <= request.duration_s <= _LONGEST_SCHEDULE_S:
        turn.emit(Reply(request_id, r.CompositeScheduleAnswer(outcome=RequestStatus.REJECTED)))
        return
    schedule = parts.charging.composite(request.evse_id, request.duration_s, request.rate_unit, turn)
    turn.emit(Reply(request_id, r.CompositeScheduleAnswer(outcome=RequestStatus.ACCEPTED, schedule=schedule)))


def _clear_cache(parts: Parts, request_id: str, _: r.ClearCache, turn: Turn) -> None:
    cleared = parts.cache.clear(turn)
    say(request_id, RequestStatus.ACCEPTED if cleared else RequestStatus.REJECTED, turn)


def _send_local_list(parts: Parts, request_id: str, request: r.SendLocalList, turn: Turn) -> None:
    outcome = parts.local_list.apply(request, turn)
    if outcome is RequestStatus.ACCEPTED:
        for entry in request.entries:
            parts.cache.forget(entry.id_token, turn)
    say(request_id, outcome, turn)


def _list_version(parts: Parts, request_id: str, _: r.GetLocalListVersion, turn: Turn) -> None:
    turn.emit(Reply(request_id, r.LocalListVersionAnswer(version=parts.local_list.version)))


def _reserve(parts: Parts, request_id: str, request: r.ReserveNow, turn: Turn) -> None:
    refused = parts.reservations.refusal(request, turn)
    say(request_id, refused or RequestStatus.ACCEPTED, turn)
    if refused is None:
        parts.reservations.make(request, turn)


def _cancel_reservation(parts: Parts, request_id: str, request: r.CancelReservation, turn: Turn) -> None:
    known = request.reservation_id in parts.reservations
    say(request_id, RequestStatus.ACCEPTED if known else RequestStatus.REJECTED, turn)
    parts.reservations.cancel(request.reservation_id, turn)


def _data_transfer(parts: Parts, request_id: str, request: r.DataTransfer, turn: Turn) -> None:
    parts.vendor_messages.asked(request_id, request, turn)


def _show_price(parts: Parts, request_id: str, request: r.ShowPrice, turn: Turn) -> None:
    status = parts.costs.price(request, turn)
    say(request_id, status, turn)
    if status is RequestStatus.ACCEPTED:
        for verdict in parts.authorizer.price_came(request.id_token):
            parts.sessions.verdict(verdict, turn)


def _show_cost(parts: Parts, request_id: str, request: r.CostUpdated, turn: Turn) -> None:
    say(request_id, parts.costs.cost(request, turn), turn)


def _show_final_cost(parts: Parts, request_id: str, request: r.ShowFinalCost, turn: Turn) -> None:
    say(request_id, parts.costs.final_cost(request, turn), turn)


REQUESTS: Final[dict[type, Answering]] = {
    r.RequestStartTransaction: _start,
    r.RequestStopTransaction: _stop,
    r.Reset: _reset,
    r.ChangeAvailability: _availability,
    r.UnlockConnector: _unlock,
    r.TriggerMessage: trigger,
    r.SetVariables: _set_variables,
    r.GetVariables: _get_variables,
    r.SetChargingProfile: _set_profile,
    r.ClearChargingProfile: _clear_profile,
    r.GetCompositeSchedule: _composite,
    r.ClearCache: _clear_cache,
    r.SendLocalList: _send_local_list,
    r.GetLocalListVersion: _list_version,
    r.ReserveNow: _reserve,
    r.CancelReservation: _cancel_reservation,
    r.DataTransfer: _data_transfer,
    r.ShowPrice: _show_price,
    r.CostUpdated: _show_cost,
    r.ShowFinalCost: _show_final_cost,
    **UPKEEP,
}

PROFILES: Final[dict[type, str]] = {
    r.TriggerMessage: "RemoteTrigger",
    r.SetChargingProfile: "SmartCharging",
    r.ClearChargingProfile: "SmartCharging",
    r.GetCompositeSchedule: "SmartCharging",
    r.UpdateFirmware: FIRMWARE_MANAGEMENT,
    r.GetLog: FIRMWARE_MANAGEMENT,
}
"""The profile that a request belongs to: without it the station does not support the request (OCPP 1.6 §3.3).

Requests of the local list and of reservations have an answer that says so: their capabilities give it.
"""
