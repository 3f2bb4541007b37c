"""What follows in the books from the outcome of a command: a table from request to function.

Guarantees
* An effect runs in the unit that makes its command final, so that books and command never disagree.
* A raw command that the protocol's dialect can read has the same effects as a typed one.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from forecourt.csms import certificate_books, job_books, local_list_books, reservations
from forecourt.csms.command_records import Command, CommandState
from forecourt.csms.ports import Books
from forecourt.csms.records import DesiredVariable, ProfileState, StationProfile
from forecourt.domain.profile import ChargingProfilePurpose, InstalledProfile
from forecourt.domain.requests import (
    CancelReservation,
    CertificateSigned,
    ClearChargingProfile,
    CsmsRequest,
    CsmsRequestAnswer,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLocalListVersion,
    GetLog,
    GetVariables,
    GetVariablesAnswer,
    InstallCertificate,
    ReserveNow,
    SendLocalList,
    SetChargingProfile,
    SetVariables,
    SetVariablesAnswer,
    UpdateFirmware,
)
from forecourt.domain.variable import GetVariableStatus, SetVariableStatus, VariableReading

_THERE: Final = (ProfileState.INSTALLED, ProfileState.UNKNOWN)
"""States in which a profile is, or may be, on the station."""

_PROFILE_STATES: Final[dict[CommandState, ProfileState]] = {
    CommandState.ACCEPTED: ProfileState.INSTALLED,
    CommandState.REJECTED: ProfileState.REJECTED,
    CommandState.CALL_ERROR: ProfileState.REJECTED,
    CommandState.TIMEOUT: ProfileState.UNKNOWN,
    CommandState.OFFLINE: ProfileState.NOT_SENT,
    CommandState.EXPIRED: ProfileState.NOT_SENT,
}


def apply_outcome(
    books: Books, command: Command, request: CsmsRequest, answer: CsmsRequestAnswer | None, at: datetime
) -> None:
    """Write what follows from `command`, which has just become final."""
    effect = EFFECTS.get(type(request))
    if effect is not None:
        effect(books, command, request, answer, at)


def _profile_set(books: Books, command: Command, request: SetChargingProfile, _answer: object, at: datetime) -> None:
    state = _PROFILE_STATES[command.state]
    if state is ProfileState.INSTALLED:
        for other in books.charging.on_station(command.station_number, _THERE):
            if other.command_id != command.id and _replaces(request, other):
                books.charging.set_state(other.number, ProfileState.REPLACED, at)
    known = books.charging.by_command(command.id)
    for entry in known:
        books.charging.set_state(entry.number, state, at)
    if not known:
        books.charging.add(
            command.organisation_id,
            command.station_number,
            request.evse_id,
            request.profile,
            state,
            command.id,
            at,
        )


def _replaces(request: SetChargingProfile, other: StationProfile) -> bool:
    """One id is one profile; and so are purpose and stack level on an EVSE (OCPP 1.6 §5.16, K01.FR.05, K01.FR.06)."""
    new, old = request.profile, other.profile
    if new.id == old.id:
        return True
    same_place = request.evse_id == other.evse_id or new.purpose is ChargingProfilePurpose.STATION_MAX
    same_transaction = new.transaction_id == old.transaction_id
    return same_place and same_transaction and (new.purpose, new.stack_level) == (old.purpose, old.stack_level)


def _profiles_cleared(
    books: Books, command: Command, request: ClearChargingProfile, _answer: object, at: datetime
) -> None:
    # A station that knows of none that match says so (Unknown): then what we had on record isn't there either.
    if command.state not in {CommandState.ACCEPTED, CommandState.REJECTED}:
        return
    for entry in books.charging.on_station(command.station_number, _THERE):
        if request.criteria.matches(InstalledProfile(entry.evse_id, entry.profile)):
            books.charging.set_state(entry.number, ProfileState.CLEARED, at)


def _variables_set(
    books: Books, command: Command, request: SetVariables, answer: CsmsRequestAnswer | None, at: datetime
) -> None:
    if not isinstance(answer, SetVariablesAnswer):
        return
    outcomes = {result.ref: result.outcome for result in answer.results}
    taken = []
    wishes = {wish.ref: wish for wish in books.stations.desired(command.station_number)}
    for setting in request.settings:
        outcome = outcomes.get(setting.ref)
        if outcome is SetVariableStatus.ACCEPTED:
            taken.append(VariableReading(setting.ref, value=setting.value))
        wish = wishes.get(setting.ref)
        if outcome is not None and wish is not None and wish.value == setting.value:
            tried = DesiredVariable(ref=wish.ref, value=wish.value, outcome=outcome, pushed_at=at)
            books.stations.set_desired(command.station_number, tried)
    books.stations.set_reported(command.station_number, taken, at)


def _variables_read(
    books: Books, command: Command, _request: GetVariables, answer: CsmsRequestAnswer | None, at: datetime
) -> None:
    if isinstance(answer, GetVariablesAnswer):
        known = [reading for reading in answer.readings if reading.outcome is GetVariableStatus.ACCEPTED]
        books.stations.set_reported(command.station_number, known, at)


EFFECTS: Final[dict[type, Callable[..., Any]]] = {
    ReserveNow: reservations.reserved,
    CancelReservation: reservations.cancelled,
    SendLocalList: local_list_books.list_sent,
    GetLocalListVersion: local_list_books.version_told,
    UpdateFirmware: job_books.update_answered,
    GetLog: job_books.log_answered,
    CertificateSigned: certificate_books.signed_answered,
    InstallCertificate: certificate_books.install_answered,
    DeleteCertificate: certificate_books.delete_answered,
    GetInstalledCertificateIds: certificate_books.ids_answered,
    SetChargingProfile: _profile_set,
    ClearChargingProfile: _profiles_cleared,
    SetVariables: _variables_set,
    GetVariables: _variables_read,
}
